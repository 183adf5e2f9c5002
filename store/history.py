"""Forgetting: what is older than the retention goes, whole incidents at a time."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, Table, delete, exists, select

from model.action import ActionState
from model.ticket import TicketState
from store import schema
from store.alerts import SUPERSEDED
from store.incidents import ENDED
from store.schema import alerts, changes, groupings, incidents, outbox, records, sessions

_PENDING = ActionState.PENDING.value
_FINISHED = (TicketState.RESOLVED.value, TicketState.CLOSED.value)


def prune(
    conn: Connection, before_ms: int, *, rows_max: int = 1_000, now_ms: int | None = None
) -> dict[str, int]:
    """Delete what ended before `before_ms`; returns how many rows of each table went.

    That is: closed and merged incidents with all that belongs to them, unless something is still
    to be done outside; resolved alerts without an incident; changes, finished actions, expired
    silences and sessions, finished tickets whose incident is gone. The audit trail stays.

    Parameters
    ----------
    rows_max
        At most this many incidents, and rows of each other table: a long transaction would keep
        everybody else from writing. Call again until nothing comes back.
    now_ms
        Sessions that expired before this (by default `before_ms`) go too.
    """
    gone = _prune_incidents(conn, before_ms, rows_max)
    for table, ended in _ended(before_ms, before_ms if now_ms is None else now_ms):
        count = _delete_some(conn, table, ended, rows_max)
        gone[table.name] = gone.get(table.name, 0) + count
    return {name: count for name, count in gone.items() if count}


def _prune_incidents(conn: Connection, before_ms: int, rows_max: int) -> dict[str, int]:
    unfinished = exists().where(outbox.c.incident_id == incidents.c.id, outbox.c.state == _PENDING)
    query = select(incidents.c.id).where(
        incidents.c.state.in_(ENDED), incidents.c.updated_ms < before_ms, ~unfinished
    )
    ids = conn.execute(query.order_by(incidents.c.updated_ms).limit(rows_max)).scalars().all()
    gone: dict[str, int] = {}
    for start in range(0, len(ids), 500):
        for name, count in _delete_incidents(conn, ids[start : start + 500]).items():
            gone[name] = gone.get(name, 0) + count
    return gone


def _delete_incidents(conn: Connection, ids: Sequence[str]) -> dict[str, int]:
    gone: dict[str, int] = {}
    for table in (
        schema.timeline,
        schema.clocks,
        schema.ledger,
        schema.pages,
        schema.ticket_links,
        outbox,
        alerts,
    ):
        statement = delete(table).where(table.c.incident_id.in_(ids))
        if table is alerts:
            # A human may close an incident whose alert still fires; the correlator needs that row.
            statement = statement.where(alerts.c.ends_ms.is_not(None))
        gone[table.name] = conn.execute(statement).rowcount
    gone["groupings"] = conn.execute(delete(groupings).where(groupings.c.id.in_(ids))).rowcount
    gone["incidents"] = conn.execute(delete(incidents).where(incidents.c.id.in_(ids))).rowcount
    return gone


def _ended(before_ms: int, now_ms: int) -> list[tuple[Table, ColumnElement[bool]]]:
    """Rows that belong to no incident (any more), by their own end."""
    orphan_alert = ~exists().where(incidents.c.id == alerts.c.incident_id)
    orphan_grouping = ~exists().where(incidents.c.id == groupings.c.id)
    orphan_action = ~exists().where(incidents.c.id == outbox.c.incident_id)
    tickets = schema.tickets.c
    orphan_ticket = ~exists().where(incidents.c.id == tickets.key)
    unresolved = alerts.c.ends_ms.is_(None) & (alerts.c.starts_ms < before_ms)
    return [
        (alerts, (alerts.c.ends_ms < before_ms) & orphan_alert),
        (alerts, unresolved & SUPERSEDED & orphan_alert),
        (groupings, (groupings.c.at_ms < before_ms) & orphan_grouping),
        (outbox, (outbox.c.ended_ms < before_ms) & (outbox.c.state != _PENDING) & orphan_action),
        (changes, changes.c.time_ms < before_ms),
        (schema.silences, schema.silences.c.ends_ms < before_ms),
        (
            schema.tickets,
            tickets.state.in_(_FINISHED) & (tickets.updated_ms < before_ms) & orphan_ticket,
        ),
        (
            schema.ticket_comments,
            ~exists().where(
                tickets.desk == schema.ticket_comments.c.desk,
                tickets.number == schema.ticket_comments.c.number,
            ),
        ),
        (sessions, sessions.c.expires_ms < now_ms),
    ]


def _delete_some(conn: Connection, table: Table, ended: ColumnElement[bool], rows_max: int) -> int:
    key = list(table.primary_key)
    if len(key) > 1:  # tickets: one per incident, of which at most `rows_max` have just gone
        return conn.execute(delete(table).where(ended)).rowcount
    some = select(key[0]).where(ended).limit(rows_max)
    return conn.execute(delete(table).where(key[0].in_(some))).rowcount


def drop_simulated(conn: Connection) -> dict[str, int]:
    """Delete every simulated record (the demo's past), and what hangs on it; returns the counts."""
    simulated = select(incidents.c.id).where(incidents.c.simulated)
    gone: dict[str, int] = {}
    for table in (schema.ledger, schema.ticket_links):
        statement = delete(table).where(table.c.incident_id.in_(simulated))
        gone[table.name] = conn.execute(statement).rowcount
    ticket, comment = schema.tickets.c, schema.ticket_comments.c
    theirs = exists().where(
        ticket.desk == comment.desk, ticket.number == comment.number, ticket.simulated
    )
    gone["ticket_comments"] = conn.execute(delete(schema.ticket_comments).where(theirs)).rowcount
    for table in records.sorted_tables:
        if "simulated" in table.c:
            gone[table.name] = conn.execute(delete(table).where(table.c.simulated)).rowcount
    return {name: count for name, count in gone.items() if count}
