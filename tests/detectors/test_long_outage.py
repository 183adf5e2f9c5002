"""What is wrong for days stays told: an outage never becomes normal because it lasted, nor by a restart."""

from __future__ import annotations

import math

import numpy as np
import pytest

from detectors.engine import Engine
from detectors.settings import DetectorSettings
from model.alert import Alert
from model.batch import MetricBatch
from model.labels import Labels
from model.series import SeriesIndex

START_MS = 1_800_000_000_000
STEP_MS = 180_000
DAY = 480
BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, math.inf)
NAMES = (
    {"__name__": "process_cpu_seconds_total"},
    {"__name__": "http_requests_total", "code": "200"},
    {"__name__": "http_requests_total", "code": "500"},
)


class World:
    """One service with a daily rhythm, and what is wrong with it since when."""

    def __init__(self, kind: str, begin: int) -> None:
        self.kind, self.begin, self.at = kind, begin, 0
        self.index = SeriesIndex()
        self.engine = Engine(DetectorSettings(), self.index)
        base = {"job": "shop", "service": "payment", "instance": "payment:80"}
        name = "http_request_duration_seconds_bucket"
        named = [*NAMES, *({"__name__": name, "le": _le(bound)} for bound in BOUNDS)]
        self.rows = [self.index.intern(Labels.of({**base, **pairs})) for pairs in named]
        self.totals = np.zeros(len(self.rows))
        self.rng = np.random.default_rng(5)

    def run(self, samples: int) -> list[Alert]:
        told = []
        for _ in range(samples):
            self.at += 1
            now_ms = START_MS + self.at * STEP_MS
            self.totals += self._amounts()
            values = self.totals.copy()
            values[3:] = np.cumsum(values[3:])
            batch = MetricBatch.of(self.rows, now_ms, values, arrival_ms=now_ms)
            told += self.engine.take(batch, now_ms=now_ms) + self.engine.step(now_ms)
        return told

    def _amounts(self) -> np.ndarray:
        kind = self.kind if self.at >= self.begin else ""
        day = 1 - 0.5 * math.cos(2 * math.pi * self.at / DAY)
        count = int(self.rng.poisson(1_800 * day * (0.05 if kind == "traffic" else 1.0)))
        bad = int(self.rng.binomial(count, 0.3 if kind == "errors" else 0.002))
        took = self.rng.lognormal(math.log(0.03), 0.5, 200) + (0.6 if kind == "latency" else 0.0)
        buckets = np.bincount(np.searchsorted(BOUNDS, took), minlength=len(BOUNDS)) * count / 200
        cpu = count * 0.004 * self.rng.uniform(0.9, 1.1) + (120 if kind == "cpu" else 0)
        return np.r_[cpu, count - bad, bad, np.round(buckets)]

    def restart(self) -> None:
        """The process ends and begins again from its snapshots."""
        index = SeriesIndex()
        index.load(self.index.save())
        engine = Engine(DetectorSettings(), index)
        engine.load(self.engine.save())
        self.index, self.engine = index, engine


def _le(bound: float) -> str:
    return "+Inf" if math.isinf(bound) else str(bound)


@pytest.mark.parametrize(
    "kind, name",
    [
        ("errors", "ErrorRatioHigh"),
        ("latency", "LatencyHigh"),
        ("traffic", "TrafficDrop"),
        ("cpu", "CpuHigh"),
    ],
)
def test_two_days_of_it_stay_firing_over_a_restart(kind: str, name: str) -> None:
    world = World(kind, begin=2 * DAY)
    assert world.run(2 * DAY - 1) == []
    told = world.run(DAY)
    world.restart()
    told += world.run(DAY)
    mine = [alert for alert in told if alert.name == name]
    assert mine and {alert.key for alert in mine} == {mine[0].key}
    assert all(alert.firing for alert in mine), [a.summary for a in mine if not a.firing]
    assert mine[-1].arrival_ms >= START_MS + (world.at - 2) * STEP_MS  # and still is told
    assert {alert.starts_ms for alert in mine} == {mine[0].starts_ms}
    # Its end is told as well, at once: what was normal two days ago still is.
    world.kind = ""
    over = [alert for alert in world.run(10) if alert.name == name]
    assert over and not over[-1].firing
