"""A whole report against the obvious loops over the same records."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from incident_bridge import reports
from incident_bridge.mttr import Measure
from incident_bridge.reports import Report
from incident_bridge.settings import ReportSettings
from model.alert import Severity
from model.incident import ClockKind, Incident, IncidentState, Priority, SlaClock
from model.reason import because
from store import clocks as clock_rows
from store import incidents as incident_rows
from store import schema
from store.store import Store

MINUTE_MS, DAY_MIN = 60_000, 1_440
SINCE_MIN, UNTIL_MIN = 10 * DAY_MIN, 12 * DAY_MIN
TARGET = 0.9


@dataclass(frozen=True)
class Drawn:
    """An incident in minutes; its promise: None, running, kept or broken."""

    began: int
    late: int
    acknowledged: int | None
    lasted: int | None
    merged: bool
    service: str
    team: str
    priority: Priority
    title: str
    promise: str

    @property
    def opened(self) -> int:
        return self.began + self.late

    @property
    def resolved(self) -> int | None:
        return None if self.lasted is None else self.opened + self.lasted


drawn = st.builds(
    Drawn,
    began=st.integers(SINCE_MIN - 3 * DAY_MIN, UNTIL_MIN + DAY_MIN),
    late=st.integers(0, 30),
    acknowledged=st.none() | st.integers(0, 60),
    lasted=st.none() | st.integers(0, 2 * DAY_MIN),
    merged=st.booleans(),
    service=st.sampled_from(["cart", "db", "web"]),
    team=st.sampled_from(["a", "b"]),
    priority=st.sampled_from(list(Priority)),
    title=st.sampled_from(["{service} fails", "{service} is slow"]),
    promise=st.sampled_from(["none", "paused", "running", "kept", "broken", "broken running"]),
)


def incident_of(number: int, one: Drawn) -> Incident:
    resolved_ms = None if one.resolved is None else one.resolved * MINUTE_MS
    state = IncidentState.OPEN if resolved_ms is None else IncidentState.RESOLVED
    opened_ms = one.opened * MINUTE_MS
    return Incident(
        id=f"i{number:03}",
        state=IncidentState.MERGED if one.merged else state,
        state_since_ms=opened_ms,
        title=because(one.title, service=one.service),
        service=one.service,
        services=(one.service,),
        severity=Severity.WARNING,
        priority=one.priority,
        impact=2,
        urgency=2,
        team=one.team,
        began_ms=one.began * MINUTE_MS,
        opened_ms=opened_ms,
        updated_ms=opened_ms,
        acknowledged_ms=None if one.acknowledged is None else opened_ms + one.acknowledged * MINUTE_MS,
        resolved_ms=resolved_ms,
        alert_count=3,
    )  # fmt: skip


def clock_of(incident: Incident, promise: str) -> SlaClock:
    broken, running = promise.startswith("broken"), promise.endswith("running")
    ended = promise in ("kept", "broken")
    at_ms = incident.opened_ms
    return SlaClock(
        incident.id,
        ClockKind.RESOLUTION,
        target_ms=60_000,
        started_ms=at_ms,
        counted_ms=at_ms,
        running=running,
        breached_ms=at_ms if broken else None,
        stopped_ms=at_ms if ended else None,
    )


def nearest(values: list[int], ratio: float) -> float:
    """A percentile between neighbours, by hand."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * ratio
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def assert_measure(found: Measure, minutes: list[int]) -> None:
    assert found.count == len(minutes)
    if minutes:
        assert found.mean_ms == pytest.approx(statistics.fmean(minutes) * MINUTE_MS, abs=1)
        assert found.p50_ms == pytest.approx(nearest(minutes, 0.5) * MINUTE_MS, abs=1)
        assert found.p90_ms == pytest.approx(nearest(minutes, 0.9) * MINUTE_MS, abs=1)


def assert_row(row: reports.Row, own: list[Drawn]) -> None:
    assert row.incidents == len(own)
    assert row.unresolved == sum(one.lasted is None for one in own)
    assert_measure(row.detect, [one.late for one in own])
    assert_measure(row.acknowledge, [o.acknowledged for o in own if o.acknowledged is not None])
    assert_measure(row.resolve, [one.lasted for one in own if one.lasted is not None])
    promises = Counter(one.promise for one in own)
    assert row.resolution.kept == promises["kept"]
    assert row.resolution.broken == promises["broken"] + promises["broken running"]


def minutes_down(incidents: list[Drawn], service: str) -> int:
    down: set[int] = set()
    for one in incidents:
        grave = one.priority in (Priority.P1, Priority.P2) and not one.merged
        if grave and one.service == service and one.opened < UNTIL_MIN:
            end = UNTIL_MIN if one.resolved is None else min(one.resolved, UNTIL_MIN)
            down.update(range(max(one.began, SINCE_MIN), end))
    return len(down)


@settings(deadline=None, max_examples=60)
@given(given=st.lists(drawn, max_size=25))
def test_a_report_is_what_the_obvious_loops_say(
    report_of: Callable[[list[Drawn]], Report], given: list[Drawn]
) -> None:
    report = report_of(given)
    inside = [one for one in given if SINCE_MIN <= one.opened < UNTIL_MIN]
    real = [one for one in inside if not one.merged]
    assert_row(report.total, real)
    for rows, name in ((report.services, "service"), (report.teams, "team")):
        assert {row.name for row in rows} == {getattr(one, name) for one in real}
        for row in rows:
            assert_row(row, [one for one in real if getattr(one, name) == row.name])
    for row in report.priorities:
        assert_row(row, [one for one in real if one.priority.value == row.name])
    for one in report.availability:
        down_ms = minutes_down(given, one.service) * MINUTE_MS
        period_ms = (UNTIL_MIN - SINCE_MIN) * MINUTE_MS
        assert one.down_ms == down_ms
        assert one.ratio == pytest.approx(1 - down_ms / period_ms)
        assert one.budget_used == pytest.approx(down_ms / (period_ms * (1 - TARGET)))
    repeats = Counter((one.service, one.title.format(service=one.service)) for one in real)
    found = {(cause.service, cause.title): cause.incidents for cause in report.causes}
    assert found == {key: count for key, count in repeats.items() if count > 1}
    assert report.noise.merged == len(inside) - len(real)
    assert report.noise.alerts == 3 * len(inside)
    hours = Counter(one.opened // 60 % 24 for one in real)
    assert report.hours == tuple(hours[hour] for hour in range(24))
    days = Counter(one.opened // DAY_MIN for one in real)
    assert [day.incidents for day in report.days] == [days[10], days[11]]


@pytest.fixture(scope="session")
def report_of(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[list[Drawn]], Report]]:

    folder = tmp_path_factory.mktemp("twin")
    opened = Store.open(f"sqlite:///{folder}/tocsin.db", now_ms=0)

    def report(given: list[Drawn]) -> reports.Report:
        incidents = [incident_of(number, one) for number, one in enumerate(given)]
        pairs = zip(incidents, given, strict=True)
        promises = [clock_of(i, one.promise) for i, one in pairs if one.promise != "none"]
        with opened.records.write() as conn:
            for table in (schema.clocks, schema.incidents):
                conn.execute(delete(table))
            incident_rows.save(conn, incidents)
            clock_rows.save(conn, promises)
        with opened.records.read() as conn:
            return reports.build(
                conn,
                SINCE_MIN * MINUTE_MS,
                UNTIL_MIN * MINUTE_MS,
                settings=ReportSettings(availability_target=TARGET),
            )

    yield report
    opened.close()
