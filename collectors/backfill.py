"""New targets, scraped here or by who pushes, learn from a Prometheus' past before they are judged."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from queue import Empty

import numpy as np

from collectors.backfill_run import Fetched, Fetcher, Lesson, Run
from collectors.base import Counters, Problems
from collectors.origins import Origins, completed, joined, more, origin_labels
from collectors.past import Goal, plan
from collectors.prometheus_api import PrometheusApi
from collectors.prometheus_settings import BackfillSettings
from collectors.scrape import target_labels
from collectors.settings import ScrapeTarget
from collectors.snapshot import seal, unseal
from model.batch import Bools, LogBatch, MetricBatch, Rows
from model.clock import Clock
from model.errors import DeliveryError, SnapshotError
from model.reason import Reason, because
from model.series import SeriesIndex

Batch = MetricBatch | LogBatch
GATHER_MS = 20_000
"""Targets that are met within this time learn together: the past is walked through once."""
QUIET_MS = 2_000
HELD_SAMPLES_MAX = 5_000_000
DONE_MAX = 20_000
ROUNDS_MAX = 20
OWN_SERIES = 3
"""A scrape that failed brings no more series than the ones it makes itself: `up` and two more."""
_VERSION = 1


class Backfill:
    """Holds the live samples of new targets, fetches their past in a thread, hands it over in time order.

    Parameters
    ----------
    settings : BackfillSettings
    index : SeriesIndex
    clock : Clock
        Only to measure how long answers take.
    target_of : callable
        The scrape target behind a batch's source, or None.
    sends : callable
        Whether a batch's source sends what was scraped elsewhere (remote write, a polled Prometheus): its
        series belong to the targets that their `job` and `instance` name.
    cold, worth : callable
        Of rows: which were never judged, and which the detectors would learn from.
    """

    def __init__(
        self,
        settings: BackfillSettings,
        index: SeriesIndex,
        clock: Clock,
        *,
        target_of: Callable[[str], tuple[ScrapeTarget, int] | None],
        sends: Callable[[str], bool],
        cold: Callable[[Rows], Bools],
        worth: Callable[[Rows], Bools],
    ) -> None:
        self.settings = settings
        self.api = PrometheusApi(settings, clock)
        self._index = index
        self._clock = clock
        self._target_of, self._sends = target_of, sends
        self._origins = Origins(index)
        self._cold, self._worth = cold, worth
        self.problems = Problems()
        self._done: dict[str, int] = {}
        self._begun: set[str] = set()
        self._met: dict[str, Goal] = {}
        self._first_met_ms = 0
        self._held: dict[str, deque[MetricBatch]] = {}
        self._ready: set[str] = set()
        self._run: Run | None = None
        self._expected = 0
        self._series = self._points = self._failures = self._refused = self._unmatched = 0

    # -- the collector's side

    def poll(self, now_ms: int) -> list[Batch]:
        """Nothing: what is learnt comes by `next_lesson`, what was held by `hold`."""
        return []

    def counters(self) -> Counters:
        """Running totals and gauges."""
        return {
            "tocsin_backfill_series_total": self._series,
            "tocsin_backfill_points_total": self._points,
            "tocsin_backfill_points_expected": self._expected,
            "tocsin_backfill_failures_total": self._failures,
            "tocsin_backfill_refused_total": self._refused,
            "tocsin_backfill_unmatched_total": self._unmatched,
            "tocsin_backfill_requests_total": self.api.requests,
            "tocsin_backfill_targets_waiting": len(self._held) - len(self._ready),
            "tocsin_backfill_held_samples": self._held_samples(),
        }

    def close(self) -> None:
        """Stop fetching."""
        self.api.close()
        if self._run is not None:
            self._run.stop.set()

    @property
    def learning(self) -> bool:
        """Whether a past is being fetched or learnt."""
        return self._run is not None

    def wait(self, timeout_s: float) -> None:
        """Wait until something was fetched, for tests and for who has nothing else to do."""
        if self._run is not None:
            self._run.arrived.wait(timeout_s)

    # -- live samples

    def hold(self, batches: Iterable[Batch], now_ms: int) -> list[list[Batch]]:
        """Keep back the samples of targets that learn; what may be judged now, in rounds, oldest first.

        There is always one round at least, be it empty.
        """
        if not self.settings.enabled:
            return [list(batches)]
        now: list[Batch] = []
        for batch in batches:
            now += self._passed(batch, now_ms)
        self._advance(now_ms)
        rounds: list[list[Batch]] = []
        for _ in range(ROUNDS_MAX):
            some = [self._held[s].popleft() for s in self._ready if self._held[s]]
            if some:
                rounds.append([*joined(some)])
        for source in [s for s in self._ready if not self._held[s]]:
            del self._held[source]
            self._ready.discard(source)
        return [*rounds, now] if now or not rounds else rounds

    def _passed(self, batch: Batch, now_ms: int) -> list[Batch]:
        """What of a batch need not wait."""
        if not isinstance(batch, MetricBatch):
            return [batch]
        if (found := self._target_of(batch.source)) is not None:
            return [] if self._keep(batch, *found, now_ms) else [batch]
        if not self._sends(batch.source):
            return [batch]
        parts, rest = self._origins.split(batch, settled=self._settled, wanted=self._wanted)
        for origin, part in parts:
            self._keep_part(origin, part, now_ms)
        return [] if rest is None else [rest]

    def _settled(self, source: str) -> bool:
        return source in self._done and source not in self._ready

    def _wanted(self, source: str, rows: Rows) -> Bools:
        wanted = self._worth(rows)
        return wanted if source in self._begun else wanted & self._cold(rows)

    def _keep(
        self, batch: MetricBatch, target: ScrapeTarget, interval_ms: int, now_ms: int
    ) -> bool:
        source = batch.source
        if self._settled(source):
            return False
        if source in self._held:
            self._held[source].append(batch)
            return True
        if len(batch) <= OWN_SERIES:
            return False
        goal = self._goal(source, batch, target_labels(target), interval_ms, target.honor_labels)
        return self._meet(goal, batch, now_ms)

    def _keep_part(self, origin: str, part: MetricBatch, now_ms: int) -> None:
        """As `_keep`; one scrape may come in many pushes, and each brings series that are to learn."""
        met = self._met.get(origin)
        if met is None and origin in self._held:
            self._held[origin].append(part)
            return
        goal = self._goal(origin, part, origin_labels(origin), 0, False)
        if met is None:
            self._meet(goal, part, now_ms)
        else:
            self._met[origin] = more(met, goal)
            self._held[origin].append(part)

    def _meet(self, goal: Goal, batch: MetricBatch, now_ms: int) -> bool:
        if not goal.rows:
            self._finished([goal.source], now_ms)
            return False
        self._first_met_ms = self._first_met_ms or now_ms
        self._met[goal.source] = goal
        self._held[goal.source] = deque([batch])
        return True

    def _goal(
        self,
        source: str,
        batch: MetricBatch,
        own: dict[str, str],
        interval_ms: int,
        honor_labels: bool,
    ) -> Goal:
        rows = np.unique(batch.rows[batch.rows >= 0])
        wanted = self._wanted(source, rows)
        labels = {row: self._index.labels(row) for row in rows.tolist() if self._index.in_use(row)}
        chosen = [row for row in rows[wanted].tolist() if row in labels]
        room = max(0, self.settings.series_max - sum(len(g.rows) for g in self._met.values()))
        self._refused += max(0, len(chosen) - room)
        return Goal(
            source,
            own,
            {labels[row]: row for row in chosen[:room]},
            frozenset(name for one in labels.values() for name in one),
            int(batch.times_ms.min()),
            interval_ms,
            honor_labels,
        )

    def _held_samples(self) -> int:
        return sum(len(batch) for held in self._held.values() for batch in held)

    # -- the past

    def next_lesson(self, now_ms: int) -> Lesson | None:
        """The next step through the past, or None while there is none."""
        run = self._run
        if run is None:
            return None
        while not run.lessons and not run.fetched_all:
            run.arrived.clear()
            try:
                came = run.queue.get_nowait()
            except Empty:
                return None
            self._unpack(run, came, now_ms)
        if run.lessons:
            lesson = run.lessons.popleft()
            self._points += 0 if lesson.batch is None else len(lesson.batch)
            return lesson
        self._end(run, now_ms)
        return Lesson(ends=True)

    def _unpack(self, run: Run, came: Fetched | DeliveryError | None, now_ms: int) -> None:
        if came is None:
            run.fetched_all = True
            unsure = run.rows - run.fine_rows
            if unsure:
                run.lessons.append(Lesson(renew=np.array(sorted(unsure), dtype=np.int32)))
        elif isinstance(came, DeliveryError):
            self._fail(because("the past could not be fetched: {error}", error=came), now_ms)
        else:
            coarse = came.window.step_ms > 0
            if coarse and run.hurry.is_set():
                return
            if not coarse and not run.fine:
                run.fine = True
                if run.rows:
                    run.lessons.append(Lesson(renew=np.array(sorted(run.rows), dtype=np.int32)))
            run.rows |= came.rows
            if not coarse:
                run.fine_rows |= came.rows
            run.lessons.extend(Lesson(batch, coarse=coarse) for batch in came.lessons)

    def _fail(self, why: Reason, now_ms: int) -> None:
        self._failures += 1
        self.problems.note(self.api.name, "backfill", why, now_ms=now_ms)

    def _advance(self, now_ms: int) -> None:
        run = self._run
        if run is None:
            if self._met:
                # After one interval every target that answers has been met.
                beat_ms = max(goal.interval_ms or GATHER_MS for goal in self._met.values())
                if now_ms - self._first_met_ms >= min(beat_ms + QUIET_MS, GATHER_MS):
                    self._begin(now_ms)
            return
        waited_ms = now_ms - run.began_ms
        if waited_ms >= self.settings.hold_ms and not run.hurry.is_set():
            run.hurry.set()
            if not run.fine:
                run.lessons.clear()
        if waited_ms >= 2 * self.settings.hold_ms or self._held_samples() > HELD_SAMPLES_MAX:
            self._fail(
                because("the past took longer than {seconds} s; what is missing is learnt live",
                        seconds=waited_ms // 1000), now_ms,
            )  # fmt: skip
            run.lessons.clear()
            rows = np.array(sorted(run.rows), dtype=np.int32)
            if not run.fetched_all and len(rows):
                run.lessons.append(Lesson(renew=rows))
            run.fetched_all = True
            run.stop.set()

    def _begin(self, now_ms: int) -> None:
        goals = completed(tuple(self._met.values()), self._held.__getitem__)
        self._met = {}
        self._first_met_ms = 0
        series = sum(len(goal.rows) for goal in goals)
        beat_ms = min(goal.interval_ms for goal in goals)
        until_ms = max(goal.until_ms for goal in goals)
        made = plan(self.settings, series=series, interval_ms=beat_ms, now_ms=until_ms)
        self._begun.update(goal.source for goal in goals)
        self._expected += series * made.points
        self._run = Run(goals, made, now_ms)
        fetcher = Fetcher(self._run, self.api, self.settings, self._clock)
        threading.Thread(target=fetcher.run, name="backfill", daemon=True).start()

    def _end(self, run: Run, now_ms: int) -> None:
        wanted = sum(len(goal.rows) for goal in run.goals)
        self._series += len(run.rows)
        self._unmatched += wanted - len(run.rows)
        run.stop.set()
        self._run = None
        if wanted and not run.rows and not self.problems.all():
            why = because("none of {count} series was found there; do job and instance agree?",
                          count=wanted)  # fmt: skip
            self._fail(why, now_ms)
        elif run.rows and run.fine_rows:
            self.problems.mend(self.api.name, "backfill")
        self._finished([goal.source for goal in run.goals], now_ms)

    def _finished(self, sources: Sequence[str], now_ms: int) -> None:
        for source in sources:
            self._begun.discard(source)
            self._done[source] = now_ms
            if source in self._held:
                self._ready.add(source)
        while len(self._done) > DONE_MAX:
            del self._done[next(iter(self._done))]

    # -- over a restart

    def save(self) -> bytes:
        """Which targets have learnt from the past, and which were about to."""
        return seal("backfill", _VERSION, {"done": self._done, "begun": sorted(self._begun)})

    def load(self, data: bytes) -> None:
        """Take over what `save` gave.

        Raises
        ------
        SnapshotError
            If it cannot be read.
        """
        state = unseal("backfill", _VERSION, data)
        try:
            self._done = {str(name): int(ms) for name, ms in state["done"].items()}
            self._begun = set(map(str, state["begun"]))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SnapshotError(f"backfill: does not read: {error!r}") from None
