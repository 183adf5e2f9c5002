"""A Zabbix asked for its problems: each told once, over failures and restarts; people's acts without echo."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from collectors.accepting import Accepting
from collectors.zabbix_poll import ZabbixPoll
from collectors.zabbix_settings import ZabbixSettings, ZabbixSeverity
from model.alert import Alert, AlertStatus, Severity
from model.batch import MetricBatch
from model.clock import SystemClock
from model.codec import decode
from model.errors import SnapshotError
from model.incident import Act, Incident, IncidentState, Priority
from model.journal import JournalKind
from model.reason import because
from model.series import SeriesIndex
from store import alerts as alert_rows
from store import incidents as incident_rows
from store.store import Store
from tests.collectors.recording_journal import RecordingJournal
from tests.collectors.zabbix_double import Double, serving
from tests.conftest import NewStore

NOW = 1_800_000_000_000
NOW_S = NOW // 1_000


@pytest.fixture(params=["6.0.14", "7.2.0"])
def double(request: pytest.FixtureRequest) -> Iterator[Double]:
    with serving(Double(version=request.param)) as served:
        yield served


@pytest.fixture
def store(tmp_path: Path, new_store: NewStore) -> Iterator[Store]:
    opened = new_store(tmp_path, NOW)
    yield opened
    opened.close()


class Site(RecordingJournal):
    """A poll driven by hand, with a journal that takes, refuses or is slow."""

    def __init__(self, double: Double, store: Store, tmp_path: Path, **settings: Any) -> None:
        super().__init__()
        (tmp_path / "token").write_text("t0ken\n")
        chosen = {"url": double.url, "token_file": str(tmp_path / "token"), **settings}
        self.settings = ZabbixSettings(**chosen)
        self.store = store
        self.index = SeriesIndex()
        self.poll = self.another()

    def another(self) -> ZabbixPoll:
        accepting = Accepting(self.submit, self.store)
        return ZabbixPoll(self.settings, self.index, accepting, SystemClock())

    def ask(self, now_ms: int) -> list[Alert | Act]:
        """One round: what came to the journal by it."""
        before = len(self.entries)
        for _ in range(3):
            self.poll.poll(now_ms)
            self.poll.wait(60.0)
        kinds = {JournalKind.ALERT: Alert, JournalKind.ACT: Act}
        return [decode(kinds[e.kind], e.body) for e in self.entries[before:]]

    def told(self, now_ms: int) -> list[tuple[str, int | None]]:
        """Severities and ends of the alerts of one round."""
        found = self.ask(now_ms)
        return [(a.labels["severity"], a.ends_ms) for a in found if isinstance(a, Alert)]

    def keep(self, incident: Incident, *alerts: Alert) -> None:
        """What the pipeline makes of alerts."""
        with self.store.records.write() as conn:
            incident_rows.save(conn, [incident])
            alert_rows.save(conn, [AlertStatus(alert, incident.id) for alert in alerts])

    def wrong(self) -> dict[str, str]:
        return {problem.kind: problem.reason.text() for problem in self.poll.problems.all()}


@pytest.fixture
def site(double: Double, store: Store, tmp_path: Path) -> Site:
    return Site(double, store, tmp_path)


def an_incident(state: IncidentState = IncidentState.OPEN) -> Incident:
    return Incident("inc1", state, NOW, because("disk full"), "shop", ("shop",), Severity.CRITICAL,
                    Priority.P1, 1, 1, "", NOW, NOW, NOW)  # fmt: skip


def test_a_problem_and_its_recovery_at_their_own_times(double: Double, site: Site) -> None:
    event = double.fire(NOW_S - 3_600, tags={"service": "shop", "severity": "odd"})
    (alert,) = site.ask(NOW)
    assert isinstance(alert, Alert)
    labels = dict(alert.labels)
    assert labels.pop("dedup_key").startswith("15 ")
    assert labels == {
        "alertname": "disk full", "service": "shop", "severity": "critical", "tag_severity": "odd",
        "host": "web1", "instance": "web1", "host_group": "Linux servers",
    }  # fmt: skip
    assert (alert.source, alert.starts_ms) == ("zabbix", NOW - 3_600_000)
    assert alert.annotations["zabbix_event_id"] == str(event)
    assert site.told(NOW + 15_000) == []
    double.recover(event, NOW_S + 20)
    assert site.told(NOW + 30_000) == [("critical", NOW + 20_000)]
    assert site.told(NOW + 45_000) == []


def test_what_came_and_went_between_two_rounds_is_told(double: Double, site: Site) -> None:
    assert site.told(NOW) == []
    event = double.fire(NOW_S + 20)
    double.recover(event, NOW_S + 25)
    assert site.told(NOW + 30_000) == [("critical", None), ("critical", NOW + 25_000)]
    assert site.told(NOW + 45_000) == site.told(NOW + 3_600_000) == []


def test_history_before_the_first_round_is_no_news(double: Double, site: Site) -> None:
    double.recover(double.fire(NOW_S - 100), NOW_S - 50)
    assert site.told(NOW) == site.told(NOW + 15_000) == []


def test_a_worse_severity_is_another_alert_and_the_old_one_ends(double: Double, site: Site) -> None:
    event = double.fire(NOW_S, severity=2)
    assert site.told(NOW) == [("warning", None)]
    double.events[event]["severity"] = "5"
    assert site.told(NOW + 15_000) == [("critical", None), ("warning", NOW + 15_000)]
    double.events[event]["severity"] = "4"  # another word, the same for us: its note is renewed
    assert site.told(NOW + 30_000) == [("critical", None)]


def test_two_events_of_one_trigger_are_one_alert_until_both_end(double: Double, site: Site) -> None:
    first, second = double.fire(NOW_S), double.fire(NOW_S + 1)
    one, two = site.ask(NOW + 5_000)
    assert isinstance(one, Alert) and isinstance(two, Alert)
    assert one.key == two.key and two.starts_ms == one.starts_ms
    double.recover(first, NOW_S + 10)
    assert site.told(NOW + 15_000) == []
    double.recover(second, NOW_S + 20)
    assert site.told(NOW + 30_000) == [("critical", NOW + 20_000)]


@pytest.mark.parametrize("how", ["deleted", "suppressed"])
def test_what_is_shown_no_more_ends(double: Double, site: Site, how: str) -> None:
    event = double.fire(NOW_S)
    site.ask(NOW)
    if how == "deleted":
        del double.events[event]
    else:
        double.events[event]["suppressed"] = "1"
    assert site.told(NOW + 15_000) == [("critical", NOW + 15_000)]


def test_only_what_is_wanted(double: Double, store: Store, tmp_path: Path) -> None:
    more: dict[str, Any] = {
        "severity_min": ZabbixSeverity.AVERAGE,
        "host_groups": ("Linux servers",),
    }
    site = Site(double, store, tmp_path, **more)
    double.fire(NOW_S, severity=2)
    double.fire(NOW_S, trigger="16", severity=3)
    assert site.told(NOW) == [("warning", None)]
    assert all(
        asked["groupids"] == ["2"] for method, asked in double.asked if method == "problem.get"
    )
    lost = Site(double, store, tmp_path, host_groups=("Nowhere",))
    assert lost.told(NOW) == []
    assert 'no host group "Nowhere"' in lost.wrong()["ask"]


def test_pages_and_a_limit(double: Double, store: Store, tmp_path: Path) -> None:
    site = Site(double, store, tmp_path, page_size=3, problems_max=7)
    events = [double.fire(NOW_S, trigger=str(100 + n)) for n in range(9)]
    assert len(site.ask(NOW)) == 7
    assert "problems_max" in site.wrong()["limit"]
    assert site.poll.counters()["tocsin_zabbix_problems_left_out"] == 1  # as far as it was looked
    double.recover(events[0], NOW_S + 1)
    double.recover(events[1], NOW_S + 1)
    found = site.ask(NOW + 15_000)
    assert [a.ends_ms is None for a in found if isinstance(a, Alert)].count(True) == 2
    site.ask(NOW + 30_000)
    assert "limit" not in site.wrong()


def test_a03_a_page_that_comes_again_and_again_ends_the_round(
    double: Double, store: Store, tmp_path: Path
) -> None:
    site = Site(double, store, tmp_path, page_size=1)
    site.ask(NOW)
    same = json.dumps({"jsonrpc": "2.0", "id": 1, "result": [{"eventid": "7", "clock": "1"}]})
    double.instead = lambda method, params: (
        (200, same.encode(), {}) if method in ("problem.get", "event.get") else None
    )
    site.ask(NOW + 15_000)
    assert "said the same events again" in site.wrong()["ask"]


def test_f05_nothing_is_lost_where_the_journal_does_not_take_it(double: Double, site: Site) -> None:
    event = double.fire(NOW_S)
    site.refuses = True
    assert site.told(NOW) == []
    assert "journal does not take" in site.wrong()["journal"]
    assert site.poll.save() == site.another().save()  # nothing is claimed
    site.refuses = False
    assert site.told(NOW + 15_000) == [("critical", None)]
    site.refuses = True
    double.recover(event, NOW_S + 20)
    site.ask(NOW + 30_000)
    site.refuses = False
    assert site.told(NOW + 45_000) == [("critical", NOW + 20_000)]
    assert site.wrong() == {}


def test_a_restart_goes_on_where_it_was(double: Double, site: Site) -> None:
    first = double.fire(NOW_S)
    site.ask(NOW)
    kept = site.poll.save()
    site.poll = site.another()
    site.poll.load(kept)
    double.recover(first, NOW_S + 60)
    passing = double.fire(NOW_S + 100, trigger="16", severity=1)
    double.recover(passing, NOW_S + 110)
    # What is over comes first, then what came and went while nobody asked.
    assert site.told(NOW + 600_000) == [
        ("critical", NOW + 60_000), ("info", None), ("info", NOW + 110_000),
    ]  # fmt: skip
    with pytest.raises(SnapshotError):
        site.another().load(kept[:-9] + b"123456789")


def test_after_a_crash_without_a_snapshot_the_records_say_what_was_open(
    double: Double, site: Site
) -> None:
    event = double.fire(NOW_S)
    (alert,) = site.ask(NOW)
    assert isinstance(alert, Alert)
    site.keep(an_incident(), alert)
    site.poll = site.another()
    double.recover(event, NOW_S + 60)
    assert site.told(NOW + 600_000) == [("critical", NOW + 60_000)]


def test_what_stays_open_is_told_again_before_it_expires(double: Double, site: Site) -> None:
    double.fire(NOW_S)
    site.ask(NOW)
    assert site.told(NOW + 11 * 3_600_000) == []
    (alert,) = site.ask(NOW + 13 * 3_600_000)
    assert isinstance(alert, Alert) and alert.starts_ms == NOW
    assert alert.expires_ms is not None and alert.expires_ms > NOW + 7 * 86_400_000


def acts(found: Sequence[Alert | Act]) -> list[tuple[str, str, str]]:
    return [(act.kind.value, act.actor, act.text) for act in found if isinstance(act, Act)]


def test_what_people_do_there_are_acts_and_what_we_did_is_not(double: Double, site: Site) -> None:
    one, two = double.fire(NOW_S), double.fire(NOW_S, trigger="16")
    alerts = [a for a in site.ask(NOW) if isinstance(a, Alert)]
    double.write(one, 6, "Tocsin: acknowledged [tocsin 0123456789abcdef]", at_s=NOW_S + 1)
    double.write(one, 6, "I am on it", at_s=NOW_S + 2)
    double.write(two, 6, "I am on it", at_s=NOW_S + 2)  # in one go: once for the incident
    double.write(two, 4, "found it", at_s=NOW_S + 3, user="2")
    double.write(two, 8, "", at_s=NOW_S + 3)  # another severity: no act
    assert acts(site.ask(NOW + 15_000)) == []  # there is no incident yet
    site.keep(an_incident(), *alerts)
    assert acts(site.ask(NOW + 30_000)) == [
        ("acknowledge", "user1 (zabbix)", "I am on it"),
        ("note", "user2 (zabbix)", "found it"),
    ]
    assert acts(site.ask(NOW + 45_000)) == []
    site.keep(an_incident(IncidentState.ACKNOWLEDGED))
    double.write(one, 2, "", at_s=NOW_S + 50)  # it is acknowledged already
    double.write(one, 16, "", at_s=NOW_S + 51)
    assert acts(site.ask(NOW + 60_000)) == [("unacknowledge", "user1 (zabbix)", "")]


def test_an_act_is_named_the_same_when_it_is_read_again(double: Double, site: Site) -> None:
    event = double.fire(NOW_S)
    alerts = [a for a in site.ask(NOW) if isinstance(a, Alert)]
    site.keep(an_incident(), *alerts)
    double.write(event, 4, "look", at_s=NOW_S + 1)
    (first,) = site.ask(NOW + 15_000)
    site.poll = site.another()  # a crash before any snapshot
    again = [act for act in site.ask(NOW + 30_000) if isinstance(act, Act)]
    assert [act.id for act in again] == [first.id]


def test_an_act_whose_alert_never_gets_an_incident_is_let_go(double: Double, site: Site) -> None:
    event = double.fire(NOW_S)
    site.ask(NOW)
    double.write(event, 4, "look", at_s=NOW_S + 1)
    assert acts(site.ask(NOW + 15_000)) == acts(site.ask(NOW + 700_000)) == []
    assert site.poll.book.followed[str(event)].update > 0


def test_its_own_up(double: Double, site: Site) -> None:
    def up(now_ms: int) -> list[float]:
        site.ask(now_ms)
        found = [b for b in site.poll.poll(now_ms + 1_000) if isinstance(b, MetricBatch)]
        return [float(value) for batch in found for value in batch.values]

    assert site.poll.poll(NOW) == []
    site.poll.wait(60.0)
    assert [float(b.values[0]) for b in site.poll.poll(NOW) if isinstance(b, MetricBatch)] == [1.0]
    double.instead = lambda method, params: (503, b"", {})
    site.ask(NOW + 15_000)
    (batch,) = site.poll.poll(NOW + 30_000)
    assert isinstance(batch, MetricBatch) and batch.values[0] == 0.0
    assert "answered 503" in site.wrong()["ask"]


def test_a_user_logs_in_and_again_when_the_session_has_ended(
    double: Double, store: Store, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text("secret")
    more = {"token_file": "", "username": "tocsin", "password_file": str(tmp_path / "password")}
    site = Site(double, store, tmp_path, **more)
    double.fire(NOW_S)
    assert len(site.ask(NOW)) == 1
    double.token = "ended"
    double.fire(NOW_S, trigger="16")
    assert len(site.ask(NOW + 15_000)) == 1
    assert double.logins == 2


def test_an_upgrade_under_way_is_noticed(store: Store, tmp_path: Path) -> None:
    with serving(Double()) as double:
        site = Site(double, store, tmp_path)
        site.ask(NOW)
        double.version = "7.2.1"
        double.fire(NOW_S)
        site.ask(NOW + 15_000)
        assert "unexpected parameter" in site.wrong()["ask"]
        assert len(site.ask(NOW + 60_000)) == 1


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (404, b"<html>", "answered 404.*frontend"),
        (200, b"<html>", "not JSON"),
        (200, b"[]", "said list where a result was expected; is it a Zabbix?"),
        (200, b'{"result": 5}', "said int where a list of objects"),
        (200, b'{"result": [[]]}', "said list where a list of objects"),
        (200, b'{"result": [{"eventid": "x"}]}', "id is no number"),
        (200, b'{"result": [{}]}', "it failed"),
        (200, b"[" * 100_000, "not JSON"),
        (200, b'{"error": {"message": "Error", "data": "SQL statement execution has failed"}}', "database does not answer"),
        (200, b'{"error": {"message": "x", "data": "Not authorised."}}', "refused.*check token_file"),
        (429, b'{"error": {"data": "slow \\u001b[31m down"}}', 'answered 429.*"slow'),
    ],
)  # fmt: skip
def test_a03_malformed_answers_are_sentences(
    double: Double, site: Site, status: int, body: bytes, said: str
) -> None:
    site.ask(NOW)
    double.instead = lambda method, params: (status, body, {})
    site.ask(NOW + 15_000)
    assert re.search(said, site.wrong()["ask"], re.DOTALL)
    assert "\x1b" not in site.wrong()["ask"] and "t0ken" not in site.wrong()["ask"]
    double.instead = lambda method, params: None
    double.fire(NOW_S)
    assert len(site.ask(NOW + 3_600_000)) == 1


def test_a02_a_bomb_is_met_early(double: Double, store: Store, tmp_path: Path) -> None:
    site = Site(double, store, tmp_path, body_bytes_max=100_000)
    bomb = gzip.compress(b"0" * 20_000_000, 9)
    double.instead = lambda method, params: (200, bomb, {"Content-Encoding": "gzip"})
    site.ask(NOW)
    assert "longer than 100000 bytes" in site.wrong()["ask"]


def test_a23_hostile_problems_do_no_harm(double: Double, site: Site) -> None:
    many = {f"tag{n}": "x" * 9_999 for n in range(500)}
    double.fire(NOW_S, name="a" * 99_999, tags=many)
    double.fire(10**17, trigger="16")
    double.fire(NOW_S, trigger="17", hosts="none", acknowledges={"a": 1})
    found = site.ask(NOW)
    assert len(found) == 3
    assert all(isinstance(a, Alert) and a.starts_ms <= NOW and len(a.labels) <= 64 for a in found)
