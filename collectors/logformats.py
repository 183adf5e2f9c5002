"""The formats people write log lines in, each to a row of texts and numbers.

All of it is by the line, so that what a line says does not depend on its neighbours, and quick by remembering what
lines have in common: their moment to the second, and which names their JSON has.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo

import orjson

from collectors.logtimes import access_time, bsd_time, from_field, time_at_front
from collectors.logwords import (
    ERROR,
    INFO,
    SYSLOG_SEVERITIES,
    UNKNOWN,
    escape,
    severity_at_front,
    severity_of,
    without_colour,
)
from collectors.syslog_header import PRIORITY_MAX, SyslogHeader, read_header

Row = tuple[str, int | None, int, str, str, str, str]
"""The attributes of a `LogLine`, which is one of these."""

NAME_MAX = 200
"""Characters of a service, a logger or a trace."""
_LOGFMT = re.compile(r'([A-Za-z_@][\w.@/-]*)=("(?:[^"\\]|\\.)*"|\S*)(?:\s+|$)')
_PROGRAM = re.compile(r"(\S+) ([\w./@-]+)(?:\[\d+\])?: ")
_CONTAINER = re.compile(r"(?:stdout|stderr) [FP] ")
_STATUS = re.compile(r'" ([1-5]\d\d) ')

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
_NUMBER = ("severity_number", "SeverityNumber", "severityNumber")
_NAMED = frozenset((*_TIME, *_LEVEL, *_MESSAGE, *_SERVICE, *_LOGGER, *_TRACE))

_PLAIN_NAME = re.compile(r"[A-Za-z_][\w.\-]{0,39}")
_NOT_MEASURED = frozenset((*_TIME, *_LEVEL, "pid", "severity_number", "v"))
_MEASURE_MAX, _FIELDS_MAX = 1e12, 8
_MARKS = {f"<{n}>1": SYSLOG_SEVERITIES[n % 8] for n in range(PRIORITY_MAX + 1)}
_HEAD_MAX = 80  # in less than that no part of it is too long
_SHOWN = bytes(range(32, 127))
_NOT_ABOUT_THE_EVENT = ("timeQuality.", "origin.", "meta.")  # of RFC 5424 itself
_PLANS_MAX, _PLAN_NAMES_MAX, _PLAN_NAME_MAX = 500, 64, 64


def read_rows(
    texts: Sequence[str], now_ms: int, zone: tzinfo | None, message_chars_max: int
) -> list[Row]:
    """Lines as `parse_line` reads each of them."""
    clean = printable(texts)
    rows = []
    for text in texts:
        relayed = plain_syslog(text.strip()) if clean and text[:1] == "<" else None
        if relayed is not None and len(text) <= message_chars_max:
            rows.append(relayed[0])
        else:
            rows.append(read_row(text, now_ms, zone, message_chars_max, clean=clean))
    return rows


def read_row(
    text: str,
    now_ms: int,
    zone: tzinfo | None,
    message_chars_max: int,
    *,
    clean: bool = False,
) -> Row:
    """A line as `parse_line` reads it.

    Parameters
    ----------
    clean : bool
        Whether it is known already that every character of it can be shown.
    """
    text = text.strip() if clean else without_colour(text)
    row = None
    if text.startswith("{"):
        row = _json(text, now_ms, zone)
        clean = False  # there may be anything in its escapes
    elif text.startswith("<"):
        row = _syslog(text, now_ms, zone)
    row = row or _logfmt(text) or _plain(text, now_ms, zone)
    return (
        row
        if clean and len(text) <= min(message_chars_max, NAME_MAX)
        else tidy(row, message_chars_max)
    )


def printable(texts: Sequence[str]) -> bool:
    """Whether every character of every text can be shown, and is ASCII: so most of a log is, and quickly found to be.

    Examples
    --------
    >>> printable(["one", "two"]), printable(["one\\ttwo"]), printable(["größer"])
    (True, False, False)
    """
    block = "".join(texts)
    return block.isascii() and not block.encode().translate(None, _SHOWN)


def tidy(row: Row, message_chars_max: int = 4096) -> Row:
    """A row whose texts are safe to write down."""
    message, time_ms, severity, service, logger, trace, fields = row
    return (
        escape(message, message_chars_max),
        time_ms,
        severity,
        escape(service, NAME_MAX) if service else "",
        escape(logger, NAME_MAX) if logger else "",
        escape(trace, NAME_MAX) if trace else "",
        fields,
    )


def plain_syslog(text: str) -> tuple[Row, str] | None:
    """The row and the host of an RFC 5424 message of printable ASCII that holds a plain text; None for all others.

    Examples
    --------
    >>> plain_syslog("<14>1 2023-11-14T22:13:20.5Z web1 cart 7 - - no stock")
    (('no stock', 1700000000500, 9, '', 'cart', '', ''), 'web1')
    """
    try:
        mark, time, host, app, process, what, data, said = text.split(" ", 7)
    except ValueError:
        return None
    severity = _MARKS.get(mark)
    if severity is None or data != "-" or not (time and host and app and process and what and said):
        return None
    # Whatever has an "=" may be logfmt, and what begins so JSON.
    if said[0] in " @{" or "=" in said or len(text) - len(said) > _HEAD_MAX:
        return None
    time_ms = from_field(time) if time != "-" else None
    row = (said, time_ms, severity, "", "" if app == "-" else app, "", "")
    return row, "" if host == "-" else host


def of_syslog(header: SyslogHeader, text: str, now_ms: int, zone: tzinfo | None) -> Row:
    """The row of a syslog message whose head was read; the message may be JSON or logfmt itself.

    Examples
    --------
    >>> text = '<14>1 - web1 cart - - [shop@1 ms="35"] {"level": "error", "msg": "no stock"}'
    >>> header = read_header(text, now_ms=0)
    >>> of_syslog(header, text, 0, None)
    ('no stock', None, 17, '', 'cart', '', 'ms=35')
    """
    said = text[header.start :].removeprefix("@cee:").strip()
    data = {
        name.rpartition(".")[2]: value
        for name, value in header.data
        if not name.startswith(_NOT_ABOUT_THE_EVENT)
    }
    row = _json(said, now_ms, zone) if said.startswith("{") else _logfmt(said)
    if row is None:
        told = said or " ".join(f"{name}={value}" for name, value in data.items())
        row = (told or text, None, UNKNOWN, "", "", "", "")
    message, time_ms, severity, service, logger, trace, fields = row
    if data:
        trace = trace or _text(data, _TRACE)
        fields = fields or _numbers({name: _number(value) for name, value in data.items()})
    return (
        message,
        time_ms if header.time_ms is None else header.time_ms,
        severity or SYSLOG_SEVERITIES[header.level],
        service,
        header.app or logger,
        trace,
        fields,
    )


def _syslog(text: str, now_ms: int, zone: tzinfo | None) -> Row | None:
    header = read_header(text, now_ms=now_ms, zone=zone)
    return None if header is None else of_syslog(header, text, now_ms, zone)


def _number(text: str) -> object:
    try:
        return text if len(text) > 19 else int(text) if text.isdigit() else float(text)
    except ValueError:
        return text


@dataclass(frozen=True, slots=True)
class _Plan:
    """Which of the known names lines with certain fields may have, by what they are."""

    time: tuple[str, ...]
    level: tuple[str, ...]
    message: tuple[str, ...]
    service: tuple[str, ...]
    logger: tuple[str, ...]
    trace: tuple[str, ...]
    number: tuple[str, ...]
    measured: tuple[str, ...]


class _Plans(dict[tuple[str, ...], _Plan]):
    """Field names to their plan, made once; starts anew when it holds too many."""

    def __missing__(self, names: tuple[str, ...]) -> _Plan:
        has = set(names)

        def of(known: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(n for n in known if n in has or n.partition(".")[0] in has)

        plan = _Plan(
            *(of(_TIME), of(_LEVEL), of(_MESSAGE), of(_SERVICE), of(_LOGGER), of(_TRACE)),
            *(of(_NUMBER), _measured(names)),
        )
        if len(names) <= _PLAN_NAMES_MAX and max(map(len, names), default=0) <= _PLAN_NAME_MAX:
            if len(self) >= _PLANS_MAX:
                self.clear()
            self[names] = plan
        return plan


_PLANS = _Plans()


def _measured(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(n for n in names if n not in _NOT_MEASURED and _PLAIN_NAME.fullmatch(n))


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


def _json(text: str, now_ms: int, zone: tzinfo | None) -> Row | None:
    try:
        data = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(data, dict):
        return None
    plan = _PLANS[tuple(data)]
    message = _text(data, plan.message)
    severity = severity_of(_field(data, plan.level))
    number = _field(data, plan.number)
    if severity == UNKNOWN and isinstance(number, int) and 1 <= number <= 24:
        severity = number
    time_ms = from_field(_field(data, plan.time))
    if severity == UNKNOWN and message:
        # A container's log driver wraps lines that may have a format of their own.
        wrapped = message.strip()
        inner, _, severity, *_ = _logfmt(wrapped) or _plain(wrapped, now_ms, zone)
        message = inner if "log" in data else message
    return (
        message or text,
        time_ms,
        severity,
        _text(data, plan.service),
        _text(data, plan.logger),
        _text(data, plan.trace),
        _numbers(data, plan.measured) if message else "",
    )


def _numbers(data: Mapping[str, object], names: tuple[str, ...] | None = None) -> str:
    """The numbers of a line's fields that are not too long to be a measure.

    Examples
    --------
    >>> _numbers({"msg": "done", "status": 500, "duration_ms": 35.2, "card": 4111111111111111, "ok": True})
    'status=500 duration_ms=35.2'
    """
    found = []
    for name in _measured(tuple(data)) if names is None else names:
        value = data[name]
        if type(value) in (int, float) and 0 <= value < _MEASURE_MAX:  # type: ignore[operator]
            found.append(f"{name}={value}")
    return " ".join(found[:_FIELDS_MAX])


def _logfmt(text: str) -> Row | None:
    match = _LOGFMT.match(text) if "=" in text else None
    if match is None:
        return None
    fields: dict[str, str] = {}
    kept: list[str] = []
    position = 0
    while match:
        name, value = match[1], match[2]
        if value[:1] == '"':
            value = value[1:-1].replace('\\"', '"').replace("\\\\", "\\")
        if name not in _NAMED:
            kept.append(match[0].strip())
        fields.setdefault(name, value)
        position = match.end()
        match = _LOGFMT.match(text, position)
    if position < len(text) or len(fields) < 2:
        return None
    plan = _PLANS[tuple(fields)]
    message = _text(fields, plan.message)
    return (
        " ".join([message, *kept] if message else kept) or text,
        from_field(_field(fields, plan.time)),
        severity_of(_field(fields, plan.level)),
        _text(fields, plan.service),
        _text(fields, plan.logger),
        _text(fields, plan.trace),
        "",
    )


def _plain(text: str, now_ms: int, zone: tzinfo | None) -> Row:
    time_ms, end = bsd_time(text, now_ms=now_ms, zone=zone)
    if time_ms is None:
        time_ms, end = time_at_front(text, now_ms=now_ms, zone=zone)
    if time_ms is None:
        return _access(text) or (text, None, severity_at_front(text), "", "", "", "")
    rest = text[end:]
    if rest.startswith("std") and (container := _CONTAINER.match(rest)):
        inner = rest[container.end() :]
        return _at(time_ms, _logfmt(inner) or _plain(inner, now_ms, zone))
    program = _PROGRAM.match(rest) if ": " in rest else None
    if program and program[1][0].isalnum() and not severity_of(program[1].strip("[]()")):
        rest = rest[program.end() :]
        return (rest or text, time_ms, severity_at_front(rest), "", program[2], "", "")
    if body := _logfmt(rest):
        return _at(time_ms, body)
    return (rest or text, time_ms, severity_at_front(rest), "", "", "", "")


def _at(time_ms: int, row: Row) -> Row:
    message, _, *others = row
    return (message, time_ms, *others)  # type: ignore[return-value]


def _access(text: str) -> Row | None:
    """A web server's line without its time; None where it is none."""
    time_ms, start, end = access_time(text)
    if time_ms is None:
        return None
    status = _STATUS.search(text, end)
    severity = ERROR if status and status[1][0] == "5" else INFO
    return (text[:start] + text[end:], time_ms, severity, "", "", "", "")
