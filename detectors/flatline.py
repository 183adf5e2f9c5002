"""A gauge that always moved and stands still: its source hangs, or repeats itself."""

from __future__ import annotations

import numpy as np

from detectors.rows import Array, RowArrays
from model.batch import Bools, Floats, Ints

_LIVELY = 0.95  # share of samples that differed from the one before
_SEEN = 200
_STILL = 60
_STILL_MS = 300_000


class Flatlines:
    """How often each row changes, and how long it has not."""

    def __init__(self) -> None:
        self.rows = RowArrays(
            {
                "lively": (np.float32, 0.0),
                "seen": (np.int32, 0),
                "still": (np.int32, 0),
                "since_ms": (np.int64, 0),
            }
        )

    def look(self, rows: Array, times_ms: Ints, values: Floats, before: Floats) -> Bools:
        """Which rows have gone flat, given their values and the ones before (NaN: none)."""
        state = self.rows
        changed = values != before
        still = np.where(changed, 0, state["still"][rows] + 1).astype(np.int32)
        state["still"][rows] = still
        state["since_ms"][rows] = np.where(changed, times_ms, state["since_ms"][rows])
        seen = np.minimum(state["seen"][rows] + 1, _SEEN)
        state["seen"][rows] = seen
        lively = state["lively"][rows]
        step = (changed - lively) / np.minimum(seen, _SEEN)
        # While it stands still nothing is learnt about how lively it is.
        state["lively"][rows] = np.where(still > 2, lively, lively + step)
        lasted = times_ms - state["since_ms"][rows] >= _STILL_MS
        return np.asarray((lively >= _LIVELY) & (seen >= _SEEN) & (still >= _STILL) & lasted)
