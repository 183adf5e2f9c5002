"""Workers on Apache Kafka and PostgreSQL: whatever happens to them, what is decided is what one process decides."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from benchmarks import distributed as played
from benchmarks.brokers import Cluster, Process, finish, received
from model.action import ActionState
from model.errors import InputError, TransientError
from model.journal import JournalKind
from pipeline.checkpoints import unpack
from pipeline.distributed import topics
from pipeline.distributed.aligning import Mark
from pipeline.distributed.connecting import client_options
from pipeline.distributed.detecting import RELEASE
from pipeline.distributed.settings import KafkaSettings
from pipeline.distributed.wire import Dead, Entry, Tick, read, write
from store import incidents as incident_rows
from store import outbox as outbox_rows
from store import snapshots as snapshot_rows
from store import tickets as ticket_rows
from store.store import Store
from tests.integration.kafka_server import KafkaServer
from tests.integration.next_release import next_release
from tests.integration.outage import Live
from tests.integration.postgres_server import Postgres
from tests.integration.postgres_server import postgres as a_server
from tests.integration.proxy import Proxy
from tests.pipeline.distributed.conftest import PARTITIONS, WORLD, Storm
from tests.pipeline.distributed.test_on_a_broker import differences, until

pytestmark = pytest.mark.integration
BOTH = "detect,correlate"
Message = tuple[str, int, bytes]
WORKERS = ("worker1", "worker2")
WITHOUT_S = 15.0
"""Longer than sessions and requests last here."""


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with a_server() as server:
        yield server


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    server = KafkaServer(tmp_path_factory.mktemp("kafka"))
    yield server
    server.close()


@pytest.fixture
def cluster(
    broker: KafkaServer, postgres: Postgres, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Cluster]:
    name = request.node.name[5:50].rstrip("_")
    records = postgres.database(name)
    one = Cluster(tmp_path, broker, WORLD, partitions=PARTITIONS, records=records, prefix=name)
    yield one
    one.close()


def parts(messages: list[Message], *ends: float) -> list[list[Message]]:
    """The storm's messages, cut where shares of them have gone by."""
    count = len(messages)
    places = [0, *(round(end * count) for end in ends), count]
    return [messages[a:b] for a, b in zip(places, places[1:], strict=False)]


def decides(cluster: Cluster) -> None:
    """Wait until something was decided: the workers are in the middle of it."""
    assert until(lambda: set() if cluster.outcome() else {b"nothing yet"}) == set()


def says(worker: Process, words: str) -> None:
    """Wait until a worker has said something."""
    assert until(lambda: set() if words in worker.log.read_text() else {words.encode()}) == set()


def test_f22_killed_in_a_storm_a_rebalance_and_a_broker_restart(
    cluster: Cluster, storm: Storm
) -> None:
    first = cluster.worker(BOTH)
    cluster.worker(BOTH)
    begin, middle, end = parts(storm.messages, 0.6, 0.8)
    cluster.send(begin)
    decides(cluster)
    first.kill()
    cluster.send(middle)
    cluster.broker.kill()
    time.sleep(WITHOUT_S)
    cluster.broker.start()
    cluster.worker(BOTH)
    cluster.send(end)
    assert differences(cluster, storm.expected) == set()


def test_f22_of_several_who_decide_one_is_killed_in_the_storm(
    broker: KafkaServer, postgres: Postgres, storm: Storm, tmp_path: Path
) -> None:
    """Three domains, decided by two workers that write to one PostgreSQL at once."""
    records, prefix = postgres.database("domains"), "domains"
    with Cluster(
        tmp_path, broker, WORLD, partitions=PARTITIONS, domains=3, records=records, prefix=prefix
    ) as cluster:
        store = Store.open(f"sqlite:///{tmp_path / 'embedded.db'}", now_ms=0)
        played.embedded(storm.folder / "recorded", cluster.settings, store)
        expected = played.outcome(store)
        store.close()
        messages = played.messages(storm.folder / "recorded", PARTITIONS, settings=cluster.settings)
        begin, end = parts(list(messages), 0.6)
        first, other = cluster.worker(BOTH), cluster.worker(BOTH)
        cluster.send(begin)
        decides(cluster)
        first.kill()
        cluster.send(end)
        assert differences(cluster, expected) == set()
        says(other, "correlate: partitions [0, 1, 2]")


def test_f22_two_workers_that_believe_they_own_a_partition(cluster: Cluster, storm: Storm) -> None:
    """One stands still until others have all of its partitions, then goes on with what it holds."""
    asleep = cluster.worker(BOTH)
    begin, middle, end = parts(storm.messages, 0.4, 0.7)
    cluster.send(begin)
    decides(cluster)
    asleep.pause()
    awake = cluster.worker(BOTH)
    cluster.send(middle)
    says(awake, f"detect: partitions {list(range(PARTITIONS))}")
    says(awake, "correlate: partitions [0]")
    asleep.proceed()
    cluster.send(end)
    assert differences(cluster, storm.expected) == set()
    assert asleep.running  # it has noticed, and begun again


def test_f21_a_database_that_is_away_in_the_middle(
    cluster: Cluster, storm: Storm, postgres: Postgres
) -> None:
    workers = [cluster.worker(BOTH), cluster.worker(BOTH)]
    begin, middle, end = parts(storm.messages, 0.5, 0.7)
    cluster.send(begin)
    decides(cluster)
    postgres.do("stop", "-m", "immediate")
    try:
        cluster.send(middle)
        time.sleep(WITHOUT_S)
    finally:
        postgres.do("start")
    cluster.send(end)
    assert differences(cluster, storm.expected) == set()
    assert all(worker.running for worker in workers)


def test_f24_a_worker_that_is_cut_off_from_the_records_and_comes_back(
    cluster: Cluster, storm: Storm, postgres: Postgres, tmp_path: Path
) -> None:
    proxy = Proxy(postgres.port)
    apart = cluster.worker(
        BOTH, records=cluster.records.replace(str(postgres.port), str(proxy.port))
    )
    beside = cluster.worker(BOTH)
    begin, middle, end = parts(storm.messages, 0.4, 0.7)
    cluster.send(begin)
    decides(cluster)
    proxy.cut()
    cluster.send(middle)
    says(apart, "begins again")
    time.sleep(WITHOUT_S)
    proxy.heal()
    cluster.send(end)
    assert differences(cluster, storm.expected) == set()
    proxy.cut()
    assert apart.running and beside.running


@pytest.mark.parametrize("domains", [1, 2])
def test_f16_whoever_performs_is_killed_and_the_other_goes_on(
    broker: KafkaServer, postgres: Postgres, tmp_path: Path, domains: int
) -> None:
    """Two workers with all stages and a console, as people run them: a ticket for each incident, and one."""
    records = postgres.database(f"performing{domains}")
    live = Live(tmp_path / "live", broker, records, domains=domains)
    store = Store.open(live.records, now_ms=0)

    def tickets() -> list[str]:
        with store.records.read() as conn:
            return sorted(one.service for one in ticket_rows.recent(conn, "builtin", limit=100))

    def performing() -> list[str]:
        """Who has the lease, as they say themselves: it may have changed hands on a machine that stands still."""
        words = {n: re.findall("(this|another) worker performs now", live.log(n)) for n in WORKERS}
        return [name for name, said in words.items() if said[-1:] == ["this"]]

    def has(*services: str) -> bool:
        return until(lambda: set() if tickets() == sorted(services) else {b"not yet"}) == set()

    try:
        assert until(lambda: set() if live.push("pg") == 200 else {b"not taken"}) == set()
        assert has("pg")
        assert until(lambda: set() if len(performing()) == 1 else {b"not one"}) == set()
        (performs,) = performing()
        live.processes[performs].kill()
        assert until(lambda: set() if live.push("web") == 200 else {b"not taken"}) == set()
        assert has("pg", "web")
        (other,) = set(WORKERS) - {performs}
        assert other in performing()
        with store.records.read() as conn:
            actions = [
                one
                for i in incident_rows.recent(conn, limit=10)
                for one in outbox_rows.by_incident(conn, i.id)
            ]
        assert ActionState.DEAD not in {one.state for one in actions}
    finally:
        live.close()
        store.close()


def test_f23_poison_is_set_aside_and_the_partition_proceeds(cluster: Cluster, storm: Storm) -> None:
    cluster.worker(BOTH)
    cluster.worker(BOTH)
    begin, end = parts(storm.messages, 0.5)
    crashing = write(Entry(JournalKind.FEEDBACK, "x", 0, b"{}"))  # it reads, and ends the stage
    poison = [
        (played.TELEMETRY, 0, b"TCW1 not a message"),
        (played.TELEMETRY, 1, crashing),
        (played.ALERTS, 0, b"\0" * 100),
    ]
    cluster.send([*begin, *poison, *end])
    assert differences(cluster, storm.expected) == set()
    kafka = cluster.settings.machine.kafka
    bodies = {data for *_, data in poison}

    def differ() -> set[bytes]:
        dead = [read(one) for one in finish(received(kafka, kafka.dead))]
        return bodies ^ {one.body for one in dead if isinstance(one, Dead)}

    assert until(differ) == set()


def written_by(cluster: Cluster) -> list[str]:
    """Which release wrote each partition's snapshot."""
    store = cluster.store()
    with store.records.read() as conn:
        kept = [snapshot_rows.get(conn, f"detect.{n}") for n in range(PARTITIONS)]
    store.close()
    return [json.loads(unpack(data[8:])["own"])["by"] for data in kept if data]


def test_f27_a_rolling_upgrade_and_back(cluster: Cluster, storm: Storm, tmp_path: Path) -> None:
    """Release N, both, N+1, both, N; N+1 has another schema, other snapshots and other messages."""
    newer = next_release(tmp_path / "next")
    old = [cluster.worker(BOTH), cluster.worker(BOTH)]
    steps = parts(storm.messages, 0.4, 0.5, 0.6, 0.7, 0.85)
    cluster.send(steps[0])
    decides(cluster)
    fresh = [cluster.worker(BOTH, code=newer)]
    says(fresh[0], "partitions")
    cluster.send(steps[1])
    assert old[0].stop() == 0
    fresh.append(cluster.worker(BOTH, code=newer))
    says(fresh[1], "partitions")
    cluster.send(steps[2])
    assert old[1].stop() == 0
    cluster.send(steps[3])
    all_newer = [f"next-{RELEASE.replace('/1', '/2')}"] * PARTITIONS
    assert until(lambda: set() if written_by(cluster) == all_newer else {b"not yet"}) == set()
    back = cluster.worker(BOTH)
    says(back, "partitions")
    cluster.send(steps[4])
    assert [one.stop() for one in fresh] == [0, 0]
    cluster.send(steps[5])
    assert differences(cluster, storm.expected) == set()
    assert "is not used" in back.log.read_text()  # N+1's; it went on from N's last one
    assert "starts cold" not in back.log.read_text()


def marked(cluster: Cluster) -> Mark:
    """How far is decided."""
    store = cluster.store()
    with store.records.read() as conn:
        data = snapshot_rows.get(conn, "correlate.0")
    store.close()
    return Mark() if data is None else Mark.load(data)


def kept_upto(cluster: Cluster) -> list[int]:
    """The offsets that the snapshots of the detecting partitions contain."""
    store = cluster.store()
    with store.records.read() as conn:
        kept = [snapshot_rows.get(conn, f"detect.{n}") or b"" for n in range(PARTITIONS)]
    store.close()
    return [int.from_bytes(one[:8], "big") for one in kept]


async def _made_again(kafka: KafkaSettings) -> None:
    admin = AIOKafkaAdminClient(**client_options(kafka))
    await admin.start()
    try:
        await admin.delete_topics([kafka.telemetry, kafka.alerts])
    finally:
        await admin.close()


def test_f22_topics_that_are_lost_and_made_again(cluster: Cluster, storm: Storm) -> None:
    """As after a new cluster of brokers beside the same records: offsets count from 0, and must not pass for known."""
    ticks = [n for n, (topic, number, data) in enumerate(storm.messages, start=1)
             if topic == played.TELEMETRY and number == PARTITIONS - 1 and isinstance(read(data), Tick)]  # fmt: skip
    cut = ticks[len(ticks) // 2]
    last = read(storm.messages[cut - 1][2])
    assert isinstance(last, Tick)
    first = cluster.worker(BOTH)
    cluster.send(storm.messages[:cut])
    assert until(lambda: set() if marked(cluster).now_ms == last.now_ms else {b"not yet"}) == set()
    assert first.stop() == 0
    kafka = cluster.settings.machine.kafka
    finish(_made_again(kafka))

    def missing() -> set[bytes]:
        with suppress(InputError, TransientError):  # the broker still deletes
            finish(topics.create(kafka))
            return {one.problem.encode() for one in finish(topics.look(kafka)) if one.problem}
        return {b"not yet"}

    assert until(missing) == set()
    again = cluster.worker(BOTH)
    cluster.send(storm.messages[cut:])
    assert differences(cluster, storm.expected) == set()
    assert "is not the topic of before" in again.log.read_text()
    # What is learnt is kept again, too.
    sent = [
        sum(1 for topic, n, _ in storm.messages[cut:] if (topic, n) == (played.TELEMETRY, number))
        for number in range(PARTITIONS)
    ]
    assert until(lambda: set() if kept_upto(cluster) == sent else {b"not yet"}) == set()


def test_the_alerts_topic_grows_and_nothing_else(cluster: Cluster) -> None:
    kafka = replace(cluster.settings.machine.kafka, domains=3)

    async def grown() -> list[int]:
        return [one.found for one in await topics.look(kafka)]

    assert finish(topics.create(kafka)) == [kafka.alerts]
    # The broker says so of itself a moment later.
    missing = until(lambda: set() if finish(grown()) == [PARTITIONS, 3, 1] else {b"not yet"})
    assert missing == set()
    assert finish(topics.create(kafka)) == []
