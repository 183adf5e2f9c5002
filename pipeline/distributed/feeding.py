"""Collectors to topics: what has arrived, cut by partition, and after it the time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress

from collectors.backfill import Backfill
from collectors.base import Collector
from collectors.elastic_poll import ElasticPoll
from collectors.host import HostCollector
from collectors.pushed import Pushed
from collectors.self_metrics import SelfMetrics
from collectors.senders import Senders
from collectors.syslog import SyslogIntake
from collectors.tail import LogTail
from incident_bridge.elastic_logs import ElasticLogs
from model.batch import LogBatch, MetricBatch
from model.clock import Clock
from model.errors import SnapshotError, StoreError
from model.series import SeriesIndex
from pipeline.checkpoints import Checkpoints, pack, unpack
from pipeline.distributed import shown
from pipeline.distributed.fitting import fitting
from pipeline.distributed.lease import Lease
from pipeline.distributed.outlet import Outlet
from pipeline.distributed.past import Teaching
from pipeline.distributed.shards import Splitter
from pipeline.distributed.wire import Tick, write
from pipeline.embedded import Saved
from pipeline.settings import Settings
from store import snapshots as snapshot_rows
from store.store import Store

log = logging.getLogger("tocsin.intake")

SNAPSHOT = "intake"
SHARED = "intake.shared"
LOGS_WITHIN_S = 3.0
FLUSH_WITHIN_S = 3.0
PAST_BYTES_MAX = 8 * 2**20
"""The past waits for a broker; it must not push out what is live."""
OWN = (LogTail, Pushed, HostCollector, SelfMetrics, SyslogIntake)
"""Collectors of what is on this machine or comes to it; all others ask the same of the same servers wherever they
run, and would ask twice where two workers have the same configuration."""


class Feeding:
    """The loop that asks collectors and tells the time; the only one that reads a clock for the stages.

    Parameters
    ----------
    name : str
        Unlike all others': host, process, start.
    saved
        Cursors and the like, by name: kept once everything read so far was taken by a broker. Those of
        collectors that one worker runs are kept in the records, for whoever runs them next.
    senders : Senders or None
        Who writes to this worker all the time; they may as well write to another.
    lease : Lease or None
        Who has it scrapes, probes and polls; the others read their own machine and what is pushed to them.
        Without one nothing but the latter is done.
    logs : ElasticLogs or None
        Writes log lines into an Elasticsearch.
    backfill : Backfill or None
        Lets new targets learn from their past; one of the collectors.
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
        name: str,
        store: Store,
        senders: Senders | None = None,
        checkpoints: Checkpoints | None = None,
        lease: Lease | None = None,
        logs: ElasticLogs | None = None,
        backfill: Backfill | None = None,
    ) -> None:
        self._kafka = settings.machine.kafka
        self._pipeline = settings.machine.pipeline
        self._index = index
        self._own = [one for one in collectors if isinstance(one, OWN)]
        self._pulled = [one for one in collectors if not isinstance(one, OWN)]
        pulled = {id(one) for one in self._pulled}
        self._saved = {key: one for key, one in saved.items() if id(one) not in pulled}
        self._shared = {key: one for key, one in saved.items() if id(one) in pulled}
        self._outlet = outlet
        self._clock = clock
        self._name = name
        self._store = store
        self._senders = senders
        self._checkpoints = checkpoints
        self._lease = lease
        self._logs = logs
        self.pulls = False
        self.time_ahead_ms = 0
        self._splitter = Splitter(index, self._kafka.partitions)
        self._teaching = (
            None
            if backfill is None
            else Teaching(backfill, index, self._splitter, self._kafka.partitions)
        )
        self._due_s = {"checkpoint": 0.0, "evict": 0.0, "shown": 0.0}

    def load(self) -> None:
        """Go on where the last run of this worker was."""
        if self._checkpoints is None:
            return
        for name, data in self._checkpoints.read(SNAPSHOT):
            try:
                _take_over(self._saved, data)
                return
            except SnapshotError as error:
                self._checkpoints.unusable(name, error)

    async def run(self, stopping: asyncio.Event) -> None:
        """Until `stopping`."""
        if self._logs is not None:
            self._logs.start()
        tick_s = self._pipeline.tick_ms / 1000
        next_s = self._clock.monotonic_s()
        while not stopping.is_set():
            await self.turn()
            next_s = max(next_s + tick_s, self._clock.monotonic_s())
            await self._teach(next_s, stopping)
            try:
                left_s = next_s - self._clock.monotonic_s()
                await asyncio.wait_for(stopping.wait(), max(left_s, 0.01))
            except TimeoutError:
                continue
        await self._end()

    async def turn(self) -> None:
        """Ask every collector once, send what there is, and say the time to all partitions."""
        now_ms = self._clock.now_ms()
        await self._agree(now_ms)
        at_ms = now_ms - now_ms % self._pipeline.tick_ms
        for one in self._own:
            self._send(self._polled(one, now_ms))
        if self.pulls:
            found = [batch for one in self._pulled for batch in self._polled(one, now_ms)]
            teaching = self._teaching
            *held, found = [found] if teaching is None else teaching.hold(found, now_ms)
            for number, earlier in enumerate(held):  # each is judged on its own, as it was scraped
                self._send(earlier)
                self._tell(at_ms - self._pipeline.tick_ms + 1 + number)
            self._send(found)
        self._tell(at_ms)
        await self._housekeeping(now_ms)

    def _polled(self, collector: Collector, now_ms: int) -> list[MetricBatch | LogBatch]:
        batches = collector.poll(now_ms)
        if self._logs is not None and not isinstance(collector, ElasticPoll):
            self._logs.take(batches)  # lines out of an Elasticsearch are in one
        for problem in collector.problems.fresh():
            log.warning("%s: %s", problem.source, problem.reason.text())
        return batches

    def _send(self, batches: Sequence[MetricBatch | LogBatch]) -> None:
        topic = self._kafka.telemetry
        for batch in batches:
            for number, message in self._splitter.split(batch):
                self._outlet.put([(topic, number, data) for data in fitting(message)])

    def _tell(self, now_ms: int) -> None:
        """Say the time to all partitions."""
        tick = write(Tick(now_ms))
        telemetry = [(self._kafka.telemetry, n, tick) for n in range(self._kafka.partitions)]
        alerts = [(self._kafka.alerts, n, tick) for n in range(self._kafka.domains)]
        self._outlet.put([*telemetry, *alerts])

    async def _teach(self, until_s: float, stopping: asyncio.Event) -> None:
        """Send of the past as much as there is time for, and no more than brokers take."""
        teaching = self._teaching
        while teaching is not None and teaching.learning and not stopping.is_set():
            if not self.pulls or self._clock.monotonic_s() >= until_s:
                return
            room = self._outlet.waiting_bytes < PAST_BYTES_MAX
            lesson = teaching.next(self._clock.now_ms()) if room else None
            if lesson is not None:
                topic = self._kafka.telemetry
                for number, message in lesson:
                    self._outlet.put([(topic, number, data) for data in fitting(message)])
            await asyncio.sleep(0.02 if lesson is None else 0)

    def counters(self) -> dict[str, float]:
        """What the collectors count."""
        found = {
            "tocsin_pulling": float(self.pulls),
            "tocsin_kafka_time_ahead_seconds": self.time_ahead_ms / 1000,
        }
        for collector in (*self._own, *self._pulled):
            for name, value in collector.counters().items():
                found[name] = found.get(name, 0.0) + value
        found.update({} if self._logs is None else self._logs.counters())
        return found

    async def _agree(self, now_ms: int) -> None:
        """Who pulls; whoever begins to goes on where the one before was."""
        held = self._lease is not None and await asyncio.to_thread(self._hold, now_ms)
        if held and not self.pulls:
            try:
                await asyncio.to_thread(self._take_up)
            except StoreError as error:
                log.error("this worker will scrape and poll once the store answers: %s", error)
                return
            log.info("this worker scrapes and polls now")
        elif self.pulls and not held:
            log.warning("another worker scrapes and polls now")
        self.pulls = held

    def _take_up(self) -> None:
        with self._store.records.read() as conn:
            data = snapshot_rows.get(conn, SHARED)
        if data is None:
            return
        try:
            _take_over(self._shared, data)
        except SnapshotError as error:
            log.error("where others had read to does not read; it begins anew: %s", error)

    def _hold(self, now_ms: int) -> bool:
        assert self._lease is not None
        try:
            return self._lease.hold(self._clock.monotonic_s(), now_ms=now_ms)
        except StoreError as error:
            log.error("who scrapes cannot be agreed on: %s", error)
            return not self._lease.expired(self._clock.monotonic_s())

    async def _housekeeping(self, now_ms: int) -> None:
        now_s = self._clock.monotonic_s()
        if now_s >= self._due_s["checkpoint"] and self._outlet.empty:
            self._due_s["checkpoint"] = now_s + self._pipeline.checkpoint_interval_ms / 1000
            await self._checkpoint(now_ms)
        if now_s >= self._due_s["shown"]:
            self._due_s["shown"] = now_s + shown.COLLECTED_EVERY_MS / 1000
            await self._show(now_ms)
        if now_s >= self._due_s["evict"]:
            self._due_s["evict"] = now_s + self._pipeline.series_idle_ms / 4_000
            self._index.evict_stale(now_ms - self._pipeline.series_idle_ms)

    async def _checkpoint(self, now_ms: int) -> None:
        try:
            if self._checkpoints is not None:
                data = pack({name: holder.save() for name, holder in self._saved.items()})
                self._checkpoints.write(SNAPSHOT, data, now_ms=now_ms)
            if self.pulls and self._shared:
                shared = pack({name: holder.save() for name, holder in self._shared.items()})
                await asyncio.to_thread(self._share, shared, now_ms)
        except StoreError as error:
            log.error("%s", error)

    def _share(self, data: bytes, now_ms: int) -> None:
        with self._store.records.write() as conn:
            snapshot_rows.put(conn, SHARED, data, now_ms=now_ms)

    async def _show(self, now_ms: int) -> None:
        """Let the console see what is met here, and hear who wrote to other doors."""
        collectors = (*self._own, *(self._pulled if self.pulls else ()))
        seen = shown.collected_by(self._name, collectors)
        senders = b"" if self._senders is None else self._senders.save()
        try:
            heard = await asyncio.to_thread(self._exchange, seen, senders, now_ms)
            for one in heard:
                if self._senders is not None:
                    self._senders.merge(one)
        except (StoreError, SnapshotError) as error:
            log.debug("not shown: %s", error)

    def _exchange(self, seen: bytes, senders: bytes, now_ms: int) -> list[bytes]:
        with self._store.records.write() as conn:
            self._compare(now_ms, shown.decided_ms(conn, self._kafka.domains))
            shown.keep_collected(conn, self._name, seen, now_ms=now_ms)
            if not senders:
                return []
            return shown.exchange_senders(conn, self._name, senders, now_ms=now_ms)

    def _compare(self, now_ms: int, decided_ms: Sequence[int]) -> None:
        """The stream's time comes from clocks like this one: where it is ahead, one of them is wrong, or was."""
        ahead_ms = max(0, max(decided_ms) - now_ms)
        if ahead_ms > shown.AHEAD_MS >= self.time_ahead_ms:
            log.error(
                "the time that all workers go by is %d s ahead of this machine's clock: the clock of one that takes in, or of a "
                "console, is wrong or was, or this one is; until the clocks have come to it nothing is decided",
                ahead_ms // 1000,
            )
        self.time_ahead_ms = ahead_ms

    async def _end(self) -> None:
        """Send what was accepted, keep where reading stands, and let another pull at once."""
        now_ms = self._clock.now_ms()
        for one in self._own:
            while isinstance(one, Pushed) and one.waiting:
                self._send(self._polled(one, now_ms))
        with suppress(TimeoutError):
            await asyncio.wait_for(self._outlet.flushed(), FLUSH_WITHIN_S)
        if self._logs is not None:
            await asyncio.to_thread(self._logs.stop, LOGS_WITHIN_S)
        if self._outlet.empty:
            await self._checkpoint(now_ms)
        if self._lease is not None:
            try:
                await asyncio.to_thread(self._lease.release, now_ms=now_ms)
            except StoreError as error:
                log.error("the lease is left to run out: %s", error)


def _take_over(holders: dict[str, Saved], data: bytes) -> None:
    parts = unpack(data)
    for name, holder in holders.items():
        if name in parts:
            holder.load(parts[name])
