"""API tokens, found by the hash of their text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from sqlalchemy import Connection, func, select

from model.account import Token
from store.rows import body, read, read_one, upsert
from store.schema import tokens


def save(conn: Connection, items: Iterable[Token]) -> None:
    """Insert or overwrite, by id."""
    rows = [{"id": item.id, "token_hash": item.token_hash, "body": body(item)} for item in items]
    upsert(conn, tokens, rows)


def get(conn: Connection, token_id: str) -> Token | None:
    """The token of that id."""
    return read_one(conn, Token, select(tokens.c.body).where(tokens.c.id == token_id))


def by_hash(conn: Connection, token_hash: str) -> Token | None:
    """The token whose text has this hash (`passwords.hash_token`); None where it was revoked."""
    query = select(tokens.c.body).where(tokens.c.token_hash == token_hash)
    found = read_one(conn, Token, query)
    return None if found is None or found.revoked else found


def everything(conn: Connection) -> list[Token]:
    """All tokens, revoked ones too, the latest first."""
    found = read(conn, Token, select(tokens.c.body))
    return sorted(found, key=lambda token: (-token.created_ms, token.id))


def count(conn: Connection) -> int:
    """How many tokens were ever made."""
    return conn.execute(select(func.count()).select_from(tokens)).scalar_one()


def used(conn: Connection, token_id: str, *, now_ms: int) -> None:
    """Note when a token was last used; call it seldom, each is a write."""
    if (token := get(conn, token_id)) is not None:
        save(conn, [replace(token, last_used_ms=now_ms)])


def revoke(conn: Connection, token_id: str) -> bool:
    """Refuse it from now on; False where there is none of that id."""
    token = get(conn, token_id)
    if token is None:
        return False
    save(conn, [replace(token, revoked=True)])
    return True
