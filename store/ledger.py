"""The ledger: what each desk and receiver was last told of each incident."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, or_, select

from model.action import LedgerEntry
from store.incidents import ENDED
from store.rows import body, filtered, read, upsert
from store.schema import incidents, ledger


def save(conn: Connection, items: Iterable[LedgerEntry]) -> None:
    """Insert or overwrite, by incident and target."""
    rows = [
        {"incident_id": item.incident_id, "target": item.target, "body": body(item)}
        for item in items
    ]
    upsert(conn, ledger, rows)


def by_incident(conn: Connection, incident_id: str) -> list[LedgerEntry]:
    """What was last told of one incident, by target."""
    query = select(ledger.c.body).where(ledger.c.incident_id == incident_id)
    return read(conn, LedgerEntry, query.order_by(ledger.c.target))


def restorable(
    conn: Connection, *, since_ms: int, simulated: bool | None = None
) -> list[LedgerEntry]:
    """The entries of `incidents.restorable`."""
    query = select(ledger.c.body).join(incidents, incidents.c.id == ledger.c.incident_id)
    query = query.where(or_(incidents.c.state.not_in(ENDED), incidents.c.updated_ms >= since_ms))
    query = filtered(query, incidents, simulated=simulated)
    return read(conn, LedgerEntry, query.order_by(ledger.c.incident_id, ledger.c.target))
