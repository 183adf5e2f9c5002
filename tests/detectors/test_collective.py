"""Several metrics of one host together: told as a whole, and by name, where none alone is."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from detectors.collective import GROUPS_MAX, Collective
from detectors.judge import Judge
from detectors.settings import DetectorSettings
from model.alert import Alert, Severity
from model.batch import Floats
from model.labels import Labels
from model.series import SeriesIndex

STEP_MS = 60_000
START_MS = 1_700_000_000_000
NAMES = ("cpu_cores", "memory", "latency_p95_seconds", "request_rate", "threads", "queue")
QUIET = np.zeros(len(NAMES))


class Host:
    """One host's metrics, scored as the full tier would: mostly nothing, now and then a little."""

    def __init__(self, **settings: Any) -> None:
        self.index = SeriesIndex()
        self.judge = Judge(DetectorSettings(**settings), self.index, ())
        self.collective = Collective(self.judge)
        self.now_ms = START_MS
        self.rng = np.random.default_rng(3)
        self.rows = np.array([self.row(name) for name in NAMES])
        self.judge.ensure()
        self.judge.meta["role"][self.rows[:4]] = 5  # four are signals
        self.told: list[Alert] = []

    def row(self, name: str, service: str = "cart") -> int:
        labels = {"__name__": name, "service": service, "instance": f"{service}:1"}
        return self.index.intern(Labels.of(labels), source="t", now_ms=self.now_ms)

    def minutes(self, count: int, odd: Floats = QUIET) -> list[Alert]:
        """So many samples; `odd` is added to the scores, in decades."""
        told: list[Alert] = []
        for _ in range(count):
            self.now_ms += STEP_MS
            times = np.full(len(self.rows), self.now_ms)
            self.judge.clocks.tick(self.rows, times)
            common = -np.log10(self.rng.random(len(self.rows)))
            scores = np.where(common > 1.0, common, 0.0) + odd
            values = 10.0 + self.rng.normal(0.0, 1.0, len(self.rows))
            learn = np.ones(len(self.rows), dtype=np.bool_)
            self.collective.scored(self.rows, times, values, scores, learn)
            self.collective.step(self.now_ms)
            for key, entry in self.judge.alerting.entries():
                self.collective.housekeep(key, entry, self.now_ms)
            told += self.judge.alerting.drain()
        return told


@pytest.fixture(scope="module")
def seasoned() -> bytes:
    """What a host's three days left: a snapshot, for three days take a while."""
    host = Host()
    assert host.minutes(3 * 1440) == []
    arrays, state = host.collective.save()
    return json.dumps(
        {
            "arrays": {n: [a.dtype.str, a.tolist()] for n, a in arrays.items()},
            "state": state,
            "now_ms": host.now_ms,
        }
    ).encode()


def restored(seasoned: bytes, **settings: Any) -> Host:
    saved = json.loads(seasoned)
    host = Host(**settings)
    for slot, row in enumerate(saved["arrays"]["groups.row"][1]):
        about = Labels(tuple((n, v) for n, v in saved["state"]["slots"][slot][0]))
        made = host.judge.derived(about.with_(__name__="together_score"), "quiet", START_MS)
        assert made == row
    host.collective.load(
        {n: np.array(a, dtype=kind) for n, (kind, a) in saved["arrays"].items()}, saved["state"]
    )
    host.now_ms = saved["now_ms"]
    return host


def test_three_days_of_nothing_are_quiet(seasoned: bytes) -> None:
    assert restored(seasoned).minutes(600) == []


def test_four_metrics_off_together_are_one_alert_that_names_them(seasoned: bytes) -> None:
    host = restored(seasoned)
    told = host.minutes(12, np.array([9.0, 8.0, 8.5, 9.5, 0.0, 0.0]))
    firing = {alert.key for alert in told if alert.firing}
    assert len(firing) == 1
    first = told[0]
    assert first.severity is Severity.WARNING and first.name == "UnusualTogether"
    assert first.service == "cart" and first.evidence is not None and first.summary is not None
    named = first.evidence.component.split(", ")
    assert set(named) == {"cpu_cores", "memory", "latency_p95_seconds", "request_rate"}
    assert first.evidence.once_in_ms > 0 and "unusual together" in first.summary.text()
    assert first.evidence.times_ms and first.evidence.highs
    over = [alert for alert in host.minutes(30) if not alert.firing]
    assert [alert.key for alert in over] == [first.key]


@pytest.mark.parametrize(
    "odd",
    [
        # One metric alone is its own matter, however loud.
        np.array([40.0, 0.0, 0.0, 0.0, 0.0, 0.0]),
        # So are two.
        np.array([9.0, 9.0, 0.0, 0.0, 0.0, 0.0]),
        # All of them a little is what happens.
        np.full(6, 0.6),
    ],
)
def test_what_is_not_a_matter_of_many(seasoned: bytes, odd: Floats) -> None:
    assert restored(seasoned).minutes(20, odd) == []


def test_it_must_last(seasoned: bytes) -> None:
    host = restored(seasoned)
    loud = np.array([9.0, 8.0, 8.5, 9.5, 0.0, 0.0])
    for _ in range(5):
        assert host.minutes(2, loud) == []
        assert host.minutes(20) == []


def test_the_very_young_say_nothing_and_the_young_only_inform() -> None:
    loud = np.array([30.0, 30.0, 30.0, 30.0, 0.0, 0.0])
    host = Host()
    assert host.minutes(90) == []
    assert host.minutes(8, loud) == []
    host = Host()
    host.minutes(1200)  # not a day yet
    told = host.minutes(12, loud)
    assert told and all(alert.severity is Severity.INFO for alert in told)


def test_a_restart_in_the_middle_changes_nothing(seasoned: bytes) -> None:
    loud = np.array([9.0, 8.0, 8.5, 9.5, 0.0, 0.0])
    straight, broken = restored(seasoned), restored(seasoned)
    straight.minutes(2, loud)
    broken.minutes(2, loud)
    arrays, state = broken.collective.save()
    broken.collective = Collective(broken.judge)
    broken.collective.load(arrays, json.loads(json.dumps(state)))
    ours = [(a.key, a.starts_ms, a.firing) for a in straight.minutes(10, loud)]
    theirs = [(a.key, a.starts_ms, a.firing) for a in broken.minutes(10, loud)]
    assert ours == theirs and ours


def test_groups_are_bounded_and_places_are_given_back() -> None:
    host = Host()
    rows = np.array([host.row("cpu_cores", f"s{n}") for n in range(GROUPS_MAX + 5)])
    host.judge.ensure()
    ones, times = np.ones(len(rows)), np.full(len(rows), START_MS)
    learn = np.ones(len(rows), dtype=np.bool_)
    host.collective.scored(rows, times, ones, ones, learn)
    assert host.collective.counters()["tocsin_detector_groups"] == GROUPS_MAX
    assert host.collective.counters()["tocsin_detector_groups_refused_total"] == 5
    host.collective.forget(rows[:10])
    assert host.collective.counters()["tocsin_detector_groups"] == GROUPS_MAX - 10


def test_what_is_no_number_leaves_no_trace() -> None:
    host = Host()
    host.minutes(5)
    before = host.collective.save()[0]
    bad = np.array([np.nan, np.inf, -np.inf, 1.0, 1.0, 1.0])
    scores = np.array([1.0, 1.0, 1.0, np.nan, np.nan, np.nan])
    learn = np.ones(6, dtype=np.bool_)
    host.collective.scored(host.rows, np.full(6, host.now_ms + 1), bad, scores, learn)
    after = host.collective.save()[0]
    assert all(np.array_equal(before[name], after[name]) for name in before)
