"""Forecasts: the arithmetic against the obvious loop, and what is told when."""

from __future__ import annotations

import json
import math
from statistics import median as plain_median
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.engine import Engine
from detectors.forecast import Forecast
from detectors.forecast_words import lapse
from detectors.judge import Judge
from detectors.levels import SIZES, WIDTHS_MS, Levels
from detectors.outlook import SPANS, is_usual
from detectors.roles import Kind
from detectors.settings import DetectorSettings, ForecastSettings
from detectors.trend import crossing, fit, median, thin
from detectors.watcher import Settled
from model import codec
from model.alert import Alert
from model.batch import Floats, MetricBatch
from model.capacity import Capacity
from model.labels import Labels
from model.series import SeriesIndex

BEGIN_MS = 1_699_920_000_000
MINUTE_MS = 60_000

POINTS = st.lists(
    st.one_of(st.just(math.nan), st.floats(-10, 10, width=32)), min_size=12, max_size=24
)


@settings(deadline=None, max_examples=50)
@given(POINTS)
def test_the_slope_is_the_median_of_all_pairs(points: list[float]) -> None:
    slopes = [
        (b - a) / (j - i)
        for i, a in enumerate(points)
        for j, b in enumerate(points)
        if i < j and not math.isnan(a) and not math.isnan(b)
    ]
    found = float(fit(np.array([points]), np.array([points])).slope[0])
    assert found == pytest.approx(plain_median(slopes), abs=1e-9) if slopes else math.isnan(found)


@settings(deadline=None, max_examples=50)
@given(st.lists(POINTS, min_size=1, max_size=4))
def test_medians_pass_over_what_is_missing(rows: list[list[float]]) -> None:
    width = min(len(row) for row in rows)
    found = median(np.array([row[:width] for row in rows]))
    for row, value in zip(rows, found.tolist(), strict=True):
        known = [x for x in row[:width] if not math.isnan(x)]
        assert value == pytest.approx(plain_median(known)) if known else math.isnan(value)


@settings(deadline=None, max_examples=25)
@given(
    st.lists(st.tuples(st.integers(1, 2000), st.floats(0, 1, width=32)), min_size=2, max_size=200)
)
def test_levels_equal_the_obvious_loop(samples: list[tuple[int, float]]) -> None:
    levels, seen_s = Levels(), 0
    levels.ensure(1)
    minutes: dict[int, list[float]] = {}
    for gap_s, value in samples:
        seen_s += gap_s
        levels.add(np.array([0]), np.array([seen_s * 1000]), np.array([value]))
        minutes.setdefault(seen_s // 60, []).append(value)
    open_minute = seen_s // 60
    known = {m: sum(v) / len(v) for m, v in minutes.items() if m < open_minute}
    for level, of in enumerate((1, 10, 60)):
        if level == 1:
            parts = {b: [known[m] for m in sorted(known) if m // 10 == b] for b in {m // 10 for m in known}}  # fmt: skip
            known10 = {b: plain_median(v) for b, v in parts.items() if b < open_minute // 10}
            wanted = known10
        elif level == 2:
            parts = {b: [known10[m] for m in sorted(known10) if m // 6 == b] for b in {m // 6 for m in known10}}  # fmt: skip
            wanted = {b: plain_median(v) for b, v in parts.items() if b < open_minute // 60}
        else:
            wanted = known
        if not wanted:
            continue
        last = max(wanted)
        assert int(levels.end_ms(level, np.array([0]))[0]) == (last + 1) * WIDTHS_MS[level]
        means, _ = levels.window(level, np.array([0]), SIZES[level])
        for at, value in enumerate(means[0].tolist()):
            bucket = last - SIZES[level] + 1 + at
            if bucket in wanted:
                assert value == pytest.approx(wanted[bucket], rel=1e-5, abs=1e-6), (level, of)
            else:
                assert math.isnan(value)


def test_an_interval_widens_with_wandering_and_with_distance() -> None:
    rng = np.random.default_rng(3)
    line = np.linspace(0.0, 0.29, 30)
    wander = rng.normal(0, 0.02, 30).cumsum().astype(np.float64)
    steady: Floats = line[None].astype(np.float64)
    walk: Floats = (steady + wander).astype(np.float64)
    widths = []
    for points in (steady, walk):
        early, middle, late = (x[0] for x in crossing(np.array([0.5]), fit(points, points), 1.5))
        assert early <= middle <= late
        widths.append(late / early)
    assert widths[0] == pytest.approx(1.0, abs=1e-6) and widths[1] > 1.3
    near, far = (crossing(np.array([room]), fit(steady, steady), 1.5, 0.2) for room in (0.1, 1.0))
    assert far[2][0] / far[0][0] > near[2][0] / near[0][0] > 1.0


def test_thinning_keeps_peaks_apart_from_medians() -> None:
    values = np.array([[1.0, 5.0, 1.0, np.nan, 2.0, np.nan]])
    assert thin(values, 3)[0].tolist() == [1.0, 2.0]
    assert thin(values, 3, peaks=True)[0].tolist() == [5.0, 2.0]


SAW = np.tile(np.arange(12) / 12, 5)
USUAL = [
    # within the tooth: usual
    (SAW, 0.5, 0.8, 2, True),
    # past all teeth: not
    (SAW, 0.5, 1.3, 2, False),
    # a rise twice as fast as any before: not
    (SAW, 1.2, 0.8, 2, False),
    # one tooth alone says nothing where two are asked for
    (SAW[:30], 0.5, 0.8, 3, False),
    # steady growth never fell back
    (np.arange(60) / 60, 0.1, 0.9, 1, False),
    # nothing is known
    (np.full(60, np.nan), 0.1, 0.9, 1, False),
]


@pytest.mark.parametrize(("past", "grown", "level", "teeth", "usual"), USUAL)
def test_what_was_seen_before_is_usual(
    past: np.ndarray, grown: float, level: float, teeth: int, usual: bool
) -> None:
    assert is_usual(past, 6, grown, level, teeth=teeth) is usual


class Bare:
    """Forecasts alone, shown what the judge would show them: weeks in a second."""

    def __init__(self, settings: DetectorSettings, index: SeriesIndex) -> None:
        self._judge = Judge(settings, index, ())
        self._forecast = Forecast(self._judge, settings.forecast)
        self.capacity, self.counters = self._forecast.capacity, self._forecast.counters

    def take(self, batch: MetricBatch, *, now_ms: int) -> list[Alert]:
        self._judge.ensure()
        self._judge.meta["kind"][batch.rows] = Kind.GAUGE
        none, never = np.zeros(len(batch)), np.zeros(len(batch), dtype=np.bool_)
        roles = np.zeros(len(batch), dtype=np.int8)
        seen = Settled("levelshift", batch.rows, batch.times_ms, batch.values, roles, none, none, never, never)  # fmt: skip
        self._forecast.settled(seen, now_ms)
        return []

    def step(self, now_ms: int) -> list[Alert]:
        self._forecast.step(now_ms)
        for key, entry in self._judge.alerting.entries():
            self._forecast.housekeep(key, entry, now_ms)
        return self._judge.alerting.drain()


class Disk:
    """One volume (or whatever else) scraped once a minute."""

    def __init__(self, names: tuple[str, str] = ("kubelet_volume_stats_capacity_bytes", "kubelet_volume_stats_available_bytes"), forecast: ForecastSettings | None = None, whole: bool = False) -> None:  # fmt: skip
        self.index = SeriesIndex()
        self.settings = DetectorSettings(
            level_alerts=False, forecast=forecast or ForecastSettings()
        )
        self.engine: Any = (Engine if whole else Bare)(self.settings, self.index)
        self.rows = [
            self.index.intern(
                Labels.of({"__name__": n, "job": "k", "persistentvolumeclaim": "data"}),
                now_ms=BEGIN_MS,
            )
            for n in names
        ]
        self.minute = 0

    def play(self, used: np.ndarray, *, cut: bool = False) -> list[Alert]:
        told = []
        for share in used.tolist():
            now_ms = BEGIN_MS + self.minute * MINUTE_MS
            self.minute += 1
            values = [1e9, 1e9 * (1 - share)]
            if not math.isnan(share):
                pieces = [([r], [v]) for r, v in zip(self.rows, values, strict=True)]
                for rows, some in pieces if cut else [(self.rows, values)]:
                    batch = MetricBatch.of(rows, [now_ms] * len(rows), some, arrival_ms=now_ms)
                    told += self.engine.take(batch, now_ms=now_ms)
            told += self.engine.step(now_ms)
        return [a for a in told if a.evidence is not None and a.evidence.method == "forecast"]

    def restart(self) -> None:
        index = SeriesIndex()
        index.load(self.index.save())
        engine = Engine(self.settings, index)
        engine.load(self.engine.save())
        self.index, self.engine = index, engine


def filling(hours: float, minutes: int, start: float = 0.5) -> np.ndarray:
    """Full after `hours`."""
    return np.minimum(start + (1 - start) * np.arange(minutes) / (60 * hours), 1.0)


def noisy(values: np.ndarray, seed: int = 0) -> np.ndarray:
    return np.clip(values + np.random.default_rng(seed).normal(0, 0.001, len(values)), 0, 1)


def test_full_in_two_hours_is_told_within_the_first() -> None:
    disk = Disk()
    quiet = disk.play(noisy(np.full(1620, 0.5)))
    told = disk.play(noisy(filling(2.0, 115)))
    assert quiet == []
    first = told[0]
    assert first.labels["severity"] == "critical" and first.name == "VolumeWillFill"
    assert first.arrival_ms - (BEGIN_MS + 1620 * MINUTE_MS) <= 60 * MINUTE_MS
    assert {a.key for a in told} == {first.key}, "one alert, told again and again"
    assert len(told) <= 10, "no more often than every ten minutes"
    assert first.summary is not None and "volume data is full in about" in first.summary.text()


def test_a_young_disk_is_told_later_yet_in_time() -> None:
    disk = Disk()
    told = disk.play(np.concatenate([noisy(np.full(60, 0.5)), noisy(filling(2.0, 115))]))
    first_min = (told[0].arrival_ms - BEGIN_MS) // MINUTE_MS
    assert 115 <= first_min <= 130, "not before three quarters are used, and 45 minutes ahead"


def test_full_in_days_is_a_warning_and_ends_when_growth_does() -> None:
    disk = Disk()
    told = disk.play(noisy(filling(120, 60 * 60)))
    first = told[0]
    assert first.labels["severity"] == "warning"
    assert {a.labels["severity"] for a in told} == {"warning"}
    ahead_h = 120 - (first.arrival_ms - BEGIN_MS) / 3_600_000
    assert 48 < ahead_h <= 96
    assert all(a.firing for a in told)
    after = disk.play(noisy(np.full(48 * 60, 0.75)))
    assert [a.firing for a in after if not a.firing] == [False], "over once, and it stays over"


def test_a_warning_gives_way_to_a_critical_one() -> None:
    disk = Disk()
    told = disk.play(noisy(filling(60, 59 * 60)))
    first = [a.labels["severity"] for a in told if a.firing]
    assert first[0] == "warning" and first[-1] == "critical"
    ended = [a for a in told if not a.firing]
    assert [a.labels["severity"] for a in ended] == ["warning"]
    assert ended[0].summary is not None and "critical now" in ended[0].summary.text()


def test_evidence_is_the_past_and_then_a_fan() -> None:
    disk = Disk()
    alert = disk.play(noisy(filling(60, 40 * 60)))[0]
    found = alert.evidence
    assert found is not None and found.component == "trend"
    assert len(found.times_ms) == len(found.values) == len(found.lows) == len(found.highs)
    assert list(found.times_ms) == sorted(set(found.times_ms))
    coming = [at for at, low in enumerate(found.lows) if low is not None]
    assert coming == list(range(coming[0], len(found.lows))), "the fan is behind the past"
    assert all(found.values[at] is None for at in coming[1:])
    assert all(v is not None for v in found.values[: coming[1]]), "it opens at the last sample"
    assert all((found.lows[at] or 0) <= (found.highs[at] or 0) <= 1.0 for at in coming)
    assert found.highs[-1] == pytest.approx(1.0)


minutes_of = np.arange(3 * 1440)
NOTHING = {
    "constant": np.full(3 * 1440, 0.9),
    "noise": noisy(np.full(3 * 1440, 0.85), 4),
    "one copy": np.where(minutes_of < 2000, 0.5, 0.62),
    "falls": np.linspace(0.95, 0.4, 3 * 1440),
    "slow": np.linspace(0.5, 0.52, 3 * 1440),
    "gaps": np.where(minutes_of % 500 < 250, np.nan, 0.8),
    "jumps between two": np.where(minutes_of % 97 < 40, 0.6, 0.9),
    "little used": np.linspace(0.02, 0.40, 3 * 1440),
}


@pytest.mark.parametrize("name", sorted(NOTHING))
def test_nothing_is_told_of(name: str) -> None:
    assert Disk().play(NOTHING[name]) == []


def test_a_disk_that_a_demo_writes_to_is_not_told_of() -> None:
    """Some gigabytes in an hour on a half-full disk, in bursts, from the first minute on."""
    used = 0.55 + 0.03 * np.clip(np.arange(180) / 60, 0, 1) + 0.01 * (np.arange(180) > 100)
    assert Disk().play(noisy(used, 7)) == []


@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("at", [1, 75, 100])
def test_a_restart_and_the_cut_of_batches_change_nothing(at: int, cut: bool) -> None:
    past = np.concatenate([noisy(np.full(60, 0.7)), noisy(filling(1.0, 50, 0.7))])
    whole, parts = Disk(whole=True), Disk(whole=True)
    told = whole.play(past)
    found = parts.play(past[:at], cut=cut)
    parts.restart()
    found += parts.play(past[at:], cut=cut)
    assert [codec.encode(a) for a in found] == [codec.encode(a) for a in told] != []
    assert parts.engine.save() == whole.engine.save()


def test_a_queue_without_a_limit_is_told_when_it_doubles_steadily() -> None:
    rng = np.random.default_rng(2)
    index = SeriesIndex()
    engine = Bare(DetectorSettings(), index)
    name = Labels.of({"__name__": "kafka_consumergroup_lag", "job": "kafka", "topic": "orders", "consumergroup": "billing"})  # fmt: skip
    row = index.intern(name, now_ms=BEGIN_MS)
    drained = rng.poisson(80, 300)
    backlog = drained[-1] + 40.0 * np.arange(90) + rng.normal(0, 10, 90)
    told: list[tuple[int, Alert]] = []
    for minute, value in enumerate(np.concatenate([drained, backlog]).tolist()):
        now_ms = BEGIN_MS + minute * MINUTE_MS
        batch = MetricBatch.of([row], [now_ms], [value], arrival_ms=now_ms)
        told += [(minute, a) for a in (*engine.take(batch, now_ms=now_ms), *engine.step(now_ms))]
    names = {(a.name, a.labels["severity"]) for _, a in told}
    assert names == {("QueueGrowing", "warning")}
    first = told[0][0]
    assert 315 <= first <= 350
    summary = told[0][1].summary
    assert summary is not None and "grows faster than it is drained" in summary.text()


def test_limits_are_kept_and_counted() -> None:
    disk = Disk(forecast=ForecastSettings(series_max=1), whole=True)
    extra = disk.index.intern(Labels.of({"__name__": "process_open_fds", "job": "a"}))
    disk.play(np.full(3, 0.5))
    now_ms = BEGIN_MS + 10 * MINUTE_MS
    disk.engine.take(MetricBatch.of([extra], [now_ms], [5.0], arrival_ms=now_ms), now_ms=now_ms)
    counted = disk.engine.counters()
    assert counted["tocsin_detector_forecast_resources"] == 1
    assert counted["tocsin_detector_forecast_refused_total"] == 1


def test_what_is_evicted_is_over_and_leaves_nothing() -> None:
    disk = Disk(whole=True)
    told = disk.play(noisy(filling(1.0, 55, 0.7)))
    assert told[-1].firing
    now_ms = BEGIN_MS + disk.minute * MINUTE_MS
    disk.index.evict_stale(now_ms + 1)
    assert [a.firing for a in disk.engine.step(now_ms)] == [False]
    assert disk.engine.counters()["tocsin_detector_forecast_resources"] == 0
    disk.engine.step(now_ms + 120_000)
    assert disk.engine.capacity() == ()


def test_the_report_knows_use_growth_and_when() -> None:
    disk = Disk()
    disk.play(noisy(filling(24 * 14, 5 * 1440)))
    (one,) = disk.engine.capacity()
    assert isinstance(one, Capacity) and one.resource == "volume" and one.place == "data"
    assert one.used == pytest.approx(0.5 + 0.5 * 5 / 14, abs=0.01)
    assert one.growth_week == pytest.approx(0.25, rel=0.1)
    assert one.full_ms is not None and one.early_ms is not None and one.late_ms is not None
    assert one.early_ms < one.full_ms < one.late_ms
    assert one.full_ms == pytest.approx(BEGIN_MS + 14 * 86_400_000, abs=86_400_000)
    assert 20 <= len(one.spark) <= 56


def test_an_older_snapshot_without_forecasts_loads() -> None:
    disk = Disk(whole=True)
    disk.play(noisy(filling(60, 20)))
    watcher = next(w for w in disk.engine._watchers if w.name == "forecast")
    watcher.load({}, {})
    assert watcher.counters()["tocsin_detector_forecast_resources"] == 0
    assert json.loads(json.dumps(watcher.save()[1])) == {"tracks": [], "refused": 0}


def test_spans_reach_no_further_than_they_looked() -> None:
    assert all(span.reach <= 6 for span in SPANS)
    assert [lapse(span.ms) for span in SPANS[:5]] == ["15 min", "30 min", "60 min", "2 h", "6 h"]
    assert all(span.count % span.by == 0 for span in SPANS)
    assert all(not s.rhythm or (s.count // s.by) % s.rhythm == 0 for s in SPANS)
