"""The rows of FAULTS.md that end here, each by its number."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from incident_bridge.desk_changes import DeskWatch
from incident_bridge.desks.memory import MemoryDesk
from incident_bridge.settings import (
    BridgeSettings,
    DeskSettings,
    RetrySettings,
    RouteSettings,
    SlaPolicy,
    SlaSettings,
)
from model.action import Action, ActionKind, ActionState
from model.clock import ManualClock
from model.errors import PermanentError, TransientError
from model.incident import ActKind, ClockKind, Grouping, IncidentState, Signal
from model.ticket import TicketState
from store import clocks, incidents, outbox, pages, ticket_links, tickets, timeline
from tests.incident_bridge.conftest import House, Phone

MINUTE_MS, HOUR_MS = 60_000, 3_600_000
Makes = Callable[..., Grouping]
Houses = Callable[..., House]
Outside = Callable[..., tuple[House, MemoryDesk]]
OUTSIDE = RouteSettings(receiver="console", desks=("ext",))


@pytest.fixture
def outside(make_house: Houses) -> Outside:
    """A house whose only desk is outside."""

    def make(**kwargs: Any) -> tuple[House, MemoryDesk]:
        house = make_house(
            route=kwargs.pop("route", OUTSIDE),
            settings=kwargs.pop("settings", BridgeSettings(desks=(DeskSettings(name="ext"),))),
            desks={"ext": (desk := MemoryDesk(ManualClock(), "ext"))},
            **kwargs,
        )
        desk._clock = house.clock
        return house, desk

    return make


def _dead(house: House) -> list[Action]:
    return [q.action for q in house.read(outbox.dead_letters)]


def _texts(house: House) -> list[str]:
    return [e.text.text() for e in house.read(timeline.by_incident, "inc1")]


def test_f02_ticket_created_before_commit_is_adopted(outside: Outside, grouping: Makes) -> None:
    house, desk = outside()
    house.take(grouping())
    # The desk takes it, and the process dies before anything is written: no trace of the attempt.
    (queued,) = [
        q for q in house.read(outbox.due, house.now_ms) if q.action.kind is ActionKind.TICKET_CREATE
    ]
    desk.create(queued.action.ticket, idempotency_key=queued.action.id)
    house.restart()
    house.run()
    assert len(desk.tickets) == 1
    assert house.read(ticket_links.by_incident, "inc1")[0].number == "MEM-1"
    assert house.performer.counters()["tocsin_tickets_adopted_total"] == 1


def test_f02_lost_answer_makes_no_second_ticket(outside: Outside, grouping: Makes) -> None:
    house, desk = outside()
    desk.lost_answer = TransientError("connection reset")
    house.take(grouping())
    house.run()
    assert not house.read(ticket_links.by_incident, "inc1")
    house.clock.set(house.now_ms + MINUTE_MS)
    house.run()
    assert len(desk.tickets) == 1
    assert house.read(ticket_links.by_incident, "inc1")


def test_f03_desk_down_six_hours_one_ticket_in_order(outside: Outside, grouping: Makes) -> None:
    house, desk = outside()
    desk.failing = TransientError("down")
    house.take(grouping())
    for minute in range(1, 361):
        house.clock.set(house.now_ms + MINUTE_MS)
        if minute % 10 == 0:
            house.take(grouping(Signal.CHANGED, services=("cart", f"s{minute}"), causes=()))
            house.take(grouping(Signal.CHANGED))
            house.act(ActKind.NOTE, id=f"note{minute}", text=f"minute {minute}")
        house.step()
        house.run()
    pending = house.read(outbox.counts)[ActionState.PENDING]
    assert pending < 120
    desk.failing = None
    house.clock.set(house.now_ms + 10 * MINUTE_MS)
    house.run()
    assert len(desk.tickets) == 1
    assert house.read(outbox.counts)[ActionState.PENDING] == 0
    assert house.read(outbox.counts)[ActionState.DEAD] == 0
    text = "\n".join(c.text for c in desk.tickets[0].comments)
    places = [text.index(f"minute {m}\n") for m in range(10, 350, 10)]
    assert places == sorted(places)
    # One creation, and one update for all that had waited.
    assert [verb for verb, _ in desk.calls if verb in ("create", "update")][-2:] == [
        "create",
        "update",
    ]


def test_f04_retry_after_is_obeyed_and_delays_nobody_else(
    outside: Outside, grouping: Makes, phone: Phone
) -> None:
    route = RouteSettings(receiver="phone", desks=("ext",))
    house, desk = outside(route=route, receivers={"phone": phone})
    desk.failing = TransientError("429", retry_after_ms=10 * MINUTE_MS)
    house.take(grouping(), grouping(id="inc2"))
    house.run()
    assert [p.incident_id for p in phone.pages] == ["inc1", "inc2"]
    asked = len(desk.calls)
    assert asked == 1  # the second incident does not try its luck at a desk that asked for patience
    desk.failing = None
    house.step(10 * MINUTE_MS - 1)
    house.run()
    assert len(desk.calls) == asked
    house.step(1)
    house.run()
    assert len(desk.tickets) == 2


def test_f06_human_closes_while_alert_fires(house: House, grouping: Makes) -> None:
    house.take(grouping())
    house.run()
    with house.store.records.write() as conn:
        tickets.set_state(conn, "builtin", "OPS-1", TicketState.CLOSED, now_ms=house.now_ms + 1)
    house.clock.set(house.now_ms + MINUTE_MS)
    desks = {"builtin": house.performer._desks["builtin"]}
    watch = DeskWatch(house.store, desks, {"builtin": DeskSettings()})
    (act,) = watch.poll(house.now_ms)
    house.take(acts=(act,))
    assert house.incident().state is IncidentState.CLOSED
    assert house.incident().human_closed
    out = house.take(grouping(Signal.REFIRED))
    assert house.incident().state is IncidentState.CLOSED
    assert [a.kind for a in out.actions] == []
    assert "an alert fired again, but builtin closed it" in _texts(house)
    # Asked again, the desk says the same, and nothing happens twice.
    house.run()
    house.clock.set(house.now_ms + MINUTE_MS)
    assert watch.poll(house.now_ms) == []


def test_f07_refire_reopens_the_same_ticket(house: House, grouping: Makes) -> None:
    house.take(grouping())
    house.run()
    house.step(2 * MINUTE_MS)
    house.take(grouping(Signal.QUIET))
    house.run()
    house.step(MINUTE_MS)
    house.take(grouping(Signal.REFIRED))
    house.run()
    ticket = house.read(tickets.find, "builtin", "inc1")
    assert (ticket.number, ticket.state) == ("OPS-1", TicketState.OPEN)
    assert house.incident().reopened == 1
    assert house.incident().resolved_ms is None
    assert [p.why for p in house.read(pages.by_incident, "inc1")] == [
        "opened",
        "resolved",
        "reopened",
    ]


def test_f08_refused_is_a_dead_letter_and_people_are_paged(
    outside: Outside, grouping: Makes
) -> None:
    house, desk = outside()
    desk.failing = PermanentError("field customfield_10010 is required")
    house.take(grouping())
    house.run()
    assert [a.kind for a in _dead(house)] == [ActionKind.TICKET_CREATE]
    assert "ext did not take it, given up: field customfield_10010 is required" in _texts(house)
    assert sorted(p.why for p in house.read(pages.by_incident, "inc1")) == ["dead_letter", "opened"]
    # The next message tries to open it anew, and its failure is not a second page.
    house.act(ActKind.NOTE, text="hm")
    house.run()
    assert len(_dead(house)) == 2
    assert len(house.read(pages.by_incident, "inc1")) == 2


def test_f08_too_old_is_a_dead_letter(outside: Outside, grouping: Makes) -> None:
    house, desk = outside(retry=RetrySettings(age_max_ms=HOUR_MS))
    desk.failing = TransientError("down")
    house.take(grouping())
    for _ in range(70):
        house.step(MINUTE_MS)
        house.run()
    assert [a.kind for a in _dead(house)] == [ActionKind.TICKET_CREATE]


def test_f09_flapping_makes_one_ticket_and_few_notes(house: House, grouping: Makes) -> None:
    house.take(grouping())
    house.run()
    for number in range(120):
        house.step(30_000)
        quiet = number % 2 == 0
        signal = Signal.QUIET if quiet else Signal.REFIRED
        house.take(grouping(signal, flapping=number > 6, quiet_ms=house.now_ms if quiet else None))
        house.run()
    house.step(20 * MINUTE_MS)
    house.run()
    ticket = house.read(tickets.find, "builtin", "inc1")
    assert ticket.number == "OPS-1"
    limits = house.settings
    assert len(ticket.comments) <= limits.notes_max + HOUR_MS // limits.hold_ms + 3
    assert len(house.read(pages.by_incident, "inc1")) <= 20
    # Held, not dropped: in the end the ticket says what is true.
    assert house.incident().flapping
    assert (
        ticket.state
        is {
            IncidentState.OPEN: TicketState.OPEN,
            IncidentState.CLOSED: TicketState.CLOSED,
            IncidentState.RESOLVED: TicketState.RESOLVED,
        }[house.incident().state]
    )
    assert "it flaps: changes are told less often" in _texts(house)


def test_f11_quiet_before_opening_or_twice_is_not_negative(house: House, grouping: Makes) -> None:
    early = grouping(Signal.QUIET, quiet_ms=house.now_ms - HOUR_MS)
    house.take(early)
    house.take(early)
    found = house.incident()
    assert found.state is IncidentState.RESOLVED
    assert found.resolved_ms == found.opened_ms
    assert all(c.elapsed_ms >= 0 for c in house.read(clocks.by_incident, "inc1"))


def test_f11_quiet_from_the_future_ends_now(house: House, grouping: Makes) -> None:
    house.take(grouping())
    house.step(MINUTE_MS)
    house.take(grouping(Signal.QUIET, quiet_ms=house.now_ms + HOUR_MS))
    assert house.incident().resolved_ms == house.now_ms


def test_f11_a_refire_of_nothing_known_opens(house: House, grouping: Makes) -> None:
    house.take(grouping(Signal.REFIRED))
    assert house.incident().state is IncidentState.OPEN


def test_f15_reopening_resumes_without_counting_the_pause(
    make_house: Houses, grouping: Makes
) -> None:
    policy = SlaPolicy(response_ms=HOUR_MS, resolution_ms=HOUR_MS)
    house = make_house(
        sla=SlaSettings((policy,)), settings=BridgeSettings(close_after_ms=HOUR_MS * 99)
    )
    house.take(grouping())
    house.step(10 * MINUTE_MS)
    house.act(ActKind.ACKNOWLEDGE)
    house.step(10 * MINUTE_MS)
    house.take(grouping(Signal.QUIET, quiet_ms=house.now_ms))
    house.step(48 * HOUR_MS)
    house.take(grouping(Signal.REFIRED))
    house.step(20 * MINUTE_MS)
    house.take(grouping(Signal.QUIET, quiet_ms=house.now_ms))
    by_kind = {c.kind: c for c in house.read(clocks.by_incident, "inc1")}
    assert by_kind[ClockKind.RESOLUTION].elapsed_ms == 40 * MINUTE_MS
    assert by_kind[ClockKind.RESPONSE].elapsed_ms == 10 * MINUTE_MS
    assert by_kind[ClockKind.RESOLUTION].breached_ms is None


def test_f16_repeat_and_escalation_survive_a_restart(
    make_house: Houses, grouping: Makes, phone: Phone
) -> None:
    route = RouteSettings(
        receiver="console",
        desks=("none",),
        repeat_interval_ms=30 * MINUTE_MS,
        escalate_after_ms=10 * MINUTE_MS,
        escalate_to=("phone",),
    )
    house = make_house(route=route, receivers={"phone": phone}, sla=SlaSettings(()))
    house.take(grouping())
    house.run()
    for _ in range(45):
        house.restart()
        house.step(MINUTE_MS)
        house.run()
    assert [p.why for p in phone.pages] == ["escalated", "repeat"]
    whys = [p.why for p in house.read(pages.by_incident, "inc1") if p.receiver == "console"]
    assert whys.count("opened") == 1
    assert whys.count("repeat") == 1


def test_f17_acknowledging_stops_every_channel(
    make_house: Houses, grouping: Makes, phone: Phone
) -> None:
    route = RouteSettings(
        receiver="console",
        desks=("none",),
        repeat_interval_ms=5 * MINUTE_MS,
        escalate_after_ms=5 * MINUTE_MS,
        escalate_to=("phone",),
    )
    house = make_house(route=route, receivers={"phone": phone}, sla=SlaSettings(()))
    phone.failing = TransientError("busy")
    house.take(grouping())
    for _ in range(4):
        house.step(5 * MINUTE_MS)
        house.run()
    house.act(ActKind.ACKNOWLEDGE)
    phone.failing = None
    sent = len(house.read(pages.by_incident, "inc1"))
    for _ in range(10):
        house.step(5 * MINUTE_MS)
        house.run()
    assert phone.pages == []
    assert len(house.read(pages.by_incident, "inc1")) == sent
    assert house.read(outbox.counts)[ActionState.PENDING] == 0
    # Nobody of the phone was ever told, so nobody is told that it is over.
    house.take(grouping(Signal.QUIET))
    house.run()
    assert phone.pages == []


def test_orphaned_targets_become_dead_letters(make_house: Houses, grouping: Makes) -> None:
    house = make_house(route=RouteSettings(receiver="gone", desks=("none",)))
    house.take(grouping())
    house.run()
    assert [a.target for a in _dead(house)] == ["gone"]
    assert [p.why for p in house.read(pages.by_incident, "inc1")] == ["dead_letter"]


def test_a_desk_is_no_receiver_of_the_same_name(outside: Outside, grouping: Makes) -> None:
    house, desk = outside(route=RouteSettings(receiver="ext", desks=("none",)))
    house.take(grouping())
    house.run()
    assert "ext did not take it, given up: no receiver 'ext' is set" in _texts(house)
    assert desk.calls == []


def test_whatever_an_adapter_raises_is_tried_again(outside: Outside, grouping: Makes) -> None:
    house, desk = outside()
    desk.failing = ZeroDivisionError("oops")  # type: ignore[assignment]
    house.take(grouping())
    house.run()
    (queued,) = house.read(outbox.recent, state=ActionState.PENDING)
    assert queued.last_error == "ZeroDivisionError: oops"


def test_own_threads_deliver_and_stop(house: House, grouping: Makes) -> None:
    house.take(grouping())
    house.performer.start()
    try:
        house.performer.notify()
        for _ in range(24_000):
            if house.read(pages.by_incident, "inc1") and house.read(
                ticket_links.by_incident, "inc1"
            ):
                break
            house.performer._stopping.wait(0.01)
    finally:
        house.performer.stop()
    assert len(house.read(pages.by_incident, "inc1")) == 1
    assert house.read(incidents.get, "inc1") is not None


def test_f04_a_hanging_desk_delays_nobody(outside: Outside, grouping: Makes, phone: Phone) -> None:
    route = RouteSettings(receiver="phone", desks=("ext", "builtin"))
    house, desk = outside(route=route, receivers={"phone": phone})
    hanging, arrived = threading.Event(), threading.Event()

    def hang(key: str) -> None:
        arrived.set()
        assert hanging.wait(600)

    desk.find = hang  # type: ignore[method-assign]
    house.take(grouping())
    house.performer.start()
    try:
        assert arrived.wait(240)
        for _ in range(24_000):
            if phone.pages and house.read(tickets.find, "builtin", "inc1"):
                break
            hanging.wait(0.01)
        assert [p.why for p in phone.pages] == ["opened"]
        assert house.read(tickets.find, "builtin", "inc1") is not None
        assert desk.tickets == ()
    finally:
        hanging.set()
        house.performer.stop()
    assert len(desk.tickets) == 1
