"""Collectors to topics: what has arrived, cut by partition, and after it the time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from collectors.base import Collector
from collectors.elastic_poll import ElasticPoll
from collectors.probe import Prober
from collectors.prometheus_poll import PrometheusPoll
from collectors.scrape import Scraper
from model.clock import Clock
from model.errors import SnapshotError, StoreError
from model.series import SeriesIndex
from pipeline.checkpoints import Checkpoints, pack, unpack
from pipeline.distributed.lease import Lease
from pipeline.distributed.outlet import Outlet
from pipeline.distributed.shards import Splitter
from pipeline.distributed.wire import Tick, write
from pipeline.embedded import Saved
from pipeline.settings import Settings

log = logging.getLogger("tocsin.intake")

SNAPSHOT = "intake"
PULLED = (Scraper, Prober, PrometheusPoll, ElasticPoll)
"""Collectors that would ask twice where two workers have the same configuration."""


class Feeding:
    """The loop that asks collectors and tells the time; the only one that reads a clock for the stages.

    Parameters
    ----------
    saved
        Cursors and the like, by name: kept once everything read so far was taken by a broker.
    lease : Lease or None
        Who has it scrapes, probes and polls; the others read their own machine and what is pushed to them.
    """

    def __init__(
        self,
        settings: Settings,
        index: SeriesIndex,
        collectors: Sequence[Collector],
        saved: dict[str, Saved],
        outlet: Outlet,
        clock: Clock,
        *,
        checkpoints: Checkpoints | None = None,
        lease: Lease | None = None,
    ) -> None:
        self._kafka = settings.machine.kafka
        self._pipeline = settings.machine.pipeline
        self._index = index
        self._collectors = list(collectors)
        self._saved = saved
        self._outlet = outlet
        self._clock = clock
        self._checkpoints = checkpoints
        self._lease = lease
        self._splitter = Splitter(index, self._kafka.partitions)
        self._due_s = {"checkpoint": 0.0, "evict": 0.0}

    def load(self) -> None:
        """Go on where the last run of this worker was."""
        if self._checkpoints is None:
            return
        for name, data in self._checkpoints.read(SNAPSHOT):
            try:
                parts = unpack(data)
                for part, holder in self._saved.items():
                    if part in parts:
                        holder.load(parts[part])
                return
            except SnapshotError as error:
                self._checkpoints.unusable(name, error)

    async def run(self, stopping: asyncio.Event) -> None:
        """Until `stopping`."""
        tick_s = self._pipeline.tick_ms / 1000
        next_s = self._clock.monotonic_s()
        while not stopping.is_set():
            await self.turn()
            next_s = max(next_s + tick_s, self._clock.monotonic_s())
            try:
                left_s = next_s - self._clock.monotonic_s()
                await asyncio.wait_for(stopping.wait(), max(left_s, 0.01))
            except TimeoutError:
                continue
        if self._outlet.empty:
            self._checkpoint(self._clock.now_ms())

    async def turn(self) -> None:
        """Ask every collector once, send what there is, and say the time to all partitions."""
        now_ms = self._clock.now_ms()
        pulls = self._lease is None or await asyncio.to_thread(self._hold, now_ms)
        for collector in self._collectors:
            if not pulls and isinstance(collector, PULLED):
                continue
            for batch in collector.poll(now_ms):
                split = self._splitter.split(batch)
                topic = self._kafka.telemetry
                self._outlet.put([(topic, number, write(message)) for number, message in split])
            for problem in collector.fresh_problems():
                log.warning("%s: %s", problem.source, problem.reason.text())
        tick = write(Tick(now_ms - now_ms % self._pipeline.tick_ms))
        telemetry = [(self._kafka.telemetry, n, tick) for n in range(self._kafka.partitions)]
        alerts = [(self._kafka.alerts, n, tick) for n in range(self._kafka.domains)]
        self._outlet.put([*telemetry, *alerts])
        self._housekeeping(now_ms)

    def counters(self) -> dict[str, float]:
        """What the collectors count."""
        found: dict[str, float] = {}
        for collector in self._collectors:
            for name, value in collector.counters().items():
                found[name] = found.get(name, 0.0) + value
        return found

    def _hold(self, now_ms: int) -> bool:
        assert self._lease is not None
        try:
            return self._lease.hold(self._clock.monotonic_s(), now_ms=now_ms)
        except StoreError as error:
            log.error("who scrapes cannot be agreed on: %s", error)
            return not self._lease.expired(self._clock.monotonic_s())

    def _housekeeping(self, now_ms: int) -> None:
        now_s = self._clock.monotonic_s()
        if now_s >= self._due_s["checkpoint"] and self._outlet.empty:
            self._due_s["checkpoint"] = now_s + self._pipeline.checkpoint_interval_ms / 1000
            self._checkpoint(now_ms)
        if now_s >= self._due_s["evict"]:
            self._due_s["evict"] = now_s + self._pipeline.series_idle_ms / 4_000
            self._index.evict_stale(now_ms - self._pipeline.series_idle_ms)

    def _checkpoint(self, now_ms: int) -> None:
        if self._checkpoints is None:
            return
        try:
            data = pack({name: holder.save() for name, holder in self._saved.items()})
            self._checkpoints.write(SNAPSHOT, data, now_ms=now_ms)
        except StoreError as error:
            log.error("%s", error)
