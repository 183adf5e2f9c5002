"""State as arrays over the rows of the `SeriesIndex`, and batches cut so that each row occurs once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.batch import Floats, Ints, MetricBatch, Rows
from model.errors import SnapshotError

Array = NDArray[Any]


class RowArrays:
    """Named arrays that grow together and are cleared row by row.

    Parameters
    ----------
    fields : dict of name to (dtype, fill value)
        One array each, shape (capacity, *tail).
    tail : tuple of int
        Further dimensions of every array.

    Examples
    --------
    >>> state = RowArrays({"mean": (np.float64, 0.0)})
    >>> state.ensure(3)
    >>> state["mean"][2] = 5.0
    >>> state.clear(np.array([2]))
    >>> float(state["mean"][2])
    0.0
    """

    def __init__(self, fields: Mapping[str, tuple[Any, float]], tail: tuple[int, ...] = ()) -> None:
        self._fields = dict(fields)
        self._tail = tail
        self._arrays: dict[str, Array] = {
            name: np.zeros((0, *tail), dtype=dtype) for name, (dtype, _) in fields.items()
        }
        self._capacity = 0

    def __getitem__(self, name: str) -> Array:
        return self._arrays[name]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the arrays."""
        return tuple(self._fields)

    def ensure(self, capacity: int) -> None:
        """Have room for rows below `capacity`; grows by half so that growing stays cheap."""
        if capacity <= self._capacity:
            return
        size = max(64, capacity, self._capacity * 3 // 2)
        for name, (dtype, fill) in self._fields.items():
            grown = np.full((size, *self._tail), fill, dtype=dtype)
            grown[: self._capacity] = self._arrays[name]
            self._arrays[name] = grown
        self._capacity = size

    def clear(self, rows: Array) -> None:
        """Give rows their fill values back."""
        rows = rows[rows < self._capacity]
        for name, (_, fill) in self._fields.items():
            self._arrays[name][rows] = fill

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return sum(array.nbytes for array in self._arrays.values())

    def save(self, prefix: str, length: int) -> dict[str, Array]:
        """The first `length` rows of each array, by prefixed name."""
        length = min(length, self._capacity)
        return {f"{prefix}.{name}": array[:length] for name, array in self._arrays.items()}

    def load(self, prefix: str, saved: Mapping[str, Array]) -> None:
        """Take over what `save` gave.

        Raises
        ------
        SnapshotError
            If an array is missing or of another type or shape.
        """
        length = 0
        for name, (dtype, _) in self._fields.items():
            array = saved.get(f"{prefix}.{name}")
            if array is None or array.dtype != np.dtype(dtype) or array.shape[1:] != self._tail:
                raise SnapshotError(f"snapshot: array {prefix}.{name} is missing or misshapen")
            length = max(length, len(array))
        self.__init__(self._fields, self._tail)  # type: ignore[misc]
        self.ensure(length)
        for name in self._fields:
            array = saved[f"{prefix}.{name}"]
            self._arrays[name][: len(array)] = array


def _unlike(rows: Rows) -> bool:
    """Whether no row occurs twice."""
    least, most = int(rows.min()), int(rows.max())
    if most - least > 64 * len(rows):
        ordered = np.sort(rows)
        return bool((ordered[1:] != ordered[:-1]).all())
    seen = np.zeros(most - least + 1, dtype=np.bool_)
    seen[rows - least] = True
    return int(np.count_nonzero(seen)) == len(rows)


def layers(batch: MetricBatch) -> Iterator[tuple[Rows, Ints, Floats]]:
    """Cut a batch so that in each piece a row occurs once; the first piece has each row's first sample.

    A row's samples keep their order, so one batch of a hundred does what a hundred batches of one do.

    Examples
    --------
    >>> batch = MetricBatch.of([3, 4, 3], [1, 1, 2], [0.1, 0.2, 0.3], arrival_ms=2)
    >>> [rows.tolist() for rows, _, _ in layers(batch)]
    [[3, 4], [3]]
    """
    for pick in pieces(batch.rows):
        if isinstance(pick, slice):
            yield batch.rows, batch.times_ms, batch.values
        else:
            yield batch.rows[pick], batch.times_ms[pick], batch.values[pick]


def pieces(rows: Array) -> Iterator[slice | Ints]:
    """Positions of each row's first sample, then of each row's second, and so on.

    Examples
    --------
    >>> [at.tolist() for at in pieces(np.array([3, 4, 3])) if not isinstance(at, slice)]
    [[0, 1], [2]]
    """
    count = len(rows)
    if count == 0:
        return
    if (rows[1:] > rows[:-1]).all() or _unlike(rows):  # nearly always
        yield slice(0, count)
        return
    order = np.argsort(rows, kind="stable")
    ordered = rows[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    lengths = np.diff(np.r_[starts, count])
    occurrence = np.empty(count, dtype=np.int64)
    occurrence[order] = np.arange(count) - np.repeat(starts, lengths)
    by_layer = np.argsort(occurrence, kind="stable")
    bounds = np.cumsum(np.bincount(occurrence))
    for start, stop in zip(np.r_[0, bounds[:-1]].tolist(), bounds.tolist(), strict=True):
        yield by_layer[start:stop]
