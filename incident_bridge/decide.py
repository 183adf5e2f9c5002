"""What to tell a desk or a receiver next, and why: a function of what it was last told and what is.

The answer is never "whether" but "why": the same word serves the outbox, the timeline, the console
and the test. Nothing here knows a desk, a queue or a clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from incident_bridge.routing import Plan
from model.action import LedgerEntry
from model.incident import Incident, IncidentState

REOPENED_OFTEN = 3
"""From so many reopenings on, people are told of the next one no sooner than `hold_ms` after the last."""


class DeskAction(StrEnum):
    """Why a ticket is touched, or left alone."""

    CREATE = "create"
    UPDATE = "update"  # title, priority, cause or acknowledgement changed
    COMMENT = "comment"  # a note, or a warning of the SLA
    RESOLVE = "resolve"
    REOPEN = "reopen"
    CLOSE = "close"
    HOLD = "hold"  # there is news, but not yet: too soon, or the incident flaps
    NONE = "none"


class PageAction(StrEnum):
    """Why people are told, or left alone. The value is `PageDraft.why`."""

    FIRST = "opened"
    REPEAT = "repeat"
    ESCALATE = "escalated"
    REOPENED = "reopened"
    RESOLVED = "resolved"
    MERGED = "merged"  # it is not over: it goes on as part of another
    SLA = "sla"
    HOLD = "hold"
    NONE = "none"


class SourceAction(StrEnum):
    """Why the system that fired the alerts is told, or left alone. The value is `SourceDraft.why`."""

    ACKNOWLEDGED = "acknowledged"
    UNACKNOWLEDGED = "unacknowledged"
    RESOLVED = "resolved"  # by a person; what resolves by itself that system knows itself
    HOLD = "hold"  # more alerts have joined, but it was told just now
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Limits:
    """How often a desk is bothered.

    Attributes
    ----------
    update_interval_ms : int
        Changes of detail wait so long after the last message.
    notes_max : int
        After so many messages the incident is taken to flap.
    hold_ms : int
        A flapping incident's next message waits so long; then it says what is true by then, so
        that nothing is dropped silently.
    """

    update_interval_ms: int
    notes_max: int
    hold_ms: int


def next_desk_action(
    entry: LedgerEntry | None,
    incident: Incident,
    *,
    saying: str,
    noted: bool,
    now_ms: int,
    limits: Limits,
) -> DeskAction:
    """Decide what a desk is told.

    Parameters
    ----------
    entry : LedgerEntry or None
        What it was last told of this incident; None if nothing.
    saying : str
        Fingerprint of what the ticket would say now.
    noted : bool
        Whether something was just said that belongs on the ticket, a person's note or a warning.

    Examples
    --------
    >>> from model.alert import Severity
    >>> from model.incident import Priority
    >>> from model.reason import because
    >>> incident = Incident("i1", IncidentState.OPEN, 0, because("cart fails"), "cart", ("cart",),
    ...     Severity.CRITICAL, Priority.P1, 1, 1, "web", 0, 0, 0)
    >>> limits = Limits(update_interval_ms=60_000, notes_max=20, hold_ms=600_000)
    >>> next_desk_action(None, incident, saying="x", noted=False, now_ms=0, limits=limits)
    <DeskAction.CREATE: 'create'>
    >>> told = LedgerEntry("i1", "builtin", "desk", sequence=1, told="x", told_state="open", count=1)
    >>> next_desk_action(told, incident, saying="y", noted=False, now_ms=5_000, limits=limits)
    <DeskAction.HOLD: 'hold'>
    """
    if entry is None or entry.count == 0:
        return DeskAction.CREATE if _wants_ticket(incident, now_ms) else DeskAction.NONE
    change = _change(entry, incident, saying)
    if change is not DeskAction.NONE and now_ms >= held_until_ms(entry, incident, limits):
        return change
    if noted:
        # A message carries the whole ticket: it brings along what would have been held.
        return DeskAction.COMMENT
    return DeskAction.NONE if change is DeskAction.NONE else DeskAction.HOLD


def _wants_ticket(incident: Incident, now_ms: int) -> bool:
    """Whether a desk that knows nothing of it gets a ticket.

    A muted incident gets its ticket when it is unmuted, a merged one lives on in another's. What was
    over before now is history: a desk that is new in the routes is not filled with it.
    """
    if incident.muted or incident.state is IncidentState.MERGED:
        return False
    return incident.state.active or incident.state_since_ms >= now_ms


def _change(entry: LedgerEntry, incident: Incident, saying: str) -> DeskAction:
    told, state = IncidentState(entry.told_state), incident.state
    if state is told:
        # What is seen differently after the end no longer concerns the ticket.
        news = saying != entry.told and state.active
        return DeskAction.UPDATE if news else DeskAction.NONE
    if state.active and told.active:
        return DeskAction.UPDATE
    if state.active:
        return DeskAction.REOPEN
    return DeskAction.RESOLVE if state is IncidentState.RESOLVED else DeskAction.CLOSE


def held_until_ms(entry: LedgerEntry, incident: Incident, limits: Limits) -> int:
    """When the desk may next be told of what has changed.

    A change of state is told at once until the incident flaps; its end (closed, merged) always is.
    """
    if incident.state in (IncidentState.CLOSED, IncidentState.MERGED):
        return entry.told_ms
    if entry.count >= limits.notes_max:
        return entry.told_ms + limits.hold_ms
    if incident.state.value == entry.told_state:
        return entry.told_ms + limits.update_interval_ms
    return entry.told_ms


def next_page_action(
    entry: LedgerEntry | None,
    incident: Incident,
    plan: Plan,
    *,
    escalation: bool,
    first_told_ms: int | None,
    breached: bool,
    now_ms: int,
    hold_ms: int,
) -> PageAction:
    """Decide what a receiver is told.

    Parameters
    ----------
    escalation : bool
        Whether it is told only when the plan's own receiver got no answer.
    first_told_ms : int or None
        Since when that receiver knows of this opening and has not answered; None if it was not told.
    breached : bool
        Whether a promise (SLA) just ran out.
    hold_ms : int
        The least time between a page and the page of a reopening, where it flaps.
    """
    silent = incident.simulated and plan.mute_simulated
    if entry is None or entry.count == 0:
        if silent or incident.muted or not plan.wants(incident.priority):
            return PageAction.NONE
        return _first(incident, plan, escalation, first_told_ms, now_ms)
    told = IncidentState(entry.told_state)
    if not incident.state.active:
        return _over(incident, plan) if told.active else PageAction.NONE
    if silent or incident.muted or plan.former or not plan.wants(incident.priority):
        return PageAction.NONE
    if not told.active:
        if escalation:
            # A new opening: the first receiver has its time to answer again.
            return _first(incident, plan, escalation, first_told_ms, now_ms)
        return _again(entry, incident, now_ms=now_ms, hold_ms=hold_ms)
    if breached:
        return PageAction.SLA
    if incident.state is IncidentState.ACKNOWLEDGED:
        return PageAction.NONE
    due = plan.repeat_interval_ms and now_ms - entry.told_ms >= plan.repeat_interval_ms
    return PageAction.REPEAT if due else PageAction.NONE


def flaps(incident: Incident) -> bool:
    """Whether its coming and going is noise: the correlator says so, or it was reopened often."""
    return incident.flapping or incident.reopened >= REOPENED_OFTEN


def _over(incident: Incident, plan: Plan) -> PageAction:
    if not plan.send_resolved:
        return PageAction.NONE
    return PageAction.MERGED if incident.state is IncidentState.MERGED else PageAction.RESOLVED


def _again(entry: LedgerEntry, incident: Incident, *, now_ms: int, hold_ms: int) -> PageAction:
    if incident.state is IncidentState.ACKNOWLEDGED:
        return PageAction.NONE
    held = flaps(incident) and now_ms < entry.told_ms + hold_ms
    return PageAction.HOLD if held else PageAction.REOPENED


def _first(
    incident: Incident, plan: Plan, escalation: bool, first_told_ms: int | None, now_ms: int
) -> PageAction:
    # What somebody already handles, or what is over, wakes nobody.
    if incident.state is not IncidentState.OPEN:
        return PageAction.NONE
    if not escalation:
        return PageAction.FIRST
    if not plan.escalate_after_ms or first_told_ms is None:
        return PageAction.NONE
    due = now_ms - first_told_ms >= plan.escalate_after_ms
    return PageAction.ESCALATE if due else PageAction.NONE


def next_source_action(
    entry: LedgerEntry | None, incident: Incident, *, now_ms: int, limits: Limits
) -> SourceAction:
    """Decide what the source of an incident's alerts is told of it.

    Parameters
    ----------
    entry : LedgerEntry or None
        What it was last told; its `told` is how many alerts there were then, because those that join
        an acknowledged incident are somebody's work already.
    """
    told = IncidentState.OPEN.value if entry is None else entry.told_state
    state = incident.state
    if state is IncidentState.OPEN:
        taken_back = told == IncidentState.ACKNOWLEDGED
        return SourceAction.UNACKNOWLEDGED if taken_back else SourceAction.NONE
    if state is IncidentState.ACKNOWLEDGED:
        if entry is None or told != state:
            return SourceAction.ACKNOWLEDGED
        if entry.told == str(incident.alert_count):
            return SourceAction.NONE
        soon = now_ms < entry.told_ms + limits.update_interval_ms
        return SourceAction.HOLD if soon else SourceAction.ACKNOWLEDGED
    over = (IncidentState.RESOLVED, IncidentState.CLOSED)
    news = state in over and told not in over and incident.resolved_by
    return SourceAction.RESOLVED if news else SourceAction.NONE
