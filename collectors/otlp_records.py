"""OTLP logs and traces, read in the handler's thread, taken up by the pipeline."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1 import trace_pb2

from collectors.logbatches import settle
from collectors.loglines import LogLine
from collectors.logwords import escape, severity_of
from collectors.otlp_push import Rejected, TimesTold
from collectors.otlp_settings import OtlpSettings
from collectors.otlp_wire import text_of
from collectors.pushed import Door
from collectors.settings import WatermarkSettings
from collectors.spans import Span, SpanKind
from collectors.watermark import Watermark
from model.batch import LogBatch, MetricBatch

_SIZE_BYTES = 300
_SERVICE_CHARS_MAX = 200
_MESSAGE_CHARS_MAX = 4_096
_ATTRIBUTES_MAX = 128
_SECONDS_MAX = 86_400.0 * 7
_TRACE_BYTES, _SPAN_BYTES = 16, 8


@dataclass(frozen=True, slots=True, eq=False)
class LogPush:
    """Log records of a request."""

    source: str
    size_bytes: int
    lines: tuple[LogLine, ...]

    def batches(self, door: Door, now_ms: int) -> Sequence[LogBatch]:
        """One batch: masked and templated like every other line."""
        batch = door.logs.make(self.lines, source=self.source, now_ms=now_ms)
        return () if batch is None else (batch,)


@dataclass(frozen=True, slots=True, eq=False)
class TracePush:
    """Spans of a request."""

    source: str
    size_bytes: int
    spans: tuple[Span, ...]

    def batches(self, door: Door, now_ms: int) -> Sequence[MetricBatch]:
        """Nothing now: they are counted, and what was counted is told at a steady pace."""
        times = np.array([span.end_ms for span in self.spans], dtype=np.int64)
        kept = door.samples.settle(times, now_ms=now_ms).keep.tolist()
        spans = [span for span, keep in zip(self.spans, kept, strict=True) if keep]
        door.spans.take(spans, source=self.source, now_ms=now_ms)
        return ()


def read_logs(
    request: ExportLogsServiceRequest,
    settings: OtlpSettings,
    *,
    source: str,
    now_ms: int = 0,
    bounds: WatermarkSettings | None = None,
) -> tuple[LogPush, Rejected]:
    """The lines of a request, and what of it was rejected, or will be for its time where there are `bounds`."""
    lines: list[LogLine] = []
    rejected = Rejected()
    for of_resource in request.resource_logs:
        service = _service(_texts(of_resource.resource.attributes))
        for of_scope in of_resource.scope_logs:
            records = of_scope.log_records
            room = max(0, settings.records_max - len(lines))
            if len(records) > room:
                why = f"more than {settings.records_max} log records in one request"
                rejected.note(why, len(records) - room)
            logger = escape(of_scope.scope.name, _SERVICE_CHARS_MAX)
            lines += [_line(record, service, logger) for record in records[:room]]
    if bounds is not None:
        times = [line.time_ms for line in lines]
        _, keep = settle(times, Watermark.for_logs(bounds), now_ms)
        if late := int(np.count_nonzero(~keep)):
            older = f"log records older than {bounds.log_lateness_ms // 1000} s"
            rejected.note(f"{older}; see watermark.log_lateness in tocsin.yaml", late)
    size_bytes = sum(_SIZE_BYTES + len(line.message) for line in lines)
    return LogPush(source, size_bytes, tuple(lines)), rejected


def _line(record: LogRecord, service: str, logger: str) -> LogLine:
    message = text_of(record.body)
    numbers: list[str] = []
    raised: dict[str, str] = {}
    for pair in record.attributes[:_ATTRIBUTES_MAX]:
        if pair.key in ("exception.type", "exception.message"):
            raised[pair.key] = text_of(pair.value)
        elif (which := pair.value.WhichOneof("value")) in ("int_value", "double_value"):
            if len(numbers) < 8 and pair.key.replace(".", "_").isidentifier():
                numbers.append(f"{pair.key}={getattr(pair.value, which)}")
    said = ": ".join(text for _, text in sorted(raised.items(), reverse=True) if text)
    if said and raised.get("exception.message", "") not in message:
        message = f"{message}: {said}" if message else said
    elif said and raised.get("exception.type", "") not in message:
        message = f"{message} ({raised['exception.type']})"
    nano = record.time_unix_nano or record.observed_time_unix_nano
    severity = record.severity_number
    return LogLine(
        message=escape(message or record.event_name, _MESSAGE_CHARS_MAX),
        time_ms=nano // 1_000_000 if nano else None,
        severity=severity if 1 <= severity <= 24 else severity_of(record.severity_text),
        service=service,
        logger=logger,
        trace_id=record.trace_id.hex() if _valid(record.trace_id, _TRACE_BYTES) else "",
        fields=" ".join(numbers),
    )


def read_traces(
    request: ExportTraceServiceRequest,
    settings: OtlpSettings,
    *,
    source: str,
    now_ms: int,
    told: TimesTold | None = None,
) -> tuple[TracePush, Rejected]:
    """The spans of a request, and what of it was rejected, or will be (`told`) for its time."""
    spans: list[Span] = []
    rejected = Rejected()
    for of_resource in request.resource_spans:
        service = _service(_texts(of_resource.resource.attributes))
        for of_scope in of_resource.scope_spans:
            for span in of_scope.spans:
                if len(spans) >= settings.records_max:
                    rejected.note(f"more than {settings.records_max} spans in one request")
                elif not (
                    _valid(span.trace_id, _TRACE_BYTES) and _valid(span.span_id, _SPAN_BYTES)
                ):
                    rejected.note("a span without its ids: 16 and 8 bytes, not all of them zero")
                elif service and int(span.kind) in _KINDS:
                    spans.append(_span(span, service, now_ms))
    if told is not None and spans:
        ends = np.array([span.end_ms for span in spans], dtype=np.int64)
        if late := told.dropped(ends):
            rejected.note(told.why, late)
    return TracePush(source, _SIZE_BYTES * len(spans), tuple(spans)), rejected


def _valid(ident: bytes, size: int) -> bool:
    """Whether it is an id: OpenTelemetry calls every other invalid."""
    return len(ident) == size and any(ident)


_CALLING = frozenset((int(SpanKind.CLIENT), int(SpanKind.PRODUCER)))
_KINDS = _CALLING | {int(SpanKind.SERVER), int(SpanKind.CONSUMER)}


def _span(span: trace_pb2.Span, service: str, now_ms: int) -> Span:
    attributes = _texts(span.attributes)
    nanos = max(0, span.end_time_unix_nano - span.start_time_unix_nano)
    failed = span.status.code == trace_pb2.Status.STATUS_CODE_ERROR
    code = attributes.get("http.response.status_code") or attributes.get("http.status_code", "")
    return Span(
        service=service,
        kind=span.kind,
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_id=span.parent_span_id if _valid(span.parent_span_id, _SPAN_BYTES) else b"",
        end_ms=span.end_time_unix_nano // 1_000_000 or now_ms,
        seconds=min(nanos / 1e9, _SECONDS_MAX),
        failed=failed or (len(code) == 3 and code.startswith("5")),
        peer=peer_of(attributes) if int(span.kind) in _CALLING else "",
    )


def peer_of(attributes: Mapping[str, str]) -> str:
    """Whom a client's span calls, by its own word: the peer's name, or the host's where that names a service.

    Examples
    --------
    >>> peer_of({"peer.service": "stock"}), peer_of({"server.address": "pg.shop.svc.cluster.local"})
    ('stock', 'pg')
    >>> peer_of({"server.address": "10.0.0.7"}), peer_of({"net.peer.name": "api.bank.example"})
    ('', 'api.bank.example')
    """
    for name in ("service.peer.name", "peer.service"):
        if attributes.get(name):
            return escape(attributes[name], _SERVICE_CHARS_MAX)
    host = attributes.get("server.address") or attributes.get("net.peer.name", "")
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        pass
    else:
        return ""
    if not host or host == "localhost" or host.startswith("/"):
        return ""
    first, _, rest = host.partition(".")
    named = first if ".svc" in f".{rest}" else host
    return escape(named, _SERVICE_CHARS_MAX)


def _texts(attributes: Sequence[KeyValue]) -> dict[str, str]:
    return {pair.key: text_of(pair.value) for pair in attributes[:_ATTRIBUTES_MAX]}


def _service(resource: Mapping[str, str]) -> str:
    return escape(resource.get("service.name", ""), _SERVICE_CHARS_MAX)
