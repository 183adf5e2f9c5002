"""One read per view: what a page or an API answer needs, in one consistent transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from collectors.exemplars import Exemplar
from console.call import Call
from incident_bridge.lifecycle import allowed_acts
from model.action import Page
from model.alert import AlertStatus
from model.change import Change
from model.feedback import Feedback
from model.incident import (
    ActKind,
    Incident,
    IncidentState,
    SlaClock,
    TimelineEntry,
)
from model.silence import Silence
from runbooks.match import Match, match
from store import (
    alerts,
    changes,
    clocks,
    feedback,
    incidents,
    pages,
    silences,
    ticket_links,
    timeline,
)
from store.rows import Cursor
from store.ticket_links import TicketLink

ALERTS_SHOWN_MAX = 200
TRACES_BEFORE_MS = 60_000
STATES: Mapping[str, tuple[IncidentState, ...]] = {
    "active": (IncidentState.OPEN, IncidentState.ACKNOWLEDGED),
    "resolved": (IncidentState.RESOLVED,),
    "closed": (IncidentState.CLOSED, IncidentState.MERGED),
    "all": (),
}
"""What the tabs of the incident list show."""


@dataclass(frozen=True, slots=True)
class IncidentList:
    """A page of incidents with what each row shows."""

    items: tuple[Incident, ...]
    tickets: Mapping[str, list[TicketLink]]
    counts: Mapping[IncidentState, int]
    next: str  # cursor of the following page, "" on the last one
    silences: int = 0  # in force now

    @property
    def active_count(self) -> int:
        """Open and acknowledged ones in all."""
        return sum(n for state, n in self.counts.items() if state.active)


def cursor_of(call: Call) -> Cursor | None:
    """Where the page before this one ended."""
    text = call.query("before")
    return Cursor.parse(text) if text else None


def simulated_of(call: Call) -> bool | None:
    """The filter on simulated records: "true", "false", or both."""
    text = call.query("simulated")
    return None if text in ("", "all") else call.flag("simulated", False)


def incident_list(call: Call, *, state: str, limit: int) -> IncidentList:
    """A page of incidents by the query's filters."""
    simulated = simulated_of(call)
    states = STATES.get(state) if state in STATES else (IncidentState(state),)
    with call.ports.store.records.read() as conn:
        found = incidents.recent(
            conn,
            states=states or (),
            affected=call.query("service"),
            team=call.query("team"),
            priority=call.query("priority"),
            text=call.query("q")[:200],
            simulated=simulated,
            before=cursor_of(call),
            limit=limit + 1,
        )
        shown = tuple(found[:limit])
        links = ticket_links.by_incidents(conn, [item.id for item in shown])
        counts = incidents.counts(conn, simulated=simulated)
        muting = [
            s for s in silences.current(conn, now_ms=call.now_ms) if s.starts_ms <= call.now_ms
        ]
    following = str(incidents.cursor(shown[-1])) if len(found) > limit else ""
    return IncidentList(shown, links, counts, following, len(muting))


@dataclass(frozen=True, slots=True)
class IncidentView:
    """One incident with everything its page shows."""

    incident: Incident
    timeline: tuple[TimelineEntry, ...]
    alerts: tuple[AlertStatus, ...]
    clocks: tuple[SlaClock, ...]
    tickets: tuple[TicketLink, ...]
    pages: tuple[Page, ...]
    changes: tuple[Change, ...]
    silences: tuple[Silence, ...]
    runbooks: tuple[Match, ...]
    acts: tuple[ActKind, ...]


def traces(call: Call, incident: Incident) -> list[Exemplar]:
    """Traces that were seen in an incident's services while it lasted, and shortly before it was noticed."""
    services = (incident.service, *incident.services)
    until_ms = incident.resolved_ms or call.now_ms
    begin_ms = min(incident.began_ms, incident.opened_ms) - TRACES_BEFORE_MS
    return call.ports.exemplars.around(tuple(dict.fromkeys(services)), begin_ms, until_ms)


def incident_view(call: Call, incident_id: str) -> IncidentView:
    """Everything about one incident.

    Raises
    ------
    LookupError
        If there is none of that id.
    """
    with call.ports.store.records.read() as conn:
        incident = incidents.get(conn, incident_id)
        if incident is None:
            raise LookupError(incident_id)
        members = alerts.by_incident(conn, incident_id, limit=ALERTS_SHOWN_MAX)
        history = timeline.by_incident(conn, incident_id)
        counted = clocks.by_incident(conn, incident_id)
        links = ticket_links.by_incident(conn, incident_id)
        sent = pages.by_incident(conn, incident_id)
        suspects = changes.get_many(conn, incident.change_ids[:100])
        muting = {ident for status in members for ident in status.silenced_by}
        muted_by = [found for i in sorted(muting) if (found := silences.get(conn, i))]
    best = {key: place for place, key in enumerate(incident.alert_keys)}
    members.sort(key=lambda status: best.get(status.alert.key, len(best)))
    matches = match(
        call.ports.runbooks().in_language(call.language),
        incident,
        [s.alert for s in members],
        call.ports.catalogue(),
    )
    return IncidentView(
        incident,
        tuple(history),
        tuple(members),
        tuple(counted),
        tuple(links),
        tuple(sent),
        tuple(suspects),
        tuple(muted_by),
        tuple(matches[:3]),
        allowed_acts(incident),
    )


def elapsed_ms(clock: SlaClock, now_ms: int) -> int:
    """What an SLA clock shows now; while it runs, time since it was last counted is added."""
    if clock.running and clock.stopped_ms is None:
        return clock.elapsed_ms + max(0, now_ms - clock.counted_ms)
    return clock.elapsed_ms


def verdicts(call: Call, found: Iterable[AlertStatus]) -> dict[str, list[Feedback]]:
    """What people said of some alerts, by the alert's id."""
    said: dict[str, list[Feedback]] = {}
    with call.ports.store.records.read() as conn:
        for one in feedback.on_alerts(conn, (status.alert.id for status in found)):
            said.setdefault(one.alert_id, []).append(one)
    return said
