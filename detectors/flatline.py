"""A gauge that always moved and stands still: its source hangs, or repeats itself."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.batch import Bools

Array32 = NDArray[np.float32]

LIVELY = 0.95  # share of samples that differed from the one before
SEEN = 200
STILL = 60
STILL_MS = 300_000
_PAUSE = 2  # equal samples that still tell how lively it is; what is more is one standstill


def look(
    still: Array32, lively: Array32, unchanged: Bools, gap: Any, step: Any, some: Array32
) -> Bools:
    """Note which gauges moved; which of them may have gone flat.

    Parameters
    ----------
    still : float32, shape (2, n)
        Samples and ms for which each has not moved; written.
    lively : float32, shape (n,)
        Share of samples that differed from the one before; written, but while it stands still nothing
        is learnt about how lively it is.
    unchanged : bool, shape (n,)
        Equal to the sample before; written.
    gap, step
        Time since the sample before, and how much this one counts; scalar or shape (n,).
    some : float32, shape (n,)
        Room for what is in between.
    """
    still[0] += np.float32(1.0)
    still[1] += gap
    still *= unchanged
    moved = np.logical_not(unchanged, out=unchanged)
    np.subtract(moved, lively, out=some)
    some *= step
    some *= np.less_equal(still[0], np.float32(_PAUSE), out=unchanged)
    lively += some
    far = np.greater_equal(still[0], np.float32(STILL), out=unchanged)
    far &= lively >= np.float32(LIVELY)
    return np.asarray(far)


def steps(count: Array32, some: Array32) -> Array32:
    """How much a sample counts for the share: all are equal for the first 200, given how many were learnt."""
    np.add(count, np.float32(2.0), out=some)
    np.divide(np.float32(1.0), some, out=some)
    return np.maximum(some, np.float32(1.0 / SEEN), out=some)


def flat(still: Array32, lively: Array32, count: Array32) -> Bools:
    """Which gauges have gone flat, of those that may have, given how many samples were learnt."""
    return np.asarray(
        (still[0] >= STILL) & (still[1] >= STILL_MS) & (lively >= LIVELY) & (count >= SEEN)
    )
