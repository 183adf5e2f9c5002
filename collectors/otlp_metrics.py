"""OTLP metrics as samples in Prometheus' shape: read in the handler's thread, made into a batch by the pipeline.

Source: "Prometheus and OpenMetrics Compatibility" of the OpenTelemetry specification. We depart from it in
that increments (delta temporality) are added up, and that an exponential histogram comes on fixed bounds.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import numpy as np
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AGGREGATION_TEMPORALITY_CUMULATIVE,
    AGGREGATION_TEMPORALITY_DELTA,
    ExponentialHistogramDataPoint,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    SummaryDataPoint,
)

from collectors.otlp_buckets import bound_text, bounds, cumulate
from collectors.otlp_names import label_pairs, metric_name, resource_labels
from collectors.otlp_settings import OtlpSettings
from collectors.otlp_wire import text_of
from collectors.pushed import Door
from model.batch import STALE_NAN, Bools, Floats, Ints, MetricBatch
from model.errors import LabelError
from model.labels import Labels
from model.series import NAME

_KNOWN_CHARS_MAX = 64 * 2**20
"""Text of the label sets that are remembered, about; beyond it the memory begins anew."""
_RESOURCE_MAX = 128
_SCALE_MIN, _SCALE_MAX = -10, 20
_SIZE_BYTES = 120
Pairs = tuple[tuple[str, str], ...]
Point = NumberDataPoint | HistogramDataPoint | ExponentialHistogramDataPoint | SummaryDataPoint


@dataclass(slots=True)
class Rejected:
    """What of a request was not taken, and why the first of each kind was not."""

    count: int = 0
    whys: dict[str, None] = field(default_factory=dict)

    def note(self, why: str, count: int = 1) -> None:
        """Count items that were left out."""
        self.count += count
        if len(self.whys) < 10:
            self.whys[why] = None

    @property
    def message(self) -> str:
        """All reasons."""
        return "; ".join(self.whys)


@dataclass(frozen=True, slots=True, eq=False)
class MetricPush:
    """Samples of a request, in columns.

    Attributes
    ----------
    series : tuple of Labels, length n_samples
    times_ms, values : shape (n_samples,)
    deltas : bool, shape (n_samples,)
        Values that are what was added since the point before.
    kinds : mapping of str to (str, int)
        What each family is, and the first sample of it.
    """

    source: str
    series: tuple[Labels, ...]
    times_ms: Ints
    values: Floats
    deltas: Bools
    kinds: Mapping[str, tuple[str, int]]

    @property
    def size_bytes(self) -> int:
        """About how much memory it holds."""
        return _SIZE_BYTES * len(self.series)

    def batches(self, door: Door, now_ms: int) -> Sequence[MetricBatch]:
        """One batch, in the order of time."""
        index, source = door.index, self.source
        settled = door.samples.settle(self.times_ms, now_ms=now_ms)
        interned = [index.intern(ls, source=source, now_ms=now_ms) for ls in self.series]
        rows = np.array(interned, dtype=np.int32)
        for family, (kind, first) in self.kinds.items():
            if interned[first] >= 0:
                index.describe(family, kind)
        keep = settled.keep & (rows >= 0)
        order = np.argsort(settled.times_ms, kind="stable")
        order = order[keep[order]]
        rows, times_ms, values = rows[order], settled.times_ms[order], self.values[order]
        deltas = self.deltas[order]
        if deltas.any():
            values, fresh = door.deltas.add(rows, times_ms, values, deltas)
            rows, times_ms, values = rows[fresh], times_ms[fresh], values[fresh]
        if not len(rows):
            return ()
        index.touch(rows, now_ms)
        return (MetricBatch(rows, times_ms, values, now_ms, source),)


@dataclass(slots=True)
class _Columns:
    """A request on its way into columns; `base` and `deltas_now` are those of the metric at hand."""

    settings: OtlpSettings
    now_ms: int
    rejected: Rejected = field(default_factory=Rejected)
    series: list[Labels] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    deltas: list[bool] = field(default_factory=list)
    kinds: dict[str, tuple[str, int]] = field(default_factory=dict)

    def put(
        self, series: Sequence[Labels], values: Sequence[float], nano: int, delta: bool
    ) -> None:
        self.series += series
        self.values += values
        self.times += [nano // 1_000_000 or self.now_ms] * len(series)
        self.deltas += [delta] * len(series)

    def room(self, samples: int) -> bool:
        if len(self.series) + samples <= self.settings.samples_max:
            return True
        self.rejected.note(f"more than {self.settings.samples_max} samples in one request")
        return False


class MetricReader:
    """Flattens requests; label sets it has made before are found again by what they were made of.

    Several threads may read at once.
    """

    def __init__(self) -> None:
        self._known: dict[object, tuple[Labels, ...]] = {}
        self._chars = 0
        self._lock = threading.Lock()

    def read(
        self,
        request: ExportMetricsServiceRequest,
        settings: OtlpSettings,
        *,
        source: str,
        now_ms: int,
    ) -> tuple[MetricPush, Rejected]:
        """The samples of a request, and what of it was rejected."""
        columns = _Columns(settings, now_ms)
        for of_resource in request.resource_metrics:
            base = _base(of_resource.resource.attributes)
            for of_scope in of_resource.scope_metrics:
                for metric in of_scope.metrics:
                    self._metric(columns, base, metric)
        push = MetricPush(
            source,
            tuple(columns.series),
            np.array(columns.times, dtype=np.int64),
            np.array(columns.values, dtype=np.float64),
            np.array(columns.deltas, dtype=np.bool_),
            columns.kinds,
        )
        return push, columns.rejected

    def _metric(self, columns: _Columns, base: Pairs, metric: Metric) -> None:
        shape = metric.WhichOneof("data")
        if shape is None:
            return
        data = getattr(metric, shape)
        temporality = getattr(data, "aggregation_temporality", AGGREGATION_TEMPORALITY_CUMULATIVE)
        delta = temporality == AGGREGATION_TEMPORALITY_DELTA
        kind = _KINDS[shape]
        if shape == "sum":
            kind = "counter" if data.is_monotonic else "gauge"
        name = metric_name(metric.name, metric.unit, kind)
        points = data.data_points
        if not name:
            return columns.rejected.note("a metric without a name", len(points))
        if not delta and temporality != AGGREGATION_TEMPORALITY_CUMULATIVE:
            why = f"{name}: an aggregation temporality that is neither cumulative nor delta"
            return columns.rejected.note(why, len(points))
        before = len(columns.series)
        for point in points:
            try:
                self._point(columns, base, name, metric.unit, shape, point, delta)
            except _NotTaken as refused:
                columns.rejected.note(f"{name}: {refused}")
        if len(columns.series) > before:
            columns.kinds.setdefault(name, (kind, before))

    def _point(
        self,
        columns: _Columns,
        base: Pairs,
        name: str,
        unit: str,
        shape: str,
        point: Point,
        delta: bool,
    ) -> None:
        if len(point.attributes) > columns.settings.labels_max:
            raise _NotTaken(f"more than {columns.settings.labels_max} attributes")
        steps, values = _PARTS[shape](point, unit, columns.settings)
        if not columns.room(len(values)):
            return
        nano, ended = point.time_unix_nano, point.flags & 1
        # What is left are the attributes: their bytes say which series it is, and cost a third of reading them.
        for changing in _CHANGING[shape]:
            point.ClearField(changing)
        own = point.SerializeToString()
        key = (base, name, own, shape, steps)
        series = self._known.get(key)
        if series is None:
            attributes = tuple([(kv.key, _text(kv)) for kv in point.attributes])
            made = tuple(_labels(base, name, attributes, shape, steps))
            series = self._remember(key, made, len(own))
        if ended:  # "no recorded value"
            values, delta = [float(STALE_NAN)] * len(series), False
        columns.put(series, values, nano, delta)

    def _remember(self, key: object, series: tuple[Labels, ...], chars: int) -> tuple[Labels, ...]:
        with self._lock:
            if self._chars >= _KNOWN_CHARS_MAX:
                self._known.clear()
                self._chars = 0
            self._chars += 2 * chars + 500 + 100 * len(series)
            self._known[key] = series
        return series


class _NotTaken(Exception):
    """A point that cannot be used, and why."""


def _text(pair: KeyValue) -> str:
    return pair.value.string_value or text_of(pair.value)


def _base(attributes: Sequence[KeyValue]) -> Pairs:
    resource = {pair.key: _text(pair) for pair in attributes[:_RESOURCE_MAX]}
    return tuple(sorted(resource_labels(resource).items()))


def _labels(
    base: Pairs, name: str, attributes: Pairs, shape: str, steps: tuple[float, ...]
) -> Iterator[Labels]:
    """Label sets of a point's samples, in the order of its values."""
    own = label_pairs(attributes)
    taken = {n for n, _ in base} | {"le", "quantile"}
    for reserved in taken & own.keys():
        own[f"exported_{reserved}"] = own.pop(reserved)
    own |= base
    try:
        if shape in ("gauge", "sum"):
            yield Labels.of({**own, NAME: name})
            return
        parts = ("quantile", name) if shape == "summary" else ("le", f"{name}_bucket")
        for step in steps:
            yield Labels.of({**own, NAME: parts[1], parts[0]: bound_text(step)})
        if shape != "summary":
            yield Labels.of({**own, NAME: parts[1], "le": "+Inf"})
        yield Labels.of({**own, NAME: f"{name}_count"})
        yield Labels.of({**own, NAME: f"{name}_sum"})
    except LabelError as error:
        raise _NotTaken(str(error)) from None


def _single(
    point: NumberDataPoint, unit: str, settings: OtlpSettings
) -> tuple[tuple[float, ...], list[float]]:
    which = point.WhichOneof("value")
    if which is None and not point.flags & 1:
        raise _NotTaken("a point without a value")
    return (), [float(point.as_int) if which == "as_int" else point.as_double]


def _histogram(
    point: HistogramDataPoint, unit: str, settings: OtlpSettings
) -> tuple[tuple[float, ...], list[float]]:
    steps, counts = tuple(point.explicit_bounds), point.bucket_counts
    if len(counts) > settings.buckets_max:
        raise _NotTaken(f"more than {settings.buckets_max} buckets")
    if len(counts) != len(steps) + 1 and (counts or steps):
        raise _NotTaken(f"{len(steps)} bounds do not fit {len(counts)} buckets")
    if any(not a < b for a, b in zip(steps, steps[1:], strict=False)):
        raise _NotTaken("bounds must ascend")
    upto = list(map(float, accumulate(counts)))[: len(steps)]
    return _with_totals(steps, upto, max(point.count, sum(counts)), point)


def _exponential(
    point: ExponentialHistogramDataPoint, unit: str, settings: OtlpSettings
) -> tuple[tuple[float, ...], list[float]]:
    positive = point.positive
    if not _SCALE_MIN <= point.scale <= _SCALE_MAX:
        raise _NotTaken(f"the scale {point.scale} is not within {_SCALE_MIN} and {_SCALE_MAX}")
    if len(positive.bucket_counts) > 10 * settings.buckets_max:
        raise _NotTaken(f"more than {10 * settings.buckets_max} buckets")
    upto = cumulate(
        unit,
        scale=point.scale,
        zero=point.zero_count,
        below=sum(point.negative.bucket_counts),
        offset=positive.offset,
        counts=positive.bucket_counts,
    )
    return _with_totals(bounds(unit), list(map(float, upto)), point.count, point)


def _with_totals(
    steps: tuple[float, ...],
    upto: list[float],
    count: float,
    point: HistogramDataPoint | ExponentialHistogramDataPoint,
) -> tuple[tuple[float, ...], list[float]]:
    total = point.sum if point.HasField("sum") else float("nan")
    if steps and steps[-1] == float("inf"):
        steps, upto = steps[:-1], upto[:-1]
    return steps, [*upto, float(count), float(count), total]


def _summary(
    point: SummaryDataPoint, unit: str, settings: OtlpSettings
) -> tuple[tuple[float, ...], list[float]]:
    found = point.quantile_values
    if len(found) > settings.buckets_max:
        raise _NotTaken(f"more than {settings.buckets_max} quantiles")
    steps = tuple(value.quantile for value in found)
    return steps, [*(value.value for value in found), float(point.count), point.sum]


_PARTS: dict[str, Callable[[Any, str, OtlpSettings], tuple[tuple[float, ...], list[float]]]] = {
    "gauge": _single,
    "sum": _single,
    "histogram": _histogram,
    "exponential_histogram": _exponential,
    "summary": _summary,
}
_TIMES = ("start_time_unix_nano", "time_unix_nano", "flags")
_HISTOGRAM = (*_TIMES, "exemplars", "count", "sum", "min", "max")
_CHANGING: dict[str, tuple[Any, ...]] = {
    "gauge": (*_TIMES, "exemplars", "value"),
    "sum": (*_TIMES, "exemplars", "value"),
    "histogram": (*_HISTOGRAM, "bucket_counts", "explicit_bounds"),
    "exponential_histogram": (
        *_HISTOGRAM,
        *("scale", "zero_count", "zero_threshold", "positive", "negative"),
    ),
    "summary": (*_TIMES, "count", "sum", "quantile_values"),
}
"""Fields of a point that are not its attributes."""
_KINDS = {
    "gauge": "gauge",
    "sum": "counter",
    "histogram": "histogram",
    "exponential_histogram": "histogram",
    "summary": "summary",
}
