"""Correlator and bridge of one partition of the alerts topic, with their transaction. No Kafka, no clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from copy import copy
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from detectors.engine import Engine
from model.alert import Alert
from model.batch import LogBatch, MetricBatch
from model.calls import Calls
from model.codec import decode, encode
from model.errors import TocsinError
from model.feedback import Feedback
from model.journal import JournalKind
from model.series import SeriesIndex
from model.silence import Silence
from pipeline import wiring
from pipeline.core import Core, StepOutput
from pipeline.distributed.aligning import CLOCK, Alignment, Mark, Round
from pipeline.distributed.calling import Calling
from pipeline.distributed.packing import cut
from pipeline.distributed.placing import FIRST, Placing, Share, services_in
from pipeline.distributed.wire import Called, Entries, Entry, Message, Tick, Told, write
from pipeline.settings import Settings
from store import offsets as offset_rows
from store import snapshots as snapshot_rows
from store.database import Database
from store.store import Store

MARK_EVERY_MS = 10_000
"""Stream time after which the mark is written though nothing was decided."""


class Fenced(TocsinError):
    """Another worker has gone on with this partition: what is held here is of the past."""


@dataclass(frozen=True, slots=True)
class Care:
    """How carefully messages are taken after a crash.

    Attributes
    ----------
    upto : int
        Offset up to which a step of several messages is tried message by message first, with nothing kept of it.
    apart_upto : int
        Offset up to which each has a step of its own: the trial found none to blame, and all together crash.
    """

    upto: int = -1
    apart_upto: int = -1


class Undone(Database):
    """Records that take what is written, and keep nothing of it."""

    def __init__(self, records: Database) -> None:
        self._records = records

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """As they are."""
        with self._records.read() as conn:
            yield conn

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that is undone at its end."""
        with suppress(_Undo), self._records.write() as conn:
            yield conn
            raise _Undo


class _Undo(Exception):
    """Ends a transaction."""


class Elsewhere(Engine):
    """Stands for detectors that run in other workers: their alerts come as messages."""

    seen: tuple[Calls, ...] = ()

    def take(self, batch: MetricBatch | LogBatch, *, now_ms: int) -> list[Alert]:
        """Nothing."""
        return []

    def step(self, now_ms: int) -> list[Alert]:
        """Nothing."""
        return []

    def calls(self) -> tuple[Calls, ...]:
        """What detectors elsewhere have seen."""
        return self.seen

    def adopt(self, alerts: Iterable[Alert]) -> None:
        """Whoever detects remembers what fires."""

    def heed(self, said: Iterable[Feedback]) -> None:
        """Whoever detects is told by the stream."""


class Correlating:
    """The stages after the detectors, for one partition of the alerts topic.

    The mark of what was read is written in the transaction of what was decided, and only where the mark
    before it is still ours: two workers on one partition cannot both write (`Fenced`).

    Attributes
    ----------
    misplaced : list of (int, bytes)
        Messages for other partitions: what came here by a placing of before. They must have arrived before
        the next message is taken.
    doubtful : tuple of int
        Offsets of the messages whose step is under way: where it crashes, one of them is to blame, not the
        one that completed the round.
    care : Care
        Up to which messages what crashes a step is sought.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        partition: int,
        *,
        sources: int,
        patience_ms: int,
        placing: Placing | None = None,
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._name = f"correlate.{partition}"
        self._silenced = f"silences.{partition}"
        self._partition = partition
        self._placing = placing or Placing(settings)
        if partition >= self._placing.count:
            raise Fenced(f"{self._name}: kafka.domains knows {self._placing.count} partitions only")
        self._services_of = services_in(store)
        self._store = store
        self._to_keep = False
        self.steps = 0
        self.misplaced: list[tuple[int, bytes]] = []
        self.doubtful: tuple[int, ...] = ()
        self.care = Care()
        with store.records.read() as conn:
            data = snapshot_rows.get(conn, self._name)
            self._calling = Calling.of(conn, f"calls.{partition}")
        self._written = data
        self.mark = Mark() if data is None else Mark.load(data)
        self._alignment = Alignment(sources, patience_ms=patience_ms, mark=self.mark)
        self._settings, self._report = settings, report
        self._elsewhere, self.core = self._build(store)
        self._marked_ms = self.mark.now_ms
        self._restored = False

    def _build(self, store: Store) -> tuple[Elsewhere, Core]:
        engine = Elsewhere(self._settings.machine.detectors, SeriesIndex(1, 1))
        first = self._partition == FIRST
        core = wiring.build_core(
            self._settings,
            store,
            SeriesIndex(1, 1),
            engine=engine,
            tells=True,
            report=self._report,
            journal=offset_rows.JOURNAL if first else f"journal.{self._partition}",
        )
        return engine, core

    @property
    def now_ms(self) -> int:
        """Time of the last step."""
        return self._alignment.now_ms

    @property
    def waiting(self) -> int:
        """Messages that wait for their step."""
        return self._alignment.waiting

    @property
    def repeated(self) -> int:
        """Messages that had been taken before."""
        return self._alignment.repeated

    def take(self, message: Message, offset: int) -> list[StepOutput]:
        """One message of the partition, with its offset; what was decided with it is written.

        Raises
        ------
        Fenced
            Another worker writes for this partition: build a new one.
        StoreError
            Nothing was written. Build a new one and read again from its mark.
        """
        if isinstance(message, Tick):
            message = Told(CLOCK, message.now_ms, stamp=self._placing.stamp)
        if isinstance(message, Called):
            self._calling.take(message)
        if not isinstance(message, (Told, Entry, Entries)):
            return []
        if getattr(message, "stamp", "") != self._placing.stamp:
            message = self._look_through(message, offset)
        return [out for one in self._alignment.take(message, offset) for out in self._steps(one)]

    def begin_anew(self, offset: int, *, now_ms: int) -> None:
        """Write that messages count from `offset` of another topic; build a new one.

        Raises
        ------
        Fenced
            Another worker writes for this partition.
        """
        data = replace(self.mark, resume=offset, entries=-1).save()
        with self._store.records.write() as conn:
            before = self._written
            if not snapshot_rows.replace(conn, self._name, data, before=before, now_ms=now_ms):
                raise Fenced(f"{self._name}: another worker has gone on")

    def _look_through(self, message: Told | Entry | Entries, offset: int) -> Told | Entries:
        """What is ours of a message of another placing; the rest is put among the misplaced."""
        away: dict[int, list[Entry]] = {}
        if isinstance(message, Told):
            mine = []
            for alert in message.alerts:
                place = self._placing.of_labels(alert.labels)
                if place == self._partition:
                    mine.append(alert)
                else:
                    body = encode(alert)
                    entry = Entry(JournalKind.ALERT, alert.source, message.now_ms, body)
                    away.setdefault(place, []).append(entry)
            ours: Told | Entries = replace(message, alerts=tuple(mine))
        else:
            kept = []
            for entry in (message,) if isinstance(message, Entry) else message.entries:
                places = self._placing.of_push(entry.kind, entry.body, self._services_of)
                if self._partition in places:
                    kept.append(entry)
                    # A silence: whoever sent it has told all that it knew of, among them the first.
                    places = places if self._partition == FIRST else ()
                for place in set(places) - {self._partition}:
                    away.setdefault(place, []).append(entry)
            ours = Entries(tuple(kept))
        if not self._alignment.taken(message, offset):
            self.misplaced += [(p, one) for p, e in away.items() for one in self._sent_on(e)]
        return ours

    def _sent_on(self, entries: list[Entry]) -> list[bytes]:
        stamp = self._placing.stamp
        return [
            write(Entries(tuple([entries[n] for n in some]), stamp))
            for some in cut(range(len(entries)), entries)
        ]

    def _restore(self, core: Core, now_ms: int) -> None:
        # Where others decide too, silences are remembered beside the mark: the common rows may be ahead.
        if self._placing.count == 1:
            core.restore(now_ms)
            return
        with self._store.records.read() as conn:
            kept = snapshot_rows.get(conn, self._silenced)
        # The first mark takes them along: before the next start the common rows may have gone ahead.
        self._to_keep = kept is None
        silences = None if kept is None else decode(list[Silence], kept)
        share = Share(self._placing, self._partition)
        core.restore(now_ms, share=share, silences=silences)

    def _steps(self, one: Round) -> list[StepOutput]:
        first = min(one.offsets, default=-1)
        found = []
        if len(one.offsets) > 1 and first <= self.care.apart_upto:
            for offset, part in one.apart(self.mark):
                self.doubtful = (offset,)
                found.append(self._step(part))
        else:
            if len(one.offsets) > 1 and first <= self.care.upto:
                self._find(one)
            self.doubtful = one.offsets
            found.append(self._step(one))
        self.doubtful = ()
        return found

    def _find(self, one: Round) -> None:
        """Try each message in a step of its own that keeps nothing: it crashes at the one to blame, if at one alone."""
        trial = copy(self._store)
        trial.records = Undone(self._store.records)
        engine, core = self._build(trial)
        self._restore(core, self.mark.now_ms or one.now_ms)
        engine.seen = self._calling.upto(one.now_ms)
        for offset, part in one.apart(self.mark):
            self.doubtful = (offset,)
            core.step(part.now_ms, values=part.alerts, entries=part.entries)

    def _step(self, one: Round) -> StepOutput:
        if not self._restored:
            # The time of a start is that of the stream, not of the machine.
            self._restore(self.core, self.mark.now_ms or one.now_ms)
            self._restored = True
        self._elsewhere.seen = self._calling.upto(one.now_ms)
        out = self.core.step(
            one.now_ms,
            values=one.alerts,
            entries=one.entries,
            also=lambda conn: self._write(conn, one),
            anyway=one.now_ms - self._marked_ms >= MARK_EVERY_MS,
        )
        self.steps += 1
        return out

    def _write(self, conn: Connection, one: Round) -> None:
        data = one.mark.save()
        before = self._written
        if not snapshot_rows.replace(conn, self._name, data, before=before, now_ms=one.now_ms):
            raise Fenced(f"{self._name}: another worker has gone on")
        if not self._placing.holds(conn):
            raise Fenced(f"{self._name}: a worker with other domains has started")
        silenced = any(entry.kind is JournalKind.SILENCE for entry in one.entries)
        if self._placing.count > 1 and (silenced or self._to_keep):
            self._to_keep = False
            silences = encode(list(self.core.correlator.silences))
            snapshot_rows.put(conn, self._silenced, silences, now_ms=one.now_ms)
        self._calling.write(conn, now_ms=one.now_ms)
        self._written, self.mark, self._marked_ms = data, one.mark, one.now_ms
