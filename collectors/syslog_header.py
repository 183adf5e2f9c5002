"""The head of a syslog message: RFC 5424, and RFC 3164 as it is really written."""

from __future__ import annotations

import re
from datetime import tzinfo
from typing import NamedTuple

from collectors.logtimes import bsd_time, from_field, time_at_front

_PRIORITY = re.compile(
    r"<(\d{1,3})>(?:1 (\S{1,64}) (\S{1,255}) (\S{1,255}) (\S{1,128}) (\S{1,64}) (- )?)?"
)
PRIORITY_MAX = 191  # facility 23, severity 7
_ELEMENT = re.compile(
    r'\[([^\s=\]"]{1,64})((?: +[^\s=\]"]{1,64}="(?:[^"\\]|\\.)*")*) *\]', re.DOTALL
)
_PARAMETER = re.compile(r' +([^\s=\]"]{1,64})="((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPED = re.compile(r'\\(["\\\]])')
_HOST_AND_TAG = re.compile(r"(\S{1,255}) ([\w./@+-]{1,64})(?:\[(\w{1,16})\])?: ?")
_TAG = re.compile(r"([\w./@+-]{1,64})(?:\[(\w{1,16})\])?: ?")
_LEVELS = frozenset("debug info notice warning warn error err crit alert emerg fatal panic".split())
_PARAMETERS_MAX = 64


class SyslogHeader(NamedTuple):
    """What stands before the message. (A frozen dataclass takes as long to make as the head to read.)

    Attributes
    ----------
    level : int
        Syslog's severity, 0 (emergency) to 7 (debug).
    time_ms : int or None
        None where it has none ("-"), or none that can be read.
    app, process : str
        APP-NAME (or the tag) and PROCID; "" where missing.
    data : tuple of (name, value)
        Parameters of the structured data, the element's name before them: ("origin.ip", "::1").
    start : int
        Where the message begins.
    """

    level: int
    facility: int
    time_ms: int | None
    start: int
    host: str = ""
    app: str = ""
    process: str = ""
    data: tuple[tuple[str, str], ...] = ()


def read_header(text: str, *, now_ms: int, zone: tzinfo | None = None) -> SyslogHeader | None:
    r"""Read what stands before a syslog message; None where it does not begin with a priority.

    Parameters
    ----------
    now_ms : int
        RFC 3164 has no year: the one that makes the time nearest to now is taken.
    zone : tzinfo or None
        Of times that name none; None is the machine's.

    Examples
    --------
    >>> head = read_header('<165>1 2003-10-11T22:14:15.003Z web1 cart 7 ID4 [ex@1 a="x\\"y"] \ufeffhello', now_ms=0)
    >>> head.level, head.host, head.app, head.data, head.time_ms
    (5, 'web1', 'cart', (('ex@1.a', 'x"y'),), 1065910455003)
    >>> from datetime import UTC
    >>> old = read_header("<34>Oct 11 22:14:15 web1 su[12]: failed", now_ms=1_700_000_000_000, zone=UTC)
    >>> old.host, old.app, old.process, old.level
    ('web1', 'su', '12', 2)
    """
    found = _PRIORITY.match(text)
    if found is None or (priority := int(found[1])) > PRIORITY_MAX:
        return None
    facility, level = divmod(priority, 8)
    time, host, app, process, _, without = found.groups()[1:]
    if time is None:
        return _old(text, found.end(1) + 1, level, facility, now_ms, zone)
    data, end = ((), found.end()) if without else _structured(text, found.end())
    if text.startswith("\ufeff", end):
        end += 1
    return SyslogHeader(
        level,
        facility,
        from_field(time) if time != "-" else None,
        end,
        "" if host == "-" else host,
        "" if app == "-" else app,
        "" if process == "-" else process,
        data,
    )


def _structured(text: str, start: int) -> tuple[tuple[tuple[str, str], ...], int]:
    """Parameters, and where the message begins; what is no structured data belongs to the message."""
    if text.startswith("-", start) and text[start + 1 : start + 2] in ("", " "):
        return (), start + 2
    pairs: list[tuple[str, str]] = []
    end = start
    while element := _ELEMENT.match(text, end):
        end = element.end()
        for name, value in _PARAMETER.findall(element[2]):
            if len(pairs) < _PARAMETERS_MAX:
                pairs.append((f"{element[1]}.{name}", _ESCAPED.sub(r"\1", value)))
    return tuple(pairs), end + 1 if end > start and text.startswith(" ", end) else end


def _old(
    text: str, start: int, level: int, facility: int, now_ms: int, zone: tzinfo | None
) -> SyslogHeader:
    """RFC 3164: time, host, tag, each of which senders leave out."""
    rest = text[start : start + 512]
    time_ms, end = bsd_time(rest, now_ms=now_ms, zone=zone)
    if time_ms is None:  # rsyslog's and syslog-ng's own forms have an ISO time
        time_ms, end = time_at_front(rest, now_ms=now_ms, zone=zone)
    host, app, process = "", "", ""
    if time_ms is not None and (named := _HOST_AND_TAG.match(rest, end)):
        host, app, process, end = named[1], named[2], named[3] or "", named.end()
    elif (tag := _TAG.match(rest, end)) and tag[1].lower() not in _LEVELS:
        app, process, end = tag[1], tag[2] or "", tag.end()
    if end >= len(rest) < len(text) - start:  # cut in the middle of a head: none at all
        end = 0
    return SyslogHeader(level, facility, time_ms, start + end, host, app, process)
