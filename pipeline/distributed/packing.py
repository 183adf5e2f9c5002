"""Accepted pushes as messages: those of one push and one partition together, in their order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from model.journal import NewEntry
from pipeline.distributed.placing import Placing, ServicesOf
from pipeline.distributed.wire import MESSAGE_BYTES_MAX, Entries, Entry, write

ENTRIES_PER_MESSAGE = 500
ROOM_BYTES = 200
"""For what a message says of each push beside its body."""


@dataclass(frozen=True, slots=True)
class Packed:
    """One message, its partition, and which of the pushes it holds."""

    partition: int
    data: bytes
    numbers: tuple[int, ...]


def packed(
    entries: Sequence[NewEntry], placing: Placing, services_of: ServicesOf
) -> Iterator[Packed]:
    """Each push in one message, a silence in one of each partition."""
    parts: dict[int, list[int]] = {}
    for number, one in enumerate(entries):
        for partition in placing.of_push(one.kind, one.body, services_of):
            parts.setdefault(partition, []).append(number)
    for partition, numbers in parts.items():
        for some in cut(numbers, entries):
            yield Packed(partition, _message(some, entries, placing.stamp), tuple(some))


def _message(numbers: Sequence[int], entries: Sequence[NewEntry], stamp: str) -> bytes:
    some = [entries[number] for number in numbers]
    return write(
        Entries(tuple([Entry(e.kind, e.source, e.arrival_ms, e.body) for e in some]), stamp)
    )


def cut(numbers: Sequence[int], entries: Sequence[NewEntry | Entry]) -> Iterator[list[int]]:
    """Which of the entries travel together: as many as a broker takes in one message."""
    some: list[int] = []
    size = 0
    for number in numbers:
        more = len(entries[number].body) + ROOM_BYTES
        if some and (size + more > MESSAGE_BYTES_MAX or len(some) >= ENTRIES_PER_MESSAGE):
            yield some
            some, size = [], 0
        some.append(number)
        size += more
    if some:
        yield some
