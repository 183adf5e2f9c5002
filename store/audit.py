"""The audit trail: what people and tokens did. It is only ever appended to, and never pruned."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, insert, select

from model.account import AuditRecord
from store.rows import body, filtered, read
from store.schema import audit


def save(conn: Connection, items: Iterable[AuditRecord]) -> None:
    """Append."""
    rows = [
        {
            "time_ms": item.time_ms,
            "actor": item.actor,
            "act": item.act,
            "target": item.target,
            "body": body(item),
        }
        for item in items
    ]
    if rows:
        conn.execute(insert(audit), rows)


def recent(
    conn: Connection,
    *,
    actor: str = "",
    act: str = "",
    target: str = "",
    limit: int = 100,
    skip: int = 0,
) -> list[AuditRecord]:
    """The latest records, newest first, without the first `skip`."""
    query = filtered(select(audit.c.body), audit, actor=actor, act=act, target=target)
    return read(conn, AuditRecord, query.order_by(audit.c.number.desc()).limit(limit).offset(skip))
