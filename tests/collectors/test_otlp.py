"""OTLP's metrics, logs and spans: what becomes of each kind, against the obvious way to do it."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter, defaultdict
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality, Metric

from collectors.otlp_buckets import STEPS, bounds, cumulate
from collectors.otlp_deltas import Deltas
from collectors.otlp_metrics import MetricReader
from collectors.otlp_names import metric_name
from collectors.otlp_records import read_logs, read_traces
from collectors.otlp_settings import OtlpSettings
from collectors.otlp_wire import crowded, text_of
from collectors.settings import WatermarkSettings
from collectors.spans import BOUNDS, Span, SpanBook, SpanKind
from collectors.watermark import Watermark
from model.batch import is_stale
from model.series import SeriesIndex

NOW = 1_700_000_000_000
NANO = NOW * 1_000_000
CUMULATIVE = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
DELTA = AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA


def pair(key: str, value: Any) -> KeyValue:
    kind = {str: "string_value", int: "int_value", float: "double_value", bool: "bool_value"}
    return KeyValue(key=key, value=AnyValue(**{kind[type(value)]: value}))


def request(*metrics: Metric, **resource: str) -> ExportMetricsServiceRequest:
    made = ExportMetricsServiceRequest()
    of_resource = made.resource_metrics.add()
    resource = {"service_name": "cart", **resource}
    of_resource.resource.attributes.extend(
        pair(name.replace("_", "."), value) for name, value in resource.items()
    )
    of_resource.scope_metrics.add().metrics.extend(metrics)
    return made


def door(**options: Any) -> Any:
    index = SeriesIndex(**options)
    samples = Watermark.for_samples(WatermarkSettings())
    book = SpanBook(OtlpSettings())
    return SimpleNamespace(index=index, samples=samples, deltas=Deltas(index), spans=book)


def taken(made: ExportMetricsServiceRequest, at: Any = None, **options: Any) -> dict[str, float]:
    """Values by series, as the pipeline takes them."""
    at = at or door()
    push, _ = MetricReader().read(made, OtlpSettings(**options), source="s", now_ms=NOW)
    found: dict[str, float] = {}
    for batch in push.batches(at, NOW):
        for row, value in zip(batch.rows.tolist(), batch.values.tolist(), strict=True):
            found[str(at.index.labels(row)).replace(', job="cart", service="cart"', "")] = value
    return found


def test_a_gauge_and_sums() -> None:
    gauge, up, down = Metric(name="room.temperature", unit="Cel"), Metric(name="orders"), Metric(name="in.flight")  # fmt: skip
    gauge.gauge.data_points.add(as_double=21.5, time_unix_nano=NANO, attributes=[pair("room.no", 4)])  # fmt: skip
    up.sum.is_monotonic, up.sum.aggregation_temporality = True, CUMULATIVE
    up.sum.data_points.add(as_int=7, time_unix_nano=NANO)
    down.sum.aggregation_temporality = CUMULATIVE
    down.sum.data_points.add(as_int=3, time_unix_nano=NANO)
    at = door()
    assert taken(request(gauge, up, down), at) == {
        '{__name__="room_temperature_celsius", job="cart", room_no="4", service="cart"}': 21.5,
        '{__name__="orders_total"}': 7.0,
        '{__name__="in_flight"}': 3.0,
    }
    kinds = [at.index.kind(name) for name in ("room_temperature_celsius", "orders_total", "in_flight")]  # fmt: skip
    assert kinds == ["gauge", "counter", "gauge"]


def test_a_histogram_is_cumulative_in_its_buckets_too() -> None:
    metric = Metric(name="http.server.request.duration", unit="s")
    metric.histogram.aggregation_temporality = CUMULATIVE
    metric.histogram.data_points.add(
        count=6, sum=2.5, bucket_counts=[1, 2, 3], explicit_bounds=[0.1, 1], time_unix_nano=NANO
    )
    name = "http_server_request_duration_seconds"
    assert taken(request(metric)) == {
        f'{{__name__="{name}_bucket", job="cart", le="0.1", service="cart"}}': 1.0,
        f'{{__name__="{name}_bucket", job="cart", le="1", service="cart"}}': 3.0,
        f'{{__name__="{name}_bucket", job="cart", le="+Inf", service="cart"}}': 6.0,
        f'{{__name__="{name}_count"}}': 6.0,
        f'{{__name__="{name}_sum"}}': 2.5,
    }


def test_a_summary_and_a_series_that_ends() -> None:
    metric, ended = Metric(name="wait", unit="ms"), Metric(name="load")
    point = metric.summary.data_points.add(count=2, sum=3.0, time_unix_nano=NANO)
    point.quantile_values.add(quantile=0.5, value=1.5)
    ended.gauge.data_points.add(flags=1, time_unix_nano=NANO)
    found = taken(request(metric, ended))
    assert (
        found['{__name__="wait_milliseconds", job="cart", quantile="0.5", service="cart"}'] == 1.5
    )
    assert found['{__name__="wait_milliseconds_count"}'] == 2.0
    assert is_stale(np.array([found['{__name__="load"}']])).all()


@given(st.lists(st.integers(0, 1000), max_size=200), st.integers(-2, 8), st.integers(-60, 60))
@settings(deadline=None)
def test_twin_exponential_buckets_are_those_that_end_below_a_bound(
    counts: list[int], scale: int, offset: int
) -> None:
    made = cumulate("s", scale=scale, zero=2, below=1, offset=offset, counts=counts)
    ends = [2.0 ** ((offset + n + 1) * 2.0**-scale) for n in range(len(counts))]
    naive = [
        3 + sum(c for end, c in zip(ends, counts, strict=True) if end <= bound * (1 + 1e-9))
        for bound in bounds("s")
    ]
    assert made == naive and len(made) == STEPS
    assert made == sorted(made)


steps = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 6), st.floats(0, 1e6), st.booleans()), max_size=30
)


@given(st.lists(steps, max_size=4))
@settings(deadline=None)
def test_twin_increments_add_up_each_once(pushes: list[list[tuple[int, int, float, bool]]]) -> None:
    deltas = Deltas(SeriesIndex())
    totals: dict[int, float] = defaultdict(float)
    last: dict[int, int] = {}
    for push in pushes:
        push = sorted(push, key=lambda one: one[1])
        rows = np.array([row for row, *_ in push], dtype=np.int32)
        times = np.array([time for _, time, *_ in push], dtype=np.int64)
        values = np.array([value for _, _, value, _ in push])
        which = np.array([delta for *_, delta in push], dtype=np.bool_)
        made, fresh = deltas.add(rows, times, values, which)
        for at, (row, time, value, delta) in enumerate(push):
            new = not delta or time > last.get(row, -1)
            if delta and new:
                totals[row] += value
                last[row] = time
            assert bool(fresh[at]) is new
            assert made[at] == pytest.approx(totals[row] if delta else value)


def test_increments_sent_twice_count_once() -> None:
    metric = Metric(name="orders")
    metric.sum.is_monotonic, metric.sum.aggregation_temporality = True, DELTA
    metric.sum.data_points.add(as_int=5, time_unix_nano=NANO)
    at = door()
    assert taken(request(metric), at) == {'{__name__="orders_total"}': 5.0}
    assert taken(request(metric), at) == {}
    metric.sum.data_points[0].time_unix_nano += 10**9
    assert taken(request(metric), at) == {'{__name__="orders_total"}': 10.0}


def test_what_cannot_be_used_is_rejected_with_its_reason_and_the_rest_taken() -> None:
    bad, none, good = Metric(name="bad"), Metric(name="!"), Metric(name="good")
    bad.histogram.aggregation_temporality = CUMULATIVE
    for bounds_ in ([1.0], [2.0, 1.0, 3.0], [float("nan"), 1.0, 2.0]):
        bad.histogram.data_points.add(explicit_bounds=bounds_, bucket_counts=[1, 1, 1, 1])
    bad.histogram.data_points.add(attributes=[pair(f"a{n}", "x") for n in range(99)])
    none.gauge.data_points.add(as_int=1)
    good.gauge.data_points.add(as_int=1)
    made = request(bad, none, good)
    push, rejected = MetricReader().read(made, OtlpSettings(), source="s", now_ms=NOW)
    assert rejected.count == 5 and len(push.series) == 1
    for said in ("do not fit", "must ascend", "more than 40 attributes", "without a name"):
        assert said in rejected.message


def test_scales_that_overflow_are_rejected() -> None:
    metric = Metric(name="wide")
    metric.exponential_histogram.aggregation_temporality = CUMULATIVE
    for scale in (-(2**31), 2**31 - 1):
        point = metric.exponential_histogram.data_points.add(scale=scale)
        point.positive.bucket_counts.append(1)
    metric.exponential_histogram.data_points.add(scale=20).positive.offset = 2**31 - 1
    _, rejected = MetricReader().read(request(metric), OtlpSettings(), source="s", now_ms=NOW)
    assert rejected.count == 2


def test_a23_random_labels_take_one_sources_places_only() -> None:
    metric = Metric(name="hits")
    for number in range(500):
        metric.gauge.data_points.add(
            as_int=1, time_unix_nano=NANO, attributes=[pair("id", str(number))]
        )
    at = door(per_source_max=100)
    assert len(taken(request(metric), at)) == 100
    assert at.index.refused == 400


def test_a23_points_beyond_the_limit_are_rejected() -> None:
    metric = Metric(name="hits")
    for number in range(50):
        metric.gauge.data_points.add(as_int=number)
    push, rejected = MetricReader().read(
        request(metric), OtlpSettings(samples_max=20), source="s", now_ms=NOW
    )
    assert (len(push.series), rejected.count) == (20, 30)


def test_attributes_do_not_pass_for_the_labels_of_their_resource() -> None:
    metric = Metric(name="hits")
    attributes = [pair("service", "oth\0er"), pair("le", "1"), pair("__name__", "up")]
    metric.gauge.data_points.add(as_int=1, attributes=attributes)
    push, _ = MetricReader().read(request(metric), OtlpSettings(), source="s", now_ms=NOW)
    assert push.series[0].get("service") == "cart"
    assert push.series[0].get("exported_service") == "other"
    assert push.series[0].get("__name__") == "hits" and "le" not in push.series[0]


@given(st.text(max_size=60), st.text(max_size=12), st.sampled_from(["counter", "gauge"]))
def test_any_name_becomes_one_that_prometheus_takes(name: str, unit: str, kind: str) -> None:
    made = metric_name(name, unit, kind)
    assert made == "" or made.replace("_", "a").replace(":", "a").isalnum()
    assert not made[:1].isdigit() and made.isascii()


def test_a03_values_within_values_are_cut() -> None:
    value = AnyValue(string_value="x")
    for _ in range(30):
        outer = AnyValue()
        outer.array_value.values.append(value)
        value = outer
    assert text_of(value) == "[[[[[[…]]]]]]"


@given(st.binary(max_size=300))
def test_any_bytes_are_counted_without_an_end(body: bytes) -> None:
    assert crowded(body, ExportMetricsServiceRequest.DESCRIPTOR, 200) in (True, False)


@given(st.integers(1, 40))
def test_twin_messages_are_counted_as_they_are(points: int) -> None:
    metric = Metric(name="m")
    for _ in range(points):
        metric.gauge.data_points.add(attributes=[pair("a", "b")])
    made = request(metric)
    body, shape = made.SerializeToString(), made.DESCRIPTOR
    # The resource's metrics, resource, attribute and its value, scope, metric, gauge, and of each point three.
    inside = 7 + 3 * points
    assert crowded(body, shape, inside - 1) and not crowded(body, shape, inside)


def test_log_records_become_lines() -> None:
    made = ExportLogsServiceRequest()
    of_resource = made.resource_logs.add()
    of_resource.resource.attributes.append(pair("service.name", "mail"))
    records = of_resource.scope_logs.add().log_records
    record = records.add(time_unix_nano=NANO, severity_number=17, trace_id=bytes(range(16)))
    record.body.string_value = "the relay\nrefuses"
    attributes = [pair("exception.type", "IOError"), pair("exception.message", "no"), pair("took", 3)]  # fmt: skip
    record.attributes.extend(attributes)
    records.add(observed_time_unix_nano=NANO, severity_text="WARN", event_name="started")
    push, rejected = read_logs(made, OtlpSettings(), source="s")
    one, other = push.lines
    assert one.message == "the relay\\nrefuses: IOError: no" and one.fields == "took=3"
    assert (one.severity, one.service, one.time_ms) == (17, "mail", NOW)
    assert one.trace_id == "000102030405060708090a0b0c0d0e0f"
    assert (other.severity, other.message, other.time_ms) == (13, "started", NOW)
    push, rejected = read_logs(made, OtlpSettings(records_max=1), source="s")
    assert (len(push.lines), rejected.count) == (1, 1)


def test_spans_that_answer_and_that_call() -> None:
    made = ExportTraceServiceRequest()
    of_resource = made.resource_spans.add()
    of_resource.resource.attributes.append(pair("service.name", "cart"))
    spans = of_resource.scope_spans.add().spans
    ids = {"trace_id": b"t" * 16, "start_time_unix_nano": NANO, "end_time_unix_nano": NANO + 10**9}
    served = spans.add(kind=2, span_id=b"1" * 8, **ids)
    served.attributes.append(pair("http.response.status_code", 503))
    spans.add(kind=3, span_id=b"2" * 8, **ids).attributes.append(pair("peer.service", "pg"))
    spans.add(kind=1, span_id=b"3" * 8, **ids)
    spans.add(kind=2)
    push, rejected = read_traces(made, OtlpSettings(), source="s", now_ms=NOW)
    one, other = push.spans
    assert (one.failed, one.seconds, one.service) == (True, 1.0, "cart")
    assert (other.peer, other.failed, rejected.count) == ("pg", False, 1)


calls = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from("bcd"), st.floats(0, 40), st.booleans()),
    max_size=30,
)


@given(calls, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_twin_calls_pair_in_whatever_order_they_come(made: list[Any], random: Any) -> None:
    spans = []
    for number, (caller, callee, seconds, failed) in enumerate(made):
        key = number.to_bytes(8, "big")
        spans += [
            Span(caller, SpanKind.CLIENT, key, b"c", b"", NOW, seconds, failed),
            Span(callee, SpanKind.SERVER, key, b"s", b"c", NOW, seconds, failed),
        ]
    random.shuffle(spans)
    book, index = SpanBook(OtlpSettings()), SeriesIndex()
    for span in spans:
        book.take([span], source="s", now_ms=NOW)
    batches = book.samples(index, NOW)
    found = {
        index.labels(row): value
        for batch in batches
        for row, value in zip(batch.rows.tolist(), batch.values.tolist(), strict=True)
    }
    edges = Counter((caller, callee) for caller, callee, *_ in made if caller != callee)
    name = "traces_service_graph_request_total"
    seen = {(ls["client"], ls["server"]): v for ls, v in found.items() if ls["__name__"] == name}
    assert seen == edges
    for service in {callee for _, callee, *_ in made}:
        took = [seconds for _, callee, seconds, _ in made if callee == service]
        for bound in BOUNDS:
            of = [v for ls, v in found.items() if (ls.get("service"), ls.get("le")) == (service, str(bound))]  # fmt: skip
            assert of == [sum(seconds <= bound for seconds in took)]
    assert bisect_left(BOUNDS, math.inf) == len(BOUNDS)


def test_a23_spans_of_random_services_and_traces_are_bounded() -> None:
    limits = OtlpSettings(services_max=5, edges_max=5, spans_waiting_max=50)
    book = SpanBook(limits)
    for number in range(500):
        key = number.to_bytes(8, "big")
        spans = [
            Span(f"s{number}", SpanKind.SERVER, key, b"s", b"p", NOW, 0.1, False),
            Span(f"c{number}", SpanKind.CLIENT, key, b"c", b"", NOW, 0.1, False, peer=f"x{number}"),
        ]
        book.take(spans, source="bad", now_ms=NOW)
    book.take([Span("good", SpanKind.SERVER, b"k", b"s", b"", NOW, 0.1, False)], source="good", now_ms=NOW)  # fmt: skip
    counters = book.counters()
    assert counters["tocsin_spans_waiting"] <= 50 and counters["tocsin_spans_edges"] <= 5
    assert counters["tocsin_spans_refused_total"] >= 480
    index = SeriesIndex()
    (bad, good) = book.samples(index, NOW)
    assert any(index.labels(row).get("service") == "good" for row in good.rows.tolist())


def test_a_callee_without_spans_is_known_by_the_callers_word() -> None:
    book, index = SpanBook(OtlpSettings()), SeriesIndex()
    call = Span("cart", SpanKind.CLIENT, b"t", b"1", b"", NOW, 0.1, False, peer="pg")
    book.take([call], source="s", now_ms=NOW)
    assert not [b for b in book.samples(index, NOW) if len(b)]
    book.take([], source="s", now_ms=NOW + 61_000)
    (batch,) = book.samples(index, NOW + 61_000)
    assert index.labels(int(batch.rows[0])).get("server") == "pg"


def test_a_source_that_sends_nothing_any_more_is_not_said_to_have_no_requests() -> None:
    book, index = SpanBook(OtlpSettings()), SeriesIndex()
    served = Span("cart", SpanKind.SERVER, b"t", b"1", b"", NOW, 0.1, False)
    book.take([served], source="s", now_ms=NOW)
    assert len(book.samples(index, NOW)) == 1
    assert len(book.samples(index, NOW + 59_000)) == 1
    assert book.samples(index, NOW + 70_000) == []
