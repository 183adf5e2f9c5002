"""What messages of a site's topics hold, format by format; what is malformed is set aside, alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import cramjam
import numpy as np
import pytest
from google.protobuf.json_format import MessageToJson
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collectors.accepting import Accepting
from collectors.kafka_formats import reader_of
from collectors.kafka_messages import Message, Read, Reader
from collectors.kafka_settings import KafkaFormat, KafkaSourceSettings
from collectors.logbatches import LogBatches
from collectors.masking import Masking
from collectors.otlp_deltas import Deltas
from collectors.otlp_push import MetricPush
from collectors.otlp_records import LogPush
from collectors.otlp_settings import OtlpSettings
from collectors.pushed import Door
from collectors.remote_messages import Series1
from collectors.senders import Senders
from collectors.settings import IntakeLimits, WatermarkSettings
from collectors.spans import SpanBook
from collectors.templates import TemplateMiner
from collectors.watermark import Watermark
from model.alert import Alert, AlertStatus
from model.batch import LogBatch, MetricBatch
from model.change import Change
from model.codec import decode
from model.incident import Act
from model.journal import JournalKind
from model.series import SeriesIndex
from store import alerts as alert_rows
from store.store import Store

NOW = 1_800_000_000_000
KINDS = {JournalKind.ALERT: Alert, JournalKind.CHANGE: Change, JournalKind.ACT: Act}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(f"sqlite:///{tmp_path}/tocsin.db", now_ms=NOW)
    yield opened
    opened.close()


class Topic:
    """A topic's messages as they come."""

    def __init__(self, store: Store, form: str, **settings: Any) -> None:
        chosen: dict[str, Any] = {
            "name": "bus",
            "topics": ("shop.logs",),
            "format": KafkaFormat(form),
        }
        self.reader: Reader = reader_of(
            KafkaSourceSettings(**{**chosen, **settings}),
            accepting=Accepting(lambda _: Future(), store),
            otlp=OtlpSettings(),
            limits=IntakeLimits(),
        )
        bounds = WatermarkSettings()
        logs = LogBatches(Masking(()), TemplateMiner(), Watermark.for_logs(bounds))
        index = SeriesIndex()
        self.door = Door(
            index, Watermark.for_samples(bounds), logs, Deltas(index), SpanBook(OtlpSettings()), Senders()
        )  # fmt: skip

    def read(self, *values: bytes | str | dict[str, Any], headers: Any = ()) -> Read:
        written = [
            v if isinstance(v, bytes) else (v if isinstance(v, str) else json.dumps(v)).encode()
            for v in values
        ]
        messages = [Message("shop.logs", 3, 7 + n, v, headers) for n, v in enumerate(written)]
        return self.reader.read(messages, NOW)

    def batches(self, read: Read) -> list[MetricBatch | LogBatch]:
        return [batch for push in read.pushes for batch in push.batches(self.door, NOW)]


def lines_of(read: Read) -> list[tuple[str, str, int]]:
    return [
        (line.service, line.message, line.severity)
        for push in read.pushes
        if isinstance(push, LogPush)
        for line in push.lines
    ]


def test_lines_plain_json_and_several_in_one(store: Store) -> None:
    topic = Topic(store, "lines")
    read = topic.read(
        "2027-01-15T08:00:00Z [ERROR] disk is full",
        {"level": "warn", "msg": "slow", "service": "cart"},
        "one\ntwo\n\n",
    )
    assert lines_of(read) == [
        ("shop.logs", "[ERROR] disk is full", 17), ("cart", "slow", 13), ("shop.logs", "one", 0), ("shop.logs", "two", 0),
    ]  # fmt: skip
    assert sum(len(batch) for batch in topic.batches(read)) == 4
    assert lines_of(Topic(store, "lines", service="mail").read("x")) == [("mail", "x", 0)]


def test_only_a_line_feed_ends_a_line(store: Store) -> None:
    # JSON may hold these as they are; a line that is cut there would be two that say nothing.
    odd = json.dumps({"level": "error", "msg": "a\u2028b\x85c"}, ensure_ascii=False)
    read = Topic(store, "lines").read(odd + "\r\nx\x0cy")
    assert lines_of(read) == [
        ("shop.logs", "a\\u2028b\\x85c", 17),
        ("shop.logs", "x\\x0cy", 0),
    ]


def test_a_document_as_filebeat_writes_it(store: Store) -> None:
    document = {
        "@timestamp": "2027-01-15T07:59:58.250Z", "@metadata": {"beat": "filebeat", "version": "8.15.0"},
        "message": "no stock", "log": {"level": "error", "file": {"path": "/var/log/cart.log"}},
        "host": {"name": "web1"}, "service": {"name": "cart"}, "http": {"response": {"status_code": 503}},
    }  # fmt: skip
    read = Topic(store, "documents").read(document)
    assert lines_of(read) == [("cart", "no stock", 17)]
    (push,) = read.pushes
    assert isinstance(push, LogPush)
    assert push.lines[0].time_ms == NOW - 1_750 and "status_code=503" in push.lines[0].fields
    own = Topic(store, "documents", fields={"message": "said", "service": "app"})
    assert lines_of(own.read({"said": "hello", "app": "pay"})) == [("pay", "hello", 0)]


def sample(value: object = "1.5", **changes: Any) -> dict[str, Any]:
    """A message as prometheus-kafka-adapter makes it."""
    return {
        "timestamp": "2027-01-15T08:00:00Z", "value": value, "name": "up",
        "labels": {"__name__": "up", "job": "shop", "instance": "a:80"}, **changes,
    }  # fmt: skip


def test_samples_as_the_adapter_writes_them(store: Store) -> None:
    topic = Topic(store, "prometheus_json")
    read = topic.read(
        sample(), sample("NaN"), sample("+Inf", timestamp="2027-01-15T08:00:15Z"), sample(3)
    )
    (push,) = read.pushes
    assert isinstance(push, MetricPush)
    assert np.array_equal(push.values, [1.5, np.nan, np.inf, 3.0], equal_nan=True)
    assert push.times_ms.tolist() == [NOW, NOW, NOW + 15_000, NOW]
    assert {str(series) for series in push.series} == {
        '{__name__="up", instance="a:80", job="shop"}'
    }
    (batch,) = topic.batches(read)
    assert len(batch) == 4


def write_request() -> bytes:
    """Remote write 1.0 with one series and one sample."""
    series = Series1()
    for name, value in (("__name__", "up"), ("job", "shop")):
        series.labels.add(name=name.encode(), value=value.encode())
    series.samples.add(value=1.0, timestamp=NOW)
    data = series.SerializeToString()
    return bytes([0x0A, len(data)]) + data


@pytest.mark.parametrize("packed", [True, False])
def test_remote_write_packed_or_bare(store: Store, packed: bool) -> None:
    topic = Topic(store, "remote_write")
    body = write_request()
    read = topic.read(bytes(cramjam.snappy.compress_raw(body)) if packed else body)
    assert read.poison == ()
    (batch,) = topic.batches(read)
    assert isinstance(batch, MetricBatch) and batch.values.tolist() == [1.0]


def otlp_metrics() -> ExportMetricsServiceRequest:
    request = ExportMetricsServiceRequest()
    scope = request.resource_metrics.add().scope_metrics.add()
    point = scope.metrics.add(name="queue.depth").gauge.data_points.add(as_double=4.0)
    point.time_unix_nano = NOW * 1_000_000
    return request


@pytest.mark.parametrize("as_json", [True, False])
def test_otlp_in_both_encodings(store: Store, as_json: bool) -> None:
    def written(message: Any) -> bytes:
        return MessageToJson(message).encode() if as_json else message.SerializeToString()

    topic = Topic(store, "otlp_metrics")
    (batch,) = topic.batches(topic.read(written(otlp_metrics())))
    assert isinstance(batch, MetricBatch) and batch.values.tolist() == [4.0]
    logs = ExportLogsServiceRequest()
    record = logs.resource_logs.add().scope_logs.add().log_records.add(severity_number=17)
    record.body.string_value = "no stock"
    assert lines_of(Topic(store, "otlp_logs").read(written(logs))) == [("", "no stock", 17)]
    traces = ExportTraceServiceRequest()
    spans = traces.resource_spans.add()
    spans.resource.attributes.add(key="service.name").value.string_value = "cart"
    span = spans.scope_spans.add().spans.add(kind=2, name="GET")
    span.trace_id, span.span_id = b"1" * 16, b"2" * 8
    span.start_time_unix_nano, span.end_time_unix_nano = NOW * 1_000_000, (NOW + 5) * 1_000_000
    body = written(traces)
    if as_json:  # ids in hexadecimal, as OTLP has it and protobuf's JSON has not
        told = json.loads(body)
        (one,) = told["resourceSpans"][0]["scopeSpans"][0]["spans"]
        one |= {"traceId": (b"1" * 16).hex(), "spanId": (b"2" * 8).hex(), "kind": 2}
        body = json.dumps(told).encode()
    topic = Topic(store, "otlp_traces")
    (push,) = topic.read(body).pushes
    assert push.batches(topic.door, NOW) == ()
    assert topic.door.spans.counters()["tocsin_spans_total"] == 1


def entries(read: Read) -> list[Any]:
    return [decode(KINDS[entry.kind], entry.body) for entry in read.entries]


def test_alerts_as_alertmanagers_webhook(store: Store) -> None:
    webhook = {"version": "4", "alerts": [
        {"status": "firing", "labels": {"alertname": "Down", "service": "cart"}, "startsAt": "2027-01-15T07:59:00Z"},
        {"status": "firing", "labels": 5},
    ]}  # fmt: skip
    read = Topic(store, "alertmanager").read(webhook)
    (alert,) = entries(read)  # the well-formed one is taken
    assert (alert.source, alert.name, alert.starts_ms) == ("bus", "Down", NOW - 60_000)
    assert "/alerts/1/labels" in read.poison[0].why


def event(kind: str, **data: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": "1",
        "source": "/ci",
        "type": kind,
        "subject": "disk",
        "data": data,
    }


def test_cloudevents_structured_and_binary(store: Store) -> None:
    topic = Topic(store, "cloudevents")
    fired = topic.read(
        event("acme.alert.firing.v1", name="disk full", severity="critical", service="db")
    )
    (alert,) = entries(fired)
    assert (alert.name, alert.service, alert.source) == ("disk full", "db", "bus")
    headers = (
        ("ce_specversion", b"1.0"), ("ce_id", b"2"), ("ce_source", b"/ci"), ("ce_type", b"acme.change.v1"),
        ("content-type", b"application/json"),
    )  # fmt: skip
    (change,) = entries(topic.read({"service": "db", "title": "db 2"}, headers=headers))
    assert isinstance(change, Change) and change.title == "db 2"
    # Kafka's binding writes the values of headers as they are: nothing is quoted or encoded.
    fires = (
        *headers[:2],
        ("ce_source", b"/m"),
        ("ce_type", b"a.alert.firing"),
        ("ce_subject", b'"%41"'),
    )
    (other,) = entries(Topic(store, "cloudevents").read({"name": "Full"}, headers=fires))
    assert other.labels["dedup_key"] == '/m "%41"'
    # Resolved by the key alone; acknowledged once it has an incident.
    acknowledged = event("acme.alert.acknowledged.v1")
    assert topic.read(acknowledged).entries == ()
    with store.records.write() as conn:
        alert_rows.save(conn, [AlertStatus(alert, "inc1")])
    (act,) = entries(topic.read(acknowledged))
    assert (act.incident_id, act.kind.value, act.actor) == ("inc1", "acknowledge", "bus")
    (ended,) = entries(topic.read(event("acme.alert.resolved.v1")))
    assert ended.key == alert.key and ended.ends_ms == NOW
    assert entries(topic.read(event("acme.something.else"))) == []


GOOD: dict[str, Any] = {
    "lines": "fine", "documents": {"message": "fine"}, "prometheus_json": sample(),
    "remote_write": write_request(), "otlp_metrics": otlp_metrics().SerializeToString(),
    "alertmanager": {"version": "4", "alerts": [{"labels": {"alertname": "Down"}}]},
    "cloudevents": event("a.alert.firing", name="Down"),
}  # fmt: skip
DEEP = b"[" * 100_000 + b"]" * 100_000


@pytest.mark.parametrize(
    ("form", "value", "said"),
    [
        ("lines", b"\xff\xfe", "must be UTF-8 (byte 0)"),
        ("lines", b"x\n" * 10_001, "at most 10000 lines"),
        ("lines", b"x" * 2_000_000, "at most 1000000 bytes"),
        ("documents", b"not json", "must be a JSON object"),
        ("documents", b"[1]", "must be a JSON object, got list"),
        ("documents", DEEP, "must be a JSON object"),
        ("documents", b'{"labels": {"a": 1}}', "set fields.message"),
        ("prometheus_json", sample("much"), "must be a number"),
        ("prometheus_json", sample(True), "must be a number"),
        ("prometheus_json", sample(timestamp="soon"), "timestamp: must be a time"),
        ("prometheus_json", sample(labels=[1]), "labels: must be an object"),
        ("prometheus_json", sample(labels={"a": {"b": 1}}), "labels: must be an object"),
        ("prometheus_json", sample(labels={"a": 5}), "labels: must be an object"),
        ("prometheus_json", sample(name="", labels={}), "name: must be"),
        ("prometheus_json", sample(labels={"service": "a\0"}), "NUL is not allowed"),
        ("prometheus_json", sample(labels={"service": "\ud800"}), "half of a surrogate pair"),
        ("prometheus_json", sample(labels={f"l{n}": "x" for n in range(1_000)}), "labels: "),
        ("remote_write", b"\x0a\xff\xff", "body: "),
        ("remote_write", b"\xff\xff\xff\xff\x0fbomb", "decodes to 4294967295 bytes"),
        ("remote_write", b"", ""),
        ("otlp_metrics", b"\x0a\xff", "not a ExportMetricsServiceRequest"),
        ("otlp_metrics", b'{"resourceMetrics": ' + DEEP + b"}", ""),
        ("alertmanager", DEEP, "not JSON"),
        ("alertmanager", b'{"alerts": [], "alerts": []}', "given twice"),
        ("cloudevents", b'{"specversion": "0.3"}', 'must be "1.0"'),
        ("cloudevents", b"[NaN]", "not JSON"),
    ],
)  # fmt: skip
def test_f23_what_is_malformed_is_set_aside_alone(
    store: Store, form: str, value: Any, said: str
) -> None:
    topic = Topic(store, form, message_bytes_max=1_000_000)
    read = topic.read(GOOD[form], value, GOOD[form])
    if said:
        (poison,) = read.poison
        assert said in poison.why and poison.message.offset == 8
    alone = Topic(store, form).read(GOOD[form], GOOD[form])
    assert alone.poison == ()
    assert len(read.entries) == len(alone.entries)
    assert sum(map(len, topic.batches(read))) == 2 * sum(
        map(len, Topic(store, form).batches(Topic(store, form).read(GOOD[form])))
    )


def test_a23_a_flood_of_label_sets_is_bounded(store: Store) -> None:
    topic = Topic(store, "prometheus_json")
    topic.door = Door(
        SeriesIndex(series_max=10), topic.door.samples, topic.door.logs, topic.door.deltas, topic.door.spans,
        topic.door.senders,
    )  # fmt: skip
    read = topic.read(*(sample(labels={"job": f"j{n}"}) for n in range(100)))
    (batch,) = topic.batches(read)
    assert len(batch) == 10 and topic.door.index.refused == 90
