"""Which series make which resource: rows of the index to tracks, and the latest value of each part."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Any

import numpy as np

from detectors.resources import RESOURCE_NUMBER, Found, Part, recognise
from detectors.rows import Array
from model.batch import Bools, Floats, Ints
from model.labels import Labels

_UNMET, _NONE = -2, -1
_LIMITLESS = 1e15  # "unlimited" is told as 2**63 - 1 and the like
_LIMIT = int(Part.LIMIT)
_QUEUE = RESOURCE_NUMBER["queue"]
_ARRAYS = ("value", "limit", "time_ms", "dirty", "resource", "part", "last", "last_ms")


class Tracks:
    """Numbers from 0 for the resources met, up to `series_max`; those beyond count as `refused`."""

    def __init__(self, series_max: int) -> None:
        self._series_max = series_max
        self._of_row = np.full(0, _UNMET, dtype=np.int32)
        self._part_of_row = np.zeros(0, dtype=np.int8)
        self._numbers: dict[tuple[int, Labels], int] = {}
        self._keys: list[tuple[int, Labels] | None] = []
        self._series: list[Labels] = []
        self._rows: list[dict[int, int]] = []  # part to row
        self._free: list[int] = []
        self.refused = 0
        self._make(0)

    def _make(self, size: int) -> None:
        old = {name: getattr(self, name) for name in _ARRAYS} if size else {}
        self.value = np.full(size, np.nan)
        self.limit = np.full(size, np.nan)
        self.time_ms = np.zeros(size, dtype=np.int64)
        self.dirty = np.zeros(size, dtype=np.bool_)
        self.resource = np.zeros(size, dtype=np.int8)
        self.part = np.full(size, -1, dtype=np.int8)
        self.last = np.full(size, np.nan)  # as a share used, or a queue's length
        self.last_ms = np.zeros(size, dtype=np.int64)
        for name, array in old.items():
            getattr(self, name)[: len(array)] = array

    def __len__(self) -> int:
        return len(self._numbers)

    @property
    def size(self) -> int:
        """One more than the largest number ever given."""
        return len(self._keys)

    def numbers(self) -> list[int]:
        """All in use, ascending."""
        return sorted(self._numbers.values())

    def series(self, track: int) -> Labels:
        """The series that says how much is used."""
        return self._series[track]

    def full(self, tracks: Ints) -> Floats:
        """The level at which each is full: 1, or a queue's limit, `inf` without one."""
        limit = self.limit[tracks]
        limited = (limit > 0) & (limit < _LIMITLESS)
        queue = self.resource[tracks] == _QUEUE
        full: Floats = np.where(queue, np.where(limited, limit, np.inf), 1.0)
        return full

    def of(self, rows: Ints) -> tuple[Ints, Array]:
        """Tracks (-2 where a row was not met yet, -1 where it is none) and parts of rows."""
        if len(rows) and int(rows.max()) >= len(self._of_row):
            size = max(64, 2 * int(rows.max()))
            grown = np.full(size, _UNMET, dtype=np.int32)
            grown[: len(self._of_row)] = self._of_row
            parts = np.zeros(size, dtype=np.int8)
            parts[: len(self._part_of_row)] = self._part_of_row
            self._of_row, self._part_of_row = grown, parts
        return self._of_row[rows].astype(np.int64), self._part_of_row[rows]

    def meet(self, row: int, labels: Labels | None) -> None:
        """Decide what a row is for; None: nothing."""
        found = None if labels is None else recognise(labels)
        track = _NONE if found is None or labels is None else self._join(row, found, labels)
        self._of_row[row] = track
        if found is not None:
            self._part_of_row[row] = found.part

    def _join(self, row: int, found: Found, labels: Labels) -> int:
        key = (found.resource, found.key)
        track = self._numbers.get(key)
        if track is None:
            if len(self._numbers) >= self._series_max:
                self.refused += 1
                return _NONE
            track = self._new(key)
        held = self._rows[track]
        limit = found.part == _LIMIT
        if held and any((part == _LIMIT) == limit for part in held):
            return _NONE  # two series that say the same of it: the first is heard
        held[int(found.part)] = row
        if not limit:
            self._series[track], self.part[track] = labels, found.part
        return track

    def _new(self, key: tuple[int, Labels]) -> int:
        track = heappop(self._free) if self._free else len(self._keys)
        if track == len(self._keys):
            self._keys.append(key)
            self._series.append(key[1])
            self._rows.append({})
            if track >= len(self.value):
                self._make(max(8, track * 3 // 2 + 1))
        else:
            self._keys[track], self._series[track], self._rows[track] = key, key[1], {}
        self._clear(track)
        self._numbers[key] = track
        self.resource[track] = key[0]
        return track

    def _clear(self, track: int) -> None:
        self.value[track] = self.limit[track] = self.last[track] = np.nan
        self.time_ms[track] = self.last_ms[track] = 0
        self.dirty[track], self.part[track] = False, -1

    def flush(self, tracks: Ints) -> tuple[Ints, Ints, Floats]:
        """Levels of those with a new value and, where one is needed, a limit; they are clean then."""
        tracks = tracks[self.dirty[tracks]]
        self.dirty[tracks] = False
        value, limit, part = self.value[tracks], self.limit[tracks], self.part[tracks]
        usable: Bools = (limit > 0) & (limit < _LIMITLESS)
        share = value / np.where(usable, limit, np.nan)
        level = np.where(part == Part.USED, share, 1.0 - share)
        level = np.where(part == Part.RATIO, value, level)
        level = np.where(self.resource[tracks] == _QUEUE, value, level)
        known = np.isfinite(level)
        tracks, level = tracks[known], level[known]
        times_ms = self.time_ms[tracks]
        self.last[tracks], self.last_ms[tracks] = level, times_ms
        return tracks, times_ms, level

    def forget(self, rows: Ints) -> list[int]:
        """These rows go to other series; the tracks that ended with them."""
        ended = []
        for row in rows[rows < len(self._of_row)].tolist():
            track = int(self._of_row[row])
            self._of_row[row] = _UNMET
            if track < 0:
                continue
            held = self._rows[track]
            held.pop(int(self._part_of_row[row]), None)
            if set(held) <= {int(Part.LIMIT)}:
                for other in held.values():
                    self._of_row[other] = _UNMET
                self._end(track)
                ended.append(track)
            else:
                self.limit[track] = np.nan
        return ended

    def _end(self, track: int) -> None:
        key = self._keys[track]
        if key is not None:
            del self._numbers[key]
            self._keys[track], self._rows[track] = None, {}
            self._clear(track)
            heappush(self._free, track)

    @property
    def nbytes(self) -> int:
        """Bytes held in arrays."""
        own = sum(int(getattr(self, name).nbytes) for name in _ARRAYS)
        return own + self._of_row.nbytes + self._part_of_row.nbytes

    def save(self) -> tuple[dict[str, Array], list[Any]]:
        """Arrays by name, and the tracks as plain JSON values."""
        arrays = {name: getattr(self, name)[: self.size] for name in _ARRAYS}
        known: list[Any] = []
        for key, series, rows in zip(self._keys, self._series, self._rows, strict=True):
            if key is None:
                known.append(None)
                continue
            pairs = [[list(pair) for pair in labels.pairs] for labels in (key[1], series)]
            known.append([key[0], *pairs, sorted(rows.items())])
        return arrays, known

    def load(self, arrays: dict[str, Array], known: list[Any]) -> None:
        """Take over what `save` gave."""
        self.__init__(self._series_max)  # type: ignore[misc]
        self._make(len(known))
        for name in _ARRAYS:
            own = getattr(self, name)
            if arrays[name].shape != own.shape:
                raise ValueError(f"tracks: {name} has the shape {arrays[name].shape}")
            own[:] = arrays[name]
        for track, one in enumerate(known):
            key = None if one is None else (int(one[0]), _labels(one[1]))
            self._keys.append(key)
            self._series.append(Labels() if one is None else _labels(one[2]))
            self._rows.append({} if one is None else {part: row for part, row in one[3]})
            if key is None:
                heappush(self._free, track)
                continue
            self._numbers[key] = track
            for part, row in self._rows[track].items():
                self.of(np.array([row]))
                self._of_row[row], self._part_of_row[row] = track, part


def _labels(pairs: list[list[str]]) -> Labels:
    return Labels(tuple((name, value) for name, value in pairs))
