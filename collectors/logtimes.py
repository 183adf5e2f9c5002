"""The times log lines carry: found at their front, or in a field."""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo

from collectors.json_input import read_time_ms

_ISO = re.compile(
    r"\s*[\[(]?(\d{4})[-/](\d\d)[-/](\d\d)[T _](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?"
    r" ?(Z|UTC|GMT|[+-]\d\d:?\d\d)?(?=[\s\])|,;:]|$)[\])]?[\s,|:-]*"
)
_EPOCH = re.compile(r"\s*[\[(]?(\d{10}(?:\.\d{1,9})?|\d{13}|\d{16}|\d{19})[\])]?[\s,|:]+")
_BSD = re.compile(r"([A-Z][a-z]{2}) ([ \d]\d) (\d\d):(\d\d):(\d\d)(?:\.\d+)? ")
_ACCESS = re.compile(r"\[(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-]\d{4})\] ?")
_MONTHS = {
    name: number
    for number, name in enumerate(
        "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), start=1
    )
}
_DAY_MS = 86_400_000
_HALF_AN_HOUR_MS = 1_800_000


def time_at_front(text: str, *, zone: tzinfo | None = None) -> tuple[int | None, int]:
    """Time at the front of a line, and where the text after it begins.

    Parameters
    ----------
    zone : tzinfo or None
        Of times that name none; None is the machine's.

    Returns
    -------
    (int or None, int)
        (None, 0) where the line does not begin with an ISO 8601 time or an epoch number.

    Examples
    --------
    >>> time_at_front("2023-11-14 22:13:20,5 +0000 INFO ready")
    (1700000000500, 28)
    >>> time_at_front("1700000000.25 ready"), time_at_front("ready")
    ((1700000000250, 14), (None, 0))
    """
    match = _ISO.match(text)
    if match:
        *moment, fraction, offset = match.groups()
        ms = int((fraction or "0").ljust(3, "0")[:3])
        time_ms = _to_ms([int(x) for x in moment], _zone(offset) or zone)
        return (None, 0) if time_ms is None else (time_ms + ms, match.end())
    match = _EPOCH.match(text)
    if match:
        return from_number(float(match[1])), match.end()
    return None, 0


def bsd_time(text: str, *, now_ms: int, zone: tzinfo | None = None) -> tuple[int | None, int]:
    """Time of an RFC 3164 line ("Nov 14 22:13:20 host …"): the year that makes it nearest to now.

    Examples
    --------
    >>> bsd_time("Dec 31 23:59:59 host x", now_ms=1_704_067_201_000, zone=UTC)
    (1704067199000, 16)

    An hour that comes twice, when daylight saving ends, is the one nearer to now.

    >>> from zoneinfo import ZoneInfo
    >>> berlin, first_ms = ZoneInfo("Europe/Berlin"), 1_729_989_000_000
    >>> told = [bsd_time("Oct 27 02:30:00 x", now_ms=ms, zone=berlin) for ms in (first_ms, first_ms + 3_600_000)]
    >>> [time_ms - first_ms for time_ms, _ in told]
    [0, 3600000]
    """
    match = _BSD.match(text) if text[3:4] == " " else None
    if not match or match[1] not in _MONTHS:
        return None, 0
    month, day = _MONTHS[match[1]], int(match[2])
    clock = [int(match[3]), int(match[4]), int(match[5])]
    year = datetime.fromtimestamp(now_ms / 1000, UTC).year
    times = [_to_ms([y, month, day, *clock], zone) for y in (year - 1, year, year + 1)]
    known = [time_ms for time_ms in times if time_ms is not None and time_ms <= now_ms + _DAY_MS]
    return (_of_two(max(known), now_ms, zone), match.end()) if known else (None, 0)


def _of_two(time_ms: int, now_ms: int, zone: tzinfo | None) -> int:
    """A local time that is long ago may be that of the hour's second coming; the nearer to now is meant."""
    if now_ms - time_ms < _HALF_AN_HOUR_MS:
        return time_ms
    again = datetime.fromtimestamp(time_ms / 1000, zone).replace(fold=1)
    again_ms = int(again.timestamp()) * 1000
    return min(time_ms, again_ms, key=lambda ms: abs(now_ms - ms))


def access_time(text: str) -> tuple[int | None, int, int]:
    """Time of a web server's access line, and from where to where it stands.

    Examples
    --------
    >>> access_time('::1 - - [14/Nov/2023:22:13:20 +0000] "GET / HTTP/1.1" 200 5')
    (1700000000000, 8, 37)
    """
    match = _ACCESS.search(text, 0, 512) if "[" in text else None
    if not match or match[2] not in _MONTHS:
        return None, 0, 0
    moment = [int(match[3]), _MONTHS[match[2]], int(match[1])]
    moment += [int(match[4]), int(match[5]), int(match[6])]
    return _to_ms(moment, _zone(match[7])), match.start(), match.end()


def from_number(number: float) -> int | None:
    """Epoch seconds, milliseconds, microseconds or nanoseconds, told apart by their size.

    Examples
    --------
    >>> [from_number(1.7 * 10.0 ** power) for power in (9, 12, 15, 18)] == [1_700_000_000_000] * 4
    True
    """
    size = abs(number)
    if not size < 1e20:
        return None
    for limit, factor in ((1e11, 1000.0), (1e14, 1.0), (1e17, 1e-3), (1e20, 1e-6)):
        if size < limit:
            return round(number * factor)
    return None


def from_field(value: object) -> int | None:
    """Time in a field of a JSON or logfmt line: RFC 3339 text, or an epoch number (also as text)."""
    if isinstance(value, str):
        if value.replace(".", "", 1).isascii() and value.replace(".", "", 1).isdigit():
            return from_number(float(value[:32]))
        return read_time_ms(value.replace(",", "."))
    if isinstance(value, int | float) and not isinstance(value, bool):
        return from_number(value)
    return None


def _zone(offset: str | None) -> tzinfo | None:
    if not offset:
        return None
    if offset[0] in "+-":
        return datetime.strptime(offset.replace(":", ""), "%z").tzinfo
    return UTC


def _to_ms(parts: list[int], zone: tzinfo | None) -> int | None:
    try:
        year, month, day, hour, minute, second = parts
        return (
            int(datetime(year, month, day, hour, minute, min(second, 59), tzinfo=zone).timestamp())
            * 1000
        )
    except (ValueError, OverflowError, OSError):
        return None
