"""Levels at several speeds, and what differs between them: running mean, change, drift, step."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.full.rounds import block_of, cell_of
from detectors.full.tails import Array32, At

_LONG = 4000.0  # samples: two weeks at 5 min
_DAY = 144.0
_FAST = 5.0
BLOCK, BLOCKS = 12, 12  # a ring of the last 144 points' means


class Levels:
    """Means of a row at several speeds; every residual is taken before the sample is learnt."""

    def __init__(self, capacity: int) -> None:
        self.mean = np.zeros(capacity, dtype=np.float32)
        self.spread = np.zeros(capacity, dtype=np.float32)
        self.day = np.zeros(capacity, dtype=np.float32)
        self.fast = np.zeros(capacity, dtype=np.float32)
        self.last = np.zeros(capacity, dtype=np.float32)
        self.ring = np.zeros((BLOCKS, capacity), dtype=np.float32)

    def look(
        self, at: At, rows: NDArray[np.int64], age: Array32, values: Array32
    ) -> tuple[Array32, ...]:
        """Residual from the running mean, change of level, fast drift, step, standard score."""
        # Views where rows are neighbours, so nothing is written before all is computed.
        mean, day, last = self.mean[at], self.day[at], self.last[at]
        youngest = age.min()
        if youngest < 1.0:
            fresh = age < 1.0
            mean, day, last = (np.where(fresh, values, x) for x in (mean, day, last))
        spread, fast = self.spread[at], self.fast[at]
        error = values - mean
        jump = values - last
        standard = error / np.maximum(spread, np.float32(1e-6) * np.abs(mean) + np.float32(1e-12))
        quick = 1.0 / (age + np.float32(1.0))
        bound = np.float32(8.0) * spread + np.float32(1e-12)
        if youngest < 20.0:
            bound = np.where(age < 20.0, np.float32(np.inf), bound)
        wide = np.minimum(np.abs(error), bound) * np.float32(1.25)
        day = day + np.maximum(quick, np.float32(1.0 / _DAY)) * (values - day)
        fast = fast + np.float32(1.0 / _FAST) * (np.clip(standard, -6.0, 6.0) - fast)
        change = day - self._turn(at, rows, age, mean, day)
        self.mean[at] = mean + np.maximum(quick, np.float32(1.0 / _LONG)) * error
        self.spread[at] = spread + np.maximum(quick, np.float32(1.0 / 1000.0)) * (wide - spread)
        self.day[at], self.fast[at], self.last[at] = day, fast, values
        return error, change, fast, jump, standard

    def _turn(
        self, at: At, rows: NDArray[np.int64], age: Array32, mean: Array32, day: Array32
    ) -> Array32:
        """The level of about a ring ago; where a block begins, its place takes today's."""
        ring, capacity = self.ring.reshape(-1), self.ring.shape[1]
        same = block_of(age, BLOCK, BLOCKS)
        if same is not None:
            block, begins = same
            place = cell_of(at, rows, block, capacity)
            old = ring[place] if age[0] >= BLOCK * BLOCKS else mean
            if begins:
                old = old.copy()
                ring[place] = day
            return np.asarray(old)
        count = age.astype(np.int32)
        blocks = count // np.int32(BLOCK)
        spots = rows + np.int64(capacity) * (blocks % np.int32(BLOCKS))
        old = np.where(age < BLOCK * BLOCKS, mean, ring[spots])
        begin = np.flatnonzero(count == blocks * np.int32(BLOCK))
        ring[spots[begin]] = day[begin]
        return old

    def old(self, rows: NDArray[np.int64], age: Array32) -> Array32:
        """The level of about a ring ago, that `look` compares with; the mean where that is not known yet."""
        turn = (age.astype(np.int64) // BLOCK) % BLOCKS
        return np.asarray(np.where(age < BLOCK * BLOCKS, self.mean[rows], self.ring[turn, rows]))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """State by name."""
        return {
            name: getattr(self, name) for name in ("mean", "spread", "day", "fast", "last", "ring")
        }
