"""A site's topics on Apache Kafka itself: a broker that ends and comes back, more partitions, a group's lag."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from benchmarks.brokers import finish
from store.store import Store
from tests.collectors.kafka_topics import Source, Topic, messages
from tests.integration.kafka_server import KafkaServer

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    server = KafkaServer(tmp_path_factory.mktemp("kafka"))
    yield server
    server.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(f"sqlite:///{tmp_path}/tocsin.db", now_ms=1)
    yield opened
    opened.close()


def said(first: int, last: int) -> list[str]:
    return [f"order {number} failed" for number in range(first, last)]


def written(first: int, last: int) -> list[bytes]:
    return [line.encode() for line in said(first, last)]


def committed(address: str, group: str, topic: str) -> int | None:
    """Where a group stands."""
    found: list[int | None] = []

    async def ask() -> None:
        consumer = AIOKafkaConsumer(bootstrap_servers=address, group_id=group)
        await consumer.start()
        try:
            found.append(await consumer.committed(TopicPartition(topic, 0)))
        finally:
            await consumer.stop()

    finish(asyncio.wait_for(ask(), 120))
    return found[0]


def test_a_broker_that_comes_back_more_partitions_and_the_groups_lag(
    kafka: KafkaServer, store: Store
) -> None:
    topic = Topic(kafka.address, "lines", partitions=1)
    topic.write(*written(0, 20))
    source = Source(topic, store, "lines", group="watched", topics=("lines", "not.there"))
    try:
        source.until(lambda: len(source.lines) == 20, "20 lines")
        source.until(lambda: "topic" in source.wrong(), "a topic that is not there to be said")
        kafka.kill()
        source.until(lambda: "broker" in source.wrong(), "the broker to be missed")
        source.until(lambda: source.up[-1:] == [0.0], "up to say so")
        kafka.start()
        topic.write(*written(20, 30))
        source.until(lambda: len(source.lines) == 30, "10 more lines")
        assert source.lines == said(0, 30)  # each once, in order
        source.until(lambda: "broker" not in source.wrong(), "the broker to be well")
        topic.widen(2)
        topic.write(*written(30, 35), partition=1)  # before we know of it
        source.until(lambda: len(source.lines) == 35, "those of the new partition")
        source.read.save()
        source.read.save()  # the snapshot before is kept by now
        source.until(
            lambda: committed(kafka.address, "watched", "lines") == 30, "the group's place"
        )
        # Without a snapshot, the group's place is better than none.
        source.restart()
        topic.write(*written(35, 36))
        source.until(lambda: len(source.lines) > 35, "the next line")
        assert source.lines[35:] == said(35, 36)
    finally:
        source.read.close()


def test_a_tocsin_reads_alerts_and_lines_and_goes_on_after_a_restart(
    kafka: KafkaServer, servers: Any, tmp_path: Path
) -> None:
    alerts, lines = Topic(kafka.address, "alerts", 1), Topic(kafka.address, "logs", 1)
    events = Topic(kafka.address, "incidents", 1)
    settings = servers.settings + (
        f"kafka_sources:\n"
        f"  - {{name: bus, brokers: ['{kafka.address}'], topics: [alerts], format: alertmanager, start: earliest}}\n"
        f"  - {{name: logbus, brokers: ['{kafka.address}'], topics: [logs], format: documents, start: earliest}}\n"
        f"kafka_events: {{brokers: ['{kafka.address}'], topic: incidents}}\n"
    )

    def down(service: str) -> bytes:
        labels = {"alertname": "Down", "service": service, "severity": "critical"}
        return json.dumps(
            {"version": "4", "alerts": [{"status": "firing", "labels": labels}]}
        ).encode()

    def taken(tocsin: Any, what: str) -> int:
        import requests

        for row in requests.get(f"{tocsin.url}/metrics", timeout=60).text.splitlines():
            if row.startswith(f"tocsin_kafka_source_{what}_total "):
                return int(float(row.split()[1]))
        return 0

    alerts.write(down("one"), b"poison")
    lines.write(*[json.dumps({"message": f"line {n}"}).encode() for n in range(7)])
    with servers.tocsin_in(tmp_path, settings) as tocsin:
        tocsin.incident("one")
        servers.wait_for(lambda: taken(tocsin, "lines") == 7, "7 lines")
        servers.wait_for(lambda: taken(tocsin, "set_aside") == 1, "the poison to be set aside")
    alerts.write(down("two"))
    with servers.tocsin_in(tmp_path, settings) as tocsin:
        tocsin.incident("two")
        servers.wait_for(lambda: taken(tocsin, "entries") == 1, "what is new alone")
        assert taken(tocsin, "lines") == taken(tocsin, "set_aside") == 0
    told = [json.loads(value) for _, value, _ in messages(events, 2)]
    opened = [e["data"]["incident"]["service"] for e in told if e["type"].endswith(".opened.v1")]
    assert opened[:1] == ["one"]
