"""What a worker holds of a partition: a stage, how far it has read, and what it can be built from again.

A partition goes on from what is in the records database, not from where Kafka says it was read to: what
was learnt and how far it was learnt are one row, written at once. Kafka's committed offset follows behind
(`resume`), so that all messages after it come again, and those that are known are passed over.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Protocol

from sqlalchemy import Connection

from model.alert import Alert
from model.errors import InputError, SnapshotError, StoreError, TocsinError
from pipeline.distributed import fitting, shown
from pipeline.distributed.correlating import Care, Correlating
from pipeline.distributed.detecting import RELEASE, Detecting
from pipeline.distributed.placing import Placing
from pipeline.distributed.topics import TELEMETRY_KEPT_MS
from pipeline.distributed.wire import Ask, Entries, Message, Newer, Told, read, write
from pipeline.settings import Settings
from store import offsets as offset_rows
from store import snapshots as snapshot_rows
from store.store import Store

log = logging.getLogger("tocsin.kafka")

_BEFORE = ".before"
Sent = tuple[int, bytes]
"""A partition of the alerts topic, and a message."""


class TopicChanged(TocsinError):
    """The topic is not the one that was read so far: begin again, from what was just kept."""


class Held(Protocol):
    """A partition's stage.

    Attributes
    ----------
    next : int or None
        Offset of the message to take next; None where the first that comes will do.
    resume : int
        Offset from which messages are needed to build this again.
    newer : int
        Messages that only a newer release understands.
    prompt : bool
        Whether what is sent must have arrived before the next message is taken.
    kept_bytes : int
        Size of what was kept of it last.
    care : Care
        Up to which messages what crashed it is sought.
    """

    next: int | None
    prompt: bool
    kept_bytes: int
    care: Care

    @property
    def doubtful(self) -> tuple[int, ...]:
        """Which messages may be to blame for a crash of `take` or `save`; nothing for the one that `take` was given."""
        ...

    @property
    def newer(self) -> int:
        """See above."""
        ...

    @property
    def resume(self) -> int:
        """See above."""
        ...

    @property
    def now_ms(self) -> int:
        """The time that its messages have come to; 0 before the first."""
        ...

    def take(self, data: bytes, offset: int) -> list[Sent]:
        """One message; what is to be sent to the alerts topic.

        Raises
        ------
        InputError
            If it does not read; nothing has changed, go on with the next.
        """
        ...

    def split(self, data: bytes) -> list[bytes]:
        """A message of several as several messages, of which one may be poison; nothing where it is one."""
        ...

    def save(self, now_ms: int) -> Callable[[], None]:
        """Something to be called (in any thread) that keeps the stage as it is now."""
        ...

    def begin_anew(self, offset: int, now_ms: int) -> None:
        """Keep what is known as what goes before `offset` of another topic; this one is then done with.

        Raises
        ------
        StoreError
            If it was not kept.
        """
        ...


class DetectingPartition:
    """Detectors, kept as snapshots beside the offset that they contain."""

    prompt = False
    care = Care()

    def __init__(
        self, settings: Settings, store: Store, partition: int, placing: Placing | None = None
    ) -> None:
        self._settings = settings
        self._store = store
        self._placing = placing or Placing(settings)
        self._name = f"detect.{partition}"
        self._before: bytes | None = None
        self._waiting: list[int] = []
        self.kept_bytes = 0
        self.next: int | None = None
        self.stage = self._begin(partition)
        self.resume = self.next or 0

    def _begin(self, partition: int) -> Detecting:
        """From the newest snapshot that this release reads.

        What another release wrote last is kept beside ours for as long as the messages after it are: a worker
        of that release that gets the partition back goes on from there, and not cold.
        """
        for name in (self._name, f"{self._name}{_BEFORE}"):
            with self._store.records.read() as conn:
                data = snapshot_rows.get(conn, name)
            if data is None:
                continue
            stage = Detecting(self._settings, partition)
            try:
                stage.load(data[8:])
            except SnapshotError as error:
                log.error("snapshot %s is not used: %s", name, error)
                continue
            self.next = int.from_bytes(data[:8], "big")
            self._before = data if stage.written_by != RELEASE else None
            return stage
        log.info("%s: no snapshot: everything that is learnt starts cold", self._name)
        return Detecting(self._settings, partition)

    @property
    def newer(self) -> int:
        """Messages that only a newer release understands."""
        return self.stage.newer

    @property
    def doubtful(self) -> tuple[int, ...]:
        """Those that came since samples last began to wait for others of their time."""
        return tuple(self._waiting)

    @property
    def now_ms(self) -> int:
        """Of the last tick."""
        return self.stage.now_ms

    def take(self, data: bytes, offset: int) -> list[Sent]:
        """One message; at a tick, what was told: to each who decides, if only that there is nothing."""
        message = read(data)
        if isinstance(message, Ask):
            self._answer(message)
        told = self._take(message, offset)
        self.next = offset + 1
        if told is None:
            return []
        called = self.stage.called()
        seen = [] if called is None else [(n, write(called)) for n in range(self._placing.count)]
        return [
            *seen,
            *[
                (n, data)
                for n, one in shared_out(told, self._placing)
                for data in fitting.told(one)
            ],
        ]

    def _take(self, message: Message, offset: int) -> Told | None:
        # Where some of it crashed together, each is taken by itself.
        self.stage.apart = offset <= self.care.upto
        self._waiting.append(offset)
        try:
            told = self.stage.take(message)
        except InputError:
            self._waiting.pop()
            raise
        if not self.stage.holds:
            self._waiting.clear()
        return told

    def split(self, data: bytes) -> list[bytes]:
        """It is one."""
        return []

    def save(self, now_ms: int) -> Callable[[], None]:
        """The state of now; writing it may go on in another thread."""
        at = self.next or 0
        data = at.to_bytes(8, "big") + self.stage.save()
        self._waiting.clear()
        self.kept_bytes = len(data)
        seen = shown.judged_by(self.stage.engine)

        def keep() -> None:
            with self._store.records.write() as conn:
                # A worker that lost the partition without noticing must not set it back.
                if offset_rows.advance(conn, self._name, at):
                    self._keep_before(conn, now_ms)
                    snapshot_rows.put(conn, self._name, data, now_ms=now_ms)
                    shown.keep_judged(conn, self.stage.partition, seen, now_ms=now_ms)
            self.resume = at

        return keep

    def begin_anew(self, offset: int, now_ms: int) -> None:
        """The one place where an offset is set back."""
        data = offset.to_bytes(8, "big") + self.stage.save()
        with self._store.records.write() as conn:
            offset_rows.put(conn, self._name, offset)
            snapshot_rows.put(conn, self._name, data, now_ms=now_ms)
            snapshot_rows.remove(conn, f"{self._name}{_BEFORE}")

    def _keep_before(self, conn: Connection, now_ms: int) -> None:
        name = f"{self._name}{_BEFORE}"
        if self._before is not None:
            snapshot_rows.put(conn, name, self._before, now_ms=now_ms)
            self._before = None
        snapshot_rows.prune(conn, name, before_ms=now_ms - TELEMETRY_KEPT_MS)

    def _answer(self, asked: Ask) -> None:
        """Somebody looks at a series: a failure is theirs, not the stage's."""
        evidence = self.stage.engine.band(asked.labels)
        with suppress(StoreError), self._store.records.write() as conn:
            shown.keep_band(conn, asked.labels, evidence, asked_ms=asked.now_ms)


def shared_out(told: Told, placing: Placing) -> list[tuple[int, Told]]:
    """What was told, for each partition of the alerts topic."""
    parts: list[list[Alert]] = [[] for _ in range(placing.count)]
    for alert in told.alerts:
        parts[placing.of_labels(alert.labels)].append(alert)
    return [
        (number, replace(told, alerts=tuple(alerts), stamp=placing.stamp))
        for number, alerts in enumerate(parts)
    ]


class CorrelatingPartition:
    """Correlator and bridge, whose memory is the records themselves."""

    prompt = True
    kept_bytes = 0

    def __init__(
        self,
        settings: Settings,
        store: Store,
        partition: int,
        on_commit: Callable[[], None],
        placing: Placing | None = None,
    ) -> None:
        kafka = settings.machine.kafka
        self.stage = Correlating(
            settings,
            store,
            partition,
            sources=kafka.partitions,
            patience_ms=kafka.patience_ms,
            placing=placing,
        )
        self._on_commit = on_commit
        self.newer = 0
        self.next: int | None = self.stage.mark.resume or None

    @property
    def doubtful(self) -> tuple[int, ...]:
        """Those of the round under way."""
        return self.stage.doubtful

    @property
    def care(self) -> Care:
        """See above."""
        return self.stage.care

    @care.setter
    def care(self, care: Care) -> None:
        self.stage.care = care

    @property
    def resume(self) -> int:
        """What the last transaction says."""
        return self.stage.mark.resume

    @property
    def now_ms(self) -> int:
        """Of the last step."""
        return self.stage.now_ms

    def take(self, data: bytes, offset: int) -> list[Sent]:
        """One message; what is decided is in the records, what is not for us is sent on."""
        message = read(data)
        self.newer += isinstance(message, Newer)
        decided = self.stage.take(message, offset)
        self.next = offset + 1
        if any(bridged.actions for out in decided for bridged in out.bridged):
            self._on_commit()
        misplaced, self.stage.misplaced = self.stage.misplaced, []
        return misplaced

    def split(self, data: bytes) -> list[bytes]:
        """Each push on its own."""
        message = read(data)
        if not isinstance(message, Entries) or len(message.entries) < 2:
            return []
        return [write(replace(message, entries=(one,))) for one in message.entries]

    def save(self, now_ms: int) -> Callable[[], None]:
        """Every step has done so."""
        return lambda: None

    def begin_anew(self, offset: int, now_ms: int) -> None:
        """Decisions stay; which pushes were taken is of the topic before."""
        self.stage.begin_anew(offset, now_ms=now_ms)


__all__ = [
    "CorrelatingPartition",
    "DetectingPartition",
    "Held",
    "InputError",
    "SnapshotError",
    "TopicChanged",
]
