"""Topics of a site read from a broker that pip brings: nothing lost, nothing claimed that was not handed over."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.brokers import Broker
from model.alert import Alert
from model.codec import decode
from model.errors import SnapshotError
from store import audit as audit_rows
from store.store import Store
from tests.collectors.kafka_topics import Source, Topic
from tests.conftest import NewStore

COUNTED = "tocsin_kafka_source_"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with Broker(tmp_path_factory.mktemp("broker")) as started:
        yield started


@pytest.fixture
def topic(broker: Broker, request: pytest.FixtureRequest) -> Topic:
    return Topic(broker.address, f"t{os.getpid()}.{abs(hash(request.node.name))}")


@pytest.fixture
def store(tmp_path: Path, new_store: NewStore) -> Iterator[Store]:
    opened = new_store(tmp_path, 1)
    yield opened
    opened.close()


@pytest.fixture
def sources() -> Iterator[list[Source]]:
    made: list[Source] = []
    yield made
    for source in made:
        source.read.close()


def numbered(first: int, last: int) -> list[bytes]:
    return [b"order %d failed" % number for number in range(first, last)]


def said(first: int, last: int) -> list[str]:
    return [line.decode() for line in numbered(first, last)]


def test_each_message_once_in_order_over_restarts(
    topic: Topic, store: Store, sources: list[Source]
) -> None:
    topic.write(*numbered(0, 50))
    topic.write(*numbered(100, 120), partition=1)
    source = Source(topic, store, "lines")
    sources.append(source)
    source.until(lambda: len(source.lines) == 70, "70 lines")
    assert [line for line in source.lines if line in said(0, 50)] == said(0, 50)
    source.until(lambda: source.up, "up")
    assert source.up[0] == 1.0 and source.wrong() == {}
    kept = source.read.save()
    topic.write(*numbered(50, 60))
    source.restart(kept)
    source.until(lambda: len(source.lines) == 80, "10 more")
    assert source.lines[-10:] == said(50, 60)
    source.restart(kept)  # a crash: what was read since the snapshot is read again
    source.until(lambda: len(source.lines) == 90, "the same 10")
    assert source.lines[-10:] == said(50, 60)
    with pytest.raises(SnapshotError):
        source.another().load(kept[:-3] + b"999")


def test_a_first_start_takes_news_alone(topic: Topic, store: Store, sources: list[Source]) -> None:
    from collectors.kafka_settings import KafkaStart

    topic.write(*numbered(0, 5))
    source = Source(topic, store, "lines", start=KafkaStart.LATEST)
    sources.append(source)
    source.until(lambda: source.up, "the broker to be reached")
    topic.write(*numbered(5, 8))
    source.until(lambda: len(source.lines) >= 3, "3 lines")
    assert source.lines == said(5, 8)


def webhook(name: str) -> bytes:
    return json.dumps({"version": "4", "alerts": [{"labels": {"alertname": name}}]}).encode()


def test_f05_the_position_waits_for_the_journal(
    topic: Topic, store: Store, sources: list[Source]
) -> None:
    topic.write(webhook("one"), webhook("two"))
    source = Source(topic, store, "alertmanager")
    sources.append(source)
    source.refuses = True
    source.until(lambda: "journal" in source.wrong(), "the journal to refuse")
    assert source.read.positions == {}
    source.refuses = False
    source.until(lambda: len(source.entries) == 2, "both alerts")
    names = [decode(Alert, entry.body).name for entry in source.entries]
    assert names == ["one", "two"]
    source.until(lambda: source.read.positions.get((topic.name, 0)) == 2, "the position")
    assert source.wrong() == {}


def test_f23_a_poison_message_is_set_aside_counted_and_kept(
    topic: Topic, store: Store, sources: list[Source]
) -> None:
    topic.write(webhook("one"), b"\xff not JSON", webhook("two"))
    topic.write(*[b"[[["] * 40, partition=1)
    source = Source(topic, store, "alertmanager")
    sources.append(source)
    source.until(lambda: len(source.entries) == 2, "both alerts")
    source.until(lambda: source.read.positions.get((topic.name, 1)) == 40, "the other partition")
    assert source.read.counters()[f"{COUNTED}set_aside_total"] == 41
    assert "is set aside" in source.wrong()["poison"]
    with store.records.read() as conn:
        records = audit_rows.recent(conn, limit=100)
    assert len(records) == 20  # of many, some
    assert {record.act for record in records} == {"topic.set_aside"}


def test_back_pressure_reads_no_more_than_fits(
    topic: Topic, store: Store, sources: list[Source]
) -> None:
    for _ in range(20):
        topic.write(*[b"x" * 50_000] * 20)
    source = Source(topic, store, "lines", queue_bytes_max=500_000, step_bytes_max=300_000)
    sources.append(source)
    source.step()
    feed = source.read._feed
    assert feed is not None
    import time

    ends_s = time.monotonic() + 240
    while not feed.state.paused and time.monotonic() < ends_s:
        time.sleep(0.02)
    assert feed.state.paused
    held = feed.waiting_bytes
    assert 500_000 < held < 500_000 + 16 * 2**20 + 500 * 50_000
    source.until(lambda: len(source.lines) == 400, "all of it")


def test_what_the_bindings_headers_say(topic: Topic, store: Store, sources: list[Source]) -> None:
    headers = [
        ("ce_specversion", b"1.0"), ("ce_id", b"2"), ("ce_source", b"/ci"), ("ce_type", b"acme.alert.firing"),
        ("ce_subject", b"disk"), ("content-type", b"application/json"),
    ]  # fmt: skip
    topic.write(b'{"name": "disk full"}', headers=headers)
    source = Source(topic, store, "cloudevents")
    sources.append(source)
    source.until(lambda: source.entries, "the alert")
    assert decode(Alert, source.entries[0].body).name == "disk full"


def test_a_topic_that_is_not_there_is_said(
    broker: Broker, topic: Topic, store: Store, sources: list[Source]
) -> None:
    source = Source(topic, store, "lines", topics=(topic.name, "not.there"))
    sources.append(source)
    topic.write(*numbered(0, 2))
    source.until(lambda: len(source.lines) == 2, "what is there")
    source.until(lambda: "topic" in source.wrong(), "what is not")
    assert source.wrong()["topic"] == "there is no topic not.there"


def test_no_broker_is_said_and_one_that_comes_is_read(
    tmp_path: Path, store: Store, sources: list[Source]
) -> None:
    with Broker(tmp_path) as first:
        topic = Topic(first.address, "gone")
    source = Source(topic, store, "lines")
    sources.append(source)
    source.until(lambda: "broker" in source.wrong(), "the broker to be missed")
    source.until(lambda: 0.0 in source.up, "up to say so")
    assert "no broker answers" in source.wrong()["broker"]


def test_unreadable_files_are_a_sentence(topic: Topic, store: Store, sources: list[Source]) -> None:
    from collectors.kafka_settings import Security

    more: dict[str, Any] = {"security": Security.SSL, "ca_file": "/nowhere/ca.pem"}
    source = Source(topic, store, "lines", **more)
    sources.append(source)
    source.until(lambda: "broker" in source.wrong(), "the file to be missed")
    assert "ca_file" in source.wrong()["broker"]
