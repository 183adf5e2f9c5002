"""Durations and sizes as people write them, to integers and back."""

from __future__ import annotations

import re
from typing import Annotated

from model.errors import UnitError

Milliseconds = Annotated[int, "duration"]
"""A setting in milliseconds, written as a duration: the field `wait_ms` is the YAML key `wait: 30s`."""

SizeBytes = Annotated[int, "size"]
"""A setting in bytes, written as a size: the field `body_bytes_max` is `body_max: 4MiB`."""

_DURATION_MS = {
    "ms": 1,
    "s": 1_000,
    "m": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
    "w": 604_800_000,
    "y": 31_536_000_000,
}
_DURATION = re.compile(r"(\d{1,12})(ms|[smhdwy])")
_SIZE_BYTES = {
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
}
_SIZE = re.compile(r"(\d{1,12})\s?([KMG]i?B|B)")


def parse_duration(text: str) -> int:
    """Read a Prometheus duration ("90s", "1h30m") as milliseconds.

    Raises
    ------
    UnitError
        If `text` is not one or more of number and unit, largest unit first.

    Examples
    --------
    >>> parse_duration("1h30m")
    5400000
    """
    if text == "0":
        return 0
    total, position, last = 0, 0, float("inf")
    while match := _DURATION.match(text, position):
        unit_ms = _DURATION_MS[match[2]]
        if unit_ms >= last:
            break
        total, position, last = total + int(match[1]) * unit_ms, match.end(), unit_ms
    if position != len(text) or not text:
        raise UnitError(f'must be a duration such as "30s" or "1h30m", got {text!r}')
    return total


def format_duration(duration_ms: int) -> str:
    """Write milliseconds as a Prometheus duration, at most the two largest units that matter.

    Examples
    --------
    >>> format_duration(5_400_000), format_duration(999), format_duration(90_061_000)
    ('1h30m', '999ms', '1d1h')
    """
    if duration_ms < 0:
        return "-" + format_duration(-duration_ms)
    parts: list[str] = []
    rest = duration_ms
    for unit in ("w", "d", "h", "m", "s", "ms"):
        count, rest = divmod(rest, _DURATION_MS[unit])
        if count:
            parts.append(f"{count}{unit}")
        if len(parts) == 2 or (parts and not count):
            break
    return "".join(parts) or "0s"


def format_span(span_ms: int) -> str:
    """A span as people count towards an end: days while there are several, then hours, then minutes.

    Examples
    --------
    >>> format_span(20 * 86_400_000 + 5), format_span(3 * 86_400_000 - 1), format_span(90_000)
    ('20d', '71h', '1m')
    """
    if span_ms >= 3 * _DURATION_MS["d"]:
        return f"{span_ms // _DURATION_MS['d']}d"
    if span_ms >= _DURATION_MS["h"]:
        return f"{span_ms // _DURATION_MS['h']}h"
    return f"{max(0, span_ms) // _DURATION_MS['m']}m"


def parse_size(text: str) -> int:
    """Read a size ("64MiB", "10 MB") as bytes.

    Examples
    --------
    >>> parse_size("2GiB")
    2147483648
    """
    match = _SIZE.fullmatch(text)
    if match is None:
        raise UnitError(f'must be a size such as "64MiB" or "10MB", got {text!r}')
    return int(match[1]) * _SIZE_BYTES[match[2]]
