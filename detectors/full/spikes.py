"""What stands out from the last minutes, unless it also came at this time yesterday."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.full.extremes import Extremes
from detectors.full.seasons import Envelope
from detectors.full.tails import Array32, At

RECENT = 7  # samples whose median is the level
VIEWS = 3
_BIAS = 3  # distances whose median is how a trend misleads that level
_HABIT = np.float32(0.5)  # of what came at this time yesterday is learnt, none of it told
_LEVEL_RATE = np.float32(1 / 30)
_SETTLED = np.float32(200.0)  # samples before anything stands out
_LEARNING = np.float32(20.0)  # samples in which the level follows whatever comes
_MANY = np.float32(1e6)  # where counting ends
# 16.8 points are 3.8 times the scale; three samples together must be further off for as much.
_POINTS = np.array([[9.4], [9.4], [6.6]], dtype=np.float32)
_MOST = np.float32(40.0)  # where `Calibration` ends


class Spikes:
    """Distances from the last minutes in three views, each in units of the row's own extremes (`Extremes`).

    1. the sample from the median of seven, less the median error that this made of late: on a slope the
       median lags behind, which is no news;
    2. the sample from the level of the last hour, the median of seven such medians: a step that lasts;
    3. the mean of three samples from the median of the seven before: sags too small for a sample alone.

    A rhythm is not a spike: what lies within the range of this time of yesterday, by its distance from the level
    of its hour, is no distance at all, though half of it is learnt. The score is the largest of the three.
    """

    def __init__(self, capacity: int) -> None:
        self.ring = np.zeros((RECENT, capacity), dtype=np.float32)
        self.turn = np.zeros(capacity, dtype=np.int8)
        self.errors = np.zeros((_BIAS, capacity), dtype=np.float32)
        self.values = np.zeros((2, capacity), dtype=np.float32)  # the last one, the one before
        self.medians = np.zeros((2, capacity), dtype=np.float32)  # as they stood at those
        self.blocks = np.zeros((RECENT, capacity), dtype=np.float32)
        self.hour = np.zeros(capacity, dtype=np.float32)  # the blocks' median
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
            9.4 times (three samples: 6.6 times) the squared logarithm of distance by scale, at most 40; 0
            within the scale.
        """
        # Its own count: a row restored from a snapshot older than this view is old, but not here.
        age = self.learnt[at]
        fresh = age < 1.0
        if fresh.any():
            self._begin(rows[fresh], values[fresh], times_ms[fresh])
        median, bias = median_of_seven(self.ring[:, at]), median_of_three(self.errors[:, at])
        before = self.values[:, at]
        three = (values + before[0] + before[1]) * np.float32(1 / 3)
        error, level = values - median, self.level[at]
        sizes = np.abs(
            np.stack((error - bias, values - self.hour[at], three - self.medians[1][at]))
        )
        low, high = self.yesterday.look(at, rows, times_ms, values - level)
        low, high = low + level, high + level
        alone, together = _outside(values, low, high), _outside(three, low, high)
        # NaN where there was no yesterday: all of the distance counts.
        new = np.fmin(sizes, np.stack((alone, alone, together)))
        moves = (sizes[0] > floor) | (age <= _SETTLED)
        lesson = np.maximum(new, _HABIT * sizes) + floor
        scale = self.extremes.look(at, times_ms, lesson, moves, floor)
        points = _points(new + floor, scale, age)
        self._learn(at, rows, values, age, median, error, scale[0])
        return points

    def _begin(self, rows: NDArray[np.int64], values: Array32, times_ms: NDArray[np.int64]) -> None:
        for table in (self.ring, self.values, self.medians, self.blocks):
            table[:, rows] = values
        self.hour[rows] = self.level[rows] = values
        self.extremes.last_ms[rows] = times_ms

    def _learn(
        self,
        at: At,
        rows: NDArray[np.int64],
        values: Array32,
        age: Array32,
        median: Array32,
        error: Array32,
        scale: Array32,
    ) -> None:
        level = self.level[at]
        reach = np.where(age <= _LEARNING, np.float32(np.inf), scale)
        step = np.clip(values - level, -reach, reach)
        self.level[at] = level + step * np.maximum(_LEVEL_RATE, 1.0 / (1.0 + age))
        self.learnt[at] = np.minimum(age + np.float32(1.0), _MANY)
        for table, newest in ((self.errors, error), (self.values, values), (self.medians, median)):
            for place in range(len(table) - 1, 0, -1):
                table[place][at] = table[place - 1][at]
            table[0][at] = newest
        self._push(at, rows, values)

    def _push(self, at: At, rows: NDArray[np.int64], values: Array32) -> None:
        turn = self.turn[at]
        first = int(turn[0])
        if (turn == first).all():
            self.ring[first][at] = values
        else:
            self.ring[turn, rows] = values
        full = rows[turn == RECENT - 1]
        self.turn[at] = (turn + 1) % RECENT
        if len(full):
            self.blocks[1:, full] = self.blocks[:-1, full]
            self.blocks[0, full] = median_of_seven(self.ring[:, full])
            self.hour[full] = median_of_seven(self.blocks[:, full])

    def expected(
        self, rows: NDArray[np.int64], times_ms: NDArray[np.int64]
    ) -> tuple[Array32, Array32]:
        """The middle of what is usual now, and how far it reaches: within the scale of the recent median, or of
        yesterday's range about the level."""
        near = median_of_seven(self.ring[:, rows]) + median_of_three(self.errors[:, rows])
        low, high = self.yesterday.expected(rows, times_ms)
        level = self.level[rows]
        low, high = np.fmin(near, level + low), np.fmax(near, level + high)
        reach = (high - low) / 2.0 + self.extremes.gate[0, rows]
        return np.asarray((low + high) / 2.0), np.asarray(reach)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """State by name."""
        names = (
            "ring", "turn", "errors", "values", "medians", "blocks", "hour", "level", "learnt",
        )  # fmt: skip
        found = {name: getattr(self, name) for name in names}
        for inner in ("extremes", "yesterday"):
            found |= {f"{inner}.{n}": a for n, a in getattr(self, inner).arrays().items()}
        return found


def _outside(values: Array32, low: Array32, high: Array32) -> Array32:
    return np.asarray(np.maximum(np.maximum(low - values, values - high), np.float32(0.0)))


def _points(distance: Array32, scale: Array32, age: Array32) -> Array32:
    """Of the few that are beyond their scale the logarithm is taken."""
    out = np.zeros(len(age), dtype=np.float32)
    far = np.flatnonzero((distance > scale).any(axis=0) & (age >= _SETTLED))
    if len(far):
        times = np.log(np.maximum(distance[:, far] / scale[:, far], np.float32(1.0)))
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
    for a, b in _EXCHANGES:
        p[a], p[b] = np.minimum(p[a], p[b]), np.maximum(p[a], p[b])
    return np.asarray(p[3])


_EXCHANGES = (
    (0, 5), (0, 3), (1, 6), (2, 4), (0, 1), (3, 5), (2, 6), (2, 3), (3, 6), (4, 5), (1, 4), (1, 3), (3, 4),
)  # fmt: skip
