"""Correlator and bridge of one partition of the alerts topic, with their transaction. No Kafka, no clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from sqlalchemy import Connection

from detectors.engine import Engine
from model.alert import Alert
from model.batch import LogBatch, MetricBatch
from model.calls import Calls
from model.errors import TocsinError
from model.feedback import Feedback
from model.series import SeriesIndex
from pipeline import wiring
from pipeline.core import StepOutput
from pipeline.distributed.aligning import CLOCK, Alignment, Mark, Round
from pipeline.distributed.calling import Calling
from pipeline.distributed.wire import Called, Entry, Message, Tick, Told
from pipeline.settings import Settings
from store import snapshots as snapshot_rows
from store.store import Store

MARK_EVERY_MS = 10_000
"""Stream time after which the mark is written though nothing was decided."""


class Fenced(TocsinError):
    """Another worker has gone on with this partition: what is held here is of the past."""


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
    """The stages after the detectors, for one partition.

    The mark of what was read is written in the transaction of what was decided, and only where the mark
    before it is still ours: two workers on one partition cannot both write (`Fenced`).
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        partition: int,
        *,
        sources: int,
        patience_ms: int,
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._name = f"correlate.{partition}"
        self.steps = 0
        with store.records.read() as conn:
            data = snapshot_rows.get(conn, self._name)
            self._calling = Calling.of(conn, f"calls.{partition}")
        self._written = data
        self.mark = Mark() if data is None else Mark.load(data)
        self._alignment = Alignment(sources, patience_ms=patience_ms, mark=self.mark)
        self._elsewhere = engine = Elsewhere(settings.machine.detectors, SeriesIndex(1, 1))
        self.core = wiring.build_core(
            settings, store, SeriesIndex(1, 1), engine=engine, tells=True, report=report
        )
        self._marked_ms = self.mark.now_ms
        self._restored = False

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
            message = Told(CLOCK, message.now_ms)
        if isinstance(message, Called):
            self._calling.take(message)
        if not isinstance(message, (Told, Entry)):
            return []
        return [self._step(one) for one in self._alignment.take(message, offset)]

    def _step(self, one: Round) -> StepOutput:
        if not self._restored:
            # The time of a start is that of the stream, not of the machine.
            self.core.restore(self.mark.now_ms or one.now_ms)
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
        self._calling.write(conn, now_ms=one.now_ms)
        self._written, self.mark, self._marked_ms = data, one.mark, one.now_ms
