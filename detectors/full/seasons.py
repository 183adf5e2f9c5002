"""What came at this time of yesterday: the range of each ten minutes of the day."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.full.rounds import cell_of, slot_of
from detectors.full.tails import Array32, At

_DAY_MS = 86_400_000
_SLOTS = 144


class Envelope:
    """Lowest and highest value of each slot of the day, as it was when it was last gone through.

    A mean of many days smooths away what comes once a day and lasts two minutes: a batch job, a backup, a
    cron. The range of yesterday keeps it. Values are best given less their level of the hour, so that a
    Monday may be compared with a Sunday.
    """

    def __init__(self, capacity: int) -> None:
        self.low = np.full((_SLOTS, capacity), np.nan, dtype=np.float32)
        self.high = np.full((_SLOTS, capacity), np.nan, dtype=np.float32)
        # Of the slot that is being gone through.
        self.slot = np.full(capacity, -1, dtype=np.int16)
        self.least = np.full(capacity, np.nan, dtype=np.float32)
        self.most = np.full(capacity, np.nan, dtype=np.float32)

    def look(
        self, at: At, rows: NDArray[np.int64], times_ms: NDArray[np.int64], values: Array32
    ) -> tuple[Array32, Array32]:
        """Yesterday's lowest and highest at this time, shape (n,) each, NaN where there was none; learns the values."""
        slot = slot_of(times_ms, _DAY_MS, _SLOTS)
        moved = self.slot[at] != slot
        if moved.any():
            self._close(rows[moved], np.broadcast_to(slot, rows.shape)[moved])
        place = cell_of(at, rows, slot, self.low.shape[1])
        self.least[at] = np.fmin(self.least[at], values)
        self.most[at] = np.fmax(self.most[at], values)
        return self.low.reshape(-1)[place], self.high.reshape(-1)[place]

    def _close(self, row: NDArray[np.int64], slot: NDArray[np.integer]) -> None:
        """Rows that have come to another slot: the one they leave is written down."""
        left = self.slot[row]
        known = left >= 0
        self.low[left[known], row[known]] = self.least[row[known]]
        self.high[left[known], row[known]] = self.most[row[known]]
        self.slot[row] = slot
        self.least[row] = self.most[row] = np.nan

    def expected(
        self, rows: NDArray[np.int64], times_ms: NDArray[np.int64]
    ) -> tuple[Array32, Array32]:
        """Yesterday's range at these times, shape (n,) each; NaN where there was none."""
        slot = slot_of(times_ms, _DAY_MS, _SLOTS)
        return self.low[slot, rows], self.high[slot, rows]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """State by name."""
        return {name: getattr(self, name) for name in ("low", "high", "slot", "least", "most")}
