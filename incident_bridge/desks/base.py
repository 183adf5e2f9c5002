"""What every desk can do."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from sqlalchemy import Connection

from model.ticket import Ticket, TicketDraft


class Desk(Protocol):
    """Four verbs. A call that may or may not have arrived can be made again harmlessly.

    All raise `DeliveryError`: `TransientError` to try again, `PermanentError` never to.
    """

    name: str

    def find(self, key: str) -> Ticket | None:
        """The ticket that carries the incident's id; None where there is none."""
        ...

    def create(self, draft: TicketDraft, *, idempotency_key: str) -> Ticket:
        """Open a ticket, or give the one that carries the draft's key already."""
        ...

    def update(self, number: str, draft: TicketDraft, *, idempotency_key: str) -> Ticket:
        """Make a ticket say what the draft says, and append its comment, once for each key."""
        ...

    def changes(self, since_ms: int) -> list[Ticket]:
        """Tickets touched at `since_ms` or later, by us or by people."""
        ...


@runtime_checkable
class LocalDesk(Protocol):
    """A desk in our own store: its verbs join the transaction that marks the action done, and so
    happen exactly once."""

    def create_in(self, conn: Connection, draft: TicketDraft, *, now_ms: int) -> Ticket:
        """Open a ticket within a transaction."""
        ...

    def update_in(
        self, conn: Connection, number: str, draft: TicketDraft, *, now_ms: int
    ) -> Ticket:
        """Change a ticket within a transaction."""
        ...
