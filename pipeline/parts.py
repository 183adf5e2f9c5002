"""Everything that one configuration makes: built as one, started and ended as one, exchanged as one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Protocol

from collectors.base import Collector
from incident_bridge.desk_changes import DeskWatch
from model.clock import Clock
from model.codec import encode
from model.incident import Act
from model.journal import JournalKind, NewEntry
from pipeline import wiring
from pipeline.checkpoints import Checkpoints
from pipeline.core import StepOutput
from pipeline.embedded import Embedded, Saved
from pipeline.settings import Settings
from pipeline.telemetry import Telemetry
from store.store import Store

log = logging.getLogger("tocsin.parts")


class _Counts(Protocol):
    def counters(self) -> Mapping[str, float]: ...


class Parts:
    """The running pieces of one configuration; the store, the clock and the console outlive them."""

    def __init__(
        self,
        settings: Settings,
        *,
        store: Store,
        clock: Clock,
        telemetry: Telemetry,
        checkpoints: Checkpoints,
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
        self.core = wiring.build_core(settings, store, self.index, report=log.warning)
        intake = wiring.build_intake(machine, self.index, telemetry, clock)
        self.collectors: tuple[Collector, ...] = intake.collectors
        saved: dict[str, Saved] = {"index": self.index, "engine": self.core.engine, **intake.saved}
        self.embedded = Embedded(
            core=self.core,
            journal=store.journal,
            index=self.index,
            collectors=intake.collectors,
            checkpoints=checkpoints,
            saved=saved,
            clock=clock,
            pace=machine.pipeline.pace(machine.store.history_ms),
            on_commit=self._committed,
        )
        self._clock = clock
        self._store = store

    def start(self) -> None:
        """Take up what was known, then run."""
        self.embedded.restore()
        self.performer.start()
        self.watch.start(self._clock, self._journal_acts)
        self.embedded.start()

    def stop(self) -> None:
        """End every thread, with a last snapshot; what is accepted stays in journal and outbox."""
        self.watch.stop()
        self.embedded.stop()
        self.performer.stop()
        for collector in self.collectors:
            close: Callable[[], None] | None = getattr(collector, "close", None)
            if close is not None:
                close()

    def counters(self) -> dict[str, float]:
        """What all stages and collectors count."""
        found = self.embedded.counters()
        core = self.core
        sources: tuple[_Counts, ...] = (
            core.engine,
            core.heartbeats,
            core.correlator,
            self.performer,
            *self.collectors,
        )
        for part in sources:
            for name, value in part.counters().items():
                found[name] = found.get(name, 0.0) + value
        return found

    def _journal_acts(self, acts: list[Act]) -> None:
        now_ms = self._clock.now_ms()
        self._store.journal.append(
            [NewEntry(JournalKind.ACT, act.actor, now_ms, encode(act)) for act in acts]
        )
        self.embedded.wake()

    def _committed(self, out: StepOutput) -> None:
        if any(bridged.actions for bridged in out.bridged):
            self.performer.notify()
