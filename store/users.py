"""Local accounts."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, delete, func, select

from model.account import User
from store.rows import body, read, read_one, upsert
from store.schema import users


def save(conn: Connection, items: Iterable[User]) -> None:
    """Insert or overwrite, by name."""
    upsert(conn, users, [{"name": item.name, "body": body(item)} for item in items])


def get(conn: Connection, name: str) -> User | None:
    """The account of that name, disabled or not."""
    return read_one(conn, User, select(users.c.body).where(users.c.name == name))


def everyone(conn: Connection) -> list[User]:
    """All accounts, by name."""
    return read(conn, User, select(users.c.body).order_by(users.c.name))


def count(conn: Connection) -> int:
    """How many accounts there are: with none, nobody can sign in."""
    return conn.execute(select(func.count()).select_from(users)).scalar_one()


def remove(conn: Connection, name: str) -> bool:
    """Delete an account; False where there was none. Its sessions are `sessions.remove_of`'s."""
    return conn.execute(delete(users).where(users.c.name == name)).rowcount > 0
