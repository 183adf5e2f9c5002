"""Thirty simulated days of the shop as the pipeline would have scraped them, every few minutes.

The series have the real shop's names and services; `job="shop-history"` and `simulated="true"`
keep them apart from the live ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from model.batch import STALE_NAN, Floats, Ints, MetricBatch, Rows, is_stale
from model.change import Change
from model.labels import Labels
from model.series import NAME, SeriesIndex
from pipeline.demo import signals
from pipeline.demo.blueprint import SHOP
from pipeline.demo.instruments import BUCKETS_S
from pipeline.demo.signals import Vitals
from pipeline.demo.troubles import Trouble, draw_changes, draw_troubles

STEP_MS = 240_000
CALM_STEPS = 3
"""While nothing goes on only every third sample is told: the same past in half the time."""
BEFORE_MS, AFTER_MS = 1_800_000, 3_600_000
"""How long before and after a trouble every sample is told."""
SOURCE = "history"
_STEEP = 6.0
"""Latencies are log-logistic: as skewed as real ones, and their distribution has no integral."""

_KINDS = {
    "up": "gauge",
    "http_requests_total": "counter",
    "http_request_duration_seconds": "histogram",
    "process_cpu_seconds_total": "counter",
    "process_resident_memory_bytes": "gauge",
}


@dataclass(frozen=True, slots=True)
class HistoryStep:
    """What arrived at one moment of virtual time."""

    now_ms: int
    batches: tuple[MetricBatch, ...]
    changes: tuple[Change, ...]


class History:
    """The simulated past, step by step; the same for the same times and seed.

    Parameters
    ----------
    index : SeriesIndex
        Where the series get their rows: about 170 of them.
    start_ms, end_ms : int
        Event times; one step every `STEP_MS` (or `CALM_STEPS` of it) from `start_ms` on, before
        `end_ms`.

    Examples
    --------
    >>> history = History(SeriesIndex(), start_ms=0, end_ms=86_400_000, seed=1)
    >>> len(history), next(iter(history)).now_ms
    (120, 0)
    """

    def __init__(self, index: SeriesIndex, *, start_ms: int, end_ms: int, seed: int) -> None:
        self.troubles: tuple[Trouble, ...] = draw_troubles(start_ms, end_ms, seed=seed)
        self.changes = draw_changes(self.troubles, start_ms, end_ms, seed=seed)
        self._times_ms = _sample_times(start_ms, end_ms, self.troubles)
        vitals = signals.live(self._times_ms, self.troubles, seed=seed)
        columns = [_expose(name, vitals[name], self._times_ms) for name in SHOP]
        self._values: Floats = np.concatenate([values for _, values in columns], axis=1)
        labels = [each for labels, _ in columns for each in labels]
        self._rows: Rows = np.array(
            [index.intern(each, source=SOURCE, now_ms=start_ms) for each in labels], dtype=np.int32
        )
        for metric, kind in _KINDS.items():
            index.describe(metric, kind)

    def __len__(self) -> int:
        return len(self._times_ms)

    def __iter__(self) -> Iterator[HistoryStep]:
        present = ~np.isnan(self._values) | is_stale(self._values)
        present &= self._rows >= 0  # refused by the index's limit
        told = 0
        for number, now_ms in enumerate(self._times_ms.tolist()):
            upto = told
            while upto < len(self.changes) and self.changes[upto].time_ms <= now_ms:
                upto += 1
            here = present[number]
            batch = MetricBatch.of(
                self._rows[here],
                now_ms,
                self._values[number, here],
                arrival_ms=now_ms,
                source=SOURCE,
            )
            yield HistoryStep(now_ms, (batch,), self.changes[told:upto])
            told = upto


def _sample_times(start_ms: int, end_ms: int, troubles: Sequence[Trouble]) -> Ints:
    times_ms: Ints = np.arange(start_ms, end_ms, STEP_MS, dtype=np.int64)
    told = np.arange(len(times_ms)) % CALM_STEPS == 0
    for trouble in troubles:
        told |= (times_ms >= trouble.start_ms - BEFORE_MS) & (times_ms < trouble.end_ms + AFTER_MS)
    return np.asarray(times_ms[told], dtype=np.int64)


def _expose(name: str, vitals: Vitals, times_ms: Ints) -> tuple[list[Labels], Floats]:
    """The series of one service and their samples, shape (n_steps, n_series); NaN: not scraped."""
    common = {"job": "shop-history", "service": name, "instance": name, "simulated": "true"}
    route = SHOP[name].routes[0].path
    passed_s = np.diff(times_ms, prepend=times_ms[:1] - STEP_MS) / 1000
    served = np.floor(vitals.rate * passed_s) * vitals.up
    failed = np.floor(served * np.clip(vitals.error_ratio, 0.0, 1.0))
    bounds = np.array(BUCKETS_S)
    shares = 1.0 / (1.0 + (vitals.median_s[:, None] / bounds) ** _STEEP)
    series: list[tuple[dict[str, str], Floats, bool]] = [
        ({NAME: "http_requests_total", "route": route, "code": "200"}, served - failed, True),
        ({NAME: "http_requests_total", "route": route, "code": "500"}, failed, True),
        ({NAME: "process_cpu_seconds_total"}, vitals.cores * passed_s, True),
        ({NAME: "process_resident_memory_bytes"}, vitals.memory, False),
    ]
    duration = "http_request_duration_seconds"
    for i, bound in enumerate(BUCKETS_S):
        bucket = {NAME: f"{duration}_bucket", "route": route, "le": str(bound)}
        series.append((bucket, np.floor(served * shares[:, i]), True))
    mean_s = vitals.median_s * (np.pi / _STEEP) / np.sin(np.pi / _STEEP)
    series.append(({NAME: f"{duration}_bucket", "route": route, "le": "+Inf"}, served, True))
    series.append(({NAME: f"{duration}_count", "route": route}, served, True))
    series.append(({NAME: f"{duration}_sum", "route": route}, served * mean_s, True))
    columns = [_restarted(values, vitals, counter=counter) for _, values, counter in series]
    labels = [Labels.of({**common, **own}) for own, _, _ in series]
    up = vitals.up.astype(np.float64)
    return [Labels.of({**common, NAME: "up"}), *labels], np.column_stack([up, *columns])


def _restarted(values: Floats, vitals: Vitals, *, counter: bool) -> Floats:
    """Samples of a series whose process dies and starts again: a stale marker, a gap, and from zero."""
    up = vitals.up
    told = np.cumsum(values) if counter else values.copy()
    starts = np.flatnonzero(up[1:] & ~up[:-1]) + 1
    if counter:
        for start in starts.tolist():
            told[start:] -= told[start - 1]
    told[~up] = np.nan
    told[np.flatnonzero(~up[1:] & up[:-1]) + 1] = STALE_NAN
    return told
