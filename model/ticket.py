"""A ticket: an incident's record in a desk (ITSM system)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum


class TicketState(StrEnum):
    """States every desk maps its own to."""

    OPEN = "open"
    IN_PROGRESS = "in_progress"
    RESOLVED = "resolved"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class TicketDraft:
    """What we want a desk's ticket to say; rendered once, from an incident.

    `key` is the incident's id: a desk can be asked for the ticket that carries it.
    """

    key: str
    title: str
    body: str
    state: TicketState
    priority: str
    service: str
    team: str = ""
    labels: tuple[str, ...] = ()
    comment: str = ""
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class TicketComment:
    """One comment on a ticket."""

    time_ms: int
    author: str
    text: str


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket as its desk has it."""

    desk: str
    number: str
    key: str
    title: str
    body: str
    state: TicketState
    priority: str
    url: str
    created_ms: int
    updated_ms: int
    service: str = ""
    team: str = ""
    comments: tuple[TicketComment, ...] = ()
    simulated: bool = False

    def saying(self, draft: TicketDraft, *, now_ms: int) -> Ticket:
        """The same ticket as the draft wants it; the draft's comment is added by who keeps it."""
        return replace(
            self,
            title=draft.title,
            body=draft.body,
            state=draft.state,
            priority=draft.priority,
            service=draft.service,
            team=draft.team,
            updated_ms=now_ms,
        )
