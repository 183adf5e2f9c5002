"""The last samples of watched series with their bands, for evidence and plots: one short ring each."""

from __future__ import annotations

from typing import Any

import numpy as np

from detectors.rows import Array
from model.batch import Bools, Floats, Ints

LENGTH = 120


class History:
    """Rings of `LENGTH` points for up to `watched_max` rows; a row has a place or it has none.

    Examples
    --------
    >>> history = History(watched_max=10)
    >>> history.watch(7)
    True
    >>> history.add(np.array([7]), np.array([1000]), *[np.array([x]) for x in (2.0, 1.0, 3.0)])
    >>> history.of(7)
    ((1000,), (2.0,), (1.0,), (3.0,))
    """

    def __init__(self, watched_max: int) -> None:
        self._watched_max = watched_max
        self._place: dict[int, int] = {}
        self._free: list[int] = []
        self._places = np.full(0, -1, dtype=np.int32)
        self._times = np.zeros((0, LENGTH), dtype=np.int64)
        self._points = np.zeros((0, LENGTH, 3), dtype=np.float32)
        self._count = np.zeros(0, dtype=np.int64)

    def __len__(self) -> int:
        return len(self._place)

    def rows(self) -> tuple[int, ...]:
        """The rows that have a ring."""
        return tuple(self._place)

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self._times.nbytes + self._points.nbytes + self._places.nbytes

    def watch(self, row: int) -> bool:
        """Give a row a ring; False where all are taken."""
        if row in self._place:
            return True
        if len(self._place) >= self._watched_max:
            return False
        place = self._free.pop() if self._free else len(self._place)
        self._place[row] = place
        if place >= len(self._times):
            self._grow(max(16, 2 * place))
        if row >= len(self._places):
            grown = np.full(max(64, 2 * row), -1, dtype=np.int32)
            grown[: len(self._places)] = self._places
            self._places = grown
        self._places[row] = place
        self._count[place] = 0
        return True

    def _grow(self, size: int) -> None:
        old = len(self._times)
        for name in ("_times", "_points", "_count"):
            array = getattr(self, name)
            grown = np.zeros((size, *array.shape[1:]), dtype=array.dtype)
            grown[:old] = array
            setattr(self, name, grown)

    def add(self, rows: Array, times_ms: Ints, values: Floats, lows: Floats, highs: Floats) -> None:
        """Append a point to each row that has a ring."""
        known = rows < len(self._places)
        place = np.where(known, self._places[np.where(known, rows, 0)], -1) if known.any() else None
        if place is None:
            return
        has = place >= 0
        place = place[has]
        at = self._count[place] % LENGTH
        self._times[place, at] = times_ms[has]
        with np.errstate(over="ignore"):
            points = np.stack((values[has], lows[has], highs[has]), axis=1)
            self._points[place, at] = points.astype(np.float32)
        self._count[place] += 1

    def of(self, row: int) -> tuple[tuple[Any, ...], ...]:
        """Times, values, lows and highs of a row, oldest first; None for what is not finite."""
        place = self._place.get(row)
        if place is None:
            return (), (), (), ()
        count = int(self._count[place])
        at = np.arange(max(0, count - LENGTH), count) % LENGTH
        times = tuple(self._times[place, at].tolist())
        points = self._points[place, at].T
        finite = np.isfinite(points)
        columns = map(tuple, points.tolist())
        if finite.all():
            return times, *columns
        known = finite.tolist()
        return times, *(
            tuple(x if told else None for x, told in zip(*of, strict=True))
            for of in zip(columns, known, strict=True)
        )

    def matrix(self, rows: Array) -> tuple[Ints, Floats]:
        """Times and values of rows that have a ring, shapes (n_rows, LENGTH), newest last.

        Where there is no point yet the time is 0 and the value NaN.
        """
        place = self._places[rows]
        count = self._count[place][:, None]
        at = count - LENGTH + np.arange(LENGTH)[None, :]
        missing = at < 0
        times = self._times[place[:, None], at % LENGTH]
        values = self._points[place[:, None], at % LENGTH, 0].astype(np.float64)
        return np.where(missing, 0, times), np.where(missing, np.nan, values)

    def back(self, rows: Array, steps: int) -> Floats:
        """The value so many points before the last of rows that have a ring; NaN where there is none."""
        place = self._places[rows]
        at = self._count[place] - 1 - steps
        values = self._points[place, at % LENGTH, 0].astype(np.float64)
        return np.where(at < 0, np.nan, values)

    def has(self, rows: Array) -> Bools:
        """Which rows have a ring."""
        known = rows < len(self._places)
        if not known.any():
            return known
        return known & (self._places[np.where(known, rows, 0)] >= 0)

    def forget(self, rows: Array) -> None:
        """Free the rings of rows that go to other series."""
        for row in rows.tolist():
            place = self._place.pop(row, None)
            if place is not None:
                self._places[row] = -1
                self._free.append(place)

    def save(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Arrays by name, and places."""
        arrays: dict[str, Array] = {
            "history.times": self._times,
            "history.points": self._points,
            "history.count": self._count,
            "history.places": self._places,
        }
        return arrays, {"place": list(self._place.items()), "free": self._free}

    def load(self, arrays: dict[str, Array], state: dict[str, Any]) -> None:
        """Take over what `save` gave."""
        self._times, self._points = arrays["history.times"], arrays["history.points"]
        self._count, self._places = arrays["history.count"], arrays["history.places"]
        self._place = {int(row): int(place) for row, place in state["place"]}
        self._free = [int(place) for place in state["free"]]
