"""A month of five-minute samples with a daily rhythm: nothing cries wolf, a fault of day three is found."""

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

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, math.inf)
START_MS = 1_800_000_000_000 // 86_400_000 * 86_400_000
STEP_MS = 300_000
DAY = 288
SERVICES = ("gateway", "cart", "payment")


def month(
    seed: int, days: int, fault: tuple[str, str, int, int] | None = None
) -> list[tuple[int, Alert]]:
    """Run it; `fault` is kind, service, first and last sample. Alerts come with their sample's number."""
    rng = np.random.default_rng(seed)
    index = SeriesIndex()
    engine = Engine(DetectorSettings(), index)
    rows: dict[str, list[int]] = {}
    totals: dict[str, np.ndarray] = {}
    for service in SERVICES:
        base = {"job": "shop", "service": service, "instance": service}
        names: list[dict[str, str]] = [
            {"__name__": "up"},
            {"__name__": "process_resident_memory_bytes"},
            {"__name__": "process_cpu_seconds_total"},
            {"__name__": "http_requests_total", "code": "200"},
            {"__name__": "http_requests_total", "code": "500"},
        ]
        for bound in BOUNDS:
            le = "+Inf" if math.isinf(bound) else str(bound)
            names.append({"__name__": "http_request_duration_seconds_bucket", "le": le})
        rows[service] = [index.intern(Labels.of({**base, **n})) for n in names]
        totals[service] = np.zeros(3 + len(BOUNDS))
    told: list[tuple[int, Alert]] = []
    for sample in range(days * DAY):
        now_ms = START_MS + sample * STEP_MS
        day = 1 - 0.7 * math.cos(
            2 * math.pi * sample / DAY
        )  # the night has a sixth of the day's traffic
        values: list[float] = []
        for service in SERVICES:
            on = fault is not None and fault[1] == service and fault[2] <= sample < fault[3]
            kind = fault[0] if on and fault else ""
            count = int(rng.poisson(1_500 * day))
            bad = int(rng.binomial(count, 0.2 if kind == "errors" else 0.002))
            took = rng.lognormal(math.log(0.03 * (1 + 0.3 * day)), 0.5, 400)
            took += 0.5 if kind == "latency" else 0.0
            held = np.searchsorted(np.array(BOUNDS), took)
            buckets = np.bincount(held, minlength=len(BOUNDS)) * (count / 400)
            totals[service] += np.r_[
                count * 0.004 * rng.uniform(0.9, 1.1) + (200 if kind == "cpu" else 0),
                count - bad,
                bad,
                np.round(buckets),
            ]
            total = totals[service]
            rss = (60 + 15 * day + rng.normal(0, 1)) * 2**20
            values += [0.0 if kind == "kill" else 1.0, rss, total[0], total[1], total[2]]
            values += np.cumsum(total[3:]).tolist()
        order = [row for service in SERVICES for row in rows[service]]
        batch = MetricBatch.of(order, now_ms, values, arrival_ms=now_ms)
        told += [(sample, alert) for alert in engine.take(batch, now_ms=now_ms)]
        told += [(sample, alert) for alert in engine.step(now_ms)]
    return told


def test_a_quiet_month_is_quiet() -> None:
    assert [(at, a.name, a.service) for at, a in month(1, 30)] == []


@pytest.mark.parametrize(
    "kind, name",
    [
        ("errors", "ErrorRatioHigh"),
        ("latency", "LatencyHigh"),
        ("cpu", "CpuHigh"),
        ("kill", "ServiceDown"),
    ],
)
def test_a_fault_of_day_three_is_found(kind: str, name: str) -> None:
    begin, end = 2 * DAY + 150, 2 * DAY + 170
    told = month(3, 4, (kind, "payment", begin, end))
    firing = [at for at, a in told if a.firing]
    assert {a.service for _, a in told} == {"payment"}
    # The full tier may be the first to say so; it gives way to the alert that knows the signal.
    assert name in {a.name for _, a in told} <= {name, "MetricUnusual"}
    assert begin < firing[0] <= begin + 4
    assert [at for at, a in told if not a.firing and at >= end][-1] <= end + 4
