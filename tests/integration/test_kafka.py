"""Workers on Apache Kafka: brokers end and come back; what is decided is what one process decides."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.brokers import Cluster, finish
from pipeline.distributed import topics
from tests.integration.kafka_server import KafkaServer
from tests.pipeline.distributed.conftest import PARTITIONS, WORLD, Storm, storm
from tests.pipeline.distributed.test_on_a_broker import differences, until

pytestmark = pytest.mark.integration
__all__ = ["storm"]
WITHOUT_S = 20.0


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    server = KafkaServer(tmp_path)
    one = Cluster(tmp_path, server, WORLD, partitions=PARTITIONS)
    yield one
    one.close()
    server.close()


def test_f22_a_worker_killed_and_a_broker_restarted_change_nothing(
    cluster: Cluster, storm: Storm
) -> None:
    first = cluster.worker("detect,correlate")
    cluster.worker("detect,correlate")
    most, more = 6 * len(storm.messages) // 10, 8 * len(storm.messages) // 10
    cluster.send(storm.messages[:most])
    assert until(lambda: set() if cluster.outcome() else {b"nothing yet"}) == set()
    first.kill()
    cluster.send(storm.messages[most:more])
    cluster.broker.kill()
    time.sleep(WITHOUT_S)  # longer than sessions and requests last here
    cluster.broker.start()
    cluster.worker("detect,correlate")
    cluster.send(storm.messages[more:])
    assert differences(cluster, storm.expected) == set()


def test_the_alerts_topic_grows_and_nothing_else(cluster: Cluster) -> None:
    kafka = replace(cluster.settings.machine.kafka, domains=3)

    async def grown() -> list[int]:
        return [one.found for one in await topics.look(kafka)]

    assert finish(topics.create(kafka)) == [kafka.alerts]
    # The broker says so of itself a moment later.
    missing = until(lambda: set() if finish(grown()) == [PARTITIONS, 3, 1] else {b"not yet"})
    assert missing == set()
    assert finish(topics.create(kafka)) == []
