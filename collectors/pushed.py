"""Pushed telemetry on its way from whoever took it to the pipeline: a bounded queue, and the door it comes in by.

A push is decoded and checked where it arrives (another thread), answered once it is in the queue, and made into batches by
the pipeline, which alone numbers series and mines templates. What does not fit is refused: the sender
tries again, because that is what senders of metrics do (429 or 503).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from collectors.base import Counters, Problems
from collectors.logbatches import LogBatches
from collectors.otlp_deltas import Deltas
from collectors.senders import Senders, SenderSettings
from collectors.spans import SpanBook
from collectors.watermark import Watermark
from model.batch import LogBatch, MetricBatch
from model.reason import because
from model.series import SeriesIndex
from model.units import SizeBytes


@dataclass(frozen=True, slots=True)
class PushSettings:
    """How much pushed telemetry may wait for the pipeline.

    Attributes
    ----------
    queue_bytes_max : size
        Decoded bytes that wait; beyond it a push is refused (429) and counted.
    step_bytes_max : size
        Decoded bytes that one step takes, so that a flood does not hold up everything else.
    senders : SenderSettings
        When a sender that wrote all the time is missed.
    """

    queue_bytes_max: SizeBytes = 64 * 1024 * 1024
    step_bytes_max: SizeBytes = 16 * 1024 * 1024
    senders: SenderSettings = field(default_factory=SenderSettings)


@dataclass(frozen=True, slots=True)
class Door:
    """What a push needs to become batches; the pipeline's thread alone holds it.

    Attributes
    ----------
    deltas
        Adds up what is sent as increments.
    spans
        Counts spans, and gives samples of what it counted from time to time.
    senders
        Knows who writes all the time, and who of them has stopped.
    """

    index: SeriesIndex
    samples: Watermark
    logs: LogBatches
    deltas: Deltas
    spans: SpanBook
    senders: Senders


class Push(Protocol):
    """A decoded, checked push. It holds nothing that its sender could still change."""

    @property
    def source(self) -> str:
        """Who sent it: the credential's name."""
        ...

    @property
    def size_bytes(self) -> int:
        """About how much memory it holds."""
        ...

    def batches(self, door: Door, now_ms: int) -> Sequence[MetricBatch | LogBatch]:
        """Make batches of it; never raises for what the sender sent."""
        ...


class PushQueue:
    """Pushes that wait, in order; `offer` from any thread. It outlives a reload.

    Examples
    --------
    >>> queue = PushQueue(PushSettings(queue_bytes_max=10))
    >>> from types import SimpleNamespace
    >>> queue.offer(SimpleNamespace(size_bytes=8)), queue.offer(SimpleNamespace(size_bytes=8))
    (True, False)
    >>> len(queue.take(100)), queue.refused
    (1, 1)
    """

    def __init__(self, settings: PushSettings | None = None) -> None:
        self.settings = settings or PushSettings()
        self._lock = threading.Lock()
        self._waiting: deque[Push] = deque()
        self.bytes = 0
        self.refused = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def offer(self, push: Push) -> bool:
        """Let it wait; False where there is no room. One that is larger than the queue fits while it is empty."""
        with self._lock:
            if self._waiting and self.bytes + push.size_bytes > self.settings.queue_bytes_max:
                self.refused += 1
                return False
            self._waiting.append(push)
            self.bytes += push.size_bytes
            return True

    def take(self, bytes_max: int) -> list[Push]:
        """The oldest ones, up to so many bytes, at least one."""
        taken: list[Push] = []
        with self._lock:
            left = bytes_max
            while self._waiting and (not taken or self._waiting[0].size_bytes <= left):
                push = self._waiting.popleft()
                self.bytes -= push.size_bytes
                left -= push.size_bytes
                taken.append(push)
        return taken


class Pushed:
    """The collector of what was pushed."""

    def __init__(self, queue: PushQueue, door: Door) -> None:
        self._queue = queue
        self._door = door
        self.problems = Problems()
        self._pushes = self._samples = self._lines = 0

    @property
    def waiting(self) -> int:
        """Pushes whose senders were told that they were taken."""
        return len(self._queue)

    def poll(self, now_ms: int) -> list[MetricBatch | LogBatch]:
        """Batches of what waits, as much as one step may take."""
        found: list[MetricBatch | LogBatch] = []
        refused = self._door.index.refused
        for push in self._queue.take(self._queue.settings.step_bytes_max):
            self._pushes += 1
            for batch in push.batches(self._door, now_ms):
                found.append(batch)
                if isinstance(batch, LogBatch):
                    self._lines += len(batch)
                else:
                    self._samples += len(batch)
            if self._door.index.refused > refused:
                refused = self._door.index.refused
                why = because("{source} sends more series than are allowed", source=push.source)
                self.problems.note(push.source, "limit", why, now_ms=now_ms)
        for batch in self._door.spans.samples(self._door.index, now_ms):
            found.append(batch)
            self._samples += len(batch)
        found += self._door.senders.samples(self._door.index, now_ms)
        return found

    def counters(self) -> Counters:
        """Running totals and gauges by metric name."""
        return {
            **self._door.samples.counters(),
            **self._door.logs.watermark.counters("log"),
            **self._door.spans.counters(),
            "tocsin_pushed_deltas_repeated_total": self._door.deltas.repeated,
            "tocsin_pushed_pushes_total": self._pushes,
            "tocsin_pushed_samples_total": self._samples,
            "tocsin_pushed_lines_total": self._lines,
            "tocsin_pushed_refused_total": self._queue.refused,
            "tocsin_pushed_waiting_bytes": self._queue.bytes,
        }
