"""What is kept of a partition, and messages that crash it."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import distributed as played
from benchmarks.telemetry import World
from pipeline.distributed.holding import TRIES_MAX, DetectingPartition, Suspects
from pipeline.distributed.wire import Tick, write
from store.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(f"sqlite:///{tmp_path / 'records.db'}", now_ms=0)


def test_a_partition_goes_on_behind_what_is_kept(store: Store, tmp_path: Path) -> None:
    settings = played.configure(tmp_path / "config", World(services=2))
    first = DetectingPartition(settings, store, 0)
    for offset in range(5):
        first.take(write(Tick(1_000 * (offset + 1))), offset)
    first.save(5_000)()
    second = DetectingPartition(settings, store, 0)
    assert (second.next, second.resume, second.now_ms) == (5, 5, 5_000)
    # Who lost the partition and does not know it sets nothing back.
    second.take(write(Tick(9_000)), 5)
    second.save(9_000)()
    first.save(9_500)()
    assert DetectingPartition(settings, store, 0).next == 6
    store.close()


def test_f23_a_message_that_crashes_its_stage_is_poison_the_third_time(store: Store) -> None:
    suspects = Suspects(store, "detect")
    for _ in range(TRIES_MAX - 1):
        suspects.crashed(0, 17, 0)
    assert suspects.poisonous(0) is None
    suspects.crashed(0, 18, 0)  # another one: it begins anew
    assert suspects.poisonous(0) is None
    for _ in range(TRIES_MAX - 1):
        suspects.crashed(0, 18, 0)
    assert Suspects(store, "detect").poisonous(0) == 18
    assert suspects.poisonous(1) is None
    store.close()
