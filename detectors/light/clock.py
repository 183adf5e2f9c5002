"""When samples came, and how fast counters ran, for a chunk of plain series."""

from __future__ import annotations

import numpy as np

from detectors.counters import GAP_INTERVALS, GAP_MS, TICK
from detectors.light.state import Array32
from detectors.light.work import Work
from model.batch import Bools, Floats, Ints

Times = int | Ints
"""One time of many samples, or one each."""


HUGE = 1e300
LARGE = 1e30  # beyond it sums of float32 overflow


def usable(values: Floats, times_ms: Times, last_ms: Ints) -> Bools | None:
    """Which samples are finite, of a size to calculate with, and newer than the last.

    None where all are, as they mostly are, and none is beyond `LARGE`.
    """
    low, high = values.min(), values.max()  # a NaN makes both NaN, and the comparison false
    if low > -LARGE and high < LARGE and (times_ms > last_ms).all():
        return None
    return np.asarray(np.isfinite(values) & (np.abs(values) < HUGE) & (times_ms > last_ms))


def tick(interval: Array32, gap: Array32, last_ms: Ints, work: Work) -> None:
    """Let usual intervals follow the median of the gaps, step by bounded step, as `Clocks.tick` does.

    Parameters
    ----------
    interval : float32, shape (n,)
        Written. 0 before the second sample.
    gap : float32, shape (n,)
        Since the last samples.
    last_ms : int64, shape (n,)
        When those were, 0 where there was none.
    """
    began = interval.min() > 0.0
    unknown = interval == 0.0 if not began else None
    np.multiply(interval, np.float32(TICK), out=work.some)
    np.subtract(gap, interval, out=work.size)
    np.minimum(work.size, work.some, out=work.size)
    np.negative(work.some, out=work.some)
    np.maximum(work.size, work.some, out=work.size)
    interval += work.size
    if unknown is not None:
        np.copyto(interval, gap, where=unknown)
        interval[last_ms == 0] = 0.0


def rates(
    values: Floats, before: Floats, elapsed_ms: Floats, interval: Array32
) -> tuple[Floats, Bools | None, int]:
    """What counters grew by a second; where that is known (None: everywhere); how many were reset.

    A fall is a reset: what it shows now was counted since (Prometheus' rule). Unknown at first, and
    after a gap of five intervals.

    Parameters
    ----------
    values, before : float64, shape (n,)
    elapsed_ms : float64, shape (n,)
    interval : float32, shape (n,)
    """
    increase = values - before
    known = None
    if elapsed_ms.max() > GAP_MS:
        near = elapsed_ms <= np.maximum(np.float32(GAP_INTERVALS) * interval, GAP_MS)
        known = None if near.all() else near
    resets = 0
    if not increase.min() >= 0.0:
        seen = ~np.isnan(before)
        known = seen if known is None else known & seen
        reset = known & (increase < 0.0)
        increase[reset] = np.maximum(values[reset], 0.0)
        resets = int(np.count_nonzero(reset))
    increase *= 1000.0 / elapsed_ms
    return increase, known, resets
