"""Messages that Faust passes over are read all the same, also when nothing comes after them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from faust.types import TP

from benchmarks.brokers import Broker, send
from model.clock import SystemClock
from pipeline.distributed import topics
from pipeline.distributed.correlating import Care
from pipeline.distributed.holding import Sent
from pipeline.distributed.joined import Joined
from pipeline.distributed.settings import KafkaSettings
from pipeline.distributed.suspects import Suspects
from pipeline.distributed.unheard import LONGEST_S, SOON_S, Unheard
from store.store import Store
from tests.pipeline.distributed.test_on_a_broker import LONGEST_S as FOR_EVER_S


class Noting:
    """A stage that notes what it is given."""

    prompt = False
    kept_bytes = newer = resume = 0
    care = Care()
    doubtful = ()
    now_ms = 1

    def __init__(self, begins: int | None = None) -> None:
        self.next = begins
        self.taken: list[bytes] = []

    def take(self, data: bytes, offset: int) -> list[Sent]:
        assert self.next == offset
        self.next = offset + 1
        self.taken.append(data)
        return []

    def split(self, data: bytes) -> list[bytes]:
        return []

    def save(self, now_ms: int) -> Callable[[], None]:
        return lambda: None

    def begin_anew(self, offset: int, now_ms: int) -> None:
        raise AssertionError("it is the same topic")


@pytest.fixture
def kafka(tmp_path: Path) -> Iterator[KafkaSettings]:
    with Broker(tmp_path) as broker:
        kafka = KafkaSettings(
            brokers=(broker.address,), partitions=1, replication=1, session_timeout_ms=6_000
        )
        asyncio.run(topics.create(kafka))
        yield kafka


def joined(kafka: KafkaSettings, folder: Path, stage: Noting) -> Joined:
    store = Store.open(f"sqlite:///{folder / 'records.db'}", now_ms=0)
    return Joined(
        "detect",
        kafka.telemetry,
        kafka,
        folder=folder,
        clock=SystemClock(),
        hold=lambda _: stage,
        suspects=Suspects(store, "detect"),
        until_kept_s=lambda _: 3_600.0,
    )


async def when(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(FOR_EVER_S):
        while not true():
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("count", [1, 3])
def test_the_last_message_is_read_though_it_was_passed_over_and_none_follows(
    kafka: KafkaSettings, tmp_path: Path, count: int
) -> None:
    async def play() -> tuple[list[bytes], int]:
        stage = Noting()
        one = joined(kafka, tmp_path, stage)
        await one.start()
        try:
            await send(kafka, [("telemetry", 0, b"first")])
            await when(lambda: stage.taken == [b"first"])
            # As in a rebalance: its consumer goes on behind messages that no stage was given.
            await one.app.consumer.seek(TP(kafka.telemetry, 0), 1 + count)
            await send(kafka, [("telemetry", 0, b"%d" % n) for n in range(count)])
            await when(lambda: len(stage.taken) == 1 + count)
            return stage.taken, one.read_again
        finally:
            await one.stop()

    taken, again = asyncio.run(play())
    assert taken == [b"first", *(b"%d" % n for n in range(count))]
    assert again >= 1


def test_the_first_messages_of_a_partition_are_read_though_they_were_passed_over(
    kafka: KafkaSettings, tmp_path: Path
) -> None:
    """Nothing is kept of it yet: where it begins is asked of the broker, not of what comes first."""

    async def play() -> list[bytes]:
        stage = Noting()
        one = joined(kafka, tmp_path, stage)
        await one.start()
        try:
            await when(lambda: bool(one._mine) and not one.app.rebalancing)
            await one.app.consumer.seek(TP(kafka.telemetry, 0), 2)
            await send(kafka, [("telemetry", 0, b"%d" % n) for n in range(3)])
            await when(lambda: len(stage.taken) == 3)
            return stage.taken
        finally:
            await one.stop()

    assert asyncio.run(play()) == [b"0", b"1", b"2"]


def test_a_slow_broker_is_asked_more_and_more_rarely() -> None:
    unheard = Unheard()
    asked = [now_s for now_s in range(400) if unheard.overdue(0, at=1, end=2, now_s=float(now_s))]
    assert asked[:4] == [SOON_S, 3 * SOON_S, 7 * SOON_S, 15 * SOON_S]
    assert max(b - a for a, b in zip(asked, asked[1:], strict=False)) == LONGEST_S


def test_what_moves_is_left_alone() -> None:
    unheard = Unheard()
    assert not any(unheard.overdue(0, at=n, end=1_000, now_s=4.0 * n) for n in range(100))
    # Each partition for itself, and anew by whoever has it next.
    assert not unheard.overdue(1, at=5, end=6, now_s=0.0)
    unheard.forget(1)
    assert not unheard.overdue(1, at=5, end=6, now_s=SOON_S)
    assert unheard.overdue(1, at=5, end=6, now_s=2 * SOON_S)
