"""Intake of several workers: one of them pulls, the next goes on where it was, and each hears who wrote to the others."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from collectors.base import Counters, Problems
from collectors.senders import Senders, SenderSettings
from model.batch import LogBatch, MetricBatch
from model.clock import ManualClock
from model.series import SeriesIndex
from pipeline import settings as reading
from pipeline.distributed.console import late_reason
from pipeline.distributed.feeding import Feeding
from pipeline.distributed.lease import LEASE_S, Lease
from pipeline.distributed.outlet import Outlet
from pipeline.distributed.placing import services_in
from pipeline.settings import Settings
from store import snapshots as snapshot_rows
from store.store import Store


class Asked:
    """A collector that reads a server from a cursor on."""

    def __init__(self) -> None:
        self.cursor = 0
        self.problems = Problems()

    def poll(self, now_ms: int) -> list[MetricBatch | LogBatch]:
        self.cursor += 1
        return []

    def counters(self) -> Counters:
        return {}

    def save(self) -> bytes:
        return str(self.cursor).encode()

    def load(self, data: bytes) -> None:
        self.cursor = int(data)


class Taken(Outlet):
    """One whose brokers take everything at once."""

    @property
    def empty(self) -> bool:
        return True


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "tocsin.yaml").write_text("kafka: {partitions: 1}\n")
    return reading.load(tmp_path / "config")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(f"sqlite:///{tmp_path / 'records.db'}", now_ms=0)
    yield opened
    opened.close()


class Worker:
    """Its intake alone."""

    def __init__(self, name: str, settings: Settings, store: Store, clock: ManualClock) -> None:
        self.asked, self.senders = Asked(), Senders(SenderSettings(steady_after_ms=1))
        self.feeding = Feeding(
            settings,
            SeriesIndex(),
            [self.asked],
            {"asked": self.asked},
            Taken(settings, services_in(store)),
            clock,
            name=name,
            store=store,
            senders=self.senders,
            lease=Lease(store, "pull", name),
        )


def test_f16_one_pulls_and_the_next_goes_on_where_it_was(settings: Settings, store: Store) -> None:
    clock = ManualClock(10**12)
    first, second = (Worker(name, settings, store, clock) for name in "ab")

    async def turns(*workers: Worker, seconds: int) -> None:
        for _ in range(seconds):
            for one in workers:
                await one.feeding.turn()
            clock.sleep(1.0)

    asyncio.run(turns(first, second, seconds=100))
    assert (first.feeding.pulls, second.feeding.pulls) == (True, False)
    assert (first.asked.cursor, second.asked.cursor) == (100, 0)
    asyncio.run(turns(second, seconds=round(LEASE_S) + 5))  # the first is gone
    assert second.feeding.pulls
    behind = 100 - second.asked.cursor
    keep_s = settings.machine.pipeline.checkpoint_interval_ms // 1000
    assert -LEASE_S < behind <= keep_s  # what came after the last checkpoint is read again
    # In order, nothing is read again, and nobody waits.
    stopping = asyncio.Event()
    stopping.set()
    asyncio.run(second.feeding.run(stopping))
    third = Worker("c", settings, store, clock)
    asyncio.run(turns(third, seconds=1))
    assert third.asked.cursor == second.asked.cursor + 1


def test_a_sender_that_moves_to_another_console_is_not_missed(
    settings: Settings, store: Store
) -> None:
    clock = ManualClock(10**12)
    first, second = (Worker(name, settings, store, clock) for name in "ab")
    silent: list[float] = []

    async def run() -> None:
        for second_of in range(400):
            writes_to = first if second_of < 200 else second
            if second_of % 10 == 0:
                writes_to.senders.heard("paris", clock.now_ms())
            for one in (first, second):
                await one.feeding.turn()
                for batch in one.senders.samples(SeriesIndex(), clock.now_ms()):
                    silent.extend(batch.values.tolist())
            clock.sleep(1.0)

    asyncio.run(run())
    assert len(silent) > 50 and set(silent) == {1.0}
    assert first.senders.last_ms("paris") > 10**12 + 380_000


def test_f16_a_clock_that_ran_ahead_is_said(
    settings: Settings, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """Time never goes back: nothing is decided until all clocks have come to it, and nobody would know why."""
    clock = ManualClock(10**12)
    one = Worker("a", settings, store, clock)

    def decided(at_ms: int) -> float:
        with store.records.write() as conn:
            snapshot_rows.put(conn, "correlate.0", b"", now_ms=at_ms)
        clock.sleep(10.0)
        asyncio.run(one.feeding.turn())
        return one.feeding.counters()["tocsin_kafka_time_ahead_seconds"]

    assert decided(10**12) == 0.0
    assert decided(10**12 + 50_000) == 30.0
    assert "is wrong" not in caplog.text
    assert decided(10**12 + 3_600_000) == 3_570.0
    assert caplog.text.count("ahead of this machine's clock") == 1
    assert decided(10**12 + 3_600_000) == 3_560.0  # said once
    assert caplog.text.count("ahead of this machine's clock") == 1
    health = [late_reason(clock.now_ms(), 10**12, 3_560_000), late_reason(10**12, 10**12, 0)]
    assert [one is None for one in health] == [False, True]
