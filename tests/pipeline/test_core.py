"""One step over a real store: what is decided while the store refuses, and what a start takes up."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from model.alert import Alert
from model.change import Change
from model.codec import encode
from model.errors import StoreError
from model.journal import Heartbeat, JournalKind, NewEntry
from model.labels import Labels
from pipeline import core as core_module
from pipeline import wiring
from pipeline.core import Core
from pipeline.settings import Settings, load
from store import alerts as alert_rows
from store import changes as change_rows
from store import incidents as incident_rows
from store.settings import StoreSettings
from store.store import Store

T0 = 1_700_000_000_000


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "tocsin.yaml").write_text("correlator: {group_wait: 0s, group_wait_critical: 0s}\n")
    return load(tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    quick = StoreSettings(busy_timeout_ms=20)
    opened = Store.open(f"sqlite:///{tmp_path / 'data' / 'tocsin.db'}", now_ms=T0, settings=quick)
    yield opened
    opened.close()


def _core(settings: Settings, store: Store, *, simulated: bool = False) -> Core:
    index = wiring.build_index(settings.machine)
    return wiring.build_core(settings, store, index, simulated=simulated)


@contextmanager
def _refusing(store: Store) -> Iterator[None]:
    """Somebody else writes to the records, and goes on doing so."""
    other = sqlite3.connect(str(store.records.path), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield
    other.execute("ROLLBACK")
    other.close()


def _alert(name: str, service: str, at_ms: int) -> Alert:
    labels = Labels.of({"alertname": name, "service": service, "severity": "critical"})
    return Alert(labels, source="test", starts_ms=at_ms, arrival_ms=at_ms)


def _journal(store: Store, *alerts: Alert) -> None:
    store.journal.append(
        [NewEntry(JournalKind.ALERT, "test", T0, encode(alert)) for alert in alerts]
    )


def test_f19_what_is_decided_while_the_store_refuses_is_written_once_it_takes_it(
    settings: Settings, store: Store
) -> None:
    core = _core(settings, store)
    core.restore(T0)
    _journal(store, _alert("A", "a", T0), _alert("B", "b", T0))
    with _refusing(store):
        for number, entry in enumerate(store.journal.read(core.taken, 10)):
            with pytest.raises(StoreError):
                core.step(T0 + number, entries=[entry])
        assert (core.offset, core.taken) == (0, 2)
        with pytest.raises(StoreError):
            core.step(T0 + 2)
    core.flush()
    assert (core.offset, core.taken) == (2, 2)
    with store.records.read() as conn:
        opened = incident_rows.restorable(conn, since_ms=0, simulated=False)
    assert {incident.service for incident in opened} == {"a", "b"}
    # The same as a process that was killed meanwhile would have decided.
    other = _core(settings, store)
    other.restore(T0 + 3)
    assert other.step(T0 + 3).empty


def _change(number: int) -> Change:
    return Change(f"{number}", T0 + number, "deploy", "s", f"{number}")


def test_f19_decisions_that_wait_have_a_limit(
    settings: Settings, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core_module, "WAITING_MAX", 2)
    core = _core(settings, store)
    core.restore(T0)
    with _refusing(store):
        for number in range(4):
            with pytest.raises(StoreError):
                core.step(T0 + number, values=[_change(number)])
        assert core.full and core.steps == 2  # the others were not begun: nothing of them is lost
    core.step(T0 + 5)
    with store.records.read() as conn:
        kept = change_rows.between(conn, T0, T0 + 10, simulated=False)
    assert [change.title for change in kept] == ["0", "1"]


def test_all_changes_of_a_day_are_suspects_after_a_restart(
    settings: Settings, store: Store
) -> None:
    """Of many changes the latest is suspected: it must not be the one that a limit leaves out."""
    many = 1_200
    earlier = [
        Change(f"c{n}", T0 - 3_600_000 + n, "deploy", f"s{n % 40}", f"{n}") for n in range(many)
    ]
    latest = Change("latest", T0 - 60_000, "deploy", "pg", "pg 17")
    with store.records.write() as conn:
        change_rows.save(conn, [*earlier, latest])
    core = _core(settings, store)
    core.restore(T0)
    core.step(T0, values=[_alert("Down", "pg", T0)])
    core.step(T0 + 1_000)
    with store.records.read() as conn:
        (incident,) = incident_rows.restorable(conn, since_ms=0, simulated=False)
    assert incident.change_ids == ("latest",)
    assert [cause.change_id for cause in incident.causes if cause.change_id] == ["latest"]


def test_a_missing_heartbeat_is_missing_after_a_restart_too(
    settings: Settings, store: Store
) -> None:
    core = _core(settings, store)
    core.restore(T0)
    core.step(T0, values=[Heartbeat("backup", T0, 1_000)])
    core.step(T0 + 2_000)
    again = _core(settings, store)
    again.restore(T0 + 3_000)
    assert again.step(T0 + 3_000).empty  # not told twice
    again.step(T0 + 4_000, values=[Heartbeat("backup", T0 + 4_000, 1_000)])
    with store.records.read() as conn:
        assert alert_rows.firing(conn, simulated=False) == []


def test_a_simulated_past_has_no_heartbeats_of_the_living(settings: Settings, store: Store) -> None:
    core = _core(settings, store)
    core.restore(T0)
    core.step(T0, values=[Heartbeat("backup", T0, 1_000)])
    past = _core(settings, store, simulated=True)
    past.restore(T0)
    assert past.step(T0 + 60_000).empty


def test_f23_an_entry_that_cannot_be_read_is_counted_and_passed_over(
    settings: Settings, store: Store
) -> None:
    said: list[str] = []
    index = wiring.build_index(settings.machine)
    core = wiring.build_core(settings, store, index, report=said.append)
    core.restore(T0)
    bodies = [b"{", b"[]", b'{"labels": 5}', encode(_alert("Good", "s", T0))]
    store.journal.append([NewEntry(JournalKind.ALERT, "test", T0, body) for body in bodies])
    core.step(T0, entries=store.journal.read(0, 10))
    assert core.poisoned == len(said) == 3 and "journal entry 1 (alert)" in said[0]
    assert core.offset == 4
    with store.records.read() as conn:
        assert len(alert_rows.firing(conn, simulated=False)) == 1
