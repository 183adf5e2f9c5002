"""Whose each series is: a service, else a host; numbers for them that outlive their series."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from heapq import heappop, heappush
from typing import Any

import numpy as np

from detectors.roles import service_of
from detectors.rows import Array, RowArrays
from model.batch import Bools, Rows
from model.labels import Labels
from model.series import SeriesIndex

OWNERS_MAX = 20_000
_UNMET, _NOBODY = -2, -1
_KEPT_LEAST_MS, _KEPT_MOST_MS = 7_200_000, 8 * 86_400_000
_KEPT_TIMES = 2  # as long as it was heard: a run of an hour is not remembered for a week


def owner_of(labels: Labels) -> str:
    """A service's name, else the instance's; "" where neither is set.

    Examples
    --------
    >>> owner_of(Labels.of({"job": "cart", "instance": "a"})), owner_of(Labels.of({"instance": "a"}))
    ('cart', 'a')
    """
    return service_of(labels) or labels.get("instance", "")


class Owners:
    """Up to 20,000 of them; those beyond count as `refused`.

    Attributes
    ----------
    rows : RowArrays
        By owner: when it was heard last, since when without a pause, its usual interval, how often it was heard, its
        last long pause, and until when somebody else told of its silence.
    """

    def __init__(self, owners_max: int = OWNERS_MAX) -> None:
        self._max = owners_max
        self.rows = RowArrays(
            {"last_ms": (np.int64, 0), "first_ms": (np.int64, 0), "interval_ms": (np.float64, 0.0),
             "count": (np.int64, 0), "pause_ms": (np.int64, 0), "excused_ms": (np.int64, 0)}
        )  # fmt: skip
        self._by_row = RowArrays({"owner": (np.int32, _UNMET)})
        self._slots: dict[str, int] = {}
        self._names: list[str | None] = []
        self._sources: list[str] = []
        self._free: list[int] = []
        self.refused = 0

    def __len__(self) -> int:
        return len(self._slots)

    @property
    def size(self) -> int:
        """One more than the largest number given."""
        return len(self._names)

    def items(self) -> Iterator[tuple[str, int]]:
        """Names and numbers, in the order they were met."""
        return iter(self._slots.items())

    def name(self, slot: int) -> str:
        """Whose number it is."""
        return self._names[slot] or ""

    def source(self, slot: int) -> str:
        """What brought the series that were met last."""
        return self._sources[slot]

    def of(self, index: SeriesIndex, rows: Rows | Array) -> Array:
        """Owners of rows in use, -1 for none; those of new ones are met."""
        self._by_row.ensure(index.capacity)
        owner = self._by_row["owner"]
        for row in rows[owner[rows] == _UNMET].tolist():
            owner[row] = self._meet(index, row) if index.in_use(row) else _NOBODY
        self.rows.ensure(self.size)
        return owner[rows]

    def _meet(self, index: SeriesIndex, row: int) -> int:
        name = owner_of(index.labels(row))
        if not name:
            return _NOBODY
        slot = self._slots.get(name)
        if slot is None:
            if len(self._slots) >= self._max:
                self.refused += 1
                return _NOBODY
            slot = heappop(self._free) if self._free else len(self._names)
            if slot == len(self._names):
                self._names.append(name)
                self._sources.append("")
            self._slots[name], self._names[slot] = slot, name
        self._sources[slot] = index.source(row)
        return slot

    def forget(self, rows: Array) -> None:
        """These rows go to other series."""
        owner = self._by_row["owner"]
        owner[rows[rows < len(owner)]] = _UNMET

    def tidy(self, newest_ms: int, told: Bools) -> None:
        """Drop those that have not been heard for long, as measured by how long they were."""
        state, size = self.rows, self.size
        last_ms = state["last_ms"][:size]
        lived_ms = last_ms - state["first_ms"][:size] + state["pause_ms"][:size]
        kept_ms = np.clip(_KEPT_TIMES * lived_ms, _KEPT_LEAST_MS, _KEPT_MOST_MS)
        gone = (last_ms > 0) & (newest_ms - last_ms > kept_ms) & ~told
        for slot in np.flatnonzero(gone).tolist():
            self.drop(slot)

    def drop(self, slot: int) -> None:
        """Its number goes to somebody else; what comes of it from here on is met anew."""
        name = self._names[slot]
        if name is None:
            return
        del self._slots[name]
        self._names[slot], self._sources[slot] = None, ""
        heappush(self._free, slot)
        self.rows.clear(np.array([slot]))
        owner = self._by_row["owner"]
        owner[owner == slot] = _UNMET

    @property
    def nbytes(self) -> int:
        """Bytes held in arrays."""
        return self.rows.nbytes + self._by_row.nbytes

    def save(self, capacity: int) -> tuple[dict[str, Array], dict[str, Any]]:
        """Arrays by name, and the rest as plain JSON values."""
        arrays = {**self.rows.save("rows", self.size), **self._by_row.save("by_row", capacity)}
        order = list(self._slots.values())
        return arrays, {
            "names": self._names, "sources": self._sources, "order": order, "refused": self.refused,
        }  # fmt: skip

    def load(self, arrays: Mapping[str, Array], state: Mapping[str, Any]) -> None:
        """Take over what `save` gave."""
        self.rows.load("rows", arrays)
        self._by_row.load("by_row", arrays)
        self._names, self._sources = list(state["names"]), list(state["sources"])
        self._slots = {self._names[slot]: slot for slot in state["order"]}
        self._free = [slot for slot, name in enumerate(self._names) if name is None]
        self.refused = int(state["refused"])
