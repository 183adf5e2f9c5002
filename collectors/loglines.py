"""Log lines in the formats people write them; anything is a log line, nothing raises."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import tzinfo

import orjson

from collectors.logtimes import access_time, bsd_time, from_field, time_at_front
from collectors.syslog_header import SyslogHeader, read_header

UNKNOWN, DEBUG, INFO, WARN, ERROR, FATAL = 0, 5, 9, 13, 17, 21

_SEVERITIES = {
    "trace": 1,
    "verbose": DEBUG,
    "debug": DEBUG,
    "dbg": DEBUG,
    "info": INFO,
    "information": INFO,
    "informational": INFO,
    "notice": INFO,
    "warn": WARN,
    "warning": WARN,
    "error": ERROR,
    "err": ERROR,
    "severe": ERROR,
    "fail": ERROR,
    "crit": FATAL,
    "critical": FATAL,
    "alert": FATAL,
    "emerg": FATAL,
    "emergency": FATAL,
    "fatal": FATAL,
    "panic": FATAL,
}
_SYSLOG = (FATAL, FATAL, FATAL, ERROR, WARN, INFO, INFO, DEBUG)
_FRONT_CHARS = 100
_FRONT_UPPER = re.compile(
    r"\b(TRACE|VERBOSE|DEBUG|DBG|INFO|NOTICE|WARN|WARNING|ERROR|ERR|SEVERE|CRIT|CRITICAL|ALERT"
    r"|EMERG|FATAL|PANIC)\b"
)
_FRONT_LOWER = re.compile(
    r"\s*(?:[\w./-]+(?:\[\d+\])?: )?[\[(<]?(trace|debug|info|notice|warn|warning|error|err|crit"
    r"|critical|alert|emerg|fatal|panic)(?:[\])>]|:)",
    re.IGNORECASE,
)
_LOGFMT = re.compile(r'([A-Za-z_@][\w.@/-]*)=("(?:[^"\\]|\\.)*"|\S*)(?:\s+|$)')
_PROGRAM = re.compile(r"(\S+) ([\w./@-]+)(?:\[\d+\])?: ")
_CONTAINER = re.compile(r"(?:stdout|stderr) [FP] ")
_STATUS = re.compile(r'" ([1-5]\d\d) ')
_COLOUR = re.compile(r"\x1b\[[0-9;]{0,20}m")
_CONTROL = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


@dataclass(frozen=True, slots=True)
class LogLine:
    """What was read from a line.

    Attributes
    ----------
    message : str
        Control characters escaped, cut at a limit.
    time_ms : int or None
        None where the line does not say.
    severity : int
        OpenTelemetry's number: 0 unknown, 5 debug, 9 info, 13 warn, 17 error, 21 fatal.
    """

    message: str
    time_ms: int | None = None
    severity: int = UNKNOWN
    service: str = ""
    logger: str = ""
    trace_id: str = ""
    fields: str = ""  # numbers beside the message, as `name=value` with a blank between


def parse_line(
    text: str, *, now_ms: int, zone: tzinfo | None = None, message_chars_max: int = 4096
) -> LogLine:
    """Read one line: JSON (ECS, OpenTelemetry and common names), logfmt, syslog, or plain text.

    Parameters
    ----------
    now_ms : int
        For formats whose times have no year.
    zone : tzinfo or None
        Of times that name none; None is the machine's.

    Examples
    --------
    >>> line = parse_line('{"level":"error","msg":"no stock","service":"cart","ts":1700000000}', now_ms=0)
    >>> line.severity, line.message, line.service, line.time_ms
    (17, 'no stock', 'cart', 1700000000000)
    >>> parse_line("level=warn msg=\\"slow call\\" ms=950", now_ms=0).message
    'slow call ms=950'
    >>> parse_line("2023-11-14T22:13:20Z [ERROR] disk is full", now_ms=0).severity
    17
    """
    text = without_colour(text)
    line = None
    if text.startswith("{"):
        line = _json(text, now_ms, zone)
    elif text.startswith("<"):
        line = _syslog(text, now_ms, zone)
    return tidy(line or _logfmt(text) or _plain(text, now_ms, zone), message_chars_max)


def without_colour(text: str) -> str:
    """Text as a terminal would show it, without blanks around it."""
    return _COLOUR.sub("", text).strip()


def tidy(line: LogLine, message_chars_max: int = 4096) -> LogLine:
    """A line whose texts are safe to write down."""
    return LogLine(
        escape(line.message, message_chars_max),
        line.time_ms,
        line.severity,
        escape(line.service, 200) if line.service else "",
        escape(line.logger, 200) if line.logger else "",
        escape(line.trace_id, 200) if line.trace_id else "",
        line.fields,
    )


def escape(text: str, chars_max: int = 4096) -> str:
    """Make text safe for one line: control characters, line separators and reorderings are spelt out (A7).

    Examples
    --------
    >>> escape("a\\nb\\x1b[2J")
    'a\\\\nb\\\\x1b[2J'
    """
    if len(text) > chars_max:
        text = text[: max(0, chars_max - 1)] + "…"
    return _CONTROL.sub(_spell, text)


def _spell(found: re.Match[str]) -> str:
    char = found[0]
    named = {"\n": "\\n", "\t": " ", "\r": "\\r"}.get(char)
    return named or (f"\\x{ord(char):02x}" if ord(char) < 256 else f"\\u{ord(char):04x}")


def severity_of(value: object) -> int:
    """Severity from a word or a number in a `level` field.

    Numbers 0 to 7 are syslog's, 10 to 60 pino's and bunyan's.

    Examples
    --------
    >>> severity_of("WARNING"), severity_of(3), severity_of(50), severity_of("?")
    (13, 17, 17, 0)
    """
    if isinstance(value, str):
        if value.isascii() and value.isdigit() and len(value) < 4:
            return severity_of(int(value))
        return _SEVERITIES.get(value.strip().lower(), UNKNOWN)
    if isinstance(value, int) and not isinstance(value, bool):
        if 0 <= value <= 7:
            return _SYSLOG[value]
        return {10: 1, 20: DEBUG, 30: INFO, 40: WARN, 50: ERROR, 60: FATAL}.get(value, UNKNOWN)
    return UNKNOWN


_TIME = ("@timestamp", "timestamp", "time", "ts", "Timestamp", "t", "datetime", "asctime")
_LEVEL = (
    "level",
    "log.level",
    "severity",
    "severity_text",
    "SeverityText",
    "lvl",
    "levelname",
    "loglevel",
)
_MESSAGE = ("message", "msg", "body", "Body", "event", "log", "text", "error")
_SERVICE = (
    "service.name",
    "service",
    "service_name",
    "serviceName",
    "app",
    "application",
    "resource.service.name",
)
_LOGGER = ("log.logger", "logger", "logger_name", "name", "component", "caller")
_TRACE = ("trace.id", "trace_id", "traceId", "TraceId", "traceID")


_PLAIN_NAME = re.compile(r"[A-Za-z_][\w.\-]{0,39}")
_NOT_MEASURED = frozenset((*_TIME, *_LEVEL, "pid", "severity_number", "v"))
_MEASURE_MAX, _FIELDS_MAX = 1e12, 8


def _field(data: Mapping[str, object], names: tuple[str, ...]) -> object:
    """The first of these fields, written with dots or as objects within objects."""
    for name in names:
        value = data.get(name)
        if value is None and "." in name:
            first, _, rest = name.partition(".")
            inner = data.get(first)
            value = inner.get(rest) if isinstance(inner, dict) else None
        if value is not None and value != "" and not isinstance(value, dict | list):
            return value
    return None


def _text(data: Mapping[str, object], names: tuple[str, ...]) -> str:
    value = _field(data, names)
    return value if isinstance(value, str) else "" if value is None else str(value)


def _json(text: str, now_ms: int, zone: tzinfo | None) -> LogLine | None:
    try:
        data = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(data, dict):
        return None
    time_ms = from_field(_field(data, _TIME))
    message = _text(data, _MESSAGE)
    severity = severity_of(_field(data, _LEVEL))
    number = _field(data, ("severity_number", "SeverityNumber", "severityNumber"))
    if severity == UNKNOWN and isinstance(number, int) and 1 <= number <= 24:
        severity = number
    if severity == UNKNOWN and message:
        # A container's log driver wraps lines that may have a format of their own.
        inner = _logfmt(message.strip()) or _plain(message.strip(), now_ms, zone)
        severity = inner.severity
        message = inner.message if "log" in data else message
    return LogLine(
        message=message or text,
        time_ms=time_ms,
        severity=severity,
        service=_text(data, _SERVICE),
        logger=_text(data, _LOGGER),
        trace_id=_text(data, _TRACE),
        fields=_numbers(data) if message else "",
    )


def _numbers(data: Mapping[str, object]) -> str:
    """The numbers of a line's fields that are not too long to be a measure.

    Examples
    --------
    >>> _numbers({"msg": "done", "status": 500, "duration_ms": 35.2, "card": 4111111111111111, "ok": True})
    'status=500 duration_ms=35.2'
    """
    found = [
        f"{name}={value}"
        for name, value in data.items()
        if type(value) in (int, float) and _PLAIN_NAME.fullmatch(name) and name not in _NOT_MEASURED
        if isinstance(value, int | float) and 0 <= value < _MEASURE_MAX
    ]
    return " ".join(found[:_FIELDS_MAX])


def _logfmt(text: str) -> LogLine | None:
    if "=" not in text:
        return None
    fields: dict[str, str] = {}
    kept: list[str] = []
    position = 0
    while match := _LOGFMT.match(text, position):
        name, value = match[1], match[2]
        if value[:1] == '"':
            value = value[1:-1].replace('\\"', '"').replace("\\\\", "\\")
        if name not in _TIME + _LEVEL + _MESSAGE + _SERVICE + _LOGGER + _TRACE:
            kept.append(match[0].strip())
        fields.setdefault(name, value)
        position = match.end()
    message = _text(fields, _MESSAGE)
    if position < len(text) or len(fields) < 2:
        return None
    return LogLine(
        message=" ".join([message, *kept] if message else kept) or text,
        time_ms=from_field(_field(fields, _TIME)),
        severity=severity_of(_field(fields, _LEVEL)),
        service=_text(fields, _SERVICE),
        logger=_text(fields, _LOGGER),
        trace_id=_text(fields, _TRACE),
    )


_NOT_ABOUT_THE_EVENT = ("timeQuality.", "origin.", "meta.")  # of RFC 5424 itself


def _syslog(text: str, now_ms: int, zone: tzinfo | None) -> LogLine | None:
    header = read_header(text, now_ms=now_ms, zone=zone)
    return None if header is None else of_syslog(header, text, now_ms=now_ms, zone=zone)


def of_syslog(
    header: SyslogHeader, text: str, *, now_ms: int, zone: tzinfo | None = None
) -> LogLine:
    """The line of a syslog message whose head was read; the message may be JSON or logfmt itself.

    Examples
    --------
    >>> text = '<14>1 - web1 cart - - [shop@1 ms="35"] {"level": "error", "msg": "no stock"}'
    >>> header = read_header(text, now_ms=0)
    >>> line = of_syslog(header, text, now_ms=0)
    >>> line.message, line.severity, line.logger, line.fields
    ('no stock', 17, 'cart', 'ms=35')
    """
    message = text[header.start :].removeprefix("@cee:").strip()
    data = {
        name.rpartition(".")[2]: value
        for name, value in header.data
        if not name.startswith(_NOT_ABOUT_THE_EVENT)
    }
    line = _json(message, now_ms, zone) if message.startswith("{") else _logfmt(message)
    if line is None:
        told = message or " ".join(f"{name}={value}" for name, value in data.items())
        line = LogLine(told or text)
    if data:
        trace_id = line.trace_id or _text(data, _TRACE)
        fields = line.fields or _numbers({name: _number(value) for name, value in data.items()})
    else:
        trace_id, fields = line.trace_id, line.fields
    return LogLine(  # `replace` takes as long as all the rest
        line.message,
        line.time_ms if header.time_ms is None else header.time_ms,
        line.severity or _SYSLOG[header.level],
        line.service,
        header.app or line.logger,
        trace_id,
        fields,
    )


def _number(text: str) -> object:
    try:
        return text if len(text) > 19 else int(text) if text.isdigit() else float(text)
    except ValueError:
        return text


def _plain(text: str, now_ms: int, zone: tzinfo | None) -> LogLine:
    time_ms, end = bsd_time(text, now_ms=now_ms, zone=zone)
    bsd = time_ms is not None
    if not bsd:
        time_ms, end = time_at_front(text, zone=zone)
    rest = text[end:]
    if time_ms is not None and (container := _CONTAINER.match(rest)):
        inner = rest[container.end() :]
        return replace(_logfmt(inner) or _plain(inner, now_ms, zone), time_ms=time_ms)
    if time_ms is None:
        time_ms, start, end = access_time(text)
        if time_ms is not None:
            status = _STATUS.search(text, end)
            severity = ERROR if status and status[1][0] == "5" else INFO
            return LogLine(text[:start] + text[end:], time_ms, severity)
    logger = ""
    program = _PROGRAM.match(rest) if time_ms is not None else None
    if program and severity_of(program[1].strip("[]()")) == UNKNOWN and program[1][0].isalnum():
        logger, rest = program[2], rest[program.end() :]
    elif time_ms is not None and (body := _logfmt(rest)):
        return replace(body, time_ms=time_ms)
    return LogLine(rest or text, time_ms, _severity_at_front(rest), logger=logger)


def _severity_at_front(text: str) -> int:
    front = text[:_FRONT_CHARS]
    match = _FRONT_UPPER.search(front) or _FRONT_LOWER.match(front)
    return _SEVERITIES.get(match[1].lower(), UNKNOWN) if match else UNKNOWN


_CONTINUES = re.compile(
    r"[ \t]+\S|Traceback \(most recent call last\)|Caused by: |Suppressed: |\.\.\. \d+ (?:more|common)"
    r"|During handling of the above|The above exception was"
)
_RAISED = re.compile(r"[\w.]+(?:Error|Exception|Exit|Interrupt|Warning|Failure)\b(?::|$)")


def continues(text: str, *, in_trace: bool = False) -> bool:
    """Whether a line belongs to the one before it: an indented line or part of a stack trace.

    Parameters
    ----------
    in_trace : bool
        Whether a Python traceback is under way: then its last line ("ValueError: …") belongs too.

    Examples
    --------
    >>> continues("    at shop.Cart.add(Cart.java:12)"), continues("ValueError: x"), continues("ready")
    (True, False, False)
    >>> continues("ValueError: x", in_trace=True)
    True
    """
    return bool(_CONTINUES.match(text) or (in_trace and _RAISED.match(text)))
