"""The identifiers in a message that tie lines together: a block, a request, a session."""

from __future__ import annotations

import re

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
            found.setdefault(kind, value)
        if len(found) >= most:
            break
    return list(found.items())
