"""Tickets and pages: one of the workers performs, the others stand by (F16)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from collectors.accepting import act_entry
from incident_bridge.desk_changes import DeskWatch
from incident_bridge.elastic_sink import ElasticSink
from incident_bridge.kafka_events import KafkaEvents
from incident_bridge.performer import Performer
from model.clock import Clock
from model.errors import StoreError
from model.incident import Act
from pipeline import wiring
from pipeline.distributed.lease import Lease
from pipeline.distributed.outlet import Outlet
from pipeline.retention import Retention
from pipeline.settings import Settings
from store.store import Store

log = logging.getLogger("tocsin.act")

LOOK_EVERY_S = 1.0
PATIENCE_S = 3.0


class Acting:
    """Performs what the outbox holds, watches desks, writes and prunes history, while it has the lease."""

    def __init__(
        self, settings: Settings, store: Store, clock: Clock, outlet: Outlet, lease: Lease
    ) -> None:
        self._settings = settings
        self._store = store
        self._clock = clock
        self._outlet = outlet
        self.lease = lease
        self.performer: Performer | None = None
        self.sink: ElasticSink | None = None
        self.events: KafkaEvents | None = None
        self._ending: list[Callable[[], object]] = []

    async def run(self, stopping: asyncio.Event) -> None:
        """Until `stopping`."""
        loop = asyncio.get_running_loop()
        while not stopping.is_set():
            held = await asyncio.to_thread(self._hold)
            if held and self.performer is None:
                log.info("this worker performs now")
                self._begin(loop)
            elif not held and self.performer is not None:
                log.warning("another worker performs now")
                await asyncio.to_thread(self._end)
            try:
                await asyncio.wait_for(stopping.wait(), LOOK_EVERY_S)
            except TimeoutError:
                continue
        await asyncio.to_thread(self._end)
        try:
            self.lease.release(now_ms=self._clock.now_ms())
        except StoreError as error:
            log.error("the lease is left to run out: %s", error)

    def notify(self) -> None:
        """Something was put into the outbox."""
        if self.performer is not None:
            self.performer.notify()

    def _hold(self) -> bool:
        now_s = self._clock.monotonic_s()
        try:
            return self.lease.hold(now_s, now_ms=self._clock.now_ms())
        except StoreError as error:
            log.error("the lease cannot be renewed: %s", error)
            return not self.lease.expired(self._clock.monotonic_s())

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        bridge = self._settings.machine.bridge
        desks = wiring.build_desks(bridge, self._store, self._clock)
        self.performer = wiring.build_performer(
            self._settings, self._store, self._clock, desks, log.warning
        )
        watch = DeskWatch(
            self._store, desks, {desk.name: desk for desk in bridge.desks}, report=log.warning
        )
        retention = Retention(
            self._store,
            self._clock,
            keep_ms=self._settings.machine.store.history_ms,
            committed=lambda: 0,  # the journal is a topic, and Kafka forgets it
        )
        self.sink = sink = wiring.build_sink(
            self._settings.machine, self._store, self._clock, log.warning
        )
        self._ending = [
            lambda: None if sink is None else sink.stop(PATIENCE_S),
            lambda: watch.stop(0.0),
            retention.stop,
            lambda: self.performer and self.performer.stop(PATIENCE_S),
        ]
        self.performer.start()
        watch.start(self._clock, lambda acts: self._submit(acts, loop))
        retention.start()
        self.events = events = wiring.build_events(self._settings.machine, self._store, log.warning)
        if events is not None:
            events.start()
            self._ending.insert(0, lambda: events.stop(PATIENCE_S))
        if sink is not None:
            sink.start()

    def counters(self) -> dict[str, float]:
        """What is counted by whoever performs."""
        found = {"tocsin_acting": float(self.performer is not None)}
        for part in (self.performer, self.sink, self.events):
            found.update({} if part is None else part.counters())
        return found

    def _end(self) -> None:
        for end in self._ending:
            end()
        self._ending = []
        self.performer = self.sink = self.events = None

    def _submit(self, acts: list[Act], loop: asyncio.AbstractEventLoop) -> None:
        now_ms = self._clock.now_ms()
        entries = [act_entry(act, now_ms) for act in acts]
        asyncio.run_coroutine_threadsafe(self._outlet.submit(entries), loop).result()
