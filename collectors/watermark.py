"""Event times that can be believed: late, future and mistaken ones never move a clock."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from collectors.base import Counters
from collectors.settings import WatermarkSettings
from model.batch import Bools, Ints

_EPOCH_MAX_MS = 86_400_000
_SCALES = ((1_000, 1), (1, 1_000), (1, 1_000_000))  # from seconds, microseconds, nanoseconds


@dataclass(frozen=True, slots=True)
class Settled:
    """Times after repair, and which samples are kept; both in the order they came.

    Attributes
    ----------
    times_ms : int64, shape (n_samples,)
    keep : bool, shape (n_samples,)
    """

    times_ms: Ints
    keep: Bools


class Watermark:
    """Decides about event times, by these rules in this order.

    1. Within `[now - lateness, now + future]`: kept as it is.
    2. Would be so if it were seconds, microseconds or nanoseconds: taken as that, counted as repaired.
    3. Within a day of the epoch: the sender has no clock. Dropped, counted as zero.
    4. Older: dropped, counted as late. Ahead: dropped, counted as future.

    `high_ms` is the newest kept time that is not ahead of the arrival: no sender can push it past now.

    Parameters
    ----------
    lateness_ms, future_ms : int
        See `WatermarkSettings`.

    Examples
    --------
    >>> mark = Watermark(lateness_ms=60_000, future_ms=5_000)
    >>> now = 1_700_000_000_000
    >>> settled = mark.settle(np.array([now - 1, 1_700_000_000, 0, now + 9_000]), now_ms=now)
    >>> settled.keep.tolist(), int(settled.times_ms[1]) == now
    ([True, True, False, False], True)
    >>> mark.repaired, mark.zero, mark.future
    (1, 1, 1)
    """

    def __init__(self, *, lateness_ms: int, future_ms: int) -> None:
        self.lateness_ms = lateness_ms
        self.future_ms = future_ms
        self.high_ms = 0
        self.late = self.future = self.zero = self.repaired = 0

    @classmethod
    def for_samples(cls, settings: WatermarkSettings) -> Watermark:
        """With the bounds that hold for metrics."""
        return cls(lateness_ms=settings.lateness_ms, future_ms=settings.future_ms)

    @classmethod
    def for_logs(cls, settings: WatermarkSettings) -> Watermark:
        """With the bounds that hold for log lines."""
        return cls(lateness_ms=settings.log_lateness_ms, future_ms=settings.future_ms)

    def settle(self, times_ms: Ints, *, now_ms: int) -> Settled:
        """Judge a batch of event times that arrived at `now_ms`; the input is not written."""
        low, high = now_ms - self.lateness_ms, now_ms + self.future_ms
        keep = (times_ms >= low) & (times_ms <= high)
        if not keep.all():
            times_ms, keep = self._mend(times_ms.copy(), keep, low, high)
        if keep.any():
            newest = int(times_ms[keep].max())
            self.high_ms = max(self.high_ms, min(newest, now_ms))
        return Settled(times_ms, keep)

    def _mend(self, times: Ints, keep: Bools, low: int, high: int) -> tuple[Ints, Bools]:
        for times_by, divided_by in _SCALES:
            # A bound on the magnitude keeps the product inside int64.
            small = np.abs(times) < 2**62 // times_by
            scaled = np.where(small, times, 0) * times_by // divided_by
            fits = ~keep & (scaled >= low) & (scaled <= high)
            times[fits] = scaled[fits]
            keep = keep | fits
            self.repaired += int(fits.sum())
        lost = times[~keep]
        zero = np.abs(lost) < _EPOCH_MAX_MS
        self.zero += int(zero.sum())
        self.late += int((~zero & (lost < low)).sum())
        self.future += int((~zero & (lost > high)).sum())
        return times, keep

    def settle_one(self, time_ms: int | None, *, now_ms: int) -> int | None:
        """The same for a single time, for push parsers: the time to use, or None where it is dropped.

        A missing time is the arrival.
        """
        if time_ms is None:
            return now_ms
        bounded = max(-(2**63), min(2**63 - 1, time_ms))
        settled = self.settle(np.array([bounded], dtype=np.int64), now_ms=now_ms)
        return int(settled.times_ms[0]) if settled.keep[0] else None

    def counters(self, what: str = "samples") -> Counters:
        """Totals under `tocsin_<what>_late_total` and so on."""
        return {
            f"tocsin_{what}_late_total": self.late,
            f"tocsin_{what}_future_total": self.future,
            f"tocsin_{what}_without_clock_total": self.zero,
            f"tocsin_{what}_time_repaired_total": self.repaired,
        }
