"""Named integers that must move in the same transaction as what they count."""

from __future__ import annotations

from sqlalchemy import Connection, select, update

from store.rows import inserted, upsert
from store.schema import offsets

JOURNAL = "journal"
"""The offset of the last journal entry whose effects are in the records."""

ELASTICSEARCH = "elasticsearch_sink"
"""The number of the last timeline entry that was written to Elasticsearch."""


def get(conn: Connection, name: str) -> int:
    """The value last set, or 0."""
    return conn.execute(select(offsets.c.value).where(offsets.c.name == name)).scalar() or 0


def put(conn: Connection, name: str, value: int) -> None:
    """Set a value."""
    upsert(conn, offsets, [{"name": name, "value": value}])


def advance(conn: Connection, name: str, value: int) -> bool:
    """Set a value where it is larger than what is there; says whether it was."""
    row = {"name": name, "value": value}
    if inserted(conn, offsets, row):
        return True
    behind = (offsets.c.name == name) & (offsets.c.value < value)
    return bool(conn.execute(update(offsets).where(behind).values(value=value)).rowcount == 1)
