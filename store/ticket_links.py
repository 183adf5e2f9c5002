"""Which incident has which ticket at which desk."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, select

from store.rows import upsert
from store.schema import ticket_links


@dataclass(frozen=True, slots=True)
class TicketLink:
    """An incident's ticket, as its desk numbers it."""

    incident_id: str
    desk: str
    number: str
    url: str = ""


def save(conn: Connection, items: Iterable[TicketLink]) -> None:
    """Insert or overwrite, by incident and desk."""
    upsert(conn, ticket_links, [asdict(item) for item in items])


def by_incident(conn: Connection, incident_id: str) -> list[TicketLink]:
    """An incident's tickets, by desk."""
    return by_incidents(conn, [incident_id]).get(incident_id, [])


def by_incidents(conn: Connection, ids: Sequence[str]) -> dict[str, list[TicketLink]]:
    """The tickets of at most some hundreds of incidents; an incident without one is left out."""
    c = ticket_links.c
    query = select(c.incident_id, c.desk, c.number, c.url).where(c.incident_id.in_(ids))
    found: dict[str, list[TicketLink]] = {}
    for row in conn.execute(query.order_by(c.incident_id, c.desk)):
        found.setdefault(row[0], []).append(TicketLink(*row))
    return found


def by_number(conn: Connection, desk: str, number: str) -> TicketLink | None:
    """The link to a desk's ticket."""
    c = ticket_links.c
    query = select(c.incident_id, c.desk, c.number, c.url)
    row = conn.execute(query.where(c.desk == desk, c.number == number)).first()
    return None if row is None else TicketLink(*row)
