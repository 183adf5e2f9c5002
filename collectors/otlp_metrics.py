"""OTLP metrics as samples in Prometheus' shape: read in the handler's thread, made into a batch by the pipeline.

Source: "Prometheus and OpenMetrics Compatibility" of the OpenTelemetry specification. We depart from it in
that increments (delta temporality) are added up, and that an exponential histogram comes on fixed bounds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AGGREGATION_TEMPORALITY_CUMULATIVE,
    AGGREGATION_TEMPORALITY_DELTA,
    Metric,
    ResourceMetrics,
)

from collectors.otlp_buckets import bound_text
from collectors.otlp_layout import Layout, Unusual, places, resource_of
from collectors.otlp_names import label_pairs, metric_name, resource_labels
from collectors.otlp_numbers import cut
from collectors.otlp_points import EXEMPLARS_MAX, PARTS, NotTaken, Point, examples
from collectors.otlp_push import (
    NO_INCREMENT,
    Columns,
    MetricPush,
    Rejected,
    TimesTold,
    increments,
)
from collectors.otlp_settings import OtlpSettings
from collectors.otlp_wire import MESSAGES_MAX, parse, refuse_crowded, text_of
from collectors.protowire import split
from collectors.remote_series import Books
from model.batch import STALE_NAN
from model.errors import InputError, LabelError
from model.labels import Labels
from model.series import NAME

_RESOURCE_MAX = 128
_CHANGES_MAX = 8
"""Times that a resource may send something else before its layout is no longer kept."""
Pairs = tuple[tuple[str, str], ...]


class MetricReader:
    """Flattens requests; label sets it has made before are found again by what they were made of.

    Several threads may read at once.
    """

    def __init__(self) -> None:
        self._books = Books()

    def read(
        self,
        request: ExportMetricsServiceRequest,
        settings: OtlpSettings,
        *,
        source: str,
        now_ms: int,
        told: TimesTold | None = None,
    ) -> tuple[MetricPush, Rejected]:
        """The samples of a request, and what of it was rejected, or will be (`told`) for its time."""
        columns = Columns(settings, self._books.of(source, "otlp"), now_ms, told)
        for of_resource in request.resource_metrics:
            for _ in self._resource(columns, of_resource):
                pass
        return columns.push(source), columns.rejected

    def read_body(
        self,
        body: bytes,
        settings: OtlpSettings,
        *,
        source: str,
        now_ms: int,
        told: TimesTold | None = None,
    ) -> tuple[MetricPush, Rejected]:
        """The same of a request in protobuf, of which nothing is parsed that was met before.

        Raises
        ------
        InputError
            As `otlp_wire.decode`.
        """
        refuse_crowded(body, ExportMetricsServiceRequest)
        columns = Columns(settings, self._books.of(source, "otlp"), now_ms, told)
        try:
            begins, ends, _ = split(body, 0x0A, 0, parts_max=MESSAGES_MAX)
        except InputError:  # what a parser makes of it counts
            request = parse(body, ExportMetricsServiceRequest)
            return self.read(request, settings, source=source, now_ms=now_ms, told=told)
        for begin, end in zip(begins, ends, strict=True):
            part = body[begin:end]
            key = resource_of(part)
            kept = columns.book.layouts.get((key, len(part))) if key else None
            layout = kept[0] if kept else None
            if layout is None or not self._again(columns, layout, part):
                self._with_care(columns, part, key, kept[1] if kept else 0)
        return columns.push(source), columns.rejected

    def _again(self, columns: Columns, layout: Layout, part: bytes) -> bool:
        """Take a resource's metrics by their layout, if it still fits."""
        if layout.settings is not columns.settings or not columns.fits(len(layout.slots)):
            return False
        found = layout.match(part)
        if found is None or not increments(found[1][layout.rising]).all():
            return False
        first = len(columns)
        columns.put_block((layout.slots, *found, layout.deltas))
        for family, kind, place in layout.kinds:
            columns.kinds.setdefault(family, (kind, first + place))
        for begin, end in layout.places.others:
            self._metric(columns, layout.base, parse(part[begin:end], Metric))
        return True

    def _with_care(self, columns: Columns, part: bytes, key: bytes | None, changes: int) -> None:
        """Parse a resource's metrics, and keep where their numbers stand."""
        own = Columns(
            columns.settings, columns.book, columns.now_ms, columns.told, columns.rejected
        )
        own.before = len(columns)
        of_resource = parse(part, ResourceMetrics, ExportMetricsServiceRequest)
        slots: list[int] = []
        deltas: list[bool] = []
        rising: list[bool] = []
        kinds: list[tuple[str, str, int]] = []
        for name, kind, plain, samples in self._resource(own, of_resource):
            if plain and samples:
                kinds.append((name, kind, len(slots)))
                slots += own.slots[-samples:]
                deltas += own.deltas[-samples:]
                rising += [kind == "counter" and each for each in own.deltas[-samples:]]
        for family, described in own.kinds.items():
            columns.kinds.setdefault(family, described)
        columns.put_all(own)
        # What is different each time is not worth keeping.
        if key is None or changes > _CHANGES_MAX:
            return
        try:
            found = places(part)
        except Unusual:
            return
        if len(found.times) == len(slots):
            layout = Layout(
                columns.settings, _base(of_resource.resource.attributes),
                np.frombuffer(part, dtype=np.uint8), found,
                np.array(slots, dtype=np.int64), np.array(deltas, dtype=np.bool_),
                np.array(rising, dtype=np.bool_), tuple(kinds),
            )  # fmt: skip
            columns.book.keep((key, len(part)), (layout, changes + 1), layout.nbytes)

    def _resource(
        self, columns: Columns, of_resource: ResourceMetrics
    ) -> Iterator[tuple[str, str, bool, int]]:
        """Take a resource's metrics; of each its family, what it is, whether its points are plain, and its samples."""
        base = _base(of_resource.resource.attributes)
        for of_scope in of_resource.scope_metrics:
            for metric in of_scope.metrics:
                before = len(columns)
                named = self._metric(columns, base, metric)
                if named:
                    plain = metric.WhichOneof("data") in ("gauge", "sum")
                    yield *named, plain, len(columns) - before

    def _metric(self, columns: Columns, base: Pairs, metric: Metric) -> tuple[str, str] | None:
        """Take a metric; its family, and what that is, if it has any."""
        shape = metric.WhichOneof("data")
        if shape is None:
            return None
        data = getattr(metric, shape)
        temporality = getattr(data, "aggregation_temporality", AGGREGATION_TEMPORALITY_CUMULATIVE)
        delta = temporality == AGGREGATION_TEMPORALITY_DELTA
        kind = _KINDS[shape]
        if shape == "sum":
            kind = "counter" if data.is_monotonic else "gauge"
        name = metric_name(metric.name, metric.unit, kind)
        points = data.data_points
        if not name:
            columns.rejected.note("a metric without a name", len(points))
            return None
        if not delta and temporality != AGGREGATION_TEMPORALITY_CUMULATIVE:
            why = f"{name}: an aggregation temporality that is neither cumulative nor delta"
            columns.rejected.note(why, len(points))
            return None
        before = len(columns)
        known = columns.book.groups.setdefault((base, name, shape), {})
        rising = delta and shape == "sum" and kind == "counter"
        of_family = _Family(base, name, metric.unit, shape, delta, rising, known)
        plain = shape in ("gauge", "sum") and columns.fits(len(points))
        for point in _plain(columns, of_family, points) if plain else points:
            try:
                self._point(columns, of_family, point)
            except NotTaken as refused:
                columns.rejected.note(f"{name}: {refused}")
        if len(columns) > before:
            columns.kinds.setdefault(name, (kind, before))
        return name, kind

    def _point(self, columns: Columns, of: _Family, point: Point) -> None:
        if len(point.attributes) > columns.settings.labels_max:
            raise NotTaken(f"more than {columns.settings.labels_max} attributes")
        steps, values = PARTS[of.shape](point, of.unit, columns.settings)
        if of.rising and not point.flags & 1 and not 0 <= values[0] < math.inf:
            raise NotTaken(NO_INCREMENT)
        if not columns.room(len(values)):
            return
        nano, ended = point.time_unix_nano, point.flags & 1
        told = list(getattr(point, "exemplars", ())[:EXEMPLARS_MAX])
        # What is left are the attributes: their bytes say which series it is, and cost a third of reading them.
        for changing in _CHANGING[of.shape]:
            point.ClearField(changing)
        own = point.SerializeToString()
        slots = of.known.get((own, steps))
        if slots is None:
            attributes = tuple([(kv.key, _text(kv)) for kv in point.attributes])
            made = tuple(_labels(of.base, of.name, attributes, of.shape, steps))
            slots = columns.book.append(made, 2 * len(own) + 500 + 100 * len(made))
            of.known[own, steps] = slots
        if told:
            series = columns.book.labels(slots[0])
            columns.exemplars += examples(told, series, nano // 1_000_000 or columns.now_ms)
        if ended:  # "no recorded value"
            columns.put(slots, [float(STALE_NAN)] * len(slots), nano, False)
        else:
            columns.put(slots, values, nano, of.delta)


@dataclass(frozen=True, slots=True)
class _Family:
    """What the points of a metric share, and the slots of those that are known by their attributes and steps."""

    base: Pairs
    name: str
    unit: str
    shape: str
    delta: bool
    rising: bool
    known: dict[tuple[bytes, tuple[float, ...]], tuple[int, ...]]


def _plain(columns: Columns, of: _Family, points: Iterable[Any]) -> Iterator[Any]:
    """Take the points of known series by their bytes; give those that are to be read with care."""
    slots: list[int] = []
    heads: list[bytes] = []
    for point in points:
        found = cut(point.SerializeToString())
        slot = of.known.get((found[1], ())) if found else None
        if found is None or slot is None:
            if heads:  # in their order: of two increments at one time the first counts
                columns.put_heads(slots, heads, delta=of.delta, rising=of.rising and of.name or "")
                slots, heads = [], []
            yield point
        else:
            slots.append(slot[0])
            heads.append(found[0])
    if heads:
        columns.put_heads(slots, heads, delta=of.delta, rising=of.rising and of.name or "")


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
        raise NotTaken(str(error)) from None


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
