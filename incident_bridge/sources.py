"""Back to where the alerts came from: what the system that fired them is told, and how it is found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from sqlalchemy import Connection

from model.action import SOURCE_TARGET, Action, ActionKind, SourceDraft
from model.alert import Alert
from model.identity import derive_id
from model.ticket import Ticket
from store import alerts, incidents, outbox

ALERTS_MAX = 1_000


class Source(Protocol):
    """A system that is told what becomes of the alerts it fired."""

    name: str

    def tell(self, alerts: Sequence[Alert], draft: SourceDraft, *, idempotency_key: str) -> int:
        """Say it of each of these alerts, once for each key; returns of how many it was said now.

        Raises
        ------
        DeliveryError
            If it is not known to be said: it can be said again.
        """
        ...


def alerts_of(conn: Connection, action: Action) -> list[Alert]:
    """The alerts of an action's incident that its source fired and that still fire."""
    assert action.source is not None
    members = alerts.by_incident(conn, action.incident_id, limit=ALERTS_MAX)
    return [
        status.alert
        for status in members
        if status.alert.source == action.source.source and status.alert.firing
    ]


def tell_of_ticket(
    conn: Connection, action: Action, ticket: Ticket, targets: Iterable[str], *, now_ms: int
) -> None:
    """Queue the ticket's number for the sources of its incident's alerts, in this transaction."""
    incident = incidents.get(conn, action.incident_id)
    if incident is None or incident.simulated:
        return
    told = set(targets)
    title = action.ticket.title if action.ticket else ""
    text = f"Tocsin: {ticket.number} ({ticket.desk}) {ticket.url}".strip()
    outbox.add(
        conn,
        (
            Action(
                derive_id("ticket told", incident.id, ticket.desk, ticket.number, source),
                ActionKind.SOURCE_NOTE,
                incident.id,
                SOURCE_TARGET + source,
                0,
                now_ms,
                source=SourceDraft(source, incident.id, "ticket", title, text),
            )
            for source in incident.sources
            if SOURCE_TARGET + source in told
        ),
    )
