"""Series of a corpus, one sample of each at a time, through the full tier."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from benchmarks.nab_data import Labelled
from detectors.full.alarm import SPIKE_SHARE, Alarms, AlarmSettings
from detectors.full.combine import COMPONENTS, Combination
from detectors.full.tier import FullTier

Grid = NDArray[np.float32]
Told = NDArray[np.float64]


class Lockstep:
    """Series as rows, the longest first, so that those still going are the first ones.

    No series sees another, and none its own future: it is a stream, only turned by a quarter.
    """

    def __init__(self, series: list[Labelled]) -> None:
        self.series = sorted(series, key=lambda one: (-len(one.values), one.name))
        self.lengths = np.array([len(one.values) for one in self.series])
        self._rows = np.arange(len(series))

    def _steps(self) -> Iterator[tuple[int, int]]:
        """Step and how many series still go on."""
        going = np.searchsorted(-self.lengths, -np.arange(int(self.lengths[0])), side="left")
        yield from enumerate(going.tolist())

    def _table(self, columns: list[NDArray[np.generic]]) -> NDArray[np.float64]:
        table = np.zeros((int(self.lengths[0]), len(columns)))
        for number, column in enumerate(columns):
            table[: len(column), number] = column
        return table

    def components(self) -> Grid:
        """Rarities, shape (n_steps, components, n_series); 0 where a series has ended or is young."""
        tier = FullTier(len(self.series))
        values = self._table([one.values for one in self.series])
        times = self._table([one.times_ms for one in self.series]).astype(np.int64)
        out = np.zeros((len(values), len(COMPONENTS), len(self.series)), dtype=np.float32)
        for step, going in self._steps():
            sample = values[step, :going].astype(np.float32)
            out[step, :, :going] = tier.components(self._rows[:going], times[step, :going], sample)
        out[:32] = 0.0
        return out

    def combined(self, rare: Grid, weights: tuple[float, ...], sustained: float) -> Grid:
        """Scores, shape (n_steps, n_series)."""
        combination = Combination(len(self.series), weights, sustained)
        out = np.zeros((len(rare), len(self.series)), dtype=np.float32)
        for step, going in self._steps():
            age = np.full(going, step, dtype=np.float32)
            out[step, :going] = combination.look(rare[step, :-1, :going], slice(0, going), age)
        return out

    def alarms(self, scores: Grid, spikes: Grid, settings: AlarmSettings) -> list[Told]:
        """What is told, by series in their order here; see `FullTier.alarms`."""
        alarms = Alarms(len(self.series), settings)
        out = np.zeros(scores.shape)
        for step, going in self._steps():
            at = slice(0, going)
            out[step, at] = alarms.look(
                at, np.maximum(scores[step, at], SPIKE_SHARE * spikes[step, at])
            )
        return [out[:length, number] for number, length in enumerate(self.lengths.tolist())]
