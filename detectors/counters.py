"""What each series' last sample was, its usual interval, and how much a counter has grown over resets and gaps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detectors.rows import Array, RowArrays
from model.batch import Bools, Floats, Ints

GAP_INTERVALS = 5
GAP_MS = 5_000
TICK = 0.2  # an interval follows its gap by no more than this share of itself


@dataclass(frozen=True, slots=True, eq=False)
class Growth:
    """What one sample added to each counter; arrays of shape (n_rows,).

    `rate` is per second, NaN for a first sample and after a gap.
    """

    increase: Floats
    rate: Floats
    resets: int


class Clocks:
    """Last time, typical interval, last value and total increase of every row."""

    def __init__(self) -> None:
        self.rows = RowArrays(
            {
                "last_ms": (np.int64, 0),
                "interval_ms": (np.float64, 0.0),
                "value": (np.float64, np.nan),
                "total": (np.float64, 0.0),
            }
        )

    def newer(self, rows: Array, times_ms: Ints, values: Floats) -> Bools:
        """Which samples can be used: finite, and newer than the row's last."""
        return (
            np.isfinite(values) & (np.abs(values) < 1e300) & (times_ms > self.rows["last_ms"][rows])
        )

    def gap_ms(self, rows: Array) -> Floats:
        """How long a pause is too long to know what happened in it."""
        interval: Floats = self.rows["interval_ms"][rows]
        return np.maximum(GAP_INTERVALS * interval, GAP_MS)

    def tick(self, rows: Array, times_ms: Ints) -> None:
        """Note the time of samples; the interval follows the median of the gaps, step by bounded step."""
        last = self.rows["last_ms"][rows]
        gap = (times_ms - last).astype(np.float64)
        old = self.rows["interval_ms"][rows]
        bound = TICK * old
        new = np.where(old == 0.0, gap, old + np.clip(gap - old, -bound, bound))
        self.rows["interval_ms"][rows] = np.where(last == 0, 0.0, new)
        self.rows["last_ms"][rows] = times_ms

    def count(self, rows: Array, times_ms: Ints, values: Floats) -> Growth:
        """Add up counters. A fall is a reset: what it shows now was counted since (Prometheus' rule)."""
        before = self.rows["value"][rows]
        elapsed_ms = (times_ms - self.rows["last_ms"][rows]).astype(np.float64)
        known = ~np.isnan(before) & (elapsed_ms <= self.gap_ms(rows))
        reset = known & (values < before)
        increase = np.where(reset, values, values - before)
        increase = np.where(known & (increase > 0), increase, 0.0)
        self.rows["value"][rows] = values
        self.rows["total"][rows] += increase
        rate = np.where(known, increase * 1000.0 / np.maximum(elapsed_ms, 1.0), np.nan)
        return Growth(increase, rate, int(np.count_nonzero(reset)))

    def begin_at_zero(self, row: int, time_ms: int, interval_ms: float) -> None:
        """A counter that appears in a group long watched began at zero: its first value is all new."""
        self.rows["value"][row] = 0.0
        self.rows["last_ms"][row] = time_ms
        self.rows["interval_ms"][row] = interval_ms
