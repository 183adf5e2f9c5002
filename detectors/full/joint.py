"""Which pairs of values follow each other: joint rarity of (x_t, x_{t-4}) on 8 × 8 cells."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.full.tails import Array32, At

LAG = 4
_SIDE = 8
_EDGES = np.array([-1.6, -0.8, -0.3, 0.0, 0.3, 0.8, 1.6], dtype=np.float32)
_MEMORY = 2000.0


class Joint:
    """Decayed counts of cells; a combination never met is rare though neither value is.

    Values are cut at fixed multiples of the series' spread, so the cells follow slow changes.
    """

    def __init__(self, capacity: int) -> None:
        self.counts = np.zeros((capacity, _SIDE * _SIDE), dtype=np.float32)
        self.total = np.zeros(capacity, dtype=np.float32)
        self.cells = np.zeros((LAG, capacity), dtype=np.int8)

    def look(self, at: At, rows: NDArray[np.int64], age: Array32, standard: Array32) -> Array32:
        """-log of the cell's share, >= 0; learns it. `standard` is in spreads from the mean."""
        cell = np.searchsorted(_EDGES, standard).astype(np.int8)
        turn = age.astype(np.int64) % LAG
        first = int(turn[0])
        if (turn == first).all():
            before = self.cells[first][at].copy()
            self.cells[first][at] = cell
        else:
            before = self.cells[turn, rows]
            self.cells[turn, rows] = cell
        pair = cell.astype(np.int64) * _SIDE + before
        count = self.counts[rows, pair]
        total = self.total[at]
        rarity = np.log((total + 32.0) / (count + 0.5))
        self.counts[rows, pair] = count + np.float32(1.0)
        self.total[at] = total + np.float32(1.0)
        full = self.total[at] >= _MEMORY
        if full.any():
            worn = rows[full]
            self.counts[worn] *= np.float32(0.5)
            self.total[worn] *= np.float32(0.5)
        return np.asarray(np.where(age < 2 * LAG, np.float32(0.0), rarity), dtype=np.float32)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """State by name."""
        return {"counts": self.counts, "total": self.total, "cells": self.cells}
