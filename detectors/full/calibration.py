"""What a score means: how often, over all series lately, one as high was seen."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.full.tails import Array32

_BINS = 400
_WIDTH = 0.1  # decades
_SAMPLES = 1e8  # remembered: a day of 17,000 series at 15 s
_FIT = 50.0  # the slope beyond what was seen is fitted on the bins above which so many lie


class Calibration:
    """A decayed histogram of all rows' scores; faults are in it, which makes its rates an upper bound.

    Examples
    --------
    >>> calibration = Calibration()
    >>> calibration.learn(-np.log10(np.random.default_rng(1).random(1_000_000)).astype(np.float32))
    >>> round(calibration.threshold(1e-4), 1)
    4.0
    >>> round(calibration.threshold(1e-8))
    8
    """

    def __init__(self) -> None:
        self.counts = np.zeros(_BINS, dtype=np.float64)

    def learn(self, scores: Array32) -> None:
        """Count scores; what is not finite is left out."""
        finite = np.isfinite(scores)
        good = scores if finite.all() else scores[finite]
        place = np.clip(good * np.float32(1.0 / _WIDTH), 0, _BINS - 1).astype(np.int64)
        self.counts += np.bincount(place, minlength=_BINS)
        total = self.counts.sum()
        if total > _SAMPLES:
            self.counts *= 0.5

    def rates(self) -> NDArray[np.float64]:
        """Share of samples at or above each bin's lower bound, shape (bins,); a straight line in
        decades where too few were seen."""
        above = np.cumsum(self.counts[::-1])[::-1]
        if above[0] <= 0:
            return np.ones(_BINS)
        known = int(np.count_nonzero(above >= _FIT))
        decades = -np.log10(np.maximum(above / above[0], 1e-300))
        if 1 < known < _BINS:
            begin = max(known - 11, 0)
            slope = (decades[known - 1] - decades[begin]) / max(known - 1 - begin, 1)
            further = np.arange(1, _BINS - known + 1) * max(float(slope), 1e-3)
            decades[known:] = decades[known - 1] + further
        return np.asarray(10.0**-decades)

    def decades(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """How rare the scores of a table are, -log10 of the share that reaches them, and the scores."""
        rare = np.asarray(-np.log10(self.rates()), dtype=np.float64)
        return rare, np.arange(_BINS, dtype=np.float64) * _WIDTH

    def threshold(self, share: float) -> float:
        """The score that this share of all samples reaches.

        A budget of pages per service and week is a share: `pages / (series of a service × samples a week)`.
        """
        rates = self.rates()
        decades, wanted = -np.log10(rates), -np.log10(share)
        return float(np.interp(wanted, decades, np.arange(_BINS) * _WIDTH))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """State by name."""
        return {"counts": self.counts}
