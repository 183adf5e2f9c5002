"""One stage of a worker as a Faust application: an agent over a topic, a stage for each partition it is given.

Faust joins the group, balances partitions, reads, buffers, sends and commits. It keeps no state of ours:
there are no Tables, and so none of their recovery (decision 6).
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict, deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from faust.types import TP

from model.clock import Clock
from model.errors import InputError, StoreError
from pipeline.distributed import topics
from pipeline.distributed.applications import application, plain_topic
from pipeline.distributed.correlating import Fenced
from pipeline.distributed.holding import Held, TopicChanged
from pipeline.distributed.settings import KafkaSettings
from pipeline.distributed.suspects import Suspects
from pipeline.distributed.threads import ended
from pipeline.distributed.unheard import Unheard
from pipeline.distributed.wire import Dead, write

log = logging.getLogger("tocsin.kafka")

ACK_EVERY_S = 1.0
KEEP_WITHIN_S = 10.0
"""At the end and when partitions are given away; what was not kept is read again by who has them next."""


class Joined:
    """A worker's share of one topic.

    Ends (`failed`) on whatever it cannot go on from; whoever runs it builds another, which begins from what
    was kept. There is no other way of recovery.

    Parameters
    ----------
    hold
        Makes a partition's stage from what was kept of it.
    until_kept_s : Callable
        From so many bytes that were kept of all partitions, seconds until they are kept again.
    """

    def __init__(
        self,
        name: str,
        topic: str,
        kafka: KafkaSettings,
        *,
        folder: Path,
        clock: Clock,
        hold: Callable[[int], Held],
        suspects: Suspects,
        until_kept_s: Callable[[int], float],
    ) -> None:
        self.name = name
        self.failed: asyncio.Event = asyncio.Event()
        self.taken = self.passed_over = self.set_aside = self.gaps = self.sent = self.read_again = 0
        self._clock = clock
        self._hold = hold
        self._suspects = suspects
        self._until_kept_s = until_kept_s
        self.app = application(name, kafka, folder)
        self._kafka = kafka
        self._topic_name = topic
        self._alerts, self._dead = kafka.alerts, kafka.dead
        self.app.agent(plain_topic(self.app, topic), name=name)(self._consume)
        signals: Any = self.app  # Faust types their receivers more narrowly than it calls them
        signals.on_partitions_assigned.connect(self._assigned)
        signals.on_partitions_revoked.connect(self._revoked)
        self.held: dict[int, Held] = {}
        self._mine: set[int] = set()
        self._unacked: dict[int, deque[Any]] = defaultdict(deque)
        self._sending: dict[int, list[Any]] = defaultdict(list)
        self._poison: dict[int, dict[int, bool]] = {}
        self._looked: dict[int, int | None] = {}
        self._unheard = Unheard()
        self._compared: set[int] = set()
        self._keeper: asyncio.Task[None] | None = None
        self._busy = asyncio.Lock()

    async def start(self) -> None:
        """Join.

        Raises
        ------
        TransientError
            If the topics are not there, or no broker is.
        """
        await topics.ready(self._kafka, self._topic_name, self._alerts, self._dead)
        self.app.finalize()
        self.app.flow_control.resume()
        await self.app.start()
        self._keeper = asyncio.create_task(self._keep_for_ever())

    async def stop(self) -> None:
        """Leave; what is held is kept first, where nothing failed."""
        if self._keeper is not None:
            self._keeper.cancel()
        if not self.failed.is_set():
            try:
                async with self._busy:
                    await self._keep_some(set(self.held))
            except Exception as error:
                log.error("%s: the last snapshot is the one before: %s", self.name, error)
        self._mine.clear()
        await self.app.stop()
        if not await ended(self.app):
            log.warning("%s: the consumer's thread still runs", self.name)

    @property
    def crashed(self) -> bool:
        """Whether Faust itself gave up."""
        return bool(self.app.crashed or self.app.should_stop)

    def counters(self) -> dict[str, float]:
        """What is counted, by stage."""
        label = f'{{stage="{self.name}"}}'
        times = [held.now_ms for held in list(self.held.values()) if held.now_ms]
        behind_ms = max(0, self._clock.now_ms() - min(times)) if times else 0
        return {
            f"tocsin_kafka_messages_total{label}": self.taken,
            f"tocsin_kafka_repeated_total{label}": self.passed_over,
            f"tocsin_kafka_set_aside_total{label}": self.set_aside,
            f"tocsin_kafka_gaps_total{label}": self.gaps,
            f"tocsin_kafka_read_again_total{label}": self.read_again,
            f"tocsin_kafka_newer_total{label}": sum(
                held.newer for held in list(self.held.values())
            ),
            f"tocsin_kafka_partitions{label}": len(self.held),
            f"tocsin_kafka_behind_seconds{label}": behind_ms / 1000,
        }

    async def _assigned(self, _app: Any, assigned: set[TP], *_: Any, **__: Any) -> None:
        self._mine = {tp.partition for tp in assigned if tp.topic == self._topic_name}
        for partition in set(self.held) - self._mine:
            self._drop(partition)
        log.info("%s: partitions %s", self.name, sorted(self._mine))

    async def _revoked(self, _app: Any, revoked: set[TP], *_: Any, **__: Any) -> None:
        """Keep what is held, so that whoever goes on has little to read again."""
        gone = {tp.partition for tp in revoked if tp.topic == self._topic_name}
        if self.failed.is_set():
            return
        try:
            async with self._busy:
                await self._keep_some(gone & set(self.held))
        except Exception as error:
            self._fail(error)

    def _drop(self, partition: int) -> None:
        self.held.pop(partition, None)
        self._unacked.pop(partition, None)
        self._sending.pop(partition, None)
        self._looked.pop(partition, None)
        self._unheard.forget(partition)
        self._compared.discard(partition)

    async def _consume(self, stream: Any) -> None:
        async for event in stream.noack().events():
            if self.failed.is_set():
                continue  # until it ends: nothing is taken, nothing acknowledged
            try:
                async with self._busy:
                    await self._event(event)
            except Exception as error:
                self._fail(error)

    def _fail(self, error: Exception) -> None:
        expected = isinstance(error, (StoreError, Fenced, TopicChanged))
        log.error("%s: begins again: %s", self.name, error, exc_info=None if expected else error)
        self.failed.set()

    async def _event(self, event: Any) -> None:
        message = event.message
        partition, offset, data = message.partition, message.offset, event.value
        if partition not in self._mine:
            return  # read before it was given to another
        held, tp = self._held(partition), TP(message.topic, partition)
        message.value = None  # it waits to be acknowledged; its bytes need not
        if held.next is None:
            held.next = min(await self._first(tp), offset)
        if offset > held.next and await self._missed(event, held):
            return
        self._unacked[partition].append(message)
        if offset < held.next:
            await self._compare(tp, held, offset)
            self.passed_over += 1
            return
        if (past := self._poison[partition].get(offset)) is not None:
            if past:
                held.next = offset + 1
            elif not await self._take_apart(held, partition, offset, data or b""):
                why = "it crashed the stage again and again"
                await self._set_aside(held, partition, offset, data, why)
            return
        await self._take(held, partition, offset, data or b"")

    def _held(self, partition: int) -> Held:
        held = self.held.get(partition)
        if held is None:
            held = self.held[partition] = self._hold(partition)
            held.care = self._suspects.care(partition)
            self._poison[partition] = self._suspects.poisonous(partition)
        return held

    async def _take(self, held: Held, partition: int, offset: int, data: bytes) -> None:
        try:
            found = held.take(data, offset)
        except InputError as error:
            await self._set_aside(held, partition, offset, data, str(error))
            return
        except (StoreError, Fenced):
            raise
        except Exception:
            self._suspects.crashed(partition, held.doubtful or (offset,), self._clock.now_ms())
            raise
        self.taken += 1
        for to, one in found:
            sending = await self._send(self._alerts, to, one)
            if held.prompt:
                await sending
            else:
                self._sending[partition].append(sending)
            self.sent += 1

    async def _send(self, topic: str, partition: int, data: bytes) -> Any:
        """What to wait for until the brokers have it. By Faust's producer, but past its topics: they make much of a message."""
        producer = await self.app.maybe_start_producer()
        return await producer.send(topic, None, data, partition, None, None)

    async def _first(self, tp: TP) -> int:
        """Where a partition begins of which nothing is kept: where Kafka says it was read to, or its first message."""
        earliest = (await self.app.consumer.earliest_offsets(tp)).get(tp, 0) or 0
        end = self.app.consumer.highwater(tp) or 0
        return at if earliest <= (at := self._committed(tp)) <= end else earliest

    def _committed(self, tp: TP) -> int:
        """Where Kafka says that the partition was read to; 0 where it says nothing."""
        consumer: Any = self.app.consumer
        return consumer._committed_offset.get(tp) or 0

    async def _compare(self, tp: TP, held: Held, offset: int) -> None:
        """Is it still the topic that was read so far? One that was made again counts from 0: all would pass for known."""
        partition = tp.partition
        if partition in self._compared or held.next is None:
            return
        self._compared.add(partition)
        # Kafka forgets with a topic how far it was read. Each of its two ends alone may be of before, or too low.
        if self._committed(tp) or (self.app.consumer.highwater(tp) or 0) >= held.next:
            return
        end = (await self.app.consumer.highwaters(tp)).get(tp) or 0
        if end < held.next:
            self._suspects.forget(partition)
            held.begin_anew(offset, self._clock.now_ms())
            raise TopicChanged(
                f"partition {partition} ends at {end}, but was read to {held.next}: it is not the topic of before; "
                f"what is known stays, and messages are taken from {offset} on"
            )

    async def _missed(self, event: Any, held: Held) -> bool:
        """There is a gap before this message: have the missing ones read, if they are still there."""
        tp = TP(event.message.topic, event.message.partition)
        assert held.next is not None
        if self._looked.get(tp.partition) != held.next:
            if await self._gone(tp, held) and held.next >= event.message.offset:
                return False
            self._looked[tp.partition] = held.next
            log.warning(
                "%s: partition %d is read again from %d", self.name, tp.partition, held.next
            )
        # At each of those that wait behind the gap: only what is sought after the last of them lasts.
        await self.app.consumer.seek(tp, held.next)
        return True

    async def _gone(self, tp: TP, held: Held) -> bool:
        """Whether what is to come next was forgotten by the brokers; then what they still have comes next."""
        first = (await self.app.consumer.earliest_offsets(tp)).get(tp, 0) or 0
        if held.next is None or first <= held.next:
            return False
        self.gaps += 1
        log.error(
            "%s: messages %d to %d of partition %d are no longer there",
            self.name, held.next, first - 1, tp.partition,
        )  # fmt: skip
        held.next = first
        return True

    async def _look_for_unheard(self) -> None:
        """Have read again what was passed over: nothing may come for long that shows it."""
        for partition in sorted(self._mine):
            async with self._busy:
                tp = TP(self._topic_name, partition)
                if self.app.rebalancing or tp not in self.app.consumer.assignment():
                    return  # its place is being looked up
                held = self._held(partition)
                end = self.app.consumer.highwater(tp) or 0
                if held.next is None and end > 0:
                    held.next = await self._first(tp)
                at, now_s = held.next or 0, self._clock.monotonic_s()
                overdue = self._unheard.overdue(partition, at=at, end=end, now_s=now_s)
                if overdue and not await self._gone(tp, held):
                    self.read_again += 1
                    log.warning("%s: nothing comes of partition %d: it is read again from %d", self.name, partition, at)  # fmt: skip
                    await self.app.consumer.seek(tp, at)

    async def _take_apart(self, held: Held, partition: int, offset: int, data: bytes) -> bool:
        """Have each of a poison message's pushes come alone: one of them is it, the others are accepted."""
        parts = held.split(data)
        for one in parts:
            await (await self._send(self._alerts, partition, one))
        if parts:
            self._suspects.past(partition, offset, self._clock.now_ms())
            self._poison[partition][offset] = True
            held.next = offset + 1
            log.error(
                "%s: message %d of partition %d crashed it again and again; its %d pushes are tried one by one",
                self.name, offset, partition, len(parts),
            )  # fmt: skip
        return bool(parts)

    async def _set_aside(
        self, held: Held, partition: int, offset: int, data: bytes, why: str
    ) -> None:
        dead = Dead(self._topic_name, partition, offset, why, data or b"")
        await (await self._send(self._dead, 0, write(dead)))
        self._suspects.set_aside(partition, offset, why, self._clock.now_ms())
        self._poison[partition][offset] = True
        self.set_aside += 1
        held.next = offset + 1
        log.error("%s: message %d of partition %d is set aside: %s", self.name, offset, partition, why)  # fmt: skip

    async def _keep_for_ever(self) -> None:
        due_s = 0.0
        while not self.failed.is_set():
            await asyncio.sleep(ACK_EVERY_S)
            due = self._clock.monotonic_s() >= due_s
            try:
                for partition in list(self.held):
                    async with self._busy:
                        if due and partition in self.held:
                            await self._keep(partition)
                        self._acknowledge(partition)
                await self._look_for_unheard()
                if due:
                    kept_bytes = sum(held.kept_bytes for held in self.held.values())
                    due_s = self._clock.monotonic_s() + self._until_kept_s(kept_bytes)
            except Exception as error:
                self._fail(error)

    async def _keep_some(self, partitions: set[int]) -> None:
        """Keep as many as there is time for: all others of the group wait, and would take this one for dead."""
        until_s = self._clock.monotonic_s() + KEEP_WITHIN_S
        for number, partition in enumerate(sorted(partitions)):
            if self._clock.monotonic_s() > until_s:
                left = len(partitions) - number
                log.warning("%s: %d partitions are left at their last snapshots", self.name, left)
                return
            await self._keep(partition)

    async def _keep(self, partition: int) -> None:
        """Keep a partition's stage, once all that it sent has arrived."""
        sending = self._sending.pop(partition, [])
        for one in sending:
            await one
        held = self.held.get(partition)
        if held is None or self.failed.is_set():
            return  # given to another meanwhile; or in the middle of what it failed at, or done with (`begin_anew`)
        now_ms = self._clock.now_ms()
        try:
            keep = held.save(now_ms)
        except Exception:
            if held.doubtful:  # what waited is taken before anything is kept
                self._suspects.crashed(partition, held.doubtful, now_ms)
            raise
        await asyncio.to_thread(keep)
        self._acknowledge(partition)

    def _acknowledge(self, partition: int) -> None:
        held = self.held.get(partition)
        waiting = self._unacked[partition]
        while held is not None and waiting and waiting[0].offset < held.resume:
            waiting.popleft().ack(self.app.consumer)
