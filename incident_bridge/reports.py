"""Reliability over a period, from the records alone: a counter can drift, a row cannot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection

from incident_bridge import mttr
from incident_bridge.mttr import Measure
from incident_bridge.settings import DAY_MS, HOUR_MS, ReportSettings
from model.incident import ClockKind, EntryKind, Incident, IncidentState, Priority, SlaClock
from model.reason import Reason
from model.slo import Kept, SloState, kept_over
from store import clocks as clock_rows
from store import incidents as incident_rows
from store import pages as page_rows
from store import ticket_links, timeline

DOWN = (Priority.P1, Priority.P2)
"""Incidents of these priorities count as time not available."""

LOOKBACK_MS = 31 * DAY_MS
"""Incidents opened so long before the period still count towards its availability."""

NOTES_MAX = 20_000


@dataclass(frozen=True, slots=True)
class Attainment:
    """Promises kept and broken; those still running and in time are neither."""

    kept: int = 0
    broken: int = 0

    @property
    def ratio(self) -> float | None:
        """Kept of all, 0 to 1; None where there are none."""
        return self.kept / (self.kept + self.broken) if self.kept + self.broken else None


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table: everything, or one service, team or priority."""

    name: str
    incidents: int
    unresolved: int
    detect: Measure
    acknowledge: Measure
    resolve: Measure
    response: Attainment
    resolution: Attainment


@dataclass(frozen=True, slots=True)
class Availability:
    """One service's time free of P1 and P2 incidents.

    Attributes
    ----------
    ratio, target : float
        0 to 1.
    budget_ms : int
        Time that may be lost in the period by the target.
    budget_used : float
        Lost time of that; above 1 the budget is overdrawn.
    """

    service: str
    down_ms: int
    ratio: float
    target: float
    budget_ms: int
    budget_used: float


@dataclass(frozen=True, slots=True)
class RepeatCause:
    """A suspect that came first more than once; `said` is its title for any language."""

    service: str
    title: str
    incidents: int
    last_ms: int
    said: Reason


@dataclass(frozen=True, slots=True)
class Noise:
    """How much people had to read for how little."""

    alerts: int
    alerts_per_incident: float
    flapping: int
    muted: int
    merged: int
    reopened: int
    notes: int
    pages: int
    tickets: int


@dataclass(frozen=True, slots=True)
class Day:
    """One day (UTC) of the series."""

    day_ms: int
    incidents: int
    resolve_mean_ms: int | None


@dataclass(frozen=True, slots=True)
class Report:
    """Reliability over [since_ms, until_ms).

    Attributes
    ----------
    hours : tuple of int, length 24
        Incidents opened in each hour of the day (UTC).
    cut : bool
        There were more incidents than are read for a report.
    slos : tuple of Kept
        Objectives of the services, as far as their windows reach back.
    """

    since_ms: int
    until_ms: int
    service: str
    team: str
    simulated: bool | None
    total: Row
    services: tuple[Row, ...]
    teams: tuple[Row, ...]
    priorities: tuple[Row, ...]
    availability: tuple[Availability, ...]
    causes: tuple[RepeatCause, ...]
    noise: Noise
    hours: tuple[int, ...]
    days: tuple[Day, ...]
    cut: bool
    slos: tuple[Kept, ...] = ()


def build(
    conn: Connection,
    since_ms: int,
    until_ms: int,
    *,
    now_ms: int | None = None,
    service: str = "",
    team: str = "",
    simulated: bool | None = False,
    services: Iterable[str] = (),
    settings: ReportSettings | None = None,
    slos: Iterable[SloState] = (),
) -> Report:
    """Read the records of a period and sum them up.

    Parameters
    ----------
    now_ms : int, optional
        Unresolved incidents last until now; by default until the end of the period.
    service, team : str
        Only incidents blamed on this service, or of this team; "" for all.
    simulated : bool or None
        Real history, simulated history, or (None) both.
    services : iterable of str
        Services that are listed with their availability even if nothing happened.
    slos : iterable of SloState
        Objectives as they stand.
    """
    settings = settings or ReportSettings()
    since_ms, until_ms = min(since_ms, until_ms), max(since_ms, until_ms)

    def wanted(incident: Incident) -> bool:
        return service in ("", incident.service) and team in ("", incident.team)

    opened = incident_rows.between(conn, since_ms, until_ms, simulated=simulated)
    found = [i for i in opened if wanted(i)][: settings.incidents_max]
    earlier = incident_rows.between(conn, since_ms - LOOKBACK_MS, since_ms, simulated=simulated)
    active = incident_rows.active(conn, simulated=simulated)
    lasting = {
        i.id: i for i in (*active, *earlier, *opened) if wanted(i) and i.opened_ms < until_ms
    }
    promises = clock_rows.of_incidents_between(conn, since_ms, until_ms, simulated=simulated)
    real = [i for i in found if i.state is not IncidentState.MERGED]
    clocks = _by_incident(promises)
    end_ms = min(until_ms, now_ms) if now_ms is not None else until_ms
    listed = [name for name in services if service in ("", name)] if not team else []
    return Report(
        since_ms=since_ms,
        until_ms=until_ms,
        service=service,
        team=team,
        simulated=simulated,
        total=_row("", real, clocks),
        services=_rows(real, clocks, lambda i: i.service),
        teams=_rows(real, clocks, lambda i: i.team),
        priorities=_rows(real, clocks, lambda i: i.priority.value, by_name=True),
        availability=_availability(list(lasting.values()), listed, since_ms, end_ms, settings),
        causes=_causes(real, settings.repeat_causes_max),
        noise=_noise(conn, found, since_ms, until_ms, simulated),
        hours=_hours(real),
        days=_days(real, since_ms, until_ms),
        cut=len(found) >= settings.incidents_max,
        slos=tuple(
            kept_over(state, since_ms, until_ms)
            for state in sorted(slos, key=lambda s: s.objective.name)
            if service in ("", state.objective.service) and not team
        ),
    )


def _by_incident(promises: Sequence[SlaClock]) -> dict[str, list[SlaClock]]:
    found: dict[str, list[SlaClock]] = {}
    for clock in promises:
        found.setdefault(clock.incident_id, []).append(clock)
    return found


def _row(name: str, incidents: Sequence[Incident], clocks: dict[str, list[SlaClock]]) -> Row:
    own = [clock for i in incidents for clock in clocks.get(i.id, ())]
    return Row(
        name,
        len(incidents),
        sum(i.resolved_ms is None for i in incidents),
        mttr.measure(mttr.detect_ms(incidents)),
        mttr.measure(mttr.acknowledge_ms(incidents)),
        mttr.measure(mttr.resolve_ms(incidents)),
        attainment(own, ClockKind.RESPONSE),
        attainment(own, ClockKind.RESOLUTION),
    )


def attainment(clocks: Sequence[SlaClock], kind: ClockKind) -> Attainment:
    """Promises of one kind, kept and broken."""
    own = [clock for clock in clocks if clock.kind is kind]
    broken = sum(clock.breached_ms is not None for clock in own)
    # One that never began (muted from beginning to end) was neither.
    kept = sum(clock.breached_ms is None and clock.stopped_ms is not None for clock in own)
    return Attainment(kept, broken)


def _rows(
    incidents: Sequence[Incident],
    clocks: dict[str, list[SlaClock]],
    of: Callable[[Incident], str],
    *,
    by_name: bool = False,
) -> tuple[Row, ...]:
    groups: dict[str, list[Incident]] = {}
    for incident in incidents:
        groups.setdefault(of(incident), []).append(incident)
    rows = [_row(name, group, clocks) for name, group in sorted(groups.items())]
    # The sort is stable: equals stay in the order of their names.
    return tuple(rows if by_name else sorted(rows, key=lambda row: -row.incidents))


def _availability(
    incidents: Sequence[Incident],
    listed: Sequence[str],
    since_ms: int,
    end_ms: int,
    settings: ReportSettings,
) -> tuple[Availability, ...]:
    spans: dict[str, list[tuple[int, int]]] = {name: [] for name in listed}
    for incident in incidents:
        own = spans.setdefault(incident.service, [])
        if incident.priority in DOWN and incident.state is not IncidentState.MERGED:
            over_ms = incident.resolved_ms if incident.resolved_ms is not None else end_ms
            own.append((max(incident.began_ms, since_ms), min(over_ms, end_ms)))
    return tuple(
        _available(name, own, max(end_ms - since_ms, 1), settings.availability_target)
        for name, own in sorted(spans.items())
    )


def _available(
    name: str, spans: Sequence[tuple[int, int]], period_ms: int, target: float
) -> Availability:
    table = np.array(spans, dtype=np.int64).reshape(-1, 2)
    down_ms = mttr.union_ms(table[:, 0], table[:, 1])
    budget_ms = round(period_ms * (1 - target))
    used = down_ms / budget_ms if budget_ms else float(down_ms > 0)
    return Availability(name, down_ms, 1 - down_ms / period_ms, target, budget_ms, used)


def _causes(incidents: Sequence[Incident], limit: int) -> tuple[RepeatCause, ...]:
    groups: dict[tuple[str, str], list[Incident]] = {}
    for incident in incidents:
        groups.setdefault((incident.service, incident.title.template), []).append(incident)
    repeats = [
        RepeatCause(
            service,
            group[-1].title.text(),
            len(group),
            group[-1].opened_ms,
            group[-1].title,
        )
        for (service, _), group in groups.items()
        if len(group) > 1
    ]
    return tuple(sorted(repeats, key=lambda c: (-c.incidents, -c.last_ms, c.service))[:limit])


def _noise(
    conn: Connection,
    incidents: Sequence[Incident],
    since_ms: int,
    until_ms: int,
    simulated: bool | None,
) -> Noise:
    ids = {i.id for i in incidents}
    notes = timeline.recent(
        conn, kinds=[EntryKind.NOTE], since_ms=since_ms, simulated=simulated, limit=NOTES_MAX
    )
    sent = page_rows.between(conn, since_ms, until_ms, simulated=simulated)
    alerts = sum(i.alert_count for i in incidents)
    ordered = [i.id for i in incidents]
    return Noise(
        alerts=alerts,
        alerts_per_incident=alerts / len(incidents) if incidents else 0.0,
        flapping=sum(i.flapping for i in incidents),
        muted=sum(i.muted for i in incidents),
        merged=sum(i.state is IncidentState.MERGED for i in incidents),
        reopened=sum(i.reopened for i in incidents),
        notes=sum(n.incident_id in ids and n.time_ms < until_ms for n in notes),
        pages=sum(p.ok and p.incident_id in ids for p in sent),
        tickets=sum(
            len(links)
            for start in range(0, len(ordered), 500)
            for links in ticket_links.by_incidents(conn, ordered[start : start + 500]).values()
        ),
    )


def _hours(incidents: Sequence[Incident]) -> tuple[int, ...]:
    counted = Counter(i.opened_ms // HOUR_MS % 24 for i in incidents)
    return tuple(counted[hour] for hour in range(24))


def _days(incidents: Sequence[Incident], since_ms: int, until_ms: int) -> tuple[Day, ...]:
    groups: dict[int, list[Incident]] = {}
    for incident in incidents:
        groups.setdefault(incident.opened_ms // DAY_MS, []).append(incident)
    first, last = since_ms // DAY_MS, max(until_ms - 1, since_ms) // DAY_MS
    return tuple(
        Day(
            day * DAY_MS,
            len(groups.get(day, ())),
            mttr.measure(mttr.resolve_ms(groups.get(day, ()))).mean_ms,
        )
        for day in range(max(first, last - 3660), last + 1)
    )
