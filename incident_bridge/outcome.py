"""What is written down when an action was done, failed or given up: rows in one transaction."""

from __future__ import annotations

from sqlalchemy import Connection

from incident_bridge.backoff import delay_ms
from incident_bridge.notify import Receiver
from incident_bridge.settings import RetrySettings
from incident_bridge.timeline import entry
from model.action import SOURCE_TARGET, Action, ActionKind, Page
from model.errors import DeliveryError
from model.identity import derive_id
from model.incident import EntryKind
from model.reason import Reason, because, gettext
from model.ticket import Ticket, TicketState
from store import outbox, pages, ticket_links, timeline
from store.outbox import Queued
from store.ticket_links import TicketLink

ERROR_MAX = 500
_KINDS = {
    ActionKind.TICKET_CREATE: EntryKind.TICKET,
    ActionKind.TICKET_UPDATE: EntryKind.TICKET,
    ActionKind.PAGE: EntryKind.PAGE,
    ActionKind.SOURCE_NOTE: EntryKind.NOTE,
}


def ticket_done(conn: Connection, action: Action, ticket: Ticket, *, now_ms: int) -> bool:
    """The desk has it: link it, say so, and take the action from the queue; says whether the number is news."""
    news = False
    known = {link.desk: link for link in ticket_links.by_incident(conn, action.incident_id)}
    if action.target not in known or known[action.target].number != ticket.number:
        link = TicketLink(action.incident_id, action.target, ticket.number, ticket.url)
        ticket_links.save(conn, [link])
        text = because("ticket {number} opened in {desk}", number=ticket.number, desk=action.target)
        _say(conn, action, EntryKind.TICKET, text, now_ms)
        news = True
    if action.ticket is not None and action.ticket.state is TicketState.CLOSED:
        text = because("ticket {number} closed in {desk}", number=ticket.number, desk=action.target)
        _say(conn, action, EntryKind.TICKET, text, now_ms)
    outbox.done(conn, action.id, now_ms=now_ms)
    return news


def source_done(conn: Connection, action: Action, count: int, *, now_ms: int) -> None:
    """The system that fired the alerts has heard of it, for so many of its problems."""
    if count:
        name = action.target.removeprefix(SOURCE_TARGET)
        text = because("{source} was told, for {count} of its problems", source=name, count=count)
        _say(conn, action, EntryKind.NOTE, text, now_ms)
    outbox.done(conn, action.id, now_ms=now_ms)


_PAGED = {
    "opened": gettext("{receiver} was paged"),
    "repeat": gettext("{receiver} was paged again: nobody has acknowledged"),
    "escalated": gettext("{receiver} was paged: nobody else has answered"),
    "reopened": gettext("{receiver} was paged: the incident came back"),
    "resolved": gettext("{receiver} was told that it is over"),
    "merged": gettext("{receiver} was told that it goes on as part of another incident"),
    "sla": gettext("{receiver} was paged: a promise is broken"),
    "priority": gettext("{receiver} was paged: the priority changed"),
    "dead_letter": gettext("{receiver} was paged: something could not be delivered"),
}


def page_done(conn: Connection, action: Action, receiver: Receiver, *, now_ms: int) -> None:
    """People were told; repeats that were queued meanwhile would tell them the same again."""
    pages.save(conn, [_page(action, receiver, now_ms)])
    assert action.page is not None
    text = because(_PAGED.get(action.page.why, _PAGED["opened"]), receiver=receiver.name)
    _say(conn, action, EntryKind.PAGE, text, now_ms)
    outbox.done(conn, action.id, now_ms=now_ms)
    stale = [
        queued.action.id
        for queued in lane(conn, action)
        if queued.action.page is not None and queued.action.page.why == "repeat"
    ]
    outbox.cancel(conn, stale, now_ms=now_ms)


def failed(
    conn: Connection,
    queued: Queued,
    error: DeliveryError,
    retry: RetrySettings,
    receiver: Receiver | None,
    *,
    now_ms: int,
) -> bool:
    """Queue another attempt, or give it up; returns whether it was given up.

    Giving up is said loudly: a dead letter with its reason, a line of history, and a page in the
    console, because what was to be told must reach somebody.
    """
    action = queued.action
    message = str(error)[:ERROR_MAX]
    tries = queued.tries + 1
    old = now_ms - action.created_ms >= retry.age_max_ms
    spent = bool(retry.tries_max) and tries >= retry.tries_max
    if error.retry and not old and not spent:
        wait_ms = delay_ms(
            tries, first_ms=retry.first_ms, longest_ms=retry.longest_ms, seed=action.id
        )
        wait_ms = max(wait_ms, getattr(error, "retry_after_ms", 0))
        outbox.retry(conn, action.id, next_ms=now_ms + wait_ms, error=message)
        return False
    bury(conn, action, message, receiver, now_ms=now_ms)
    return True


def bury(
    conn: Connection, action: Action, message: str, receiver: Receiver | None, *, now_ms: int
) -> None:
    """Make it a dead letter and tell the console."""
    outbox.dead(conn, action.id, now_ms=now_ms, error=message)
    kind = _KINDS[action.kind]
    text = because(
        "{target} did not take it, given up: {error}", target=action.target, error=message
    )
    _say(conn, action, kind, text, now_ms)
    found = [_dead_letter(action, message, now_ms)]
    if receiver is not None:
        found.append(_page(action, receiver, now_ms, error=message))
    pages.save(conn, found)


def lane(conn: Connection, action: Action) -> list[Queued]:
    """What is pending in the action's lane after it, in order."""
    return [
        queued
        for queued in outbox.by_incident(conn, action.incident_id)
        if queued.action.target == action.target
        and queued.state.value == outbox.PENDING
        and queued.action.sequence > action.sequence
    ]


def _page(action: Action, receiver: Receiver, now_ms: int, *, error: str = "") -> Page:
    assert action.page is not None
    return Page(
        id=action.id,
        incident_id=action.incident_id,
        receiver=receiver.name,
        people=receiver.people,
        channel=receiver.channel,
        why=action.page.why,
        title=action.page.title,
        sent_ms=now_ms,
        ok=not error,
        error=error,
        simulated=action.simulated,
    )


def _dead_letter(action: Action, message: str, now_ms: int) -> Page:
    draft = action.page or action.ticket or action.source
    assert draft is not None
    return Page(
        # One for each lane: twenty updates that nobody takes are one piece of news.
        id=derive_id("dead letter", action.lane),
        incident_id=action.incident_id,
        receiver="console",
        people=(),
        channel="console",
        why="dead_letter",
        title=draft.title,
        sent_ms=now_ms,
        ok=True,
        error=f"{action.target}: {message}",
        simulated=action.simulated,
    )


def _say(conn: Connection, action: Action, kind: EntryKind, text: Reason, now_ms: int) -> None:
    said = entry(
        action.incident_id,
        kind,
        now_ms,
        text,
        simulated=action.simulated,
        about=action.id + text.template,
    )
    timeline.save(conn, [said])
