"""Topics read in a thread of their own: decoded there, and kept in a bounded queue until the pipeline takes them."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from collectors.kafka_client import client_options
from collectors.kafka_messages import Message, Read, Reader
from collectors.kafka_settings import KafkaSourceSettings, KafkaStart
from model.clock import Clock
from model.errors import InputError

log = logging.getLogger("tocsin.kafka_source")

AT_ONCE_MAX = 500
POLL_MS = 200
FULL_S = 0.05
RETRY_S = (1.0, 2.0, 5.0, 10.0)
FETCH_BYTES_MAX = 4 * 2**20
WORLD = (KafkaError, InputError, OSError, TimeoutError, asyncio.CancelledError)
"""What brokers and their client do to us; nobody but the client cancels what this thread waits for."""

Place = tuple[str, int]
"""A topic and a partition."""


@dataclass(frozen=True, slots=True)
class Portion:
    """Messages of one partition, one after the other: what they hold, and where reading goes on after them."""

    place: Place
    next: int
    size_bytes: int
    read: Read
    messages: int


@dataclass(slots=True)
class FeedState:
    """What the thread tells; read by others.

    Attributes
    ----------
    well : bool or None
        Whether brokers answer; None until it is known.
    error : str
        What is wrong.
    lag : int
        Messages that were not read yet, as far as is known.
    partitions : int
        How many are read.
    gaps : int
        Messages that were deleted before they were read.
    paused : int
        Times nothing was read because the queue was full.
    """

    well: bool | None = None
    error: str = ""
    lag: int = 0
    partitions: int = 0
    gaps: int = 0
    paused: int = 0
    missing: tuple[str, ...] = ()
    ends: dict[Place, int] = field(default_factory=dict)


class KafkaFeed:
    """Reads from given positions on; those alone say what was read before.

    Parameters
    ----------
    positions : mapping of Place to int
        Where each partition goes on; one that is not named begins at the group's, else as `start` says.
    """

    def __init__(
        self,
        settings: KafkaSourceSettings,
        reader: Reader,
        clock: Clock,
        positions: Mapping[Place, int],
    ) -> None:
        self.state = FeedState()
        self._settings = settings
        self._reader = reader
        self._clock = clock
        self._next = dict(positions)
        self._queue: deque[Portion] = deque()
        self._lock = threading.Lock()
        self._bytes = 0
        self._ending = threading.Event()
        self._commit: dict[Place, int] = {}
        self._known: set[Place] = set()
        self._thread = threading.Thread(target=self._run, name="kafka-source", daemon=True)

    @property
    def waiting_bytes(self) -> int:
        """What was read and not taken yet."""
        return self._bytes

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """End; what was not taken is read again by whoever goes on."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def take(self, bytes_max: int) -> list[Portion]:
        """The oldest portions, up to so many bytes, at least one."""
        taken: list[Portion] = []
        with self._lock:
            left = bytes_max
            while self._queue and (not taken or self._queue[0].size_bytes <= left):
                portion = self._queue.popleft()
                left -= portion.size_bytes
                self._bytes -= portion.size_bytes
                taken.append(portion)
        return taken

    def commit(self, positions: Mapping[Place, int]) -> None:
        """Let the group know, some time."""
        with self._lock:
            self._commit = dict(positions)

    def _run(self) -> None:
        asyncio.run(self._for_ever())

    async def _for_ever(self) -> None:
        tries = 0
        while not self._ending.is_set():
            try:
                await self._session()
                tries = 0
            except WORLD as error:
                self._note(error)
                if self.state.well:
                    tries = 0
            except Exception as error:  # a library's surprise must not end the source
                log.exception("reading failed")
                self._note(error)
            self.state.well = False
            wait_s = RETRY_S[min(tries, len(RETRY_S) - 1)]
            tries += 1
            await asyncio.to_thread(self._ending.wait, wait_s)

    def _note(self, error: BaseException) -> None:
        said = str(error).strip() or type(error).__name__
        self.state.error = "".join(c if c.isprintable() else " " for c in said)[:300]

    async def _session(self) -> None:
        """Connect, and read until something fails."""
        settings = self._settings
        options = client_options(settings, f"tocsin-{settings.name}")
        options["request_timeout_ms"] = settings.timeout_ms
        admin = AIOKafkaAdminClient(**options)
        consumer = AIOKafkaConsumer(
            **options,
            group_id=settings.group or None,
            enable_auto_commit=False,
            auto_offset_reset=settings.start.value,
            max_partition_fetch_bytes=FETCH_BYTES_MAX,
            fetch_max_bytes=4 * FETCH_BYTES_MAX,
            fetch_max_wait_ms=POLL_MS,
        )
        try:
            await admin.start()
            await consumer.start()
            await self._read(consumer, admin)
        finally:
            for client in (consumer.stop, admin.close):
                try:
                    await asyncio.wait_for(client(), settings.timeout_ms / 1000)
                except WORLD:
                    continue

    async def _read(self, consumer: Any, admin: Any) -> None:
        look_s = 0.0
        while not self._ending.is_set():
            if self._clock.monotonic_s() >= look_s:
                look_s = self._clock.monotonic_s() + self._settings.interval_ms / 1000
                within_s = self._settings.timeout_ms / 1000
                await asyncio.wait_for(self._look(consumer, admin), within_s)
            if self._bytes > self._settings.queue_bytes_max or not consumer.assignment():
                self.state.paused += bool(consumer.assignment())
                await asyncio.sleep(FULL_S)
                continue
            got = await consumer.getmany(timeout_ms=POLL_MS, max_records=AT_ONCE_MAX)
            now_ms = self._clock.now_ms()
            for tp, records in got.items():
                self._put((tp.topic, tp.partition), records, now_ms)

    async def _look(self, consumer: Any, admin: Any) -> None:
        """New partitions, the lag, and whether brokers answer at all."""
        # To describe a topic that is not there makes it, on some brokers.
        known = set(await admin.list_topics())
        wanted = [topic for topic in self._settings.topics if topic in known]
        described = await admin.describe_topics(wanted) if wanted else []
        found = sorted(
            (str(topic["topic"]), int(partition["partition"]))
            for topic in described
            if not topic["error_code"]
            for partition in topic["partitions"]
        )
        there = {topic for topic, _ in found}
        self.state.missing = tuple(one for one in self._settings.topics if one not in there)
        tps = [TopicPartition(*place) for place in found]
        if set(tps) != set(consumer.assignment()):
            await self._assign(consumer, tps)
        if tps:
            ends = await consumer.end_offsets(tps)
            self.state.ends = {(tp.topic, tp.partition): int(end) for tp, end in ends.items()}
            await self._commit_to_group(consumer)
        self.state.lag = sum(
            max(0, end - self._next.get(place, end)) for place, end in self.state.ends.items()
        )
        self.state.partitions = len(tps)
        self.state.well, self.state.error = True, ""

    async def _assign(self, consumer: Any, tps: Sequence[Any]) -> None:
        consumer.assign(tps)
        first = not self._known
        firsts = await consumer.beginning_offsets(tps) if tps else {}
        lasts = await consumer.end_offsets(tps) if tps else {}
        for tp in tps:
            place = (tp.topic, tp.partition)
            goes_on = self._next.get(place)
            if goes_on is None and self._settings.group:
                goes_on = await consumer.committed(tp)
            if goes_on is None:
                # A partition that is new holds nothing but news.
                latest = first and self._settings.start is KafkaStart.LATEST
                goes_on = lasts[tp] if latest else firsts[tp]
            if goes_on < firsts[tp]:
                self.state.gaps += firsts[tp] - goes_on
                log.error("%s %d: messages %d to %d are no longer there", *place, goes_on, firsts[tp] - 1)  # fmt: skip
                goes_on = firsts[tp]
            elif goes_on > lasts[tp]:
                # Another topic of that name: what was read before was another's.
                log.error("%s %d: begins anew, it ends at %d", *place, lasts[tp])
                goes_on = firsts[tp]
            self._known.add(place)
            self._next[place] = int(goes_on)
            consumer.seek(tp, int(goes_on))

    async def _commit_to_group(self, consumer: Any) -> None:
        with self._lock:
            positions, self._commit = self._commit, {}
        mine = {(tp.topic, tp.partition): tp for tp in consumer.assignment()}
        wanted = {mine[place]: at for place, at in positions.items() if place in mine}
        if self._settings.group and wanted:
            await consumer.commit(wanted)

    def _put(self, place: Place, records: Sequence[Any], now_ms: int) -> None:
        messages = [
            Message(place[0], place[1], one.offset, one.value, tuple(one.headers or ()))
            for one in records
            if one.value
        ]
        size_bytes = sum(len(one.value) for one in messages)
        read = self._reader.read(messages, now_ms)
        after = int(records[-1].offset) + 1
        self._next[place] = after
        with self._lock:
            self._queue.append(Portion(place, after, size_bytes, read, len(records)))
            self._bytes += size_bytes
