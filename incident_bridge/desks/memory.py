"""A complete desk in memory, with faults on demand: scenarios, dry runs, tests."""

from __future__ import annotations

from dataclasses import replace

from model.clock import Clock
from model.errors import DeliveryError, PermanentError
from model.ticket import Ticket, TicketComment, TicketDraft


class MemoryDesk:
    """Tickets in a dictionary.

    Attributes
    ----------
    failing : DeliveryError or None
        Raised by every call while it is set: the desk is down, or says no.
    lost_answer : DeliveryError or None
        The next creation happens, but raises this afterwards: the answer was lost.
    calls : list of (verb, key or number)
        What was asked, in order.
    """

    def __init__(self, clock: Clock, name: str = "memory", prefix: str = "MEM") -> None:
        self.name = name
        self.failing: DeliveryError | None = None
        self.lost_answer: DeliveryError | None = None
        self.calls: list[tuple[str, str]] = []
        self._clock = clock
        self._prefix = prefix
        self._tickets: dict[str, Ticket] = {}
        self._said: set[str] = set()

    @property
    def tickets(self) -> tuple[Ticket, ...]:
        """All tickets, in the order of their opening."""
        return tuple(self._tickets.values())

    def find(self, key: str) -> Ticket | None:
        """The ticket that carries the incident's id."""
        self._ask("find", key)
        return next((t for t in self._tickets.values() if t.key == key), None)

    def create(self, draft: TicketDraft, *, idempotency_key: str) -> Ticket:
        """Open a ticket."""
        self._ask("create", draft.key)
        known = next((t for t in self._tickets.values() if t.key == draft.key), None)
        if known is not None:
            return known
        number = f"{self._prefix}-{len(self._tickets) + 1}"
        now_ms = self._clock.now_ms()
        self._tickets[number] = Ticket(
            self.name,
            number,
            draft.key,
            draft.title,
            draft.body,
            draft.state,
            draft.priority,
            f"memory:{number}",
            now_ms,
            now_ms,
            draft.service,
            draft.team,
            _comments(draft, now_ms),
            draft.simulated,
        )
        if self.lost_answer is not None:
            lost, self.lost_answer = self.lost_answer, None
            raise lost
        return self._tickets[number]

    def update(self, number: str, draft: TicketDraft, *, idempotency_key: str) -> Ticket:
        """Change a ticket."""
        self._ask("update", number)
        old = self._tickets.get(number)
        if old is None:
            raise PermanentError(f"{self.name}: there is no ticket {number}")
        now_ms = self._clock.now_ms()
        said = () if idempotency_key in self._said else _comments(draft, now_ms)
        self._said.add(idempotency_key)
        told = old.saying(draft, now_ms=now_ms)
        self._tickets[number] = replace(told, comments=(*old.comments, *said))
        return self._tickets[number]

    def changes(self, since_ms: int) -> list[Ticket]:
        """Tickets touched at `since_ms` or later."""
        self._ask("changes", str(since_ms))
        found = [t for t in self._tickets.values() if t.updated_ms >= since_ms]
        return sorted(found, key=lambda t: (t.updated_ms, t.number))

    def touch(self, ticket: Ticket) -> None:
        """A person changes a ticket."""
        self._tickets[ticket.number] = replace(ticket, updated_ms=self._clock.now_ms())

    def _ask(self, verb: str, about: str) -> None:
        self.calls.append((verb, about))
        if self.failing is not None:
            raise self.failing


def _comments(draft: TicketDraft, now_ms: int) -> tuple[TicketComment, ...]:
    return (TicketComment(now_ms, "tocsin", draft.comment),) if draft.comment else ()
