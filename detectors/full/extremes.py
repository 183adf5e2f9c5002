"""How far is far: the distance that a row exceeds at most some fourteen times a day."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.full.tails import Array32, At

_PERIOD_MS = np.float32(6_000_000.0)  # a hundred minutes lie between two distances above the gate
_LEAST, _MOST = (
    np.float32(0.001),
    np.float32(0.01),
)  # shares of samples: what is often is not extreme
_RUN = np.float32(4.0)  # samples after one above the gate that do not count again
_RATE = np.float32(0.005)  # what the gate's rate ends at; it begins at 50 / (20 + age)
_MEMORY = np.float32(1 / 20_000)  # a sample's weight in the mean square
_HALF = np.float32(0.5)  # of the root mean square is the least a gate may be
_MANY = np.float32(1e6)  # where counting ends
_ONE, _ZERO = np.float32(1.0), np.float32(0.0)


class Extremes:
    """A gate per view and row that distances exceed once in a hundred minutes, a run of them counted once.

    By time and not by samples: people count by day what they call unusual, however often it is measured. But
    where less than one sample a minute comes, once in a hundred samples: one of twenty is nothing extreme. An
    outage of ten minutes is not ten outages. A sample at which a row stands still teaches nothing: else the
    gate of a series that is idle but for bursts lies among its bursts' smallest. The gate is at least half
    the root mean square: an idle series would take weeks to climb from nothing.
    """

    def __init__(self, views: int, capacity: int) -> None:
        self.gate = np.zeros((views, capacity), dtype=np.float32)
        self.square = np.zeros((views, capacity), dtype=np.float32)
        self.rest = np.zeros((views, capacity), dtype=np.float32)
        self.moved = np.zeros(capacity, dtype=np.float32)
        self.last_ms = np.zeros(capacity, dtype=np.int64)

    def look(
        self,
        at: At,
        times_ms: NDArray[np.int64],
        distance: Array32,
        moves: NDArray[np.bool_],
        floor: Array32,
    ) -> Array32:
        """The gates before these distances, shape (views, n); then the distances are learnt.

        Parameters
        ----------
        distance : float32, shape (views, n)
            From what was expected, > 0.
        moves : bool, shape (n,)
            Where this sample teaches anything.
        floor : float32, shape (n,)
            The least a gate may be, > 0.
        """
        held, rest, square = self.gate[:, at], self.rest[:, at], self.square[:, at]
        age = self.moved[at]
        before = np.maximum(held, floor)
        over = distance > before
        share = (times_ms - self.last_ms[at]).astype(np.float32)
        share /= _PERIOD_MS
        np.clip(share, _LEAST, _MOST, out=share)
        rate = np.maximum(np.float32(50.0) / (age + np.float32(20.0)), _RATE)
        learnt = over - share
        learnt *= rate
        learnt += _ONE
        learnt *= before
        root = np.sqrt(square)
        root *= _HALF
        np.maximum(learnt, root, out=learnt)
        np.maximum(learnt, floor, out=learnt)
        resting = rest > _ZERO
        self.gate[:, at] = np.where(resting | ~moves, held, learnt)
        over &= ~resting
        run = np.maximum(rest - _ONE, _RUN * over)
        self.rest[:, at] = run if moves.all() else np.where(moves, run, rest)
        keep = np.maximum(_ONE / (_ONE + age), _MEMORY) * moves
        further = distance * distance
        further -= square
        further *= keep
        further += square
        self.square[:, at] = further
        self.moved[at] = np.minimum(age + moves, _MANY)
        self.last_ms[at] = times_ms
        return before

    def arrays(self) -> dict[str, NDArray[Any]]:
        """State by name."""
        return {n: getattr(self, n) for n in ("gate", "square", "rest", "moved", "last_ms")}
