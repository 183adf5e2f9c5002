"""Rhythms that nobody configured, in the live engine: found, explained, missed, changed, given up, kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from detectors.engine import Engine
from detectors.knowledge import Knowledge
from detectors.rhythms import Rhythms
from detectors.settings import DetectorSettings
from model import codec
from model.alert import Alert, Severity
from model.batch import MetricBatch
from model.labels import Labels
from model.series import SeriesIndex

START_MS = 1_800_000_000_000
HOUR = 60
Wave = Callable[[int, np.random.Generator], float]


def beats(period: float, width: float = 3.0, noise: float = 0.3) -> Wave:
    """So many minutes from beat to beat."""
    return lambda minute, rng: 10.0 + 5.0 * (minute % period < width) + noise * rng.normal()


def quiet(minute: int, rng: np.random.Generator) -> float:
    return 10.0 + 0.3 * rng.normal()


class World:
    """One service, a sample a minute of each gauge."""

    def __init__(self, seed: int = 1, **settings: float) -> None:
        self.settings = DetectorSettings(**settings)  # type: ignore[arg-type]
        self.index = SeriesIndex(series_max=1_000)
        self.engine = Engine(self.settings, self.index, knowledge=Knowledge(tiers={"batch": 1}))
        self.rng, self.minute = np.random.default_rng(seed), 0

    def run(self, minutes: int, gauges: Mapping[str, Wave]) -> list[Alert]:
        told = []
        for _ in range(minutes):
            self.minute += 1
            now_ms = START_MS + self.minute * 60_000
            rows = [self.row(name, now_ms) for name in gauges]
            values = [wave(self.minute, self.rng) for wave in gauges.values()]
            batch = MetricBatch.of(rows, now_ms, values, arrival_ms=now_ms)
            told += self.engine.take(batch, now_ms=now_ms) + self.engine.step(now_ms)
        return told

    def row(self, name: str, now_ms: int = START_MS) -> int:
        return self.index.intern(Labels.of({"__name__": name, "service": "batch"}), now_ms=now_ms)

    def idle(self, minutes: int) -> list[Alert]:
        told = []
        for _ in range(minutes):
            self.minute += 1
            told += self.engine.step(START_MS + self.minute * 60_000)
        return told

    def restart(self) -> None:
        data, index = self.engine.save(), SeriesIndex(series_max=1_000)
        index.load(self.index.save())
        self.index = index
        self.engine = Engine(self.settings, index, knowledge=Knowledge(tiers={"batch": 1}))
        self.engine.load(data)

    @property
    def side(self) -> Rhythms:
        return next(w for w in self.engine._watchers if isinstance(w, Rhythms))

    def count(self, name: str) -> float:
        return self.engine.counters()[f"tocsin_detector_{name}"]

    def period(self, name: str) -> float:
        place = int(self.side.by_row["place"][self.row(name)])
        return self.side.follow.period_ms(place) / 60_000


def rhythmic(told: list[Alert]) -> list[Alert]:
    return [alert for alert in told if alert.name == "RhythmLost"]


def words(alert: Alert) -> str:
    assert alert.summary is not None
    return alert.summary.text()


def test_a_beat_that_does_not_come_is_told_explained_and_over_when_it_is_back() -> None:
    world, gauge = World(), {"rows": beats(20)}
    assert rhythmic(world.run(5 * HOUR, gauge)) == []
    assert world.count("rhythms") == 1 and world.period("rows") == pytest.approx(20.0, abs=0.1)
    missing = {"rows": quiet}
    told = rhythmic(world.run(20, missing))
    first = told[0]
    assert (first.severity, first.firing) == (Severity.INFO, True)
    assert (
        first.arrival_ms - START_MS - 5 * HOUR * 60_000 <= 6 * 60_000
    )  # the beat is due at once, for 3 min
    assert words(first).startswith("rows of batch no longer keeps its rhythm of 20m: ")
    assert words(first).endswith(" is expected by it")
    found = first.evidence
    assert found is not None and found.component == "rhythm"
    assert found.value is not None and found.low is not None and found.value < found.low < 15.0
    assert len(found.times_ms) == len(found.lows) == len(found.values) > 200
    told = rhythmic(world.run(60, missing))
    assert {alert.severity for alert in told if alert.firing} == {Severity.INFO, Severity.WARNING}
    told = rhythmic(world.run(2 * HOUR, gauge))
    over = [alert for alert in told if not alert.firing]
    assert [alert.severity for alert in over] == [Severity.WARNING]
    assert world.count("rhythms") == 1
    assert rhythmic(world.run(4 * HOUR, gauge)) == []


@pytest.mark.parametrize(
    ("wave", "period", "hours"),
    [
        # A cron at odd minutes; a period that is no divisor of a day; of an hour and a half.
        (beats(7, 1), 7.0, 5),
        (beats(37, 2), 37.0, 12),
        (beats(90, 5), 90.0, 16),
        # A smooth one, upon the day's swing.
        (lambda m, rng: 50 + 20 * np.sin(m / 55 * 2 * np.pi) + 30 * np.sin(m / 720 * np.pi) + 4 * rng.normal(), 55.0, 18),
    ],
)  # fmt: skip
def test_periods_of_all_kinds_are_found_and_missed(wave: Wave, period: float, hours: int) -> None:
    world = World()
    assert rhythmic(world.run(hours * HOUR, {"rows": wave})) == []
    assert world.period("rows") == pytest.approx(period, rel=0.01)
    level = world.run(int(period * 1.6), {"rows": lambda m, rng: wave(m // 10_000, rng)})
    assert any(alert.firing for alert in rhythmic(level))


def test_eight_hours_are_found_within_three_days_and_missed() -> None:
    def shift(minute: int, rng: np.random.Generator) -> float:
        return float(50 + 20 * np.sin(minute / 240 * np.pi) + 4 * rng.normal())

    world = World()
    assert rhythmic(world.run(84 * HOUR, {"load": shift})) == []
    assert world.period("load") == pytest.approx(480.0, rel=0.02)
    told = rhythmic(world.run(8 * HOUR, {"load": lambda m, rng: 50 + 4 * rng.normal()}))
    assert told and "its rhythm of 8h" in words(told[0]) or "7h5" in words(told[0])


def test_another_period_is_told_and_followed() -> None:
    world = World()
    world.run(5 * HOUR, {"rows": beats(20)})
    told = rhythmic(world.run(9 * HOUR, {"rows": beats(33)}))
    assert told[0].firing and "its rhythm of 20m" in words(told[0])
    assert not told[-1].firing and words(told[-1]) == "its rhythm is 33m now, it was 20m"
    assert world.period("rows") == pytest.approx(33.0, abs=0.2) and world.count("rhythms") == 1


def test_what_has_no_rhythm_is_never_told_to_have_lost_one() -> None:
    """Two days each of noise, red noise, random bursts, irregular beats, and the swing of a day."""
    state = {"walk": 0.0, "red": 0.0, "next": 0}

    def walk(minute: int, rng: np.random.Generator) -> float:
        state["walk"] += rng.normal()
        return 100.0 + state["walk"]

    def red(minute: int, rng: np.random.Generator) -> float:
        state["red"] = 0.9 * state["red"] + rng.normal()
        return 100.0 + state["red"]

    def irregular(minute: int, rng: np.random.Generator) -> float:
        if minute >= state["next"]:
            state["next"] = minute + int(rng.exponential(20.0)) + 1
            return 15.0
        return 10.0 + 0.1 * rng.normal()

    world = World(seed=5)
    waves: dict[str, Wave] = {
        "noise": quiet, "walk": walk, "red": red, "irregular": irregular,
        "bursts": lambda m, rng: float((rng.random() < 0.02) * rng.lognormal(2, 1)),
        "day": lambda m, rng: 50 + 30 * np.sin(m / 720 * np.pi) + rng.normal(),
    }  # fmt: skip
    assert rhythmic(world.run(48 * HOUR, waves)) == []
    assert world.count("rhythms") == 0 and world.count("rhythm_looks_total") >= 20


def test_beats_that_stay_away_count_as_normal_and_nothing_more_is_said() -> None:
    world = World()
    world.run(5 * HOUR, {"rows": beats(20)})
    told = rhythmic(world.run(30 * HOUR, {"rows": quiet}))
    assert not told[-1].firing and "counts as normal now" in words(told[-1])
    assert world.count("rhythms") == 0
    assert rhythmic(world.run(10 * HOUR, {"rows": quiet})) == []


def test_a_gap_or_a_service_that_is_gone_misses_no_beat() -> None:
    world = World()
    world.run(5 * HOUR, {"rows": beats(20), "other": quiet})
    assert rhythmic(world.idle(2 * HOUR)) == []
    assert rhythmic(world.run(3 * HOUR, {"rows": beats(20), "other": quiet})) == []


def test_a_rhythm_with_breaks_is_missed_three_times_and_then_let_be() -> None:
    """A batch of office hours: its evenings are no news in the fourth week of them."""
    world, told = World(), []
    for _ in range(6):
        world.run(8 * HOUR, {"rows": beats(20)})
        told.append([a for a in rhythmic(world.run(2 * HOUR, {"rows": quiet})) if a.firing])
    assert [bool(each) for each in told] == [True, True, True, False, False, False]


@pytest.mark.parametrize("cut", [90, 299, 330, 400])
def test_restored_state_equals_uninterrupted(cut: int) -> None:
    outputs, saved = [], []
    for restarts in (False, True):
        world, told = World(), []
        for minute in range(420):
            wave = beats(20) if minute < 300 or minute > 360 else quiet
            told += world.run(1, {"rows": wave})
            if restarts and minute == cut:
                world.restart()
        outputs.append([codec.encode(alert) for alert in told])
        saved.append(world.engine.save())
    assert outputs[0] == outputs[1] and saved[0] == saved[1]
    assert any(b"RhythmLost" in line for line in outputs[0])


def test_a23_the_pool_is_bounded_and_who_has_no_rhythm_makes_room() -> None:
    world = World(rhythm_series_max=2)
    gauges: dict[str, Wave] = {f"noise_{n}": quiet for n in range(4)}
    world.run(HOUR, gauges)
    assert world.count("rhythm_series") == world.count("rhythm_series_max") == 2
    assert world.count("rhythm_waiting") == 2
    off = World(rhythm_series_max=0)
    off.run(5 * HOUR, {"rows": beats(20)})
    assert off.count("rhythm_series") == 0 and off.side.nbytes == 0


def test_f26_values_that_are_none_do_no_harm() -> None:
    world = World()
    bad = [np.nan, np.inf, -np.inf, 1e300, -1e300, 0.0, 1e-300]
    told = world.run(8 * HOUR, {"rows": lambda m, rng: bad[m % 7], "same": lambda m, rng: 5.0})
    assert rhythmic(told) == []
    world.index.evict_stale(START_MS + 10**10)
    assert world.count("rhythm_series") == 0


def test_what_a_rhythm_expects_is_explained_by_it() -> None:
    world = World()
    world.run(6 * HOUR, {"rows": beats(20)})
    row, at = np.array([world.row("rows")] * 3), world.minute + np.array([1, 10, 10])
    values = np.array([15.0, 10.0, 15.0])  # its beat, its rest, a beat at the wrong time
    explained = world.side.expects(row, START_MS + at * 60_000, values)
    assert (world.minute + 1) % 20 < 3 and explained.tolist() == [True, True, False]


def test_a_change_of_variance_is_told_and_a_spike_is_none() -> None:
    """Two days and a bit of peace, then the same mean with six times the noise; information, once."""

    def wave(deviation: float) -> Wave:
        return lambda m, rng: 100 + 30 * np.sin(m / 720 * np.pi) + deviation * rng.normal()

    def spiky(minute: int, rng: np.random.Generator) -> float:
        return 500.0 if minute % 1_700 == 0 else wave(3.0)(minute, rng)

    world = World()
    names = ("wild", "tame", "same", "spiky")
    told = world.run(50 * HOUR, {name: spiky if name == "spiky" else wave(3.0) for name in names})
    told += world.run(
        8 * HOUR, {"wild": wave(18.0), "tame": wave(0.3), "same": wave(3.0), "spiky": spiky}
    )
    unsteady = [alert for alert in told if alert.name == "MetricUnsteady" and alert.firing]
    assert {alert.labels["metric"] for alert in unsteady} == {"wild", "tame"}
    assert {alert.severity for alert in unsteady} == {Severity.INFO}
    assert all(alert.starts_ms >= START_MS + 50 * HOUR * 60_000 for alert in unsteady)
    assert "swings by" in words(unsteady[0])
