"""The simulated past, lived through the real stages: what went wrong there is found, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from model.clock import ManualClock
from model.incident import Incident
from pipeline import settings, wiring
from pipeline.demo.past import simulate
from pipeline.demo.troubles import DAY_MS, Trouble, draw_troubles
from store import incidents as incident_rows

CONFIG = Path(__file__).parents[2] / "config" / "demo"
START_MS, END_MS = 20_000 * DAY_MS, 20_007 * DAY_MS
HOUR_MS = 3_600_000


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> tuple[tuple[Trouble, ...], list[Incident]]:
    loaded = settings.load(CONFIG)
    data = tmp_path_factory.mktemp("past")
    loaded = replace(loaded, machine=replace(loaded.machine, data=str(data)))
    store = wiring.open_store(loaded, ManualClock(START_MS))
    simulate(
        loaded, store, start_ms=START_MS, end_ms=END_MS, seed=1, progress=lambda done, total: None
    )
    with store.records.read() as conn:
        found = incident_rows.recent(conn, states=(), limit=500)
    store.close()
    return draw_troubles(START_MS, END_MS, seed=1), list(found)


def test_every_trouble_is_one_incident_with_the_right_cause(
    lived: tuple[tuple[Trouble, ...], list[Incident]],
) -> None:
    troubles, incidents = lived
    assert len(troubles) >= 2
    for trouble in troubles:
        mine = [i for i in incidents if trouble.start_ms <= i.opened_ms < trouble.end_ms + HOUR_MS]
        assert [i.causes[0].service for i in mine] == [trouble.service]


def test_nothing_else_is_an_incident(lived: tuple[tuple[Trouble, ...], list[Incident]]) -> None:
    troubles, incidents = lived
    assert len(incidents) == len(troubles)
    assert all(incident.simulated for incident in incidents)


def test_people_acknowledged_most_and_all_were_closed(
    lived: tuple[tuple[Trouble, ...], list[Incident]],
) -> None:
    _, incidents = lived
    acknowledged = [i for i in incidents if i.acknowledged_ms is not None]
    assert 2 * len(acknowledged) > len(incidents)
    assert {i.state.value for i in incidents} == {"closed"}
