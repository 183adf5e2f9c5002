"""What OTLP and OpenTelemetry's data model demand of points, ids and times: a row for each rule, and its other side."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    Metric,
)

from collectors.otlp_metrics import MetricReader
from collectors.otlp_push import TimesTold
from collectors.otlp_records import read_logs, read_traces
from collectors.otlp_settings import OtlpSettings
from collectors.settings import WatermarkSettings
from tests.collectors.test_otlp import NANO, NOW, door, pair, request

DELTA = AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA
CUMULATIVE = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE


def _one(shape: str, **fields: Any) -> Metric:
    metric = Metric(name="m")
    data = getattr(metric, shape)
    if shape in ("sum", "histogram", "exponential_histogram"):
        data.aggregation_temporality = fields.pop("temporality", 2)
    if shape == "sum":
        data.is_monotonic = fields.pop("monotonic", True)
    data.data_points.add(time_unix_nano=NANO, **fields)
    return metric


HALVES = [{"quantile": 0.5, "value": 1.0}]


@pytest.mark.parametrize(
    ("metric", "why"),
    [
        # What only grows does not shrink: an increment below zero would look like a counter's reset.
        (_one("sum", temporality=1, as_int=-1), "zero or more"),
        (_one("sum", temporality=1, as_double=math.nan), "zero or more"),
        (_one("sum", temporality=1, as_double=math.inf), "zero or more"),
        (_one("sum", temporality=1, as_int=0), ""),
        (_one("sum", temporality=1, monotonic=False, as_int=-1), ""),
        (_one("sum", temporality=0, as_int=1), "neither cumulative nor delta"),
        (_one("sum", temporality=9, as_int=1), "neither cumulative nor delta"),
        # The count is that of all buckets; without any there is only the count.
        (_one("histogram", count=3, sum=1, bucket_counts=[1, 2], explicit_bounds=[1]), ""),
        (_one("histogram", count=2, sum=1, bucket_counts=[1, 2], explicit_bounds=[1]), "3 observations in buckets, 2 in all"),
        (_one("histogram", count=4, sum=1, bucket_counts=[1, 2], explicit_bounds=[1]), "3 observations in buckets, 4 in all"),
        (_one("histogram", count=4, sum=math.nan, bucket_counts=[1, 2], explicit_bounds=[1]), ""),
        (_one("histogram", count=4, sum=1), ""),
        (_one("histogram", count=1, bucket_counts=[1, 0], explicit_bounds=[math.nan]), "must ascend"),
        (_one("histogram", count=1, bucket_counts=[1, 0], explicit_bounds=[-math.inf]), "must ascend"),
        (_one("exponential_histogram", count=3, sum=1, zero_count=1, positive={"bucket_counts": [2]}), ""),
        (_one("exponential_histogram", count=1, sum=1, positive={"bucket_counts": [2]}), "2 observations in buckets, 1 in all"),
        (_one("exponential_histogram", count=9, sum=1, negative={"bucket_counts": [2]}), "2 observations in buckets, 9 in all"),
        # Quantiles name series: each once, and none beyond all observations.
        (_one("summary", count=1, sum=1, quantile_values=HALVES), ""),
        (_one("summary", count=1, sum=1, quantile_values=HALVES * 2), "each once"),
        (_one("summary", count=1, sum=1, quantile_values=[{"quantile": 1.5, "value": 1}]), "between 0 and 1"),
        (_one("summary", count=1, sum=1, quantile_values=[{"quantile": math.nan, "value": 1}]), "between 0 and 1"),
        (_one("gauge", flags=1), ""),
        (_one("gauge"), "without a value"),
    ],
)  # fmt: skip
def test_what_the_data_model_demands_of_points(metric: Metric, why: str) -> None:
    body = request(metric).SerializeToString()
    reader = MetricReader()
    for _ in range(2):  # read with care, and by what was met before
        push, rejected = reader.read_body(body, OtlpSettings(), source="s", now_ms=NOW)
        assert (rejected.count, bool(len(push.slots))) == (bool(why), not why)
        assert why in rejected.message


def test_a_negative_increment_is_met_by_every_way_of_reading() -> None:
    reader, at = MetricReader(), door()

    times = itertools.count(NANO, 10**9)

    def send(*amounts: int) -> tuple[list[float], int]:
        when, metric = next(times), Metric(name="orders")
        metric.sum.is_monotonic, metric.sum.aggregation_temporality = True, DELTA
        for number, amount in enumerate(amounts):
            metric.sum.data_points.add(
                as_int=amount, time_unix_nano=when, attributes=[pair("n", number)]
            )
        body = request(metric).SerializeToString()
        push, rejected = reader.read_body(body, OtlpSettings(), source="s", now_ms=NOW)
        values = [batch.values.tolist() for batch in push.batches(at, NOW)]
        return (values[0] if values else []), rejected.count

    assert send(4, 5) == ([4.0, 5.0], 0)  # with care
    assert send(1, 1) == ([5.0, 6.0], 0)  # by the layout
    assert send(-2, 1) == ([7.0], 1)  # the layout fits but for the number: by known attributes
    assert send(1, -2) == ([6.0], 1)
    assert send(1, 1) == ([7.0, 8.0], 0)


def test_points_that_will_be_dropped_for_their_time_are_told_of() -> None:
    settings = WatermarkSettings(lateness_ms=60_000, future_ms=5_000)
    told, reader = TimesTold(settings, now_ms=NOW), MetricReader()

    def late(*ages_ms: int) -> int:
        plain, whole = Metric(name="load"), Metric(name="took", unit="s")
        whole.histogram.aggregation_temporality = CUMULATIVE
        for number, age_ms in enumerate(ages_ms):
            at, what = NANO - age_ms * 10**6, [pair("n", number)]
            plain.gauge.data_points.add(as_double=1.5, time_unix_nano=at, attributes=what)
            whole.histogram.data_points.add(
                count=1,
                bucket_counts=[1, 0],
                explicit_bounds=[1],
                time_unix_nano=at,
                attributes=what,
            )
        body = request(plain, whole).SerializeToString()
        push, rejected = reader.read_body(body, OtlpSettings(), source="s", now_ms=NOW, told=told)
        assert bool(rejected.count) == ("see watermark" in rejected.message)
        assert len(push.slots) == 5 * len(ages_ms), "the pipeline drops, and counts"
        return rejected.count

    for _ in range(3):  # with care, by known attributes, by the layout
        assert late(0, 60_000, -5_000) == 0
        assert late(60_001, 0, -5_001) == 4, "points, not samples"
    seconds = request(_one("gauge", as_int=1))
    seconds.resource_metrics[0].scope_metrics[0].metrics[0].gauge.data_points[0].time_unix_nano = NOW // 1000 * 10**6  # fmt: skip
    _, rejected = reader.read(seconds, OtlpSettings(), source="s", now_ms=NOW, told=told)
    assert rejected.count == 0, "what is repaired is not dropped"


def test_exemplars_of_points_name_their_traces() -> None:
    plain, whole = Metric(name="load"), Metric(name="took", unit="s")
    whole.histogram.aggregation_temporality = CUMULATIVE
    point = plain.gauge.data_points.add(as_double=1.5, time_unix_nano=NANO)
    point.exemplars.add(as_int=3, trace_id=b"t" * 16)
    point.exemplars.add(as_double=1, trace_id=b"short")
    point.exemplars.add(as_double=1)
    bucketed = whole.histogram.data_points.add(count=1, bucket_counts=[1, 0], explicit_bounds=[1], time_unix_nano=NANO)  # fmt: skip
    for _ in range(9):
        bucketed.exemplars.add(as_double=0.5, trace_id=b"u" * 16, time_unix_nano=NANO - 10**9)
    body, reader = request(plain, whole).SerializeToString(), MetricReader()
    for _ in range(3):  # with care, and by what was met
        push, rejected = reader.read_body(body, OtlpSettings(), source="s", now_ms=NOW)
        first, *others = push.exemplars
        assert (first.trace_id, first.value, first.time_ms) == ((b"t" * 16).hex(), 3.0, NOW)
        assert [(one.value, one.time_ms) for one in others] == [(0.5, NOW - 1_000)] * 4
        assert {one.series["service"] for one in push.exemplars} == {"cart"}
        assert rejected.count == 0


@pytest.mark.parametrize(
    ("trace_id", "span_id", "fine"),
    [
        (b"t" * 16, b"s" * 8, True),
        (b"\0" * 15 + b"t", b"\0" * 7 + b"s", True),
        (b"", b"s" * 8, False),
        (b"t" * 16, b"", False),
        (b"\0" * 16, b"s" * 8, False),
        (b"t" * 16, b"\0" * 8, False),
        (b"t" * 15, b"s" * 8, False),
        (b"t" * 17, b"s" * 8, False),
        (b"t" * 16, b"s" * 9, False),
    ],
)
def test_ids_of_another_length_or_of_zeros_are_none(
    trace_id: bytes, span_id: bytes, fine: bool
) -> None:
    made = ExportTraceServiceRequest()
    of_resource = made.resource_spans.add()
    of_resource.resource.attributes.append(pair("service.name", "cart"))
    of_resource.scope_spans.add().spans.add(kind=2, trace_id=trace_id, span_id=span_id, parent_span_id=span_id)  # fmt: skip
    push, rejected = read_traces(made, OtlpSettings(), source="s", now_ms=NOW)
    assert (len(push.spans), rejected.count) == (fine, not fine)
    logs = ExportLogsServiceRequest()
    logs.resource_logs.add().scope_logs.add().log_records.add(trace_id=trace_id).body.string_value = "x"  # fmt: skip
    lines, none = read_logs(logs, OtlpSettings(), source="s")
    # A log record is one with or without its trace.
    assert none.count == 0
    assert lines.lines[0].trace_id == (trace_id.hex() if len(trace_id) == 16 and any(trace_id) else "")  # fmt: skip
