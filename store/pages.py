"""Pages: notifications that were sent, or failed."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, select

from model.action import Page
from store.rows import Cursor, body, filtered, newest_first, read, upsert
from store.schema import pages


def save(conn: Connection, items: Iterable[Page]) -> None:
    """Insert or overwrite, by id."""
    rows = [
        {
            "id": item.id,
            "incident_id": item.incident_id,
            "receiver": item.receiver,
            "sent_ms": item.sent_ms,
            "ok": item.ok,
            "simulated": item.simulated,
            "body": body(item),
        }
        for item in items
    ]
    upsert(conn, pages, rows)


def by_incident(conn: Connection, incident_id: str) -> list[Page]:
    """An incident's pages, oldest first."""
    query = select(pages.c.body).where(pages.c.incident_id == incident_id)
    return read(conn, Page, query.order_by(pages.c.sent_ms, pages.c.id))


def recent(
    conn: Connection,
    *,
    receiver: str = "",
    ok: bool | None = None,
    simulated: bool | None = None,
    before: Cursor | None = None,
    limit: int = 100,
) -> list[Page]:
    """One page of the listing, newest first; `before` is `cursor` of the last one shown."""
    query = filtered(select(pages.c.body), pages, receiver=receiver, ok=ok, simulated=simulated)
    query = newest_first(query, pages.c.sent_ms, pages.c.id, before=before, limit=limit)
    return read(conn, Page, query)


def between(
    conn: Connection, since_ms: int, until_ms: int, *, simulated: bool | None = None
) -> list[Page]:
    """Those sent at `since_ms` or later and before `until_ms`, oldest first."""
    query = select(pages.c.body).where(pages.c.sent_ms >= since_ms, pages.c.sent_ms < until_ms)
    query = filtered(query, pages, simulated=simulated)
    return read(conn, Page, query.order_by(pages.c.sent_ms, pages.c.id))


def cursor(item: Page) -> Cursor:
    """Where a page of the listing that ends with this one ended."""
    return Cursor(item.sent_ms, item.id)
