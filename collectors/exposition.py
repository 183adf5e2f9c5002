"""One line of Prometheus text 0.0.4 or OpenMetrics 1.0: the careful reader behind `layout`'s fast path."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import StrEnum

from model.errors import InputError
from model.series import NAME


class Format(StrEnum):
    """The two text formats. They differ in the unit of timestamps, exemplars, and `# EOF`."""

    TEXT = "text/plain; version=0.0.4"
    OPENMETRICS = "application/openmetrics-text"

    @classmethod
    def of(cls, content_type: str) -> Format:
        """The format a Content-Type header names; anything unknown is read as text 0.0.4.

        Examples
        --------
        >>> Format.of("application/openmetrics-text; version=1.0.0; charset=utf-8").name
        'OPENMETRICS'
        """
        kind = content_type.partition(";")[0].strip().lower()
        return cls.OPENMETRICS if kind == "application/openmetrics-text" else cls.TEXT


@dataclass(frozen=True, slots=True)
class Sample:
    """One line that was read.

    Attributes
    ----------
    series : str
        The text of name and labels as it stands in the line, without what follows.
    labels : dict of str to str
        Unescaped, `__name__` among them.
    value : float
    time_ms : int or None
        The line's own timestamp.
    """

    series: str
    labels: dict[str, str]
    value: float
    time_ms: int | None


_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_QUOTED = r'"(?P<{0}>[^"\\\n]*+(?:\\.[^"\\\n]*+)*+)"'
# Possessive (`*+`): a run of a million spaces is passed over once, not once from each of them.
_LABEL = re.compile(
    r"[ \t]*+(?:" + _QUOTED.format("quoted") + r"|(?P<name>[a-zA-Z_][a-zA-Z0-9_]*+))"
    r"[ \t]*+(?:=[ \t]*+" + _QUOTED.format("value") + r")?[ \t]*+(?P<end>,|(?=\}))"
)
_OPEN = re.compile(r"[ \t]*+\{")
_CLOSE = re.compile(r"[ \t]*+\}")
# How nearly every series is written: no spaces, no escapes. Anything else is read label by label.
_USUAL = re.compile(
    r"([a-zA-Z_:][a-zA-Z0-9_:]*+)\{((?:[a-zA-Z_][a-zA-Z0-9_]*+=\"[^\"\\\n]*+\"(?:,|(?=\})))++)\}"
)
_PAIR = re.compile(r"([a-zA-Z_][a-zA-Z0-9_]*+)=\"([^\"]*+)\"")
_ESCAPE = re.compile(r"\\(.)")
_EXEMPLAR = re.compile(r"(?<=[ \t])#[ \t]*+\{")


def read_number(text: str) -> float:
    """Read a sample value as Go and Prometheus write it.

    Raises
    ------
    InputError
        If it is not one. Python's underscores and non-ASCII digits are refused.

    Examples
    --------
    >>> read_number("+Inf"), read_number("1e3")
    (inf, 1000.0)
    """
    if text.isascii() and "_" not in text:
        try:
            return float(text)
        except ValueError:
            pass
    raise InputError(f"expected a number, got {text[:40]!r}")


def read_line(line: str, form: Format) -> Sample:
    """Read one sample line.

    Parameters
    ----------
    line : str
        Without its line feed; not empty, not a comment.

    Raises
    ------
    InputError
        Says what was expected, and what came.

    Examples
    --------
    >>> sample = read_line(r'up{job="a\\"b"} 1 1700000000000', Format.TEXT)
    >>> sample.labels, sample.value, sample.time_ms
    ({'__name__': 'up', 'job': 'a"b'}, 1.0, 1700000000000)
    >>> read_line('{"http.errors", "zone"="a"} 2', Format.TEXT).labels
    {'__name__': 'http.errors', 'zone': 'a'}
    """
    labels, end = _read_series(line)
    if NAME not in labels:
        raise InputError(f"expected a metric name, got {line[:40]!r}")
    rest = line[end:]
    if not rest or rest[0] not in " \t":
        raise InputError(f"expected a space before the value, got {rest[:20]!r}")
    value, time_ms = read_tail(rest, form)
    return Sample(line[:end], labels, value, time_ms)


def read_tail(rest: str, form: Format) -> tuple[float, int | None]:
    """Read what follows the labels: a value and perhaps a timestamp; an exemplar is passed over."""
    if "#" in rest and (exemplar := _EXEMPLAR.search(rest)):
        rest = rest[: exemplar.start()]
    words = rest.split()
    if len(words) not in (1, 2):
        raise InputError(f"expected a value and perhaps a timestamp, got {rest[:40].strip()!r}")
    value = read_number(words[0])
    return value, _read_time(words[1], form) if len(words) == 2 else None


def _read_time(word: str, form: Format) -> int:
    number = read_number(word)
    if form is Format.OPENMETRICS:
        number *= 1000
    if not math.isfinite(number) or abs(number) >= 2**62:
        raise InputError(f"expected a timestamp, got {word[:40]!r}")
    return round(number)


def _read_series(line: str) -> tuple[dict[str, str], int]:
    usual = _USUAL.match(line)
    if usual:
        pairs = [(NAME, usual[1]), *_PAIR.findall(usual[2])]
        labels = dict(pairs)
        if len(labels) == len(pairs):
            return labels, usual.end()
    labels = {}
    name = _NAME.match(line)
    position = 0
    if name:
        labels[NAME] = name[0]
        position = name.end()
    brace = _OPEN.match(line, position)
    if brace is None:
        return labels, position
    position = brace.end()
    while not (close := _CLOSE.match(line, position)):
        position = _read_label(line, position, labels)
    return labels, close.end()


def _read_label(line: str, position: int, labels: dict[str, str]) -> int:
    match = _LABEL.match(line, position)
    if match is None:
        raise InputError(f'expected label="value" or "}}", got {line[position : position + 40]!r}')
    name, value = match["name"], match["value"]
    if name is None:
        name = _unescape(match["quoted"])
    if value is None:
        # A lone quoted string is the metric's name (UTF-8 names).
        if match["quoted"] is None or NAME in labels:
            raise InputError(f'expected ="value" after label {name!r}')
        name, value = NAME, match["quoted"]
    if not name or name in labels:
        raise InputError(f"expected each label once and named, got {name!r} again")
    labels[name] = _unescape(value)
    return match.end()


def _unescape(text: str) -> str:
    if "\\" not in text:
        return text
    return _ESCAPE.sub(
        lambda found: {"n": "\n", '"': '"', "\\": "\\"}.get(found[1], found[0]), text
    )


_TYPE = re.compile(
    r"#[ \t]++TYPE[ \t]++(?:"
    + _QUOTED.format("quoted")
    + r'|(?P<name>[^\s"]++))[ \t]++(?P<kind>\S.*)'
)
_KINDS = {
    "counter": "counter",
    "gauge": "gauge",
    "histogram": "histogram",
    "summary": "summary",
    "gaugehistogram": "gauge",
    "stateset": "gauge",
    "info": "gauge",
}


def read_type(line: str) -> tuple[str, str] | None:
    """Family and kind of a `# TYPE` line; None for any other comment.

    Examples
    --------
    >>> read_type("# TYPE http_requests_total counter"), read_type("# HELP a b")
    (('http_requests_total', 'counter'), None)
    >>> read_type('# TYPE "queue depth" gauge')
    ('queue depth', 'gauge')
    """
    found = _TYPE.match(line)
    if found is None:
        return None
    family = found["name"] or _unescape(found["quoted"])
    return family, _KINDS.get(found["kind"].strip().lower(), "unknown")
