"""What runs out, and when: disks, quotas, queues and the like, told before it happens."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from detectors.alerting import Entry, Lasting
from detectors.forecast_words import Subject, capacity_of, forecast_alert, sparks, subject
from detectors.judge import Judge
from detectors.levels import WIDTHS_MS, Levels
from detectors.outlook import FIELDS, LEVEL_SPANS, SPANS, Outlook, believe, look
from detectors.resources import BACKLOG_LEAST
from detectors.roles import Kind
from detectors.rows import Array
from detectors.settings import ForecastSettings
from detectors.tracks import Tracks
from detectors.watcher import Settled, Watcher
from model.alert import Alert, Severity
from model.batch import Floats, Ints
from model.capacity import Capacity, soonest_first
from model.reason import because

_WARN, _SOON = "forecast", "forecastsoon"
_AT_ONCE = 512  # tracks looked at, or reported, in one step
_REPORT_MS = 60_000
_TELL_AGAIN_MS = 600_000  # a forecast of days is not told anew every ten seconds
_SILENT_MS = 1_800_000
_FULL = 0.98  # there it is told of while it stays, trend or no trend
_YOUNG_MS = 26 * 3_600_000  # before a day is known, a nightly dump may look like the end
_YOUNG_LEAST = 0.75
_STAY = 1.5  # a forecast must move so far out again to be over


class Forecast(Watcher):
    """Remembers the levels of what can run out, draws trends through them, and tells in time."""

    name = "forecast"
    methods = frozenset({_WARN, _SOON})

    def __init__(self, judge: Judge, settings: ForecastSettings) -> None:
        self._judge = judge
        self._settings = settings
        self._tracks = Tracks(settings.series_max)
        self._levels = Levels()
        self._found: dict[str, Floats] = {name: _nothing(0) for name in FIELDS}
        self._due = np.zeros((3, 0), dtype=np.bool_)
        self._reported_ms = 0
        self._reporting: list[int] = []
        self._lines: dict[int, Capacity] = {}
        self._capacity: tuple[Capacity, ...] = ()

    def settled(self, seen: Settled, now_ms: int) -> None:
        """Keep the latest value of each part; what it makes is taken in `step`, or before the next one."""
        if seen.method == "lograte":
            return
        tracks, parts = self._tracks.of(seen.rows)
        unmet = np.flatnonzero(tracks == -2)
        if len(unmet):
            self._meet(seen.rows[unmet])
            tracks, parts = self._tracks.of(seen.rows)
            self._ensure()
        known = np.flatnonzero(tracks >= 0)
        if len(known) == 0:
            return
        tracks, parts = tracks[known], parts[known]
        times_ms, values = seen.times_ms[known], seen.values[known]
        limits = parts == 2
        told = tracks[~limits]
        self._take(told[self._tracks.dirty[told]])  # a sample that was not taken yet
        self._tracks.value[told], self._tracks.time_ms[told] = values[~limits], times_ms[~limits]
        self._tracks.dirty[told] = True
        self._tracks.limit[tracks[limits]] = values[limits]

    def _meet(self, rows: Array) -> None:
        """Counters are no levels; of derived series the ratios are wanted."""
        index, gauges = self._judge.index, self._judge.meta["kind"][rows] == Kind.GAUGE
        for row, gauge in zip(rows.tolist(), gauges.tolist(), strict=True):
            wanted = index.in_use(row) and (gauge or index.source(row) == "derived")
            self._tracks.meet(row, index.labels(row) if wanted else None)
        self._judge.want(self.name, rows[self._tracks.of(rows)[0] >= 0])

    def _ensure(self) -> None:
        size, old = self._tracks.size, self._due.shape[1]
        self._levels.ensure(size)
        if size > old:
            size = max(8, size, old * 3 // 2)
            for name in FIELDS:
                grown = _nothing(size)
                grown[:old] = self._found[name]
                self._found[name] = grown
            due = np.zeros((3, size), dtype=np.bool_)
            due[:, :old] = self._due
            self._due = due

    def _take(self, tracks: Ints) -> None:
        tracks, times_ms, values = self._tracks.flush(tracks)
        if len(tracks):
            for level, closed in enumerate(self._levels.add(tracks, times_ms, values)):
                self._due[level, closed] = True

    def step(self, now_ms: int) -> None:
        """Take what came, look at what closed a minute, tell, and keep the report fresh."""
        self._take(np.flatnonzero(self._tracks.dirty))
        judged: list[Ints] = []
        for level in range(3):
            due = np.flatnonzero(self._due[level])[:_AT_ONCE]
            if len(due) == 0:
                continue
            self._due[level, due] = False
            full = self._tracks.full(due)
            for number in LEVEL_SPANS[level]:
                for name, values in look(self._levels, due, full, number).items():
                    self._found[name][due, number] = values
            judged.append(due)
        if judged:
            tracks = np.unique(np.concatenate(judged))
            hot = ~np.isnan(self._found["middle"][tracks]).all(axis=1)
            hot |= self._judge.alerting.marked(_WARN, tracks)
            hot |= self._judge.alerting.marked(_SOON, tracks)
            # While its past is being learnt, a track's latest is no basis for what comes.
            hot &= now_ms - self._tracks.last_ms[tracks] <= _SILENT_MS
            for about in self._subjects(tracks[hot]):
                self._judge_track(about, now_ms)
        self._report(now_ms)

    def _subjects(self, numbers: Ints) -> list[Subject]:
        tracks = self._tracks
        columns = (
            numbers, tracks.resource[numbers], tracks.last[numbers], tracks.full(numbers),
            tracks.last_ms[numbers],
        )  # fmt: skip
        return [
            subject(track, resource, tracks.series(track), used, full, seen_ms)
            for track, resource, used, full, seen_ms in zip(
                *(column.tolist() for column in columns), strict=True
            )
        ]

    def _believed(self, about: Subject) -> Outlook | None:
        least = about.resource.window_ms_least
        return believe(self._found, about.track, about.used, least_ms=least)

    def _judge_track(self, about: Subject, now_ms: int) -> None:
        track = about.track
        outlook = self._believed(about)
        age_ms = int(self._levels.age_ms(np.array([track]))[0])
        if age_ms < about.resource.young_ms or about.used != about.used:
            return
        enough = age_ms >= _YOUNG_MS or about.used >= _YOUNG_LEAST * about.full
        soon = self._settings.critical_ahead_ms
        near = enough and _within(about, outlook, soon, firing=self._firing(_SOON, track))
        self._tell(_SOON, about, outlook, near, now_ms)
        pending = self._judge.alerting.entry((_SOON, track))
        if pending is not None:
            if pending.firing and self._firing(_WARN, track):
                why = because("it comes sooner: told as critical now")
                key = (_WARN, track)
                self._judge.alerting.resolve(key, about.seen_ms, now_ms=now_ms, why=why)
            return
        warn = self._settings.warn_ahead_ms
        near = enough and _within(about, outlook, warn, firing=self._firing(_WARN, track))
        self._tell(_WARN, about, outlook, near or _backlog(about, outlook), now_ms)

    def _firing(self, method: str, track: int) -> bool:
        entry = self._judge.alerting.entry((method, track))
        return entry is not None and entry.firing

    def _tell(
        self, method: str, about: Subject, outlook: Outlook | None, near: bool, now_ms: int
    ) -> None:
        key, alerting = (method, about.track), self._judge.alerting
        entry = alerting.entry(key)
        stays = about.used >= _FULL * about.full  # it happened as it was told
        severity = Severity.CRITICAL if method == _SOON else Severity.WARNING
        span_ms = outlook.span.ms if outlook is not None else 0
        if near and entry is not None and entry.firing:
            entry.seen_ms, entry.clear_ms, entry.clear_hits = about.seen_ms, 0, 0
            if stays or outlook is None or now_ms - entry.told_ms < _TELL_AGAIN_MS:
                return
        keep = max(span_ms // 12, 10 * WIDTHS_MS[0])
        lasting = Lasting(_patience_ms(about, outlook), 3, keep)

        def describe(entry: Entry) -> Alert:
            if outlook is None:
                assert entry.alert is not None
                return entry.alert
            return forecast_alert(about, outlook, self._levels, severity, entry.since_ms)

        if near and outlook is not None:
            alerting.abnormal(
                key, about.seen_ms, now_ms=now_ms, lasting=lasting, peak=0.0, describe=describe
            )
        elif not near:
            alerting.normal(key, about.seen_ms, now_ms=now_ms, lasting=lasting, describe=describe)

    def housekeep(self, key: tuple[str, int], entry: Entry, now_ms: int) -> None:
        """What stopped reporting is told of no longer."""
        last_ms = int(self._tracks.last_ms[key[1]]) if key[1] < self._tracks.size else 0
        if now_ms - max(last_ms, entry.seen_ms) > _SILENT_MS:
            why = because("its series no longer reports")
            self._judge.alerting.resolve(key, entry.seen_ms, now_ms=now_ms, why=why)

    def forget(self, rows: Array) -> None:
        """These rows go to other series."""
        ended = self._tracks.forget(rows.astype(np.int64))
        for track in ended:
            for method in (_WARN, _SOON):
                entry = self._judge.alerting.entry((method, track))
                if entry is not None:
                    at_ms = entry.seen_ms
                    self._judge.alerting.resolve((method, track), at_ms, now_ms=at_ms)
            self._lines.pop(track, None)
        if ended:
            self._capacity = soonest_first(tuple(self._lines.values()))
            gone = np.array(ended)
            self._levels.forget(gone)
            self._due[:, gone] = False
            for name in FIELDS:
                self._found[name][gone] = np.nan

    def _report(self, now_ms: int) -> None:
        """Write the report anew, some lines a step; it is given as a whole when it is ready."""
        if not self._reporting:
            if 0 <= now_ms - self._reported_ms < _REPORT_MS or len(self._tracks) == 0:
                return
            self._reported_ms = now_ms
            self._reporting = self._tracks.numbers()
        now, self._reporting = self._reporting[:_AT_ONCE], self._reporting[_AT_ONCE:]
        known = np.array([track for track in now if not math.isnan(self._tracks.last[track])], int)
        trends = (~np.isnan(self._found["middle"][known])).any(axis=1)
        lines = zip(
            self._subjects(known), trends.tolist(), sparks(known, self._levels),
            self._slopes(known), strict=True,
        )  # fmt: skip
        for about, trend, spark, slope in lines:
            outlook = self._believed(about) if trend else None
            self._lines[about.track] = capacity_of(about, outlook, spark, slope)
        if not self._reporting:
            self._capacity = soonest_first(tuple(self._lines.values()))

    def _slopes(self, tracks: Ints) -> list[float | None]:
        """Growth by millisecond over the longest window that is known, of six hours at least."""
        slopes = self._found["slope"][tracks, LEVEL_SPANS[1][0] :][:, ::-1]
        longest = (~np.isnan(slopes)).argmax(axis=1)
        found = slopes[np.arange(len(tracks)), longest].tolist()
        return [slope if slope == slope else None for slope in found]

    def capacity(self) -> tuple[Capacity, ...]:
        """The report, at most a minute old: a value, which other threads may read."""
        return self._capacity

    def counters(self) -> dict[str, float]:
        """What `metrics.METRICS` names."""
        return {
            "tocsin_detector_forecast_resources": len(self._tracks),
            "tocsin_detector_forecast_refused_total": self._tracks.refused,
        }

    @property
    def nbytes(self) -> int:
        """Bytes held in arrays."""
        found = sum(array.nbytes for array in self._found.values())
        return self._levels.nbytes + self._tracks.nbytes + found + self._due.nbytes

    def save(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Arrays by name, and the rest as plain JSON values."""
        size = self._tracks.size
        arrays, known = self._tracks.save()
        held = {f"track.{name}": array for name, array in arrays.items()}
        held |= {f"level.{name}": array for name, array in self._levels.save(size).items()}
        held |= {f"found.{name}": self._found[name][:size] for name in FIELDS}
        held["due"] = self._due[:, :size]
        return held, {"tracks": known, "refused": self._tracks.refused}

    def load(self, arrays: dict[str, Array], state: dict[str, Any]) -> None:
        """Take over what `save` gave."""
        self.__init__(self._judge, self._settings)  # type: ignore[misc]
        if not state:
            return
        self._tracks.load(_begins(arrays, "track."), state["tracks"])
        self._tracks.refused = state["refused"]
        self._levels.load(_begins(arrays, "level."))
        self._ensure()
        size = self._tracks.size
        for name in FIELDS:
            self._found[name][:size] = arrays[f"found.{name}"]
        self._due[:, :size] = arrays["due"]


def _nothing(size: int) -> Floats:
    return np.full((size, len(SPANS)), np.nan)


def _begins(arrays: dict[str, Array], prefix: str) -> dict[str, Array]:
    return {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}


def _within(about: Subject, outlook: Outlook | None, ahead_ms: int, *, firing: bool) -> bool:
    """Whether it is full within `ahead_ms`, and used enough to say so; what was told stays while it is full."""
    if about.used >= _FULL * about.full and (firing or about.used >= about.full):
        return firing
    if outlook is None or math.isinf(about.full):
        return False
    stay = _STAY if firing else 1.0
    middle, early = outlook.middle_ms - about.seen_ms, outlook.early_ms - about.seen_ms
    enough = about.used >= (about.resource.least - (0.05 if firing else 0.0)) * about.full
    return enough and middle < stay * ahead_ms and early < 0.75 * stay * ahead_ms


def _patience_ms(about: Subject, outlook: Outlook | None) -> int:
    """How long a forecast must stand: the longer it looked back the longer, but in time to be of use."""
    if outlook is None:
        return 0
    ahead_ms = outlook.middle_ms - about.seen_ms
    patience = min(outlook.span.ms / 12, 2.0 * WIDTHS_MS[2], max(ahead_ms, 0.0) / 6)
    return round(max(patience, 2.0 * WIDTHS_MS[0]))


def _backlog(about: Subject, outlook: Outlook | None) -> bool:
    """Whether a queue without a limit has at least doubled, steadily, to a length that counts."""
    if outlook is None or not math.isinf(about.full) or about.used < BACKLOG_LEAST:
        return False
    before = outlook.line - outlook.slope_ms * outlook.span.ms
    return outlook.line >= 2.0 * max(before, 0.0)
