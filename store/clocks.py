"""SLA clocks: one row per incident and promise."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, or_, select

from model.incident import SlaClock
from store.incidents import ENDED
from store.rows import body, filtered, read, upsert
from store.schema import clocks, incidents


def save(conn: Connection, items: Iterable[SlaClock]) -> None:
    """Insert or overwrite, by incident and kind."""
    rows = [
        {
            "incident_id": item.incident_id,
            "kind": item.kind.value,
            "stopped_ms": item.stopped_ms,
            "breached_ms": item.breached_ms,
            "simulated": item.simulated,
            "body": body(item),
        }
        for item in items
    ]
    upsert(conn, clocks, rows)


def by_incident(conn: Connection, incident_id: str) -> list[SlaClock]:
    """An incident's clocks, by kind."""
    query = select(clocks.c.body).where(clocks.c.incident_id == incident_id)
    return read(conn, SlaClock, query.order_by(clocks.c.kind.desc()))


def restorable(conn: Connection, *, since_ms: int, simulated: bool | None = None) -> list[SlaClock]:
    """The clocks of `incidents.restorable`."""
    query = select(clocks.c.body).join(incidents, incidents.c.id == clocks.c.incident_id)
    query = query.where(or_(incidents.c.state.not_in(ENDED), incidents.c.updated_ms >= since_ms))
    query = filtered(query, clocks, simulated=simulated)
    return read(conn, SlaClock, query.order_by(clocks.c.incident_id, clocks.c.kind))


def of_incidents_between(
    conn: Connection, since_ms: int, until_ms: int, *, simulated: bool | None = None
) -> list[SlaClock]:
    """The clocks of `incidents.between`."""
    query = select(clocks.c.body).join(incidents, incidents.c.id == clocks.c.incident_id)
    query = query.where(incidents.c.opened_ms >= since_ms, incidents.c.opened_ms < until_ms)
    query = filtered(query, clocks, simulated=simulated)
    return read(conn, SlaClock, query.order_by(clocks.c.incident_id, clocks.c.kind))
