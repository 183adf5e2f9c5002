"""One walk through the past: what the thread that asks and the loop that learns have in common."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from queue import Full, Queue

from collectors.past import Goal, Identities, Plan, Window, in_order, queries
from collectors.prometheus_api import PrometheusApi, Track
from collectors.prometheus_settings import BackfillSettings
from model.batch import MetricBatch, Rows
from model.clock import Clock
from model.errors import DeliveryError

_QUEUE_WINDOWS = 2
_POLL_S = 0.2


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """One step through the past.

    Attributes
    ----------
    batch : MetricBatch or None
        Samples of (about) one moment.
    renew : Rows or None
        Series whose samples come at other distances from here on: how far they spread is learnt anew.
    coarse : bool
        Whether its samples are further apart than live ones.
    ends : bool
        Whether the past ends here.
    """

    batch: MetricBatch | None = None
    renew: Rows | None = None
    coarse: bool = False
    ends: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Fetched:
    """A window's samples in time order, and the rows that had any."""

    window: Window
    lessons: tuple[MetricBatch, ...]
    rows: frozenset[int]


@dataclass(slots=True, eq=False)
class Run:
    """Targets that learn together; the thread and the loop share only the events and the queue."""

    goals: tuple[Goal, ...]
    plan: Plan
    began_ms: int
    hurry: threading.Event = field(default_factory=threading.Event)
    stop: threading.Event = field(default_factory=threading.Event)
    arrived: threading.Event = field(default_factory=threading.Event)
    queue: Queue[Fetched | DeliveryError | None] = field(
        default_factory=lambda: Queue(_QUEUE_WINDOWS)
    )
    lessons: deque[Lesson] = field(default_factory=deque)
    rows: set[int] = field(default_factory=set)
    fine_rows: set[int] = field(default_factory=set)
    fine: bool = False
    fetched_all: bool = False


class Fetcher:
    """What the thread does: asks, sorts, puts into the queue. It touches nothing of the collector."""

    def __init__(
        self, run: Run, api: PrometheusApi, settings: BackfillSettings, clock: Clock
    ) -> None:
        self._run, self._api, self._settings, self._clock = run, api, settings, clock
        self._known = Identities(run.goals)
        self._queries = queries(
            run.goals, settings.selectors, targets_per_query=settings.targets_per_query
        )

    def run(self) -> None:
        """Fetch the whole plan; an error ends its part of it, and is handed over."""
        run = self._run
        for windows in (run.plan.coarse, run.plan.fine):
            for window in windows:
                if run.stop.is_set() or (window.step_ms and run.hurry.is_set()):
                    break
                try:
                    fetched = self._fetch(window)
                except DeliveryError as error:
                    self._put(error)
                    break
                except Exception as error:  # a library's surprise must not leave targets waiting
                    self._put(DeliveryError(f"it failed ({type(error).__name__})"))
                    break
                self._put(fetched)
        self._put(None)

    def _fetch(self, window: Window) -> Fetched:
        tracks: list[Track] = []
        for query in self._queries:
            if self._run.stop.is_set():
                break
            begun_s = self._clock.monotonic_s()
            tracks += self._ask(query, window)
            took_s = self._clock.monotonic_s() - begun_s
            self._api.pause(took_s * self._settings.pause_ratio)
        batches, rows = in_order(tracks, self._known, window, bin_ms=self._run.plan.bin_ms)
        return Fetched(window, tuple(batches), frozenset(rows))

    def _ask(self, query: str, window: Window) -> list[Track]:
        if window.step_ms:
            return self._api.query_range(query, window.start_ms, window.end_ms, window.step_ms)
        return self._api.raw(query, window.start_ms, window.end_ms)

    def _put(self, what: Fetched | DeliveryError | None) -> None:
        while not self._run.stop.is_set():
            try:
                self._run.queue.put(what, timeout=_POLL_S)
                self._run.arrived.set()
                return
            except Full:
                continue
