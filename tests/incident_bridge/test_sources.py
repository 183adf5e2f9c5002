"""Back to where the alerts came from: decided purely, done through the outbox, said once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from collectors.zabbix_settings import ZabbixSettings
from incident_bridge.decide import Limits, SourceAction, next_source_action
from incident_bridge.settings import RetrySettings
from incident_bridge.zabbix_notes import ZabbixNotes
from model.action import ActionState, LedgerEntry, SourceDraft
from model.alert import Alert, AlertStatus
from model.clock import SystemClock
from model.errors import DeliveryError, PermanentError, TransientError
from model.incident import ActKind, Incident, IncidentState, Priority, Signal
from model.labels import Labels
from store import alerts as alert_rows
from store import outbox, pages, timeline
from store.store import Store
from tests.collectors.zabbix_double import GONE, Double, serving
from tests.incident_bridge.conftest import START_MS, House, a_grouping

LIMITS = Limits(update_interval_ms=60_000, notes_max=20, hold_ms=600_000)
OPEN, ACKED, RESOLVED, CLOSED = list(IncidentState)[:4]


@dataclass
class Recorded:
    """A source that notes what it hears, or fails."""

    name: str = "zabbix"
    failing: DeliveryError | None = None
    heard: list[tuple[str, str, int]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)

    def tell(self, alerts: Sequence[Alert], draft: SourceDraft, *, idempotency_key: str) -> int:
        if self.failing is not None:
            raise self.failing
        self.heard.append((draft.why, draft.text, len(alerts)))
        self.keys.append(idempotency_key)
        return len(alerts)


def an_alert(event: int = 1, **changes: Any) -> Alert:
    labels = Labels.of({"alertname": "disk full", "dedup_key": str(event), "service": "cart"})
    notes = Labels.of({"zabbix_event_id": str(event)})
    return replace(Alert(labels, "zabbix", START_MS, START_MS, annotations=notes), **changes)


def an_incident(state: IncidentState, *, alerts: int = 1, by: str = "") -> Incident:
    house_like = a_grouping()
    return Incident(
        "inc1", state, START_MS, house_like.title, "cart", ("cart",), house_like.severity,
        Priority.P1, 1, 1, "", START_MS, START_MS, START_MS,
        resolved_by=by, alert_count=alerts,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("told", "state", "alerts", "by", "after_ms", "wanted"),
    [
        # Nothing was told of an open incident, and nothing is.
        (None, OPEN, 1, "", 0, SourceAction.NONE),
        # Somebody acknowledges it: news, at once, and only once.
        (None, ACKED, 1, "", 0, SourceAction.ACKNOWLEDGED),
        ((ACKED, 1), ACKED, 1, "", 900_000, SourceAction.NONE),
        # What joins is somebody's work as well; a minute's worth of it is told at once.
        ((ACKED, 1), ACKED, 2, "", 59_999, SourceAction.HOLD),
        ((ACKED, 1), ACKED, 2, "", 60_000, SourceAction.ACKNOWLEDGED),
        # Taken back.
        ((ACKED, 1), OPEN, 1, "", 0, SourceAction.UNACKNOWLEDGED),
        ((OPEN, 1), OPEN, 5, "", 900_000, SourceAction.NONE),
        # A person's end is news; one by itself the source knows itself.
        ((ACKED, 1), RESOLVED, 1, "ann", 0, SourceAction.RESOLVED),
        (None, CLOSED, 1, "ann", 0, SourceAction.RESOLVED),
        ((ACKED, 1), RESOLVED, 1, "", 0, SourceAction.NONE),
        ((RESOLVED, 1), CLOSED, 1, "ann", 0, SourceAction.NONE),
        # After the end, the next opening begins anew.
        ((RESOLVED, 1), ACKED, 1, "", 0, SourceAction.ACKNOWLEDGED),
    ],
)
def test_what_the_source_is_told(
    told: tuple[IncidentState, int] | None, state: IncidentState, alerts: int, by: str,
    after_ms: int, wanted: SourceAction,
) -> None:  # fmt: skip
    entry = told and LedgerEntry(
        "inc1", "source:zabbix", "source", told=str(told[1]), told_state=told[0], told_ms=START_MS
    )
    incident = an_incident(state, alerts=alerts, by=by)
    now_ms = START_MS + after_ms
    assert next_source_action(entry or None, incident, now_ms=now_ms, limits=LIMITS) is wanted


def opened(house: House, *alerts: Alert, **changes: Any) -> None:
    """An incident whose alerts came from Zabbix and from elsewhere, with its ticket."""
    with house.store.records.write() as conn:
        alert_rows.save(
            conn, [AlertStatus(a, "inc1") for a in (*alerts, an_alert(9, source="other"))]
        )
    house.take(a_grouping(sources=("other", "zabbix"), **changes))
    house.run()


def test_the_ticket_the_acknowledgement_and_the_end_are_told_in_order(store: Store) -> None:
    source = Recorded()
    house = House(store, sources={"zabbix": source})
    opened(house, an_alert(1), an_alert(2), an_alert(3, ends_ms=START_MS + 1))
    house.act(ActKind.ACKNOWLEDGE)
    house.run()
    house.act(ActKind.UNACKNOWLEDGE)
    house.run()
    house.act(ActKind.RESOLVE)
    house.run()
    assert [why for why, _, _ in source.heard] == [
        "ticket", "acknowledged", "unacknowledged", "resolved",
    ]  # fmt: skip
    texts = [text for _, text, _ in source.heard]
    assert texts[0].startswith("Tocsin: OPS-1 (builtin) ")
    assert texts[1].startswith("Tocsin: ann acknowledged the incident: cart")
    assert texts[3].startswith("Tocsin: ann resolved the incident: cart")
    assert {count for _, _, count in source.heard} == {2}  # those that fire, and no other's
    assert len(set(source.keys)) == 4
    told = [e.text.text() for e in house.read(timeline.by_incident, "inc1")]
    assert told.count("zabbix was told, for 2 of its problems") == 4


def test_f08_a_source_that_is_down_holds_up_nothing_and_hears_it_later(store: Store) -> None:
    source = Recorded(failing=TransientError("no answer in time"))
    house = House(store, sources={"zabbix": source})
    opened(house, an_alert())
    assert house.incident().state is OPEN
    house.act(ActKind.ACKNOWLEDGE)
    house.run()
    assert any(page.ok for page in house.read(pages.by_incident, "inc1"))
    waiting = [q for q in house.read(outbox.by_incident, "inc1") if q.state is ActionState.PENDING]
    assert {q.action.target for q in waiting} == {"source:zabbix"}
    source.failing = None
    house.restart()
    house.step(60_000)
    house.run()
    house.run()
    assert [why for why, _, _ in source.heard] == ["ticket", "acknowledged"]


def test_what_it_never_takes_is_a_dead_letter(store: Store) -> None:
    source = Recorded(failing=PermanentError('refused: "You do not have permission"'))
    house = House(store, sources={"zabbix": source}, retry=RetrySettings())
    opened(house, an_alert())
    (dead,) = house.read(outbox.dead_letters)
    assert dead.action.target == "source:zabbix" and "permission" in dead.last_error
    assert any(page.why == "dead_letter" for page in house.read(pages.by_incident, "inc1"))


def test_a_source_that_is_not_configured_any_more_is_a_dead_letter(store: Store) -> None:
    house = House(store, sources={"zabbix": Recorded(failing=TransientError("down"))})
    opened(house, an_alert())
    later = House(store)
    later.clock.set(START_MS + 3_600_000)
    later.run()
    (dead,) = later.read(outbox.dead_letters)
    assert dead.last_error == "no source 'source:zabbix' is set"


def test_neither_simulated_incidents_nor_other_sources_are_told(store: Store) -> None:
    source = Recorded()
    house = House(store, sources={"zabbix": source})
    opened(house, an_alert(), simulated=True)
    house.act(ActKind.ACKNOWLEDGE)
    house.run()
    house.take(a_grouping(id="inc2", sources=("prometheus",)))
    house.run()
    assert source.heard == []


def test_what_ends_by_itself_is_not_told(store: Store) -> None:
    source = Recorded()
    house = House(store, sources={"zabbix": source})
    opened(house, an_alert())
    house.take(a_grouping(Signal.QUIET, sources=("zabbix",)))
    house.run()
    assert [why for why, _, _ in source.heard] == ["ticket"]


@pytest.fixture(params=["6.0.14", "7.2.0"])
def double(request: pytest.FixtureRequest) -> Iterator[Double]:
    with serving(Double(version=request.param)) as served:
        yield served


@pytest.fixture
def notes(double: Double, tmp_path: Path) -> ZabbixNotes:
    (tmp_path / "token").write_text("t0ken")
    return ZabbixNotes(
        ZabbixSettings(url=double.url, token_file=str(tmp_path / "token")), SystemClock()
    )


def say(
    notes: ZabbixNotes,
    why: str,
    *events: int,
    key: str = "0123456789abcdef",
    at_ms: int = START_MS,
) -> int:
    draft = SourceDraft("zabbix", "inc1", why, "t", "Tocsin: " + "x" * 3_000, at_ms)
    return notes.tell([an_alert(event) for event in events], draft, idempotency_key=key)


def test_zabbix_is_told_once_for_each_key(double: Double, notes: ZabbixNotes) -> None:
    one, two = double.fire(START_MS // 1_000), double.fire(START_MS // 1_000)
    assert say(notes, "acknowledged", one, two) == 2
    assert say(notes, "acknowledged", one, two) == 0
    assert double.events[one]["acknowledged"] == "1"
    (message,) = double.said(one)
    assert message.endswith("[tocsin 0123456789abcdef]") and len(message) <= 2_048
    assert say(notes, "ticket", one, key="fedcba9876543210") == 1
    assert say(notes, "unacknowledged", one, two, key="aaaabbbbccccdddd") == 2
    assert double.events[two]["acknowledged"] == "0"


def test_a_lost_answer_is_not_followed_by_the_same_message(
    double: Double, notes: ZabbixNotes
) -> None:
    event = double.fire(START_MS // 1_000)
    double.after = lambda method: (502, b"", {}) if method == "event.acknowledge" else None
    with pytest.raises(TransientError, match="answered 502"):
        say(notes, "ticket", event)
    double.after = lambda method: None
    assert say(notes, "ticket", event) == 0
    assert len(double.said(event)) == 1


def test_what_a_person_has_acknowledged_is_left_as_it_is(
    double: Double, notes: ZabbixNotes
) -> None:
    event = double.fire(START_MS // 1_000)
    double.write(event, 2, "", at_s=START_MS // 1_000)
    assert say(notes, "acknowledged", event) == 0
    double.write(event, 16, "", at_s=START_MS // 1_000)
    assert say(notes, "unacknowledged", event) == 0


def test_what_a_person_took_back_while_it_waited_stays_taken_back(
    double: Double, notes: ZabbixNotes
) -> None:
    """Acknowledged there and taken back a second later; ours comes late, and must not be the last word."""
    now_s = START_MS // 1_000
    event = double.fire(now_s)
    double.write(event, 2, "", at_s=now_s)
    double.write(event, 16, "", at_s=now_s + 1)
    assert say(notes, "acknowledged", event, at_ms=START_MS + 400) == 0
    assert say(notes, "unacknowledged", event, at_ms=START_MS + 2_000) == 0
    double.write(event, 2, "", at_s=now_s + 2)
    assert say(notes, "unacknowledged", event, at_ms=START_MS + 2_000) == 0
    assert double.events[event]["acknowledged"] == "1" and double.said(event) == [""] * 3


def test_what_a_person_said_before_does_not_keep_later_news_back(
    double: Double, notes: ZabbixNotes
) -> None:
    now_s = START_MS // 1_000
    event = double.fire(now_s)
    double.write(event, 2, "", at_s=now_s - 20)
    double.write(event, 16, "", at_s=now_s - 10)
    assert say(notes, "acknowledged", event) == 1
    assert say(notes, "unacknowledged", event, key="aaaabbbbccccdddd", at_ms=START_MS + 5) == 1


def test_one_that_is_gone_does_not_keep_the_others_from_hearing(
    double: Double, notes: ZabbixNotes
) -> None:
    one, two = double.fire(START_MS // 1_000), double.fire(START_MS // 1_000)

    def gone(method: str, params: Any) -> Any:
        if method == "event.acknowledge" and str(two) in params["eventids"]:
            return double.error(GONE)
        return None

    double.instead = gone
    assert say(notes, "acknowledged", one, two, 999) == 1
    assert len(double.said(one)) == 1 and double.said(two) == []
    with pytest.raises(PermanentError, match="No permissions"):
        say(notes, "acknowledged", two, key="fedcba9876543210")


def test_nothing_to_say_it_of_is_well(double: Double, notes: ZabbixNotes) -> None:
    draft = SourceDraft("zabbix", "inc1", "ticket", "t", "text")
    strange = an_alert(annotations=Labels())
    assert notes.tell([strange], draft, idempotency_key="0123456789abcdef") == 0
    assert double.asked == []
