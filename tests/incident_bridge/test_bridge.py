"""From a grouping to a ticket, a page, a resolution and a closed ticket, through the real store."""

from __future__ import annotations

from collections.abc import Callable

from incident_bridge.settings import DeskSettings
from model.incident import ActKind, EntryKind, Grouping, IncidentState, Priority, Signal
from model.ticket import Ticket, TicketState
from store import outbox, pages, ticket_links, tickets, timeline
from tests.incident_bridge.conftest import House

MINUTE_MS = 60_000


def _ticket(house: House) -> Ticket:
    return house.read(tickets.find, "builtin", "inc1")


def test_one_ticket_and_one_page_from_opening_to_close(
    house: House, grouping: Callable[..., Grouping]
) -> None:
    house.take(grouping())
    house.run()
    assert _ticket(house).number == "OPS-1"
    assert _ticket(house).title == "cart fails"
    assert [p.why for p in house.read(pages.by_incident, "inc1")] == ["opened"]
    assert [(x.desk, x.number) for x in house.read(ticket_links.by_incident, "inc1")] == [
        ("builtin", "OPS-1")
    ]

    house.clock.set(house.now_ms + 2 * MINUTE_MS)
    house.act(ActKind.ACKNOWLEDGE)
    house.run()
    assert _ticket(house).state is TicketState.IN_PROGRESS

    house.clock.set(house.now_ms + 2 * MINUTE_MS)
    house.take(grouping(Signal.QUIET))
    house.run()
    assert _ticket(house).state is TicketState.RESOLVED
    assert house.incident().resolved_ms == grouping(Signal.QUIET).quiet_ms

    house.step(house.settings.close_after_ms)
    house.run()
    assert _ticket(house).state is TicketState.CLOSED
    assert house.incident().state is IncidentState.CLOSED
    assert [p.why for p in house.read(pages.by_incident, "inc1")] == ["opened", "resolved"]
    kinds = [e.kind for e in house.read(timeline.by_incident, "inc1")]
    for kind in (EntryKind.OPENED, EntryKind.TICKET, EntryKind.PAGE, EntryKind.ACKNOWLEDGED):
        assert kind in kinds
    assert house.read(outbox.next_due_ms) is None


def test_the_same_opening_seen_again_names_the_same_things(
    house: House, grouping: Callable[..., Grouping]
) -> None:
    first = house.take(grouping())
    house.run()
    house.restart()
    again = house.take(grouping())
    house.run()
    assert again.actions == ()
    assert {a.id for a in first.actions}
    assert len(house.read(pages.by_incident, "inc1")) == 1


def test_muted_at_opening_waits_for_the_unmuting(
    house: House, grouping: Callable[..., Grouping]
) -> None:
    out = house.take(grouping(muted=True))
    assert out.actions == ()
    out = house.take(grouping(Signal.CHANGED, muted=False))
    assert [a.target for a in out.actions] == ["builtin", "console"]


def test_muted_to_the_end_makes_neither_ticket_nor_page(
    house: House, grouping: Callable[..., Grouping]
) -> None:
    house.take(grouping(muted=True))
    house.clock.set(house.now_ms + 2 * MINUTE_MS)
    out = house.take(grouping(Signal.QUIET, muted=False))
    assert out.actions == ()


def test_simulated_incidents_get_tickets_but_page_nobody(
    house: House, grouping: Callable[..., Grouping]
) -> None:
    out = house.take(grouping(simulated=True))
    assert [(a.target, a.simulated) for a in out.actions] == [("builtin", True)]
    house.run()
    assert _ticket(house).simulated


def test_simulated_incidents_stay_out_of_desks_that_do_not_want_them(
    make_house: Callable[..., House], grouping: Callable[..., Grouping], external: DeskSettings
) -> None:
    from incident_bridge.settings import BridgeSettings

    house = make_house(settings=BridgeSettings(desks=(external,)))
    assert house.take(grouping(simulated=True)).actions == ()


def test_merged_closes_its_ticket_with_a_comment(
    house: House, grouping: Callable[..., Grouping]
) -> None:
    house.take(grouping())
    house.take(grouping(Signal.MERGED, merged_into="inc0"))
    house.run()
    assert _ticket(house).state is TicketState.CLOSED
    assert _ticket(house).comments[-1].text == "merged into inc0"
    assert house.incident().state is IncidentState.MERGED


def test_a_note_on_a_closed_incident_is_kept_and_told(
    house: House, grouping: Callable[..., Grouping]
) -> None:
    house.take(grouping())
    house.act(ActKind.CLOSE)
    house.act(ActKind.NOTE, text="it was the cable")
    house.run()
    assert _ticket(house).comments[-1].text == "ann noted: it was the cable"
    assert _ticket(house).state is TicketState.CLOSED


def test_a_note_on_a_forgotten_incident_is_kept(house: House) -> None:
    house.act(ActKind.NOTE, incident_id="long-ago", text="for the record")
    (entry,) = house.read(timeline.by_incident, "long-ago")
    assert entry.text.text() == "ann noted: for the record"


def test_a_refused_act_is_written_down(house: House, grouping: Callable[..., Grouping]) -> None:
    house.take(grouping())
    house.act(ActKind.REOPEN)
    texts = [e.text.text() for e in house.read(timeline.by_incident, "inc1")]
    assert "ann wanted to reopen: this incident is open already" in texts


def test_priority_set_by_hand_sticks(house: House, grouping: Callable[..., Grouping]) -> None:
    house.take(grouping())
    assert house.incident().priority is Priority.P2
    house.act(ActKind.PRIORITY, text="P4")
    house.take(grouping(Signal.CHANGED, services=("gateway", "cart")))
    assert house.incident().priority is Priority.P4
    assert house.incident().priority_by == "ann"


def test_priority_rises_by_itself_but_does_not_fall(
    house: House, grouping: Callable[..., Grouping]
) -> None:
    house.take(grouping())
    house.take(grouping(Signal.JOINED, services=("cart", "gateway"), alert_count=2))
    assert house.incident().priority is Priority.P1
    house.take(grouping(Signal.CHANGED, services=("blog",)))
    assert house.incident().priority is Priority.P1


def test_save_and_load_give_the_same_memory(
    house: House, grouping: Callable[..., Grouping]
) -> None:
    house.take(grouping())
    saved = house.bridge.save()
    house.restart()
    assert house.bridge.save() == saved
    house.bridge.load(saved)
    assert house.bridge.save() == saved


def test_in_one_batch_or_in_many_the_same_comes_out(
    make_house: Callable[..., House], grouping: Callable[..., Grouping]
) -> None:
    groupings = [grouping(id=f"inc{n}") for n in range(5)]
    one, many = make_house(), make_house()
    together = one.bridge.take(groupings, now_ms=one.now_ms)
    apart = [many.bridge.take([g], now_ms=many.now_ms) for g in groupings]
    assert one.bridge.save() == many.bridge.save()
    assert together.actions == tuple(a for out in apart for a in out.actions)


def test_memory_is_bounded_and_the_active_stay(
    make_house: Callable[..., House], grouping: Callable[..., Grouping]
) -> None:
    from incident_bridge.settings import BridgeSettings

    house = make_house(settings=BridgeSettings(incidents_max=3))
    for number in range(6):
        house.take(grouping(id=f"inc{number}"))
        if number < 4:
            house.act(ActKind.CLOSE, incident_id=f"inc{number}", id=f"act{number}")
    house.step(1)
    assert len(house.bridge) == 3
    assert house.bridge.get("inc5") is not None
    assert house.bridge.counters()["tocsin_incidents_forgotten_total"] == 3
