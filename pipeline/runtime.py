"""A running Tocsin: all parts, their start and end, and the exchange of a configuration under way."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from fastapi import FastAPI

from collectors.base import Collector
from console import metrics as console_metrics
from console.app import create_app
from console.ports import Health, Ports
from console.security import check_bind
from model.alert import Evidence
from model.clock import Clock
from model.errors import InputError, StoreError
from model.journal import NewEntry
from model.labels import Labels
from pipeline import health, wiring
from pipeline.checkpoints import Checkpoints
from pipeline.core import StepOutput
from pipeline.embedded import Embedded, Saved
from pipeline.problems import ConfigurationError
from pipeline.settings import Settings, load
from pipeline.telemetry import Telemetry
from pipeline.version import VERSION
from store import incidents as incident_rows
from store import outbox as outbox_rows
from store import tokens as token_rows
from store import users as user_rows

log = logging.getLogger("tocsin.runtime")


class Runtime:
    """One process: the loop, the performer, the console's application.

    Parameters
    ----------
    settings : Settings
    clock : Clock
    read
        Reads the configuration again for a reload; default: the folder it came from.
    """

    version = VERSION

    def __init__(
        self, settings: Settings, clock: Clock, *, read: Callable[[], Settings] | None = None
    ) -> None:
        self.settings = settings
        self._read = read or (lambda: load(settings.folder))
        self.clock = clock
        self.store = wiring.open_store(settings, clock)
        self.started_ms = clock.now_ms()
        self.index = wiring.build_index(settings.machine)
        self.telemetry = Telemetry(wiring.METRICS, version=VERSION)
        self.library = wiring.build_library(settings, log.warning)
        self.desks = wiring.build_desks(settings.machine.bridge, self.store, clock)
        self.performer = wiring.build_performer(
            settings, self.store, clock, self.desks, log.warning
        )
        self.core = wiring.build_core(settings, self.store, self.index, report=log.warning)
        self.intake = wiring.build_intake(settings.machine, self.index, self.telemetry, clock)
        self.checkpoints = Checkpoints(settings.data / "checkpoints")
        self.embedded = self._build_loop()
        self.console_counters = console_metrics.Counters()
        self.reloads = {"ok": 0, "failed": 0, "last_ok": 1}
        for source in (self._loop_counters, self._stage_counters, self._own_counters):
            self.telemetry.add(source)
        self.app = self._build_app()

    def _build_loop(self) -> Embedded:
        saved: dict[str, Saved] = {"index": self.index, "engine": self.core.engine, **self.intake.saved}
        machine = self.settings.machine
        return Embedded(
            core=self.core,
            journal=self.store.journal,
            index=self.index,
            collectors=self.intake.collectors,
            checkpoints=self.checkpoints,
            saved=saved,
            clock=self.clock,
            pace=machine.pipeline.pace(machine.store.history_ms),
            on_commit=self._committed,
        )

    def _build_app(self) -> FastAPI:
        machine = self.settings.machine
        with self.store.records.read() as conn:
            has_credentials = bool(user_rows.count(conn) or token_rows.count(conn))
        refused = check_bind(machine.console.listen, has_credentials)
        if refused is not None:
            raise InputError(refused.text())
        return create_app(
            Ports(
                store=self.store,
                clock=self.clock,
                submit=self.submit,
                catalogue=lambda: self.settings.catalogue,
                runbooks=lambda: self.library,
                health=self.health,
                metrics=self.telemetry.exposition,
                reload=self.reload,
                band=self.band,
                settings=machine.console,
                intake=machine.intake,
                counters=self.console_counters,
                version=VERSION,
            )
        )

    def start(self) -> None:
        """Restore what was known, then run."""
        self.embedded.restore()
        self.performer.start()
        self.embedded.start()
        log.info("started", extra={"version": VERSION, "data": str(self.settings.data)})

    def stop(self) -> None:
        """End every thread; what is accepted stays in the journal and the outbox."""
        self.embedded.stop()
        self.performer.stop()
        for collector in self.intake.collectors:
            _close(collector)
        self.store.close()
        log.info("stopped")

    async def submit(self, entries: Sequence[NewEntry]) -> list[int]:
        """Make pushes durable, then wake the loop.

        Raises
        ------
        StoreError
            If nothing was accepted.
        """
        if self.embedded.failing_since_ms is not None:
            raise StoreError("the store refuses writes; try again")
        waiting: Future[list[int]] = self.store.journal.submit(list(entries))
        offsets = await asyncio.wrap_future(waiting)
        self.embedded.wake()
        return offsets

    def band(self, labels: Labels) -> Evidence | None:
        """Recent history of a series with its expected band."""
        return self.core.engine.band(labels)

    def health(self) -> Health:
        """How the pipeline itself fares."""
        return health.assess(self)

    def reload(self) -> list[str]:
        """Read the configuration again; on any problem the old one stays.

        Catalogue, routes, promises, rules, targets and windows change at once; what was learnt and
        every open incident is carried over. The address, the data folder and the store need a restart.
        """
        try:
            fresh = self._read()
            self._exchange(fresh)
        except (ConfigurationError, InputError) as error:
            self.reloads["failed"] += 1
            self.reloads["last_ok"] = 0
            problems = getattr(error, "problems", None) or [error]
            said = [str(problem) for problem in problems]
            log.error(
                "the configuration was not taken over; the old one stays", extra={"problems": said}
            )
            return said
        self.reloads["ok"] += 1
        self.reloads["last_ok"] = 1
        log.info("the configuration was taken over")
        return []

    def _exchange(self, fresh: Settings) -> None:
        """Stop between two steps, build the stages anew, give them the old ones' memory, go on."""
        library = wiring.build_library(fresh, log.warning)
        desks = wiring.build_desks(fresh.machine.bridge, self.store, self.clock)
        performer = wiring.build_performer(fresh, self.store, self.clock, desks, log.warning)
        index = wiring.build_index(fresh.machine)
        core = wiring.build_core(fresh, self.store, index, report=log.warning)
        was_ready = self.embedded.ready
        self.embedded.stop()
        self.performer.stop()
        for collector in self.intake.collectors:
            _close(collector)
        self.settings, self.library, self.desks = fresh, library, desks
        self.index, self.core = index, core
        self.intake = wiring.build_intake(fresh.machine, self.index, self.telemetry, self.clock)
        self.performer = performer
        self.embedded = self._build_loop()
        self.embedded.restore()
        self.embedded.ready = was_ready
        self.performer.start()
        self.embedded.start()

    def _committed(self, out: StepOutput) -> None:
        if any(bridged.actions for bridged in out.bridged):
            self.performer.notify()

    def _loop_counters(self) -> dict[str, float]:
        return self.embedded.counters()

    def _stage_counters(self) -> dict[str, float]:
        found: dict[str, float] = {}
        core = self.core
        for part in (core.engine, core.heartbeats, core.correlator, self.performer, self.store):
            found.update(part.counters())
        for collector in self.intake.collectors:
            for name, value in collector.counters().items():
                found[name] = found.get(name, 0.0) + value
        return found

    def _own_counters(self) -> dict[str, float]:
        with self.store.records.read() as conn:
            outbox = outbox_rows.counts(conn)
            active = incident_rows.counts(conn, simulated=False)
        by_name = {state.value: count for state, count in outbox.items()}
        return {
            "tocsin_reloads_total": self.reloads["ok"],
            "tocsin_reload_failures_total": self.reloads["failed"],
            "tocsin_config_last_reload_successful": self.reloads["last_ok"],
            "tocsin_outbox_pending": by_name.get("pending", 0),
            "tocsin_outbox_dead": by_name.get("dead", 0),
            "tocsin_incidents_active": sum(n for s, n in active.items() if s.active),
            **self.console_counters.values(),
        }


def _close(collector: Collector) -> None:
    close = getattr(collector, "close", None)
    if close is not None:
        close()
