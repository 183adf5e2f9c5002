"""OTLP over HTTP: both encodings, refusals in its own words, and bodies that mean harm."""

from __future__ import annotations

import gzip
import json
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collectors.otlp_wire import decode
from collectors.pushed import Push, PushQueue, PushSettings
from console.api_otlp import status_message
from model.errors import InputError

PROTOBUF = {"content-type": "application/x-protobuf"}
JSON = {"content-type": "application/json"}
PATHS = ("/v1/metrics", "/v1/logs", "/v1/traces")
AT = "1700000000000000000"
RESOURCE = {"attributes": [{"key": "service.name", "value": {"stringValue": "cart"}}]}
GAUGE = {"name": "load", "gauge": {"dataPoints": [{"asDouble": 1.5, "timeUnixNano": AT}]}}
METRICS = {"resourceMetrics": [{"resource": RESOURCE, "scopeMetrics": [{"metrics": [GAUGE]}]}]}
SPAN = {
    "traceId": "5b8efff798038103d269b633813fc60c",
    "spanId": "eee19b7ec3c1b174",
    "parentSpanId": "eee19b7ec3c1b173",
    "kind": 2,
    "startTimeUnixNano": AT,
    "endTimeUnixNano": "1700000001000000000",
    "status": {"code": 2},
}
TRACES = {"resourceSpans": [{"resource": RESOURCE, "scopeSpans": [{"spans": [SPAN]}]}]}


@pytest.fixture
def fed(build: Callable[..., Any]) -> tuple[Any, list[Any]]:
    """A client, and what its pushes became."""
    pushes: list[Any] = []

    def feed(push: Push) -> bool:
        pushes.append(push)
        return True

    return build(feed=feed).client(), pushes


def test_spans_that_failed_are_traces_to_look_at(build: Callable[..., Any]) -> None:
    house = build(feed=lambda _: True)
    assert house.client().post("/v1/traces", json=TRACES).status_code == 200
    (one,) = house.ports.exemplars.around(["cart"], 0, 1_700_000_002_000)
    assert (one.trace_id, one.value, one.failed) == (SPAN["traceId"], 1.0, True)


def wrap(field: int, body: bytes) -> bytes:
    size, length = len(body), bytearray()
    while size > 127:
        length.append(size & 127 | 128)
        size >>= 7
    return bytes([field << 3 | 2, *length, size]) + body


def a_metric() -> ExportMetricsServiceRequest:
    made = ExportMetricsServiceRequest()
    metric = made.resource_metrics.add().scope_metrics.add().metrics.add(name="load")
    metric.gauge.data_points.add(as_double=1.5)
    return made


def test_metrics_in_both_encodings(fed: tuple[Any, list[Any]]) -> None:
    client, pushes = fed
    body = a_metric().SerializeToString()
    answer = client.post("/v1/metrics", content=gzip.compress(body), headers={**PROTOBUF, "content-encoding": "gzip"})  # fmt: skip
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"] == "application/x-protobuf"
    answer = client.post("/v1/metrics", json=METRICS)
    assert answer.status_code == 200
    assert [push.values.tolist() for push in pushes] == [[1.5], [1.5]]
    assert pushes[1].series[0].get("service") == "cart"
    assert pushes[1].times_ms.tolist() == [1_700_000_000_000]


@pytest.mark.parametrize("path", PATHS)
def test_what_is_too_old_is_a_partial_success(fed: tuple[Any, list[Any]], path: str) -> None:
    client, pushes = fed
    old, fresh = "1795284000000000000", "1795298399000000000"  # four hours, and a second ago
    record = {"timeUnixNano": AT, "body": {"stringValue": "no stock"}}
    logs = {"resourceLogs": [{"resource": RESOURCE, "scopeLogs": [{"logRecords": [record]}]}]}
    body = {"/v1/metrics": METRICS, "/v1/traces": TRACES, "/v1/logs": logs}[path]
    counted = {"/v1/metrics": "DataPoints", "/v1/traces": "Spans", "/v1/logs": "LogRecords"}[path]
    told = json.dumps(body).replace(AT, fresh).replace(str(SPAN["endTimeUnixNano"]), fresh)
    assert client.post(path, content=told, headers=JSON).json() == {}
    told = told.replace(fresh, old)
    partial = client.post(path, content=told, headers=JSON).json()["partialSuccess"]
    assert partial[f"rejected{counted}"] == "1" and "see watermark" in partial["errorMessage"]
    assert len(pushes) == 2, "the pipeline drops it, and counts"


def test_a_long_log_record_is_cut_and_does_not_cost_its_neighbours(
    fed: tuple[Any, list[Any]],
) -> None:
    client, pushes = fed
    records = [{"body": {"stringValue": text}} for text in ("x" * 200_000, "short")]
    body = {"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}
    assert client.post("/v1/logs", json=body).status_code == 200
    assert [len(line.message) for line in pushes[0].lines] == [4_096, 5]


def test_ids_in_json_are_hexadecimal(fed: tuple[Any, list[Any]]) -> None:
    client, pushes = fed
    assert client.post("/v1/traces", json=TRACES).status_code == 200
    (span,) = pushes[0].spans
    assert span.trace_id.hex() == SPAN["traceId"] and span.parent_id.hex() == SPAN["parentSpanId"]
    assert span.failed and span.seconds == 1.0


def test_partial_success_says_how_many_and_why(fed: tuple[Any, list[Any]]) -> None:
    client, _ = fed
    made = a_metric()
    made.resource_metrics[0].scope_metrics[0].metrics[0].gauge.data_points.add()
    answer = client.post("/v1/metrics", content=made.SerializeToString(), headers=PROTOBUF)
    assert answer.status_code == 200
    told = ExportMetricsServiceResponse.FromString(answer.content).partial_success
    assert told.rejected_data_points == 1 and "without a value" in told.error_message


@pytest.mark.parametrize("path", PATHS)
def test_a_refusal_is_a_status_in_the_encoding_of_the_request(
    fed: tuple[Any, list[Any]], path: str
) -> None:
    client, pushes = fed
    answer = client.post(path, content=b"\xff\xff", headers=PROTOBUF)
    assert answer.status_code == 400 and answer.headers["content-type"] == "application/x-protobuf"
    assert answer.content.startswith(b"\x08\x03\x12") and b"not a Export" in answer.content
    answer = client.post(path, content=b"[]", headers=JSON)
    assert answer.status_code == 400 and answer.json()["code"] == 3
    answer = client.post(path, content=b"x", headers={"content-type": "text/plain"})
    assert answer.status_code == 415
    assert pushes == []


def test_a_full_queue_is_429_with_retry_after(build: Callable[..., Any]) -> None:
    queue = PushQueue(PushSettings(queue_bytes_max=1))
    client = build(feed=queue.offer).client()
    body = a_metric().SerializeToString()
    assert client.post("/v1/metrics", content=body, headers=PROTOBUF).status_code == 200
    answer = client.post("/v1/metrics", content=body, headers=PROTOBUF)
    assert answer.status_code == 429 and int(answer.headers["retry-after"]) > 0
    assert answer.content.startswith(b"\x08\x08") and queue.refused == 1


def test_a01_strangers_are_refused_and_nothing_is_read(house: Any) -> None:
    house.token("admin", "somebody")  # from now on nobody comes in without one
    for path in PATHS:
        answer = house.client().post(path, content=b"\xff", headers=PROTOBUF)
        assert answer.status_code == 401 and answer.content.startswith(b"\x08\x10")
    viewer = house.token("viewer", "looks")
    answer = house.client().post("/v1/logs", content=b"", headers={**PROTOBUF, **viewer})
    assert answer.status_code == 403 and answer.content.startswith(b"\x08\x07")


@pytest.mark.parametrize("path", PATHS)
def test_a02_bombs_are_413(fed: tuple[Any, list[Any]], path: str) -> None:
    client, pushes = fed
    bomb = gzip.compress(bytes(100 * 2**20))
    answer = client.post(path, content=bomb, headers={**PROTOBUF, "content-encoding": "gzip"})
    assert answer.status_code == 413 and answer.content.startswith(b"\x08\x08")
    cut = gzip.compress(b"x" * 1000)[:-9]
    answer = client.post(path, content=cut, headers={**PROTOBUF, "content-encoding": "gzip"})
    assert answer.status_code == 400
    assert pushes == []


@pytest.mark.parametrize("path", ["top", "deep"])
def test_a02_millions_of_empty_messages_are_refused_before_they_are_built(path: str) -> None:
    empty = bytes([1 << 3 | 2, 0]) * (16 * 2**20)
    body = empty if path == "top" else wrap(1, wrap(2, wrap(2, wrap(5, empty))))
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="more than 1000000 messages"):
            decode(body, ExportMetricsServiceRequest, as_json=False, bytes_max=len(body))
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "hostile",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b'{"resourceLogs":[],"resourceLogs":[]}',
        b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"\\ud800"}}]}]}]}',
        b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"a\\u0000"}}]}]}]}',
        b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":NaN}]}]}]}',
        b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"-1"}]}]}]}',
        b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"traceId":"xyz"}]}]}]}',
        b'{"resourceLogs":{"a":1}}',
        b"\xff\xfe{}",
    ],
)
def test_a03_hostile_json_is_400(fed: tuple[Any, list[Any]], hostile: bytes) -> None:
    client, pushes = fed
    began = time.process_time()
    answer = client.post("/v1/logs", content=hostile, headers=JSON)
    assert answer.status_code == 400 and answer.json()["code"] == 3
    assert time.process_time() - began < 0.5
    assert pushes == []


def test_a03_a_value_a_hundred_thousand_deep_is_400(fed: tuple[Any, list[Any]]) -> None:
    client, pushes = fed
    value = b""
    for _ in range(2_000):
        value = wrap(5, wrap(1, value))
    body = wrap(1, wrap(2, wrap(2, wrap(5, value))))
    answer = client.post("/v1/logs", content=body, headers=PROTOBUF)
    assert answer.status_code == 400 and pushes == []


def test_a07_a_line_break_in_a_message_or_a_name_forges_nothing(fed: tuple[Any, list[Any]]) -> None:
    client, pushes = fed
    made = ExportLogsServiceRequest()
    of_resource = made.resource_logs.add()
    service = of_resource.resource.attributes.add(key="service.name")
    service.value.string_value = "a\nb"
    of_resource.scope_logs.add().log_records.add().body.string_value = "x\u2028\x1b[2Jy"
    assert client.post("/v1/logs", content=made.SerializeToString(), headers=PROTOBUF).status_code == 200  # fmt: skip
    (line,) = pushes[0].lines
    assert (line.service, line.message) == ("a\\nb", "x\\u2028\\x1b[2Jy")


def test_text_that_is_no_utf8_is_400(fed: tuple[Any, list[Any]]) -> None:
    body = wrap(1, wrap(2, wrap(2, wrap(1, b"\xff\xfe"))))
    answer = fed[0].post("/v1/metrics", content=body, headers=PROTOBUF)
    assert answer.status_code == 400


def test_nothing_at_all_is_taken_as_such(fed: tuple[Any, list[Any]]) -> None:
    client, pushes = fed
    for path in PATHS:
        assert client.post(path, content=b"", headers=PROTOBUF).status_code == 200
    assert pushes == [] and ExportTraceServiceRequest() == ExportTraceServiceRequest.FromString(b"")


def test_a_status_is_what_google_s_own_class_reads() -> None:
    status_pb2 = pytest.importorskip("google.rpc.status_pb2")  # comes with the SDK's exporter
    read = status_pb2.Status.FromString(status_message(3, "é" * 300))
    assert (read.code, read.message) == (3, "é" * 300)
