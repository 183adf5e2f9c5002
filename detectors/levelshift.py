"""A change of level by cumulative sums (CUSUM): what stays off, not what jumps once."""

from __future__ import annotations

import numpy as np

from detectors.rows import Array, RowArrays
from model.batch import Bools, Floats

_SLACK = 3.0  # deviations per sample that count for nothing
_CAP = 12.0  # no single sample may decide
_DECISION = 60.0


class LevelShifts:
    """Two one-sided sums per row (Page 1954), capped so that no single sample decides."""

    def __init__(self) -> None:
        self.rows = RowArrays({"up": (np.float32, 0.0), "down": (np.float32, 0.0)})

    def look(self, rows: Array, scores: Floats) -> Bools:
        """Add the scores (signed robust deviations); which rows' level has shifted."""
        step = np.clip(scores, -_CAP, _CAP).astype(np.float32)
        up = np.clip(self.rows["up"][rows] + step - _SLACK, 0.0, 2 * _DECISION)
        down = np.clip(self.rows["down"][rows] - step - _SLACK, 0.0, 2 * _DECISION)
        self.rows["up"][rows], self.rows["down"][rows] = up, down
        return np.asarray((up >= _DECISION) | (down >= _DECISION))
