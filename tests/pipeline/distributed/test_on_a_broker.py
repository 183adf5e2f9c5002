"""Workers on a real broker: whatever happens to them, what is decided is what one process decides."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks import distributed as played
from pipeline.distributed import topics
from pipeline.distributed.wire import Dead, read
from store import audit as audit_rows
from store.store import Store
from tests.pipeline.distributed.broker import Broker, WorkerProcess, received, send
from tests.pipeline.distributed.conftest import PARTITIONS, WORLD, Storm

LONGEST_S = 90.0


class Cluster:
    """A broker, a configuration, a records database and workers."""

    def __init__(self, folder: Path, broker: Broker) -> None:
        self.broker = broker
        self.folder = folder
        self.data = folder / "data"
        self.data.mkdir()
        self.settings = played.configure(
            folder / "config",
            WORLD,
            f"kafka: {{brokers: ['{broker.address}'], partitions: {PARTITIONS}, replication: 1, "
            "patience: 1000d, session_timeout: 3s}\npipeline: {checkpoint_interval: 2s}\n"
            "host: {enabled: false}\nself: {enabled: false}\nlogs: {sources: []}\n",
        )
        asyncio.run(topics.create(self.settings.machine.kafka))
        self.workers: list[WorkerProcess] = []

    def worker(self, stages: str) -> WorkerProcess:
        log = self.folder / f"worker{len(self.workers)}.log"
        one = WorkerProcess(self.folder / "config", self.data, stages, log)
        self.workers.append(one)
        return one

    def send(self, messages: list[tuple[str, int, bytes]]) -> None:
        prefix = self.settings.machine.kafka.prefix
        asyncio.run(send(self.broker.address, prefix, messages))

    def store(self) -> Store:
        return Store.open(f"sqlite:///{self.data / 'tocsin.db'}", now_ms=0)

    def outcome(self) -> list[bytes]:
        store = self.store()
        try:
            return played.outcome(store)
        finally:
            store.close()

    def wait_for(self, expected: list[bytes]) -> set[bytes]:
        """Until it is what is expected; what differs at the end."""
        return until(lambda: set(expected) ^ set(self.outcome()))

    def close(self) -> None:
        for one in self.workers:
            one.stop()


def until(missing: Callable[[], set[bytes]]) -> set[bytes]:
    end_s = time.monotonic() + LONGEST_S
    while (found := missing()) and time.monotonic() < end_s:
        time.sleep(0.5)
    return found


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    broker = Broker(tmp_path)
    one = Cluster(tmp_path, broker)
    yield one
    one.close()
    broker.close()


def test_one_worker_decides_what_one_process_decides(cluster: Cluster, storm: Storm) -> None:
    cluster.worker("detect,correlate")
    cluster.send(storm.messages)
    assert cluster.wait_for(storm.expected) == set()


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
    assert cluster.wait_for(storm.expected) == set()


def test_f23_a_poison_message_is_set_aside_and_the_partition_proceeds(
    cluster: Cluster, storm: Storm
) -> None:
    cluster.worker("detect,correlate")
    half = len(storm.messages) // 2
    poison = [(played.TELEMETRY, 0, b"TCW1 not a message"), (played.ALERTS, 0, b"\0" * 100)]
    cluster.send([*storm.messages[:half], *poison, *storm.messages[half:]])
    assert cluster.wait_for(storm.expected) == set()
    kafka = cluster.settings.machine.kafka
    dead = [read(one) for one in asyncio.run(received(cluster.broker.address, kafka.dead))]
    assert {one.body for one in dead if isinstance(one, Dead)} == {data for _, _, data in poison}
    store = cluster.store()
    with store.records.read() as conn:
        noted = [one for one in audit_rows.recent(conn) if one.act == "kafka.set_aside"]
    store.close()
    assert len(noted) == 2
