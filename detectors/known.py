"""What is known of rows, wherever it is kept: of plain series by the light tier, of all others by row."""

from __future__ import annotations

import numpy as np

from detectors.baseline import Baselines
from detectors.counters import Clocks
from detectors.light import state as at
from detectors.rows import Array
from model.batch import Floats, Ints


class Known:
    """Answers by row for those who look on."""

    def __init__(self, clocks: Clocks, baselines: Baselines, light: at.State) -> None:
        self._clocks, self._baselines, self._light = clocks, baselines, light

    def last_ms(self, rows: Array) -> Ints:
        """When each row had its last sample, 0 before the first one."""
        return self._of(rows, self._light.last_ms, self._clocks.rows["last_ms"])

    def interval_ms(self, rows: Array) -> Floats:
        """The usual interval of each row's samples, 0 before the second one."""
        return self._of(rows, self._light.clock[at.INTERVAL], self._clocks.rows["interval_ms"])

    def count(self, rows: Array) -> Array:
        """How many samples of each row were learnt."""
        return self._of(rows, self._light.learnt[at.COUNT], self._baselines.rows["count"])

    def level(self, row: int) -> float:
        """The usual level of a row."""
        levels = self._baselines.rows["level"]
        return float(self._of(np.array([row]), self._light.learnt[at.LEVEL], levels)[0])

    def _of(self, rows: Array, light: Array, other: Array) -> Array:
        found = other[rows]
        places = self._light.of(rows)
        plain = places >= 0
        found[plain] = light[places[plain]]
        return found
