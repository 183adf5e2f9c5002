"""Sites that cannot be scraped: their Prometheus is asked for what it has scraped since."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from collectors.base import Counters, Problems
from collectors.prometheus_api import PrometheusApi, Track
from collectors.prometheus_settings import PollSettings
from collectors.rounds import Rounds
from collectors.settings import WatermarkSettings
from collectors.snapshot import seal, unseal
from collectors.up import up_labels
from collectors.watermark import Watermark
from model.batch import Floats, Ints, LogBatch, MetricBatch, Rows
from model.clock import Clock
from model.errors import DeliveryError, LabelError, SnapshotError
from model.labels import Labels, check_writable
from model.reason import because
from model.series import SeriesIndex

OVERLAP_MS = 60_000
"""Asked for again each time: what came late is still newer than its series' last."""
KINDS_EVERY_MS = 3_600_000
_VERSION = 1


@dataclass(frozen=True, slots=True, eq=False)
class _Got:
    """What one round brought: by selector its samples or why there are none; kinds of metrics or None."""

    until_ms: int
    answers: dict[str, list[Track] | DeliveryError]
    kinds: Mapping[str, str] | None


class PrometheusPoll:
    """Asks for the samples since the last time, with their own times, in a thread; hands them over in `poll`.

    A cursor for each selector moves on when its answer was good, and outlasts a restart. Samples that
    were handed over are not handed over again. Its own `up` says whether the Prometheus answers.

    Parameters
    ----------
    settings : PollSettings
    index : SeriesIndex
    clock : Clock
        Only to measure how long answers take.
    watermark : WatermarkSettings
        Which times are believed.
    """

    def __init__(
        self,
        settings: PollSettings,
        index: SeriesIndex,
        clock: Clock,
        watermark: WatermarkSettings | None = None,
    ) -> None:
        bounds = watermark or WatermarkSettings()
        self.settings = settings
        self.api = PrometheusApi(settings, clock)
        self.watermark = Watermark.for_samples(bounds)
        self._behind_max_ms = min(settings.behind_max_ms, bounds.lateness_ms)
        self._index = index
        self.problems = Problems()
        self._asked: Rounds[_Got] = Rounds("prometheus-poll", settings.interval_ms)
        up = up_labels(settings.name, settings.url)
        self._up = Labels.of({**settings.labels, **up})
        self._kinds_due_ms = 0
        self._cursors: dict[str, int] = {}
        self._rows: dict[Labels, int] = {}
        self._last_ms: dict[int, int] = {}
        self._polls = self._failed = self._skipped = self._samples = self._refused = 0
        index.on_evict(self._forget)

    def poll(self, now_ms: int) -> list[MetricBatch | LogBatch]:
        """Hand over what has come, and ask again when it is time."""
        found: list[MetricBatch | LogBatch] = []
        if (got := self._asked.came()) is not None:
            found.append(self._finish(got, now_ms))
        if self._asked.patience.due(now_ms):
            if self._asked.under_way:
                self._asked.patience.begin(now_ms)
                self._skipped += 1
            else:
                self._start(now_ms)
        return found

    def wait(self, timeout_s: float) -> None:
        """Wait until the answers under way have come, for tests."""
        self._asked.wait(timeout_s)

    def counters(self) -> Counters:
        """Running totals."""
        return {
            "tocsin_poll_rounds_total": self._polls,
            "tocsin_poll_failures_total": self._failed,
            "tocsin_poll_skipped_total": self._skipped,
            "tocsin_poll_samples_total": self._samples,
            "tocsin_poll_series_refused_total": self._refused,
            "tocsin_poll_series": len(self._rows),
            **self.watermark.counters(),
        }

    def close(self) -> None:
        """Stop; a request under way is left to its timeout."""
        self.api.close()
        self._asked.close()

    def save(self) -> bytes:
        """Where each selector stands."""
        return seal("prometheus_poll", _VERSION, {"cursors": self._cursors})

    def load(self, data: bytes) -> None:
        """Take over what `save` gave.

        Raises
        ------
        SnapshotError
            If it cannot be read.
        """
        try:
            cursors = unseal("prometheus_poll", _VERSION, data)["cursors"]
            self._cursors = {str(selector): int(at_ms) for selector, at_ms in cursors.items()}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SnapshotError(f"prometheus_poll: does not read: {error!r}") from None

    def _start(self, now_ms: int) -> None:
        until_ms = now_ms - self.settings.delay_ms
        oldest_ms = until_ms - self._behind_max_ms
        first_ms = until_ms - 2 * self.settings.interval_ms
        windows = {
            selector: max(
                oldest_ms, min(self._cursors.get(selector, first_ms), until_ms) - OVERLAP_MS
            )
            for selector in self.settings.selectors
        }
        kinds = now_ms >= self._kinds_due_ms
        self._asked.begin(now_ms, self._ask, windows, until_ms, kinds)

    def _ask(self, windows: Mapping[str, int], until_ms: int, kinds: bool) -> _Got:
        """In the worker's thread: nothing of the collector's state is touched here."""
        answers: dict[str, list[Track] | DeliveryError] = {}
        for selector, from_ms in windows.items():
            try:
                answers[selector] = self.api.raw(selector, from_ms, until_ms)
            except DeliveryError as error:
                answers[selector] = error
            except Exception as error:  # a library's surprise must not silence the site
                answers[selector] = DeliveryError(f"it failed ({type(error).__name__})")
        known: Mapping[str, str] | None = None
        if kinds:
            try:
                known = self.api.kinds()
            except Exception:
                known = None  # not everything that speaks this API has it: names will do
        return _Got(until_ms, answers, known)

    def _finish(self, got: _Got, now_ms: int) -> MetricBatch:
        self._polls += 1
        if got.kinds is not None:
            self._kinds_due_ms = now_ms + KINDS_EVERY_MS
            for metric, kind in got.kinds.items():
                self._index.describe(metric, kind)
        columns: list[tuple[Rows, Ints, Floats]] = []
        well = True
        for selector, answer in got.answers.items():
            if isinstance(answer, DeliveryError):
                well = False
                self._failed += 1
                why = because("{selector} could not be asked for: {error}",
                              selector=selector, error=answer)  # fmt: skip
                self.problems.note(self.api.name, selector, why, now_ms=now_ms)
                continue
            self.problems.mend(self.api.name, selector)
            self._cursors[selector] = got.until_ms
            columns += self._fresh(selector, answer, now_ms)
        return self._batch(columns, well, now_ms)

    def _fresh(
        self, selector: str, tracks: Sequence[Track], now_ms: int
    ) -> list[tuple[Rows, Ints, Floats]]:
        """What was not handed over yet, by series."""
        room = self.settings.series_max
        if len(tracks) > room:
            self._refused += len(tracks) - room
            limit = because("more series than a limit allows; the rest is dropped")
            self.problems.note(self.api.name, f"limit {selector}", limit, now_ms=now_ms)
        else:
            self.problems.mend(self.api.name, f"limit {selector}")
        found = []
        for track in tracks[:room]:
            row = self._row(track.labels, now_ms)
            if row < 0:
                self._refused += 1
                continue
            new = track.times_ms > self._last_ms.get(row, 0)
            if not new.any():
                continue
            times, values = track.times_ms[new], track.values[new]
            # A time ahead of now must not make what comes until then look old (F12).
            self._last_ms[row] = min(int(times[-1]), now_ms)
            found.append((np.full(len(times), row, dtype=np.int32), times, values))
        return found

    def _row(self, labels: Labels, now_ms: int) -> int:
        row = self._rows.get(labels)
        if row is None:
            try:  # theirs and ours together may be too many
                own = Labels.of({**self.settings.labels, **labels})
                check_writable(own)
            except LabelError:
                return -1
            row = self._index.intern(own, source=self.source, now_ms=now_ms)
            if row >= 0:
                self._rows[labels] = row
        return row

    @property
    def source(self) -> str:
        """Its name in batches."""
        return f"{self.settings.name} {self.api.name}"

    def _batch(
        self, columns: list[tuple[Rows, Ints, Floats]], well: bool, now_ms: int
    ) -> MetricBatch:
        own = self._index.intern(self._up, source=self.source, now_ms=now_ms)
        mine = np.array([own] if own >= 0 else [], dtype=np.int32)
        rows = np.concatenate([*(c[0] for c in columns), mine]).astype(np.int32)
        times = np.concatenate([*(c[1] for c in columns), np.full(len(mine), now_ms)])
        values = np.concatenate([*(c[2] for c in columns), np.full(len(mine), float(well))])
        settled = self.watermark.settle(times.astype(np.int64), now_ms=now_ms)
        rows, times, values = (
            rows[settled.keep],
            settled.times_ms[settled.keep],
            values[settled.keep],
        )
        order = np.argsort(times, kind="stable")
        self._samples += len(rows)
        self._index.touch(rows, now_ms)
        return MetricBatch(rows[order], times[order], values[order], now_ms, self.source)

    def _forget(self, rows: Rows) -> None:
        gone = set(rows.tolist())
        self._rows = {labels: row for labels, row in self._rows.items() if row not in gone}
        for row in gone:
            self._last_ms.pop(row, None)
