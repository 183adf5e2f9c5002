"""Messages of a site's topics to what the pipeline takes: pushes of telemetry, or entries for the journal."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import orjson
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as traces

from collectors import remote_write1, remote_write2, snappy
from collectors.accepting import Accepting
from collectors.elastic_fields import DocumentReader
from collectors.json_input import read_time_ms
from collectors.kafka_alerts import AlertMessages
from collectors.kafka_messages import Message, Poison, Read, Reader, each
from collectors.kafka_settings import KafkaFormat, KafkaSourceSettings
from collectors.loglines import LogLine, parse_line
from collectors.logtimes import from_field
from collectors.otlp_metrics import MetricReader
from collectors.otlp_push import MetricPush
from collectors.otlp_records import LogPush, read_logs, read_traces
from collectors.otlp_settings import OtlpSettings
from collectors.otlp_wire import decode
from collectors.pushed import Push
from collectors.remote_series import Book, Books
from collectors.remote_write import Version
from collectors.settings import IntakeLimits
from model.errors import InputError, LabelError
from model.labels import Labels, check_writable
from model.series import NAME

LINES_MAX = 10_000
"""Lines of one message; what is longer is set aside."""
_LABEL_SETS_MAX = 100_000
_LINE_BYTES = 300


def reader_of(
    settings: KafkaSourceSettings,
    *,
    accepting: Accepting,
    otlp: OtlpSettings,
    limits: IntakeLimits,
) -> Reader:
    """The reader of a source's format."""
    match settings.format:
        case KafkaFormat.LINES:
            return _Lines(settings)
        case KafkaFormat.DOCUMENTS:
            return _Documents(settings)
        case KafkaFormat.PROMETHEUS_JSON:
            return _Samples(settings)
        case KafkaFormat.REMOTE_WRITE:
            return _RemoteWrites(settings, limits)
        case KafkaFormat.ALERTMANAGER | KafkaFormat.CLOUDEVENTS:
            return AlertMessages(settings, accepting, limits)
        case _:
            return _Otlp(settings, otlp)


def _text(message: Message) -> str:
    try:
        return message.value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"value: must be UTF-8 (byte {error.start})") from None


class _Lines:
    """Log lines, one or more in a message."""

    def __init__(self, settings: KafkaSourceSettings) -> None:
        self._settings = settings

    def read(self, messages: Sequence[Message], now_ms: int) -> Read:
        lines: list[LogLine] = []

        def take(message: Message) -> None:
            # Only a line feed ends a line: JSON may hold U+2028 and its like as they are.
            rows = [row for row in _text(message).split("\n") if row.strip()]
            if len(rows) > LINES_MAX:
                raise InputError(f"value: at most {LINES_MAX} lines are allowed, got {len(rows)}")
            service = self._settings.service or message.topic
            chars_max = self._settings.message_chars_max
            for row in rows:
                line = parse_line(row, now_ms=now_ms, message_chars_max=chars_max)
                lines.append(_with_service(line, service))

        poison = each(messages, take, self._settings.message_bytes_max)
        return Read(_log_push(self._settings.name, lines), poison=poison)


class _Documents:
    """JSON documents with the fields of ECS, OpenTelemetry or Fluent Bit."""

    def __init__(self, settings: KafkaSourceSettings) -> None:
        self._settings = settings
        self._reader = DocumentReader(
            settings.fields,
            numbers=settings.numbers,
            message_chars_max=settings.message_chars_max,
        )

    def read(self, messages: Sequence[Message], now_ms: int) -> Read:
        lines: list[LogLine] = []

        def take(message: Message) -> None:
            document = _object(message.value)
            at_ms = from_field(document.get("@timestamp"))
            read = self._reader.read(document, now_ms if at_ms is None else at_ms)
            if read is None:
                raise InputError(
                    "value: a document without a text that is known; set fields.message"
                )
            lines.append(read.line_of(self._settings.service or read.host or message.topic))

        poison = each(messages, take, self._settings.message_bytes_max)
        return Read(_log_push(self._settings.name, lines), poison=poison)


class _Samples:
    """One sample in a message, as prometheus-kafka-adapter writes it: name, labels, value, timestamp."""

    def __init__(self, settings: KafkaSourceSettings) -> None:
        self._settings = settings
        self._books = Books(_LABEL_SETS_MAX)
        self._book = Book()
        self._known: dict[tuple[tuple[str, object], ...], int] = {}

    def read(self, messages: Sequence[Message], now_ms: int) -> Read:
        book = self._books.of(self._settings.name, self._settings.format)
        if book is not self._book:
            self._book = book
            self._known.clear()
        slots: list[int] = []
        times: list[int] = []
        values: list[float] = []

        def take(message: Message) -> None:
            sample = _object(message.value)
            time_ms = read_time_ms(sample.get("timestamp"))
            if time_ms is None:
                raise InputError('timestamp: must be a time such as "2026-01-31T12:00:00Z"')
            value = _number(sample.get("value"))
            slots.append(self._slot(sample))
            times.append(time_ms)
            values.append(value)

        poison = each(messages, take, self._settings.message_bytes_max)
        if not slots:
            return Read(poison=poison)
        push = MetricPush(
            self._settings.name,
            book,
            np.array(slots, dtype=np.int64),
            np.array(times, dtype=np.int64),
            np.array(values, dtype=np.float64),
            np.zeros(len(slots), dtype=np.bool_),
            {},
        )
        return Read((push,), poison=poison)

    def _slot(self, sample: dict[str, object]) -> int:
        pairs = sample.get("labels")
        if not isinstance(pairs, dict):
            raise InputError("labels: must be an object of names and texts")
        name = sample.get("name") or pairs.get(NAME)
        key = (*pairs.items(), ("", name))
        try:
            known = self._known.get(key)
        except TypeError:
            raise InputError("labels: must be an object of names and texts") from None
        if known is None:
            size_bytes = sum(len(label) + len(str(value)) for label, value in key)
            (known,) = self._book.append([_labels(pairs, name)], size_bytes)
            self._known[key] = known
        return known


class _RemoteWrites:
    """Requests of remote write, as a remote-write body or its snappy block."""

    def __init__(self, settings: KafkaSourceSettings, limits: IntakeLimits) -> None:
        self._settings = settings
        self._parts_max = 2 * limits.series_max
        self._books = Books()

    def read(self, messages: Sequence[Message], now_ms: int) -> Read:
        pushes: list[Push] = []
        invalid: list[Poison] = []

        def take(message: Message) -> None:
            body = self._body(message.value)
            # 2.0 has no field 1, and begins with its symbols.
            version = Version.V1 if body[:1] == b"\x0a" else Version.V2
            book = self._books.of(self._settings.name, version)
            read = remote_write1.read if version is Version.V1 else remote_write2.read
            push, reading = read(body, book, self._settings.name, parts_max=self._parts_max)
            pushes.append(push)
            if reading.problems:
                invalid.append(Poison(message, f"{reading.bad} samples: {reading.problems[0]}"))

        poison = each(messages, take, self._settings.message_bytes_max)
        return Read(tuple(pushes), poison=(*poison, *invalid))

    def _body(self, value: bytes) -> bytes:
        # A request begins with the tag of its first field; as a snappy block with its length, of which the
        # first byte may look the same, but what follows does not decode then.
        try:
            return snappy.unpack(value, bytes_max=self._settings.message_bytes_max)
        except InputError:
            if value[:1] not in (b"\x0a", b"\x22"):
                raise
        return value


class _Otlp:
    """Requests of OTLP, protobuf or JSON, as the Collector's kafka exporter writes them."""

    def __init__(self, settings: KafkaSourceSettings, otlp: OtlpSettings) -> None:
        self._settings = settings
        self._otlp = otlp
        self._metrics = MetricReader()

    def read(self, messages: Sequence[Message], now_ms: int) -> Read:
        pushes: list[Push] = []
        rejected: list[Poison] = []

        def take(message: Message) -> None:
            push, why = self._push(message.value, now_ms)
            if push.size_bytes:
                pushes.append(push)
            if why:
                rejected.append(Poison(message, why))

        poison = each(messages, take, self._settings.message_bytes_max)
        return Read(tuple(pushes), poison=(*poison, *rejected))

    def _push(self, value: bytes, now_ms: int) -> tuple[Push, str]:
        source, otlp = self._settings.name, self._otlp
        as_json, most = value.lstrip()[:1] == b"{", self._settings.message_bytes_max
        push: Push
        if self._settings.format is KafkaFormat.OTLP_METRICS:
            points = metrics.ExportMetricsServiceRequest
            if as_json:
                request = decode(value, points, as_json=True, bytes_max=most)
                push, rejected = self._metrics.read(request, otlp, source=source, now_ms=now_ms)
            else:
                push, rejected = self._metrics.read_body(value, otlp, source=source, now_ms=now_ms)
        elif self._settings.format is KafkaFormat.OTLP_LOGS:
            records = decode(value, logs.ExportLogsServiceRequest, as_json=as_json, bytes_max=most)
            push, rejected = read_logs(records, otlp, source=source)
        else:
            spans = decode(value, traces.ExportTraceServiceRequest, as_json=as_json, bytes_max=most)
            push, rejected = read_traces(spans, otlp, source=source, now_ms=now_ms)
        return push, rejected.message if rejected.count else ""


def _object(value: bytes) -> dict[str, object]:
    try:
        found = orjson.loads(value)
    except orjson.JSONDecodeError:
        found = _odd_json(value)
    if not isinstance(found, dict):
        raise InputError(f"value: must be a JSON object, got {type(found).__name__}")
    return found


def _odd_json(value: bytes) -> object:
    """What orjson refuses, such as half of a surrogate pair in a log message."""
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        raise InputError(f"value: must be a JSON object: {str(error)[:100]}") from None


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise InputError("value: must be a number, or a text that is one")
    try:
        return float(value)
    except (ValueError, OverflowError):
        raise InputError(f"value: must be a number, got {str(value)[:40]!r}") from None


def _labels(pairs: dict[str, object], name: object) -> Labels:
    if not isinstance(name, str) or not name:
        raise InputError("name: must be the metric's name")
    if not all(isinstance(value, str) for value in pairs.values()):
        raise InputError("labels: must be an object of names and texts")
    texts = {label: str(value) for label, value in pairs.items() if value}
    try:
        check_writable({**texts, NAME: name})
        return Labels.of({**texts, NAME: name})
    except LabelError as error:
        raise InputError(f"labels: {error}") from None


def _with_service(line: LogLine, service: str) -> LogLine:
    if line.service:
        return line
    return line._replace(service=service)


def _log_push(source: str, lines: Sequence[LogLine]) -> tuple[Push, ...]:
    if not lines:
        return ()
    size_bytes = sum(_LINE_BYTES + len(line.message) for line in lines)
    return (LogPush(source, size_bytes, tuple(lines)),)
