"""Log lines read one at a time in the obvious way: what the fast code must give as well."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo

from collectors.json_input import read_time_ms
from collectors.logformats import Row
from collectors.loglines import continues, parse_line
from collectors.logtimes import from_number
from collectors.masking import Masking
from collectors.templates import TemplateMiner
from collectors.tokens import mask

Split = tuple[list[tuple[str, list[str], int]], int, bool, int]
"""Records (text, joined lines, end), bytes consumed, whether a cut line goes on, lines cut."""

_ISO = re.compile(
    r"\s*[\[(]?(\d{4})[-/](\d\d)[-/](\d\d)[T _](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?"
    r" ?(Z|UTC|GMT|[+-]\d\d:?\d\d)?(?=[\s\])|,;:]|$)[\])]?[\s,|:-]*"
)


def split(
    data: bytes, *, skip: bool, final: bool, line_bytes_max: int, joined_lines_max: int
) -> Split:
    """A chunk, piece by piece."""
    records: list[tuple[str, list[str], int]] = []
    consumed = cut = 0
    in_trace = False
    pieces = data.split(b"\n")
    last = pieces.pop()
    taken = [(piece, len(piece) + 1) for piece in pieces]
    ends = bool(last) and (final or len(last) > line_bytes_max)
    cut_short = skip and not pieces
    if cut_short:
        return [], len(data), True, 0
    if ends:
        taken.append((last, len(last)))
    for piece, size in taken:
        consumed += size
        if skip:
            skip = False
            continue
        cut += len(piece) > line_bytes_max
        line = piece[:line_bytes_max].replace(b"\0", b"").decode("utf-8", "replace").rstrip("\r")
        below = records[-1][1] if records else None
        if not line.strip():
            if records:
                records[-1] = (*records[-1][:2], consumed)
        elif (
            below is not None
            and continues(line, in_trace=in_trace)
            and len(below) < joined_lines_max
        ):
            below.append(line)
            in_trace = in_trace or line.lstrip().startswith("Traceback ")
            records[-1] = (*records[-1][:2], consumed)
        else:
            records.append((line, [], consumed))
            in_trace = line.startswith("Traceback ")
    return records, consumed, ends and not final, cut


def rows(texts: Sequence[str], now_ms: int) -> list[Row]:
    """Each line by itself."""
    return [parse_line(text, now_ms=now_ms) for text in texts]


class NaiveMiner(TemplateMiner):
    """Masks every word of every message anew."""

    def mine(self, messages: Sequence[str]) -> list[int]:
        """By the message."""
        self.lines += len(messages)
        found = []
        for message in messages:
            key = " ".join(mask(word) for word in message.split())
            number = self._numbers.get(key)
            found.append(self.current(self._learn(key) if number is None else number))
        return found


def masked(texts: Sequence[str], masking: Masking) -> list[str]:
    """Each text by itself."""
    return [masking.mask(text) for text in texts]


def from_field(value: str) -> int | None:
    """The time in a field, nothing remembered."""
    if value.replace(".", "", 1).isascii() and value.replace(".", "", 1).isdigit():
        return from_number(float(value[:32]))
    return read_time_ms(value.replace(",", "."))


def iso_at_front(text: str, zone: tzinfo | None) -> tuple[int | None, int]:
    """An ISO 8601 time at the front, nothing remembered."""
    match = _ISO.match(text)
    if match is None:
        return None, 0
    *moment, fraction, offset = match.groups()
    year, month, day, hour, minute, second = map(int, moment)
    try:
        if offset:
            told = offset.replace(":", "")
            zone = datetime.strptime(told, "%z").tzinfo if told[0] in "+-" else UTC
        at = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=zone)
        seconds = int(at.timestamp())
    except (ValueError, OverflowError):
        return None, 0
    return seconds * 1000 + int((fraction or "0").ljust(3, "0")[:3]), match.end()
