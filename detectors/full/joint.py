"""Which pairs of values follow each other: joint rarity of (x_t, x_{t-4}) on 8 × 8 cells."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.full.rounds import block_of, cell_of
from detectors.full.tails import Array32, At

LAG = 4
_SIDE = 8
_EDGES = np.array([-1.6, -0.8, -0.3, 0.0, 0.3, 0.8, 1.6], dtype=np.float32)
_MEMORY = 2000.0
_BLOCK = 2048  # counts read at a time: they stay in the processor's cache until they are written


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
        # Seven comparisons are quicker than a search in seven edges.
        cell = np.zeros(len(standard), dtype=np.int8)
        for edge in _EDGES:
            cell += (standard > edge).view(np.int8)
        same = block_of(age, 1, LAG)
        turn = same[0] if same else age.astype(np.int32) % np.int32(LAG)
        place = cell_of(at, rows, turn, self.cells.shape[1])
        cells = self.cells.reshape(-1)
        pair = rows * (_SIDE * _SIDE)
        pair += cells[place] + cell * np.int8(_SIDE)
        cells[place] = cell
        count = self._count(pair)
        total = self.total[at]
        rarity = np.log((total + np.float32(32.0)) / (count + np.float32(0.5)))
        total = total + np.float32(1.0)
        self.total[at] = total
        if total.max() >= _MEMORY:
            worn = rows[total >= _MEMORY]
            self.counts[worn] *= np.float32(0.5)
            self.total[worn] *= np.float32(0.5)
        if age.min() < 2 * LAG:
            rarity = np.where(age < 2 * LAG, np.float32(0.0), rarity)
        return np.asarray(rarity, dtype=np.float32)

    def _count(self, pair: NDArray[np.int64]) -> Array32:
        """Counts of these pairs, each then one more."""
        counts, found = self.counts.reshape(-1), np.empty(len(pair), dtype=np.float32)
        for start in range(0, len(pair), _BLOCK):
            part = slice(start, start + _BLOCK)
            some = found[part] = counts.take(pair[part])
            counts[pair[part]] = some + np.float32(1.0)
        return found

    def arrays(self) -> dict[str, NDArray[Any]]:
        """State by name."""
        return {"counts": self.counts, "total": self.total, "cells": self.cells}
