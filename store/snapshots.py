"""Small named states of stages, as bytes (large ones are files, see `pipeline.checkpoints`)."""

from __future__ import annotations

from sqlalchemy import Connection, delete, select, update

from store.rows import inserted, upsert
from store.schema import snapshots


def get(conn: Connection, name: str) -> bytes | None:
    """The bytes last put there."""
    return conn.execute(select(snapshots.c.data).where(snapshots.c.name == name)).scalar()


def saved_ms(conn: Connection, name: str) -> int | None:
    """When they were put there."""
    return conn.execute(select(snapshots.c.saved_ms).where(snapshots.c.name == name)).scalar()


def put(conn: Connection, name: str, data: bytes, *, now_ms: int) -> None:
    """Keep bytes under a name, instead of those that were there."""
    upsert(conn, snapshots, [{"name": name, "saved_ms": now_ms, "data": data}])


def replace(conn: Connection, name: str, data: bytes, *, before: bytes | None, now_ms: int) -> bool:
    """Like `put`, only where what is there is still `before` (None: nothing is); says whether it was.

    Of two that would go on from the same state one does: the other finds it changed.
    """
    if before is None:
        return inserted(conn, snapshots, {"name": name, "saved_ms": now_ms, "data": data})
    same = (snapshots.c.name == name) & (snapshots.c.data == before)
    done = conn.execute(update(snapshots).where(same).values(data=data, saved_ms=now_ms))
    return bool(done.rowcount == 1)


def remove(conn: Connection, name: str) -> None:
    """Forget what is kept under a name."""
    conn.execute(delete(snapshots).where(snapshots.c.name == name))
