"""Each decoder against good input that was spoilt, at every byte or every value: refused in words, or read; nothing else.

The seeds are fixed, so that a run is like the one before. What is read must hold what the pipeline and the store
rely on: times within bounds, labels that can be written, an end that is not before its beginning.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import cramjam
import pytest
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collectors import (
    alert_cloudevents,
    alert_grafana,
    alert_pagerduty,
    alert_zabbix,
    alertmanager,
    changes,
    heartbeat,
    remote_write1,
    remote_write2,
    silences,
    snappy,
)
from collectors.exposition import Format
from collectors.layout import Layout
from collectors.native_histograms import read_native
from collectors.otlp_metrics import MetricReader
from collectors.otlp_records import read_logs, read_traces
from collectors.otlp_settings import OtlpSettings
from collectors.otlp_wire import decode
from collectors.pushed import Push
from collectors.remote_messages import Exemplar1, Exemplar2, Histogram, Request1, Request2
from collectors.remote_series import Book
from collectors.syslog_framing import Framer
from collectors.syslog_lines import Services, SyslogReader
from collectors.syslog_settings import SyslogListener, SyslogSettings
from collectors.told import Action, Told, settle
from model.alert import Alert
from model.batch import MetricBatch
from model.change import Change
from model.codec import encode
from model.labels import LABEL_BYTES_MAX, check_writable
from model.series import SeriesIndex
from tests.collectors.kafka_topics import door
from tests.collectors.spoilt import read_all, spoilt, spoilt_json

NOW = 1_800_000_000_000
AT = str(NOW * 1_000_000)
ISO = "2027-01-15T07:59:00Z"
SETTINGS = OtlpSettings()

# --- what is read -------------------------------------------------------------------------------


class Taken:
    """The pipeline's side of the doors."""

    def __init__(self) -> None:
        self.door = door()

    def take(self, push: Push) -> None:
        """Make batches of a push, and look at them."""
        for batch in push.batches(self.door, NOW):
            if isinstance(batch, MetricBatch):
                assert (abs(batch.times_ms - NOW) <= 600_000).all() and (batch.rows >= 0).all()
                for row in set(batch.rows.tolist()):
                    check_writable(self.door.index.labels(row))
            else:
                said = (*batch.lines, *batch.services, *batch.fields)
                assert not any(char in text for text in said for char in "\0\x1b\u2028"), said


def look(found: Iterable[Alert | Change]) -> None:
    """Values as the journal and the store need them."""
    for one in found:
        encode(one)
        if isinstance(one, Change):
            texts = (one.kind, one.service, one.title, one.author, one.version, one.url)
            assert max(map(len, texts)) <= LABEL_BYTES_MAX
        if isinstance(one, Alert):
            assert one.starts_ms <= NOW and (one.ends_ms is None or one.ends_ms >= one.starts_ms)
            for time_ms in (one.starts_ms, one.ends_ms, one.expires_ms):
                alertmanager.rfc3339(time_ms or 0)
            check_writable(one.labels)
            check_writable(one.annotations)


def look_told(found: Iterable[Told]) -> None:
    """The same of what has a key: as it follows when it is told again, and resolved."""
    for told in found:
        fired = settle(told, None, source="s", now_ms=NOW)
        look(fired)
        for action in Action if fired else ():
            look(settle(replace(told, action=action), fired[0], source="s", now_ms=NOW))


# --- alerts, changes, signs of life ---------------------------------------------------------------

LABELS = {"alertname": "Down", "service": "shop"}
ALERT = {"labels": LABELS, "annotations": {"a": "b"}, "startsAt": ISO, "endsAt": ISO, "generatorURL": "u"}  # fmt: skip
BY: dict[str, Any] = {"now_ms": NOW, "source": "s"}


def _events(body: bytes, kind: str = alert_cloudevents.STRUCTURED) -> None:
    found = alert_cloudevents.parse(body, headers={"content-type": kind}, **BY)
    look_told(found.told)
    look(found.changes)


def _pagerduty(body: bytes) -> None:
    alert_pagerduty.routing_key(body)
    look_told(alert_pagerduty.parse(body, **BY))


EVENT = {
    "specversion": "1.0", "id": "1", "source": "/m", "type": "x.alert.firing.v1", "subject": "q", "time": ISO,
    "data": {"name": "N", "severity": "critical", "service": "m", "url": "u", "labels": {"a": "b"}, "key": "k"},
}  # fmt: skip
PARSERS: dict[str, tuple[Callable[[bytes], Any], Any]] = {
    "alertmanager": (lambda body: look(alertmanager.parse_v2(body, **BY)), [ALERT]),
    "webhook": (lambda body: look(alertmanager.parse_webhook(body, **BY)), {"version": "4", "status": "firing", "alerts": [{"status": "resolved", **ALERT}]}),
    "grafana": (lambda body: look(alert_grafana.parse(body, **BY)), {"version": "1", "alerts": [{"status": "firing", **ALERT, "values": {"B": 4.5}, "panelURL": "p"}]}),
    "pagerduty": (
        _pagerduty,
        {
            "routing_key": "k", "event_action": "trigger", "dedup_key": "d", "client": "c", "client_url": "u", "links": [{"href": "h"}],
            "payload": {"summary": "s", "source": "o", "severity": "critical", "timestamp": ISO, "class": "k", "custom_details": {"service": "x", "n": 1}},
        },
    ),
    "pagerduty change": (lambda body: look(alert_pagerduty.parse_change(body, **BY)), {"payload": {"summary": "s", "source": "o", "timestamp": ISO, "custom_details": {"kind": "k"}}}),
    "zabbix": (lambda body: look_told(alert_zabbix.parse(body, **BY)), {"event_source": "0", "event_value": "1", "event_id": "1", "trigger_id": "2", "event_name": "n", "nseverity": "3", "tags": [{"tag": "a", "value": "b"}]}),
    "cloudevents": (_events, EVENT),
    "cloudevents batch": (lambda body: _events(body, alert_cloudevents.BATCHED), [{**{k: v for k, v in EVENT.items() if k != "data"}, "data_base64": "eyJuYW1lIjoiWCJ9"}]),
    "cdevents": (_events, {**EVENT, "type": "dev.cdevents.service.deployed.0.1.0", "data": {"subject": {"id": "s", "content": {"artifactId": "v"}}}}),
    "changes": (lambda body: look(changes.parse(body, **BY)), [{"service": "s", "title": "t", "time": ISO, "labels": {"a": "b"}, "id": "i"}]),
    "heartbeat": (lambda body: heartbeat.parse(body, **BY), {"name": "n", "timeout": "5m", "service": "s"}),
    "silence": (lambda body: silences.parse_silence(body, now_ms=NOW), {"matchers": [{"name": "a", "value": "b", "isRegex": True}], "startsAt": ISO, "endsAt": "2028-01-01T00:00:00Z", "comment": "c"}),
}  # fmt: skip


@pytest.mark.parametrize("name", PARSERS)
def test_a03_pushed_json_is_read_or_refused_in_words(name: str) -> None:
    read, good = PARSERS[name]
    read(json.dumps(good).encode())
    read_all(spoilt_json(good), read)


# --- remote write ---------------------------------------------------------------------------------


def native() -> bytes:
    sent = Histogram(count_int=3, sum=2.5, timestamp=NOW, positive_deltas=[2, -1])
    sent.positive_spans.add(offset=0, length=2)
    return bytes(sent.SerializeToString())


def written1() -> bytes:
    made = Request1()
    for number in range(2):
        series = made.timeseries.add()
        series.labels.add(name=b"__name__", value=b"m%d" % number)
        series.labels.add(name=b"service", value=b"a")
        series.samples.add(timestamp=NOW, value=number * 1.5)
    series = made.timeseries.add(histograms=[native()])
    series.labels.add(name=b"__name__", value=b"took_seconds")
    trace = Exemplar1(value=1, timestamp=NOW)
    trace.labels.add(name=b"trace_id", value=b"abc")
    series.exemplars.append(trace.SerializeToString())
    made.metadata.add(type=1, family=b"m0")
    return bytes(made.SerializeToString())


def written2() -> bytes:
    made = Request2(symbols=[b"", b"__name__", b"m", b"service", b"a", b"took_seconds", b"trace_id"])  # fmt: skip
    series = made.timeseries.add(labels_refs=[1, 2, 3, 4])
    series.samples.add(timestamp=NOW, value=1.5)
    series.metadata.type = 2
    made.timeseries.add(labels_refs=[1, 2]).samples.add(timestamp=NOW, start_timestamp=NOW - 10)
    series = made.timeseries.add(labels_refs=[1, 5], histograms=[native()])
    trace = Exemplar2(labels_refs=[6, 4], value=1, timestamp=NOW)
    series.exemplars.append(trace.SerializeToString())
    return bytes(made.SerializeToString())


@pytest.mark.parametrize(
    ("version", "good"), [(remote_write1, written1()), (remote_write2, written2())]
)
def test_a03_remote_write_is_read_or_refused_and_known_series_read_alike(
    version: Any, good: bytes
) -> None:
    taken, known = Taken(), Book()

    def read(body: bytes) -> None:
        found = []
        for book in (Book(), known):
            push, reading = version.read(body, book, "s", parts_max=10_000)
            if not reading.made:  # said of a series that is met, and only then
                found.append(sorted((str(book.labels(slot)), time_ms, repr(value)) for slot, time_ms, value in zip(push.slots.tolist(), push.times_ms.tolist(), push.values.tolist(), strict=True)))  # fmt: skip
            taken.take(push)
        assert len(found) < 2 or found[0] == found[1]

    read(good)
    read_all(spoilt(good, 1), read)


def test_a03_native_histograms_are_refused_or_ascend() -> None:
    def read(body: bytes) -> None:
        upto = read_native(body, "took_seconds").values[:-2]
        # Of one that ends each value is the staleness marker.
        assert all(not a > b for a, b in zip(upto, upto[1:], strict=False))

    read_all(spoilt(native(), 2), read)


def test_a02_snappy_blocks_are_unpacked_or_refused() -> None:
    packed = bytes(cramjam.snappy.compress_raw(20 * written1()))
    read_all(spoilt(packed, 3), lambda body: len(snappy.unpack(body, bytes_max=100_000)))


# --- OTLP -----------------------------------------------------------------------------------------

TRACE, SPAN, PARENT = "5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174", "eee19b7ec3c1b173"
RESOURCE = {"attributes": [{"key": "service.name", "value": {"stringValue": "cart"}}]}
POINT = {"startTimeUnixNano": AT, "timeUnixNano": AT, "attributes": [{"key": "a", "value": {"intValue": "5"}}]}  # fmt: skip
METRICS = {"resourceMetrics": [{"resource": RESOURCE, "scopeMetrics": [{"metrics": [
    {"name": "g", "unit": "s", "gauge": {"dataPoints": [{**POINT, "asDouble": 1.5, "exemplars": [{"asInt": "1"}]}]}},
    {"name": "c", "sum": {"aggregationTemporality": 1, "isMonotonic": True, "dataPoints": [{**POINT, "asInt": "4"}, {**POINT, "asInt": "4"}]}},
    {"name": "h", "histogram": {"aggregationTemporality": 2, "dataPoints": [{**POINT, "count": "3", "sum": 3, "bucketCounts": ["1", "1", "1"], "explicitBounds": [1, 2]}]}},
    {"name": "e", "exponentialHistogram": {"aggregationTemporality": 1, "dataPoints": [{**POINT, "count": "3", "sum": 3, "scale": 2, "zeroCount": "1", "positive": {"offset": 1, "bucketCounts": ["1", "1"]}}]}},
    {"name": "q", "summary": {"dataPoints": [{**POINT, "count": "3", "sum": 3, "quantileValues": [{"quantile": 0.5, "value": 1}]}]}},
]}]}]}  # fmt: skip
LOGS = {"resourceLogs": [{"resource": RESOURCE, "scopeLogs": [{"logRecords": [{
    "timeUnixNano": AT, "severityNumber": 17, "traceId": TRACE, "spanId": SPAN,
    "body": {"kvlistValue": {"values": [{"key": "k", "value": {"arrayValue": {"values": [{"doubleValue": 1.5}, {"bytesValue": "AQI="}]}}}]}},
    "attributes": [{"key": "exception.type", "value": {"stringValue": "E"}}, {"key": "n", "value": {"doubleValue": 2}}],
}]}]}]}  # fmt: skip
TRACES = {"resourceSpans": [{"resource": RESOURCE, "scopeSpans": [{"spans": [{
    "traceId": TRACE, "spanId": SPAN, "parentSpanId": PARENT, "kind": 2, "startTimeUnixNano": AT, "endTimeUnixNano": AT,
    "attributes": [{"key": "http.response.status_code", "value": {"intValue": "500"}}], "status": {"code": 2},
}]}]}]}  # fmt: skip
OTLP: dict[str, tuple[Any, Any]] = {
    "metrics": (METRICS, ExportMetricsServiceRequest),
    "logs": (LOGS, ExportLogsServiceRequest),
    "traces": (TRACES, ExportTraceServiceRequest),
}


def _read(made: Any, taken: Taken) -> None:
    if isinstance(made, ExportLogsServiceRequest):
        taken.take(read_logs(made, SETTINGS, source="s")[0])
    elif isinstance(made, ExportTraceServiceRequest):
        taken.take(read_traces(made, SETTINGS, source="s", now_ms=NOW)[0])
    else:
        taken.take(MetricReader().read(made, SETTINGS, source="s", now_ms=NOW)[0])


@pytest.mark.parametrize("name", OTLP)
def test_a03_otlp_in_json_is_read_or_refused(name: str) -> None:
    good, made = OTLP[name]
    taken = Taken()
    read_all(
        spoilt_json(good),
        lambda body: _read(decode(body, made, as_json=True, bytes_max=2**20), taken),
    )


def packed(name: str) -> bytes:
    good, made = OTLP[name]
    text = json.dumps(good)
    for ident in (TRACE, SPAN, PARENT):  # protobuf's own JSON has base64 there
        text = text.replace(ident, "A" * (len(ident) * 2 // 3 // 4 * 4))
    return bytes(ParseDict(json.loads(text), made()).SerializeToString())


@pytest.mark.parametrize("name", OTLP)
def test_a03_otlp_in_protobuf_is_read_or_refused(name: str) -> None:
    taken = Taken()

    def read(body: bytes) -> None:
        _read(decode(body, OTLP[name][1], as_json=False, bytes_max=2**20), taken)

    read_all(spoilt(packed(name), 4), read)


def test_a03_what_was_met_before_reads_as_if_it_were_new() -> None:
    reader = MetricReader()

    def read(body: bytes) -> None:
        found = []
        for again in (MetricReader(), reader):
            push, rejected = again.read_body(body, SETTINGS, source="s", now_ms=NOW)
            samples = zip(map(str, push.series), push.times_ms.tolist(), map(repr, push.values.tolist()), push.deltas.tolist(), strict=True)  # fmt: skip
            found.append((sorted(samples), rejected.count))
        assert found[0] == found[1]

    read(packed("metrics"))
    read_all(spoilt(packed("metrics"), 5), read)


# --- lines and scrapes ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "good",
    [
        b'<34>1 2027-01-15T07:59:00.123456Z host app 12 ID [ex@1 a="x\\"y\\]" trace_id="q"][b] \xef\xbb\xbfhello ms=5',
        b"<13>Jan 15 07:59:00 host su[12]: failed 5",
        b'<13>{"level":"error","msg":"m","service":"s","ts":1800000000.5,"status":500}',
        b"<13>2027-01-15 07:59:00,123 +0100 ERROR x",
        b'::1 - - [15/Jan/2027:07:59:00 +0000] "GET / HTTP/1.1" 500 5',
        b'level=error msg="a b" ts=1800000000 x=5',
    ],
)
def test_a03_any_syslog_message_is_a_line_and_however_it_is_framed(good: bytes) -> None:
    listener = SyslogListener("127.0.0.1:1", time_zone="Europe/Berlin")
    reader, taken = SyslogReader(listener, Services(SyslogSettings())), Taken()
    for message in spoilt(good, 6):
        taken.take(reader.push([message], "s", NOW))
        framer = Framer(2_000)
        counted = b"%d %b" % (len(message), message)
        whole = [*framer.feed(counted), *framer.feed(b"\n"), *framer.rest()]
        if message[:1] == b"<" and message.strip(b"\n\0\r") == message:
            assert whole == [message]


@pytest.mark.parametrize("form", Format)
def test_a03_a_scrape_reads_what_it_can_the_same_way_each_time(form: Format) -> None:
    good = (
        b'# TYPE a_total counter\na_total{service="s",x="a\\"b\\\\\\n"} 1.5 1800000000000\na_total{service="t"} 2\n'
        b'# TYPE h histogram\nh_bucket{le="1"} 1 # {trace_id="q"} 1 1.5\nh_bucket{le="+Inf"} 2\nh_sum 3\nh_count 2\n'
        b'{"q.m",z="1"} 5\n# EOF\n'
    )
    known = Layout(SeriesIndex(), source="t", target={"job": "j"})
    for body in spoilt(good, 7):
        index = SeriesIndex()
        found = Layout(index, source="t", target={"job": "j"}).read(body, form, now_ms=NOW)
        again = known.read(body, form, now_ms=NOW)
        assert sorted(map(repr, found.values.tolist())) == sorted(map(repr, again.values.tolist()))
        assert (found.bad, found.refused) == (again.bad, again.refused)
        for row in found.rows.tolist():
            check_writable(index.labels(row))
