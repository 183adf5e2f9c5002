"""Workers on a real broker: whatever happens to them, what is decided is what one process decides."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks import distributed as played
from benchmarks.brokers import Broker, Cluster, received
from model.change import Change
from model.codec import encode
from model.journal import JournalKind
from pipeline.distributed.wire import Dead, Entries, Entry, read, write
from store import audit as audit_rows
from store.store import Store
from tests.pipeline.distributed.conftest import PARTITIONS, WORLD, Storm

LONGEST_S = 900.0
"""Only a failure waits so long."""


def until(missing: Callable[[], set[bytes]]) -> set[bytes]:
    end_s = time.monotonic() + LONGEST_S
    while (found := missing()) and time.monotonic() < end_s:
        time.sleep(0.5)
    return found


def differences(cluster: Cluster, expected: list[bytes]) -> set[bytes]:
    """What differs when it is what is expected, or in the end."""
    return until(lambda: set(expected) ^ set(cluster.outcome()))


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    broker = Broker(tmp_path)
    one = Cluster(tmp_path, broker, WORLD, partitions=PARTITIONS)
    yield one
    one.close()
    broker.close()


def test_one_worker_decides_what_one_process_decides(cluster: Cluster, storm: Storm) -> None:
    cluster.worker("detect,correlate")
    cluster.send(storm.messages)
    assert differences(cluster, storm.expected) == set()


def test_f22_one_of_two_killed_in_the_middle_changes_nothing(
    cluster: Cluster, storm: Storm
) -> None:
    first, _second = cluster.worker("detect,correlate"), cluster.worker("detect,correlate")
    most, more = 6 * len(storm.messages) // 10, 8 * len(storm.messages) // 10
    cluster.send(storm.messages[:most])
    assert until(lambda: set() if cluster.outcome() else {b"nothing yet"}) == set()
    cluster.send(storm.messages[most:more])
    first.kill()
    cluster.worker("detect,correlate")  # and a third joins: another rebalance
    cluster.send(storm.messages[more:])
    assert differences(cluster, storm.expected) == set()


def test_f22_of_two_who_decide_about_domains_one_is_killed_in_the_storm(
    tmp_path: Path, storm: Storm
) -> None:
    broker = Broker(tmp_path)
    cluster = Cluster(tmp_path, broker, WORLD, partitions=PARTITIONS, domains=3)
    try:
        store = Store.open(f"sqlite:///{tmp_path / 'embedded.db'}", now_ms=0)
        played.embedded(storm.folder / "recorded", cluster.settings, store)
        expected = played.outcome(store)
        store.close()
        recorded = storm.folder / "recorded"
        messages = list(played.messages(recorded, PARTITIONS, settings=cluster.settings))
        assert len({number for topic, number, _ in messages if topic == played.ALERTS}) == 2
        cluster.worker("detect")
        first, _second = cluster.worker("correlate"), cluster.worker("correlate")
        most = 7 * len(messages) // 10
        cluster.send(messages[:most])
        assert until(lambda: set() if cluster.outcome() else {b"nothing yet"}) == set()
        first.kill()
        cluster.send(messages[most:])
        assert differences(cluster, expected) == set()
    finally:
        cluster.close()
        broker.close()


def test_f23_poison_is_set_aside_and_the_partitions_proceed(cluster: Cluster, storm: Storm) -> None:
    """What does not read, what crashes a stage at once, and what crashes it at a later tick."""
    cluster.worker("detect,correlate")
    half = len(storm.messages) // 2
    crashing = [write(Entry(JournalKind.FEEDBACK, name, 0, b"{}")) for name in "xy"]
    change = Change("x", 2**64 - 1, "deploy", "a", "a")  # it reads, and no database takes its time
    late = write(Entries((Entry(JournalKind.CHANGE, "x", 0, encode(change)),)))
    poison = [
        (played.TELEMETRY, 0, b"TCW1 not a message"),
        *[(played.TELEMETRY, 1, one) for one in crashing],
        (played.ALERTS, 0, b"\0" * 100),
        (played.ALERTS, 0, late),
    ]
    cluster.send([*storm.messages[:half], *poison, *storm.messages[half:]])
    assert differences(cluster, storm.expected) == set()
    kafka = cluster.settings.machine.kafka
    bodies = {data for _, _, data in poison}

    def differ() -> set[bytes]:
        dead = [read(one) for one in asyncio.run(received(kafka, kafka.dead))]
        return bodies ^ {one.body for one in dead if isinstance(one, Dead)}

    assert until(differ) == set()

    def noted() -> int:
        store = cluster.store()
        with store.records.read() as conn:
            acts = [one.act for one in audit_rows.recent(conn)]
        store.close()
        return acts.count("kafka.set_aside")

    assert until(lambda: set() if noted() >= len(poison) else {b"not yet"}) == set()
    assert noted() == len(poison)
