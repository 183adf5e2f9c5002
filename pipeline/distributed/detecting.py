"""The detectors of one partition: messages in, what they tell out. No Kafka, no clock."""

from __future__ import annotations

import json
from collections import OrderedDict

import numpy as np

from collectors.templates import TemplateMiner
from detectors.engine import Engine
from model.alert import Alert
from model.batch import SMALL, LogBatch, MetricBatch, Rows, joined
from model.calls import Calls
from model.codec import build, decode, encode
from model.errors import InputError, SnapshotError
from model.feedback import Feedback
from model.journal import JournalKind
from model.series import SeriesIndex
from pipeline import wiring
from pipeline.checkpoints import pack, unpack
from pipeline.distributed.blocks import unpack_labels
from pipeline.distributed.past import Learning
from pipeline.distributed.wire import (
    Called,
    Entry,
    Lines,
    Message,
    Newer,
    Past,
    Samples,
    Tick,
    Told,
)
from pipeline.settings import Settings
from pipeline.version import VERSION

BLOCKS_MAX = 10_000
_VERSION = 1
RELEASE = f"{VERSION}/{_VERSION}"
"""Written into snapshots: what another release wrote is kept beside ours for a while."""


class Detecting:
    """Engine, series index and template miner of one partition.

    What it tells follows from the messages alone: read again after a crash, they give the same.

    Attributes
    ----------
    now_ms : int
        Time, as far as the partition's messages have brought it.
    written_by : str
        Which release wrote what was loaded.
    apart : bool
        Take each message at once, so that the one that crashes the stage is known; else samples of one time
        are taken together, at the latest with the next tick.
    """

    def __init__(self, settings: Settings, partition: int) -> None:
        machine = settings.machine
        self.partition = partition
        self.now_ms = 0
        self.written_by = RELEASE
        self.apart = False
        self.samples = self.lines = self.newer = 0
        self._idle_ms = machine.pipeline.series_idle_ms
        self._evicted_ms = 0
        self._found: list[Alert] = []
        self._said: dict[str, Feedback] = {}
        self._blocks: OrderedDict[bytes, Rows] = OrderedDict()
        self._held: list[MetricBatch] = []  # of one `now_ms`, to be taken together
        self._held_samples = self._held_now_ms = 0
        self.index: SeriesIndex = wiring.build_index(machine)
        self.miner = TemplateMiner(machine.templates)
        self.engine: Engine = wiring.build_engine(settings, self.index)
        self.index.on_evict(lambda _rows: self._blocks.clear())
        self._called: tuple[Calls, ...] = ()
        self._past = Learning(self.engine, self.index, self._metrics, self._known)

    def take(self, message: Message) -> Told | None:
        """One message of the partition; at a tick, what was found since the one before.

        Raises
        ------
        InputError
            If its labels do not read. Nothing has changed then.
        """
        if isinstance(message, Samples):
            self._hold(self._metrics(message))
            return None
        self.settle()
        if isinstance(message, Tick):
            return self._tick(message.now_ms)
        if isinstance(message, Lines):
            batch = self._logs(message)
            if batch is not None:
                self._take(batch)
        elif isinstance(message, Entry) and message.kind is JournalKind.FEEDBACK:
            said = decode(Feedback, message.body)
            self._said[said.id] = said
            self.engine.heed(self._said.values())
        elif isinstance(message, Past):
            self._past.take(message, max(self.now_ms, 1))
        elif isinstance(message, Newer):
            self.newer += 1
        return None

    def _hold(self, batch: MetricBatch) -> None:
        """Keep a batch for those that come at the same time: see `joined`."""
        now_ms = max(self.now_ms, batch.arrival_ms)
        if now_ms != self._held_now_ms or self._held_samples >= 2 * SMALL:
            self.settle()
        self._held_now_ms = now_ms
        self._held.append(batch)
        self._held_samples += len(batch)
        if self.apart:
            self.settle()

    @property
    def holds(self) -> bool:
        """Whether samples wait for those of the same time."""
        return bool(self._held)

    def settle(self) -> None:
        """Take the samples that were kept for those of the same time."""
        held, self._held, self._held_samples = self._held, [], 0
        for batch in joined(held):
            self._take(batch)

    def _take(self, batch: MetricBatch | LogBatch) -> None:
        now_ms = max(self.now_ms, batch.arrival_ms)
        self._found += self.engine.take(batch, now_ms=now_ms)

    def _tick(self, now_ms: int) -> Told | None:
        if now_ms <= self.now_ms:  # of another feeder, or said again
            return None
        self.now_ms = now_ms
        self._found += self.engine.step(now_ms)
        self._evict(now_ms)
        told = Told(self.partition, now_ms, tuple(self._found))
        self._found = []
        return told

    def called(self) -> Called | None:
        """Who calls whom, where that is news since it was asked last; to be said before what was told."""
        calls = self.engine.calls()
        if calls is self._called:
            return None
        self._called = calls
        return Called(self.partition, self.now_ms, calls)

    def _evict(self, now_ms: int) -> None:
        if self._evicted_ms == 0:
            self._evicted_ms = now_ms
        elif now_ms - self._evicted_ms >= self._idle_ms / 4:
            self._evicted_ms = now_ms
            self.index.evict_stale(now_ms - self._idle_ms)

    def _metrics(self, message: Samples) -> MetricBatch:
        rows = self._rows(message)
        now_ms = max(self.now_ms, message.arrival_ms)
        self.index.touch(rows[rows >= 0], now_ms)
        for name, kind in message.kinds.items():
            self.index.describe(name, kind)
        kept = np.flatnonzero(rows >= 0)
        notes = {int(rows[at]): why for at, why in message.notes.items() if rows[at] >= 0}
        self.samples += len(kept)
        return MetricBatch(
            rows[kept],
            message.times_ms[kept],
            message.values[kept],
            message.arrival_ms,
            message.source,
            notes,
        )

    def _rows(self, message: Samples) -> Rows:
        """Rows of the samples; -1 where a limit refuses the series."""
        known = self._blocks.get(message.series)
        if known is None:
            labels = unpack_labels(message.series)
            now_ms = max(self.now_ms, message.arrival_ms)
            known = np.array(
                [self.index.intern(one, source=message.source, now_ms=now_ms) for one in labels],
                dtype=np.int32,
            )
            if len(self._blocks) >= BLOCKS_MAX:
                self._blocks.popitem(last=False)
            if (known >= 0).all():
                self._blocks[message.series] = known
        if len(known) != len(message.values):
            raise InputError(f"{len(known)} label sets, but {len(message.values)} values")
        return known

    def _known(self, block: bytes) -> Rows:
        found = [self.index.find(labels) for labels in unpack_labels(block)]
        return np.array([row for row in found if row is not None], dtype=np.int32)

    def _logs(self, message: Lines) -> LogBatch | None:
        if not message.lines:
            return None
        mined = self.miner.mine(message.lines)
        templates = np.array([self.miner.current(number) for number in mined], dtype=np.int32)
        self.lines += len(message.lines)
        return LogBatch(
            message.times_ms,
            templates,
            message.severities,
            message.services,
            message.lines,
            {number: self.miner.text(number) for number in sorted(set(templates.tolist()))},
            message.arrival_ms,
            message.source,
            self.miner.drain_merged(),
            message.fields,
        )

    def save(self) -> bytes:
        """Everything learnt, at one moment between two messages."""
        self.settle()
        own = {
            "version": _VERSION,
            "by": RELEASE,
            "now_ms": self.now_ms,
            "evicted_ms": self._evicted_ms,
            "found": json.loads(encode(self._found)),
            "said": json.loads(encode(list(self._said.values()))),
            "past": self._past.save(),
        }
        return pack(
            {
                "own": json.dumps(own).encode(),
                "index": self.index.save(),
                "miner": self.miner.save(),
                "engine": self.engine.save(),
            }
        )

    def load(self, data: bytes) -> None:
        """Take over a snapshot; this one must be new.

        Raises
        ------
        SnapshotError
            If it is damaged or of another version. What is here is then undefined.
        """
        parts = unpack(data)
        try:
            own = json.loads(parts["own"])
            if own["version"] != _VERSION:
                raise SnapshotError(f"of version {own['version']}, not {_VERSION}")
            self.written_by = str(own.get("by", ""))
            self.now_ms, self._evicted_ms = int(own["now_ms"]), int(own["evicted_ms"])
            self._found = build(list[Alert], own["found"])
            self._past.load(own.get("past", {}))
            self._said = {one.id: one for one in build(list[Feedback], own["said"])}
            self.index.load(parts["index"])
            self.miner.load(parts["miner"])
            self.engine.load(parts["engine"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SnapshotError(f"partition {self.partition}: does not read: {error!r}") from None
        self.engine.heed(self._said.values())
