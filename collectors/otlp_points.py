"""Single points of OTLP metrics: their steps (bounds, quantiles) and values, where the data model allows them.

Source: the OpenTelemetry metrics data model; `opentelemetry/proto/metrics/v1/metrics.proto`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate
from typing import Any

from opentelemetry.proto.metrics.v1.metrics_pb2 import Exemplar as OtlpExemplar
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    ExponentialHistogramDataPoint,
    HistogramDataPoint,
    NumberDataPoint,
    SummaryDataPoint,
)

from collectors.exemplars import Exemplar
from collectors.otlp_buckets import bounds, cumulate
from collectors.otlp_settings import OtlpSettings
from model.labels import Labels

_SCALE_MIN, _SCALE_MAX = -10, 20
EXEMPLARS_MAX = 4
"""Of one point; the first ones."""
Point = NumberDataPoint | HistogramDataPoint | ExponentialHistogramDataPoint | SummaryDataPoint


class NotTaken(Exception):
    """A point that cannot be used, and why."""


def examples(told: Iterable[OtlpExemplar], series: Labels, time_ms: int) -> Iterator[Exemplar]:
    """The exemplars of a point that name a trace; `time_ms` is the point's, for those that have none."""
    for one in told:
        if len(one.trace_id) == 16 and any(one.trace_id):
            value = float(one.as_int) if one.WhichOneof("value") == "as_int" else one.as_double
            trace = Labels.of({"trace_id": one.trace_id.hex()})
            yield Exemplar(series, trace, one.time_unix_nano // 1_000_000 or time_ms, value)


def _single(
    point: NumberDataPoint, unit: str, settings: OtlpSettings
) -> tuple[tuple[float, ...], list[float]]:
    which = point.WhichOneof("value")
    if which is None and not point.flags & 1:
        raise NotTaken("a point without a value")
    return (), [float(point.as_int) if which == "as_int" else point.as_double]


def _histogram(
    point: HistogramDataPoint, unit: str, settings: OtlpSettings
) -> tuple[tuple[float, ...], list[float]]:
    steps, counts = tuple(point.explicit_bounds), point.bucket_counts
    if len(counts) > settings.buckets_max:
        raise NotTaken(f"more than {settings.buckets_max} buckets")
    if len(counts) != len(steps) + 1 and (counts or steps):
        raise NotTaken(f"{len(steps)} bounds do not fit {len(counts)} buckets")
    ascending = zip((-math.inf, *steps), steps, strict=False)
    if any(not a < b for a, b in ascending):  # nor is one that is no number
        raise NotTaken("bounds must ascend, and be numbers")
    if counts:
        _check_count(sum(counts), point)
    upto = list(map(float, accumulate(counts)))[: len(steps)]
    return _with_totals(steps, upto, point.count, point)


def _exponential(
    point: ExponentialHistogramDataPoint, unit: str, settings: OtlpSettings
) -> tuple[tuple[float, ...], list[float]]:
    positive = point.positive
    if not _SCALE_MIN <= point.scale <= _SCALE_MAX:
        raise NotTaken(f"the scale {point.scale} is not within {_SCALE_MIN} and {_SCALE_MAX}")
    if len(positive.bucket_counts) > 10 * settings.buckets_max:
        raise NotTaken(f"more than {10 * settings.buckets_max} buckets")
    total = point.zero_count + sum(positive.bucket_counts) + sum(point.negative.bucket_counts)
    _check_count(total, point)
    upto = cumulate(
        unit,
        scale=point.scale,
        zero=point.zero_count,
        below=sum(point.negative.bucket_counts),
        offset=positive.offset,
        counts=positive.bucket_counts,
    )
    return _with_totals(bounds(unit), list(map(float, upto)), point.count, point)


def _check_count(total: int, point: HistogramDataPoint | ExponentialHistogramDataPoint) -> None:
    # Observations that are no number are in the count and in no bucket; the sum tells that there were some.
    if total > point.count or (total < point.count and not math.isnan(point.sum)):
        raise NotTaken(f"{total} observations in buckets, {point.count} in all")


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
        raise NotTaken(f"more than {settings.buckets_max} quantiles")
    steps = tuple(value.quantile for value in found)
    if not all(0 <= step <= 1 for step in steps) or len(set(steps)) < len(steps):
        raise NotTaken("quantiles must lie between 0 and 1, each once")
    return steps, [*(value.value for value in found), float(point.count), point.sum]


PARTS: dict[str, Callable[[Any, str, OtlpSettings], tuple[tuple[float, ...], list[float]]]] = {
    "gauge": _single,
    "sum": _single,
    "histogram": _histogram,
    "exponential_histogram": _exponential,
    "summary": _summary,
}
