"""A journal entry that crashes a stage is found within a few restarts, set aside, and recorded (F23)."""

from __future__ import annotations

from pathlib import Path

import pytest

from model.alert import Alert
from model.clock import ManualClock
from model.codec import encode
from model.journal import JournalKind, NewEntry
from model.labels import Labels
from pipeline import wiring
from pipeline.checkpoints import Checkpoints
from pipeline.core import Core
from pipeline.embedded import Embedded
from pipeline.pace import Pace
from pipeline.quarantine import Quarantine
from pipeline.settings import Settings, load
from store import alerts as alert_rows
from store import audit
from store.store import Store

T0 = 1_700_000_000_000
POISON = 333
ALERTS = 700


class Crash(Exception):
    """A mistake of ours."""


def _loop(settings: Settings, store: Store, folder: Path, said: list[str]) -> Embedded:
    """As after a restart; the correlator has a bug that one alert meets."""
    index = wiring.build_index(settings.machine)
    core: Core = wiring.build_core(settings, store, index, report=said.append)
    take = core.correlator.take

    def buggy(items, *, now_ms):  # type: ignore[no-untyped-def]
        if any(isinstance(i, Alert) and i.labels["instance"] == str(POISON) for i in items):
            raise Crash
        return take(items, now_ms=now_ms)

    core.correlator.take = buggy  # type: ignore[method-assign]
    loop = Embedded(
        core=core,
        store=store,
        index=index,
        collectors=[],
        checkpoints=Checkpoints(folder),
        saved={},
        clock=ManualClock(T0),
        pace=Pace(),
    )
    loop.restore()
    return loop


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "tocsin.yaml").write_text("correlator: {group_wait: 0s}\n")
    return load(tmp_path)


def test_f23_the_entry_is_set_aside_and_all_others_are_taken(
    settings: Settings, tmp_path: Path
) -> None:
    store = Store.open(f"sqlite:///{tmp_path / 'tocsin.db'}", now_ms=T0)
    alerts = [
        Alert(Labels.of({"alertname": "A", "service": "s", "instance": str(n)}), "x", T0, T0)
        for n in range(ALERTS)
    ]
    store.journal.append([NewEntry(JournalKind.ALERT, "x", T0, encode(a)) for a in alerts])
    said: list[str] = []
    crashes = 0
    while crashes < 20:
        loop = _loop(settings, store, tmp_path / "snapshots", said)
        try:
            while loop.core.taken < store.journal.last():
                loop.turn()
            loop.turn()
            break
        except Crash:
            crashes += 1
    assert crashes <= 5
    with store.records.read() as conn:
        kept = {s.alert.labels["instance"] for s in alert_rows.active(conn, resolved_since_ms=0)}
        (record,) = audit.recent(conn, act="journal.set_aside")
    assert {str(n) for n in range(ALERTS)} - kept == {str(POISON)}
    assert record.target == str(POISON + 1)
    assert f'"instance":"{POISON}"' in record.detail
    assert [line for line in said if "set aside" in line]
    assert loop.core.poisoned == 1
    # Nothing is suspected any more: a later crash begins anew.
    assert not (tmp_path / "snapshots" / "suspects.json").exists()
    store.close()


def test_f23_a_crash_without_entries_suspects_nothing(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path / "suspects.json")
    quarantine.crashed([])
    assert quarantine.portion(0, 5_000) == 5_000
    assert not list(tmp_path.iterdir())
