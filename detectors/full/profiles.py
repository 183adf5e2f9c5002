"""What is usual at this hour: time-of-day and hour-of-week profiles."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.full.tails import Array32, At

_RATE = 0.04


class Profiles:
    """A mean per slot of a period.

    A slot that was never seen expects what the caller says. A slot learns the newest sample by 12 %.

    Parameters
    ----------
    period_ms, slots : int
        A day in 48, a week in 168.
    """

    def __init__(self, capacity: int, *, period_ms: int, slots: int) -> None:
        self.period_ms, self.slots = period_ms, slots
        self.table = np.full((slots, capacity), np.nan, dtype=np.float32)

    def look(
        self,
        at: At,
        rows: NDArray[np.int64],
        times_ms: NDArray[np.int64],
        values: Array32,
        otherwise: Array32,
        age: Array32,
    ) -> Array32:
        """Values less what was expected; learns them."""
        slot = times_ms % self.period_ms * self.slots // self.period_ms
        first = int(slot[0])
        if (slot == first).all():
            table = self.table[first]
            known = table[at]
        else:
            known = self.table[slot, rows]
        fresh = np.isnan(known)
        known = np.where(fresh, otherwise, known)
        error = values - known
        rate = np.maximum(np.float32(_RATE), 1.0 / (1.0 + age / np.float32(self.slots)))
        learnt = known + np.where(fresh, np.float32(1.0), rate) * error
        if (slot == first).all():
            self.table[first][at] = learnt
        else:
            self.table[slot, rows] = learnt
        return error

    def expected(
        self, rows: NDArray[np.int64], times_ms: NDArray[np.int64], otherwise: Array32
    ) -> Array32:
        """What is usual at that time; what the caller says where that was never seen."""
        slot = times_ms % self.period_ms * self.slots // self.period_ms
        known = self.table[slot, rows]
        return np.asarray(np.where(np.isnan(known), otherwise, known))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """State by name."""
        return {"table": self.table}
