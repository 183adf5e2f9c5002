"""The times log lines carry: found at their front, or in a field."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from functools import lru_cache

from collectors.json_input import read_time_ms

_REMEMBERED, _TEXT_MAX = 8_192, 40
"""Moments, to the second, of which the result is kept: most lines have that of the line before."""
_ISO = re.compile(
    r"\s*[\[(]?(\d{4}[-/]\d\d[-/]\d\d[T _]\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?"
    r" ?(Z|UTC|GMT|[+-]\d\d:?\d\d)?(?=[\s\])|,;:]|$)[\])]?[\s,|:-]*"
)
_EPOCH = re.compile(r"\s*[\[(]?(\d{10}(?:\.\d{1,9})?|\d{13}|\d{16}|\d{19})[\])]?[\s,|:]+")
_BSD = re.compile(r"([A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d)(?:\.\d+)? ")
_ACCESS = re.compile(r"\[(\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d) ([+-]\d{4})\] ?")
_MONTHS = {
    name: number
    for number, name in enumerate(
        "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), start=1
    )
}
_MILLISECONDS = {f"{ms:03}": ms for ms in range(1_000)}
_DAY_MS = 86_400_000
_AHEAD_MS = 60_000  # a sender's clock may be a little ahead
_TWICE_MS = 7_200_000  # the most by which clocks are put back
_LAST_SECOND_MS = 253_402_300_799_000  # of the year 9999


def time_at_front(text: str, *, now_ms: int, zone: tzinfo | None = None) -> tuple[int | None, int]:
    """Time at the front of a line, and where the text after it begins.

    Parameters
    ----------
    now_ms : int
        When the line came: it tells the two hours apart that clocks show alike when daylight saving ends.
    zone : tzinfo or None
        Of times that name none; None is the machine's.

    Returns
    -------
    (int or None, int)
        (None, 0) where the line does not begin with an ISO 8601 time or an epoch number.

    Examples
    --------
    >>> time_at_front("2023-11-14 22:13:20,5 +0000 INFO ready", now_ms=0)
    (1700000000500, 28)
    >>> time_at_front("1700000000.25 ready", now_ms=0), time_at_front("ready", now_ms=0)
    ((1700000000250, 14), (None, 0))
    """
    match = _ISO.match(text)
    if match:
        moment, fraction, offset = match.groups()
        times = _iso_times(moment, offset, zone)
        if not times:
            return None, 0
        time_ms = times[0] if len(times) == 1 else _meant(times, now_ms)
        return time_ms + int((fraction or "0").ljust(3, "0")[:3]), match.end()
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

    Of an hour that comes twice, when daylight saving ends, it is the later one that can have been.

    >>> from zoneinfo import ZoneInfo
    >>> berlin, first_ms = ZoneInfo("Europe/Berlin"), 1_729_989_000_000
    >>> told = [bsd_time("Oct 27 02:30:00 x", now_ms=ms, zone=berlin) for ms in (first_ms, first_ms + 3_600_000)]
    >>> [time_ms - first_ms for time_ms, _ in told]
    [0, 3600000]
    """
    match = _BSD.match(text) if text[3:4] == " " else None
    if not match:
        return None, 0
    times = _bsd_times(match[1], _year(now_ms // _DAY_MS), zone)
    known = [time_ms for time_ms in times if time_ms <= now_ms + _DAY_MS]
    if len(known) < 2:
        return (known[0], match.end()) if known else (None, 0)
    latest = [time_ms for time_ms in known if time_ms >= max(known) - _TWICE_MS]
    return _meant(latest, now_ms), match.end()


def _meant(times: Sequence[int], now_ms: int) -> int:
    """Of times that a wall clock shows alike, the later one; the other where that is still to come.

    So what is read within an hour of being written is never mistaken.

    >>> _meant((0, 3_600_000), 1_000), _meant((0, 3_600_000), 3_600_000 - 1_000)
    (0, 3600000)
    """
    return max([time_ms for time_ms in times if time_ms <= now_ms + _AHEAD_MS] or [min(times)])


def access_time(text: str) -> tuple[int | None, int, int]:
    """Time of a web server's access line, and from where to where it stands.

    Examples
    --------
    >>> access_time('::1 - - [14/Nov/2023:22:13:20 +0000] "GET / HTTP/1.1" 200 5')
    (1700000000000, 8, 37)
    """
    match = _ACCESS.search(text, 0, 512) if "[" in text else None
    time_ms = _access_ms(match[1], match[2]) if match else None
    return (None, 0, 0) if match is None or time_ms is None else (time_ms, *match.span())


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
        ms = _MILLISECONDS.get(value[20:23])
        if ms is not None and (second_ms := _seconds.get(value[:20] + value[23:])) is not None:
            return second_ms + ms
        if value.replace(".", "", 1).isascii() and value.replace(".", "", 1).isdigit():
            return from_number(float(value[:32]))
        return _from_text(value, ms)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return from_number(value)
    return None


_seconds: dict[str, int] = {}  # text without its milliseconds to the time without them


def _from_text(text: str, ms: int | None) -> int | None:
    """RFC 3339: the whole second is remembered, the milliseconds are added."""
    if len(text) > _TEXT_MAX:
        return read_time_ms(text.replace(",", "."))
    if ms is not None and text[19:20] in (".", ",") and text[4:14:3] == "--T:":
        zone = text[23:26].lstrip("0123456789") + text[26:]
        # A zone of hours and minutes: one with a fraction of its own is not to be taken apart.
        second_ms = _text_ms(text[:19] + ".000" + zone) if len(zone) <= 6 else None
        if second_ms is not None and second_ms < _LAST_SECOND_MS:
            if len(_seconds) >= _REMEMBERED:
                _seconds.clear()
            if len(zone) == len(text) - 23:
                _seconds[text[:20] + zone] = second_ms
            return second_ms + ms
    return _text_ms(text)


@lru_cache(_REMEMBERED)
def _text_ms(text: str) -> int | None:
    return read_time_ms(text.replace(",", "."))


@lru_cache(_REMEMBERED)
def _iso_times(moment: str, offset: str | None, zone: tzinfo | None) -> tuple[int, ...]:
    """What a moment can mean: twice where clocks go back and it names no zone; nothing where it is none."""
    parts = [moment[:4], moment[5:7], moment[8:10], moment[11:13], moment[14:16], moment[17:]]
    numbers = [int(part) for part in parts]
    times = {_to_ms(numbers, offset, zone, fold=fold) for fold in (0, 1)}
    return tuple(sorted(time_ms for time_ms in times if time_ms is not None))


@lru_cache(_REMEMBERED)
def _bsd_times(moment: str, year: int, zone: tzinfo | None) -> tuple[int, ...]:
    """What "Nov 14 22:13:20" can mean: in this year, the one before, and the one after; twice, where clocks go back."""
    month = _MONTHS.get(moment[:3])
    if month is None:
        return ()
    rest = [month, int(moment[4:6]), int(moment[7:9]), int(moment[10:12]), int(moment[13:])]
    years = [[y, *rest] for y in (year - 1, year, year + 1)]
    times = {_to_ms(parts, None, zone, fold=fold) for parts in years for fold in (0, 1)}
    return tuple(time_ms for time_ms in times if time_ms is not None)


@lru_cache(16)
def _year(day: int) -> int:
    return datetime.fromtimestamp(day * _DAY_MS / 1000, UTC).year


@lru_cache(_REMEMBERED)
def _access_ms(moment: str, offset: str) -> int | None:
    month = _MONTHS.get(moment[3:6])
    if month is None:
        return None
    day, clock = int(moment[:2]), [moment[12:14], moment[15:17], moment[18:]]
    return _to_ms([int(moment[7:11]), month, day, *map(int, clock)], offset, None)


def _zone(offset: str) -> tzinfo:
    """Raises ValueError for what is none, such as +99:99."""
    if offset[0] in "+-":
        zone = datetime.strptime(offset.replace(":", ""), "%z").tzinfo
        assert zone is not None
        return zone
    return UTC


def _to_ms(
    parts: list[int], offset: str | None, zone: tzinfo | None, *, fold: int = 0
) -> int | None:
    try:
        year, month, day, hour, minute, second = parts
        zone = _zone(offset) if offset else zone
        at = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=zone, fold=fold)
        return int(at.timestamp()) * 1000
    except (ValueError, OverflowError, OSError):
        return None
