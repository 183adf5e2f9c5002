"""Reports from records: sums against obvious loops, and exports that carry nothing hostile (A6)."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incident_bridge import mttr, reports
from incident_bridge.backoff import delay_ms
from incident_bridge.reports import Report
from incident_bridge.reports_html import to_html
from incident_bridge.reports_render import cell, tables, to_csv, to_json, to_text
from incident_bridge.settings import ReportSettings
from model.incident import ActKind, Grouping, IncidentState, Priority, Signal
from store import incidents as incident_rows
from tests.incident_bridge.conftest import House

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000


@pytest.fixture
def history(house: House, grouping: Callable[..., Grouping]) -> tuple[House, int]:
    """Two incidents of cart on one day, one of the database the next, one still open."""
    start_ms = house.now_ms
    for number, (service, length) in enumerate([("cart", 10), ("cart", 30), ("db", 60)]):
        ident = f"inc{number}"
        at_ms = house.now_ms
        causes = (replace(grouping().causes[0], service=service),)
        opening = grouping(
            id=ident, began_ms=at_ms - 30_000, detected_ms=at_ms, causes=causes, services=(service,)
        )
        house.take(opening)
        house.run()
        house.step(2 * MINUTE_MS)
        house.act(ActKind.ACKNOWLEDGE, incident_id=ident, id=f"ack{number}")
        house.step(length * MINUTE_MS - 2 * MINUTE_MS)
        quiet = replace(opening, signal=Signal.QUIET, firing_count=0, quiet_ms=house.now_ms)
        house.take(quiet)
        house.run()
        house.step(12 * HOUR_MS)
    return house, start_ms


def _report(history: tuple[House, int], **kwargs: Any) -> Report:
    house, start_ms = history
    asked = {"since_ms": start_ms - DAY_MS, "until_ms": start_ms + 6 * DAY_MS, **kwargs}
    return house.read(reports.build, **asked)


def test_totals_and_groups(history: tuple[House, int]) -> None:
    report = _report(history)
    assert report.total.incidents == 3
    assert report.total.detect.mean_ms == 30_000
    assert report.total.acknowledge.mean_ms == 2 * MINUTE_MS
    assert report.total.resolve.mean_ms == round(100 / 3 * MINUTE_MS)
    assert report.total.resolve.p50_ms == 30 * MINUTE_MS
    assert [(r.name, r.incidents) for r in report.services] == [("cart", 2), ("db", 1)]
    assert [(r.name, r.incidents) for r in report.teams] == [("web", 2), ("dba", 1)]
    assert [r.name for r in report.priorities] == ["P1", "P2"]
    assert report.total.response.ratio == report.total.resolution.ratio == 1.0
    assert report.noise.tickets == 3
    assert report.noise.pages == 6
    assert sum(report.hours) == sum(d.incidents for d in report.days) == 3
    assert [c.incidents for c in report.causes] == [2] or report.causes[0].incidents == 2


def test_availability_is_time_free_of_grave_incidents(history: tuple[House, int]) -> None:
    report = _report(history, settings=ReportSettings(availability_target=0.99), services=["blog"])
    by_name = {a.service: a for a in report.availability}
    # From when the trouble began, not from when it was noticed.
    assert by_name["cart"].down_ms == 41 * MINUTE_MS
    assert by_name["cart"].ratio == pytest.approx(1 - 41 / (7 * 24 * 60))
    assert by_name["cart"].budget_ms == round(7 * DAY_MS * 0.01)
    assert by_name["cart"].budget_used == pytest.approx(41 * MINUTE_MS / (7 * DAY_MS * 0.01))
    assert by_name["blog"].ratio == 1.0


def test_filters_by_service_and_team(history: tuple[House, int]) -> None:
    assert _report(history, service="db").total.incidents == 1
    assert _report(history, team="web").total.incidents == 2
    assert _report(history, team="nobody").total.incidents == 0


def test_simulated_history_is_kept_apart(history: tuple[House, int]) -> None:
    assert _report(history, simulated=True).total.incidents == 0
    assert _report(history, simulated=None).total.incidents == 3


def test_merged_incidents_are_noise_not_incidents(history: tuple[House, int]) -> None:
    house, _ = history
    with house.store.records.write() as conn:
        merged = replace(house.incident("inc0"), state=IncidentState.MERGED)
        incident_rows.save(conn, [merged])
    report = _report(history)
    assert report.total.incidents == 2
    assert report.noise.merged == 1


def test_an_incident_of_before_still_counts_for_availability(
    history: tuple[House, int],
) -> None:
    house, start_ms = history
    report = house.read(reports.build, start_ms + 5 * MINUTE_MS, start_ms + HOUR_MS)
    assert report.total.incidents == 0
    assert [(a.service, a.down_ms) for a in report.availability] == [("cart", 5 * MINUTE_MS)]


def test_an_empty_period_and_one_turned_round(history: tuple[House, int]) -> None:
    house, start_ms = history
    report = house.read(reports.build, 0, 0)
    assert report.total.incidents == 0
    assert to_text(report) and to_csv(report) and to_html(report) and to_json(report)
    there = house.read(reports.build, start_ms, start_ms + DAY_MS)
    assert house.read(reports.build, start_ms + DAY_MS, start_ms) == there


def test_every_form_says_the_same(history: tuple[House, int]) -> None:
    report = _report(history)
    data = json.loads(to_json(report))
    rows = list(csv.DictReader(io.StringIO(to_csv(report))))
    assert data["total"]["incidents"] == int(rows[0]["incidents"]) == 3
    assert int(rows[0]["mttr_ms"]) == data["total"]["resolve"]["mean_ms"]
    text = to_text(report)
    assert "cart" in text and "33m20s" in text
    assert "33m20s" in to_html(report)
    assert [t.title for t in tables(report)][:2] == ["Total", "By service"]


HOSTILE = "=cmd|' /C calc'!A0<script>alert(1)</script>\n\u202e"


def test_a06_formulas_in_cells_are_quoted(history: tuple[House, int]) -> None:
    report = _report(history)
    hostile = replace(report, services=(replace(report.services[0], name=HOSTILE),))
    rows = list(csv.reader(io.StringIO(to_csv(hostile))))
    assert all(len(row) == len(rows[0]) for row in rows)
    assert [row[1][:2] for row in rows if "cmd" in row[1]] == ["'="]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "\t=1", "\r=1"])
def test_a06_every_beginning_of_a_formula(text: str) -> None:
    assert cell(text)[0] in "'\\"


def test_a04_the_page_runs_nothing(history: tuple[House, int]) -> None:
    report = _report(history)
    hostile = replace(
        report,
        service=HOSTILE,
        services=(replace(report.services[0], name=HOSTILE),),
        availability=(replace(report.availability[0], service='"><img onerror=x>'),),
        causes=tuple(replace(c, title=HOSTILE, service=HOSTILE) for c in report.causes),
    )
    page = to_html(hostile)
    assert "<script" not in page and "<img" not in page
    assert not re.search(r"<[^>]*\s(on\w+|style|src|href)\s*=", page)
    assert "default-src 'none'" in page


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=12))
def test_union_as_counting_minutes(spans: list[tuple[int, int]]) -> None:
    begins = np.array([b for b, _ in spans], dtype=np.int64)
    ends = np.array([e for _, e in spans], dtype=np.int64)
    naive = len({t for b, e in spans for t in range(b, e)})
    assert mttr.union_ms(begins, ends) == naive


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), st.integers(0, 10**9)), max_size=20))
def test_measure_as_sorting(
    values: list[int | None],
) -> None:
    found = mttr.measure(np.array([np.nan if v is None else v for v in values], dtype=np.float64))
    known = sorted(v for v in values if v is not None)
    assert found.count == len(known)
    if known:
        assert found.mean_ms == round(sum(known) / len(known))
        assert found.p50_ms is not None and found.p90_ms is not None
        assert known[0] <= found.p50_ms <= found.p90_ms <= known[-1]
        middle = (known[(len(known) - 1) // 2] + known[len(known) // 2]) / 2
        assert found.p50_ms == pytest.approx(middle, abs=0.51)


@settings(deadline=None)
@given(st.integers(1, 10_000), st.text(max_size=5))
def test_backoff_stays_within_half_and_whole(tries: int, seed: str) -> None:
    wait_ms = delay_ms(tries, first_ms=1_000, longest_ms=60_000, seed=seed)
    whole_ms = min(1_000 * 2 ** min(tries - 1, 10), 60_000)
    assert whole_ms // 2 <= wait_ms <= whole_ms
    assert wait_ms == delay_ms(tries, first_ms=1_000, longest_ms=60_000, seed=seed)


def test_grave_means_p1_and_p2(history: tuple[House, int]) -> None:
    house, _ = history
    with house.store.records.write() as conn:
        incident_rows.save(conn, [replace(house.incident("inc2"), priority=Priority.P3)])
    by_name = {a.service: a.down_ms for a in _report(history).availability}
    assert by_name["db"] == 0
