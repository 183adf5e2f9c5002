"""Learning from history: nobody is told of it, and afterwards the first hour is judged as after weeks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pytest

from detectors.engine import Engine
from detectors.settings import DetectorSettings
from model.alert import Alert
from model.batch import Floats, Ints, MetricBatch
from model.labels import Labels
from model.series import SeriesIndex
from tests.collectors.daily_shop import DAY_MS, START_MS, STEP_MS, service

DAYS = 2
LIVE_MS = START_MS + DAYS * DAY_MS
HOUR_MS = 3_600_000
FINE_MS = HOUR_MS
Past = Mapping[Labels, tuple[Ints, Floats]]


class Site:
    """An engine and the history of some services."""

    def __init__(self, past: Past) -> None:
        self.index = SeriesIndex()
        self.engine = Engine(DetectorSettings(), self.index)
        self.times = next(iter(past.values()))[0]
        self.values = np.column_stack([values for _, values in past.values()])
        self.rows = np.array([self._row(labels) for labels in past], dtype=np.int32)

    def _row(self, labels: Labels) -> int:
        if labels["__name__"].endswith("_total"):
            self.index.describe(labels["__name__"], "counter")
        return self.index.intern(labels.with_(service="shop"), source="t", now_ms=LIVE_MS)

    def batch(self, at: int) -> MetricBatch:
        now_ms = int(self.times[at])
        return MetricBatch.of(self.rows, now_ms, self.values[at], arrival_ms=now_ms, source="t")

    def learn(self) -> None:
        """All before LIVE_MS: every ten minutes, then each sample."""
        ends = int(np.searchsorted(self.times, LIVE_MS))
        seam = ends - FINE_MS // STEP_MS
        for at in range(0, seam, 40):
            self.engine.learn(self.batch(at), now_ms=LIVE_MS, coarse=True)
        self.engine.renew(self.rows)
        for at in range(seam, ends):
            self.engine.learn(self.batch(at), now_ms=LIVE_MS)
        self.engine.learnt()

    def live(self, minutes: int) -> list[Alert]:
        """What is told from LIVE_MS on."""
        told: list[Alert] = []
        begin = int(np.searchsorted(self.times, LIVE_MS))
        for at in range(begin, begin + minutes * 60_000 // STEP_MS):
            now_ms = int(self.times[at])
            told += self.engine.take(self.batch(at), now_ms=now_ms)
            told += self.engine.step(now_ms)
        return told


def of(slow: tuple[tuple[int, int, float], ...] = (), seed: int = 3) -> Site:
    return Site(service("shop", seed=seed, days=DAYS + 0.05, slow=slow))


def told(alerts: list[Alert]) -> Iterator[tuple[str, int]]:
    for alert in alerts:
        if alert.firing and alert.severity.name != "INFO":
            yield alert.labels["alertname"], alert.starts_ms - LIVE_MS


def test_a_fault_two_minutes_after_the_start_is_told_with_the_right_band() -> None:
    begin = DAYS * DAY_MS + 120_000
    site = of(((begin, begin + HOUR_MS, 5.0),))
    site.learn()
    alerts = site.live(10)
    name, since_ms = next(told(alerts))
    assert (name, 120_000 <= since_ms <= 180_000) == ("LatencyHigh", True)
    evidence = alerts[0].evidence
    assert evidence is not None and evidence.high is not None and evidence.value is not None
    assert 0.1 < evidence.high < evidence.value
    # A cold start has nothing to compare it with.
    assert not list(told(of(((begin, begin + HOUR_MS, 5.0),)).live(10)))


def test_a_fault_that_goes_on_as_we_start_is_told(past_fault_ms: int = 40 * 60_000) -> None:
    begin = DAYS * DAY_MS - past_fault_ms
    site = of(((begin, begin + 3 * HOUR_MS, 5.0),))
    site.learn()
    assert next(told(site.live(5)))[0] == "LatencyHigh"


@pytest.mark.parametrize("seed", range(2))
def test_the_first_hour_is_quiet(seed: int) -> None:
    site = of(seed=seed)
    site.learn()
    assert site.live(60) == []


def test_past_faults_are_not_learnt_and_nobody_is_told_of_them() -> None:
    faults = tuple(
        (d * DAY_MS + 9 * HOUR_MS, d * DAY_MS + 11 * HOUR_MS, 8.0) for d in range(1, DAYS)
    )
    site, clean = of(faults), of()
    for each in (site, clean):
        each.learn()
        assert each.engine.step(LIVE_MS) == []
        assert each.engine.counters()["tocsin_detector_alerts_firing"] == 0
    signal = Labels.of({"__name__": "latency_p95_seconds", "job": "shop", "instance": "shop:80", "service": "shop"})  # fmt: skip
    for each in (site, clean):
        each.live(1)
    band, right = site.engine.band(signal), clean.engine.band(signal)
    assert band is not None and right is not None and band.high and right.high
    assert band.high < 1.3 * right.high


def test_what_was_learnt_survives_and_is_not_learnt_twice() -> None:
    site = of()
    site.learn()
    before = site.engine.save()
    samples = site.engine.counters()["tocsin_detector_samples_dropped_total"]
    site.engine.learn(site.batch(5), now_ms=LIVE_MS)  # long known
    after = site.engine.counters()["tocsin_detector_samples_dropped_total"]
    assert after - samples == len(site.rows)
    again = Engine(DetectorSettings(), site.index)
    again.load(before)
    assert not again.cold(site.rows).all()


def test_rows_of_the_past_are_not_evicted_as_old() -> None:
    site = of()
    site.engine.learn(site.batch(0), now_ms=LIVE_MS)
    assert len(site.index.evict_stale(LIVE_MS - 1)) == 0
