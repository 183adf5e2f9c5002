"""The desk in our own store: nothing else is needed to begin."""

from __future__ import annotations

from sqlalchemy import Connection

from model.clock import Clock
from model.errors import PermanentError
from model.ticket import Ticket, TicketDraft
from store import tickets
from store.database import Database


class BuiltinDesk:
    """Tickets PREFIX-1, PREFIX-2, … in the store.

    Parameters
    ----------
    url_prefix : str
        Begins a ticket's address; the number is appended.
    """

    def __init__(
        self,
        records: Database,
        clock: Clock,
        *,
        name: str = "builtin",
        prefix: str = "OPS",
        url_prefix: str = "/tickets/",
    ) -> None:
        self.name = name
        self._records = records
        self._clock = clock
        self._prefix = f"{prefix}-"
        self._url_prefix = url_prefix

    def find(self, key: str) -> Ticket | None:
        """The ticket that carries the incident's id."""
        with self._records.read() as conn:
            return tickets.find(conn, self.name, key)

    def create(self, draft: TicketDraft, *, idempotency_key: str) -> Ticket:
        """Find or open, in one transaction."""
        with self._records.write() as conn:
            return self.create_in(conn, draft, now_ms=self._clock.now_ms())

    def update(self, number: str, draft: TicketDraft, *, idempotency_key: str) -> Ticket:
        """Change a ticket."""
        with self._records.write() as conn:
            return self.update_in(conn, number, draft, now_ms=self._clock.now_ms())

    def changes(self, since_ms: int) -> list[Ticket]:
        """Tickets touched at `since_ms` or later."""
        with self._records.read() as conn:
            return tickets.changed_since(conn, self.name, since_ms)

    def create_in(self, conn: Connection, draft: TicketDraft, *, now_ms: int) -> Ticket:
        """Find or open within a transaction."""
        return tickets.create(
            conn,
            self.name,
            draft,
            now_ms=now_ms,
            prefix=self._prefix,
            url_prefix=self._url_prefix,
        )

    def update_in(
        self, conn: Connection, number: str, draft: TicketDraft, *, now_ms: int
    ) -> Ticket:
        """Change a ticket within a transaction."""
        ticket = tickets.change(conn, self.name, number, draft, now_ms=now_ms)
        if ticket is None:
            raise PermanentError(f"{self.name}: there is no ticket {number}")
        return ticket
