"""A running Tocsin: the parts, the console's application, and the exchange of a configuration under way."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from itertools import chain

from fastapi import FastAPI

from collectors.pushed import Push, PushQueue
from collectors.syslog import SyslogIntake
from console import metrics as console_metrics
from console.exemplars import Exemplars
from console.i18n import LANGUAGES, catalogue
from console.pages import environment
from console.ports import Health, Ports
from model.action import ActionState
from model.alert import Evidence
from model.clock import Clock
from model.errors import InputError, SnapshotError, StoreError
from model.journal import NewEntry
from model.labels import Labels
from pipeline import health, wiring
from pipeline.checkpoints import Checkpoints
from pipeline.embedded import SNAPSHOT
from pipeline.lock import FolderLock
from pipeline.parts import Parts
from pipeline.problems import ConfigurationError
from pipeline.serving import build_app
from pipeline.settings import Settings, load
from pipeline.telemetry import Telemetry
from pipeline.version import VERSION
from store import incidents as incident_rows
from store import outbox as outbox_rows

log = logging.getLogger("tocsin.runtime")

LAST_PUSHES_S = 3.0  # a step is made every second


class Runtime:
    """One process: the parts of the present configuration, and the console's application.

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
        self._read = read or (lambda: load(settings.folder))
        self.clock = clock
        self.started_ms = clock.now_ms()
        self.on_crash: Callable[[], None] = lambda: None
        """Called where nothing runs any more by a mistake of ours: the process should end."""
        self.reloads = {"ok": 0, "failed": 0, "last_ok": 1}
        self._reloading = threading.Lock()
        self._ending = False
        self.telemetry = Telemetry(wiring.METRICS, version=VERSION)
        self.console_counters = console_metrics.Counters()
        self.pushes = PushQueue(settings.machine.pushes)
        self.exemplars = Exemplars()
        with ExitStack() as undo:  # whatever is open is closed where the rest cannot be had
            self._lock = FolderLock(settings.data)
            undo.callback(self._lock.release)
            self.store = wiring.open_store(settings, clock)
            undo.callback(self.store.close)
            self.checkpoints = Checkpoints(settings.data / "checkpoints", report=log.warning)
            self.syslog = SyslogIntake(settings.machine.syslog, self.feed, clock)
            undo.callback(self.syslog.stop)
            self.parts = self._build(settings)
            self.app = self._build_app()
            undo.pop_all()
        for source in (
            lambda: self.parts.counters(),
            self.store.counters,
            self.console_counters.values,
            self._own_counters,
        ):
            self.telemetry.add(source)

    @property
    def settings(self) -> Settings:
        """What is configured now."""
        return self.parts.settings

    def _build(self, settings: Settings) -> Parts:
        return Parts(
            settings,
            store=self.store,
            clock=self.clock,
            telemetry=self.telemetry,
            checkpoints=self.checkpoints,
            pushes=self.pushes,
            exemplars=self.exemplars,
            listening=(self.syslog,) if settings.machine.syslog.listeners else (),
        )

    def _build_app(self) -> FastAPI:
        ports = Ports(
            store=self.store,
            clock=self.clock,
            submit=self.submit,
            catalogue=lambda: self.settings.catalogue,
            runbooks=lambda: self.parts.library,
            health=lambda: health.assess(self),
            metrics=self.telemetry.exposition,
            reload=self.reload,
            band=self.band,
            feed=self.feed,
            exemplars=self.exemplars,
            slos=lambda: self.parts.core.engine.slos(),
            probes=lambda: self.parts.probes,
            capacity=lambda: self.parts.core.engine.capacity(),
        )
        return build_app(self.settings, ports, self.console_counters)

    def start(self) -> None:
        """Take up what was known, then run."""
        self.parts = self._taught(self.parts)
        self.parts.start()
        self.syslog.start()
        threading.Thread(target=_warm, name="warm", daemon=True).start()
        log.info("started", extra={"version": VERSION, "data": str(self.settings.data)})

    def stop(self) -> None:
        """End everything in order."""
        self._ending = True
        with self._reloading:
            self.syslog.stop()
            self._take_what_waits()
            self.parts.stop()
            self.store.close()
            self._lock.release()
        log.info("stopped")

    def _take_what_waits(self) -> None:
        """Let the loop take what was pushed last: nobody sends it again."""
        ends_s = self.clock.monotonic_s() + LAST_PUSHES_S
        loop = self.parts.embedded
        while len(self.pushes) and loop.ready and self.clock.monotonic_s() < ends_s:
            self.clock.sleep(0.05)

    def _taught(self, parts: Parts, learnt: bytes | None = None) -> Parts:
        """Parts that know what was learnt: `learnt`, else the newest snapshot that can be used."""
        handed = [] if learnt is None else [("of the configuration before", learnt)]
        for name, data in chain(handed, self.checkpoints.read(SNAPSHOT)):
            try:
                parts.embedded.load(data)
                return parts
            except SnapshotError as error:
                self.checkpoints.unusable(name, error)
                parts.close()
                parts = self._build(parts.settings)  # what met it is in no defined state
        log.info("no snapshot: everything that is learnt starts cold")
        return parts

    async def submit(self, entries: Sequence[NewEntry]) -> list[int]:
        """Make pushes durable, then wake the loop.

        Raises
        ------
        StoreError
            If nothing was accepted.
        """
        if self.parts.embedded.failing_since_ms is not None:
            raise StoreError("the store refuses writes; try again")
        waiting: Future[list[int]] = self.store.journal.submit(list(entries))
        offsets = await asyncio.wrap_future(waiting)
        self.parts.embedded.wake()
        return offsets

    def feed(self, push: Push) -> bool:
        """Let pushed telemetry wait for the next step; False where there is no room."""
        return self.pushes.offer(push)

    def band(self, labels: Labels) -> Evidence | None:
        """Recent history of a series with its expected band."""
        return self.parts.core.engine.band(labels)

    def health(self) -> Health:
        """How the pipeline itself fares."""
        return health.assess(self)

    def reload(self) -> list[str]:
        """Read the configuration again; on any problem the old one stays.

        Catalogue, routes, promises, rules, targets and windows change at once; what was learnt and
        every open incident is carried over. The address, the data folder and the store need a restart.
        """
        with self._reloading:
            if self._ending:
                return ["Tocsin is about to end"]
            try:
                self._exchange()
            except InputError as error:
                return self._not_taken(error)
        self.reloads["ok"] += 1
        self.reloads["last_ok"] = 1
        log.info("the configuration was taken over")
        return []

    def _exchange(self) -> None:
        old, fresh = self.parts, self._build(self._read())
        if old.embedded.failing_since_ms is not None:
            raise InputError("the store refuses writes; reload again when it takes them")
        self.syslog.follow(fresh.settings.machine.syslog)
        if not old.pause_outside():
            self.syslog.follow(old.settings.machine.syslog)
            raise InputError("a desk or receiver does not answer; reload again when it does")
        try:
            learnt = old.stop()  # between two steps
            fresh = self._taught(fresh, learnt)
            fresh.embedded.follow(old.embedded)
            self.parts = fresh
            fresh.start()
        except BaseException:
            self.on_crash()  # the old parts have ended and the new ones have not begun
            raise

    def _not_taken(self, error: InputError) -> list[str]:
        self.reloads["failed"] += 1
        self.reloads["last_ok"] = 0
        problems = error.problems if isinstance(error, ConfigurationError) else (error,)
        said = [str(problem) for problem in problems]
        log.error(
            "the configuration was not taken over; the old one stays", extra={"problems": said}
        )
        return said

    def _own_counters(self) -> dict[str, float]:
        found: dict[str, float] = {
            "tocsin_reloads_total": self.reloads["ok"],
            "tocsin_reload_failures_total": self.reloads["failed"],
            "tocsin_config_last_reload_successful": self.reloads["last_ok"],
            "tocsin_history_rows_pruned_total": self.parts.retention.rows,
        }
        try:
            found.update(self._stored())
        except StoreError:
            log.debug("some metrics are in a store that cannot be read", exc_info=True)
        return found

    def _stored(self) -> dict[str, float]:
        with self.store.records.read() as conn:
            outbox = outbox_rows.counts(conn)
            active = incident_rows.counts(conn, simulated=False)
        accepted = self.store.journal.last()
        return {
            "tocsin_journal_entries_total": accepted,
            "tocsin_journal_lag_entries": max(0, accepted - self.parts.core.offset),
            "tocsin_outbox_pending": outbox.get(ActionState.PENDING, 0),
            "tocsin_outbox_dead": outbox.get(ActionState.DEAD, 0),
            "tocsin_incidents_active": sum(n for s, n in active.items() if s.active),
        }


def _warm() -> None:
    """Read pages and translations before somebody asks for them at three in the morning."""
    env = environment()
    for name in env.list_templates(extensions=["html"]):
        env.get_template(name)
    for language in LANGUAGES:
        catalogue(language)
