"""Bytes of a log file to records: whole lines, cut lines, stack traces joined. A chunk of lines is handled at once."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

from collectors.loglines import continues

_SPACES = {char for code in range(sys.maxunicode + 1) if (char := chr(code)).isspace()}
_ODD = frozenset(("", *_SPACES, *"TCSD."))
"""What lines may begin with that are blank, or belong to the line before them."""


@dataclass(slots=True)
class Chunk:
    """What a chunk of bytes held.

    Attributes
    ----------
    texts : list of str
        The first line of each record.
    joined : dict of int to list of str
        Lines of the stack trace below a record, by its place in `texts`.
    begins : int
        Bytes in front of the last record.
    consumed : int
        Bytes that are done with; what follows is the beginning of a line.
    skip : bool
        Whether the chunk ends inside a line that was cut.
    cut : int
        Lines that were cut at the limit.
    """

    texts: list[str] = field(default_factory=list)
    joined: dict[int, list[str]] = field(default_factory=dict)
    begins: int = 0
    consumed: int = 0
    skip: bool = False
    cut: int = 0


def split_records(
    data: bytes, *, skip: bool, final: bool, line_bytes_max: int, joined_lines_max: int
) -> Chunk:
    """Split a chunk that begins at a line (or, with `skip`, inside a cut one).

    Parameters
    ----------
    final : bool
        Whether nothing can follow: then a last line without a line feed is one too.

    Examples
    --------
    >>> chunk = split_records(b"oops\\n  at f()\\nnext\\npar", skip=False, final=False,
    ...                       line_bytes_max=99, joined_lines_max=9)
    >>> chunk.texts, chunk.joined, chunk.begins, chunk.consumed
    (['oops', 'next'], {0: ['  at f()']}, 14, 19)
    """
    begin = data.find(b"\n") + 1 if skip else 0
    if skip and not begin:
        return Chunk(consumed=len(data), skip=True)
    end = data.rfind(b"\n") + 1
    pieces = data[begin : end - 1].split(b"\n") if end > begin else []
    chunk = Chunk(consumed=end)
    last = data[end:]
    if last and (final or len(last) > line_bytes_max):
        chunk.consumed, chunk.skip = len(data), not final
        pieces.append(last)
    if not pieces:
        return chunk
    sizes = [len(piece) for piece in pieces]
    if max(sizes) > line_bytes_max:
        chunk.cut = sum(size > line_bytes_max for size in sizes)
        pieces = [piece[:line_bytes_max] for piece in pieces]
    lines = _decoded(pieces)
    places = _join(chunk, lines, joined_lines_max)
    if places:
        feeds = len(sizes) - places[-1] - (chunk.consumed > end)  # the last may be without one
        chunk.begins = chunk.consumed - sum(sizes[places[-1] :]) - feeds
    return chunk


def _decoded(pieces: list[bytes]) -> list[str]:
    """A line feed ends whatever character was begun, so that all of them can be decoded at once."""
    # Runs of NUL are what a truncated file leaves in front of a writer that did not notice.
    block = b"\n".join(pieces).replace(b"\0", b"").decode("utf-8", "replace")
    lines = block.split("\n")
    return [line.rstrip("\r") for line in lines] if "\r" in block else lines


def _join(chunk: Chunk, lines: list[str], joined_lines_max: int) -> list[int]:
    """Put lines together to records; returns at which lines they begin."""
    if not any(_odd(line) for line in lines if line[:1] in _ODD):
        chunk.texts = lines
        return list(range(len(lines)))
    places: list[int] = []
    in_trace = False
    for place, line in enumerate(lines):
        if not line.strip():
            continue
        if places and continues(line, in_trace=in_trace):
            record = len(places) - 1
            if len(chunk.joined.get(record, ())) < joined_lines_max:
                chunk.joined.setdefault(record, []).append(line)
                in_trace = in_trace or line.lstrip().startswith("Traceback ")
                continue
        places.append(place)
        in_trace = line.startswith("Traceback ")
    chunk.texts = [lines[place] for place in places]
    return places


def _odd(line: str) -> bool:
    return not line.strip() or continues(line) or line.startswith("Traceback ")
