"""The light tier against the obvious loop, and what belongs to it only: places, hot rows, who is shown what."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.engine import Engine
from detectors.light import state as at
from detectors.light import work
from detectors.light.tier import Light
from detectors.settings import DetectorSettings
from detectors.watcher import Settled, Watcher
from model.alert import Alert
from model.batch import STALE_NAN, Floats, MetricBatch, Rows
from model.errors import SnapshotError
from model.labels import Labels
from model.series import SeriesIndex
from tests.detectors.synthetic_shop import START_MS

F = np.float32


@dataclass
class Naive:
    """One row, one sample after the other, in the same precision."""

    counter: bool
    last_ms: int = 0
    value: float = math.nan
    interval: F = F(0)
    still: int = 0
    still_ms: F = F(0)
    lively: F = F(0)
    level: F = F(0)
    slow: F = F(0)
    trend: F = F(0)
    spread: F = F(0)
    count: int = 0
    resets: int = 0
    far: list[bool] = field(default_factory=list)

    def take(self, at_ms: int, value: float) -> None:
        if not math.isfinite(value) or abs(value) >= 1e300 or at_ms <= self.last_ms:
            return
        gap, before, interval = at_ms - self.last_ms, self.value, self.interval
        self._tick(gap)
        if not self.counter:
            self._flat(F(gap), value == before)
        self.last_ms, self.value = at_ms, value
        if self.counter:
            if math.isnan(before) or gap > max(float(F(5) * interval), 5000.0):
                return
            self.resets += value < before
            value = max(value if value < before else value - before, 0.0) * (1000.0 / gap)
        self._learn(F(min(max(value, -1e30), 1e30)))

    def _tick(self, gap: int) -> None:
        if self.last_ms == 0:
            self.interval = F(0)
        elif self.interval == 0:
            self.interval = F(gap)
        else:
            bound = self.interval * F(0.2)
            self.interval = self.interval + max(min(F(gap) - self.interval, bound), -bound)

    def _flat(self, gap: F, same: bool) -> None:
        self.still, self.still_ms = (self.still + 1, self.still_ms + gap) if same else (0, F(0))
        if self.still <= 2:
            rate = max(F(1) / F(self.count + 2), F(1 / 200))
            self.lively = self.lively + (F(not same) - self.lively) * rate

    def _learn(self, x: F) -> None:
        fresh = self.count == 0
        level = x if fresh else self.level + self.trend
        slow = x if fresh else self.slow
        half = max(F(0.9999 * 12.533) * self.spread, F(0.9999 * 0.5) * abs(level))
        self.far.append(bool(abs(x - level) > half or abs(level - slow) > half))
        bound = F(5) * self.spread + F(0.02) * abs(level) + F(1e-12)
        if self.count < 10:
            bound = F(np.inf)
        error, away = (max(min(x - of, bound), -bound) for of in (level, slow))
        rate = max(F(2) / F(self.count + 2), F(1 / 300))
        slow_rate = max(F(2) / F(self.count + 2), F(1 / 3000))
        self.spread = self._zero(self.spread + (abs(error) - self.spread) * rate)
        self.level = self._zero(level + error * rate)
        self.slow = self._zero(slow + away * slow_rate)
        grown = F(0) if self.count < 20 else error * rate * F(0.02)
        self.trend = self._zero((self.trend + grown) * F(0.98))
        self.count += 1

    @staticmethod
    def _zero(x: F) -> F:
        return (x + F(1e-30)) - F(1e-30)


_VALUES = st.one_of(
    st.sampled_from(
        [0.0, 1.0, -1.0, 7.0, 7.0, 1e-40, 1e29, -1e31, 1e299, 1e300, 1e308, np.nan, STALE_NAN]
        + [np.inf, -np.inf, 1e15, 1e15 + 1]
    ),
    st.floats(-1e3, 1e3, allow_nan=False),
)
_SAMPLES = st.lists(
    st.tuples(st.integers(0, 6), st.sampled_from([0, 1, 1, 1, 1, 2, 40, -5]), _VALUES),
    min_size=1,
    max_size=150,
)


def compare(
    counter: bool, pieces: list[dict[int, tuple[int, float]]], alike: bool, chunk: int
) -> None:
    """Show pieces of {row: (seconds, value)} to the tier and to the loops."""
    light, twins = Light(1.0), [Naive(counter) for _ in range(7)]
    light.state.add(np.array([0, 1, 2, 3], dtype=np.int32))
    light.state.add(np.array([6, 5, 4], dtype=np.int32))
    take = light.counters if counter else light.gauges
    now_ms, resets = START_MS, 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("detectors.light.tier.CHUNK", min(chunk, work.CHUNK))
        for number, piece in enumerate(pieces):
            rows = np.array(list(piece), dtype=np.int32)
            times = [now_ms + (0 if alike else step * 1000) for step, _ in piece.values()]
            values = np.array([value for _, value in piece.values()])
            had = [len(twins[row].far) for row in rows]
            for row, at_ms, value in zip(rows.tolist(), times, values.tolist(), strict=True):
                twins[row].take(at_ms, value)
            light.state.hot[:] = False
            close = take(rows, times[0] if alike else np.array(times), values)
            looked = set() if close is None else set(close.rows.tolist())
            for row, before in zip(rows.tolist(), had, strict=True):
                if any(twins[row].far[before:]):
                    assert row in looked
                elif row in looked:
                    assert twins[row].still >= 60
            resets += light.counted()[1]
            now_ms += 1000 * (1 + 7 * (number % 3))
    assert resets == sum(twin.resets for twin in twins)
    for row, twin in enumerate(twins):
        place = light.state.place(row)
        assert light.state.last_ms[place] == twin.last_ms
        np.testing.assert_equal(light.state.value[place], twin.value)
        assert light.state.clock[at.INTERVAL, place] == twin.interval
        learnt = [twin.level, twin.slow, twin.trend, twin.spread, twin.count]
        np.testing.assert_array_equal(light.state.learnt[:, place], np.array(learnt, dtype=F))
        if not counter:
            clock = [twin.still, twin.still_ms, twin.lively]
            np.testing.assert_array_equal(light.state.clock[1:, place], np.array(clock, dtype=F))


@pytest.mark.parametrize("counter", [False, True])
@settings(deadline=None, max_examples=150)
@given(samples=_SAMPLES, alike=st.booleans(), chunk=st.sampled_from([2, 3, 8192]))
def test_the_tier_does_what_a_loop_does(
    counter: bool, samples: list[tuple[int, int, float]], alike: bool, chunk: int
) -> None:
    """Neighbours and scattered rows, one time or many, late and double samples, values of all sizes."""
    pieces = [
        {row: (step, value) for row, step, value in samples[begin : begin + 5]}
        for begin in range(0, len(samples), 5)
    ]
    compare(counter, pieces, alike, chunk)


@pytest.mark.parametrize("counter", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_the_tier_does_what_a_loop_does_for_long(counter: bool, seed: int) -> None:
    """Past every memory of young series: clipping, trend, warm rates, and gauges that stand still."""
    rng = np.random.default_rng(seed)
    scale, totals = 10.0 ** rng.integers(-6, 9, 7), np.zeros(7)
    pieces = []
    for step in range(900):
        values = scale * (5.0 + rng.normal(0, 1, 7)) * np.where(rng.random(7) < 0.01, 30.0, 1.0)
        totals = np.where(rng.random(7) < 0.01, 0.0, totals + np.abs(values))
        if step % 400 > 320:
            values[2:5] = scale[2:5]
        rows = rng.permutation(7)[: rng.integers(1, 8)] if step % 3 else np.arange(7)
        shown = totals if counter else values
        pieces.append({int(row): (int(rng.integers(0, 3)), float(shown[row])) for row in rows})
    compare(counter, pieces, alike=bool(seed % 2), chunk=8192)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.lists(st.integers(0, 30), max_size=8, unique=True), max_size=12))
def test_places_come_and_go(calls: list[list[int]]) -> None:
    """Odd calls forget rows, even ones add those that have no place."""
    state, here = at.State(), dict[int, float]()
    for number, rows in enumerate(calls):
        if number % 2:
            state.forget(np.array(rows, dtype=np.int32))
            here = {row: value for row, value in here.items() if row not in rows}
        else:
            new = np.array([row for row in rows if row not in here], dtype=np.int32)
            state.add(new)
            assert (
                not state.learnt[:, state.of(new)].any()
                and np.isnan(state.value[state.of(new)]).all()
            )
            state.value[state.of(new)] = new + 0.5
            here |= {row: row + 0.5 for row in new.tolist()}
        for twin in (state, restored(state)):
            found = {row: twin.place(row) for row in range(31) if twin.place(row) >= 0}
            assert {row: twin.value[place] for row, place in found.items()} == here
            assert {int(twin.rows[place]) for place in found.values()} == set(here)


def restored(state: at.State) -> at.State:
    other = at.State()
    other.load(state.save(np.zeros(64, dtype=np.int8)))
    return other


def test_a_damaged_state_is_refused() -> None:
    state = at.State()
    state.add(np.array([3, 1], dtype=np.int32))
    saved = state.save(np.zeros(8, dtype=np.int8))
    for name, bad in (
        ("light.rows", np.array([1, 1], dtype=np.int32)),
        ("light.rows", np.array([1, -1], dtype=np.int32)),
        ("light.learnt", saved["light.learnt"][:, :1]),
        ("light.value", saved["light.value"].astype(np.float32)),
    ):
        with pytest.raises(SnapshotError):
            at.State().load({**saved, name: bad})


def world(count: int, name: str = "depth") -> tuple[Engine, SeriesIndex, Rows]:
    index = SeriesIndex()
    rows = [
        index.intern(Labels.of({"__name__": name, "job": "x", "q": str(q)}), now_ms=START_MS)
        for q in range(count)
    ]
    return Engine(DetectorSettings(), index), index, np.array(rows, dtype=np.int32)


def play(engine: Engine, rows: Rows, values: Floats, begin: int, step_s: int) -> list[Alert]:
    """Rows of `values` are steps."""
    told: list[Alert] = []
    for number, line in enumerate(values, begin):
        now_ms = START_MS + number * step_s * 1000
        told += engine.take(MetricBatch.of(rows, now_ms, line, arrival_ms=now_ms), now_ms=now_ms)
        told += engine.step(now_ms)
    return told


def queue(alert: Alert) -> str:
    assert alert.evidence is not None
    return alert.evidence.series["q"]


def test_a_level_that_shifts_and_a_gauge_that_stands_still_are_told_and_end() -> None:
    engine, _, rows = world(6)
    rng = np.random.default_rng(1)
    usual = 50.0 + rng.normal(0, 1, (400, 6))
    assert play(engine, rows, usual, 0, 15) == []
    odd = 50.0 + rng.normal(0, 1, (80, 6))
    odd[:, 2] += 200.0  # a new level
    odd[:, 4] = odd[0, 4]  # stands still
    told = play(engine, rows, odd, 400, 15)
    assert {(a.labels["alertname"], queue(a)) for a in told} == {
        ("LevelShift", "2"),
        ("MetricFlat", "4"),
    }
    back = play(engine, rows, 50.0 + rng.normal(0, 1, (20, 6)), 480, 15)
    assert sorted(queue(a) for a in back if a.ends_ms is not None) == ["2", "4"]
    # Nothing of it was learnt: it is the same level as before.
    band = engine.band(Labels.of({"__name__": "depth", "job": "x", "q": "2"}))
    assert band is not None and band.value == pytest.approx(50.0, abs=1.0)


class Onlooker(Watcher):
    """Keeps what it is shown."""

    name = "onlooker"

    def __init__(self) -> None:
        self.seen: list[Settled] = []

    def settled(self, seen: Settled, now_ms: int) -> None:
        self.seen.append(seen)


def test_a_watcher_sees_the_plain_series_that_it_asked_for() -> None:
    engine, _, rows = world(50)
    onlooker = Onlooker()
    engine._judge.watchers = (onlooker,)
    values = 20.0 + np.random.default_rng(2).normal(0, 1, (40, 50))
    play(engine, rows, values[:30], 0, 15)
    assert [seen.rows.tolist() for seen in onlooker.seen] == [rows.tolist()]  # the first sample
    onlooker.seen.clear()
    engine._judge.want("onlooker", rows[7:9])
    play(engine, rows, values[30:35], 30, 15)
    assert [seen.rows.tolist() for seen in onlooker.seen] == [[7, 8]] * 5
    assert [seen.values[0] for seen in onlooker.seen] == values[30:35, 7].tolist()
    assert all(seen.low[0] < 20.0 < seen.high[0] for seen in onlooker.seen)
    engine._judge.want("onlooker", rows[7:9], wanted=False)
    play(engine, rows, values[35:], 35, 15)
    assert len(onlooker.seen) == 5


def test_who_is_shown_does_not_matter_to_what_is_told() -> None:
    """Hot rows are looked at in another way, and must come to the same."""
    rng = np.random.default_rng(3)
    values = rng.normal(20, 1, (300, 40)) * np.where(rng.random((300, 40)) < 0.02, 4.0, 1.0)
    values[150:, ::7] += 40.0
    told, learnt = [], []
    for hot in (False, True):
        engine, _, rows = world(40)
        if hot:
            engine._judge.watchers = (Onlooker(),)
            engine._judge.want("onlooker", rows)
        told.append(play(engine, rows, values, 0, 15))
        learnt.append(engine._judge.plain.light.state)
    assert told[0] == told[1] and told[0]
    np.testing.assert_array_equal(learnt[0].learnt, learnt[1].learnt)
    np.testing.assert_array_equal(learnt[0].sums, learnt[1].sums)


def test_what_is_mostly_zero_never_shifts_to_zero() -> None:
    rng, count = np.random.default_rng(7), 20
    index = SeriesIndex()
    engine = Engine(DetectorSettings(), index)
    names = [{"__name__": f"queue_{n}", "service": "shop"} for n in range(count)]
    rows = [index.intern(Labels.of(each)) for each in names]
    told = []
    for minute in range(1, 3_200):
        now_ms = START_MS + 60_000 * minute
        values = np.where(rng.random(count) < 0.1, rng.exponential(4.0, count), 0.0)
        batch = MetricBatch.of(rows, now_ms, values, arrival_ms=now_ms)
        told += engine.take(batch, now_ms=now_ms) + engine.step(now_ms)
    assert told == []
