"""The baseline of `detectors.baseline` in float32, in place, with a cheap bound on what needs a closer look.

Float32 is enough: a band is at least half its level wide, and what is lost is seven digits away.
Anything smaller than 1e-30 counts as zero, or else the levels of series that stand at zero would
fade through numbers that processors are slow at.
"""

from __future__ import annotations

import numpy as np

from detectors.baseline import (
    CLIP_LEVEL,
    CLIP_SPREAD,
    DAMPED,
    MEMORY,
    SLOW_MEMORY,
    SPREAD_TO_SIGMA,
    TREND,
    TREND_AFTER,
    UNCLIPPED,
)
from detectors.light import state as at
from detectors.light.state import Array32
from detectors.light.work import Work
from detectors.roles import UNKNOWN
from model.batch import Bools

_OLD = 8192.0  # samples: more than any memory, so that the rates stand still
_MARGIN = 0.9999  # the bound is a little narrower than the band: rounding must hide nothing
_TINY = np.float32(1e-30)
_RATES: Array32 = np.array([[1 / MEMORY], [1 / SLOW_MEMORY]], dtype=np.float32)


class Learner:
    """Compares a chunk with its levels, then learns it.

    Parameters
    ----------
    sensitivity : float
        As in `DetectorSettings`.
    """

    def __init__(self, sensitivity: float) -> None:
        self._width = np.float32(_MARGIN * UNKNOWN.width * SPREAD_TO_SIGMA / sensitivity)
        self._relative = np.float32(_MARGIN * UNKNOWN.relative)

    def compare(self, learnt: Array32, youngest: float, work: Work) -> Bools:
        """Which of `work.value` may be outside their bands; changes nothing in `learnt`.

        A band is `width` spreads or `relative` of the level on either side, whichever is more, about
        the level, unless the slow level is as far away. So what is not that far from the level, with
        the slow level not that far either, is inside.
        """
        usual, off, far, half = work.usual, work.off, work.far, work.bound
        np.add(learnt[at.LEVEL], learnt[at.TREND], out=usual[0])
        np.copyto(usual[1], learnt[at.SLOW])
        if youngest < 1.0:
            np.copyto(usual, work.value, where=learnt[at.COUNT] == 0.0)
        np.subtract(work.value, usual, out=off)
        np.copyto(far[0], off[0])
        np.subtract(usual[0], usual[1], out=far[1])
        np.abs(far, out=far)
        np.abs(usual[0], out=work.size)
        np.multiply(learnt[at.SPREAD], self._width, out=half)
        np.multiply(work.size, self._relative, out=work.some)
        np.maximum(half, work.some, out=half)
        np.greater(far, half, out=work.both)
        return np.asarray(np.logical_or(work.both[0], work.both[1], out=work.look))

    def learn(self, learnt: Array32, youngest: float, work: Work) -> None:
        """Learn what was compared."""
        off, bound, some, spread = work.off, work.bound, work.some, learnt[at.SPREAD]
        count = learnt[at.COUNT]
        np.multiply(spread, np.float32(CLIP_SPREAD), out=bound)
        np.multiply(work.size, np.float32(CLIP_LEVEL), out=some)
        bound += some
        bound += np.float32(1e-12)
        if youngest < UNCLIPPED:
            bound[count < UNCLIPPED] = np.inf
        np.minimum(off, bound, out=off)
        np.negative(bound, out=bound)
        np.maximum(off, bound, out=off)
        rate = _RATES if youngest >= _OLD else _rates(count, work.rate)
        np.abs(off[0], out=some)
        some -= spread
        some *= rate[0]
        spread += some
        off *= rate
        np.add(work.usual, off, out=learnt[:2])
        off[0] *= np.float32(TREND)
        if youngest < TREND_AFTER:
            off[0] *= count >= TREND_AFTER
        trend = learnt[at.TREND]
        trend += off[0]
        trend *= np.float32(DAMPED)
        learnt[:4] += _TINY
        learnt[:4] -= _TINY
        count += np.float32(1.0)  # stands still at 16.7 million


def _rates(count: Array32, rate: Array32) -> Array32:
    """How much a sample counts: all are equal until they are as many as the memory is long."""
    np.add(count, np.float32(2.0), out=rate[0])
    np.divide(np.float32(2.0), rate[0], out=rate[0])
    np.maximum(rate[0], _RATES[1], out=rate[1])
    np.maximum(rate[0], _RATES[0], out=rate[0])
    return rate
