"""Messages of a topic, and what was read of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from collectors.pushed import Push
from model.errors import InputError
from model.journal import NewEntry


@dataclass(frozen=True, slots=True)
class Message:
    """What a broker gave."""

    topic: str
    partition: int
    offset: int
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Poison:
    """A message that cannot be read, and why."""

    message: Message
    why: str


@dataclass(frozen=True, slots=True)
class Read:
    """What messages of one partition, one after the other, hold.

    Attributes
    ----------
    pushes : tuple of Push
        Telemetry.
    entries : tuple of NewEntry
        For the journal.
    poison : tuple of Poison
        What was left out.
    """

    pushes: tuple[Push, ...] = ()
    entries: tuple[NewEntry, ...] = ()
    poison: tuple[Poison, ...] = ()


class Reader(Protocol):
    """Reads messages of one format, in a thread of its own."""

    def read(self, messages: Sequence[Message], now_ms: int) -> Read:
        """Whatever can be read of them; never raises for what a message holds."""
        ...


def each(
    messages: Iterable[Message], take: Callable[[Message], None], bytes_max: int
) -> tuple[Poison, ...]:
    """Take message by message; what cannot be read is set aside, and the next is taken."""
    poison: list[Poison] = []
    for message in messages:
        try:
            if len(message.value) > bytes_max:
                size = len(message.value)
                raise InputError(f"value: at most {bytes_max} bytes are allowed, got {size}")
            take(message)
        except InputError as error:
            poison.append(Poison(message, str(error)))
        except Exception as error:  # our mistake must not hold up the partition (F23)
            poison.append(Poison(message, f"reading it failed ({error!r})"))
    return tuple(poison)
