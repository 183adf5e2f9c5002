"""Timelines: what happened to an incident, line by line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, func, select

from model.codec import decode
from model.incident import EntryKind, TimelineEntry
from store.rows import body, filtered, read, upsert
from store.schema import timeline

_LOCK = 8_420_002  # any number, the same in all our processes


def save(conn: Connection, items: Iterable[TimelineEntry]) -> None:
    """Insert or overwrite, by id; an entry that is said again keeps its place."""
    items = list(items)
    if items and conn.dialect.name == "postgresql":
        # Writers do not wait for each other, only `settled` for them. SQLite's take turns anyway.
        conn.execute(select(func.pg_advisory_xact_lock_shared(_LOCK)))
    rows = [
        {
            "id": item.id,
            "incident_id": item.incident_id,
            "time_ms": item.time_ms,
            "kind": item.kind.value,
            "simulated": item.simulated,
            "body": body(item),
        }
        for item in items
    ]
    upsert(conn, timeline, rows, by=("id",))


def by_incident(conn: Connection, incident_id: str, *, limit: int = 5_000) -> list[TimelineEntry]:
    """An incident's entries, oldest first; of one time, in the order they were saved."""
    query = select(timeline.c.body).where(timeline.c.incident_id == incident_id)
    query = query.order_by(timeline.c.time_ms, timeline.c.number).limit(limit)
    return read(conn, TimelineEntry, query)


def settled(conn: Connection) -> int:
    """The number up to which no entry comes any more; of a transaction that may write.

    Of two writers at once the one with the lower numbers may commit later: whoever reads on from the
    highest number that it sees would miss those.
    """
    if conn.dialect.name == "postgresql":
        conn.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    return last(conn)


def after(
    conn: Connection, number: int, *, limit: int, upto: int
) -> list[tuple[int, TimelineEntry]]:
    """Entries of real incidents in the order they were first saved, between two numbers, each with its own."""
    query = select(timeline.c.number, timeline.c.body)
    query = query.where(timeline.c.number > number, timeline.c.number <= upto)
    query = query.where(~timeline.c.simulated).order_by(timeline.c.number).limit(limit)
    return [(row.number, decode(TimelineEntry, row.body)) for row in conn.execute(query)]


def last(conn: Connection) -> int:
    """The highest number there is; 0 where there is no entry."""
    return conn.execute(select(func.max(timeline.c.number))).scalar() or 0


def recent(
    conn: Connection,
    *,
    kinds: Sequence[EntryKind] = (),
    since_ms: int | None = None,
    simulated: bool | None = None,
    limit: int = 100,
) -> list[TimelineEntry]:
    """The latest entries of all incidents, newest first."""
    query = filtered(select(timeline.c.body), timeline, simulated=simulated)
    if kinds:
        query = query.where(timeline.c.kind.in_([kind.value for kind in kinds]))
    if since_ms is not None:
        query = query.where(timeline.c.time_ms >= since_ms)
    query = query.order_by(timeline.c.time_ms.desc(), timeline.c.number.desc()).limit(limit)
    return read(conn, TimelineEntry, query)
