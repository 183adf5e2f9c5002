"""What the light tier keeps of a series, side by side in dense arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.rows import Array
from model.batch import Bools, Floats, Ints, Rows
from model.errors import SnapshotError

Array32 = NDArray[np.float32]
At = slice | NDArray[np.intp]

LEVEL, SLOW, TREND, SPREAD, COUNT = range(5)
INTERVAL, STILL, STILL_MS, LIVELY = range(4)

_NO_ROWS: Rows = np.zeros(0, dtype=np.int32)


class State:
    """Arrays by place; a plain series has a place, and those met together have neighbouring ones.

    Places, not rows: a target's gauges and counters lie between its histograms in the index, and a
    slice of an array costs nothing where a list of rows costs more than all of the arithmetic.

    Attributes
    ----------
    learnt : float32, shape (5, n_places)
        LEVEL, SLOW, TREND, SPREAD and COUNT of samples, as in `detectors.baseline`.
    clock : float32, shape (4, n_places)
        Usual INTERVAL in ms; for how many samples and ms the value stood STILL; how LIVELY it is.
    sums : float32, shape (2, n_places)
        CUSUMs up and down, see `detectors.levelshift`.
    last_ms, first_ms : int64
        Times of the last sample and of the first one that was learnt.
    value : float64
        The last value, NaN before the first: counters need all its digits.
    hot : bool
        To be looked at closely whatever comes: a sum runs, an alert is on, somebody is shown it.
    rows : int32
        The row of each place, -1 where it is free.

    Examples
    --------
    >>> state = State()
    >>> state.add(np.array([7, 3], dtype=np.int32))
    >>> state.of(np.array([3, 4, 7], dtype=np.int32)).tolist()
    [1, -1, 0]
    """

    def __init__(self) -> None:
        self._place = _NO_ROWS
        self._used = 0
        self._free = _NO_ROWS
        self.rows = _NO_ROWS
        self.learnt: Array32 = np.zeros((5, 0), dtype=np.float32)
        self.clock: Array32 = np.zeros((4, 0), dtype=np.float32)
        self.sums: Array32 = np.zeros((2, 0), dtype=np.float32)
        self.last_ms: Ints = np.zeros(0, dtype=np.int64)
        self.first_ms: Ints = np.zeros(0, dtype=np.int64)
        self.value: Floats = np.zeros(0)
        self.hot: Bools = np.zeros(0, dtype=np.bool_)

    def ensure(self, capacity: int) -> None:
        """Be able to say of every row below `capacity` whether it has a place."""
        self._place = _longer(self._place, capacity, -1)

    def of(self, rows: Rows) -> Rows:
        """The places of rows, -1 where a row has none."""
        return np.take(self._place, rows)

    def place(self, row: int) -> int:
        """The place of one row, -1 if it has none."""
        return int(self._place[row]) if 0 <= row < len(self._place) else -1

    def add(self, rows: Rows) -> None:
        """Give each of these rows a place; those of one call are neighbours where there is room."""
        if len(rows) == 0:
            return
        self.ensure(int(rows.max()) + 1)
        reused = min(len(rows), len(self._free))
        begin, end = self._used, self._used + len(rows) - reused
        fresh = np.arange(begin, end, dtype=np.int32)
        places = np.concatenate((self._free[:reused], fresh))
        self._free, self._used = self._free[reused:], end
        self._grow(end)
        self._place[rows] = places
        self.rows[places] = rows
        self.hot[places] = True

    def forget(self, rows: Rows) -> None:
        """These rows go to other series: their places are cleared and free."""
        rows = rows[rows < len(self._place)]
        places = self._place[rows]
        places = np.unique(places[places >= 0])
        for array in self._arrays().values():
            array[..., places] = 0
        self.rows[places], self.value[places] = -1, np.nan
        self._place[rows] = -1
        self._free = np.sort(np.concatenate((self._free, places)))

    def relearn(self, rows: Rows) -> None:
        """Begin anew to learn what is normal; the last value and the interval stay."""
        places = self.of(rows)
        places = places[places >= 0]
        self.learnt[:, places] = 0.0
        self.clock[STILL:, places] = 0.0
        self.sums[:, places] = 0.0
        self.hot[places] = True

    def renew(self, rows: Rows, young: int) -> None:
        """Learn level and spread as of a series that was seen so often only."""
        places = self.of(rows[rows < len(self._place)])
        places = places[places >= 0]
        self.learnt[COUNT, places] = np.minimum(self.learnt[COUNT, places], young)

    def wake(self, rows: Rows) -> None:
        """Look closely at these rows' next samples."""
        places = self.of(rows[rows < len(self._place)])
        self.hot[places[places >= 0]] = True

    def _grow(self, capacity: int) -> None:
        for name, array in self._arrays().items():
            setattr(self, name, _longer(array, capacity, _FILLS.get(name, 0)))

    def _arrays(self) -> dict[str, Array]:
        return {name: getattr(self, name) for name in (*_SAVED, "hot")}

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        held = sum(array.nbytes for array in self._arrays().values())
        return held + self._place.nbytes + self._free.nbytes

    def save(self, kinds: Array) -> dict[str, Array]:
        """Arrays by name, free places left out; those of one kind side by side, by row.

        So a restart mends what coming and going series have torn apart.
        """
        places = np.flatnonzero(self.rows[: self._used] >= 0)
        rows = self.rows[places]
        places = places[np.lexsort((rows, kinds[rows]))]
        return {f"light.{name}": getattr(self, name)[..., places] for name in _SAVED}

    def load(self, saved: Mapping[str, Array]) -> None:
        """Take over what `save` gave.

        Raises
        ------
        SnapshotError
            If an array is missing or of another type or shape.
        """
        fresh = State()
        rows = saved["light.rows"]
        for name in _SAVED:
            array, mine = saved[f"light.{name}"], getattr(fresh, name)
            if array.dtype != mine.dtype or array.shape != (*mine.shape[:-1], len(rows)):
                raise SnapshotError(f"snapshot: array light.{name} is misshapen")
        if len(np.unique(rows)) != len(rows) or rows.min(initial=0) < 0:
            raise SnapshotError("snapshot: rows of the light tier do not fit together")
        fresh.add(rows)
        for name in _SAVED:
            getattr(fresh, name)[..., : len(rows)] = saved[f"light.{name}"]
        self.__dict__.update(fresh.__dict__)


_SAVED = ("rows", "learnt", "clock", "sums", "last_ms", "first_ms", "value")
_FILLS: dict[str, Any] = {"rows": -1, "value": np.nan}


def neighbours(places: Rows | NDArray[np.intp]) -> At:
    """Places as a slice where they follow one another: a view costs nothing.

    Examples
    --------
    >>> neighbours(np.array([4, 5, 6])), neighbours(np.array([4, 6, 5])).tolist()
    (slice(4, 7, None), [4, 6, 5])
    """
    first, last = int(places[0]), int(places[-1])
    if last - first + 1 == len(places) and (places[1:] - places[:-1] == 1).all():
        return slice(first, last + 1)
    return places.astype(np.intp, copy=False)  # once, and not by each that is indexed with it


def _longer(array: Array, length: int, fill: float) -> Array:
    """The array with room for `length` places; grows by half so that growing stays cheap."""
    had = array.shape[-1]
    if length <= had:
        return array
    size = max(64, length, had * 3 // 2)
    # Zeros cost no memory before they are written.
    grown = np.zeros((*array.shape[:-1], size), dtype=array.dtype)
    grown[..., :had] = array
    if fill != 0:
        grown[..., had:] = fill
    return grown
