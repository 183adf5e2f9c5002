"""A document's fields to a log line: ECS, OpenTelemetry's names, and what Fluent Bit writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from collectors.elastic_places import Json, Place, Places
from collectors.loglines import LogLine, parse_line
from collectors.logtimes import from_field
from collectors.logwords import UNKNOWN, escape, severity_of

KNOWN: dict[str, tuple[str, ...]] = {
    "message": (
        *("message", "body.text", "body", "Body", "event.original", "log", "msg"),
        *("error.message", "attributes.exception.message"),
    ),
    "level": ("log.level", "severity_text", "SeverityText", "level", "log.syslog.severity.name"),
    "service": (
        *("service.name", "resource.attributes.service.name", "Resource.service.name"),
        *("kubernetes.deployment.name", "kubernetes.labels.app", "kubernetes.container.name"),
        *("kubernetes.container_name", "container.name"),
    ),
    "host": ("host.name", "resource.attributes.host.name", "Resource.host.name", "host.hostname"),
    "logger": ("log.logger", "scope.name", "Scope.name", "event.dataset", "event.module"),
    "trace": ("trace.id", "trace_id", "TraceId"),
    "stack": (
        *("error.stack_trace", "attributes.exception.stacktrace"),
        *("Attributes.exception.stacktrace", "exception.stacktrace"),
    ),
}
_NUMBER = ("severity_number", "SeverityNumber")
_MEASURE = "measure "
_SYSLOG = "log.syslog.severity.code"
_MEASURE_MAX = 1e15
_NAMES_MAX = 10_000
_NONE = LogLine("")


class Read(NamedTuple):
    """A line, the host that wrote it, and what stood below it."""

    line: LogLine
    host: str
    stack: str

    def line_of(self, service: str) -> LogLine:
        """The line; of this service where it names none."""
        return self.line if self.line.service else self.line._replace(service=service)


class DocumentReader:
    """Reads documents of one source.

    Parameters
    ----------
    fields : mapping of str to str
        Names to look at first, by what they are.
    numbers : sequence of str
        Fields whose numbers are kept.
    time_field : str
        "" where the cursor's time is the line's; else the field that holds it.

    Examples
    --------
    >>> reader = DocumentReader()
    >>> read = reader.read({"log": {"level": "ERROR"}, "service.name": "cart", "message": "no stock"}, 5)
    >>> read.line.severity, read.line.service, read.line.message, read.line.time_ms
    (17, 'cart', 'no stock', 5)
    >>> reader.read({"labels": {"a": 1}}, 5) is None
    True
    """

    def __init__(
        self,
        fields: Mapping[str, str] | None = None,
        *,
        numbers: Sequence[str] = (),
        time_field: str = "",
        message_chars_max: int = 4_096,
    ) -> None:
        own = fields or {}
        self._names = {
            ours: (own[ours], *known) if ours in own else known for ours, known in KNOWN.items()
        }
        self._numbers = tuple(numbers)
        self._time_field = time_field
        self._places = Places(
            {
                **self._names,
                "number": _NUMBER,
                "syslog": (_SYSLOG,),
                "time": (time_field,) if time_field else (),
                **{_MEASURE + name: (name,) for name in self._numbers},
            }
        )
        self._chars_max = message_chars_max
        self._safe: dict[str, str] = {}

    @property
    def wanted(self) -> list[str]:
        """Every field that is looked at: nothing else need be sent."""
        names = {name for names in self._names.values() for name in names}
        return sorted({*names, *_NUMBER, _SYSLOG, *self._numbers, self._time_field} - {""})

    def read(self, source: Mapping[str, Json], at_ms: int) -> Read | None:
        """A document's line; None where it holds no text. Never raises for what a document holds."""
        held, places = self._places.of(source)
        stack = _text(held, places["stack"])
        message = _text(held, places["message"]).strip() or stack.strip()
        below = ""
        if "\n" in message:
            message, _, below = message.partition("\n")
        if not message:
            return None
        if below and not stack:
            stack = below
        severity = _severity(held, places)
        # Shipped as it was written: the level, and perhaps a time, stand in the text.
        bare = severity == UNKNOWN
        inner = _NONE
        if bare:
            inner = parse_line(message, now_ms=at_ms, message_chars_max=self._chars_max)
        line = LogLine(
            inner.message if bare else escape(message, self._chars_max),
            from_field(_first(held, places["time"])) if self._time_field else at_ms,
            inner.severity if bare else severity,
            self._name(held, places["service"]) or inner.service,
            self._name(held, places["logger"]) or inner.logger,
            escape(_text(held, places["trace"]), 200) or inner.trace_id,
            self._measures(held, places) or inner.fields,
        )
        below = escape(stack.rstrip(), self._chars_max) if stack else ""
        return Read(line, self._name(held, places["host"]), below)

    def _name(self, held: Mapping[str, Json], places: tuple[Place, ...]) -> str:
        """A text of which there are few: made safe once."""
        text = _text(held, places) if places else ""
        if not text:
            return ""
        if (safe := self._safe.get(text)) is None:
            if len(self._safe) >= _NAMES_MAX:
                self._safe.clear()
            safe = escape(text, 200)
            if len(text) <= 200:
                self._safe[text] = safe
        return safe

    def _measures(self, held: Mapping[str, Json], places: Mapping[str, tuple[Place, ...]]) -> str:
        found = []
        for name in self._numbers:
            value = _first(held, places[_MEASURE + name])
            if type(value) in (int, float) and 0 <= value < _MEASURE_MAX:  # type: ignore[operator]
                found.append(f"{name}={value}")
        return " ".join(found)


def _first(held: Mapping[str, Json], places: tuple[Place, ...]) -> Json:
    for place in places:
        if (value := place.value(held)) is not None:
            return value
    return None


def _text(held: Mapping[str, Json], places: tuple[Place, ...]) -> str:
    for place in places:
        value = held[place.key]
        if place.rest or type(value) is not str:
            value = place.value(held)
        if isinstance(value, str):
            if value:
                return value
        elif value is not None:
            return str(value)
    return ""


def _severity(held: Mapping[str, Json], places: Mapping[str, tuple[Place, ...]]) -> int:
    for place in places["level"]:
        value = place.value(held)
        if value is not None and (found := severity_of(value)) != UNKNOWN:
            return found
    for place in places["number"]:
        number = place.value(held)
        if isinstance(number, int) and 1 <= number <= 24:
            return number
    return severity_of(_first(held, places["syslog"]))
