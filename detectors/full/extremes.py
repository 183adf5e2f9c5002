"""How far is far: the distance that a row exceeds some fourteen times a day."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.full.tails import Array32, At

_PERIOD_MS = np.float32(6_000_000.0)  # a hundred minutes lie between two distances above the gate
_LEAST, _MOST = np.float32(0.001), np.float32(0.1)  # shares of samples, however dense or sparse
_RUN = np.float32(4.0)  # samples after one above the gate that do not count again
_RATE = np.float32(0.005)  # what the gate's rate ends at; it begins at 50 / (20 + age)
_MEMORY = np.float32(20_000.0)  # samples the root mean square remembers
_MANY = np.float32(1e6)  # where counting ends


class Extremes:
    """A gate per view and row that distances exceed once in a hundred minutes, a run of them counted once.

    By time and not by samples: people count by day what they call unusual, however often it is measured. An
    outage of ten minutes is not ten outages. A sample at which a row stands still teaches nothing: else the
    gate of a series that is idle but for bursts lies among its bursts' smallest. The gate is at
    least the root mean square: an idle series would take weeks to climb from nothing.
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
        gate, rest, square = self.gate[:, at], self.rest[:, at], self.square[:, at]
        age = self.moved[at]
        elapsed = (times_ms - self.last_ms[at]).astype(np.float32)
        share = np.clip(elapsed / _PERIOD_MS, _LEAST, _MOST)
        before = np.maximum(gate, floor)
        over = distance > before
        rate = np.maximum(np.float32(50.0) / (age + np.float32(20.0)), _RATE)
        learnt = np.maximum(before * (np.float32(1.0) + rate * (over - share)), floor)
        resting = rest > 0.0
        self.gate[:, at] = np.where(resting | ~moves, gate, np.maximum(learnt, np.sqrt(square)))
        run = np.where(resting, rest - np.float32(1.0), _RUN * over)
        self.rest[:, at] = np.where(moves, run, rest)
        keep = moves * np.maximum(1.0 / (1.0 + age), 1.0 / _MEMORY)
        self.square[:, at] = square + keep * (distance * distance - square)
        self.moved[at] = np.minimum(age + moves, _MANY)
        self.last_ms[at] = times_ms
        return before

    def arrays(self) -> dict[str, NDArray[Any]]:
        """State by name."""
        return {n: getattr(self, n) for n in ("gate", "square", "rest", "moved", "last_ms")}
