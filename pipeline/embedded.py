"""The embedded runtime: one process, one loop, and the threads that do I/O around it."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from collectors.backfill import Backfill
from collectors.base import Collector
from collectors.elastic_poll import ElasticPoll
from incident_bridge.elastic_logs import ElasticLogs
from model.batch import LogBatch, MetricBatch, joined
from model.clock import Clock
from model.errors import SnapshotError, StoreError
from model.journal import JournalEntry
from model.series import SeriesIndex
from pipeline.checkpoints import Checkpoints, pack, unpack
from pipeline.core import Core, StepOutput
from pipeline.pace import Pace
from pipeline.quarantine import Quarantine
from store.store import Store

log = logging.getLogger("tocsin.pipeline")

SNAPSHOT = "stages"
ENTRIES_PER_STEP_MAX = 5_000
STEP_GAP_S = 0.1  # pushes wake the loop, but a storm is taken in batches
LEARN_S = 0.08  # of each gap between steps goes to the past, while targets learn from it
PROBE_EVERY_S = 10.0
LONGEST_OVER_MS = 600_000
STOP_S = 20.0


class Saved(Protocol):
    """Anything whose learned state is kept over a restart."""

    def save(self) -> bytes:
        """Its state, versioned."""
        ...

    def load(self, data: bytes) -> None:
        """Take a state over."""
        ...


class Counts(Protocol):
    """Anything that counts."""

    def counters(self) -> Mapping[str, float]:
        """By metric name."""
        ...


class Embedded:
    """Reads the clock once, steps every stage, sleeps; pushes wake it.

    Everything the stages hold belongs to this loop's thread. Other threads read what it publishes:
    `counters()`, `ready`, `failing_since_ms`, `last_step_ms`.

    Parameters
    ----------
    saved
        Stages by name, in the order they are loaded; all in one snapshot, of one moment.
    counting
        Whose counters are published after each full step.
    backfill
        Holds back what new targets send until they have learnt from their past.
    logs
        Writes log lines into an Elasticsearch, beside the loop.
    on_commit
        Called after each step that wrote something (wakes the performer).
    """

    def __init__(
        self,
        *,
        core: Core,
        store: Store,
        index: SeriesIndex,
        collectors: Sequence[Collector],
        checkpoints: Checkpoints,
        saved: dict[str, Saved],
        clock: Clock,
        pace: Pace,
        counting: Sequence[Counts] = (),
        backfill: Backfill | None = None,
        logs: ElasticLogs | None = None,
        on_commit: Callable[[StepOutput], None] = lambda _: None,
    ) -> None:
        self.core = core
        self.store = store
        self.index = index
        self.collectors = list(collectors)
        self.clock = clock
        self.pace = pace
        self.ready = False
        self.commit_failures = 0
        self.failing_since_ms: int | None = None
        self.last_step_ms = 0
        self._checkpoints = checkpoints
        self._quarantine = Quarantine(checkpoints.folder / "suspects.json")
        self._saved = saved
        self._counting = tuple(counting)
        self._backfill = backfill
        self._logs = logs
        self._on_commit = on_commit
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._crashed = False
        self._loaded = False
        self._due_s = {"checkpoint": 0.0, "evict": 0.0, "probe": 0.0}
        self._journal_failed = 0
        self._step_s = 0.0
        self._lag_s = 0.0
        self._longest: deque[tuple[int, float]] = deque()
        self._failed = ""
        self._published: dict[str, float] = {}

    def load(self, data: bytes) -> None:
        """Take over what `stop` or a snapshot kept.

        Raises
        ------
        SnapshotError
            If it cannot be read. The stages are then in no defined state: build new ones.
        """
        parts = unpack(data)
        for name, stage in self._saved.items():
            if name in parts:
                try:
                    stage.load(parts[name])
                except (LookupError, TypeError, ValueError, AttributeError) as error:
                    # Whole, but not as this version writes it.
                    raise SnapshotError(f"{name}: does not read: {error!r}") from error
        self._loaded = True

    def restore(self) -> None:
        """Take up the store's memory."""
        self.core.restore(self.clock.now_ms())
        now_s = self.clock.monotonic_s()
        self._journal_failed = self.store.journal.failed
        self._due_s = {
            # At once where there is none: else a crash would forget where the log files were read to.
            "checkpoint": now_s + self.pace.checkpoint_ms / 1000 if self._loaded else now_s,
            # A whole idle time first: after a long rest every series looks idle.
            "evict": now_s + self.pace.series_idle_ms / 1000,
            "probe": now_s + PROBE_EVERY_S,
        }
        self._publish()

    def follow(self, other: Embedded) -> None:
        """Go on where the loop of the configuration before was: an exchange is no outage."""
        self.ready = other.ready
        self.last_step_ms = other.last_step_ms
        self.failing_since_ms = other.failing_since_ms

    def start(self) -> None:
        """Run the loop in a thread of its own."""
        self._thread = threading.Thread(target=self._run, name="pipeline", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """A push was accepted: do not wait for the next tick."""
        self._wake.set()

    def stop(self) -> bytes | None:
        """End the loop after its step, and write a last checkpoint.

        Returns
        -------
        bytes or None
            What was learnt. None where the loop never ran; where it ended by a mistake of ours, so
            that its state is not to be trusted; and where the store refuses what was decided: then
            the last snapshot, which has not told it yet, is the one to begin from.
        """
        self._stopping.set()
        self._wake.set()
        if self._thread is None:
            return None
        self._thread.join(timeout=STOP_S)
        if self._crashed or self._thread.is_alive():
            return None
        try:
            self.core.flush()
        except StoreError as error:
            log.error("decisions are left to be made again: %s", error)
            return None
        return self.checkpoint(self.clock.now_ms())

    def _run(self) -> None:
        try:
            self._loop()
        except BaseException:
            # Our mistake: `threading.excepthook` says so and ends the process (commands/run.py).
            self._crashed = True
            self.ready = False
            raise

    def _loop(self) -> None:
        next_tick_s = self.clock.monotonic_s()
        while not self._stopping.is_set():
            begun_s = self.clock.monotonic_s()
            full = begun_s >= next_tick_s
            if full:
                self._lag_s = begun_s - next_tick_s
                next_tick_s = max(next_tick_s + self.pace.tick_ms / 1000, begun_s)
            more = self.turn(poll=full)
            if full:
                self._note_length(self.clock.monotonic_s() - begun_s)
                self._publish()
            self._stopping.wait(STEP_GAP_S)
            if not more:
                self._wake.wait(max(0.0, next_tick_s - self.clock.monotonic_s()))
                self._wake.clear()

    def turn(self, *, poll: bool = True) -> bool:
        """One step at the present time; True if more of the journal waits.

        A store that refuses is waited for, not died of: intake answers 503 meanwhile, and what is
        noticed is kept to be written later.
        """
        now_ms = self.clock.now_ms()
        try:
            if self.core.full:
                self.core.flush()  # before anything is taken from a collector, which forgets it
            most = self._quarantine.portion(self.core.taken, ENTRIES_PER_STEP_MAX)
            entries = self._without_poison(self.store.journal.read(self.core.taken, most), now_ms)
            *held, batches = self._due(now_ms) if poll else [[]]
            for earlier in held:
                self._told(self._step(now_ms, earlier, []))
            self._told(self._step(now_ms, batches, entries))
            learning = self._learn(now_ms)
            if poll:
                self._probe(now_ms)
                self._housekeeping(now_ms)
        except StoreError as error:
            self._refused(now_ms, error)
            return False
        if poll or self.failing_since_ms is None:
            self._well(now_ms)
        return len(entries) == most or learning

    def _told(self, out: StepOutput) -> None:
        if not out.empty:
            self._on_commit(out)

    def _due(self, now_ms: int) -> list[list[MetricBatch | LogBatch]]:
        """What is to be judged now: one round, or several where a target's past is learnt at last."""
        batches = self._poll(now_ms)
        return [batches] if self._backfill is None else self._backfill.hold(batches, now_ms)

    def _learn(self, now_ms: int) -> bool:
        """Learn from the past for a moment; True if there is more of it."""
        if self._backfill is None:
            return False
        engine, ends_s = self.core.engine, self.clock.monotonic_s() + LEARN_S
        while (lesson := self._backfill.next_lesson(now_ms)) is not None:
            if lesson.batch is not None:
                engine.learn(lesson.batch, now_ms=now_ms, coarse=lesson.coarse)
            if lesson.renew is not None:
                engine.renew(lesson.renew)
            if lesson.ends:
                engine.learnt()
            if self.clock.monotonic_s() >= ends_s:
                break
        return self._backfill.learning

    def _step(
        self, now_ms: int, batches: list[MetricBatch | LogBatch], entries: list[JournalEntry]
    ) -> StepOutput:
        try:
            out = self.core.step(now_ms, batches=list(joined(batches)), entries=entries)
        except StoreError:
            raise
        except Exception:
            self._quarantine.crashed(entries)
            raise
        self._quarantine.passed(self.core.taken)
        return out

    def _without_poison(self, entries: list[JournalEntry], now_ms: int) -> list[JournalEntry]:
        """Set the one entry aside that has crashed us alone, with a record of it (F23)."""
        if not self._quarantine.poisonous(entries):
            return entries
        poison = entries[0]
        self.core.set_aside(poison, now_ms)
        self._quarantine.passed(self.core.taken)
        return []

    def _well(self, now_ms: int) -> None:
        if self.failing_since_ms is not None:
            log.info("the store takes writes again")
        self.failing_since_ms = None
        self.ready = True
        self.last_step_ms = now_ms

    def _refused(self, now_ms: int, error: StoreError) -> None:
        self.commit_failures += 1
        self.ready = False
        if self.failing_since_ms is None:
            self.failing_since_ms = now_ms
            log.error("the store refuses writes; nothing is accepted until it does: %s", error)

    def _poll(self, now_ms: int) -> list[MetricBatch | LogBatch]:
        found: list[MetricBatch | LogBatch] = []
        for collector in self.collectors:
            batches = collector.poll(now_ms)
            found += batches
            if self._logs is not None and not isinstance(collector, ElasticPoll):
                self._logs.take(batches)  # lines out of an Elasticsearch are in one
            for problem in collector.problems.fresh():
                log.warning("%s: %s", problem.source, problem.reason.text())
        return found

    def _probe(self, now_ms: int) -> None:
        """Ask the store whether it takes writes: an idle loop writes nothing, and would not notice."""
        now_s, failed = self.clock.monotonic_s(), self.store.journal.failed
        if (
            self.failing_since_ms is not None
            or failed != self._journal_failed
            or now_s >= self._due_s["probe"]
        ):
            self.store.probe(now_ms)
            self._journal_failed = failed
            self._due_s["probe"] = now_s + PROBE_EVERY_S

    def _housekeeping(self, now_ms: int) -> None:
        now_s = self.clock.monotonic_s()
        if now_s >= self._due_s["checkpoint"]:
            size_bytes = len(self.checkpoint(now_ms))
            self._due_s["checkpoint"] = now_s + self.pace.until_checkpoint_s(size_bytes)
        if now_s >= self._due_s["evict"]:
            self._due_s["evict"] = now_s + self.pace.series_idle_ms / 4_000
            self.index.evict_stale(now_ms - self.pace.series_idle_ms)

    def checkpoint(self, now_ms: int) -> bytes:
        """Snapshot what was learned; a refusal of the disk is reported, the snapshots before stay."""
        data = pack({name: stage.save() for name, stage in self._saved.items()})
        try:
            self._checkpoints.write(SNAPSHOT, data, now_ms=now_ms)
            self._failed = ""
        except StoreError as error:
            if str(error) != self._failed:
                log.error("%s", error)
                self._failed = str(error)
        return data

    def _note_length(self, seconds: float) -> None:
        now_ms = self.clock.now_ms()
        self._step_s = seconds
        self._longest.append((now_ms, seconds))
        while self._longest[0][0] < now_ms - LONGEST_OVER_MS:
            self._longest.popleft()

    def _publish(self) -> None:
        """Gather all counters in this thread: those of a stage may not be read while it works."""
        found = self._own()
        for part in self._counting:
            for name, value in part.counters().items():
                found[name] = found.get(name, 0.0) + value
        self._published = found

    def counters(self) -> Mapping[str, float]:
        """What was counted up to the last full step (`pipeline/telemetry.py` says what it means)."""
        return self._published

    def _own(self) -> dict[str, float]:
        return {
            "tocsin_steps_total": self.core.steps,
            "tocsin_step_seconds": self._step_s,
            "tocsin_step_seconds_max": max((s for _, s in self._longest), default=0.0),
            "tocsin_step_lag_seconds": self._lag_s,
            "tocsin_journal_poisoned_total": self.core.poisoned,
            "tocsin_commit_failures_total": self.commit_failures,
            "tocsin_checkpoints_total": self._checkpoints.written,
            "tocsin_checkpoint_timestamp_seconds": self._checkpoints.last_ms / 1000,
            "tocsin_checkpoints_damaged_total": self._checkpoints.damaged,
            "tocsin_series": len(self.index),
            "tocsin_series_max": self.index.series_max,
            "tocsin_series_refused_total": self.index.refused,
        }


__all__ = ["Core", "Counts", "Embedded", "Saved"]
