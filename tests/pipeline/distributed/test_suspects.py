"""Which messages are held to blame for the crash of a stage, and for how long it is known."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import distributed as played
from benchmarks.telemetry import World
from model.change import Change
from model.codec import encode
from model.journal import JournalKind
from pipeline.distributed.aligning import Alignment, Mark
from pipeline.distributed.correlating import Care, Undone
from pipeline.distributed.holding import CorrelatingPartition
from pipeline.distributed.suspects import KNOWN_MAX, TRIES_MAX, Suspects
from pipeline.distributed.wire import Entries, Entry, Told, write
from pipeline.settings import Settings
from store import audit as audit_rows
from store import changes as change_rows
from store import snapshots as snapshot_rows
from store.store import Store
from tests.pipeline.distributed.test_aligning import entry, told

NOW_MS = 1_700_000_000_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(f"sqlite:///{tmp_path / 'records.db'}", now_ms=0)
    yield opened
    opened.close()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return played.configure(tmp_path / "config", World(services=2), "kafka: {partitions: 1}\n")


def test_f23_a_message_that_crashes_its_stage_is_poison_the_third_time(store: Store) -> None:
    suspects = Suspects(store, "detect")
    for _ in range(TRIES_MAX - 1):
        suspects.crashed(0, [17], 0)
    assert suspects.poisonous(0) == {}
    suspects.crashed(0, [17], 0)
    assert Suspects(store, "detect").poisonous(0) == {17: False}
    assert suspects.poisonous(1) == Suspects(store, "correlate").poisonous(0) == {}


def test_f23_two_poisons_between_two_snapshots_are_both_remembered(store: Store) -> None:
    """Else each would make the other forgotten, and the partition would never proceed."""
    suspects = Suspects(store, "detect")
    for offset in (17, 18):
        for _ in range(TRIES_MAX):
            suspects.crashed(0, [offset], 0)
        suspects.set_aside(0, offset, "why", 0)
    assert suspects.poisonous(0) == {17: True, 18: True}
    with store.records.read() as conn:
        assert len(audit_rows.recent(conn)) == 2
    suspects.forget(0)
    assert suspects.poisonous(0) == {}


def test_what_does_not_read_is_set_aside_once(store: Store) -> None:
    suspects = Suspects(store, "detect")
    suspects.set_aside(0, 5, "not a message", 0)
    assert suspects.poisonous(0) == {5: True}


def test_of_several_it_is_sought_which(store: Store) -> None:
    suspects = Suspects(store, "correlate")
    assert suspects.care(0) == Care()
    suspects.crashed(0, [3, 7, 5], 0)
    assert suspects.poisonous(0) == {}
    assert suspects.care(0) == Care(7)
    suspects.crashed(0, [3, 5], 0)  # and none of them was to blame alone
    assert Suspects(store, "correlate").care(0) == Care(7, 5)
    suspects.crashed(0, [8, 9], 0)
    assert suspects.care(0) == Care(9, 5)


def test_what_is_remembered_is_bounded(store: Store) -> None:
    suspects = Suspects(store, "detect")
    for offset in range(KNOWN_MAX + 2):
        suspects.past(0, offset, 0)
    known = suspects.poisonous(0)
    assert (len(known), min(known)) == (KNOWN_MAX, 2)


def test_a_round_message_by_message_is_the_same_round() -> None:
    alignment = Alignment(2, patience_ms=60_000, mark=Mark(resume=4, now_ms=500))
    sent: list[Told | Entry | Entries] = [told(0, 900), told(1, 900), entry(950), entry(960), told(1, 1_000, "b"), told(0, 1_000, "a")]  # fmt: skip
    rounds = [one for n, message in enumerate(sent, 10) for one in alignment.take(message, n)]
    whole = rounds[-1]
    assert whole.offsets == (12, 13, 15, 14)  # pushes first, then what was told by its source
    parts = list(whole.apart(Mark(4, 900, -1, {0: 900, 1: 900})))
    assert [offset for offset, _ in parts] == [12, 13, 15, 14]
    assert tuple(e for _, one in parts for e in one.entries) == whole.entries
    assert tuple(a for _, one in parts for a in one.alerts) == whole.alerts
    assert [one.mark.resume for _, one in parts] == [4, 4, 4, whole.mark.resume]
    assert [one.mark.entries for _, one in parts] == [12, 13, 13, whole.mark.entries]
    assert [one.mark.told.get(0) for _, one in parts] == [900, 900, 1_000, 1_000]
    assert parts[-1][1].mark == whole.mark


def pushed(name: str, time_ms: int = NOW_MS) -> bytes:
    change = Change(name, time_ms, "deploy", "service00", name)
    return write(Entries((Entry(JournalKind.CHANGE, "x", NOW_MS, encode(change)),)))


def test_f23_a_push_that_crashes_a_later_step_is_found_among_others(
    store: Store, settings: Settings
) -> None:
    """The step is made with a tick that comes after it: that tick is not to blame."""
    no_time_ms = 2**64 - 1  # it reads, and no database takes it
    messages = [
        pushed("good"), pushed("bad", no_time_ms), pushed("bad too", no_time_ms), pushed("as good"),
        *[write(Told(0, NOW_MS + 1_000 * n)) for n in range(20)],
    ]  # fmt: skip
    suspects, crashes = Suspects(store, "correlate"), 0
    while crashes < 50:
        held = CorrelatingPartition(settings, store, 0, lambda: None)
        held.care = suspects.care(0)
        poison = suspects.poisonous(0)
        at = -1
        try:
            for at in range(held.next or 0, len(messages)):
                if at not in poison:
                    held.take(messages[at], at)
            break
        except OverflowError:
            suspects.crashed(0, held.doubtful or (at,), NOW_MS)
            crashes += 1
    assert suspects.poisonous(0) == {1: False, 2: False}
    assert crashes == 1 + 2 * TRIES_MAX
    with store.records.read() as conn:
        kept = change_rows.between(conn, 0, 2 * NOW_MS)
    assert {one.id for one in kept} == {"good", "as good"}


def test_what_is_taken_apart_ends_as_the_whole(store: Store, settings: Settings) -> None:
    """Where no message alone is to blame, each has a step of its own."""
    held = CorrelatingPartition(settings, store, 0, lambda: None)
    held.care = Care(10, 10)
    told_ = [write(Told(0, NOW_MS + 1_000 * n)) for n in range(3)]
    for at, message in enumerate([pushed("a"), pushed("b"), *told_]):
        held.take(message, at)
    assert held.resume == 3 and held.doubtful == ()  # a mark is written with what is decided
    with store.records.read() as conn:
        assert {one.id for one in change_rows.between(conn, 0, 2 * NOW_MS)} == {"a", "b"}


def test_a_trial_keeps_nothing(store: Store) -> None:
    records = Undone(store.records)
    with records.write() as conn:
        snapshot_rows.put(conn, "x", b"1", now_ms=1)
        assert snapshot_rows.get(conn, "x") == b"1"
    with records.read() as conn:
        assert snapshot_rows.get(conn, "x") is None
    with pytest.raises(ZeroDivisionError), records.write():
        _ = 1 // 0
