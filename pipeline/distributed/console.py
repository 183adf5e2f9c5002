"""The console and the intake by HTTP, beside no stage: it reads the records, and its journal is Kafka."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import threading
from collections.abc import Callable, Sequence

from fastapi import FastAPI

from collectors.probe import ProbeState
from collectors.pushed import Pushed, PushQueue
from collectors.templates import TemplateMiner
from console import metrics as console_metrics
from console.ports import Component, Health, Ports
from model.action import ActionState
from model.clock import Clock
from model.errors import StoreError
from model.journal import NewEntry
from model.reason import Reason, because
from pipeline import wiring
from pipeline.distributed import shown
from pipeline.distributed.asking import Asking
from pipeline.distributed.feeding import Feeding
from pipeline.distributed.outlet import Outlet
from pipeline.distributed.placing import services_in
from pipeline.serving import build_app
from pipeline.settings import Settings
from pipeline.telemetry import Telemetry
from pipeline.version import VERSION
from store import offsets as offset_rows
from store import outbox as outbox_rows

log = logging.getLogger("tocsin.console")

BEHIND_MS = 120_000
STOP_S = 10.0
RESTART = "restart the console to read the configuration again"


class DistributedConsole:
    """Answers pages and pushes; what is pushed goes to the topics. Any number of them may run."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.settings = settings
        self._clock = clock
        self._started_ms = clock.now_ms()
        self.on_crash: Callable[[], None] = lambda: None
        self._store = wiring.open_store(settings, clock)
        self._library = wiring.build_library(settings, log.warning)
        self._telemetry = Telemetry(wiring.METRICS, version=VERSION)
        self._counters = console_metrics.Counters()
        self._outlet = Outlet(settings, services_in(self._store))
        self._pushes = PushQueue(settings.machine.pushes)
        index = wiring.build_index(settings.machine)
        miner = TemplateMiner(settings.machine.templates)
        door = wiring.build_door(settings.machine, index, miner)
        pushed = Pushed(self._pushes, door)
        self._feeding = Feeding(
            settings,
            index,
            [pushed],
            {},
            self._outlet,
            clock,
            name=f"console.{socket.gethostname()}.{os.getpid()}.{self._started_ms}",
            store=self._store,
            senders=door.senders,
            logs=wiring.build_elastic_logs(settings.machine, clock, log.warning),
        )
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="feeding", daemon=True)
        self._asking = Asking(
            self._store, clock, self._send, partitions=settings.machine.kafka.partitions
        )
        for source in (self._feeding.counters, self._outlet.counters, self._counters.values):
            self._telemetry.add(source)
        self.app = self._build_app()

    def reload(self) -> None:
        """Say that this is not what it does."""
        log.warning("%s", RESTART)

    def _build_app(self) -> FastAPI:
        ports = Ports(
            store=self._store,
            clock=self._clock,
            submit=self.submit,
            catalogue=lambda: self.settings.catalogue,
            runbooks=lambda: self._library,
            health=self.health,
            metrics=self._telemetry.exposition,
            reload=lambda: [RESTART],
            band=self._asking.band,
            feed=self._pushes.offer,
            slos=lambda: self._judged().slos,
            probes=self._probes,
            capacity=lambda: self._judged().capacity,
        )
        return build_app(self.settings, ports, self._counters)

    def _judged(self) -> shown.Judged:
        with self._store.records.read() as conn:
            return shown.judged(conn, self.settings.slos)

    def _collected(self) -> list[shown.Collected]:
        with self._store.records.read() as conn:
            return shown.collected(conn, now_ms=self._clock.now_ms())

    def _probes(self) -> tuple[ProbeState, ...]:
        return shown.probes_of(self._collected(), self.settings.machine.probes.targets)

    def _send(self, partition: int, message: bytes) -> None:
        topic = self.settings.machine.kafka.telemetry
        self._loop.call_soon_threadsafe(self._outlet.put, [(topic, partition, message)])

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
            times_ms = shown.decided_ms(conn, self.settings.machine.kafka.domains)
            offset = offset_rows.get(conn, offset_rows.JOURNAL)
        waiting = self._outlet.counters()["tocsin_kafka_waiting_bytes"]
        stuck = bool(waiting) and not self._outlet.empty
        decided_ms, ahead_ms = min(times_ms), max(times_ms) - now_ms
        behind_ms = max(0, now_ms - decided_ms)
        late = late_reason(now_ms, decided_ms, ahead_ms)
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
                Component("pipeline", late is None, late),
                Component("store", True),
                Component("kafka", not stuck, slow if stuck else None),
                Component("outbox", not dead, given_up if dead else None),
            ),
            sources=tuple(source for worker in self._collected() for source in worker.sources),
            counters=tuple(self._telemetry.values().items()),
            dead_letters=dead,
        )


def late_reason(now_ms: int, decided_ms: int, ahead_ms: int) -> Reason | None:
    """Why nothing is decided; None where all is well."""
    if ahead_ms > shown.AHEAD_MS:
        return because(
            "the workers' time is {seconds} s ahead of this clock; nothing is decided until then",
            seconds=ahead_ms // 1000,
        )
    if decided_ms == 0:
        return because("no correlating worker has written yet")
    if now_ms - decided_ms < BEHIND_MS:
        return None
    seconds = (now_ms - decided_ms) // 1000
    return because("no correlating worker has written for {seconds} s", seconds=seconds)


__all__ = ["DistributedConsole", "StoreError", "late_reason"]
