"""Facts about this database itself: when it was made, by which version, …"""

from __future__ import annotations

from sqlalchemy import Connection, select

from store.rows import upsert
from store.schema import meta


def get(conn: Connection, key: str) -> str | None:
    """The value last put there."""
    return conn.execute(select(meta.c.value).where(meta.c.key == key)).scalar()


def put(conn: Connection, key: str, value: str) -> None:
    """Keep a value under a key."""
    upsert(conn, meta, [{"key": key, "value": value}])
