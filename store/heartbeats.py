"""Heartbeats: the last sign of life of each name, by the source that sends it."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, delete, select

from model.journal import Heartbeat
from store.rows import body, read, upsert
from store.schema import heartbeats


def save(conn: Connection, items: Iterable[Heartbeat]) -> None:
    """Insert or overwrite, by name and source."""
    rows = [
        {"name": item.name, "source": item.source, "time_ms": item.time_ms, "body": body(item)}
        for item in items
    ]
    upsert(conn, heartbeats, rows)


def everything(conn: Connection) -> list[Heartbeat]:
    """All that are expected, by name and source."""
    query = select(heartbeats.c.body).order_by(heartbeats.c.name, heartbeats.c.source)
    return read(conn, Heartbeat, query)


def remove(conn: Connection, name: str, *, source: str) -> bool:
    """Expect it no longer; False where it was not expected."""
    c = heartbeats.c
    return conn.execute(delete(heartbeats).where(c.name == name, c.source == source)).rowcount > 0
