"""What goes to Kafka: telemetry through a bounded queue, accepted pushes at once or not at all."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from model.errors import StoreError, TransientError
from model.journal import JournalKind, NewEntry
from pipeline.distributed import topics
from pipeline.distributed.connecting import client_options
from pipeline.distributed.packing import packed
from pipeline.distributed.placing import Placing, ServicesOf
from pipeline.distributed.wire import Entry, write
from pipeline.settings import Settings

log = logging.getLogger("tocsin.outlet")

AT_ONCE_MAX = 500
RETRY_S = 1.0
CLOSE_WITHIN_S = 2.0
"""A client of Kafka waits for brokers that are away much longer than a process may take to end."""
ACCEPT_WITHIN_S = 10.0

Sent = tuple[str, int, bytes]


class Outlet:
    """Sends in order; while no broker takes it, telemetry waits, and the oldest is dropped beyond a limit.

    Attributes
    ----------
    waiting_bytes, sent, sent_bytes, dropped : int
        Of telemetry: what waits now, and what was sent and dropped in all.
    """

    def __init__(self, settings: Settings, services_of: ServicesOf) -> None:
        self._kafka = settings.machine.kafka
        self._placing = Placing(settings)
        self._services_of = services_of
        self._producer: AIOKafkaProducer | None = None
        self._connecting = asyncio.Lock()
        self._waiting: deque[Sent] = deque()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._under_way = 0
        self.waiting_bytes = self.sent = self.sent_bytes = self.dropped = self.failures = 0

    async def start(self) -> None:
        """Connect, now or later."""
        self._task = asyncio.create_task(self._send_for_ever())

    async def stop(self, within_s: float = 5.0) -> None:
        """Send what waits, as far as it can be, and end."""
        try:
            await asyncio.wait_for(self.flushed(), within_s)
        except TimeoutError:
            log.error("%d messages could not be sent", len(self._waiting) + self._under_way)
        if self._task is not None:
            self._task.cancel()
        if self._producer is not None:
            # Not wait_for: that would wait for the end of what it has cancelled.
            await asyncio.wait({asyncio.create_task(self._producer.stop())}, timeout=CLOSE_WITHIN_S)

    @property
    def empty(self) -> bool:
        """Whether everything was taken by a broker."""
        return not self._waiting and not self._under_way

    async def flushed(self) -> None:
        """Wait until everything was taken."""
        while not self.empty:
            await asyncio.sleep(0.05)

    def put(self, messages: Sequence[Sent]) -> None:
        """Telemetry: topic, partition, message."""
        for one in messages:
            self._waiting.append(one)
            self.waiting_bytes += len(one[2])
        while self._waiting and self.waiting_bytes > self._kafka.queue_bytes_max:
            self.waiting_bytes -= len(self._waiting.popleft()[2])
            self.dropped += 1
        self._wake.set()

    async def submit(self, entries: Sequence[NewEntry]) -> list[int]:
        """Accepted pushes: returns their offsets once all copies in sync have them.

        Raises
        ------
        StoreError
            If no broker said so in time. Some may have been taken: pushing again does no harm.
        """
        try:
            return await asyncio.wait_for(self._submit(entries), ACCEPT_WITHIN_S)
        except (KafkaError, TransientError, TimeoutError) as error:
            raise StoreError(f"no broker takes it: {error!r}; try again") from error

    async def _submit(self, entries: Sequence[NewEntry]) -> list[int]:
        producer = await self._connected()
        # In a thread: where an act goes is asked of the records.
        parts = await asyncio.to_thread(
            lambda: list(packed(entries, self._placing, self._services_of))
        )
        sending = [
            await self._begin(producer, self._kafka.alerts, one.partition, one.data)
            for one in parts
        ]
        for entry in entries:
            if entry.kind is JournalKind.FEEDBACK:  # whoever detects is to know
                said = write(Entry(entry.kind, entry.source, entry.arrival_ms, entry.body))
                for number in range(self._kafka.partitions):
                    sending.append(await self._begin(producer, self._kafka.telemetry, number, said))
        done = await asyncio.gather(*sending)
        offsets = dict[int, int]()
        for one, record in zip(parts, done, strict=False):
            for number in one.numbers:
                offsets.setdefault(number, int(record.offset) + 1)
        return [offsets[number] for number in range(len(entries))]

    async def _connected(self) -> AIOKafkaProducer:
        async with self._connecting:  # many may ask at once while there is no broker
            if self._producer is None:
                # Before anything asks for a topic: many brokers make one that is missing, of one partition.
                await topics.ready(self._kafka, self._kafka.telemetry, self._kafka.alerts)
                producer = AIOKafkaProducer(
                    **client_options(self._kafka), acks="all", linger_ms=5, max_request_size=2**20
                )
                try:
                    await producer.start()
                except BaseException:
                    await producer.stop()
                    raise
                self._producer = producer
            return self._producer

    async def _send_for_ever(self) -> None:
        failing = False
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                batch = [
                    self._waiting.popleft() for _ in range(min(AT_ONCE_MAX, len(self._waiting)))
                ]
                self._under_way = len(batch)
                try:
                    await self._send(batch)
                    if failing:
                        log.info("a broker takes messages again")
                    failing = False
                except (KafkaError, TransientError, OSError, TimeoutError) as error:
                    if not failing:
                        log.error("no broker takes messages; they wait: %r", error)
                    failing = True
                    self.failures += 1
                    # Again in its order: what arrives twice is known by its times.
                    self._waiting.extendleft(reversed(batch))
                    await asyncio.sleep(RETRY_S)
                finally:
                    self._under_way = 0

    async def _send(self, batch: list[Sent]) -> None:
        producer = await self._connected()
        sending = [await self._begin(producer, *one) for one in batch]
        results = await asyncio.gather(*sending, return_exceptions=True)
        for one, result in zip(list(batch), results, strict=True):
            if isinstance(result, MessageSizeTooLargeError):
                self._drop(batch, one, result)
            elif isinstance(result, BaseException):
                raise result
        size = sum(len(data) for _, _, data in batch)
        self.waiting_bytes -= size
        self.sent += len(batch)
        self.sent_bytes += size

    async def _begin(
        self, producer: AIOKafkaProducer, topic: str, partition: int, data: bytes
    ) -> asyncio.Future[Any]:
        """Hand a message to the client; what comes of it is in the future."""
        try:
            sending: asyncio.Future[Any] = await producer.send(topic, data, partition=partition)
            return sending
        except MessageSizeTooLargeError as error:
            refused: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            refused.set_exception(error)
            return refused
        except AssertionError as error:  # so it says that a topic has no such partition
            await producer.client.force_metadata_update()  # somebody may add it
            raise TransientError(
                f"{topic} has no partition {partition}: see tocsin topics"
            ) from error

    def _drop(self, batch: list[Sent], one: Sent, why: MessageSizeTooLargeError) -> None:
        """It would hold up all that waits behind it, for ever."""
        topic, partition, data = one
        batch.remove(one)
        self.waiting_bytes -= len(data)
        self.dropped += 1
        log.error(
            "a message of %d bytes for partition %d of %s is dropped: %s; is message.max.bytes less than 1 MiB there?",
            len(data), partition, topic, why,
        )  # fmt: skip

    def counters(self) -> dict[str, float]:
        """Our own metrics."""
        return {
            "tocsin_kafka_sent_total": self.sent,
            "tocsin_kafka_sent_bytes_total": self.sent_bytes,
            "tocsin_kafka_waiting_bytes": self.waiting_bytes,
            "tocsin_kafka_dropped_total": self.dropped,
            "tocsin_kafka_send_failures_total": self.failures,
        }
