"""The numbers in a log message that say how it went: durations, sizes, counts, status codes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice

_DURATIONS = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "μs": 1e-6,
    "ms": 1e-3,
    "msec": 1e-3,
    "msecs": 1e-3,
    "millis": 1e-3,
    "milliseconds": 1e-3,
    "s": 1.0,
    "sec": 1.0,
    "secs": 1.0,
    "second": 1.0,
    "seconds": 1.0,
    "min": 60.0,
    "mins": 60.0,
    "minutes": 60.0,
    "hours": 3600.0,
}
_SIZES = {
    "b": 1.0,
    "byte": 1.0,
    "bytes": 1.0,
    "kb": 1e3,
    "kib": 1024.0,
    "mb": 1e6,
    "mib": 1024.0**2,
    "gb": 1e9,
    "gib": 1024.0**3,
}
_ENDINGS = (
    ("_ns", "duration", 1e-9),
    ("_us", "duration", 1e-6),
    ("_ms", "duration", 1e-3),
    ("_millis", "duration", 1e-3),
    ("_seconds", "duration", 1.0),
    ("_secs", "duration", 1.0),
    ("_bytes", "size", 1.0),
)
_PLAIN = dict.fromkeys("duration elapsed latency took".split(), "plain")
_STATUS = frozenset(
    "status code statuscode status_code http_status response_code httpstatus".split()
)
_COUNTED = frozenset(
    "attempts bytes connections documents entries errors failures files items jobs keys lines messages"
    " objects packets pending queued records requests results retries rows tasks threads times tries"
    " users workers".split()
)
_NAMED = frozenset(
    "attempt backlog count depth errors failures items lag length pending queue queued records retries"
    " retry rows size total".split()
)
_NUMBER = re.compile(
    r"(?<![\w.,/\-+@%#$])(?<!\d:)(\d{1,15}(?:\.\d{1,9})?)(?: ?([A-Za-zµμ_]{1,14}))?(?![\w:/\-+@%]|[.,]\d)"
)
_NAME = re.compile(r"[A-Za-z_][\w.\-]{0,39}")
_NAME_MAX = 44
_CHARS_MAX, _MATCHES_MAX = 1_000, 24
_ACCESS = re.compile(r"\bHTTP/\d(?:\.\d)?[\"']?,? ([1-5]\d\d)\b")
UNITS = {"duration": "seconds", "size": "bytes", "count": "", "plain": "", "status": "status"}
"""The unit a kind's values are told in."""


@dataclass(frozen=True, slots=True)
class Number:
    """One number of a message: what names it, of which kind it is, and its value in the kind's unit."""

    name: str
    kind: str
    value: float


def numbers(message: str, most: int = 6) -> list[Number]:
    """The numbers in a message that mean something, in order, no name twice.

    A unit says what a number is, or its name; what has neither (an order, a port, a process) is left
    out, for that a customer's number was never so high is no news.

    Examples
    --------
    >>> [(n.name, n.kind, n.value) for n in numbers("GET /cart took 35 ms, status=500, 12 rows")]
    [('took', 'duration', 0.035), ('status', 'status', 500.0), ('rows', 'count', 12.0)]
    >>> numbers("order 712345 of user 99 via 10.0.0.1:8080 at 12:30")
    []
    >>> [(n.name, n.value) for n in numbers("latency_ms=250 size: 2 KiB took 2.5s elapsed=0.4")]
    [('latency_ms', 0.25), ('size', 2048.0), ('took', 2.5), ('elapsed', 0.4)]
    >>> numbers('"GET / HTTP/1.1" 503 1204')[0]
    Number(name='status', kind='status', value=503.0)
    """
    found: dict[str, Number] = {}
    if "HTTP/" in message and (access := _ACCESS.search(message)):
        found["status"] = Number("status", "status", float(access[1]))
    for match in islice(_NUMBER.finditer(message[:_CHARS_MAX]), _MATCHES_MAX):
        name = _before(message[max(0, match.start() - _NAME_MAX) : match.start()])
        number = _number(name, float(match[1]), match[2] or "")
        if number is not None and found.setdefault(number.name, number) is number:
            if len(found) >= most:
                break
    return list(found.values())


def _before(head: str) -> str:
    """The word that names a number: the last one before it."""
    words = head.rstrip("\"'[({ ").rstrip("=:").rstrip("\"'").replace(",", " ").split()
    name = words[-1].lstrip("\"'[({") if words else ""
    return name if _NAME.fullmatch(name) else ""


def _number(name: str, value: float, unit: str) -> Number | None:
    lower, unit = name.lower(), unit.lower()
    if unit in _DURATIONS:
        return Number(name or "duration", "duration", value * _DURATIONS[unit])
    if unit in _SIZES:
        return Number(name or "size", "size", value * _SIZES[unit])
    last = lower.rpartition(".")[2]
    if last in _STATUS:
        status = 100 <= value <= 599 and value == int(value)
        return Number(name, "status", value) if status else None
    for ending, kind, factor in _ENDINGS:
        if lower.endswith(ending):
            return Number(name, kind, value * factor)
    if last in _PLAIN:
        return Number(name, "plain", value)
    if last in _NAMED:
        return Number(name, "count", value)
    return Number(unit, "count", value) if unit in _COUNTED else None
