"""What happened, read from the store in the words of the scenario language."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from model.alert import AlertStatus
from model.incident import Incident, IncidentState, SlaClock
from model.labels import Labels
from model.ticket import Ticket
from pipeline.scenario_words import Check
from pipeline.virtual import Virtual
from store import alerts, changes, clocks, incidents, pages

RECORDS_MAX = 100_000


@dataclass(frozen=True, slots=True)
class Record:
    """One record as facts; the same names as in a `Check`."""

    facts: dict[str, str]
    labels: Labels = Labels()

    def has(self, check: Check) -> bool:
        """Whether every wanted fact and label is there."""
        return all(self.facts.get(name, "") == value for name, value in check.facts) and all(
            self.labels.get(name) == value for name, value in check.labels.pairs
        )

    def __str__(self) -> str:
        said = [f"{name} {value}" for name, value in self.facts.items() if value]
        return ", ".join(said) + (f" {self.labels}" if self.labels else "")


def read(virtual: Virtual, kind: str) -> list[Record]:
    """Every record of a kind of `Check`, oldest first."""
    with virtual.store.records.read() as conn:
        if kind == "ticket":
            return _tickets(conn, virtual.tickets)
        return _READERS[kind](conn)


def all_incidents(conn: Connection) -> list[Incident]:
    """Oldest first."""
    return incidents.recent(conn, limit=RECORDS_MAX)[::-1]


def _alerts(conn: Connection) -> list[Record]:
    """The latest occurrence of each alert."""
    latest: dict[str, AlertStatus] = {}
    for status in alerts.recent(conn, limit=RECORDS_MAX)[::-1]:
        latest[status.alert.key] = status
    return [
        Record(
            {
                "name": status.alert.name,
                "state": "firing" if status.alert.firing else "resolved",
                "silenced": "silenced" if status.silenced_by else "",
                "severity": status.alert.severity.value,
                "service": status.alert.service,
            },
            status.alert.labels,
        )
        for status in latest.values()
    ]


def _incidents(conn: Connection) -> list[Record]:
    # One that was merged into another is no incident of its own any more.
    found = [i for i in all_incidents(conn) if i.state is not IncidentState.MERGED]
    return [Record(_incident_facts(conn, incident)) for incident in found]


def _incident_facts(conn: Connection, incident: Incident) -> dict[str, str]:
    causes = incident.causes
    change = changes.get(conn, causes[0].change_id) if causes and causes[0].change_id else None
    return {
        "state": incident.state.value,
        "alerts": str(incident.alert_count),
        "firing": str(incident.firing_count),
        "cause": causes[0].service if causes else "",
        "change": change.title if change else "",
        "priority": incident.priority.value,
        "severity": incident.severity.value,
        "service": incident.service,
        "team": incident.team,
        "flapping": "yes" if incident.flapping else "",
        "muted": "yes" if incident.muted else "",
        "reopened": str(incident.reopened),
        "title": incident.title.text(),
    }


def _tickets(conn: Connection, found: list[Ticket]) -> list[Record]:
    counts = {i.id: i.alert_count for i in all_incidents(conn)}
    return [
        Record(
            {
                "number": ticket.number,
                "state": ticket.state.value,
                "alerts": str(counts.get(ticket.key, 0)),
                "priority": ticket.priority,
                "service": ticket.service,
                "title": ticket.title,
            }
        )
        for ticket in found
    ]


def _pages(conn: Connection) -> list[Record]:
    return [
        Record(
            {
                "why": page.why,
                "to": page.receiver,
                "title": page.title,
                "failed": "" if page.ok else "yes",
            }
        )
        for page in pages.recent(conn, limit=RECORDS_MAX)[::-1]
    ]


def _sla(conn: Connection) -> list[Record]:
    return [
        Record(_clock_facts(clock, incident))
        for incident in all_incidents(conn)
        for clock in clocks.by_incident(conn, incident.id)
    ]


def _clock_facts(clock: SlaClock, incident: Incident) -> dict[str, str]:
    """`warned` is the latest warning."""
    if clock.breached_ms is not None:
        state = "breached"
    elif clock.stopped_ms is not None:
        state = "stopped"
    else:
        state = "running" if clock.running else "paused"
    return {
        "of": clock.kind.value,
        "state": state,
        "warned": f"{round(max(clock.warned) * 100)}%" if clock.warned else "",
        "service": incident.service,
    }


_READERS = {
    "alert": _alerts,
    "incident": _incidents,
    "page": _pages,
    "sla": _sla,
}
