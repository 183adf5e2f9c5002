"""What is forgotten, and what is not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import Connection, func, select

from model.account import AuditRecord
from model.action import Action, ActionKind, LedgerEntry, Page
from model.alert import Alert, AlertStatus, Severity
from model.change import Change
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
from model.labels import Labels
from model.reason import because
from model.silence import Silence
from model.ticket import TicketDraft, TicketState
from store import (
    alerts,
    audit,
    changes,
    clocks,
    groupings,
    history,
    incidents,
    ledger,
    outbox,
    pages,
    sessions,
    silences,
    ticket_links,
    tickets,
    timeline,
)
from store.schema import records
from store.sessions import Session
from store.store import Store
from store.ticket_links import TicketLink

WHY = because("slow")


def fill(
    conn: Connection, ident: str, state: IncidentState, updated_ms: int, *, simulated: bool = False
) -> None:
    """An incident with one of everything that can belong to it."""
    made = Incident(
        ident, state, 1, WHY, "cart", ("cart",), Severity.INFO, Priority.P4, 3, 3, "", 1, 2, updated_ms,
        simulated=simulated,
    )  # fmt: skip
    alert = Alert(Labels.of({"alertname": ident}), "prom", 1, 1, 5, simulated=simulated)
    page = Page(f"{ident}-page", ident, "ops", (), "mail", "opened", "slow", 3, True)
    deed = Action(f"{ident}-act", ActionKind.PAGE, ident, "ops", 1, 3, simulated=simulated)
    said = TimelineEntry(f"{ident}-line", ident, 3, EntryKind.OPENED, "", WHY, simulated)
    incidents.save(conn, [made])
    alerts.save(conn, [AlertStatus(alert, ident)])
    timeline.save(conn, [said])
    pages.save(conn, [replace(page, simulated=simulated)])
    clocks.save(conn, [SlaClock(ident, ClockKind.RESPONSE, 9, 1, 1, simulated=simulated)])
    ledger.save(conn, [LedgerEntry(ident, "ops", "receiver")])
    groupings.save(
        conn,
        [Grouping(ident, Signal.QUIET, 3, 1, 2, Severity.INFO, WHY, WHY, (), simulated=simulated)],
    )
    outbox.add(conn, [deed])
    outbox.done(conn, deed.id, now_ms=4)
    draft = TicketDraft(ident, "t", "b", TicketState.CLOSED, "P4", "cart", comment="opened")
    made_ticket = tickets.create(conn, "builtin", replace(draft, simulated=simulated), now_ms=3)
    ticket_links.save(conn, [TicketLink(ident, "builtin", made_ticket.number)])


def everything(conn: Connection) -> dict[str, int]:
    """Rows of each table that has any."""
    found = {
        table.name: conn.execute(select(func.count()).select_from(table)).scalar_one()
        for table in records.sorted_tables
    }
    return {name: count for name, count in found.items() if count}


PARTS = {
    "incidents", "alerts", "timeline", "pages", "clocks", "ledger", "groupings", "outbox",
    "tickets", "ticket_comments", "ticket_links",
}  # fmt: skip


# An incident's state, when it last changed, and whether it is kept at 100.
@pytest.mark.parametrize(
    ("state", "updated_ms", "kept"),
    [
        (IncidentState.CLOSED, 99, False),
        (IncidentState.MERGED, 99, False),
        (IncidentState.CLOSED, 100, True),
        (IncidentState.RESOLVED, 1, True),
        (IncidentState.OPEN, 1, True),
    ],
)
def test_an_incident_goes_with_all_that_belongs_to_it_or_stays_whole(
    any_store: Store, state: IncidentState, updated_ms: int, kept: bool
) -> None:
    with any_store.records.write() as conn:
        before = everything(conn)
        fill(conn, "i1", state, updated_ms)
        gone = history.prune(conn, 100)
        if kept:
            assert gone == {}
            assert len(incidents.recent(conn)) == 1 and len(pages.by_incident(conn, "i1")) == 1
            assert len(alerts.by_incident(conn, "i1")) == len(timeline.by_incident(conn, "i1")) == 1
        else:
            assert gone == dict.fromkeys(PARTS, 1)
            after = everything(conn)
            assert after.pop("offsets") == 1  # the ticket numbers go on
            assert after == before


def test_what_is_still_to_be_done_or_still_fires_stays(any_store: Store) -> None:
    firing = Alert(Labels.of({"alertname": "Fires"}), "prom", 1, 1)
    with any_store.records.write() as conn:
        fill(conn, "undelivered", IncidentState.CLOSED, 1)
        outbox.add(conn, [Action("late", ActionKind.PAGE, "undelivered", "ops", 2, 3)])
        fill(conn, "human-closed", IncidentState.CLOSED, 1)
        alerts.save(conn, [AlertStatus(firing, "human-closed")])
        history.prune(conn, 100)
        assert [i.id for i in incidents.recent(conn)] == ["undelivered"]
        assert [s.alert.name for s in alerts.by_incident(conn, "human-closed")] == ["Fires"]
        assert outbox.due(conn, 99)[0].action.id == "late"


def test_what_belongs_to_no_incident_goes_by_its_own_end(any_store: Store) -> None:
    def loose(name: str, ends_ms: int | None) -> AlertStatus:
        return AlertStatus(Alert(Labels.of({"alertname": name}), "prom", 1, 1, ends_ms))

    def silence(ident: str, ends_ms: int) -> Silence:
        return Silence(ident, (), 1, ends_ms, "ann", "", 1)

    with any_store.records.write() as conn:
        alerts.save(conn, [loose("old", 99), loose("young", 100), loose("fires", None)])
        again = Alert(Labels.of({"alertname": "fires"}), "prom", 2, 2)
        alerts.save(conn, [AlertStatus(again)])  # the one before was never resolved
        changes.save(conn, [Change("old", 99, "deploy", "a", ""), Change("new", 100, "d", "a", "")])
        silences.save(conn, [silence("old", 99), silence("young", 100)])
        sessions.save(conn, [Session("old", "ann", "", 1, 499), Session("new", "ann", "", 1, 500)])
        tickets.create(
            conn, "builtin", TicketDraft("k", "", "", TicketState.OPEN, "P4", "a"), now_ms=1
        )
        audit.save(conn, [AuditRecord(1, "ann", "signed in", "")])
        gone = history.prune(conn, 100, now_ms=500)
        assert gone == {"alerts": 2, "changes": 1, "silences": 1, "sessions": 1}
        assert [s.alert for s in alerts.firing(conn)] == [again]
        assert {s.alert.name for s in alerts.recent(conn)} == {"young", "fires"}
        assert len(audit.recent(conn)) == len(tickets.recent(conn, "builtin")) == 1
        assert history.prune(conn, 100, now_ms=500) == {}


def test_no_more_goes_at_once_than_was_said(any_store: Store) -> None:
    with any_store.records.write() as conn:
        for n in range(5):
            fill(conn, f"i{n}", IncidentState.CLOSED, n)
            changes.save(conn, [Change(f"c{n}", n, "deploy", "a", "")])
        first = history.prune(conn, 100, rows_max=2)
        assert (first["incidents"], first["changes"]) == (2, 2)
        assert [i.id for i in incidents.recent(conn, limit=9)] == ["i4", "i3", "i2"]
        history.prune(conn, 100, rows_max=2)
        last = history.prune(conn, 100, rows_max=2)
        assert (last["incidents"], last["changes"]) == (1, 1)
        assert history.prune(conn, 100, rows_max=2) == {}


def test_the_simulated_past_can_be_dropped_alone(any_store: Store) -> None:
    with any_store.records.write() as conn:
        fill(conn, "real", IncidentState.CLOSED, 50)
        real = everything(conn)
        fill(conn, "simulated", IncidentState.OPEN, 50, simulated=True)
        assert history.drop_simulated(conn) == dict.fromkeys(PARTS, 1)
        assert everything(conn) == real
        assert history.drop_simulated(conn) == {}
