"""Groupings: what the correlator last said of each incident, and its memory after a restart."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, or_, select

from model.incident import Grouping
from store.incidents import ENDED
from store.rows import body, filtered, read, read_one, upsert
from store.schema import groupings, incidents


def save(conn: Connection, items: Iterable[Grouping]) -> None:
    """Insert or overwrite, by id: the last one said stands."""
    upsert(
        conn,
        groupings,
        [
            {"id": item.id, "at_ms": item.at_ms, "simulated": item.simulated, "body": body(item)}
            for item in items
        ],
    )


def get(conn: Connection, incident_id: str) -> Grouping | None:
    """The last one of an incident."""
    return read_one(conn, Grouping, select(groupings.c.body).where(groupings.c.id == incident_id))


def restorable(conn: Connection, *, since_ms: int, simulated: bool | None = None) -> list[Grouping]:
    """Those whose incident has not ended (or was never opened), or said since; in order of `at_ms`."""
    query = select(groupings.c.body).outerjoin(incidents, incidents.c.id == groupings.c.id)
    query = query.where(
        or_(
            incidents.c.id.is_(None),
            incidents.c.state.not_in(ENDED),
            groupings.c.at_ms >= since_ms,
        )
    )
    query = filtered(query, groupings, simulated=simulated)
    return read(conn, Grouping, query.order_by(groupings.c.at_ms, groupings.c.id))
