"""Everything that one configuration makes: built as one, started and ended as one, exchanged as one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from collectors.accepting import Accepting, act_entry
from collectors.base import Collector
from collectors.probe import Prober, ProbeState
from collectors.pushed import PushQueue
from console.exemplars import Exemplars
from incident_bridge.desk_changes import DeskWatch
from model.clock import Clock
from model.incident import Act
from pipeline import wiring
from pipeline.checkpoints import Checkpoints
from pipeline.core import StepOutput
from pipeline.embedded import Embedded, Saved
from pipeline.retention import Retention
from pipeline.settings import Settings
from pipeline.telemetry import Telemetry
from store.store import Store

log = logging.getLogger("tocsin.parts")


PATIENCE_S = 3.0  # at the end: what is under way outside is in the outbox still
EXCHANGE_S = 60.0  # at a reload: longer than any desk's own timeout


class Parts:
    """The running pieces of one configuration; the store, the clock and the console outlive them.

    So do `pushes`, `exemplars` and what is `listening`, which only reports here.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        store: Store,
        clock: Clock,
        telemetry: Telemetry,
        checkpoints: Checkpoints,
        pushes: PushQueue,
        exemplars: Exemplars,
        listening: Sequence[Collector] = (),
    ) -> None:
        machine = settings.machine
        self.settings = settings
        self.library = wiring.build_library(settings, log.warning)
        self.index = wiring.build_index(machine)
        desks = wiring.build_desks(machine.bridge, store, clock)
        self.performer = wiring.build_performer(settings, store, clock, desks, log.warning)
        self.watch = DeskWatch(
            store, desks, {desk.name: desk for desk in machine.bridge.desks}, report=log.warning
        )
        self.core = wiring.build_core(settings, store, self.index, tells=True, report=log.warning)
        accepting = Accepting(store.journal.submit, store)
        intake = wiring.build_intake(machine, self.index, telemetry, clock, pushes, accepting)
        backfill = wiring.build_backfill(machine, self.index, intake, self.core.engine, clock)
        pulled = (*intake.collectors, *listening, *([] if backfill is None else [backfill]))
        self.collectors: tuple[Collector, ...] = pulled
        learnt: dict[str, Saved] = {"index": self.index, "engine": self.core.engine}
        saved = {**learnt, "exemplars": exemplars, **intake.saved}
        if backfill is not None:
            saved["backfill"] = backfill
        self.logs = wiring.build_elastic_logs(machine, clock, log.warning)
        self.embedded = Embedded(
            core=self.core,
            store=store,
            index=self.index,
            collectors=self.collectors,
            checkpoints=checkpoints,
            saved=saved,
            clock=clock,
            pace=machine.pipeline.pace(),
            counting=(
                self.core.engine,
                self.core.heartbeats,
                self.core.correlator,
                *self.collectors,
            ),
            backfill=backfill,
            logs=self.logs,
            on_commit=self._committed,
        )
        self.retention = Retention(
            store,
            clock,
            keep_ms=machine.store.history_ms,
            committed=lambda: self.core.offset,
        )
        self.sink = wiring.build_sink(machine, store, clock, log.warning)
        self.events = wiring.build_events(machine, store, log.warning)
        self._clock, self._store = clock, store

    def start(self) -> None:
        """Take up what the store knows, then run. Load what was learnt before, if there is any."""
        self.embedded.restore()
        self.performer.start()
        self.watch.start(self._clock, self._journal_acts)
        self.retention.start()
        for written in (self.logs, self.sink):
            if written is not None:
                written.start()
        self.embedded.start()
        if self.events is not None:
            self.events.start()

    def pause_outside(self) -> bool:
        """Do nothing outside any more; False (and go on) where a desk or receiver keeps us waiting.

        Two performers on one outbox could do one thing twice: an exchange waits for the first.
        """
        if self.performer.stop(EXCHANGE_S):
            return True
        self.performer.start()
        return False

    def stop(self) -> bytes | None:
        """End every thread; what is accepted stays in journal and outbox. Returns what was learnt."""
        self.watch.stop(0.0)  # a late answer is asked for again
        self.retention.stop()
        learnt = self.embedded.stop()
        self.performer.stop(PATIENCE_S)
        for written in (self.logs, self.sink, self.events):
            if written is not None:
                written.stop(PATIENCE_S)
        self.close()
        return learnt

    def close(self) -> None:
        """Give files and connections back."""
        for collector in self.collectors:
            close: Callable[[], None] | None = getattr(collector, "close", None)
            if close is not None:
                close()

    @property
    def probes(self) -> tuple[ProbeState, ...]:
        """Probes as they stand."""
        return next((c.states for c in self.collectors if isinstance(c, Prober)), ())

    def counters(self) -> dict[str, float]:
        """What all stages and collectors count."""
        found = {**self.embedded.counters(), **self.performer.counters()}
        for written in (self.logs, self.sink, self.events):
            found.update({} if written is None else written.counters())
        return found

    def _journal_acts(self, acts: list[Act]) -> None:
        now_ms = self._clock.now_ms()
        self._store.journal.append([act_entry(act, now_ms) for act in acts])
        self.embedded.wake()

    def _committed(self, out: StepOutput) -> None:
        if any(bridged.actions for bridged in out.bridged):
            self.performer.notify()
