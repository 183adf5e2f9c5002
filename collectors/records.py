"""Bytes of a log file to records: whole lines, cut lines, stack traces joined."""

from __future__ import annotations

from dataclasses import dataclass, field

from collectors.loglines import continues


@dataclass(slots=True)
class Record:
    """A line and what was joined to it.

    Attributes
    ----------
    text : str
        The first line.
    joined : list of str
        Lines of its stack trace.
    end : int
        Bytes from the start of the chunk to behind it.
    """

    text: str
    end: int
    joined: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Chunk:
    """What a chunk of bytes held.

    Attributes
    ----------
    records : list of Record
    consumed : int
        Bytes that are done with; what follows is the beginning of a line.
    skip : bool
        Whether the chunk ends inside a line that was cut.
    cut, lines : int
        Lines that were cut at the limit, and lines in all.
    """

    records: list[Record]
    consumed: int
    skip: bool
    cut: int
    lines: int


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
    >>> [(r.text, r.joined) for r in chunk.records], chunk.consumed
    ([('oops', ['  at f()']), ('next', [])], 19)
    """
    chunk = Chunk([], 0, skip, 0, 0)
    pieces = data.split(b"\n")
    last = pieces.pop()
    in_trace = False
    for piece in pieces:
        chunk.consumed += len(piece) + 1
        if chunk.skip:
            chunk.skip = False
            if chunk.records:
                chunk.records[-1].end = chunk.consumed
            continue
        in_trace = _add(chunk, piece, in_trace, line_bytes_max, joined_lines_max)
    if chunk.skip:
        chunk.consumed += len(last)
    elif last and (final or len(last) > line_bytes_max):
        chunk.consumed += len(last)
        chunk.skip = not final
        _add(chunk, last, in_trace, line_bytes_max, joined_lines_max)
    return chunk


def _add(
    chunk: Chunk, piece: bytes, in_trace: bool, line_bytes_max: int, joined_lines_max: int
) -> bool:
    chunk.lines += 1
    if len(piece) > line_bytes_max:
        chunk.cut += 1
        piece = piece[:line_bytes_max]
    # Runs of NUL are what a truncated file leaves in front of a writer that did not notice.
    text = piece.replace(b"\0", b"").decode("utf-8", "replace").rstrip("\r")
    records = chunk.records
    if not text.strip():
        if records:
            records[-1].end = chunk.consumed
        return in_trace
    if records and continues(text, in_trace=in_trace):
        record = records[-1]
        record.end = chunk.consumed
        if len(record.joined) < joined_lines_max:
            record.joined.append(text)
            return in_trace or text.lstrip().startswith("Traceback ")
    records.append(Record(text, chunk.consumed))
    return text.startswith("Traceback ")
