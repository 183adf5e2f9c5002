"""What a ticket's state says a person did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from incident_bridge.desk_changes import DeskWatch, act_of
from incident_bridge.desks.memory import MemoryDesk
from incident_bridge.settings import DeskSettings
from model.errors import TransientError
from model.incident import ActKind, Grouping, IncidentState
from model.ticket import Ticket, TicketState
from store import tickets
from tests.incident_bridge.conftest import House

OPEN, WORKING = TicketState.OPEN, TicketState.IN_PROGRESS
RESOLVED, CLOSED = TicketState.RESOLVED, TicketState.CLOSED


@pytest.mark.parametrize(
    ("ticket", "incident", "told", "kind"),
    [
        # It says what we told it.
        (OPEN, "open", OPEN, None),
        (RESOLVED, "resolved", RESOLVED, None),
        # Somebody took it, solved it, shut it.
        (WORKING, "open", OPEN, ActKind.ACKNOWLEDGE),
        (RESOLVED, "open", OPEN, ActKind.RESOLVE),
        (RESOLVED, "acknowledged", WORKING, ActKind.RESOLVE),
        (CLOSED, "open", OPEN, ActKind.CLOSE),
        (CLOSED, "resolved", RESOLVED, ActKind.CLOSE),
        # Somebody opened it again.
        (OPEN, "resolved", RESOLVED, ActKind.REOPEN),
        (WORKING, "closed", CLOSED, ActKind.REOPEN),
        # The incident is there already.
        (RESOLVED, "resolved", OPEN, None),
        (CLOSED, "closed", OPEN, None),
        (WORKING, "acknowledged", OPEN, None),
        # A merged incident is not acted on.
        (OPEN, "merged", CLOSED, None),
    ],
)
def test_what_a_person_did(
    house: House,
    grouping: Callable[..., Grouping],
    ticket: TicketState,
    incident: str,
    told: TicketState,
    kind: ActKind | None,
) -> None:
    house.take(grouping())
    here = replace(house.incident(), state=IncidentState(incident))
    seen = Ticket("desk", "7", "inc1", "t", "b", ticket, "P1", "", 1, 2)
    act = act_of(seen, here, told, now_ms=5)
    assert (act and act.kind) is kind
    if act:
        assert (act.actor, act.time_ms) == ("desk:desk", 2)
        later = act_of(seen, here, told, now_ms=99)
        assert later is not None and later.id == act.id


def test_while_ours_is_on_its_way_the_desk_is_merely_behind(
    house: House, grouping: Callable[..., Grouping]
) -> None:
    house.take(grouping())
    house.run()
    with house.store.records.write() as conn:
        tickets.set_state(conn, "builtin", "OPS-1", WORKING, now_ms=house.now_ms)
    house.act(ActKind.RESOLVE)
    watch = DeskWatch(
        house.store, house.performer._desks, {"builtin": DeskSettings(poll_interval_ms=10)}
    )
    assert watch.poll(house.now_ms) == []


def test_each_desk_at_its_interval_and_one_that_is_down_later(house: House) -> None:
    desk = MemoryDesk(house.clock, "ext")
    said: list[str] = []
    settings = {"ext": DeskSettings("ext", poll_interval_ms=60_000)}
    watch = DeskWatch(house.store, {"ext": desk}, settings, report=said.append)
    desk.failing = TransientError("down")
    for after_ms in (0, 59_999, 1, 60_000):
        house.clock.set(house.now_ms + after_ms)
        assert watch.poll(house.now_ms) == []
    assert len(desk.calls) == 3
    assert said[0] == "ext: cannot be asked for changes: down"


def test_polling_never_when_the_interval_is_zero(house: House) -> None:
    desk = MemoryDesk(house.clock, "ext")
    watch = DeskWatch(house.store, {"ext": desk}, {"ext": DeskSettings("ext", poll_interval_ms=0)})
    assert watch.poll(house.now_ms) == [] and desk.calls == []
