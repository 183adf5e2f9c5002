"""What is kept of a partition."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import distributed as played
from benchmarks.telemetry import World
from model.labels import Labels
from pipeline.checkpoints import pack, unpack
from pipeline.distributed.blocks import pack_labels
from pipeline.distributed.correlating import Care
from pipeline.distributed.holding import DetectingPartition
from pipeline.distributed.wire import Samples, Tick, write
from store import offsets as offset_rows
from store import snapshots as snapshot_rows
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


def test_f27_a_release_goes_on_from_what_it_can_read_and_the_next_one_from_the_newest(
    store: Store, tmp_path: Path
) -> None:
    settings = played.configure(tmp_path / "config", World(services=2))

    def ticked(held: DetectingPartition, upto: int) -> DetectingPartition:
        for offset in range(held.next or 0, upto):
            held.take(write(Tick(1_000 * (offset + 1))), offset)
        held.save(upto * 1_000)()
        return held

    ticked(DetectingPartition(settings, store, 0), 5)
    # The next release took over, and wrote what this one does not read.
    with store.records.write() as conn:
        ours = snapshot_rows.get(conn, "detect.0")
        assert ours is not None
        parts = unpack(ours[8:])
        own = {**json.loads(parts["own"]), "version": 2, "by": "next"}
        newer = (9).to_bytes(8, "big") + pack({**parts, "own": json.dumps(own).encode()})
        snapshot_rows.put(conn, "detect.0.before", ours, now_ms=5_000)
        snapshot_rows.put(conn, "detect.0", newer, now_ms=9_000)
        offset_rows.advance(conn, "detect.0", 9)
    again = DetectingPartition(settings, store, 0)
    assert (again.next, again.now_ms) == (5, 5_000)
    ticked(again, 8)
    with store.records.read() as conn:  # not yet as far as the other: nothing is set back
        assert snapshot_rows.get(conn, "detect.0") == newer
    ticked(again, 12)
    assert DetectingPartition(settings, store, 0).next == 12
    # What another release wrote, in a form that this one reads, is kept as it is when ours follows.
    with store.records.write() as conn:
        mine = snapshot_rows.get(conn, "detect.0")
        assert mine is not None
        parts = unpack(mine[8:])
        own = {**json.loads(parts["own"]), "by": "the one before"}
        older = mine[:8] + pack({**parts, "own": json.dumps(own).encode()})
        snapshot_rows.put(conn, "detect.0", older, now_ms=12_000)
    ticked(DetectingPartition(settings, store, 0), 14)
    with store.records.read() as conn:
        assert snapshot_rows.get(conn, "detect.0.before") == older
    ticked(DetectingPartition(settings, store, 0), 15).save(10 * 86_400_000)()
    store.close()


def test_f20_a_partition_whose_snapshot_is_damaged_starts_cold_and_says_so(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = played.configure(tmp_path / "config", World(services=2))
    with store.records.write() as conn:
        snapshot_rows.put(conn, "detect.0", b"\0" * 100, now_ms=1)
    assert DetectingPartition(settings, store, 0).next is None
    assert "snapshot detect.0 is not used" in caplog.text
    store.close()


def test_a_partition_of_a_topic_that_was_made_again_counts_anew_and_keeps_what_it_learnt(
    store: Store, tmp_path: Path
) -> None:
    settings = played.configure(tmp_path / "config", World(services=2))
    first = DetectingPartition(settings, store, 0)
    for offset in range(900, 905):
        first.take(write(Tick(1_000 * offset)), offset)
    first.save(5_000)()
    DetectingPartition(settings, store, 0).begin_anew(0, 6_000)
    again = DetectingPartition(settings, store, 0)
    assert (again.next, again.now_ms) == (0, 904_000)
    again.take(write(Tick(905_000)), 0)
    again.save(7_000)()
    assert DetectingPartition(settings, store, 0).next == 1  # snapshots move on
    store.close()


def test_f23_up_to_where_it_crashed_a_stage_takes_each_message_by_itself(
    store: Store, tmp_path: Path
) -> None:
    settings = played.configure(tmp_path / "config", World(services=2))
    up = pack_labels([Labels.of({"__name__": "up", "job": "shop"})])

    def taken(held: DetectingPartition, offset: int) -> float:
        """How many samples the detectors have seen once this message is taken."""
        at_ms = 1_000 * (offset + 1)
        held.take(write(Samples(up, np.array([at_ms]), np.array([1.0]), at_ms, "shop")), offset)
        return held.stage.engine.counters()["tocsin_detector_samples_total"]

    def doubtful(held: DetectingPartition) -> list[int]:
        return list(held.doubtful)

    # Samples of one time wait for their companions, until another time comes, a tick or a snapshot.
    held = DetectingPartition(settings, store, 0)
    assert [taken(held, 0), taken(held, 1)] == [0, 1]
    assert doubtful(held) == [0, 1]
    held.take(write(Tick(5_000)), 2)
    assert doubtful(held) == []
    assert held.stage.engine.counters()["tocsin_detector_samples_total"] == 2
    assert taken(held, 5) == 2
    assert doubtful(held) == [5]
    held.save(6_000)()
    assert doubtful(held) == []
    assert held.stage.engine.counters()["tocsin_detector_samples_total"] == 3
    # What ended it may have been any of those that waited, and not the tick that had them taken.
    held = DetectingPartition(settings, store, 0)
    held.care = Care(7)
    assert [taken(held, offset) for offset in (6, 7, 8)] == [4, 5, 5]
    store.close()
