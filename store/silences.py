"""Silences: matchers with a start and an end."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, select

from model.silence import Silence
from store.rows import body, read, read_one, upsert
from store.schema import silences


def save(conn: Connection, items: Iterable[Silence]) -> None:
    """Insert or overwrite, by id."""
    rows = [
        {
            "id": item.id,
            "starts_ms": item.starts_ms,
            "ends_ms": item.ends_ms,
            "body": body(item),
        }
        for item in items
    ]
    upsert(conn, silences, rows)


def get(conn: Connection, silence_id: str) -> Silence | None:
    """The silence of that id."""
    return read_one(conn, Silence, select(silences.c.body).where(silences.c.id == silence_id))


def current(conn: Connection, *, now_ms: int) -> list[Silence]:
    """Those that are active or pending: what the correlator must know."""
    query = select(silences.c.body).where(silences.c.ends_ms > now_ms)
    return read(conn, Silence, query.order_by(silences.c.starts_ms, silences.c.id))


def recent(conn: Connection, *, limit: int = 200) -> list[Silence]:
    """All that are kept, expired ones too, the one that ends last first."""
    query = select(silences.c.body).order_by(silences.c.ends_ms.desc(), silences.c.id)
    return read(conn, Silence, query.limit(limit))
