"""The identifiers in a message that tie lines together: a block, a request, a session."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

Name = tuple[str, str]
"""An identifier: its kind and its value."""
_Span = tuple[str, int, int]  # its kind, and where its value begins and ends
_MOST = 2  # of a line

_ID = re.compile(
    # request_id=83f2, traceId: 7ab3
    r"\b(?P<name>[A-Za-z_.\-]{0,32}(?:[iI]d|ID))[=:] ?[\"']?(?P<value>[\w\-]{4,64})"
    # 6f1c2d3e-..., req-6f1c2d3e-..., with whatever stands before it
    r"|\b(?P<before>[A-Za-z]{0,16}[_\-]?)"
    r"(?P<uuid>[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})\b"
    # blk_-1608999687919862906, container_1445144423722_0020_01_000002
    r"|\b(?P<prefix>[A-Za-z]{2,24}[_\-])(?P<number>-?\d{4,24}(?:[_\-]\d{1,24}){0,4})\b"
    # a trace's 16 or 32 hexadecimal digits
    r"|\b(?P<hex>[0-9a-f]{16}(?:[0-9a-f]{16})?)\b"
)

_NAMES = re.compile(r"(?:[iI]d|ID)[=:][\"']?$")
_MAY = re.compile(
    r"[A-Za-z]{2}[_\-]-?\d{4}|[iI][dD][=:]|[0-9a-f]{16}|[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-"
)  # what is cheap to see of the above; `keyblocks.py` looks for the same
SPLIT: tuple[Name, ...] = (("", ""),)
"""Of a word that names what the next one holds."""
_WORD_MAX = 128
_SHAPES_MAX = 5_000
_DIGITLESS = bytes.maketrans(b"123456789", b"000000000")


def identifiers(message: str, most: int = _MOST) -> list[tuple[str, str]]:
    """The identifiers of a message, each with its kind, in order, no kind twice.

    Only what is made to be unique counts: a name that ends in "id" with its value, a UUID, a word
    with a long number behind it, a trace's hexadecimal digits. Sizes, times and addresses do not.

    Examples
    --------
    >>> identifiers("Received block blk_-16089 of size 91178 from /10.250.10.6 for request_id=8f2a")
    [('blk_', '-16089'), ('request_id', '8f2a')]
    >>> identifiers("took 123456 ms to 10.0.0.1:50010")
    []
    """
    found: dict[str, str] = {}
    for kind, value in _all(message):
        found.setdefault(kind, value)
        if len(found) >= most:
            break
    return list(found.items())


class Words(dict[str, tuple[Name, ...]]):
    """Word to the identifiers in it, worked out once: `of` gives what `identifiers` does, many times as fast.

    Starts anew when it holds `words_max`. What stands in two words, a name and behind a space its value,
    is found as in `identifiers`.

    Examples
    --------
    >>> words = Words(1000)
    >>> words.of("Received block blk_-16089 of size 91178 from /10.250.10.6 for request_id=8f2a")
    [('blk_', '-16089'), ('request_id', '8f2a')]
    >>> words.of("sessionID: 99x1 opened")
    [('sessionID', '99x1')]
    """

    def __init__(self, words_max: int) -> None:
        super().__init__()
        self.words_max = words_max
        self._shapes: dict[bytes, tuple[_Span, ...]] = {}

    def __missing__(self, word: str) -> tuple[Name, ...]:
        if len(self) >= self.words_max:
            self.clear()
        if not _MAY.search(word):
            found: tuple[Name, ...] = ()
        elif _NAMES.search(word):
            found = SPLIT
        elif len(word) <= _WORD_MAX and word.isascii():
            found = tuple([(kind, word[start:stop]) for kind, start, stop in self._spans(word)])
        else:
            found = tuple(_all(word))
        if len(word) <= _WORD_MAX:
            self[word] = found
        return found

    def _spans(self, word: str) -> tuple[_Span, ...]:
        """Where the identifiers stand, worked out once for all words that differ in their digits only."""
        shape = word.encode().translate(_DIGITLESS)
        spans = self._shapes.get(shape)
        if spans is None:
            if len(self._shapes) >= _SHAPES_MAX:
                self._shapes.clear()
            spans = self._shapes[shape] = tuple(_spans(word))
        return spans

    def of(self, message: str) -> Sequence[Name]:
        """The identifiers of a message, each with its kind, in order, no kind twice."""
        return self.chosen([name for word in message.split() for name in self[word]], message)

    def chosen(self, found: Sequence[Name], message: str) -> Sequence[Name]:
        """The same where it is known what the words of the message hold."""
        if SPLIT[0] in found:
            return identifiers(message)
        if len(found) < 2:
            return found
        first: dict[str, str] = {}
        for kind, value in found:
            first.setdefault(kind, value)
        return list(first.items())[:_MOST]


def _all(message: str) -> Iterator[Name]:
    for kind, start, stop in _spans(message):
        yield kind, message[start:stop]


def _spans(message: str) -> Iterator[_Span]:
    for match in _ID.finditer(message):
        if (name := match["name"]) is not None:
            kind, group = name, "value"
        elif match["uuid"] is not None:
            kind, group = match["before"] or "uuid", "uuid"
        elif match["prefix"] is not None:
            kind, group = match["prefix"], "number"
        else:
            kind, group = "hex", "hex"
        if any(char.isdigit() for char in match[group]):
            yield kind, *match.span(group)
