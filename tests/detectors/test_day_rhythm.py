"""A day that nobody configured: what is told, live, where it is flattened or comes late though each value is a usual one."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from detectors.engine import Engine
from detectors.knowledge import Knowledge
from detectors.settings import DetectorSettings
from model.alert import Alert, Severity
from model.batch import MetricBatch
from model.labels import Labels
from model.series import SeriesIndex

DAY_MS = 86_400_000
STEP_MS = 600_000
DAY = DAY_MS // STEP_MS  # samples
HOUR = DAY // 24
START_MS = 20_833 * DAY_MS
Wave = Callable[[int, np.random.Generator], float]


def day(swing: float = 30.0, late_h: float = 0.0) -> Wave:
    """70 to 130 from night to noon, so many hours late; a `swing` of 0 is the flattened one."""

    def wave(number: int, rng: np.random.Generator) -> float:
        turn = (number / HOUR - late_h) / 24 * 2 * np.pi
        return float(100.0 + swing * np.sin(turn) + 3.0 * rng.normal())

    return wave


def test_a_day_that_is_flat_or_late_is_told_after_eight_hours_and_over_when_it_is_back() -> None:
    changed: Mapping[str, Wave] = {
        "same": day(),
        "flat": day(swing=0.0),
        "six hours late": day(late_h=6),
    }
    index = SeriesIndex()
    knowledge = Knowledge(tiers=dict.fromkeys(changed, 1))
    engine = Engine(DetectorSettings(), index, knowledge=knowledge)
    rows = [index.intern(Labels.of({"__name__": "load", "service": name})) for name in changed]
    rng, number = np.random.default_rng(1), 0

    def run(samples: int, waves: list[Wave]) -> list[Alert]:
        nonlocal number
        told: list[Alert] = []
        for _ in range(samples):
            number += 1
            now_ms = START_MS + number * STEP_MS
            values = [wave(number, rng) for wave in waves]
            batch = MetricBatch.of(rows, now_ms, values, arrival_ms=now_ms)
            told += [*engine.take(batch, now_ms=now_ms), *engine.step(now_ms)]
        return told

    usual = [day()] * len(changed)
    assert run(14 * DAY, usual) == []
    assert engine.counters()["tocsin_detector_rhythms"] == len(changed)
    told = run(DAY, list(changed.values()))
    assert {(alert.name, alert.severity) for alert in told} == {("RhythmLost", Severity.INFO)}
    begun_ms = START_MS + 14 * DAY_MS
    after_h = {
        alert.labels["service"]: (alert.arrival_ms - begun_ms) / 3_600_000
        for alert in reversed(told)  # the first of each stays
    }
    assert set(after_h) == set(changed) - {"same"}
    assert all(7.5 <= hours <= 9.0 for hours in after_h.values()), after_h
    first = next(alert for alert in told if alert.labels["service"] == "flat")
    assert first.summary is not None and first.evidence is not None
    assert first.summary.text().startswith("load of flat no longer keeps its rhythm of 1d: ")
    assert first.evidence.component == "rhythm" and first.evidence.value is not None
    assert 70.0 < first.evidence.value < 130.0  # no level would have told it
    over = [alert for alert in run(3 * DAY, usual) if not alert.firing]
    # Once it has been itself for a cycle and a half.
    assert {alert.labels["service"] for alert in over} == set(changed) - {"same"}
    assert engine.counters()["tocsin_detector_alerts_firing"] == 0
