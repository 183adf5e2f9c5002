"""What people on call and those who read the reports rely on, end to end through bridge and performer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from incident_bridge import reports
from incident_bridge.settings import RouteSettings, SlaPolicy, SlaSettings
from model.incident import (
    Act,
    ActKind,
    Cause,
    ClockKind,
    EntryKind,
    Grouping,
    IncidentState,
    Priority,
    Signal,
    SlaClock,
)
from model.reason import because
from store import clocks, timeline
from tests.incident_bridge.conftest import House, RecordingReceiver

MINUTE_MS = 60_000
TEAMS = RouteSettings(receiver="@team", desks=("builtin",), repeat_interval_ms=30 * MINUTE_MS)
CHAIN = RouteSettings(
    receiver="console",
    desks=("builtin",),
    repeat_interval_ms=0,
    escalate_after_ms=10 * MINUTE_MS,
    escalate_to=("phone",),
)


def told(house: House) -> list[tuple[str, str]]:
    """Whom the bridge told why, in order."""
    actions = [action for out in house.written for action in out.actions]
    return [(a.target, a.page.why) for a in actions if a.page is not None]


def about(service: str) -> dict[str, object]:
    return {
        "signal": Signal.CHANGED,
        "services": (service, "cart"),
        "causes": (Cause(service, 9.0, (because("it began first"),)),),
    }


def quiet(house: House, grouping: Callable[..., Grouping]) -> Grouping:
    return grouping(Signal.QUIET, quiet_ms=house.now_ms)


def clock_of(house: House, kind: ClockKind) -> SlaClock:
    return {c.kind: c for c in house.read(clocks.by_incident, "inc1")}[kind]


def said(house: House, ident: str = "inc1") -> list[str]:
    return [e.text.text() for e in house.read(timeline.by_incident, ident)]


def test_a_cause_that_moves_pages_the_other_team_once_and_both_hear_the_end(
    make_house: Callable[..., House], grouping: Callable[..., Grouping], phone: RecordingReceiver
) -> None:
    house = make_house(route=TEAMS, receivers={"phone": phone}, sla=SlaSettings(()))
    house.take(grouping())
    assert told(house) == [("console", "opened")]
    house.step(2 * MINUTE_MS)
    house.take(grouping(**about("db")))
    assert (house.incident().team, house.incident().service) == ("dba", "db")
    assert told(house)[1:] == [("phone", "opened")]
    # The former team is not reminded, the present one is.
    house.step(40 * MINUTE_MS)
    assert told(house)[2:] == [("phone", "repeat")]
    house.take(replace(quiet(house, grouping), services=("db",), causes=(Cause("db", 9.0),)))
    assert sorted(told(house)[3:]) == [("console", "resolved"), ("phone", "resolved")]
    # It is back, and still the other team's.
    house.step(MINUTE_MS)
    house.take(grouping(**{**about("db"), "signal": Signal.REFIRED}))
    assert told(house)[5:] == [("phone", "reopened")]


def test_what_is_back_with_another_suspect_pages_its_team(
    make_house: Callable[..., House], grouping: Callable[..., Grouping], phone: RecordingReceiver
) -> None:
    house = make_house(route=TEAMS, receivers={"phone": phone})
    house.take(grouping())
    house.take(quiet(house, grouping))
    house.step(MINUTE_MS)
    house.take(grouping(**{**about("db"), "signal": Signal.REFIRED}))
    assert told(house)[2:] == [("phone", "opened")]
    assert house.incident().team == "dba"


def test_a_former_team_hears_of_no_breach(
    make_house: Callable[..., House], grouping: Callable[..., Grouping], phone: RecordingReceiver
) -> None:
    sla = SlaSettings((SlaPolicy(response_ms=5 * MINUTE_MS),), warn_ratios=())
    house = make_house(route=TEAMS, receivers={"phone": phone}, sla=sla)
    house.take(grouping())
    house.take(grouping(**about("db")))
    house.step(6 * MINUTE_MS)
    assert [who for who, why in told(house) if why == "sla"] == ["phone"]


def test_a_suspect_without_a_name_moves_nothing(
    house: House, grouping: Callable[..., Grouping]
) -> None:
    house.take(grouping())
    house.take(grouping(Signal.CHANGED, causes=(Cause("", 1.0),)))
    assert house.incident().service == "cart"


def test_escalating_to_the_team_reaches_the_team(
    make_house: Callable[..., House], grouping: Callable[..., Grouping], phone: RecordingReceiver
) -> None:
    chain = replace(CHAIN, escalate_to=("@team",))
    house = make_house(route=chain, receivers={"phone": phone})
    house.take(grouping(services=("db",), causes=(Cause("db", 1.0),)))
    house.step(11 * MINUTE_MS)
    assert told(house) == [("console", "opened"), ("phone", "escalated")]


def test_who_takes_the_acknowledgement_back_gives_the_whole_time_again(
    make_house: Callable[..., House], grouping: Callable[..., Grouping], phone: RecordingReceiver
) -> None:
    house = make_house(route=CHAIN, receivers={"phone": phone})
    house.take(grouping())
    house.step(MINUTE_MS)
    house.act(ActKind.ACKNOWLEDGE)
    house.step(60 * MINUTE_MS)
    house.act(ActKind.UNACKNOWLEDGE)
    house.step(10 * MINUTE_MS - 1)
    assert told(house) == [("console", "opened")]
    house.step(1)
    assert told(house) == [("console", "opened"), ("phone", "escalated")]


def test_a_new_opening_escalates_from_the_beginning(
    make_house: Callable[..., House], grouping: Callable[..., Grouping], phone: RecordingReceiver
) -> None:
    house = make_house(route=CHAIN, receivers={"phone": phone})
    house.take(grouping())
    house.step(10 * MINUTE_MS)
    house.take(quiet(house, grouping))
    before = len(told(house))
    house.step(MINUTE_MS)
    house.take(grouping(Signal.REFIRED))
    assert told(house)[before:] == [("console", "reopened")]
    house.step(10 * MINUTE_MS)
    assert told(house)[before:] == [("console", "reopened"), ("phone", "escalated")]


def test_who_wants_no_resolved_hears_of_the_next_opening(
    make_house: Callable[..., House], grouping: Callable[..., Grouping]
) -> None:
    house = make_house(route=replace(CHAIN, send_resolved=False))
    house.take(grouping())
    house.take(quiet(house, grouping))
    house.step(MINUTE_MS)
    house.restart()
    house.take(grouping(Signal.REFIRED))
    assert told(house) == [("console", "opened"), ("console", "reopened")]


def test_lowered_by_hand_below_what_is_paged_it_reminds_nobody(
    make_house: Callable[..., House], grouping: Callable[..., Grouping]
) -> None:
    route = RouteSettings(
        receiver="console",
        desks=("builtin",),
        repeat_interval_ms=5 * MINUTE_MS,
        routes=(RouteSettings(match=('priority=~"P3|P4"',), priority_min=Priority.P2),),
    )
    house = make_house(route=route)
    house.take(grouping())
    house.act(ActKind.PRIORITY, text="P4")
    house.step(60 * MINUTE_MS)
    assert told(house) == [("console", "opened")]
    house.take(quiet(house, grouping))
    assert told(house)[1:] == [("console", "resolved")]


def test_nothing_is_looked_at_again_for_what_a_silence_holds_back(
    make_house: Callable[..., House], grouping: Callable[..., Grouping]
) -> None:
    house = make_house(route=replace(CHAIN, repeat_interval_ms=MINUTE_MS, escalate_after_ms=0))
    house.take(grouping())
    house.take(grouping(Signal.CHANGED, muted=True))
    house.step(60 * MINUTE_MS)
    assert told(house) == [("console", "opened")]
    assert house.bridge._memory.due(house.now_ms + 1_000) == []
    # The silence ends while it fires.
    house.take(grouping(Signal.CHANGED))
    assert told(house)[1:] == [("console", "repeat")]


def test_merged_is_not_called_resolved_and_both_say_where_it_goes_on(
    house: House, grouping: Callable[..., Grouping]
) -> None:
    house.take(grouping(), grouping(id="inc2"))
    house.take(grouping(Signal.MERGED, id="inc2", merged_into="inc1"))
    assert told(house)[2:] == [("console", "merged")]
    page = house.written[-1].actions[-1].page
    assert page is not None and page.url.endswith("/incidents/inc1")
    assert "merged into inc1" in said(house, "inc2")
    assert "incident inc2 about cart was merged into this one" in said(house, "inc1")


def test_who_resolves_it_has_resolved_it(house: House, grouping: Callable[..., Grouping]) -> None:
    """The correlator, which hears of the act first, calls it quiet in the same step."""
    house.take(grouping())
    house.step(5 * MINUTE_MS)
    act = house_act(house, ActKind.RESOLVE)
    house.take(quiet(house, grouping), acts=(act,))
    assert (house.incident().state, house.incident().resolved_by) == (IncidentState.RESOLVED, "ann")
    assert not [text for text in said(house) if "wanted to" in text]
    assert told(house) == [("console", "opened"), ("console", "resolved")]


def house_act(house: House, kind: ActKind) -> Act:
    return Act("a", "inc1", kind, "ann", house.now_ms)


def test_an_act_on_what_opens_in_the_same_step_counts(
    house: House, grouping: Callable[..., Grouping]
) -> None:
    house.take(grouping(), acts=(house_act(house, ActKind.ACKNOWLEDGE),))
    assert house.incident().state is IncidentState.ACKNOWLEDGED


def test_closed_while_it_fires_is_said_and_stays_closed_when_forgotten(
    house: House, grouping: Callable[..., Grouping]
) -> None:
    house.take(grouping())
    still = grouping(
        Signal.CHANGED, closed_ms=house.now_ms, reason=because("its alerts still fire")
    )
    house.take(still, acts=(house_act(house, ActKind.CLOSE),))
    assert "its alerts still fire" in said(house)
    house.step(8 * 24 * 60 * MINUTE_MS)
    assert house.bridge.get("inc1") is None
    out = house.take(still)
    assert not (out.incidents or out.actions)


def test_muted_from_the_beginning_promises_begin_with_the_unmuting(
    make_house: Callable[..., House], grouping: Callable[..., Grouping]
) -> None:
    sla = SlaSettings((SlaPolicy(response_ms=10 * MINUTE_MS, resolution_ms=60 * MINUTE_MS),))
    house = make_house(sla=sla)
    house.take(grouping(muted=True))
    house.step(120 * MINUTE_MS)
    assert not [e for e in house.read(timeline.by_incident, "inc1") if e.kind is EntryKind.SLA]
    house.take(grouping(Signal.CHANGED))
    house.step(10 * MINUTE_MS - 1)
    assert clock_of(house, ClockKind.RESPONSE).breached_ms is None
    house.step(1)
    assert clock_of(house, ClockKind.RESPONSE).breached_ms == house.now_ms
    assert clock_of(house, ClockKind.RESOLUTION).running


@pytest.mark.parametrize("acknowledged", [False, True])
def test_muted_to_the_end_is_no_promise_kept(
    make_house: Callable[..., House], grouping: Callable[..., Grouping], acknowledged: bool
) -> None:
    house = make_house(
        sla=SlaSettings((SlaPolicy(response_ms=MINUTE_MS, resolution_ms=MINUTE_MS),))
    )
    house.take(grouping(muted=True))
    if acknowledged:
        house.act(ActKind.ACKNOWLEDGE)
    house.step(5 * MINUTE_MS)
    house.take(quiet(house, grouping))
    own = house.read(clocks.by_incident, "inc1")
    for kind in ClockKind:
        found = reports.attainment(own, kind)
        assert (found.kept, found.broken) == (0, 0)


def test_a_later_silence_stops_no_clock(
    make_house: Callable[..., House], grouping: Callable[..., Grouping]
) -> None:
    house = make_house(sla=SlaSettings((SlaPolicy(resolution_ms=60 * MINUTE_MS),)))
    house.take(grouping())
    house.take(grouping(Signal.CHANGED, muted=True))
    house.step(61 * MINUTE_MS)
    assert clock_of(house, ClockKind.RESOLUTION).breached_ms is not None


def test_an_acknowledgement_taken_back_was_no_response(
    make_house: Callable[..., House], grouping: Callable[..., Grouping]
) -> None:
    house = make_house(sla=SlaSettings((SlaPolicy(response_ms=10 * MINUTE_MS),)))
    house.take(grouping())
    house.step(2 * MINUTE_MS)
    house.act(ActKind.ACKNOWLEDGE)
    house.step(MINUTE_MS)
    house.act(ActKind.UNACKNOWLEDGE)
    house.step(8 * MINUTE_MS)
    assert clock_of(house, ClockKind.RESPONSE).breached_ms == house.now_ms


def test_a_promise_that_ended_stays_as_it_was(
    make_house: Callable[..., House], grouping: Callable[..., Grouping]
) -> None:
    sla = SlaSettings(
        (
            SlaPolicy((Priority.P1,), resolution_ms=60 * MINUTE_MS),
            SlaPolicy(resolution_ms=5 * MINUTE_MS),
        )
    )
    house = make_house(sla=sla)
    house.take(grouping(severity=grouping().severity))
    priority = house.incident().priority
    house.step(10 * MINUTE_MS)
    house.take(quiet(house, grouping))
    before = clock_of(house, ClockKind.RESOLUTION)
    assert priority.value != "P1" and before.breached_ms is not None
    house.act(ActKind.PRIORITY, text="P1")
    assert clock_of(house, ClockKind.RESOLUTION) == before


def test_of_a_longer_time_the_same_parts_are_warned_of_once_more(
    make_house: Callable[..., House], grouping: Callable[..., Grouping]
) -> None:
    sla = SlaSettings(
        (
            SlaPolicy((Priority.P4,), resolution_ms=100 * MINUTE_MS),
            SlaPolicy(resolution_ms=10 * MINUTE_MS),
        ),
        warn_ratios=(0.5,),
    )
    house = make_house(sla=sla)
    house.take(grouping())
    house.step(6 * MINUTE_MS)
    house.act(ActKind.PRIORITY, text="P4")
    house.step(60 * MINUTE_MS)
    warned = [text for text in said(house) if text.startswith("50 %")]
    assert warned == [
        "50 % of the time to resolve (10m) has passed",
        "50 % of the time to resolve (1h40m) has passed",
    ]


def test_a_priority_with_a_promise_of_its_own_begins_it(
    make_house: Callable[..., House], grouping: Callable[..., Grouping]
) -> None:
    sla = SlaSettings(
        (
            SlaPolicy((Priority.P1,), response_ms=5 * MINUTE_MS, resolution_ms=60 * MINUTE_MS),
            SlaPolicy(resolution_ms=60 * MINUTE_MS),
        )
    )
    house = make_house(sla=sla)
    house.take(grouping())
    assert len(house.read(clocks.by_incident, "inc1")) == 1
    house.act(ActKind.PRIORITY, text="P1")
    assert clock_of(house, ClockKind.RESPONSE).target_ms == 5 * MINUTE_MS
