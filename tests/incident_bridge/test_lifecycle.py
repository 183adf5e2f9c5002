"""The table is whole, refuses with sentences, and its page is current."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incident_bridge import lifecycle
from incident_bridge.lifecycle import TABLE, Event, allowed_acts, check, enter
from model.errors import NotAllowed
from model.incident import ActKind, Grouping, Incident, IncidentState
from tests.incident_bridge.conftest import House

OPEN, ACKED = IncidentState.OPEN, IncidentState.ACKNOWLEDGED
RESOLVED, CLOSED, MERGED = IncidentState.RESOLVED, IncidentState.CLOSED, IncidentState.MERGED
SIGNALS = (Event.QUIET, Event.REFIRED, Event.REFIRED_DECLINED, Event.MERGED, Event.CLOSE_AFTER)


@pytest.fixture
def incident(house: House, grouping: Callable[..., Grouping]) -> Incident:
    house.take(grouping())
    return house.incident()


def test_every_state_answers_every_event() -> None:
    assert set(TABLE) == {(state, event) for state in IncidentState for event in Event}


def test_no_signal_is_refused() -> None:
    assert all(TABLE[state, event].to for state in IncidentState for event in SIGNALS)


def test_the_page_is_current() -> None:
    page = Path(__file__).parents[2] / "docs" / "lifecycle.md"
    assert page.read_text() == lifecycle.to_markdown(), "run python -m incident_bridge.lifecycle"


@pytest.mark.parametrize(
    ("state", "kind", "to"),
    [
        (OPEN, ActKind.ACKNOWLEDGE, ACKED),
        (ACKED, ActKind.UNACKNOWLEDGE, OPEN),
        (OPEN, ActKind.RESOLVE, RESOLVED),
        (ACKED, ActKind.CLOSE, CLOSED),
        (RESOLVED, ActKind.REOPEN, OPEN),
        (CLOSED, ActKind.REOPEN, OPEN),
        # A note is possible at any time and moves nothing.
        (MERGED, ActKind.NOTE, MERGED),
        (CLOSED, ActKind.NOTE, CLOSED),
    ],
)
def test_what_people_may_do(
    incident: Incident, state: IncidentState, kind: ActKind, to: IncidentState
) -> None:
    assert check(replace(incident, state=state), kind).to is to


@pytest.mark.parametrize(
    ("state", "kind", "sentence"),
    [
        (OPEN, ActKind.UNACKNOWLEDGE, "nobody has acknowledged this incident"),
        (OPEN, ActKind.REOPEN, "this incident is open already"),
        (ACKED, ActKind.ACKNOWLEDGE, "somebody has acknowledged this incident"),
        (RESOLVED, ActKind.ACKNOWLEDGE, "this incident is resolved; reopen it first"),
        (CLOSED, ActKind.PRIORITY, "this incident is closed; reopen it first"),
        (MERGED, ActKind.REOPEN, "this incident was merged into inc0; act there"),
    ],
)
def test_what_people_may_not_do_is_said_in_a_sentence(
    incident: Incident, state: IncidentState, kind: ActKind, sentence: str
) -> None:
    with pytest.raises(NotAllowed, match=sentence):
        check(replace(incident, state=state, merged_into="inc0"), kind)


def test_allowed_acts_are_those_that_check_lets_pass(incident: Incident) -> None:
    for state in IncidentState:
        for kind in ActKind:
            here = replace(incident, state=state)
            if kind in allowed_acts(here):
                check(here, kind)
            else:
                with pytest.raises(NotAllowed):
                    check(here, kind)


def test_a_person_who_closes_while_alerts_fire_is_remembered(incident: Incident) -> None:
    by_hand = enter(incident, CLOSED, now_ms=incident.opened_ms, at_ms=incident.opened_ms, by="ann")
    assert by_hand.human_closed and by_hand.resolved_by == "ann"
    quiet = replace(incident, firing_count=0)
    assert not enter(quiet, CLOSED, now_ms=1, at_ms=1, by="ann").human_closed
    assert not enter(incident, CLOSED, now_ms=1, at_ms=1).human_closed


def test_the_first_answer_counts_after_a_reopening(incident: Incident) -> None:
    at_ms = incident.opened_ms
    acked = enter(incident, ACKED, now_ms=at_ms + 5, at_ms=at_ms + 5, by="ann")
    again = enter(enter(acked, RESOLVED, now_ms=0, at_ms=0), OPEN, now_ms=at_ms, at_ms=at_ms)
    answered = enter(again, ACKED, now_ms=at_ms + 99, at_ms=at_ms + 99, by="bob")
    assert (answered.acknowledged_ms, answered.acknowledged_by) == (at_ms + 5, "bob")


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.sampled_from(list(IncidentState)), st.integers(-(10**12), 10**12))))
def test_f11_no_duration_is_negative_whatever_the_clocks_say(
    moves: list[tuple[IncidentState, int]],
) -> None:
    from incident_bridge.bridge import Bridge
    from incident_bridge.routing import build
    from incident_bridge.settings import BridgeSettings, RouteSettings, SlaSettings
    from model.alert import Severity
    from model.catalogue import Catalogue
    from model.incident import Grouping, Signal
    from model.reason import because

    bridge = Bridge(BridgeSettings(), Catalogue(), build(RouteSettings()), SlaSettings())
    said = because("x")
    group = Grouping("i", Signal.OPENED, 0, 0, 1_000, Severity.INFO, said, said, ("a",))
    bridge.take([group], now_ms=1_000)
    incident = bridge.get("i")
    assert incident is not None
    for state, at_ms in moves:
        incident = enter(incident, state, now_ms=1_000, at_ms=at_ms)
        for time_ms in (incident.acknowledged_ms, incident.resolved_ms, incident.closed_ms):
            assert time_ms is None or time_ms >= incident.opened_ms
