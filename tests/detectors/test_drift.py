"""What slowly leaves all that it was is told; what always grows, saws or has its week is not."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.drift import HOURS, drifts
from detectors.engine import Engine
from detectors.settings import DetectorSettings
from detectors.snapshot import pack, unpack
from model.alert import Alert
from model.batch import Floats, MetricBatch
from model.labels import Labels
from model.reason import Reason
from model.series import SeriesIndex

START_MS = 1_800_000_000_000 // 86_400_000 * 86_400_000
STEP_MS = 1_200_000
HOUR, DAY = 3, 72  # steps


def naive(hours: list[float]) -> tuple[float, bool]:
    """`beyond` and `rising` of one series, by loops."""

    def known(values: list[float]) -> list[float]:
        return [x for x in values if not math.isnan(x)]

    def like(back: int) -> list[list[float]]:
        at = HOURS - 1 - back
        days = [[at - 24 * day + n for n in (-1, 0, 1)] for day in range(2, 8)]
        return [[hours[n] if n >= 0 else math.nan for n in three] for three in days]

    there = [n for n, x in enumerate(hours) if not math.isnan(x)]
    oldest = there[0] if there else 0
    days = [three for three in like(0) if known(three)]
    before = known(hours[: HOURS - 36])
    if (
        HOURS - oldest < 108 or len(there) < 0.75 * (HOURS - oldest) or len(days) < 2
        or math.isnan(hours[-1]) or not before or max(before) == min(before)
    ):  # fmt: skip
        return 0.0, False
    seen = known([x for three in like(0) for x in three])
    middle = known([three[1] for three in like(0)])
    if not middle:
        return 0.0, False
    share = 0.5 if oldest == 0 else 1.0
    wanted = max(share * (max(before) - min(before)), 0.25 * abs(statistics.median(middle)))
    now = hours[-1]
    off = now - max(seen) if now > max(seen) else now - min(seen) if now < min(seen) else 0.0
    beyond = off / wanted
    if abs(beyond) < 1.0:
        return beyond, False
    for window in (6, 24):
        rest = []
        for back in reversed(range(window)):
            usual = known([three[1] for three in like(back)])
            value = hours[HOURS - 1 - back]
            rest.append(value - statistics.median(usual) if usual else math.nan)
        rest = [math.copysign(1.0, beyond) * x for x in rest]
        pairs = list(itertools.combinations(rest, 2))
        score = sum((b > a) - (b < a) for a, b in pairs)
        leap = max(known([b - a for a, b in itertools.pairwise(rest)]), default=-math.inf)
        if score >= 0.7 * len(pairs) and leap <= 0.5 * (rest[-1] - min(known(rest))):
            return beyond, True
    return beyond, False


@settings(deadline=None, max_examples=80)
@given(
    st.integers(0, 2**32 - 1), st.sampled_from((0, 20, 80, 100)), st.sampled_from((0.0, 0.1, 0.3)),
    st.sampled_from((-30.0, 0.0, 5.0, 40.0)), st.integers(1, 60),
)  # fmt: skip
def test_drifts_as_the_obvious_loop_has_them(
    seed: int, young: int, gaps: float, rise: float, over: int
) -> None:
    rng = np.random.default_rng(seed)
    at = np.arange(HOURS)
    hours = 20 + 5 * np.sin(at / 24 * 2 * np.pi) + rng.normal(0, 1, HOURS)
    hours += rise * np.clip(at - (HOURS - over), 0, None) / over
    hours[:young] = np.nan
    hours[rng.random(HOURS) < gaps] = np.nan
    found = drifts(hours[None, :])
    beyond, rising = naive(hours.tolist())
    assert found.beyond[0] == pytest.approx(beyond, rel=1e-9, abs=1e-12)
    assert bool(found.rising[0]) == rising


class Site:
    """One series, a sample every twenty minutes."""

    def __init__(self, name: str = "depth", drift_series_max: int = 10_000) -> None:
        self.index = SeriesIndex()
        self.engine = Engine(DetectorSettings(drift_series_max=drift_series_max), self.index)
        self.series = {"__name__": name, "service": "cart"}
        self.at, self.total = 0, 0.0

    def run(self, values: Floats) -> list[Alert]:
        told: list[Alert] = []
        for value in values.tolist():
            self.at += 1
            now_ms = START_MS + self.at * STEP_MS
            if self.series["__name__"].endswith("_total"):
                self.total += value * STEP_MS / 1000.0
                value = self.total
            row = self.index.intern(Labels.of(self.series))
            batch = MetricBatch.of([row], now_ms, [value], arrival_ms=now_ms)
            told += self.engine.take(batch, now_ms=now_ms) + self.engine.step(now_ms)
        return told


def drifted(told: list[Alert]) -> list[bool]:
    return [firing for firing, _ in itertools.groupby(a.firing for a in told if a.name == "MetricDrifting")]  # fmt: skip


def usual(days: float, seed: int = 0) -> Floats:
    at = np.arange(round(days * DAY))
    noise = np.random.default_rng(seed).normal(0, 4, len(at))
    return np.asarray(100 + 30 * np.sin(at / DAY * 2 * np.pi) + noise)


@pytest.mark.parametrize("name", ["depth", "made_total"])
@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("hours", [8, 20])
def test_a_slow_rise_and_a_fall_are_told_once_and_end(name: str, sign: float, hours: int) -> None:
    site = Site(name)
    assert site.run(usual(5) + 200) == []
    ramp = sign * 160 * np.linspace(0, 1, hours * HOUR)
    told = site.run(usual(hours / 24) + 200 + ramp)
    mine = [a for a in told if a.name == "MetricDrifting"]
    if not mine:
        assert {a.name for a in told} == {"LevelShift"}, "or else it is told as a shift"
        return
    assert drifted(told) == [True]
    assert mine[0].severity.value == "info" and mine[0].evidence is not None
    assert mine[0].evidence.times_ms[-1] < site.at * STEP_MS + START_MS
    assert drifted(site.run(usual(0.5) + 200)) == [False]


def test_the_sentence_says_how_far_and_what_is_usual() -> None:
    site = Site()
    site.run(usual(5))
    (first, *_) = [a for a in site.run(usual(1) + 130 * np.linspace(0, 1, DAY)) if a.name == "MetricDrifting"]  # fmt: skip
    assert isinstance(first.summary, Reason)
    assert first.summary.text().startswith("depth of cart has slowly risen to ")
    assert "; at this time of day " in first.summary.text()


CALM: dict[str, Callable[[Floats], Floats]] = {
    "a day": lambda at: 100 + 40 * np.sin(at / DAY * 2 * np.pi),
    "a week": lambda at: np.where(at // DAY % 7 < 5, 100 + 40 * np.sin(at / DAY * 2 * np.pi), 60.0),
    "steady growth": lambda at: 10 + 0.8 * at,
    "a saw-tooth of four days": lambda at: 100.0 + 4 * (at % (4 * DAY)),
    "a saw-tooth of minutes": lambda at: 100.0 + at % 7,
    "a step": lambda at: np.where(at > 9.3 * DAY, 130.0, 100.0),
    "zeros": lambda at: np.where(at % 97 == 0, 5.0, 0.0),
    "a constant": lambda at: np.full(len(at), 7.0),
}


@pytest.mark.parametrize("kind", list(CALM))
def test_what_is_usual_does_not_drift(kind: str) -> None:
    at = np.arange(16 * DAY, dtype=np.float64)
    noise = np.random.default_rng(3).normal(0, 1, len(at)) * (kind not in ("zeros", "a constant"))
    assert drifted(Site().run(CALM[kind](at) + noise)) == []


def test_a_walk_at_random_seldom_drifts() -> None:
    rng, told = np.random.default_rng(5), 0
    for _ in range(6):
        walk = np.zeros(12 * DAY)
        for n, push in enumerate(rng.normal(0, 2, len(walk)).tolist()):
            walk[n] = 0.98 * walk[n - 1] + push
        told += len(drifted(Site().run(200 + walk)))
    assert told == 0


def test_places_are_few_and_go_to_others_when_a_series_is_gone() -> None:
    site = Site(drift_series_max=1)
    site.run(usual(0.1))
    other = {"__name__": "width", "service": "cart"}
    row, first = site.index.intern(Labels.of(other)), site.index.find(Labels.of(site.series))
    assert first is not None
    for n in range(1, 5):
        now_ms = START_MS + site.at * STEP_MS + n * 700_000
        site.engine.take(MetricBatch.of([row], now_ms, [1.0], arrival_ms=now_ms), now_ms=now_ms)
        site.engine.step(now_ms)
        counts = site.engine.counters()
        assert counts["tocsin_detector_drift_series"] == 1.0
        assert counts["tocsin_detector_drift_waiting"] == (1.0 if n < 3 else 0.0)
        if n == 2:
            site.index.evict(np.array([first], dtype=np.int32))


def test_state_is_restored_and_without_any_it_learns_anew() -> None:
    site, rise = Site(), usual(1) + 130 * np.linspace(0, 1, DAY)
    site.run(usual(5))
    saved, index, at = site.engine.save(), site.index.save(), site.at
    plain = site.run(rise)
    arrays, state = unpack(saved)
    del state["watchers"]["drift"]
    older = {name: a for name, a in arrays.items() if not name.startswith("drift.")}
    for data, wanted in ((saved, True), (pack(older, state), False)):
        after = Site()
        after.index.load(index)
        after.engine = Engine(DetectorSettings(), after.index)
        after.engine.load(data)
        after.at = at
        told = after.run(rise)
        assert (told == plain) is wanted
        assert (drifted(told) != []) is wanted
