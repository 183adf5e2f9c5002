"""What people said of alerts; withdrawn verdicts stay, as a record."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, func, select

from model.feedback import Feedback
from store.rows import body, read, read_one, upsert
from store.schema import feedback


def save(conn: Connection, items: Iterable[Feedback]) -> None:
    """Insert or overwrite, by id."""
    rows = [
        {
            "id": item.id,
            "alert_id": item.alert_id,
            "time_ms": item.time_ms,
            "active": item.active,
            "body": body(item),
        }
        for item in items
    ]
    upsert(conn, feedback, rows)


def get(conn: Connection, feedback_id: str) -> Feedback | None:
    """The verdict of that id."""
    return read_one(conn, Feedback, select(feedback.c.body).where(feedback.c.id == feedback_id))


def active(conn: Connection) -> list[Feedback]:
    """Those that have an effect, oldest first: what the detectors must know."""
    query = select(feedback.c.body).where(feedback.c.active)
    return read(conn, Feedback, query.order_by(feedback.c.time_ms, feedback.c.id))


def count_active(conn: Connection) -> int:
    """How many have an effect."""
    query = select(func.count()).select_from(feedback).where(feedback.c.active)
    return int(conn.execute(query).scalar_one())


def on_alerts(conn: Connection, alert_ids: Iterable[str]) -> list[Feedback]:
    """The active verdicts on these occurrences."""
    query = select(feedback.c.body).where(
        feedback.c.alert_id.in_(list(alert_ids)), feedback.c.active
    )
    return read(conn, Feedback, query.order_by(feedback.c.time_ms, feedback.c.id))


def recent(conn: Connection, *, limit: int = 200) -> list[Feedback]:
    """All that are kept, newest first."""
    query = select(feedback.c.body).order_by(feedback.c.time_ms.desc(), feedback.c.id)
    return read(conn, Feedback, query.limit(limit))
