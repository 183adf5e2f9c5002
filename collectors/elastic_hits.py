"""What an Elasticsearch answers, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from collectors.elastic_fields import Read
from model.errors import TransientError


class Gone(TransientError):
    """The point in time expired, or its node left: a new one can be opened."""


class BadPage(TransientError):
    """A page is too long, or cannot be read: fewer documents at a time may."""


class Hit(NamedTuple):
    """A document.

    Attributes
    ----------
    key : int
        64 bits of what it is called, index included.
    at_ms : int
        Its time by the cursor's field.
    read : Read or None
        None where it holds no text, or was not fetched.
    """

    key: int
    at_ms: int
    read: Read | None


@dataclass(frozen=True, slots=True)
class Page:
    """Documents in order.

    Attributes
    ----------
    after : list or None
        Where the next page begins; None behind the last.
    unfit : tuple of str
        Indices that map the cursor's field to something else than a date, and were left out.
    shards : int
        How many were asked; 0 where no index fits the pattern.
    pit : str
        The point in time's name from now on; "" where it was not told.
    """

    hits: tuple[Hit, ...]
    after: list[Any] | None
    unfit: tuple[str, ...]
    shards: int
    pit: str
