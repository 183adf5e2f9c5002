"""A running Tocsin in this process, its clock turned by hand: what is kept, exchanged, counted and forgotten."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from collectors.exemplars import Exemplar
from model.alert import Alert, Evidence
from model.batch import MetricBatch
from model.change import Change
from model.clock import ManualClock
from model.codec import encode
from model.errors import InputError
from model.journal import Heartbeat, JournalKind, NewEntry
from model.labels import Labels
from pipeline import health, retention
from pipeline.checkpoints import Checkpoints, pack, unpack
from pipeline.embedded import SNAPSHOT
from pipeline.retention import Retention
from pipeline.runtime import Runtime
from pipeline.settings import Settings, load
from pipeline.telemetry import Telemetry, add_up, split_name
from store import alerts as alert_rows
from store import changes as change_rows

T0 = 1_700_000_000_000
SERIES = Labels.of({"__name__": "queue_length", "job": "mail", "instance": "a"})


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "tocsin.yaml").write_text(
        "host: {enabled: false}\nself: {enabled: false}\nlogs: {sources: []}\n"
    )
    read = load(tmp_path)
    return replace(read, machine=replace(read.machine, data=str(tmp_path / "data")))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(T0)


@pytest.fixture
def runtime(settings: Settings, clock: ManualClock) -> Iterator[Runtime]:
    made = Runtime(settings, clock, read=lambda: settings)
    yield made
    made.stop()


def _learn(runtime: Runtime, clock: ManualClock, samples: int = 120) -> Evidence:
    """Feed a series a second apart, with the loop not started; gives its band."""
    core = runtime.parts.core
    row = runtime.parts.index.intern(SERIES, source="test", now_ms=clock.now_ms())
    for number in range(samples):
        now_ms = clock.now_ms()
        value = 50.0 + 5.0 * np.sin(number / 7.0)
        core.step(now_ms, batches=[MetricBatch.of([row], now_ms, [value], arrival_ms=now_ms)])
        clock.sleep(1.0)
    return _band(runtime)


def _until_ready(runtime: Runtime) -> None:
    for _ in range(24_000):
        if runtime.parts.embedded.ready:
            return
        threading.Event().wait(0.01)
    pytest.fail("the loop made no step")


def _band(runtime: Runtime) -> Evidence:
    band = runtime.band(SERIES)
    assert band is not None and band.value
    return band


def test_what_was_learnt_is_the_same_after_a_restart(
    settings: Settings, clock: ManualClock
) -> None:
    first = Runtime(settings, clock)
    learnt = _learn(first, clock)
    first.start()
    first.stop()
    second = Runtime(settings, clock)
    second.start()
    assert _band(second) == learnt
    second.stop()


def test_a03_texts_of_any_length_end_nobody_who_says_them(
    settings: Settings, clock: ManualClock
) -> None:
    # As a journal may hold them that an older release wrote: the doors refuse what is so long.
    long, mail = "x" * 60_000, {"service": "mail", "severity": "critical"}
    down = Labels.of({"alertname": "Down", **mail})
    values = {
        JournalKind.CHANGE: Change("c", T0, long, "mail", long, long, long, long, source="ci"),
        JournalKind.HEARTBEAT: Heartbeat("backup", T0, 1_000, long, "cron"),
        JournalKind.ALERT: Alert(down, "am", T0, T0, generator_url=long),
    }
    entries = [NewEntry(kind, "x", T0, encode(value)) for kind, value in values.items()]
    for again in (False, True):
        runtime = Runtime(settings, clock)
        if not again:
            runtime.store.journal.append(entries)
        runtime.parts.embedded.restore()
        for _ in range(30):
            clock.sleep(5.0)
            runtime.parts.embedded.turn()
        with runtime.store.records.read() as conn:
            firing = alert_rows.firing(conn)
        assert {status.alert.name for status in firing} == {"Down", "HeartbeatMissing"}
        assert all(status.incident_id for status in firing)
        runtime.stop()


def test_traces_to_look_at_outlive_a_restart_as_far_as_a_snapshot_holds_them(
    settings: Settings, clock: ManualClock
) -> None:
    first = Runtime(settings, clock)
    series = Labels.of({"__name__": "wait_seconds_bucket", "service": "mail"})
    for number in range(40):
        trace = Labels.of({"trace_id": f"t{number:02}"})
        value = float("nan") if number == 39 else float(number)
        first.exemplars.keep([Exemplar(series, trace, T0 + number, value, failed=number == 3)])
    shown = first.exemplars.around(["mail"], T0, T0 + 100)
    assert [one.trace_id for one in shown] == ["t03", "t38", "t37", "t36", "t35"]
    first.start()
    first.stop()
    second = Runtime(settings, clock, read=lambda: settings)
    second.start()
    assert second.exemplars.around(["mail"], T0, T0 + 100) == shown
    assert second.exemplars.around(["mail"], T0 + 4, T0 + 23) == [], "the 16 that tell most"
    # What came since is not replaced by what was before.
    late = Exemplar(series, Labels.of({"trace_id": "late"}), T0 + 200, 99.0)
    second.exemplars.keep([late])
    assert second.reload() == []
    assert second.exemplars.around(["mail"], T0, T0 + 300)[1] == late
    second.stop()


def test_what_was_learnt_outlives_a_night_without_power(
    settings: Settings, clock: ManualClock
) -> None:
    first = Runtime(settings, clock)
    learnt = _learn(first, clock)
    first.start()
    first.stop()
    clock.sleep(12 * 3_600.0)
    second = Runtime(settings, clock)
    second.start()
    second.parts.embedded.wake()
    second.stop()
    assert _band(second) == learnt


def test_f25_a_reload_keeps_what_was_learnt_though_the_disk_takes_no_snapshot(
    runtime: Runtime, clock: ManualClock, tmp_path: Path
) -> None:
    learnt = _learn(runtime, clock)
    runtime.start()
    before = runtime.parts
    runtime.checkpoints.folder.rename(tmp_path / "elsewhere")
    assert runtime.reload() == []
    assert runtime.parts is not before
    assert _band(runtime) == learnt
    (tmp_path / "elsewhere").rename(runtime.checkpoints.folder)


def test_f25_a_reload_is_refused_while_the_store_refuses(runtime: Runtime) -> None:
    runtime.start()
    before = runtime.parts
    _until_ready(runtime)
    before.embedded.failing_since_ms = T0
    (said,) = runtime.reload()
    assert "the store refuses writes" in said
    assert runtime.parts is before and runtime.reloads["last_ok"] == 0


def test_a_reload_that_fails_half_way_ends_the_process(runtime: Runtime) -> None:
    runtime.start()
    crashed = []
    runtime.on_crash = lambda: crashed.append(True)
    with sqlite3.connect(str(runtime.store.records.path)) as database:
        database.execute("ALTER TABLE ledger RENAME TO gone")
    with pytest.raises(Exception, match="no such table"):
        runtime.reload()
    assert crashed
    with sqlite3.connect(str(runtime.store.records.path)) as database:
        database.execute("ALTER TABLE gone RENAME TO ledger")
    database.close()


def test_what_a_mistake_of_ours_left_behind_is_not_saved(
    settings: Settings, clock: ManualClock
) -> None:
    runtime = Runtime(settings, clock)
    runtime.start()
    _until_ready(runtime)
    before = runtime.checkpoints.listed()
    runtime.parts.embedded._crashed = True
    runtime.stop()
    assert runtime.checkpoints.listed() == before != []


@pytest.mark.parametrize("stage", ["index", "engine", "miner", "tail"])
@pytest.mark.parametrize(
    "damage", [b"", b"{}", b"[]", b"\xff" * 64], ids=["empty", "object", "list", "bytes"]
)
def test_f20_no_stage_is_left_half_loaded(
    settings: Settings, clock: ManualClock, stage: str, damage: bytes
) -> None:
    first = Runtime(settings, clock)
    _learn(first, clock, samples=5)
    first.start()
    first.stop()
    checkpoints = Checkpoints(settings.data / "checkpoints")
    name, data = next(checkpoints.read(SNAPSHOT))
    parts = {**unpack(data), stage: damage}
    checkpoints.write(SNAPSHOT, pack(parts), now_ms=clock.now_ms())
    (checkpoints.folder / name).unlink()
    second = Runtime(settings, clock)
    second.start()
    assert second.checkpoints.damaged == 1
    assert len(second.parts.index) == 0  # cold, whichever stage it was that did not read
    second.stop()


def test_a_second_runtime_on_the_same_folder_is_refused_and_leaves_nothing_open(
    runtime: Runtime, settings: Settings, clock: ManualClock
) -> None:
    with pytest.raises(InputError, match="another Tocsin works on this folder"):
        Runtime(settings, clock)


def test_everything_can_be_asked_while_the_loop_works(runtime: Runtime, clock: ManualClock) -> None:
    """The console's threads read what the loop changes: nothing may raise, whatever comes between."""
    runtime.start()
    errors: list[BaseException] = []
    done = threading.Event()

    def ask() -> None:
        try:
            while not done.is_set():
                runtime.telemetry.exposition()
                health.assess(runtime)
                runtime.band(SERIES)
                runtime.band(Labels.of({"__name__": "m7", "job": "churn"}))
        except BaseException as error:
            errors.append(error)

    runtime.parts.embedded.stop()  # this thread is the loop now
    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    core, index = runtime.parts.core, runtime.parts.index
    for number in range(150):
        clock.sleep(1.0)
        now_ms = clock.now_ms()
        names = [f"m{n}" for n in range(number, number + 30)]
        rows = [
            index.intern(Labels.of({"__name__": name, "job": "churn"}), now_ms=now_ms)
            for name in names
        ]
        index.touch(np.array(rows), now_ms)
        values = [float(number % 7) * 100.0] * len(rows)
        core.step(now_ms, batches=[MetricBatch.of(rows, now_ms, values, arrival_ms=now_ms)])
        index.evict_stale(now_ms - 20_000)
        runtime.parts.embedded._publish()
    done.set()
    for thread in threads:
        thread.join()
    assert not errors, errors[0]


def test_health_says_what_is_wrong(runtime: Runtime, clock: ManualClock) -> None:
    assert not runtime.health().ready  # nothing has been stepped yet
    runtime.start()
    _until_ready(runtime)
    assert runtime.health().ready
    clock.sleep(31.0)
    found = runtime.health()
    assert not found.ready
    assert [one.detail for one in found.components if one.name == "pipeline"][0] is not None
    runtime.checkpoints.unusable("x", ValueError("damaged"))
    assert [one.name for one in runtime.health().checkpoints if not one.ok] == ["damaged"]


def test_the_exposition_is_one_that_a_prometheus_reads(runtime: Runtime) -> None:
    runtime.start()
    text = runtime.telemetry.exposition().decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert families["tocsin_steps"].type == "counter"
    assert families["tocsin_config_last_reload_successful"].samples[0].value == 1
    own = [name for name in families if name.startswith("tocsin_")]
    undocumented = [name for name in own if families[name].documentation.startswith("tocsin_")]
    assert len(own) > 60 and not undocumented


def test_counters_of_one_name_add_up_and_labels_come_apart() -> None:
    telemetry = Telemetry({"x_total": ("counter", "Xs.")}, version="1")
    telemetry.add(lambda: {'x_total{kind="a"}': 1.0, 'x_total{kind="b\\"c"}': 2.0})
    telemetry.add(lambda: {'x_total{kind="a"}': 3.0})
    text = telemetry.exposition().decode()
    assert 'x_total{kind="a"} 4.0' in text and 'x_total{kind="b\\"c"} 2.0' in text
    assert text.count("# HELP x_total Xs.") == 1
    assert add_up([lambda: {"a": 1}, lambda: {"a": 2, "b": 3}]) == {"a": 3, "b": 3}
    assert split_name("plain") == ("plain", {})


def _changes(runtime: Runtime) -> int:
    with runtime.store.records.read() as conn:
        return len(change_rows.between(conn, 0, T0, simulated=False))


def _prune(runtime: Runtime, clock: ManualClock, keep_ms: int, committed: int) -> int:
    pruning = Retention(runtime.store, clock, keep_ms=keep_ms, committed=lambda: committed)
    return pruning.prune(clock.now_ms())


def test_old_history_goes_however_much_it_is(
    runtime: Runtime, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "PAUSE_S", 0.0)
    monkeypatch.setattr(retention, "ROUNDS_MAX", 4)
    count = 5 * retention.ROWS_AT_ONCE
    old = [Change(str(n), T0 - 100_000 + n, "deploy", "s", "t") for n in range(count)]
    with runtime.store.records.write() as conn:
        change_rows.save(conn, old)
    assert _prune(runtime, clock, 99_500, 0) == 500  # what is younger stays
    assert _changes(runtime) == count - 500
    # A limit keeps one hour's work bounded; the next hour goes on.
    with runtime.store.records.write() as conn:
        change_rows.save(conn, old[:500])
    assert _prune(runtime, clock, 1, 0) == 4 * retention.ROWS_AT_ONCE
    assert _prune(runtime, clock, 1, 0) == count - 4 * retention.ROWS_AT_ONCE
    assert _changes(runtime) == 0


def test_the_journal_is_pruned_up_to_what_is_committed(
    runtime: Runtime, clock: ManualClock
) -> None:
    entries = [NewEntry(JournalKind.CHANGE, "test", T0, b"{}") for _ in range(10)]
    offsets = runtime.store.journal.append(entries)
    _prune(runtime, clock, 1, offsets[5])
    assert [entry.offset for entry in runtime.store.journal.read(0)] == offsets[6:]
