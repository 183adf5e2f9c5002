"""The full tier in the live engine: who is in, what it tells, and that it all survives a restart and an attack."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.engine import Engine
from detectors.fullside import FullSide
from detectors.knowledge import Knowledge
from detectors.settings import DetectorSettings
from detectors.snapshot import pack, unpack
from detectors.tiers import ALARMED, MOVES_MAX, NOBODY, OTHER, SIGNAL, SIGNAL_TIER_1, plan
from model import codec
from model.alert import Alert, Severity
from model.batch import MetricBatch
from model.labels import Labels
from model.series import SeriesIndex

START_MS = 1_800_000_000_000
STEP_MS = 60_000
DAY = 1_500
PLACE = 3_790  # bytes, about


class Bench:
    """Services with a CPU of a few millicores each, and whatever gauges are added."""

    def __init__(self, services: int = 3, places: int = 1_000, **settings: float) -> None:
        self.settings = DetectorSettings(full_memory_bytes=places * PLACE, **settings)  # type: ignore[arg-type]
        self.knowledge = Knowledge(tiers={"s0": 1, "s1": 2})
        self.index = SeriesIndex(series_max=30_000)
        self.engine = Engine(self.settings, self.index, knowledge=self.knowledge)
        self.rng, self.at = np.random.default_rng(2), 0
        self.names = [f"s{n}" for n in range(services)]
        self.total = np.zeros(services)
        self.load = np.full(services, 0.005)

    @property
    def now_ms(self) -> int:
        return START_MS + self.at * STEP_MS

    def row(self, name: str, service: str, **more: str) -> int:
        labels = {"__name__": name, "service": service, **more}
        return self.index.intern(Labels.of(labels), now_ms=self.now_ms)

    def run(self, steps: int, gauges: tuple[int, ...] = (), value: float = 10.0) -> list[Alert]:
        told = []
        cpu = [self.row("process_cpu_seconds_total", s, instance=f"{s}:1") for s in self.names]
        for _ in range(steps):
            self.at += 1
            noise = self.rng.normal(1.0, 0.1, len(self.names))
            self.total += np.maximum(self.load * noise, 0.0) * STEP_MS / 1000
            values = np.r_[self.total, self.rng.normal(value, 0.1, len(gauges))]
            batch = MetricBatch.of([*cpu, *gauges], self.now_ms, values, arrival_ms=self.now_ms)
            told += self.engine.take(batch, now_ms=self.now_ms) + self.engine.step(self.now_ms)
        return told

    def restored(self, data: bytes) -> None:
        index = SeriesIndex(series_max=30_000)
        index.load(self.index.save())
        engine = Engine(self.settings, index, knowledge=self.knowledge)
        engine.load(data)
        self.index, self.engine = index, engine

    @property
    def side(self) -> FullSide:
        return next(w for w in self.engine._watchers if isinstance(w, FullSide))

    def members(self) -> set[str]:
        rows = self.side._full.members.by_slot["row"]
        return {str(self.index.labels(row)) for row in rows[rows >= 0].tolist()}

    def count(self, name: str) -> float:
        return self.engine.counters()[f"tocsin_detector_full_{name}"]


def decide(
    ranks: list[int],
    member: list[int],
    settled: bool = True,
    places: int = 3,
    of: list[int] | None = None,
) -> tuple[list[int], list[int], int]:
    count = len(ranks)
    inside = np.array(member, dtype=np.bool_)
    moves = plan(
        np.array(ranks, dtype=np.int8), inside, inside & settled, np.ones(count, dtype=np.bool_),
        np.arange(count) if of is None else np.array(of), places,
    )  # fmt: skip
    return moves.leave.tolist(), moves.enter.tolist(), moves.waiting


@pytest.mark.parametrize(
    ("ranks", "member", "settled", "wanted"),
    [
        # There is room: all of any rank, the best first.
        ([SIGNAL, NOBODY, SIGNAL_TIER_1], [0, 0, 0], True, ([], [2, 0], 0)),
        # No room: the best.
        ([OTHER, SIGNAL, SIGNAL, SIGNAL, SIGNAL], [0, 0, 0, 0, 0], True, ([], [1, 2, 3], 2)),
        # Among equals who is in stays.
        ([SIGNAL] * 4, [1, 1, 1, 0], True, ([], [], 1)),
        # One of higher rank takes the place of the least.
        ([SIGNAL, OTHER, ALARMED, SIGNAL_TIER_1], [1, 1, 1, 0], True, ([1], [3], 0)),
        # Not within the hour after it came.
        ([SIGNAL, OTHER, ALARMED, SIGNAL_TIER_1], [1, 1, 1, 0], False, ([], [], 1)),
        # Who has no rank any more leaves.
        ([SIGNAL, NOBODY, OTHER], [1, 1, 0], True, ([1], [2], 0)),
    ],
)
def test_who_moves(
    ranks: list[int], member: list[int], settled: bool, wanted: tuple[list[int], list[int], int]
) -> None:
    assert decide(ranks, member, settled) == wanted


def test_a23_one_service_does_not_take_all_places() -> None:
    count = 5_000
    ranks = [SIGNAL_TIER_1] * count + [SIGNAL] * 10
    _, enter, waiting = decide(ranks, [0] * (count + 10), places=2_000, of=[7] * count + [8] * 10)
    assert len(enter) == 500 + 10 and set(range(count, count + 10)) <= set(enter)
    assert waiting == count - 500
    many = [SIGNAL] * (MOVES_MAX + 5)
    assert len(decide(many, [0] * len(many), places=10**6)[1]) == MOVES_MAX


def test_signals_enter_when_they_are_known_and_memory_is_taken_as_needed() -> None:
    bench = Bench(places=100_000)
    gauge, other = bench.row("depth", "s0"), bench.row("depth", "s2")
    bench.run(10, (gauge, other))
    assert bench.count("series") == 0 and bench.count("bytes") == 0
    bench.run(30, (gauge, other))
    assert bench.count("series") == 4 and bench.count("bytes") < 2_000_000
    assert bench.members() >= {str(bench.index.labels(gauge))}  # of a service of tier 1
    assert str(bench.index.labels(other)) not in bench.members()
    off = Bench(places=0)
    off.run(60)
    assert off.count("series") == 0


def test_a23_a_label_that_is_always_new_never_gets_in_and_evicts_nobody() -> None:
    bench = Bench(services=20, places=120)
    bench.run(40)
    before = bench.members()
    assert len(before) == 20
    for attack in range(30):
        flood = tuple(bench.row("depth", "s0", id=f"{attack}-{n}") for n in range(300))
        bench.run(1, flood)
    assert bench.members() == before
    # Even those that stay get in only where there is room: the signals are not moved.
    bench.run(60, tuple(bench.row("depth", "s0", id=f"0-{n}") for n in range(300)))
    assert before <= bench.members() and bench.count("series") <= bench.count("series_max")
    assert bench.count("waiting") > 0 and bench.count("left_total") == 0


def test_f26_churn_of_series_leaves_the_tier_bounded_and_whole() -> None:
    bench = Bench(services=10, places=200)
    bench.run(40)
    core = bench.members()
    for generation in range(8):
        some = tuple(bench.row("depth", "s0", pod=f"{generation}-{n}") for n in range(400))
        bench.run(25, some)
        bench.index.evict_stale(bench.now_ms - 20 * STEP_MS)
        bench.engine.step(bench.now_ms)
    assert core <= bench.members() and bench.count("series") <= bench.count("series_max")
    assert bench.count("bytes") < 200 * PLACE * 5 // 4
    assert bench.count("entered_total") - bench.count("left_total") == bench.count("series")


def watch(bench: Bench) -> list[Alert]:
    """A day of peace, then a small pod uses sixteen times what it did for eight minutes."""
    told = bench.run(DAY)
    bench.load[2] = 0.08
    told += bench.run(8)
    bench.load[2] = 0.005
    return told + bench.run(20)


def test_a_small_pod_that_is_far_off_for_minutes_is_told_once_and_explained() -> None:
    told = watch(Bench())
    (key,) = {alert.key for alert in told}
    first, last = told[0], told[-1]
    assert (first.name, first.service, first.severity) == ("MetricUnusual", "s2", Severity.WARNING)
    assert 120_000 <= first.arrival_ms - first.starts_ms <= 180_000
    assert not last.firing and [a.firing for a in told].count(False) == 1
    found = first.evidence
    assert found is not None and found.component and found.value is not None
    assert found.low is not None and found.high is not None and found.high < 0.02 < found.value
    assert found.once_in_ms >= 86_400_000
    assert len(found.lows) == len(found.highs) == len(found.times_ms) > 100
    assert first.summary is not None and "by chance once in" in first.summary.text()


def test_nothing_is_told_in_peace_nor_of_what_is_short_or_small() -> None:
    bench = Bench()
    told = bench.run(DAY)
    for load, steps in ((0.08, 1), (0.008, 40)):  # a minute; less than twice
        bench.load[:] = load
        told += bench.run(steps)
        bench.load[:] = 0.005
        told += bench.run(60)
    assert told == []


@pytest.mark.parametrize("cut", [500, DAY + 1, DAY + 4, DAY + 12])
def test_restored_state_equals_uninterrupted(cut: int) -> None:
    whole, parted = Bench(), Bench()
    outputs: list[list[bytes]] = []
    for bench, restarts in ((whole, False), (parted, True)):
        told: list[Alert] = []
        for step in range(DAY + 28):
            bench.load[2] = 0.08 if DAY <= step < DAY + 8 else 0.005
            told += bench.run(1)
            if restarts and step == cut:
                bench.restored(bench.engine.save())
        outputs.append([codec.encode(alert) for alert in told])
    assert outputs[0] and outputs[0] == outputs[1]
    assert whole.engine.save() == parted.engine.save()


def test_f27_a_snapshot_without_the_tier_or_of_another_version_begins_anew() -> None:
    bench = Bench()
    bench.run(60)
    arrays, state = unpack(bench.engine.save())
    mine = {name for name in arrays if name.startswith("fullside.")}
    older = {name: array for name, array in arrays.items() if name not in mine}
    watchers = {name: plain for name, plain in state["watchers"].items() if name != "fullside"}
    changed = dict(arrays) | {"fullside.tier.levels.mean": np.zeros(1, dtype=np.float32)}
    for data in (pack(older, {**state, "watchers": watchers}), pack(changed, state)):
        bench.restored(data)
        assert bench.count("series") == 0
        assert bench.run(40) == [] and bench.count("series") == 3


def test_a_smaller_budget_keeps_those_that_matter_most() -> None:
    bench = Bench(services=8, places=400)
    bench.run(60, tuple(bench.row("depth", "s0", id=str(n)) for n in range(60)))
    assert bench.count("series") == 68
    data = bench.engine.save()
    bench.settings = DetectorSettings(full_memory_bytes=10 * PLACE)
    bench.restored(data)
    assert 8 <= bench.count("series") <= 10
    assert sum("cpu_cores" in labels for labels in bench.members()) == 8
    assert bench.run(20) == []


def test_an_unknown_metric_is_information_and_gives_way_to_the_baseline() -> None:
    bench = Bench()
    gauge = (bench.row("depth", "s0"),)
    assert bench.run(960, gauge) == []
    told = bench.run(60, gauge, value=25.0)
    assert {(a.name, a.severity) for a in told} == {
        ("MetricUnusual", Severity.INFO),
        ("LevelShift", Severity.INFO),
    }
    mine = [a for a in told if a.name == "MetricUnusual"]
    other = next(a for a in told if a.name == "LevelShift")
    over = [a for a in mine if not a.firing]
    assert len(over) == 1 and mine[-1] is over[0] and mine[0].arrival_ms < other.arrival_ms
    assert over[0].summary is not None
    assert over[0].summary.text() == "another alert tells of the same signal"
    assert other.evidence is not None and other.evidence.component and other.evidence.once_in_ms
    # Nothing of it was learnt, nor is the old level odd when it comes back.
    assert {a.name for a in bench.run(60, gauge)} == {"LevelShift"}


def test_on_the_first_day_it_is_but_information() -> None:
    bench = Bench()
    assert bench.run(600) == []
    bench.load[2] = 0.08
    assert {(a.name, a.severity) for a in bench.run(8)} == {("MetricUnusual", Severity.INFO)}
