"""What stands out from the last minutes, unless it also came at this time yesterday."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.full.extremes import Extremes
from detectors.full.rounds import one_if_same
from detectors.full.seasons import Envelope
from detectors.full.tails import Array32, At

RECENT = 7  # samples whose median is the level
VIEWS = 2
_BIAS = 3  # distances whose median is how a trend misleads that level
_HABIT = np.float32(0.5)  # of what came at this time yesterday is learnt, none of it told
_LEVEL_RATE = np.float32(1 / 30)
_SETTLED = np.float32(200.0)  # samples before anything stands out
_LEARNING = np.float32(20.0)  # samples in which the level follows whatever comes
_MANY = np.float32(1e6)  # where counting ends
# 12 points are 3.5 times the gate; three samples together must be further off for as much.
_POINTS = np.array([[7.5], [5.25]], dtype=np.float32)
_MOST = np.float32(40.0)  # where `Calibration` ends
_THIRD = np.float32(1 / 3)
_ONE, _ZERO = np.float32(1.0), np.float32(0.0)


class Spikes:
    """Distances from the last minutes in two views, each in units of the row's own extremes (`Extremes`).

    1. the sample from the median of the seven before, less the median error that this made of late: on a
       slope the median lags behind, which is no news;
    2. the mean of three samples from the median of the seven before them: sags and steps too small for a
       sample alone.

    A rhythm is not a spike: what lies within the range of this time of yesterday, by its distance from the level
    of its hour, is no distance at all, though half of it is learnt. The score is the larger of the two.
    """

    def __init__(self, capacity: int) -> None:
        self.ring = np.zeros((RECENT, capacity), dtype=np.float32)
        self.turn = np.zeros(capacity, dtype=np.int8)
        self.errors = np.zeros((_BIAS, capacity), dtype=np.float32)
        self.values = np.zeros((2, capacity), dtype=np.float32)  # the last one, the one before
        self.medians = np.zeros((2, capacity), dtype=np.float32)  # as they stood at those
        self.level = np.zeros(capacity, dtype=np.float32)
        self.learnt = np.zeros(capacity, dtype=np.float32)
        self.extremes = Extremes(VIEWS, capacity)
        self.yesterday = Envelope(capacity)

    def look(
        self,
        at: At,
        rows: NDArray[np.int64],
        times_ms: NDArray[np.int64],
        values: Array32,
        floor: Array32,
    ) -> Array32:
        """Score values against their rows, then learn them.

        Parameters
        ----------
        floor : float32, shape (n,)
            The least distance that counts as something, > 0.

        Returns
        -------
        float32, shape (n,)
            7.5 times (three samples: 5.25 times) the squared logarithm of distance by gate, at most 40; 0
            within the gate.
        """
        # Its own count: a row restored from a snapshot older than these views is old, but not here.
        age = one_if_same(self.learnt[at])
        young = age.min() <= _SETTLED
        if young:
            self._begin(rows, values, times_ms, age)
        median = median_of_seven(self.ring[:, at])
        error, level, last = values - median, self.level[at], self.values[:, at]
        seen = np.empty((VIEWS, len(values)), dtype=np.float32)
        seen[0] = values
        np.add(last[0], last[1], out=seen[1])
        seen[1] += values
        seen[1] *= _THIRD
        sizes = np.empty_like(seen)
        np.subtract(error, median_of_three(self.errors[:, at]), out=sizes[0])
        np.subtract(seen[1], self.medians[1][at], out=sizes[1])
        np.abs(sizes, out=sizes)
        moves = sizes[0] > floor
        if young:
            moves |= age <= _SETTLED
        seen -= level
        low, high = self.yesterday.look(at, rows, times_ms, seen[0])
        # NaN where there was no yesterday: all of the distance counts.
        new = np.fmin(sizes, np.maximum(np.maximum(low - seen, seen - high), _ZERO))
        sizes *= _HABIT
        np.maximum(new, sizes, out=sizes)
        new += floor
        sizes += floor
        gate = self.extremes.look(at, times_ms, sizes, moves, floor)
        points = _points(new, gate, age)
        self._follow(at, seen[0], level, gate[0], age)
        for table, newest in ((self.errors, error), (self.values, values), (self.medians, median)):
            for place in range(len(table) - 1, 0, -1):
                table[place][at] = table[place - 1][at]
            table[0][at] = newest
        self.learnt[at] = np.minimum(age + _ONE, _MANY)
        self._push(at, rows, values)
        return points

    def _begin(
        self, rows: NDArray[np.int64], values: Array32, times_ms: NDArray[np.int64], age: Array32
    ) -> None:
        """Rows that were never seen: as if it had always been so."""
        if age.min() >= _ONE:
            return
        fresh = np.broadcast_to(age < _ONE, rows.shape)
        new, times_ms = rows[fresh], np.broadcast_to(times_ms, rows.shape)
        for table in (self.ring, self.values, self.medians):
            table[:, new] = values[fresh]
        self.level[new] = values[fresh]
        self.extremes.last_ms[new] = times_ms[fresh]

    def _follow(self, at: At, step: Array32, level: Array32, gate: Array32, age: Array32) -> None:
        """The level of the hour follows by at most a gate: a burst is not the hour's level."""
        reach = gate
        if age.min() <= _LEARNING:
            reach = np.where(age <= _LEARNING, np.float32(np.inf), gate)
        step = np.minimum(np.maximum(step, -reach), reach)
        step *= np.maximum(_LEVEL_RATE, _ONE / (_ONE + age))
        step += level
        self.level[at] = step

    def _push(self, at: At, rows: NDArray[np.int64], values: Array32) -> None:
        turn = self.turn[at]
        first = int(turn[0])
        if (turn == first).all():
            self.ring[first][at] = values
            self.turn[at] = (first + 1) % RECENT
        else:
            self.ring[turn, rows] = values
            self.turn[at] = (turn + 1) % RECENT

    def expected(
        self, rows: NDArray[np.int64], times_ms: NDArray[np.int64]
    ) -> tuple[Array32, Array32]:
        """The middle of what is usual now, and how far it reaches: within the gate of the recent median, or of
        yesterday's range about the level."""
        near = median_of_seven(self.ring[:, rows]) + median_of_three(self.errors[:, rows])
        low, high = self.yesterday.expected(rows, times_ms)
        level = self.level[rows]
        low, high = np.fmin(near, level + low), np.fmax(near, level + high)
        reach = (high - low) / 2.0 + self.extremes.gate[0, rows]
        return np.asarray((low + high) / 2.0), np.asarray(reach)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """State by name."""
        names = ("ring", "turn", "errors", "values", "medians", "level", "learnt")
        found = {name: getattr(self, name) for name in names}
        for inner in ("extremes", "yesterday"):
            found |= {f"{inner}.{n}": a for n, a in getattr(self, inner).arrays().items()}
        return found


def _points(distance: Array32, gate: Array32, age: Array32) -> Array32:
    """Of the few that are beyond their gate the logarithm is taken."""
    out = np.zeros(distance.shape[1], dtype=np.float32)
    over = distance > gate
    far = np.flatnonzero((over[0] | over[1]) & (age >= _SETTLED))
    if len(far):
        times = np.log(np.maximum(distance[:, far] / gate[:, far], _ONE))
        out[far] = np.minimum((_POINTS * times * times).max(axis=0), _MOST)
    return out


def median_of_three(ring: Array32) -> Array32:
    """The median along the first axis, of length 3.

    Examples
    --------
    >>> float(median_of_three(np.array([[5.0], [1.0], [9.0]], np.float32))[0])
    5.0
    """
    first, second, third = ring
    low, high = np.minimum(first, second), np.maximum(first, second)
    return np.asarray(np.maximum(low, np.minimum(high, third)))


def median_of_seven(ring: Array32) -> Array32:
    """The median along the first axis, of length 7, by exchanges: ten times faster than sorting.

    Source
    ------
    Devillard (1998), "Fast median search", after Paeth's network.

    Examples
    --------
    >>> float(median_of_seven(np.array([[5.0], [1.0], [9.0], [2.0], [8.0], [3.0], [7.0]], np.float32))[0])
    5.0
    """
    p = list(ring)
    for a, b, lower, upper in _NEEDED:
        low = np.minimum(p[a], p[b]) if lower else p[a]
        p[b] = np.maximum(p[a], p[b]) if upper else p[b]
        p[a] = low
    return np.asarray(p[3])


_EXCHANGES = (
    (0, 5), (0, 3), (1, 6), (2, 4), (0, 1), (3, 5), (2, 6), (2, 3), (3, 6), (4, 5), (1, 4), (1, 3), (3, 4),
)  # fmt: skip


def _needed() -> tuple[tuple[int, int, bool, bool], ...]:
    """The exchanges, each with whether its lower and its upper half are looked at later on."""
    wanted, found = {3}, []
    for a, b in reversed(_EXCHANGES):
        found.append((a, b, a in wanted, b in wanted))
        wanted |= {a, b}
    return tuple(reversed(found))


_NEEDED = _needed()
