"""The outbox: actions to take outside, in order within a lane, until they are done or dead.

An action is written in the transaction that decided it, and performed afterwards. Only the first
pending action of a lane is ever handed out: what comes later waits for it, even while it waits
for its next try, and goes on once it is done, dead or cancelled.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Select, func, select, update

from model.action import Action, ActionKind, ActionState
from model.codec import decode
from store.rows import Cursor, body, filtered, insert, newest_first, plain
from store.schema import outbox

ERROR_MAX = 2_000  # characters; a desk may answer with a whole page
PENDING = ActionState.PENDING.value


@dataclass(frozen=True, slots=True)
class Queued:
    """An action and how far it has come.

    Attributes
    ----------
    tries : int
        Failed attempts so far.
    next_ms : int
        Not before this time.
    ended_ms : int or None
        When it was done, dead or cancelled.
    """

    action: Action
    state: ActionState
    tries: int
    next_ms: int
    last_error: str = ""
    ended_ms: int | None = None


def add(conn: Connection, actions: Iterable[Action]) -> None:
    """Put actions in; one whose id is known, in whatever state, is left as it is."""
    rows = [_row(action) for action in actions]
    if rows:
        conn.execute(insert(conn, outbox).on_conflict_do_nothing(index_elements=["id"]), rows)


def _row(action: Action) -> dict[str, object]:
    return {
        "id": action.id,
        "lane": action.lane,
        "sequence": action.sequence,
        "kind": action.kind.value,
        "incident_id": action.incident_id,
        "target": action.target,
        "state": PENDING,
        "tries": 0,
        "created_ms": action.created_ms,
        "next_ms": action.created_ms,
        "ended_ms": None,
        "last_error": "",
        "simulated": action.simulated,
        "body": body(action),
    }


def due(
    conn: Connection,
    now_ms: int,
    limit: int = 100,
    *,
    target: str = "",
    kinds: Sequence[ActionKind] = (),
    simulated: bool | None = None,
) -> list[Queued]:
    """The first pending action of each lane, where its time has come, the longest due first.

    Asked for one `target`, so that the queue of one that is down hides nothing of the others.
    """
    place = func.row_number().over(
        partition_by=outbox.c.lane, order_by=(outbox.c.sequence, outbox.c.id)
    )
    # One pass over what is pending: asking for each row whether an earlier one exists is quadratic
    # in a long lane wherever the planner takes another index.
    queue = select(outbox.c.id, place.label("place")).where(outbox.c.state == PENDING).subquery()
    query = _select().join(queue, queue.c.id == outbox.c.id)
    query = query.where(queue.c.place == 1, outbox.c.next_ms <= now_ms)
    if kinds:
        query = query.where(outbox.c.kind.in_([kind.value for kind in kinds]))
    query = filtered(query, outbox, target=target, simulated=simulated)
    return _read(
        conn, query.order_by(outbox.c.next_ms, outbox.c.created_ms, outbox.c.id).limit(limit)
    )


def next_due_ms(conn: Connection) -> int | None:
    """The earliest `next_ms` of what is pending: nothing is due before it. None where nothing is pending."""
    return conn.execute(
        select(func.min(outbox.c.next_ms)).where(outbox.c.state == PENDING)
    ).scalar()


def done(conn: Connection, action_id: str, *, now_ms: int) -> None:
    """It was done: also where it was cancelled meanwhile, because the world has seen it."""
    conn.execute(
        update(outbox)
        .where(outbox.c.id == action_id)
        .values(state=ActionState.DONE.value, ended_ms=now_ms, last_error="")
    )


def retry(conn: Connection, action_id: str, *, next_ms: int, error: str) -> None:
    """It failed: try again at `next_ms`. One that was cancelled meanwhile stays cancelled."""
    conn.execute(
        update(outbox)
        .where(outbox.c.id == action_id, outbox.c.state == PENDING)
        .values(tries=outbox.c.tries + 1, next_ms=next_ms, last_error=plain(error, ERROR_MAX))
    )


def dead(conn: Connection, action_id: str, *, now_ms: int, error: str) -> None:
    """It failed for good: a dead letter, with the reason. Its lane goes on."""
    conn.execute(
        update(outbox)
        .where(outbox.c.id == action_id, outbox.c.state == PENDING)
        .values(
            state=ActionState.DEAD.value,
            tries=outbox.c.tries + 1,
            ended_ms=now_ms,
            last_error=plain(error, ERROR_MAX),
        )
    )


def cancel(conn: Connection, ids: Iterable[str], *, now_ms: int) -> int:
    """It need not be done any more; returns how many of them were still pending."""
    cancelled = 0
    for action_id in ids:
        statement = update(outbox).where(outbox.c.id == action_id, outbox.c.state == PENDING)
        changed = conn.execute(statement.values(state=ActionState.CANCELLED.value, ended_ms=now_ms))
        cancelled += changed.rowcount
    return cancelled


def revive(conn: Connection, action_id: str, *, now_ms: int) -> bool:
    """Try a dead letter again, from its first try; False where there is none of that id."""
    changed = conn.execute(
        update(outbox)
        .where(outbox.c.id == action_id, outbox.c.state == ActionState.DEAD.value)
        .values(state=PENDING, tries=0, next_ms=now_ms, ended_ms=None)
    )
    return changed.rowcount > 0


def get(conn: Connection, action_id: str) -> Queued | None:
    """The action of that id."""
    found = _read(conn, _select().where(outbox.c.id == action_id))
    return found[0] if found else None


def by_incident(conn: Connection, incident_id: str) -> list[Queued]:
    """An incident's actions, in the order they were decided."""
    query = _select().where(outbox.c.incident_id == incident_id)
    return _read(
        conn, query.order_by(outbox.c.created_ms, outbox.c.target, outbox.c.sequence, outbox.c.id)
    )


def recent(
    conn: Connection,
    *,
    state: ActionState | None = None,
    simulated: bool | None = None,
    before: Cursor | None = None,
    limit: int = 100,
) -> list[Queued]:
    """One page of actions, newest first; `before` is `cursor` of the last one shown."""
    query = filtered(_select(), outbox, state=state.value if state else None, simulated=simulated)
    return _read(
        conn, newest_first(query, outbox.c.created_ms, outbox.c.id, before=before, limit=limit)
    )


def cursor(item: Queued) -> Cursor:
    """Where a page that ends with this one ended."""
    return Cursor(item.action.created_ms, item.action.id)


def dead_letters(
    conn: Connection, *, simulated: bool | None = None, limit: int = 100
) -> list[Queued]:
    """What could not be delivered, newest first."""
    return recent(conn, state=ActionState.DEAD, simulated=simulated, limit=limit)


def counts(conn: Connection, *, simulated: bool | None = None) -> dict[ActionState, int]:
    """How many are in each state."""
    query = select(outbox.c.state, func.count()).group_by(outbox.c.state)
    found: dict[str, int] = dict(conn.execute(filtered(query, outbox, simulated=simulated)).all())
    return {state: found.get(state.value, 0) for state in ActionState}


def _select() -> Select[str, str, int, int, str, int | None]:
    c = outbox.c
    return select(c.body, c.state, c.tries, c.next_ms, c.last_error, c.ended_ms)


def _read(conn: Connection, query: Select[str, str, int, int, str, int | None]) -> list[Queued]:
    return [
        Queued(decode(Action, text), ActionState(state), tries, next_ms, error, ended_ms)
        for text, state, tries, next_ms, error, ended_ms in conn.execute(query)
    ]
