"""The identifiers in a message that tie lines together: a block, a request, a session."""

from __future__ import annotations

import re
from collections.abc import Iterator

Name = tuple[str, str]
"""An identifier: its kind and its value."""

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
)  # what is cheap to see of the above
_SPLIT: Name = ("", "")  # a word that names what the next one holds
_WORD_MAX = 128


def identifiers(message: str, most: int = 2) -> list[tuple[str, str]]:
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

    def __missing__(self, word: str) -> tuple[Name, ...]:
        if len(self) >= self.words_max:
            self.clear()
        found = (_SPLIT,) if _NAMES.search(word) else tuple(_all(word)) if _MAY.search(word) else ()
        if len(word) <= _WORD_MAX:
            self[word] = found
        return found

    def of(self, message: str, most: int = 2) -> list[Name]:
        """The identifiers of a message, each with its kind, in order, no kind twice."""
        found = [name for word in message.split() for name in self[word]]
        if len(found) < 2 and _SPLIT not in found:
            return found
        if _SPLIT in found:
            return identifiers(message, most)
        first: dict[str, str] = {}
        for kind, value in found:
            first.setdefault(kind, value)
        return list(first.items())[:most]


def _all(message: str) -> Iterator[Name]:
    for match in _ID.finditer(message):
        if (name := match["name"]) is not None:
            kind, value = name, match["value"]
        elif match["uuid"] is not None:
            kind, value = match["before"] or "uuid", match["uuid"]
        elif match["prefix"] is not None:
            kind, value = match["prefix"], match["number"]
        else:
            kind, value = "hex", match["hex"]
        if any(char.isdigit() for char in value):
            yield kind, value
