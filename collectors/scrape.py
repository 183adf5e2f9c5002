"""Scrape Prometheus targets: what is due is started, what has finished is handed over."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import numpy as np
import requests

from collectors.base import Counters, Problems
from collectors.discovery import Discovery
from collectors.fetch import Answer, fetch, open_session, safe_url
from collectors.layout import NO_TIME, Layout, Scraped
from collectors.settings import ScrapeSettings, ScrapeTarget, WatermarkSettings
from collectors.watermark import Watermark
from model.batch import STALE_NAN, Ints, LogBatch, MetricBatch, Rows
from model.clock import Clock
from model.errors import DeliveryError
from model.identity import derive_id
from model.labels import Labels
from model.reason import Reason, because
from model.series import SeriesIndex

_OWN = ("up", "scrape_duration_seconds", "scrape_samples_scraped")


def target_labels(target: ScrapeTarget) -> dict[str, str]:
    """The labels every series of a target carries.

    Examples
    --------
    >>> target_labels(ScrapeTarget("http://127.0.0.1:9100/metrics", job="node"))
    {'instance': '127.0.0.1:9100', 'job': 'node'}
    """
    host = urlsplit(target.url).netloc.rpartition("@")[2]
    labels = {
        "instance": target.instance or host,
        "job": target.job or host.partition(":")[0],
        "service": target.service,
        **target.labels,
    }
    return {name: value for name, value in labels.items() if value}


@dataclass(slots=True, eq=False)
class _Lane:
    """What is kept of one target between scrapes."""

    target: ScrapeTarget
    name: str
    interval_ms: int
    offset_ms: int
    layout: Layout
    session: requests.Session
    due_ms: int
    labels: dict[str, str]
    started_ms: int = 0
    running: Future[tuple[Answer | DeliveryError, float]] | None = None
    own_rows: list[int] = field(default_factory=list)

    def next_due_ms(self, after_ms: int) -> int:
        """The first time after `after_ms` that is on this target's beat."""
        beats = (after_ms - self.offset_ms) // self.interval_ms + 1
        return beats * self.interval_ms + self.offset_ms


class Scraper:
    """Pulls metrics from targets, each on its own beat.

    The beats of targets are spread over the interval by a hash of their address, the same after
    every start. Requests wait in threads; bodies are parsed in `poll`, because the series index
    belongs to the loop's thread.

    Parameters
    ----------
    settings : ScrapeSettings
    index : SeriesIndex
    clock : Clock
        Only to measure how long a scrape took.
    """

    def __init__(
        self,
        settings: ScrapeSettings,
        index: SeriesIndex,
        clock: Clock,
        watermark: WatermarkSettings | None = None,
    ) -> None:
        self.settings = settings
        self.watermark = Watermark.for_samples(watermark or WatermarkSettings())
        self._index = index
        self._clock = clock
        self.problems = Problems()
        self._discovery = Discovery(settings, self.problems)
        self._pool = ThreadPoolExecutor(max(1, settings.workers), thread_name_prefix="scrape")
        self._lanes: dict[str, _Lane] = {}
        self._ended: list[MetricBatch] = []
        self._scrapes = self._failed = self._skipped = 0
        self._samples = self._bad = self._refused = self._duplicates = 0
        index.on_evict(self._forget)

    def poll(self, now_ms: int) -> list[MetricBatch | LogBatch]:
        """Hand over the scrapes that have finished, and start those that are due."""
        wanted = self._discovery.poll(now_ms)
        if wanted is not None:
            self._retarget(wanted, now_ms)
        batches: list[MetricBatch | LogBatch] = list(self._ended)
        self._ended = []
        for lane in self._lanes.values():
            if lane.running is not None and lane.running.done():
                answer, seconds = lane.running.result()
                lane.running = None
                batches.append(self._finish(lane, answer, seconds, now_ms))
            if now_ms >= lane.due_ms:
                self._start(lane, now_ms)
        return [batch for batch in batches if len(batch)]

    def reload(self, settings: ScrapeSettings) -> None:
        """Take over new settings at the next poll; unchanged targets go on undisturbed."""
        self.settings = settings
        self._discovery = Discovery(settings, self.problems)

    @property
    def targets(self) -> tuple[ScrapeTarget, ...]:
        """What is scraped now."""
        return tuple(lane.target for lane in self._lanes.values())

    def target_of(self, source: str) -> tuple[ScrapeTarget, int] | None:
        """The target behind a batch's source, and its interval in milliseconds."""
        lane = self._lanes.get(source)
        return None if lane is None else (lane.target, lane.interval_ms)

    @property
    def waiting(self) -> bool:
        """Whether a scrape is still under way or finished but not yet handed over."""
        return any(lane.running is not None for lane in self._lanes.values())

    def wait(self, timeout_s: float) -> None:
        """Wait until the scrapes under way have finished, for tests and a tidy end."""
        wait([lane.running for lane in self._lanes.values() if lane.running], timeout=timeout_s)

    def close(self) -> None:
        """Stop; scrapes under way are left to their timeout."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        for lane in self._lanes.values():
            lane.session.close()

    def counters(self) -> Counters:
        """Running totals."""
        return {
            "tocsin_scrapes_total": self._scrapes,
            "tocsin_scrape_errors_total": self._failed,
            "tocsin_scrapes_skipped_total": self._skipped,
            "tocsin_scrape_samples_total": self._samples,
            "tocsin_scrape_bad_lines_total": self._bad,
            "tocsin_scrape_series_refused_total": self._refused,
            "tocsin_scrape_duplicates_total": self._duplicates,
            "tocsin_scrape_targets": len(self._lanes),
            "tocsin_scrape_targets_refused": self._discovery.refused,
            **self.watermark.counters(),
        }

    def _forget(self, rows: Rows) -> None:
        taken = set(rows.tolist())
        for lane in self._lanes.values():
            lane.layout.forget(rows)
            if taken.intersection(lane.own_rows):
                lane.own_rows = []

    def _retarget(self, wanted: Sequence[ScrapeTarget], now_ms: int) -> None:
        kept: dict[str, _Lane] = {}
        for target in wanted:
            name = f"{target_labels(target).get('job', '')} {safe_url(target.url)}"
            lane = self._lanes.get(name)
            interval_ms = max(1, target.interval_ms or self.settings.interval_ms)
            if lane is not None and (lane.target, lane.interval_ms) == (target, interval_ms):
                kept[name] = lane
            elif name not in kept:
                kept[name] = self._open(target, name, now_ms)
        for name, lane in self._lanes.items():
            if kept.get(name) is not lane:
                self._end(lane, now_ms)
        self._lanes = kept

    def _open(self, target: ScrapeTarget, name: str, now_ms: int) -> _Lane:
        settings, labels = self.settings, target_labels(target)
        layout = Layout(
            self._index,
            source=name,
            target=labels,
            honor_labels=target.honor_labels,
            series_max=settings.series_max,
            labels_max=settings.labels_max,
            label_chars_max=settings.label_bytes_max,
        )
        interval_ms = max(1, target.interval_ms or settings.interval_ms)
        offset_ms = int(derive_id("scrape", name), 16) % interval_ms
        lane = _Lane(target, name, interval_ms, offset_ms, layout, open_session(), 0, labels)
        lane.due_ms = lane.next_due_ms(now_ms - 1)
        return lane

    def _end(self, lane: _Lane, now_ms: int) -> None:
        # The target is no longer wanted: all its series end, its `up` too.
        rows = [*lane.layout.fail().tolist(), *[row for row in lane.own_rows if row >= 0]]
        self._ended.append(
            MetricBatch.of(
                rows, now_ms, [STALE_NAN] * len(rows), arrival_ms=now_ms, source=lane.name
            )
        )
        self.problems.forget(lane.name)
        lane.session.close()

    def _start(self, lane: _Lane, now_ms: int) -> None:
        lane.due_ms = lane.next_due_ms(now_ms)
        if lane.running is not None:
            self._skipped += 1
            return
        lane.started_ms = now_ms
        lane.running = self._pool.submit(self._scrape, lane)

    def _scrape(self, lane: _Lane) -> tuple[Answer | DeliveryError, float]:
        """In a worker's thread: nothing of the scraper's state is touched here."""
        began_s = self._clock.monotonic_s()
        timeout_ms = min(lane.target.timeout_ms or self.settings.timeout_ms, lane.interval_ms)
        answer: Answer | DeliveryError
        try:
            answer = fetch(
                lane.session,
                lane.target,
                timeout_s=timeout_ms / 1000,
                body_bytes_max=self.settings.body_bytes_max,
                clock=self._clock,
            )
        except DeliveryError as error:
            answer = error
        except Exception as error:  # a library's surprise must not silence the target
            answer = DeliveryError(f"the scrape failed ({type(error).__name__})")
        return answer, self._clock.monotonic_s() - began_s

    def _finish(
        self, lane: _Lane, answer: Answer | DeliveryError, seconds: float, now_ms: int
    ) -> MetricBatch:
        self._scrapes += 1
        if isinstance(answer, DeliveryError):
            why = because("the scrape failed: {error}", error=answer)
            return self._batch_failed(lane, why, seconds, now_ms)
        scraped = lane.layout.read(answer.body, answer.form, now_ms=now_ms)
        if scraped.truncated:
            why = because("the answer does not end with # EOF; it was cut off")
            return self._batch_failed(lane, why, seconds, now_ms, ended=scraped.rows)
        self.problems.mend(lane.name, "scrape")
        self._tally(lane, scraped, now_ms)
        return self._batch(lane, scraped, seconds, now_ms)

    def _tally(self, lane: _Lane, scraped: Scraped, now_ms: int) -> None:
        self._samples += len(scraped.rows)
        self._bad += scraped.bad
        self._refused += scraped.refused
        self._duplicates += scraped.duplicates
        self._state(lane, "syntax", scraped.problem, scraped.bad, now_ms)
        limit = because("more series than a limit allows; the rest is dropped")
        self._state(lane, "limit", limit if scraped.refused else None, scraped.refused, now_ms)

    def _state(
        self, lane: _Lane, kind: str, reason: Reason | None, times: int, now_ms: int
    ) -> None:
        if reason is None:
            self.problems.mend(lane.name, kind)
        else:
            self.problems.note(lane.name, kind, reason, now_ms=now_ms, times=times)

    def _batch(self, lane: _Lane, scraped: Scraped, seconds: float, now_ms: int) -> MetricBatch:
        rows, values = scraped.rows, scraped.values
        times: Ints = np.full(len(rows), lane.started_ms, dtype=np.int64)
        if scraped.times_ms is not None and lane.target.honor_timestamps:
            own = scraped.times_ms != NO_TIME
            settled = self.watermark.settle(scraped.times_ms[own], now_ms=now_ms)
            times[own] = settled.times_ms
            keep = np.ones(len(rows), dtype=np.bool_)
            keep[own] = settled.keep
            rows, values, times = rows[keep], values[keep], times[keep]
        return self._with_own(
            lane, (rows, times, values), scraped.gone, (1.0, seconds, float(scraped.lines)), now_ms
        )

    def _batch_failed(
        self, lane: _Lane, why: Reason, seconds: float, now_ms: int, ended: Rows | None = None
    ) -> MetricBatch:
        self._failed += 1
        self.problems.note(lane.name, "scrape", why, now_ms=now_ms)
        gone = lane.layout.fail() if ended is None else np.union1d(lane.layout.fail(), ended)
        nothing = (
            np.zeros(0, dtype=np.int32),
            np.zeros(0, dtype=np.int64),
            np.zeros(0, dtype=np.float64),
        )
        return self._with_own(lane, nothing, gone.astype(np.int32), (0.0, seconds, 0.0), now_ms)

    def _with_own(
        self,
        lane: _Lane,
        samples: tuple[Rows, Ints, np.ndarray[tuple[int], np.dtype[np.float64]]],
        gone: Rows,
        own: tuple[float, float, float],
        now_ms: int,
    ) -> MetricBatch:
        """Add stale markers for what has gone, and the series that the scrape itself makes."""
        if len(lane.own_rows) < len(_OWN):
            lane.own_rows = [
                self._index.intern(
                    Labels.of({**lane.labels, "__name__": name}), source=lane.name, now_ms=now_ms
                )
                for name in _OWN
            ]
        own_rows = np.array(lane.own_rows, dtype=np.int32)
        given = own_rows >= 0
        rows = np.concatenate([samples[0], gone, own_rows[given]]).astype(np.int32)
        marks = np.full(len(gone), STALE_NAN, dtype=np.float64)
        values = np.concatenate([samples[2], marks, np.array(own)[given]])
        times = np.full(len(rows), lane.started_ms, dtype=np.int64)
        times[: len(samples[1])] = samples[1]
        self._index.touch(rows, now_ms)
        return MetricBatch(rows, times, values, now_ms, lane.name)
