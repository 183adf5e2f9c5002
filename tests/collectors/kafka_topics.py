"""A topic on a broker, written to by a test; and a source that reads it, driven by hand."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic

from benchmarks.brokers import finish
from collectors.accepting import Accepting
from collectors.kafka_alerts import event_headers
from collectors.kafka_formats import reader_of
from collectors.kafka_read import KafkaRead
from collectors.kafka_settings import KafkaFormat, KafkaSourceSettings, KafkaStart
from collectors.logbatches import LogBatches
from collectors.masking import Masking
from collectors.otlp_deltas import Deltas
from collectors.otlp_settings import OtlpSettings
from collectors.pushed import Door
from collectors.senders import Senders
from collectors.settings import IntakeLimits, WatermarkSettings
from collectors.spans import SpanBook
from collectors.templates import TemplateMiner
from collectors.watermark import Watermark
from model.batch import LogBatch, MetricBatch
from model.clock import SystemClock
from model.series import SeriesIndex
from store.store import Store
from tests.collectors.recording_journal import RecordingJournal

WAIT_S = 240.0


def door() -> Door:
    """What pushes need."""
    bounds, index = WatermarkSettings(), SeriesIndex()
    logs = LogBatches(Masking(()), TemplateMiner(), Watermark.for_logs(bounds))
    spans, senders = SpanBook(OtlpSettings()), Senders()
    return Door(index, Watermark.for_samples(bounds), logs, Deltas(index), spans, senders)


class Topic:
    """A topic of a broker."""

    def __init__(self, address: str, name: str, partitions: int = 2) -> None:
        self.address, self.name = address, name
        finish(self._admin(lambda admin: admin.create_topics([NewTopic(name, partitions, 1)])))

    def widen(self, partitions: int) -> None:
        """Give it more partitions."""
        more = {self.name: NewPartitions(total_count=partitions)}
        finish(self._admin(lambda admin: admin.create_partitions(more)))

    def write(self, *values: bytes, partition: int = 0, headers: Any = ()) -> None:
        """Put messages into a partition, in order."""
        finish(self._write(values, partition, headers))

    async def _write(self, values: Sequence[bytes], partition: int, headers: Any) -> None:
        producer = AIOKafkaProducer(bootstrap_servers=self.address, acks="all")
        await producer.start()
        try:
            for value in values:
                await producer.send_and_wait(
                    self.name, value, partition=partition, headers=list(headers)
                )
        finally:
            await producer.stop()

    async def _admin(self, ask: Callable[[Any], Coroutine[Any, Any, Any]]) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.address)
        await admin.start()
        try:
            await ask(admin)
            await asyncio.sleep(0)
        finally:
            await admin.close()


def messages(topic: Topic, count: int) -> list[tuple[bytes, bytes, dict[str, str]]]:
    """The first messages of a topic: key, value, headers."""
    found: list[tuple[bytes, bytes, dict[str, str]]] = []

    async def ask() -> None:
        consumer = AIOKafkaConsumer(
            topic.name, bootstrap_servers=topic.address, auto_offset_reset="earliest"
        )
        await consumer.start()
        try:
            while len(found) < count:
                one = await consumer.getone()
                found.append((one.key, one.value, event_headers(one.headers)))
        finally:
            await consumer.stop()

    finish(asyncio.wait_for(ask(), WAIT_S))
    return found


class Source(RecordingJournal):
    """A source with a journal that takes or refuses."""

    def __init__(self, topic: Topic, store: Store, form: str, **settings: Any) -> None:
        super().__init__()
        chosen: dict[str, Any] = {
            "name": "bus", "brokers": (topic.address,), "topics": (topic.name,), "format": KafkaFormat(form),
            "start": KafkaStart.EARLIEST, "interval_ms": 1_000, "timeout_ms": 3_000,
        }  # fmt: skip
        self.settings = KafkaSourceSettings(**{**chosen, **settings})
        self.store = store
        self.clock = SystemClock()
        self.lines: list[str] = []
        self.values: list[float] = []
        self.up: list[float] = []
        self.read = self.another()

    def another(self) -> KafkaRead:
        """As after a restart."""
        accepting = Accepting(self.submit, self.store)
        reader = reader_of(
            self.settings, accepting=accepting, otlp=OtlpSettings(), limits=IntakeLimits()
        )
        own = door()
        return KafkaRead(self.settings, own.index, reader, own, accepting, self.clock)

    def restart(self, kept: bytes | None = None) -> None:
        """End it, and begin from what was kept."""
        self.read.close()
        self.read = self.another()
        if kept is not None:
            self.read.load(kept)

    def step(self) -> None:
        """Ask once, as the loop does."""
        for batch in self.read.poll(self.clock.now_ms()):
            self._keep(batch)

    def _keep(self, batch: MetricBatch | LogBatch) -> None:
        if isinstance(batch, LogBatch):
            self.lines += batch.lines
        elif batch.source.startswith("bus "):
            self.up += batch.values.tolist()
        else:
            self.values += batch.values.tolist()

    def until(self, seen: Callable[[], object], what: str) -> None:
        """Ask again and again until it is seen."""
        ends_s = time.monotonic() + WAIT_S
        while not seen():
            assert time.monotonic() < ends_s, f"{what}: {self.read.counters()} {self.wrong()}"
            self.step()
            time.sleep(0.02)

    def wrong(self) -> dict[str, str]:
        """What is wrong, by kind."""
        return {problem.kind: problem.reason.text() for problem in self.read.problems.all()}
