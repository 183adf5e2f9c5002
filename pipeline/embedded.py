"""The embedded runtime: one process, one loop, and the threads that do I/O around it."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from collectors.base import Collector
from model.batch import LogBatch, MetricBatch
from model.clock import Clock
from model.errors import StoreError
from model.series import SeriesIndex
from pipeline.checkpoints import Checkpoints, pack, unpack
from pipeline.core import Core, StepOutput
from store import history
from store.journal import Journal

log = logging.getLogger("tocsin.pipeline")

ENTRIES_PER_STEP_MAX = 5_000
STEP_GAP_S = 0.1  # pushes wake the loop, but a storm is taken in batches
PRUNE_EVERY_MS = 3_600_000
LONGEST_OVER_MS = 600_000


class Saved(Protocol):
    """Anything whose learned state is kept over a restart."""

    def save(self) -> bytes:
        """Its state, versioned."""
        ...

    def load(self, data: bytes) -> None:
        """Take a state over."""
        ...


@dataclass(frozen=True, slots=True)
class Pace:
    """How often things happen, in milliseconds."""

    tick_ms: int = 1_000
    checkpoint_ms: int = 30_000
    retention_ms: int = 400 * 86_400_000
    series_idle_ms: int = 3_600_000


class Embedded:
    """Reads the clock once, steps every stage, sleeps; pushes wake it.

    Parameters
    ----------
    saved
        Stages by name, in the order they are loaded; all in one snapshot, of one moment.
    on_commit
        Called after each step that wrote something (wakes the performer).
    """

    def __init__(
        self,
        *,
        core: Core,
        journal: Journal,
        index: SeriesIndex,
        collectors: Sequence[Collector],
        checkpoints: Checkpoints,
        saved: dict[str, Saved],
        clock: Clock,
        pace: Pace = Pace(),
        on_commit: Callable[[StepOutput], None] = lambda _: None,
    ) -> None:
        self.core = core
        self.journal = journal
        self.index = index
        self.collectors = list(collectors)
        self.clock = clock
        self.pace = pace
        self.ready = False
        self.commit_failures = 0
        self.failing_since_ms: int | None = None
        self.last_step_ms = 0
        self._checkpoints = checkpoints
        self._saved = saved
        self._on_commit = on_commit
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._due = {"checkpoint": 0, "prune": 0}
        self._step_s = 0.0
        self._lag_s = 0.0
        self._longest: deque[tuple[int, float]] = deque()
        self._failed = ""

    def restore(self) -> None:
        """Load the snapshots and the store's memory."""
        now_ms = self.clock.now_ms()
        if not self._checkpoints.read("stages", self._load, log.warning):
            log.info("no snapshot: everything that is learned starts cold")
        self.core.restore(now_ms)
        self._due = {"checkpoint": now_ms + self.pace.checkpoint_ms, "prune": now_ms}

    def _load(self, data: bytes) -> None:
        parts = unpack(data)
        for name, stage in self._saved.items():
            if name in parts:
                stage.load(parts[name])

    def start(self) -> None:
        """Run the loop in a thread of its own."""
        self._thread = threading.Thread(target=self._run, name="pipeline", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """A push was accepted: do not wait for the next tick."""
        self._wake.set()

    def stop(self) -> None:
        """End the loop after its step, and write a last checkpoint."""
        self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=30)
        self.checkpoint(self.clock.now_ms())

    def _run(self) -> None:
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
            self._stopping.wait(STEP_GAP_S)
            if not more:
                self._wake.wait(max(0.0, next_tick_s - self.clock.monotonic_s()))
                self._wake.clear()

    def turn(self, *, poll: bool = True) -> bool:
        """One step at the present time; True if more of the journal waits.

        A store that refuses is waited for, not died of: intake answers 503 meanwhile.
        """
        now_ms = self.clock.now_ms()
        try:
            entries = self.journal.read(self.core.offset, ENTRIES_PER_STEP_MAX)
            batches = self._poll(now_ms) if poll else []
            out = self.core.step(now_ms, batches=batches, entries=entries)
            if not out.empty:
                self._on_commit(out)
            if poll:
                self._housekeeping(now_ms)
        except StoreError as error:
            self._refused(now_ms, error)
            return False
        if self.failing_since_ms is not None:
            log.info("the store takes writes again")
        self.failing_since_ms = None
        self.ready = True
        self.last_step_ms = now_ms
        return len(entries) == ENTRIES_PER_STEP_MAX

    def _refused(self, now_ms: int, error: StoreError) -> None:
        self.commit_failures += 1
        self.ready = False
        if self.failing_since_ms is None:
            self.failing_since_ms = now_ms
            log.error("the store refuses writes; nothing is accepted until it does: %s", error)

    def _poll(self, now_ms: int) -> list[MetricBatch | LogBatch]:
        found: list[MetricBatch | LogBatch] = []
        for collector in self.collectors:
            found += collector.poll(now_ms)
            for problem in collector.fresh_problems():
                log.warning("%s: %s", problem.source, problem.reason.text())
        return found

    def _housekeeping(self, now_ms: int) -> None:
        if now_ms >= self._due["checkpoint"]:
            self._due["checkpoint"] = now_ms + self.pace.checkpoint_ms
            self.checkpoint(now_ms)
        if now_ms >= self._due["prune"]:
            self._due["prune"] = now_ms + PRUNE_EVERY_MS
            self.index.evict_stale(now_ms - self.pace.series_idle_ms)
            with self.core.store.records.write() as conn:
                history.prune(conn, now_ms - self.pace.retention_ms, now_ms=now_ms)
            self.journal.prune(self.core.offset)

    def checkpoint(self, now_ms: int) -> None:
        """Snapshot what was learned; a refusal of the disk is reported, the snapshots before stay."""
        try:
            parts = {name: stage.save() for name, stage in self._saved.items()}
            self._checkpoints.write("stages", pack(parts), now_ms=now_ms)
            self._failed = ""
        except StoreError as error:
            if str(error) != self._failed:
                log.error("%s", error)
                self._failed = str(error)

    def _note_length(self, seconds: float) -> None:
        now_ms = self.clock.now_ms()
        self._step_s = seconds
        self._longest.append((now_ms, seconds))
        while self._longest[0][0] < now_ms - LONGEST_OVER_MS:
            self._longest.popleft()

    def counters(self) -> dict[str, float]:
        """Our own metrics (`pipeline/telemetry.py` says what they mean)."""
        accepted = self.journal.last()
        return {
            "tocsin_steps_total": self.core.steps,
            "tocsin_step_seconds": self._step_s,
            "tocsin_step_seconds_max": max((s for _, s in list(self._longest)), default=0.0),
            "tocsin_step_lag_seconds": self._lag_s,
            "tocsin_journal_lag_entries": accepted - self.core.offset,
            "tocsin_journal_entries_total": accepted,
            "tocsin_journal_poisoned_total": self.core.poisoned,
            "tocsin_commit_failures_total": self.commit_failures,
            "tocsin_checkpoints_total": self._checkpoints.written,
            "tocsin_checkpoint_timestamp_seconds": self._checkpoints.last_ms / 1000,
            "tocsin_checkpoints_damaged_total": self._checkpoints.damaged,
            "tocsin_series": len(self.index),
            "tocsin_series_max": self.index.series_max,
            "tocsin_series_refused_total": self.index.refused,
        }


__all__ = ["Core", "Embedded", "Pace", "Saved"]
