"""`POST /v1/metrics`, `/v1/logs`, `/v1/traces`: what an OpenTelemetry SDK or Collector sends over HTTP.

Source: the OpenTelemetry Protocol specification, OTLP/HTTP. A refusal is a google.rpc.Status; senders
try 429 and 503 again, after the time they are told, and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TypeVar

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as traces
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from collectors.exemplars import Exemplar, of_spans
from collectors.otlp_metrics import MetricReader
from collectors.otlp_push import MetricPush, Rejected, TimesTold
from collectors.otlp_records import read_logs, read_traces
from collectors.otlp_wire import decode
from collectors.pushed import Push
from console.api_intake import INLINE_BYTES_MAX
from console.body import BodyRefused
from console.call import Call, Endpoint, Kind, answer, refuse
from console.gate import RETRY_AFTER_S
from model.account import Role
from model.errors import InputError

M = TypeVar("M", bound=Message)

PROTOBUF, JSON = "application/x-protobuf", "application/json"
_CODES = {400: 3, 401: 16, 403: 7, 404: 5, 413: 8, 415: 3, 429: 8, 503: 14}
"""HTTP's status as google.rpc.Code; what is not listed is INTERNAL."""
_MESSAGE_MAX = 1_000


class OtlpApi:
    """The three routes; they share the memory of label sets."""

    def __init__(self) -> None:
        self._metrics = MetricReader()

    async def post_metrics(self, call: Call) -> Response:
        """`POST /v1/metrics`."""
        as_json = _is_json(call)
        push, rejected = await _in_thread(call, self._read_metrics, as_json)
        _keep(call, push.exemplars)
        made = metrics.ExportMetricsServiceResponse()
        if rejected.count:
            made.partial_success.rejected_data_points = rejected.count
            made.partial_success.error_message = rejected.message[:_MESSAGE_MAX]
        return _accepted(call, push, rejected, made, as_json)

    async def post_logs(self, call: Call) -> Response:
        """`POST /v1/logs`."""
        as_json = _is_json(call)
        push, rejected = await _in_thread(call, _read_logs, as_json)
        made = logs.ExportLogsServiceResponse()
        if rejected.count:
            made.partial_success.rejected_log_records = rejected.count
            made.partial_success.error_message = rejected.message[:_MESSAGE_MAX]
        return _accepted(call, push, rejected, made, as_json)

    async def post_traces(self, call: Call) -> Response:
        """`POST /v1/traces`."""
        as_json = _is_json(call)
        push, rejected = await _in_thread(call, _read_traces, as_json)
        made = traces.ExportTraceServiceResponse()
        if rejected.count:
            made.partial_success.rejected_spans = rejected.count
            made.partial_success.error_message = rejected.message[:_MESSAGE_MAX]
        return _accepted(call, push, rejected, made, as_json)

    def _read_metrics(self, call: Call, as_json: bool) -> tuple[MetricPush, Rejected]:
        name, now_ms, otlp, told = call.who.name, call.now_ms, call.ports.otlp, _told(call)
        if not as_json:
            return self._metrics.read_body(call.body, otlp, source=name, now_ms=now_ms, told=told)
        request = _decode(call, metrics.ExportMetricsServiceRequest, as_json)
        return self._metrics.read(request, otlp, source=name, now_ms=now_ms, told=told)

    def endpoints(self) -> tuple[Endpoint, ...]:
        """The three routes."""
        declared = (
            ("/v1/metrics", self.post_metrics, "Push metrics, as OpenTelemetry does (OTLP/HTTP)"),
            ("/v1/logs", self.post_logs, "Push log records, as OpenTelemetry does (OTLP/HTTP)"),
            ("/v1/traces", self.post_traces, "Push spans, as OpenTelemetry does (OTLP/HTTP)"),
        )
        return tuple(
            Endpoint("POST", path, Kind.PUSH, Role.RESPONDER, handler, summary, reword=status)
            for path, handler, summary in declared
        )


def _is_json(call: Call) -> bool:
    """Which encoding a body has.

    Raises
    ------
    BodyRefused
        415 where it is neither.
    """
    media_type = call.request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in (PROTOBUF, JSON):
        raise BodyRefused(415, f"Content-Type must be {PROTOBUF} or {JSON}")
    return media_type == JSON


P = TypeVar("P", bound=Push)
Read = Callable[[Call, bool], tuple[P, Rejected]]


async def _in_thread(call: Call, read: Read[P], as_json: bool) -> tuple[P, Rejected]:
    """Read a body, in a thread where that takes long."""
    try:
        if len(call.body) > INLINE_BYTES_MAX:  # do not hold up the others
            return await run_in_threadpool(read, call, as_json)
        return read(call, as_json)
    except InputError:
        call.ports.counters.add("tocsin_intake_malformed_total")
        raise


def _told(call: Call) -> TimesTold:
    return TimesTold(call.ports.watermark, now_ms=call.now_ms)


def _decode(call: Call, made: type[M], as_json: bool) -> M:
    bytes_max = call.ports.intake.decoded_bytes_max
    return decode(call.body, made, as_json=as_json, bytes_max=bytes_max)


def _read_logs(call: Call, as_json: bool) -> tuple[Push, Rejected]:
    request = _decode(call, logs.ExportLogsServiceRequest, as_json)
    return read_logs(
        request,
        call.ports.otlp,
        source=call.who.name,
        now_ms=call.now_ms,
        bounds=call.ports.watermark,
    )


def _read_traces(call: Call, as_json: bool) -> tuple[Push, Rejected]:
    request = _decode(call, traces.ExportTraceServiceRequest, as_json)
    name, now_ms, otlp = call.who.name, call.now_ms, call.ports.otlp
    push, rejected = read_traces(request, otlp, source=name, now_ms=now_ms, told=_told(call))
    _keep(call, of_spans(push.spans))
    return push, rejected


def _keep(call: Call, found: Sequence[Exemplar]) -> None:
    if forgotten := call.ports.exemplars.keep(found):
        call.ports.counters.add("tocsin_exemplars_forgotten_total", forgotten)


def _accepted(call: Call, push: Push, rejected: Rejected, made: Message, as_json: bool) -> Response:
    """Hand a push on, and answer in the encoding it came in."""
    if push.size_bytes and not call.ports.feed(push):
        return refuse(429, "more waits than is allowed; try again", retry_after=RETRY_AFTER_S)
    call.ports.counters.add("tocsin_intake_pushes_total")
    if rejected.count:
        call.ports.counters.add("tocsin_otlp_rejected_total", rejected.count)
    if as_json:
        return answer(MessageToDict(made))
    return Response(made.SerializeToString(), media_type=PROTOBUF)


def status(request: Request, refusal: Response) -> Response:
    """A refusal as google.rpc.Status, in the encoding the request came in."""
    told = json.loads(bytes(refusal.body) or b"{}")
    problems = [f"{p['where']}: {p['problem']}" for p in told.get("problems", ())]
    message = "; ".join([told.get("error", ""), *problems])[:_MESSAGE_MAX]
    code = _CODES.get(refusal.status_code, 13)
    kept = {
        name: value
        for name, value in refusal.headers.items()
        if name in ("retry-after", "www-authenticate")
    }
    if request.headers.get("content-type", "").startswith(JSON):
        return answer({"code": code, "message": message}, refusal.status_code, kept)
    body = status_message(code, message)
    return Response(body, refusal.status_code, kept, media_type=PROTOBUF)


def status_message(code: int, message: str) -> bytes:
    """A google.rpc.Status in protobuf; two fields are not worth a dependency.

    Examples
    --------
    >>> status_message(3, "no")
    b'\\x08\\x03\\x12\\x02no'
    """
    text = message.encode("utf-8", "replace")
    size, length = len(text), bytearray()
    while size > 127:
        length.append(size & 127 | 128)
        size >>= 7
    return bytes([8, code, 0x12, *length, size]) + text
