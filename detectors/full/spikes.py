"""What stands out from the last minutes, unless it also came at this time yesterday."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.full.seasons import Envelope
from detectors.full.tails import Array32, At

RECENT = 7  # samples whose median is the level
_SHARE = 0.01  # of distances, runs counted once, lies above the gate
_RUN = 4.0  # samples after one above the gate that do not count again
_RATE = 0.002  # what the gate's rate ends at; it begins at 1 / (1 + age / 20)
_MEMORY = 20_000.0  # samples the root mean square remembers
_HEAVY = np.float32(2.0)  # times the root mean square is the least scale
_MANY = np.float32(1e6)  # where counting ends
_SETTLED = np.float32(200.0)  # samples before anything stands out
_POINTS = np.float32(6.7)  # 12 points are 3.8 times the scale
_MOST = np.float32(40.0)  # where `Calibration` ends


class Spikes:
    """Distance from a short running median, in scales of the series' own extremes.

    The scale is what one distance in a hundred exceeds, a run of them counted once, so that an outage of
    ten minutes is not ten outages; and at least twice the root mean square. The latter is small beside
    the former for noise of any usual shape and large for series that are idle and burst: to those a burst
    is nothing new. Both matter: without them a threshold for all series told of little but five of 29.

    A rhythm is not a spike: what lies within the range of this time of yesterday is no distance at all.
    """

    def __init__(self, capacity: int) -> None:
        self.ring = np.zeros((RECENT, capacity), dtype=np.float32)
        self.gate = np.zeros(capacity, dtype=np.float32)
        self.square = np.zeros(capacity, dtype=np.float32)
        self.rest = np.zeros(capacity, dtype=np.float32)
        self.seen = np.zeros(capacity, dtype=np.float32)
        self.turn = np.zeros(capacity, dtype=np.int8)
        self.envelope = Envelope(capacity)

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
            6.7 times the squared logarithm of distance by scale, at most 40; 0 within the scale.
        """
        # Its own count: a row restored from a snapshot older than this view is old, but not here.
        age = self.seen[at]
        fresh = age < 1.0
        if fresh.any():
            young = rows[fresh]
            self.ring[:, young] = values[fresh]
            self.gate[young] = floor[fresh]
        distance = np.abs(values - median_of_seven(self.ring[:, at]))
        distance = self.envelope.beyond(at, rows, times_ms, values, distance) + floor
        gate, square, rest = self.gate[at], self.square[at], self.rest[at]
        root = np.sqrt(square)
        scale = np.maximum(np.maximum(gate, floor), _HEAVY * root)
        over = distance > gate
        rate = np.maximum(np.float32(50.0) / (age + np.float32(20.0)), np.float32(2.5 * _RATE))
        learnt = gate + gate * rate * (over - np.float32(_SHARE))
        # From the root mean square up: an idle series would take weeks to climb from nothing.
        learnt = np.maximum(np.maximum(learnt, floor), root)
        self.gate[at] = np.where(rest > 0.0, gate, learnt)
        self.rest[at] = np.where(rest > 0.0, rest - 1.0, _RUN * over)
        keep = np.maximum(1.0 / (1.0 + age), np.float32(1.0 / _MEMORY))
        self.square[at] = square + keep * (distance * distance - square)
        self.seen[at] = np.minimum(age + np.float32(1.0), _MANY)
        self._push(at, rows, values)
        return _points(distance, scale, age)

    def _push(self, at: At, rows: NDArray[np.int64], values: Array32) -> None:
        turn = self.turn[at]
        first = int(turn[0])
        if (turn == first).all():
            self.ring[first][at] = values
        else:
            self.ring[turn, rows] = values
        self.turn[at] = (turn + 1) % RECENT

    def expected(
        self, rows: NDArray[np.int64], times_ms: NDArray[np.int64]
    ) -> tuple[Array32, Array32]:
        """The middle of what is usual now, and how far it reaches: within the scale of the recent median, or of
        yesterday's range."""
        level = median_of_seven(self.ring[:, rows])
        scale = np.maximum(self.gate[rows], _HEAVY * np.sqrt(self.square[rows]))
        low, high = self.envelope.expected(rows, times_ms)
        low, high = np.fmin(level, low), np.fmax(level, high)
        return np.asarray((low + high) / 2.0), np.asarray((high - low) / 2.0 + scale)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """State by name."""
        names = ("ring", "gate", "square", "rest", "seen", "turn")
        own = {name: getattr(self, name) for name in names}
        return {**own, **{f"envelope.{n}": a for n, a in self.envelope.arrays().items()}}


def _points(distance: Array32, scale: Array32, age: Array32) -> Array32:
    """Of the few that are beyond their scale the logarithm is taken."""
    out = np.zeros(len(distance), dtype=np.float32)
    far = np.flatnonzero((distance > scale) & (age >= _SETTLED))
    if len(far):
        times = np.log(distance[far] / scale[far])
        out[far] = np.minimum(_POINTS * times * times, _MOST)
    return out


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
