"""What goes to a broker, whatever one message or one topic is like: nothing is held up behind it for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.brokers import Broker, received
from benchmarks.ports import free_port
from model.errors import StoreError, TransientError
from model.journal import JournalKind, NewEntry
from pipeline import settings as reading
from pipeline.distributed import topics
from pipeline.distributed.outlet import Outlet
from pipeline.settings import Settings
from tests.pipeline.distributed.test_on_a_broker import LONGEST_S


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    with Broker(tmp_path) as broker:
        yield configured(tmp_path, broker.address)


def configured(folder: Path, address: str) -> Settings:
    (folder / "config").mkdir()
    text = f"kafka: {{brokers: ['{address}'], partitions: 2, replication: 1}}\n"
    (folder / "config" / "tocsin.yaml").write_text(text)
    return reading.load(folder / "config")


def outlet(settings: Settings) -> Outlet:
    return Outlet(settings, lambda _incident: ())


async def when(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(LONGEST_S):
        while not true():
            await asyncio.sleep(0.05)


def test_a_message_that_no_broker_takes_is_dropped_and_counted(settings: Settings) -> None:
    kafka = settings.machine.kafka

    async def play() -> tuple[Outlet, list[bytes]]:
        await topics.create(kafka)
        one = outlet(settings)
        await one.start()
        large = b"x" * (2 * 2**20)
        one.put([(kafka.telemetry, 0, b"before"), (kafka.telemetry, 0, large), (kafka.telemetry, 0, b"after")])  # fmt: skip
        await when(lambda: one.empty)
        await one.stop()
        return one, await received(kafka, kafka.telemetry)

    one, found = asyncio.run(play())
    assert found == [b"before", b"after"]
    assert (one.sent, one.dropped, one.waiting_bytes) == (2, 1, 0)


def test_before_there_are_topics_everything_waits_and_none_is_made(settings: Settings) -> None:
    """Many brokers make a topic that somebody asks for, of one partition: it could not be mended later."""
    kafka = settings.machine.kafka

    async def play() -> list[bytes]:
        one = outlet(settings)
        await one.start()
        one.put([(kafka.telemetry, 1, b"first")])
        await when(lambda: one.failures > 0)
        with pytest.raises(StoreError, match=r"tocsin\.telemetry is not there.*--create"):
            await one.submit([NewEntry(JournalKind.CHANGE, "x", 1, b'{"service": "a"}')])
        assert [topic.found for topic in await topics.look(kafka)] == [0, 0, 0]
        await topics.create(kafka)
        await when(lambda: one.empty)
        await one.stop()
        return await received(kafka, kafka.telemetry)

    assert asyncio.run(play()) == [b"first"]


def test_a_topic_of_too_few_partitions_is_named(settings: Settings) -> None:
    kafka = settings.machine.kafka

    async def play() -> None:
        await topics.create(kafka)
        await topics.ready(kafka, kafka.telemetry, kafka.dead)
        with pytest.raises(TransientError, match=r"has 2 partitions, the configuration says 3"):
            await topics.ready(replace(kafka, partitions=3), kafka.telemetry)
        await topics.ready(
            replace(kafka, partitions=1)
        )  # the other release, in the middle of a change

    asyncio.run(play())


def test_a_partition_that_is_not_there_is_said_and_tried_again(settings: Settings) -> None:
    """The client says so with an assertion; it must not end the sender without a word."""
    kafka = settings.machine.kafka

    async def play() -> Outlet:
        await topics.create(kafka)
        one = outlet(settings)
        await one.start()
        one.put([(kafka.telemetry, 7, b"nowhere")])
        await when(lambda: one.failures > 1)
        assert not one.empty
        await one.stop(within_s=0.1)
        return one

    assert asyncio.run(play()).sent == 0


def test_it_ends_where_there_is_no_broker(tmp_path: Path) -> None:
    settings = configured(tmp_path, f"127.0.0.1:{free_port()}")

    async def play() -> int:
        one = outlet(settings)
        await one.start()
        one.put([(settings.machine.kafka.telemetry, 0, b"x")])
        await when(lambda: one.failures > 0)
        await one.stop(within_s=0.1)
        return one.sent

    assert asyncio.run(play()) == 0
