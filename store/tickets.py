"""The built-in desk's tickets: OPS-1, OPS-2, … with their comments."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection, Select, insert, select

from model.ticket import Ticket, TicketComment, TicketDraft, TicketState
from store import rows
from store.rows import Cursor, body, filtered, newest_first
from store.schema import offsets, ticket_comments, tickets

_COUNTED = "ticket number: "


def create(
    conn: Connection,
    desk: str,
    draft: TicketDraft,
    *,
    now_ms: int,
    prefix: str = "OPS-",
    url_prefix: str = "/tickets/",
    author: str = "tocsin",
) -> Ticket:
    """Open a ticket with the next number, or return the one that carries the draft's key.

    The number is counted in this transaction: what is undone leaves no gap.
    """
    if (known := find(conn, desk, draft.key)) is not None:
        return known
    number = f"{prefix}{_next_number(conn, desk)}"
    ticket = Ticket(
        desk=desk,
        number=number,
        key=draft.key,
        title=draft.title,
        body=draft.body,
        state=draft.state,
        priority=draft.priority,
        url=f"{url_prefix}{number}",
        created_ms=now_ms,
        updated_ms=now_ms,
        service=draft.service,
        team=draft.team,
        simulated=draft.simulated,
    )
    _write(conn, ticket)
    _comment(conn, desk, number, TicketComment(now_ms, author, draft.comment))
    return _whole(conn, ticket)


def _next_number(conn: Connection, desk: str) -> int:
    # One statement, so that two processes on one PostgreSQL wait for each other here.
    statement = rows.insert(conn, offsets).values(name=_COUNTED + desk, value=1)
    counted = statement.on_conflict_do_update(
        index_elements=["name"], set_={"value": offsets.c.value + 1}
    ).returning(offsets.c.value)
    return int(conn.execute(counted).scalar_one())


def change(
    conn: Connection,
    desk: str,
    number: str,
    draft: TicketDraft,
    *,
    now_ms: int,
    author: str = "tocsin",
) -> Ticket | None:
    """Make a ticket say what the draft says, and append its comment; None where there is none."""
    old = _get(conn, desk, number)
    if old is None:
        return None
    ticket = old.saying(draft, now_ms=now_ms)
    _write(conn, ticket)
    _comment(conn, desk, number, TicketComment(now_ms, author, draft.comment))
    return _whole(conn, ticket)


def set_state(
    conn: Connection, desk: str, number: str, state: TicketState, *, now_ms: int
) -> Ticket | None:
    """A person moves a ticket; None where there is none of that number."""
    old = _get(conn, desk, number)
    if old is None:
        return None
    ticket = replace(old, state=state, updated_ms=now_ms)
    _write(conn, ticket)
    return _whole(conn, ticket)


def comment(conn: Connection, desk: str, number: str, said: TicketComment) -> Ticket | None:
    """A person comments on a ticket; None where there is none of that number."""
    old = _get(conn, desk, number)
    if old is None:
        return None
    ticket = replace(old, updated_ms=max(old.updated_ms, said.time_ms))
    _write(conn, ticket)
    _comment(conn, desk, number, said)
    return _whole(conn, ticket)


def find(conn: Connection, desk: str, key: str) -> Ticket | None:
    """The ticket that carries an incident's id, with its comments."""
    c = tickets.c
    found = _one(conn, select(c.body).where(c.desk == desk, c.key == key))
    return None if found is None else _whole(conn, found)


def get(conn: Connection, desk: str, number: str) -> Ticket | None:
    """The ticket of that number, with its comments."""
    found = _get(conn, desk, number)
    return None if found is None else _whole(conn, found)


def recent(
    conn: Connection,
    desk: str,
    *,
    state: TicketState | None = None,
    service: str = "",
    simulated: bool | None = None,
    before: Cursor | None = None,
    limit: int = 100,
) -> list[Ticket]:
    """One page of tickets without their comments, newest first."""
    query = filtered(
        select(tickets.c.body),
        tickets,
        desk=desk,
        state=state.value if state else None,
        service=service,
        simulated=simulated,
    )
    query = newest_first(query, tickets.c.created_ms, tickets.c.number, before=before, limit=limit)
    return rows.read(conn, Ticket, query)


def cursor(item: Ticket) -> Cursor:
    """Where a page that ends with this one ended."""
    return Cursor(item.created_ms, item.number)


def changed_since(conn: Connection, desk: str, since_ms: int, *, limit: int = 500) -> list[Ticket]:
    """Tickets updated at `since_ms` or later, with their comments, the earliest first."""
    c = tickets.c
    query = select(c.body).where(c.desk == desk, c.updated_ms >= since_ms)
    found = rows.read(conn, Ticket, query.order_by(c.updated_ms, c.number).limit(limit))
    return [_whole(conn, ticket) for ticket in found]


def _get(conn: Connection, desk: str, number: str) -> Ticket | None:
    c = tickets.c
    return _one(conn, select(c.body).where(c.desk == desk, c.number == number))


def _one(conn: Connection, query: Select[str]) -> Ticket | None:
    return rows.read_one(conn, Ticket, query)


def _whole(conn: Connection, ticket: Ticket) -> Ticket:
    c = ticket_comments.c
    query = select(c.body).where(c.desk == ticket.desk, c.number == ticket.number).order_by(c.id)
    return replace(ticket, comments=tuple(rows.read(conn, TicketComment, query)))


def _write(conn: Connection, ticket: Ticket) -> None:
    row = {
        "desk": ticket.desk,
        "number": ticket.number,
        "key": ticket.key,
        "state": ticket.state.value,
        "service": ticket.service,
        "created_ms": ticket.created_ms,
        "updated_ms": ticket.updated_ms,
        "simulated": ticket.simulated,
        "body": body(replace(ticket, comments=())),
    }
    rows.upsert(conn, tickets, [row])


def _comment(conn: Connection, desk: str, number: str, said: TicketComment) -> None:
    if said.text:
        row = {"desk": desk, "number": number, "body": body(said)}
        conn.execute(insert(ticket_comments), [row])
