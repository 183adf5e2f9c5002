"""Incidents, as people, tickets and reports see them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, func, or_, select

from model.incident import Incident, IncidentState
from store.rows import Cursor, body, filtered, newest_first, read, read_one, upsert, words
from store.schema import incidents

ENDED = (IncidentState.CLOSED.value, IncidentState.MERGED.value)
"""States that an incident does not leave by itself."""


def save(conn: Connection, items: Iterable[Incident]) -> None:
    """Insert or overwrite, by id."""
    upsert(conn, incidents, [_row(item) for item in items])


def _row(item: Incident) -> dict[str, object]:
    return {
        "id": item.id,
        "state": item.state.value,
        "service": item.service,
        "services": _between(*dict.fromkeys((item.service, *item.services))),
        "team": item.team,
        "priority": item.priority.value,
        "opened_ms": item.opened_ms,
        "updated_ms": item.updated_ms,
        "simulated": item.simulated,
        "words": words(item.id, item.title.text(), *item.services, item.service, item.team),
        "body": body(item),
    }


def _between(*names: str) -> str:
    return "\n" + "".join(f"{name}\n" for name in names)


def get(conn: Connection, incident_id: str) -> Incident | None:
    """The incident of that id."""
    return read_one(conn, Incident, select(incidents.c.body).where(incidents.c.id == incident_id))


def get_many(conn: Connection, ids: Sequence[str]) -> dict[str, Incident]:
    """Those that exist of at most some hundreds of ids."""
    found = read(conn, Incident, select(incidents.c.body).where(incidents.c.id.in_(ids)))
    return {item.id: item for item in found}


def active(conn: Connection, *, simulated: bool | None = None) -> list[Incident]:
    """Those that somebody should be working on (open, acknowledged), oldest first."""
    states = [state.value for state in IncidentState if state.active]
    query = select(incidents.c.body).where(incidents.c.state.in_(states))
    query = filtered(query, incidents, simulated=simulated)
    return read(conn, Incident, query.order_by(incidents.c.opened_ms, incidents.c.id))


def restorable(conn: Connection, *, since_ms: int, simulated: bool | None = None) -> list[Incident]:
    """What the bridge must know after a restart, oldest first: not ended, or changed since."""
    query = select(incidents.c.body).where(
        or_(incidents.c.state.not_in(ENDED), incidents.c.updated_ms >= since_ms)
    )
    query = filtered(query, incidents, simulated=simulated)
    return read(conn, Incident, query.order_by(incidents.c.opened_ms, incidents.c.id))


def between(
    conn: Connection, since_ms: int, until_ms: int, *, simulated: bool | None = None
) -> list[Incident]:
    """Those opened at `since_ms` or later and before `until_ms`, oldest first: what a report counts."""
    query = select(incidents.c.body).where(
        incidents.c.opened_ms >= since_ms, incidents.c.opened_ms < until_ms
    )
    query = filtered(query, incidents, simulated=simulated)
    return read(conn, Incident, query.order_by(incidents.c.opened_ms, incidents.c.id))


def recent(
    conn: Connection,
    *,
    states: Sequence[IncidentState] = (),
    service: str = "",
    affected: str = "",
    team: str = "",
    priority: str = "",
    since_ms: int | None = None,
    simulated: bool | None = None,
    text: str = "",
    before: Cursor | None = None,
    limit: int = 50,
) -> list[Incident]:
    """One page of incidents, the latest opened first; `before` is `cursor` of the last one shown.

    Parameters
    ----------
    states
        Any of these; all where there are none.
    service, affected
        The service that is blamed; any service that is affected.
    since_ms
        Opened at this time or later.
    text
        Each word must occur in the title, the services, the team or the id, in any case of letters.
    """
    query = filtered(
        select(incidents.c.body),
        incidents,
        text=text,
        service=service,
        team=team,
        priority=priority,
        simulated=simulated,
    )
    if states:
        query = query.where(incidents.c.state.in_([state.value for state in states]))
    if affected:
        query = query.where(incidents.c.services.contains(_between(affected), autoescape=True))
    if since_ms is not None:
        query = query.where(incidents.c.opened_ms >= since_ms)
    query = newest_first(query, incidents.c.opened_ms, incidents.c.id, before=before, limit=limit)
    return read(conn, Incident, query)


def cursor(item: Incident) -> Cursor:
    """Where a page that ends with this one ended."""
    return Cursor(item.opened_ms, item.id)


def counts(conn: Connection, *, simulated: bool | None = None) -> dict[IncidentState, int]:
    """How many are in each state."""
    query = select(incidents.c.state, func.count()).group_by(incidents.c.state)
    found: dict[str, int] = dict(
        conn.execute(filtered(query, incidents, simulated=simulated)).all()
    )
    return {state: found.get(state.value, 0) for state in IncidentState}
