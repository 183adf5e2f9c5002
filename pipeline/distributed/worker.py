"""A worker: some stages, each joined to its topic, built again when one fails."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from enum import StrEnum
from functools import partial

from prometheus_client import start_http_server

from collectors.accepting import Accepting
from collectors.pushed import PushQueue
from collectors.syslog import SyslogIntake
from model.clock import Clock
from model.errors import StoreError
from model.journal import NewEntry
from pipeline import wiring
from pipeline.checkpoints import Checkpoints
from pipeline.distributed.acting import Acting
from pipeline.distributed.feeding import Feeding
from pipeline.distributed.holding import CorrelatingPartition, DetectingPartition
from pipeline.distributed.joined import Joined
from pipeline.distributed.lease import Lease
from pipeline.distributed.outlet import Outlet
from pipeline.distributed.placing import Placing, services_in
from pipeline.distributed.suspects import Suspects
from pipeline.settings import Settings
from pipeline.telemetry import Telemetry
from pipeline.version import VERSION
from store.store import Store

log = logging.getLogger("tocsin.worker")

LOOK_EVERY_S = 0.25
BACKOFF_S = (0.5, 1.0, 2.0, 5.0, 10.0)
WELL_AFTER_S = 60.0
END_WITHIN_S = 20.0
"""Shorter than the 30 s that Kubernetes and systemd's unit give a process."""


class StageName(StrEnum):
    """What a worker may do."""

    INTAKE = "intake"
    DETECT = "detect"
    CORRELATE = "correlate"
    ACT = "act"


def joined(
    stage: StageName,
    settings: Settings,
    store: Store,
    clock: Clock,
    on_commit: Callable[[], None] = lambda: None,
) -> Joined:
    """The Faust application of a stage."""
    kafka = settings.machine.kafka
    placing = Placing(settings)
    detects = stage is StageName.DETECT
    return Joined(
        stage.value,
        kafka.telemetry if detects else kafka.alerts,
        kafka,
        folder=settings.data,
        clock=clock,
        hold=(lambda partition: DetectingPartition(settings, store, partition, placing))
        if detects
        else (
            lambda partition: CorrelatingPartition(settings, store, partition, on_commit, placing)
        ),
        suspects=Suspects(store, stage.value),
        until_kept_s=settings.machine.pipeline.pace().until_checkpoint_s,
    )


class Tended:
    """Keeps one stage joined: when it fails, another is built, after a while that grows."""

    def __init__(
        self,
        name: StageName,
        build: Callable[[], Joined],
        clock: Clock,
        may: Callable[[], bool] = lambda: True,
        end_within_s: float = END_WITHIN_S,
    ) -> None:
        self.name = name
        self._end_within_s = end_within_s
        self._build = build
        self._may = may
        self._clock = clock
        self.restarts = 0
        self.in_order = True
        self.present: Joined | None = None

    async def run(self, stopping: asyncio.Event) -> None:
        """Until `stopping`."""
        tries = 0
        while not stopping.is_set():
            began_s = self._clock.monotonic_s()
            if not await asyncio.to_thread(self._may):
                await _pause(stopping, BACKOFF_S[-1])
                continue
            self.present = one = self._build()
            try:
                await one.start()
                await self._watch(one, stopping)
            except Exception as error:
                log.error("%s: could not start: %s", one.name, error)
            await self._end(one, stopping)
            if stopping.is_set():
                return
            self.restarts += 1
            lasted = self._clock.monotonic_s() - began_s > WELL_AFTER_S
            tries = 0 if lasted else min(tries + 1, len(BACKOFF_S) - 1)
            await _pause(stopping, BACKOFF_S[tries])

    async def _watch(self, one: Joined, stopping: asyncio.Event) -> None:
        while not (stopping.is_set() or one.failed.is_set()):
            if one.crashed:
                log.error("%s: the connection was given up", one.name)
                one.failed.set()
                return
            await asyncio.sleep(LOOK_EVERY_S)

    async def _end(self, one: Joined, stopping: asyncio.Event) -> None:
        # Not wait_for: it cancels, and then waits for as long as that takes; Faust goes on when it is cancelled.
        ending = asyncio.create_task(one.stop())
        await asyncio.wait({ending}, timeout=self._end_within_s)
        if not ending.done():
            # It would stay in its group and keep partitions that nobody works on: all must end, and begin anew.
            log.error("%s: did not end within %g s; this worker ends", one.name, self._end_within_s)
            self.in_order = False
            stopping.set()
            return
        error = ending.exception()
        self.in_order = error is None
        if error is not None:
            log.error("%s: did not end in order: %r", one.name, error)


async def _pause(stopping: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(stopping.wait(), seconds)


class Worker:
    """The stages of one process."""

    def __init__(
        self, settings: Settings, store: Store, clock: Clock, stages: Sequence[StageName]
    ) -> None:
        self.settings = settings
        self.store = store
        self.clock = clock
        # Unlike all others', also after a restart: whoever had the lease then does not have it now.
        self.name = f"{socket.gethostname()}.{os.getpid()}.{clock.now_ms()}"
        self.telemetry = Telemetry(wiring.METRICS, version=VERSION)
        self.telemetry.add(self.counters)
        self.syslog: SyslogIntake | None = None
        self.outlet = Outlet(settings, services_in(store))
        self.acting = self._build_acting() if StageName.ACT in stages else None
        self.feeding = self._build_feeding() if StageName.INTAKE in stages else None
        self.tended = [
            Tended(stage, partial(self._joined, stage), clock, partial(self._agreed, stage))
            for stage in stages
            if stage in (StageName.DETECT, StageName.CORRELATE)
        ]

    def counters(self) -> dict[str, float]:
        """Our own metrics, of all stages."""
        found = self.outlet.counters()
        for one in self.tended:
            if one.present is not None:
                found.update(one.present.counters())
                label = f'{{stage="{one.present.name}"}}'
                found[f"tocsin_kafka_stage_restarts_total{label}"] = one.restarts
        if self.feeding is not None:
            found.update(self.feeding.counters())
        if self.acting is not None:
            found.update(self.acting.counters())
        return found

    @property
    def in_order(self) -> bool:
        """Whether all stages ended as they should."""
        return all(one.in_order for one in self.tended)

    def serve_metrics(self, address: str) -> None:
        """Answer GET /metrics on HOST:PORT, in a thread of its own."""
        host, _, port = address.rpartition(":")
        start_http_server(int(port), host.strip("[]"), registry=self.telemetry.registry)

    async def run(self, stopping: asyncio.Event) -> None:
        """Until `stopping`."""
        if any(one.name is StageName.CORRELATE for one in self.tended):
            await asyncio.to_thread(
                Placing(self.settings).announce, self.store, self.clock.now_ms()
            )
        await self.outlet.start()
        if self.syslog is not None:
            self.syslog.start()
        try:
            async with asyncio.TaskGroup() as group:
                for one in self.tended:
                    group.create_task(one.run(stopping))
                if self.acting is not None:
                    group.create_task(self.acting.run(stopping))
                if self.feeding is not None:
                    self.feeding.load()
                    group.create_task(self.feeding.run(stopping))
        finally:
            if self.syslog is not None:
                self.syslog.stop()
            await self.outlet.stop()

    def _agreed(self, stage: StageName) -> bool:
        """Whether what is decided here is what the others take for decided here."""
        if stage is not StageName.CORRELATE:
            return True
        try:
            with self.store.records.read() as conn:
                if Placing(self.settings).holds(conn):
                    return True
        except StoreError as error:
            log.error("%s", error)
            return False
        log.error(
            "a worker with another catalogue or other kafka.domains has started: this one decides nothing; "
            "restart it with that configuration"
        )
        return False

    def _joined(self, stage: StageName) -> Joined:
        return joined(stage, self.settings, self.store, self.clock, self._committed)

    def _committed(self) -> None:
        if self.acting is not None:
            self.acting.notify()

    def _accept(self, entries: Sequence[NewEntry]) -> Future[list[int]]:
        """For collectors, which are asked in the loop: what they wait for is done there, too."""
        loop = asyncio.get_running_loop()
        return asyncio.run_coroutine_threadsafe(self.outlet.submit(entries), loop)

    def _build_acting(self) -> Acting:
        lease = Lease(self.store, "act", self.name)
        return Acting(self.settings, self.store, self.clock, self.outlet, lease)

    def _build_feeding(self) -> Feeding:
        machine = self.settings.machine
        index = wiring.build_index(machine)
        pushes = PushQueue(machine.pushes)
        accepting = Accepting(self._accept, self.store)
        intake = wiring.build_intake(
            machine,
            index,
            self.telemetry,
            self.clock,
            pushes,
            accepting,
            instance=socket.gethostname(),
        )
        backfill = wiring.build_backfill(machine, index, intake, None, self.clock)
        collectors = [*intake.collectors, *([] if backfill is None else [backfill])]
        if machine.syslog.listeners:
            self.syslog = SyslogIntake(machine.syslog, pushes.offer, self.clock)
            collectors.append(self.syslog)
        return Feeding(
            self.settings,
            index,
            collectors,
            {
                "index": index,
                **intake.saved,
                **({} if backfill is None else {"backfill": backfill}),
            },
            self.outlet,
            self.clock,
            name=self.name,
            store=self.store,
            checkpoints=Checkpoints(self.settings.data / "intake", report=log.warning),
            lease=Lease(self.store, "pull", self.name),
            logs=wiring.build_elastic_logs(machine, self.clock, log.warning),
            backfill=backfill,
        )
