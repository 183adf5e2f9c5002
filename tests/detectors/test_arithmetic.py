"""The array code against the obvious loop."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.baseline import Baselines
from detectors.counters import Clocks
from detectors.growth import MIB, grown
from detectors.history import LENGTH, History
from detectors.levelshift import shifted
from detectors.quantile import bucket_quantile
from detectors.roles import ROLE_NUMBER, ROLES
from detectors.rows import layers
from model.batch import MetricBatch

finite = st.floats(-1e6, 1e6, allow_nan=False)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), finite), max_size=60))
def test_layers_keep_each_rows_order(samples: list[tuple[int, float]]) -> None:
    rows = [row for row, _ in samples]
    batch = MetricBatch.of(rows, range(len(rows)), [v for _, v in samples], arrival_ms=0)
    seen: dict[int, list[float]] = {}
    for layer_rows, _, values in layers(batch):
        assert len(set(layer_rows.tolist())) == len(layer_rows)
        for row, value in zip(layer_rows.tolist(), values.tolist(), strict=True):
            seen.setdefault(row, []).append(value)
    wanted: dict[int, list[float]] = {}
    for row, value in samples:
        wanted.setdefault(row, []).append(value)
    assert seen == wanted


def naive_quantile(bounds: list[float], counts: list[float], q: float) -> float:
    total = counts[-1]
    if total == 0:
        return math.nan
    rank = q * total
    for at, count in enumerate(counts):
        if count >= rank:
            lower = bounds[at - 1] if at else 0.0
            if math.isinf(bounds[at]):
                return lower
            below = counts[at - 1] if at else 0.0
            share = (rank - below) / (count - below) if count > below else 0.0
            return lower + (bounds[at] - lower) * share
    raise AssertionError


@settings(deadline=None)
@given(st.lists(st.integers(0, 20), min_size=4, max_size=4), st.floats(0.01, 1.0))
def test_bucket_quantile(held: list[int], q: float) -> None:
    bounds = [0.1, 0.5, 1.0, math.inf]
    counts = np.cumsum(held).astype(float)
    found = bucket_quantile(
        np.array([[*bounds, np.nan]]), np.array([[*counts, 0.0]]), np.array([q])
    )
    np.testing.assert_allclose(found[0], naive_quantile(bounds, counts.tolist(), q), rtol=1e-9)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 50)), min_size=2, max_size=40))
def test_counters_add_up_over_resets_and_gaps(steps: list[tuple[int, int]]) -> None:
    clocks = Clocks()
    clocks.rows.ensure(1)
    row = np.array([0])
    at_ms, total, before, last, interval = 0, 0.0, math.nan, 0, 0.0
    for seconds, value in steps:
        at_ms += seconds * 1000
        values, times = np.array([float(value)]), np.array([at_ms])
        if not math.isnan(before) and at_ms - last <= max(5 * interval, 5_000):
            total += value if value < before else value - before
        gap = at_ms - last
        if last and interval:
            interval += max(-0.2 * interval, min(0.2 * interval, gap - interval))
        elif last:
            interval = gap
        before, last = value, at_ms
        clocks.count(row, times, values)
        clocks.tick(row, times)
        assert clocks.rows["total"][0] == total
        assert math.isclose(clocks.rows["interval_ms"][0], interval)


class NaiveBaseline:
    """One row of `Baselines`, without season."""

    def __init__(self) -> None:
        self.count, self.level, self.slow, self.trend, self.spread = 0, 0.0, 0.0, 0.0, 0.0

    def learn(self, x: float) -> None:
        fresh = self.count == 0
        level = x if fresh else self.level + self.trend
        bound = math.inf if self.count < 10 else 5 * self.spread + 0.02 * abs(level) + 1e-12
        error = max(-bound, min(bound, x - level))
        rate = max(2 / (self.count + 2), 1 / 300)
        self.level = level + rate * error
        self.trend = 0.98 * (self.trend + (0 if self.count < 20 else 0.02 * rate * error))
        slow = x if fresh else self.slow
        slow_rate = max(2 / (self.count + 2), 1 / 3000)
        self.slow = slow + slow_rate * max(-bound, min(bound, x - slow))
        self.spread += 0 if fresh else rate * (abs(error) - self.spread)
        self.count += 1

    def band(self, width: float, relative: float, floor: float) -> tuple[float, float]:
        spread = self.spread * 1.2533 * (1 + 10 / (self.count + 1))
        expected = self.level + self.trend
        half = max(width * spread, floor, relative * abs(expected))
        centre = max(self.slow - half, min(self.slow + half, expected))
        return centre - half, centre + half


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(-1e3, 1e3, allow_nan=False), min_size=2, max_size=80))
def test_baseline(values: list[float]) -> None:
    many = Baselines(sensitivity=1.0, warm_up_ms=0, warm_up_samples=0)
    many.rows.ensure(3)
    rows = np.array([2, 0])
    naive = NaiveBaseline()
    role = ROLES[ROLE_NUMBER["unknown"]]
    roles = np.full(2, ROLE_NUMBER["unknown"], dtype=np.int8)
    for at, x in enumerate(values):
        times = np.full(2, 1_000 * (at + 1))
        both = np.array([x, -x])
        bands = many.look(rows, times, both, roles)
        if at:
            low, high = naive.band(role.width, role.relative, role.floor)
            np.testing.assert_allclose(
                [bands.low[0], bands.high[0]], [low, high], rtol=1e-9, atol=1e-200
            )
            np.testing.assert_allclose(bands.high[1], -bands.low[0], rtol=1e-9, atol=1e-200)
        many.learn(rows, times, both)
        naive.learn(x)


def test_a_spike_hardly_widens_a_band() -> None:
    baselines = Baselines(sensitivity=1.0, warm_up_ms=0, warm_up_samples=0)
    baselines.rows.ensure(1)
    row, roles = np.array([0]), np.array([ROLE_NUMBER["cpu"]], dtype=np.int8)
    for at in range(100):
        baselines.learn(row, np.array([at * 1000]), np.array([1.0 + 0.01 * (at % 2)]))
    before = baselines.look(row, np.array([100_000]), np.array([1.0]), roles).high[0]
    baselines.learn(row, np.array([101_000]), np.array([1e9]))
    assert baselines.look(row, np.array([102_000]), np.array([1.0]), roles).high[0] < 1.2 * before


def leak_of(values: list[float], step_ms: int = 1_000) -> bool:
    padded = np.full((1, LENGTH), np.nan)
    padded[0, LENGTH - len(values) :] = values
    times = np.zeros((1, LENGTH), dtype=np.int64)
    times[0, LENGTH - len(values) :] = np.arange(len(values)) * step_ms + 1
    return bool(grown(times, padded, np.array([float(step_ms)]))[0][0])


def test_growth() -> None:
    flat = [50.0 * MIB] * 60
    # 3 MiB a second for 9 s is a leak; 1 MiB a second is not yet, after 30 s it is.
    assert leak_of(flat + [(50 + 3 * n) * MIB for n in range(10)])
    assert not leak_of(flat + [(50 + n) * MIB for n in range(10)])
    assert leak_of(flat + [(50 + n) * MIB for n in range(31)])
    # A cache filled at once is none.
    assert not leak_of(flat + [80 * MIB] * 9)
    # A saw-tooth that has been there before is none.
    assert not leak_of([(50 + 4 * (n % 12)) * MIB for n in range(71)])
    # A process that just started is not judged.
    assert not leak_of([(50 + 3 * n) * MIB for n in range(12)])
    # At 15 s, growth of two minutes is a process that warms up.
    assert not leak_of(flat + [(50 + 3 * n) * MIB for n in range(10)], 15_000)


def test_level_shift_needs_more_than_one_sample() -> None:
    def shifts(score: float, outside: bool, times: int) -> list[bool]:
        return [
            bool(shifted(sums, np.array([score]), np.array([outside]))[0]) for _ in range(times)
        ]

    sums = np.zeros((2, 1), dtype=np.float32)
    assert shifts(1e9, True, 8) == [False] * 6 + [True] * 2
    # Once begun, a sum goes on with what is inside, until it is back at zero.
    assert shifts(4.0, False, 1) == [True] and sums[0] == 73.0
    assert shifts(0.0, False, 24) == [True] * 4 + [False] * 20 and sums[0] == 1.0
    assert shifts(-9.0, False, 1) == [False] and sums.tolist() == [[0.0], [6.0]]
    # What stays within three deviations never adds up, and nothing begins inside the band.
    sums = np.zeros((2, 1), dtype=np.float32)
    assert not any(shifts(2.9, True, 1_000)) and not any(shifts(9.0, False, 1_000))
    assert not sums.any()


def test_history_keeps_the_last_points_in_order() -> None:
    history = History(watched_max=1)
    assert history.watch(3) and not history.watch(4)
    for at in range(LENGTH + 7):
        row = np.array([3, 4])
        history.add(row, np.array([at, at]), *[np.array([float(at), 0.0])] * 3)
    assert history.of(3)[0] == tuple(range(7, LENGTH + 7))
    assert history.of(4) == ((), (), (), ())
