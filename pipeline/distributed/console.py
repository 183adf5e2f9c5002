"""The console and the intake by HTTP, beside no stage: it reads the records, and its journal is Kafka."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Sequence

from fastapi import FastAPI

from collectors.pushed import Pushed, PushQueue
from collectors.templates import TemplateMiner
from console import metrics as console_metrics
from console.app import create_app
from console.ports import Component, Health, Ports
from console.security import check_bind
from model.action import ActionState
from model.alert import Evidence
from model.clock import Clock
from model.errors import InputError, StoreError
from model.journal import NewEntry
from model.labels import Labels
from model.reason import because
from pipeline import wiring
from pipeline.distributed.feeding import Feeding
from pipeline.distributed.outlet import Outlet
from pipeline.distributed.placing import services_in
from pipeline.settings import Settings
from pipeline.telemetry import Telemetry
from pipeline.version import VERSION
from store import offsets as offset_rows
from store import outbox as outbox_rows
from store import snapshots as snapshot_rows
from store import tokens as token_rows
from store import users as user_rows

log = logging.getLogger("tocsin.console")

BEHIND_MS = 120_000
STOP_S = 10.0


class DistributedConsole:
    """Answers pages and pushes; what is pushed goes to the topics. Any number of them may run."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.settings = settings
        self._clock = clock
        self._started_ms = clock.now_ms()
        self._store = wiring.open_store(settings, clock)
        self._library = wiring.build_library(settings, log.warning)
        self._telemetry = Telemetry(wiring.METRICS, version=VERSION)
        self._counters = console_metrics.Counters()
        self._outlet = Outlet(settings, services_in(self._store))
        self._pushes = PushQueue(settings.machine.pushes)
        index = wiring.build_index(settings.machine)
        miner = TemplateMiner(settings.machine.templates)
        pushed = Pushed(self._pushes, wiring.build_door(settings.machine, index, miner))
        self._feeding = Feeding(settings, index, [pushed], {}, self._outlet, clock)
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="feeding", daemon=True)
        for source in (pushed.counters, self._outlet.counters, self._counters.values):
            self._telemetry.add(source)
        self.app = self._build_app()

    def _build_app(self) -> FastAPI:
        machine = self.settings.machine
        with self._store.records.read() as conn:
            has_credentials = bool(user_rows.count(conn) or token_rows.count(conn))
        refused = check_bind(machine.console.listen, has_credentials)
        if refused is not None:
            raise InputError(refused.text())
        return create_app(
            Ports(
                store=self._store,
                clock=self._clock,
                submit=self.submit,
                catalogue=lambda: self.settings.catalogue,
                runbooks=lambda: self._library,
                health=self.health,
                metrics=self._telemetry.exposition,
                reload=lambda: ["restart the console to read the configuration again"],
                band=_no_band,
                feed=self._pushes.offer,
                settings=machine.console,
                intake=machine.intake,
                limits=machine.limits,
                watermark=machine.watermark,
                otlp=machine.otlp,
                intake_secrets=wiring.intake_secrets(self.settings),
                counters=self._counters,
                version=VERSION,
            )
        )

    def start(self) -> None:
        """Begin to feed."""
        self._thread.start()

    def stop(self) -> None:
        """Send what waits, and end."""
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(STOP_S)
        self._store.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._feed())

    async def _feed(self) -> None:
        await self._outlet.start()
        await self._feeding.run(self._stopping)
        await self._outlet.stop()

    async def submit(self, entries: Sequence[NewEntry]) -> list[int]:
        """Have the brokers keep pushes; their offsets.

        Raises
        ------
        StoreError
            If they do not.
        """
        sending = self._outlet.submit(entries)
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(sending, self._loop))

    def health(self) -> Health:
        """What a console knows: whether brokers take messages, and how far the correlator is behind."""
        now_ms = self._clock.now_ms()
        with self._store.records.read() as conn:
            dead = outbox_rows.counts(conn, simulated=False).get(ActionState.DEAD, 0)
            # Of several who decide, the one that is furthest behind.
            each = range(self.settings.machine.kafka.domains)
            decided_ms = min(snapshot_rows.saved_ms(conn, f"correlate.{n}") or 0 for n in each)
            offset = offset_rows.get(conn, offset_rows.JOURNAL)
        waiting = self._outlet.counters()["tocsin_kafka_waiting_bytes"]
        stuck = bool(waiting) and not self._outlet.empty
        behind_ms = max(0, now_ms - decided_ms)
        decides = decided_ms > 0 and behind_ms < BEHIND_MS
        late = because(
            "no correlating worker has written for {seconds} s", seconds=behind_ms // 1000
        )
        slow = because("messages wait for a broker")
        given_up = because("{count} actions were given up", count=dead)
        return Health(
            ready=self._thread.is_alive(),
            version=VERSION,
            uptime_ms=now_ms - self._started_ms,
            lag_ms=behind_ms if decided_ms else 0,
            journal_last=offset,
            journal_committed=offset,
            components=(
                Component("pipeline", decides, None if decides else late),
                Component("store", True),
                Component("kafka", not stuck, slow if stuck else None),
                Component("outbox", not dead, given_up if dead else None),
            ),
            counters=tuple(self._telemetry.values().items()),
            dead_letters=dead,
        )


def _no_band(_labels: Labels) -> Evidence | None:
    """Detectors run elsewhere; plots show the evidence that came with the alert."""
    return None


__all__ = ["DistributedConsole", "StoreError"]
