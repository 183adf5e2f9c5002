"""An incident: alerts that one person should handle together."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from model.alert import Severity
from model.reason import Reason


class IncidentState(StrEnum):
    """`open → acknowledged → resolved → closed`; merged ends in another. See docs/lifecycle.md."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    CLOSED = "closed"
    MERGED = "merged"

    @property
    def active(self) -> bool:
        """Whether somebody should be working on it."""
        return self in (IncidentState.OPEN, IncidentState.ACKNOWLEDGED)


class Priority(StrEnum):
    """How soon, from impact × urgency (ITIL): P1 at once … P4 planned."""

    P1 = "P1"
    P2 = "P2"
    P3 = "P3"
    P4 = "P4"


@dataclass(frozen=True, slots=True)
class Cause:
    """One suspect, with every reason that moved its score."""

    service: str
    score: float
    reasons: tuple[Reason, ...] = ()
    change_id: str = ""
    alert_keys: tuple[str, ...] = ()


class Signal(StrEnum):
    """What the correlator says happened to a group of alerts."""

    OPENED = "opened"
    JOINED = "joined"
    CHANGED = "changed"  # cause, severity or muting is seen differently
    QUIET = "quiet"  # every alert resolved, and stayed so for the resolve window
    REFIRED = "refired"  # an alert came back within the reopen window
    MERGED = "merged"  # found to be one with another


@dataclass(frozen=True, slots=True)
class Grouping:
    """What the correlator knows of one incident, whole each time it changes.

    Attributes
    ----------
    id : str
        The incident's id: derived from its first alert's key and start.
    signal : Signal
        Why this was said now; `reason` says it in words.
    began_ms : int
        Event time of the earliest alert: when the trouble began.
    detected_ms : int
        When the correlator opened it: the reader of the page could not know before.
    at_ms : int
        When this was said.
    quiet_ms : int or None
        Event time at which the last alert resolved, once `signal` is QUIET.
    alert_keys : tuple of str
        The members that tell most, best first, at most `alert_keys_max` (50): enough for a ticket
        and a page. Membership itself is `AlertStatus.incident_id`.
    alert_count, firing_count : int
        Members in all, and those firing now.
    evidence : tuple of Reason
        One sentence for each of `alert_keys`, at most 10.
    services : tuple of str
        Affected services, most suspect first.
    causes : tuple of Cause
        Ranked, best first.
    muted : bool
        Every firing member is silenced: no page, no ticket yet.
    previous_id : str
        An earlier incident of the same alerts, outside the reopen window.
    merged_into : str
        The incident that took this one's alerts.
    active_since_ms : int
        Event time of the alert that opened or last reopened it; alerts that ended before tell nothing now.
    closed_ms : int or None
        When a person closed or resolved it while alerts fired: nothing joins it any more.
    sources : tuple of str
        Who fired its alerts (`Alert.source`), at most 20.
    """

    id: str
    signal: Signal
    at_ms: int
    began_ms: int
    detected_ms: int
    severity: Severity
    title: Reason
    reason: Reason
    services: tuple[str, ...]
    alert_keys: tuple[str, ...] = ()
    alert_count: int = 0
    firing_count: int = 0
    evidence: tuple[Reason, ...] = ()
    causes: tuple[Cause, ...] = ()
    change_ids: tuple[str, ...] = ()
    quiet_ms: int | None = None
    muted: bool = False
    flapping: bool = False
    previous_id: str = ""
    merged_into: str = ""
    simulated: bool = False
    active_since_ms: int = 0
    closed_ms: int | None = None
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Incident:
    """The record that people, tickets and reports see.

    Times are milliseconds since the epoch, event time for `began_ms` and `resolved_ms`, the
    pipeline's own time for the rest; a time that has not come is None.

    Attributes
    ----------
    began_ms, opened_ms : int
        When the trouble began, and when the incident was opened (time to detect is the difference).
    impact, urgency : int
        1 high … 3 low (ITIL); `priority` follows from them unless a human set it.
    priority_by : str
        Who set the priority by hand; it is then left alone.
    state_since_ms : int
        When it entered its state.
    human_closed : bool
        A person closed it while alerts still fired: do not reopen for those.
    sources : tuple of str
        Who fired its alerts.
    """

    id: str
    state: IncidentState
    state_since_ms: int
    title: Reason
    service: str
    services: tuple[str, ...]
    severity: Severity
    priority: Priority
    impact: int
    urgency: int
    team: str
    began_ms: int
    opened_ms: int
    updated_ms: int
    acknowledged_ms: int | None = None
    acknowledged_by: str = ""
    resolved_ms: int | None = None
    resolved_by: str = ""
    closed_ms: int | None = None
    human_closed: bool = False
    reopened: int = 0
    flapping: bool = False
    muted: bool = False
    causes: tuple[Cause, ...] = ()
    evidence: tuple[Reason, ...] = ()
    alert_keys: tuple[str, ...] = ()
    alert_count: int = 0
    firing_count: int = 0
    change_ids: tuple[str, ...] = ()
    previous_id: str = ""
    merged_into: str = ""
    simulated: bool = False
    priority_by: str = ""
    sources: tuple[str, ...] = ()


class EntryKind(StrEnum):
    """Kinds of timeline entries."""

    OPENED = "opened"
    JOINED = "joined"
    CAUSE = "cause"
    PRIORITY = "priority"
    ACKNOWLEDGED = "acknowledged"
    UNACKNOWLEDGED = "unacknowledged"
    RESOLVED = "resolved"
    REOPENED = "reopened"
    CLOSED = "closed"
    MERGED = "merged"
    NOTE = "note"
    TICKET = "ticket"
    PAGE = "page"
    SLA = "sla"
    SILENCE = "silence"
    CHANGE = "change"
    RUNBOOK = "runbook"
    FLAPPING = "flapping"


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One line of an incident's history. `id` is derived, so that a repeat is harmless."""

    id: str
    incident_id: str
    time_ms: int
    kind: EntryKind
    actor: str
    text: Reason
    simulated: bool = False


class ActKind(StrEnum):
    """What a person may do to an incident."""

    ACKNOWLEDGE = "acknowledge"
    UNACKNOWLEDGE = "unacknowledge"
    RESOLVE = "resolve"
    CLOSE = "close"
    REOPEN = "reopen"
    NOTE = "note"
    PRIORITY = "priority"


@dataclass(frozen=True, slots=True)
class Act:
    """A person's act on an incident: journalled, then applied by the state machine."""

    id: str
    incident_id: str
    kind: ActKind
    actor: str
    time_ms: int
    text: str = ""


class ClockKind(StrEnum):
    """The two promises of an SLA."""

    RESPONSE = "response"
    RESOLUTION = "resolution"


@dataclass(frozen=True, slots=True)
class SlaClock:
    """One promise on one incident.

    Attributes
    ----------
    target_ms : int
        How long the promise allows.
    elapsed_ms : int
        Time counted up to `counted_ms`; it stands still while `running` is False.
    warned : tuple of float
        Ratios of the target that have been announced (0.5, 0.75, 0.9).
    breached_ms, stopped_ms : int or None
        When the target ran out; when the promise was kept or ended.
    """

    incident_id: str
    kind: ClockKind
    target_ms: int
    started_ms: int
    counted_ms: int
    elapsed_ms: int = 0
    running: bool = True
    warned: tuple[float, ...] = ()
    breached_ms: int | None = None
    stopped_ms: int | None = None
    simulated: bool = False
