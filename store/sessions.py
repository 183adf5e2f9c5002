"""Sessions of the console, found by the hash of their cookie."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, delete, select

from store.rows import upsert
from store.schema import sessions


@dataclass(frozen=True, slots=True)
class Session:
    """One signed-in browser. `id_hash` is `passwords.hash_token` of the cookie's value."""

    id_hash: str
    user: str
    csrf: str
    created_ms: int
    expires_ms: int


def save(conn: Connection, items: Iterable[Session]) -> None:
    """Insert or overwrite, by `id_hash`."""
    upsert(conn, sessions, [asdict(item) for item in items])


def get(conn: Connection, id_hash: str, *, now_ms: int) -> Session | None:
    """The session of that hash, unless it has expired."""
    c = sessions.c
    query = select(c.id_hash, c.user, c.csrf, c.created_ms, c.expires_ms)
    row = conn.execute(query.where(c.id_hash == id_hash, c.expires_ms > now_ms)).first()
    return None if row is None else Session(*row)


def remove(conn: Connection, id_hash: str) -> None:
    """Sign out one browser."""
    conn.execute(delete(sessions).where(sessions.c.id_hash == id_hash))


def remove_of(conn: Connection, user: str) -> int:
    """Sign a user out everywhere (password changed, account disabled); returns how many."""
    return conn.execute(delete(sessions).where(sessions.c.user == user)).rowcount
