"""What is to be done outside: kept in the outbox until it is done or dead."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from model.ticket import TicketDraft


class ActionKind(StrEnum):
    """Verbs of the outbox."""

    TICKET_CREATE = "ticket_create"
    TICKET_UPDATE = "ticket_update"
    PAGE = "page"
    SOURCE_NOTE = "source_note"  # the system that fired the alert hears what became of it


@dataclass(frozen=True, slots=True)
class PageDraft:
    """One notification to one receiver.

    `why` is "opened", "repeat", "escalated", "reopened", "sla", "resolved", "merged", "priority" or "dead_letter".
    """

    receiver: str
    incident_id: str
    title: str
    body: str
    priority: str
    why: str
    url: str = ""


SOURCE_TARGET = "source:"
"""What stands before a source's name in `Action.target`: a desk may have the same name."""


@dataclass(frozen=True, slots=True)
class SourceDraft:
    """What the system that fired an incident's alerts is told of it.

    `why` is "acknowledged", "unacknowledged", "resolved" or "ticket"; `at_ms` when that became so, where it can be
    undone: what people did there since is newer.
    """

    source: str
    incident_id: str
    why: str
    title: str
    text: str
    at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to do, by a derived id: doing it twice must be harmless or prevented.

    Actions of one `lane` (an incident at a target) are done in the order of `sequence`;
    lanes do not wait for each other.
    """

    id: str
    kind: ActionKind
    incident_id: str
    target: str  # the desk's or the receiver's name; a source's after SOURCE_TARGET
    sequence: int
    created_ms: int
    ticket: TicketDraft | None = None
    page: PageDraft | None = None
    source: SourceDraft | None = None
    simulated: bool = False

    @property
    def lane(self) -> str:
        """Actions of one lane keep their order."""
        return f"{self.incident_id}/{self.target}"


class ActionState(StrEnum):
    """Where an action stands."""

    PENDING = "pending"
    DONE = "done"
    DEAD = "dead"
    CANCELLED = "cancelled"  # e.g. a repeat page after the acknowledgement


@dataclass(frozen=True, slots=True)
class Page:
    """A notification that was sent (or failed), as shown on the incident."""

    id: str
    incident_id: str
    receiver: str
    people: tuple[str, ...]
    channel: str
    why: str
    title: str
    sent_ms: int
    ok: bool
    error: str = ""
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """What one target (a desk, a receiver or a source) was last told of one incident: what `decide` reads.

    Attributes
    ----------
    sequence : int
        Number of the last action of this lane; the next is one more.
    told : str
        Fingerprint of what was last said (`derive_id` of the draft), so that nothing is said twice.
    told_state : str
        Incident state last told.
    told_ms, count : int
        When, and how many actions so far (pages: the first and its repeats).
    since_ms : int
        When it was first told of the present opening; escalation counts from it.
    """

    incident_id: str
    target: str
    kind: str  # "desk", "receiver" or "source"
    sequence: int = 0
    told: str = ""
    told_state: str = ""
    told_ms: int = 0
    count: int = 0
    since_ms: int = 0
