"""Changes: deploys, configuration edits, flags."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, select

from model.change import Change
from store.rows import Cursor, body, filtered, newest_first, read, read_one, upsert
from store.schema import changes


def save(conn: Connection, items: Iterable[Change]) -> None:
    """Insert or overwrite, by id."""
    rows = [
        {
            "id": item.id,
            "time_ms": item.time_ms,
            "service": item.service,
            "kind": item.kind,
            "simulated": item.simulated,
            "body": body(item),
        }
        for item in items
    ]
    upsert(conn, changes, rows)


def get(conn: Connection, change_id: str) -> Change | None:
    """The change of that id."""
    return read_one(conn, Change, select(changes.c.body).where(changes.c.id == change_id))


def get_many(conn: Connection, ids: Sequence[str]) -> list[Change]:
    """Those that exist of at most some hundreds of ids, oldest first."""
    query = select(changes.c.body).where(changes.c.id.in_(ids))
    return read(conn, Change, query.order_by(changes.c.time_ms, changes.c.id))


def between(
    conn: Connection,
    since_ms: int,
    until_ms: int,
    *,
    services: Sequence[str] = (),
    simulated: bool | None = None,
    limit: int = 1_000,
) -> list[Change]:
    """Those that took effect at `since_ms` or later and before `until_ms`, oldest first."""
    query = select(changes.c.body).where(
        changes.c.time_ms >= since_ms, changes.c.time_ms < until_ms
    )
    if services:
        query = query.where(changes.c.service.in_(services))
    query = filtered(query, changes, simulated=simulated)
    return read(conn, Change, query.order_by(changes.c.time_ms, changes.c.id).limit(limit))


def recent(
    conn: Connection,
    *,
    service: str = "",
    kind: str = "",
    simulated: bool | None = None,
    before: Cursor | None = None,
    limit: int = 100,
) -> list[Change]:
    """One page of changes, newest first; `before` is `cursor` of the last one shown."""
    query = filtered(
        select(changes.c.body), changes, service=service, kind=kind, simulated=simulated
    )
    query = newest_first(query, changes.c.time_ms, changes.c.id, before=before, limit=limit)
    return read(conn, Change, query)


def cursor(item: Change) -> Cursor:
    """Where a page that ends with this one ended."""
    return Cursor(item.time_ms, item.id)
