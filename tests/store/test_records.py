"""What every kind of record must do, on each kind of database."""

from __future__ import annotations

from dataclasses import replace

import pytest

from model.action import LedgerEntry, Page
from model.alert import Alert, AlertStatus, Evidence, Severity
from model.change import Change
from model.errors import InputError
from model.incident import (
    ClockKind,
    EntryKind,
    Grouping,
    Incident,
    IncidentState,
    Priority,
    Signal,
    SlaClock,
    TimelineEntry,
)
from model.journal import Heartbeat
from model.labels import Labels, Matcher
from model.reason import because
from model.silence import Silence
from store import (
    alerts,
    changes,
    clocks,
    groupings,
    heartbeats,
    incidents,
    ledger,
    offsets,
    pages,
    silences,
    snapshots,
    ticket_links,
    timeline,
)
from store.rows import Cursor
from store.store import Store
from store.ticket_links import TicketLink
from tests.store.slow_cart import incident


def alert(name: str = "HighLatency", starts_ms: int = 100, **more: object) -> AlertStatus:
    labels = {"alertname": name, "service": "cart", "severity": "critical"}
    labels |= {k: str(more.pop(k)) for k in ("service", "severity", "zone") if k in more}
    incident_id = str(more.pop("incident_id", ""))
    made = Alert(Labels.of(labels), "prom", starts_ms, starts_ms)
    return AlertStatus(replace(made, **more), incident_id)  # type: ignore[arg-type]


def grouping(ident: str = "i1", at_ms: int = 100) -> Grouping:
    title, reason = because("{service} is slow", service="cart"), because("first alert")
    return Grouping(
        ident, Signal.OPENED, at_ms, 90, 100, Severity.WARNING, title, reason, ("cart",)
    )


def ids(found: list[Incident]) -> list[str]:
    return [item.id for item in found]


def starts(found: list[AlertStatus]) -> list[int]:
    return [item.alert.starts_ms for item in found]


def test_an_alert_comes_back_as_it_was_and_is_overwritten(any_store: Store) -> None:
    evidence = Evidence(
        Labels.of({"__name__": "up"}), "baseline", values=(1.0, None), lines=("a \x00 \u2028 用",)
    )
    first = alert(evidence=evidence, summary=because("{x} is high", x=3), expires_ms=900)
    with any_store.records.write() as conn:
        alerts.save(conn, [first])
        assert alerts.get(conn, first.alert.id) == first
        later = replace(first, incident_id="i1", changes_ms=(1, 2), silenced_by=("s",))
        alerts.save(conn, [first, later])  # of two in one call, the last one counts
        assert alerts.get(conn, first.alert.id) == later
        assert alerts.by_incident(conn, "i1") == [later]
        alerts.save(conn, [])
        assert alerts.get(conn, "unheard-of") is None


def test_only_the_latest_occurrence_of_an_alert_is_active(any_store: Store) -> None:
    with any_store.records.write() as conn:
        alerts.save(
            conn,
            [
                alert("Superseded", 1),  # nobody resolved it, but it fired anew
                alert("Superseded", 2, ends_ms=50),
                alert("Old", 3, ends_ms=40),
                alert("Fires", 4),
                alert("Pretended", 5, simulated=True),
            ],
        )
        assert starts(alerts.firing(conn)) == [4, 5]
        assert starts(alerts.firing(conn, simulated=False)) == [4]
        assert starts(alerts.active(conn, resolved_since_ms=50)) == [2, 4, 5]
        assert starts(alerts.active(conn, resolved_since_ms=51, simulated=False)) == [4]
        assert alerts.firing_by_service(conn, simulated=False) == {"cart": {"critical": 1}}
        assert starts(alerts.recent(conn, firing=True)) == [5, 4]
        assert starts(alerts.recent(conn, firing=False)) == [3, 2, 1]
        superseding = alert("Superseded", 2, ends_ms=50)
        assert alerts.by_keys(conn, [superseding.alert.key, "x"]) == {
            superseding.alert.key: superseding
        }


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, [5, 4, 3, 2, 1]),
        ({"firing": True}, [5, 3, 2, 1]),
        ({"firing": False}, [4]),
        ({"simulated": True}, [3]),
        ({"service": "gateway"}, [2]),
        ({"severity": "info"}, [1]),
        ({"source": "nobody"}, []),
        ({"name": "DiskFull"}, [5]),
        ({"text": "DISKFULL critical"}, [5]),
        ({"text": "zone=100%_"}, [5]),
        ({"text": "zone=1000_"}, []),
        ({"text": "用户"}, [4]),
        ({"limit": 2}, [5, 4]),
        ({"limit": 2, "before": Cursor(4, "~")}, [4, 3]),
        ({"before": Cursor(1, "")}, []),
    ],
)
def test_a_page_of_alerts_is_filtered(
    any_store: Store, wanted: dict[str, object], found: list[int]
) -> None:
    with any_store.records.write() as conn:
        alerts.save(
            conn,
            [
                alert(starts_ms=1, severity="info"),
                alert(starts_ms=2, service="gateway"),
                alert("Slow", 3, simulated=True),
                alert(starts_ms=4, ends_ms=9, summary=because("用户 cannot pay")),
                alert("DiskFull", 5, zone="100%_"),
            ],
        )
        assert starts(alerts.recent(conn, **wanted)) == found  # type: ignore[arg-type]


def test_pages_of_a_listing_join_without_gap_or_overlap(any_store: Store) -> None:
    with any_store.records.write() as conn:
        alerts.save(conn, [alert(f"A{i}", i // 3) for i in range(10)])
        seen: list[AlertStatus] = []
        before: Cursor | None = None
        while page := alerts.recent(conn, limit=4, before=before):
            seen += page
            before = Cursor.parse(str(alerts.cursor(page[-1])))
    assert len(seen) == 10 and len({item.alert.id for item in seen}) == 10
    assert starts(seen) == sorted(starts(seen), reverse=True)


@pytest.mark.parametrize("text", ["", "5", "5.", ".x", "-5.x", "x.5", "9" * 30 + ".x"])
def test_a_cursor_that_we_did_not_write_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="where a page ended"):
        Cursor.parse(text)


CLOSED, MERGED, ACKED = IncidentState.CLOSED, IncidentState.MERGED, IncidentState.ACKNOWLEDGED


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, ["i5", "i4", "i3", "i2", "i1"]),
        ({"states": [IncidentState.OPEN, ACKED]}, ["i4", "i2", "i1"]),
        ({"service": "cart"}, ["i5", "i3", "i2", "i1"]),
        ({"affected": "gateway"}, ["i5", "i3", "i2", "i1"]),
        ({"affected": "gate"}, []),
        ({"affected": "pay_ment"}, ["i4"]),
        ({"team": "money"}, ["i2"]),
        ({"priority": "P1"}, ["i1"]),
        ({"since_ms": 103}, ["i5", "i4", "i3"]),
        ({"simulated": True}, ["i4"]),
        ({"text": "SLOW money"}, ["i2"]),
        ({"text": "i3"}, ["i3"]),
        ({"limit": 1, "before": Cursor(103, "i3")}, ["i2"]),
    ],
)
def test_a_page_of_incidents_is_filtered(
    any_store: Store, wanted: dict[str, object], found: list[str]
) -> None:
    with any_store.records.write() as conn:
        incidents.save(
            conn,
            [
                incident("i1", 101, priority=Priority.P1),
                incident("i2", 102, team="money", state=ACKED),
                incident("i3", 103, state=CLOSED),
                incident("i4", 104, service="pay_ment", services=(), simulated=True),
                incident("i5", 105, state=MERGED),
            ],
        )
        assert ids(incidents.recent(conn, **wanted)) == found  # type: ignore[arg-type]


def test_an_incident_comes_back_as_it_was(any_store: Store) -> None:
    with any_store.records.write() as conn:
        incidents.save(conn, [incident(), incident("i2", state=CLOSED, simulated=True)])
        changed = replace(incident(), state=ACKED, acknowledged_ms=7, alert_keys=("k",))
        incidents.save(conn, [changed])
        assert incidents.get(conn, "i1") == changed
        assert incidents.get(conn, "i9") is None
        assert list(incidents.get_many(conn, ["i1", "i9"])) == ["i1"]
        assert ids(incidents.active(conn)) == ["i1"]
        assert incidents.cursor(changed) == Cursor(100, "i1")
        counts = incidents.counts(conn)
        assert (counts[ACKED], counts[CLOSED], counts[IncidentState.OPEN]) == (1, 1, 0)
        assert incidents.counts(conn, simulated=False)[CLOSED] == 0
        assert ids(incidents.between(conn, 100, 101)) == ["i1", "i2"]
        assert ids(incidents.between(conn, 100, 101, simulated=False)) == ["i1"]
        assert incidents.between(conn, 99, 100) == []


def test_a_restart_finds_what_has_not_ended_or_changed_lately(any_store: Store) -> None:
    every = [
        incident("open", updated_ms=1),
        incident("resolved", updated_ms=1, state=IncidentState.RESOLVED),
        incident("closed", updated_ms=10, state=CLOSED),
        incident("closed-lately", updated_ms=11, state=CLOSED),
        incident("merged", updated_ms=10, state=MERGED),
    ]
    with any_store.records.write() as conn:
        incidents.save(conn, every)
        clocks.save(conn, [SlaClock(i.id, ClockKind.RESPONSE, 9, 1, 1) for i in every])
        ledger.save(conn, [LedgerEntry(i.id, "builtin", "desk", 2) for i in every])
        groupings.save(conn, [grouping(i.id, i.updated_ms) for i in every] + [grouping("new", 1)])
        kept = {"open", "resolved", "closed-lately"}
        assert set(ids(incidents.restorable(conn, since_ms=11))) == kept
        assert {c.incident_id for c in clocks.restorable(conn, since_ms=11)} == kept
        assert {e.incident_id for e in ledger.restorable(conn, since_ms=11)} == kept
        assert {g.id for g in groupings.restorable(conn, since_ms=11)} == kept | {"new"}
        assert groupings.get(conn, "merged") == grouping("merged", 10)
        assert ledger.restorable(conn, since_ms=11, simulated=True) == []


def test_a_timeline_keeps_its_order_when_it_is_said_again(any_store: Store) -> None:
    def line(ident: str, time_ms: int, words: str = "", incident_id: str = "i1") -> TimelineEntry:
        return TimelineEntry(ident, incident_id, time_ms, EntryKind.NOTE, "ann", because(words))

    with any_store.records.write() as conn:
        timeline.save(conn, [line("z", 5), line("y", 5), line("x", 4), line("o", 9, "", "i2")])
        timeline.save(conn, [line("y", 5), line("z", 5, "again")])
        found = timeline.by_incident(conn, "i1")
        assert [(e.id, e.text.text()) for e in found] == [("x", ""), ("z", "again"), ("y", "")]
        assert [e.id for e in timeline.recent(conn, limit=2)] == ["o", "y"]
        assert [e.id for e in timeline.recent(conn, since_ms=6)] == ["o"]
        assert timeline.recent(conn, kinds=[EntryKind.PAGE]) == []
        assert timeline.recent(conn, simulated=True) == []


def test_clocks_and_ledger_are_kept_by_incident(any_store: Store) -> None:
    response = SlaClock("i1", ClockKind.RESPONSE, 60, 1, 1, warned=(0.5, 0.75))
    resolution = SlaClock("i1", ClockKind.RESOLUTION, 600, 1, 1)
    entry = LedgerEntry("i1", "builtin", "desk", 1, "hash", "open", 5, 1)
    with any_store.records.write() as conn:
        incidents.save(conn, [incident("i1", 100), incident("i2", 200)])
        clocks.save(conn, [resolution, response])
        clocks.save(conn, [replace(response, breached_ms=61)])
        assert clocks.by_incident(conn, "i1") == [replace(response, breached_ms=61), resolution]
        assert len(clocks.of_incidents_between(conn, 100, 101)) == 2
        assert clocks.of_incidents_between(conn, 101, 300) == []
        ledger.save(conn, [entry, replace(entry, target="apprise")])
        ledger.save(conn, [replace(entry, sequence=2)])
        assert [(e.target, e.sequence) for e in ledger.by_incident(conn, "i1")] == [
            ("apprise", 1),
            ("builtin", 2),
        ]


def test_pages_by_incident_and_lately(any_store: Store) -> None:
    def page(ident: str, sent_ms: int, ok: bool = True, receiver: str = "ops") -> Page:
        return Page(ident, "i1", receiver, ("ann",), "mail", "opened", "slow", sent_ms, ok)

    sent = [page("p1", 1), page("p2", 2, ok=False), page("p3", 3, receiver="db")]
    with any_store.records.write() as conn:
        pages.save(conn, [*sent, sent[0]])
        assert pages.by_incident(conn, "i1") == sent
        assert pages.recent(conn, limit=1) == [sent[2]]
        assert pages.recent(conn, before=pages.cursor(sent[2]), limit=1) == [sent[1]]
        assert pages.recent(conn, receiver="db") == [sent[2]]
        assert pages.recent(conn, ok=False) == [sent[1]]
        assert pages.recent(conn, simulated=True) == []
        assert pages.between(conn, 1, 3) == sent[:2]


def test_ticket_links_are_found_both_ways(any_store: Store) -> None:
    links = [TicketLink("i1", "builtin", "OPS-1", "/1"), TicketLink("i1", "jira", "X-9")]
    with any_store.records.write() as conn:
        ticket_links.save(conn, [*links, TicketLink("i2", "builtin", "OPS-2")])
        ticket_links.save(conn, [replace(links[0], url="/tickets/OPS-1")])
        assert ticket_links.by_incident(conn, "i1") == [
            replace(links[0], url="/tickets/OPS-1"),
            links[1],
        ]
        assert ticket_links.by_incident(conn, "i9") == []
        assert list(ticket_links.by_incidents(conn, ["i2", "i9"])) == ["i2"]
        assert ticket_links.by_number(conn, "jira", "X-9") == links[1]
        assert ticket_links.by_number(conn, "builtin", "X-9") is None


def test_silences_that_count_now_or_later(any_store: Store) -> None:
    def silence(ident: str, starts_ms: int, ends_ms: int) -> Silence:
        matchers = (Matcher.parse('job=~"a|b"'), Matcher.parse("zone!=x"))
        return Silence(ident, matchers, starts_ms, ends_ms, "ann", "because", 1)

    every = [silence("over", 1, 10), silence("active", 2, 11), silence("pending", 50, 60)]
    with any_store.records.write() as conn:
        silences.save(conn, every)
        assert silences.current(conn, now_ms=10) == every[1:]
        assert [s.id for s in silences.recent(conn)] == ["pending", "active", "over"]
        silences.save(conn, [replace(every[1], ends_ms=5)])
        assert [s.id for s in silences.current(conn, now_ms=10)] == ["pending"]
        assert silences.get(conn, "active") == replace(every[1], ends_ms=5)


def test_changes_by_service_and_time(any_store: Store) -> None:
    def change(ident: str, time_ms: int, service: str = "cart", kind: str = "deploy") -> Change:
        return Change(ident, time_ms, kind, service, "v2", labels=Labels.of({"a": "b"}))

    every = [change("c1", 1), change("c2", 2, "gateway"), change("c3", 3, kind="flag")]
    with any_store.records.write() as conn:
        changes.save(conn, every)
        assert changes.get(conn, "c1") == every[0]
        assert changes.get_many(conn, ["c3", "c1", "c9"]) == [every[0], every[2]]
        assert changes.between(conn, 1, 3) == every[:2]
        assert changes.between(conn, 0, 9, services=["gateway", "x"]) == [every[1]]
        assert changes.recent(conn, limit=2) == [every[2], every[1]]
        assert changes.recent(conn, before=changes.cursor(every[2]), service="cart") == [every[0]]
        assert changes.recent(conn, kind="flag", simulated=False) == [every[2]]


def test_heartbeats_are_kept_by_name_and_source(any_store: Store) -> None:
    first, other = Heartbeat("backup", 1, 9, source="a"), Heartbeat("backup", 1, 9, source="b")
    with any_store.records.write() as conn:
        heartbeats.save(conn, [first, other, replace(first, time_ms=5)])
        assert heartbeats.everything(conn) == [replace(first, time_ms=5), other]
        assert heartbeats.remove(conn, "backup", source="b")
        assert not heartbeats.remove(conn, "backup", source="b")


def test_of_two_who_go_on_from_the_same_state_one_does(any_store: Store) -> None:
    # On PostgreSQL the first of all was taken for the second: no worker could begin there.
    with any_store.records.write() as conn:
        for before, wins in ((None, True), (None, False), (b"1", True), (b"0", False)):
            data = b"1" if before is None else b"2"
            assert snapshots.replace(conn, "x", data, before=before, now_ms=1) is wins
        assert snapshots.get(conn, "x") == b"2"
        assert [offsets.advance(conn, "y", n) for n in (3, 3, 4, 2)] == [True, False, True, False]
        assert offsets.get(conn, "y") == 4
