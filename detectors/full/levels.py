"""Levels at three speeds, and what differs between them: running mean, short mean, change, drift."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.full.tails import Array32, At

_LONG = 4000.0  # samples: two weeks at 5 min
_SHORT = 12.0
_DAY = 144.0
_FAST = 5.0
BLOCK, BLOCKS = 12, 12  # a ring of the last 144 points' means


class Levels:
    """Means of a row at several speeds; every residual is taken before the sample is learnt."""

    def __init__(self, capacity: int) -> None:
        self.mean = np.zeros(capacity, dtype=np.float32)
        self.spread = np.zeros(capacity, dtype=np.float32)
        self.short = np.zeros(capacity, dtype=np.float32)
        self.day = np.zeros(capacity, dtype=np.float32)
        self.fast = np.zeros(capacity, dtype=np.float32)
        self.last = np.zeros(capacity, dtype=np.float32)
        self.ring = np.zeros((BLOCKS, capacity), dtype=np.float32)

    def look(
        self, at: At, rows: NDArray[np.int64], age: Array32, values: Array32
    ) -> tuple[Array32, ...]:
        """Residuals from the running and the short mean, change of level, fast drift, step, standard score."""
        fresh = age < 1.0
        mean = np.where(fresh, values, self.mean[at])
        short = np.where(fresh, values, self.short[at])
        day = np.where(fresh, values, self.day[at])
        last = np.where(fresh, values, self.last[at])
        spread = self.spread[at]
        error = values - mean
        near = values - short
        jump = values - last
        standard = error / np.maximum(spread, np.float32(1e-6) * np.abs(mean) + np.float32(1e-12))
        grown = age + np.float32(1.0)
        rate = np.maximum(1.0 / grown, np.float32(1.0 / _LONG))
        self.mean[at] = mean + rate * error
        self.spread[at] = spread + np.maximum(1.0 / grown, np.float32(1.0 / 1000.0)) * (
            np.minimum(np.abs(error), np.where(age < 20.0, np.inf, 8.0 * spread + 1e-12))
            * np.float32(1.25)
            - spread
        )
        self.short[at] = short + np.maximum(1.0 / grown, np.float32(1.0 / _SHORT)) * near
        day = day + np.maximum(1.0 / grown, np.float32(1.0 / _DAY)) * (values - day)
        self.day[at] = day
        fast = self.fast[at]
        fast = fast + np.float32(1.0 / _FAST) * (np.clip(standard, -6.0, 6.0) - fast)
        self.fast[at] = fast
        self.last[at] = values
        turn = (age.astype(np.int64) // BLOCK) % BLOCKS
        first = int(turn[0])
        whole = age.astype(np.int64) % BLOCK == 0
        if (turn == first).all():
            old = np.where(age < BLOCK * BLOCKS, mean, self.ring[first][at])
            if whole.any():
                self.ring[first][at] = np.where(whole, day, self.ring[first][at])
        else:
            old = np.where(age < BLOCK * BLOCKS, mean, self.ring[turn, rows])
            self.ring[turn, rows] = np.where(whole, day, self.ring[turn, rows])
        return error, near, day - old, fast, jump, standard

    def old(self, rows: NDArray[np.int64], age: Array32) -> Array32:
        """The level of about a ring ago, that `look` compares with; the mean where that is not known yet."""
        turn = (age.astype(np.int64) // BLOCK) % BLOCKS
        return np.asarray(np.where(age < BLOCK * BLOCKS, self.mean[rows], self.ring[turn, rows]))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """State by name."""
        return {
            name: getattr(self, name)
            for name in ("mean", "spread", "short", "day", "fast", "last", "ring")
        }
