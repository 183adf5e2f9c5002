"""What is done of many at once, beside the obvious loop over one after another."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.derive import Family
from detectors.engine import Engine
from detectors.growth import STRETCHES, grown, may_have_grown
from detectors.history import LENGTH, History
from detectors.settings import DetectorSettings
from detectors.snapshot import unpack
from detectors.trend import median, thin
from model.batch import MetricBatch
from model.labels import Labels
from model.series import SeriesIndex

START_MS = 1_767_571_200_000
_numbers = st.one_of(st.just(math.nan), st.floats(-1e6, 1e6))


@settings(deadline=None)
@given(st.lists(st.lists(_numbers, min_size=12, max_size=12), min_size=1, max_size=5))
def test_medians_with_and_without_what_is_missing(table: list[list[float]]) -> None:
    def naive(row: list[float]) -> float:
        known = sorted(x for x in row if not math.isnan(x))
        half = (len(known) - 1) // 2
        return 0.5 * (known[half] + known[len(known) // 2]) if known else math.nan

    values = np.array(table)
    np.testing.assert_array_equal(median(values), [naive(row) for row in table])
    for by in (1, 3):
        blocks = [[row[at : at + by] for at in range(0, 12, by)] for row in table]
        wanted = [[naive(block) for block in row] for row in blocks]
        np.testing.assert_array_equal(thin(values, by), wanted)
        tops = [
            [max((x for x in b if not math.isnan(x)), default=math.nan) for b in row]
            for row in blocks
        ]
        np.testing.assert_array_equal(thin(values, by, peaks=True), tops)


@settings(deadline=None, max_examples=200)
@given(st.integers(0, 2**32 - 1), st.sampled_from((1_000, 15_000)))
def test_no_leak_is_passed_over_at_a_glance(seed: int, step_ms: int) -> None:
    rng = np.random.default_rng(seed)
    history, rows = History(watched_max=6), np.arange(6)
    for row in rows.tolist():
        history.watch(row)
    slope = rng.choice([0.0, 1e6, 3e6, 1e7], 6)
    length = int(rng.integers(1, LENGTH + 30))
    begin = int(rng.integers(0, LENGTH))
    for at in range(length):
        level = 1e8 + slope * max(0, at - begin) + rng.normal(0.0, 1e4, 6)
        zeros = np.zeros(6)
        history.add(rows, np.full(6, START_MS + at * step_ms), level, zeros, zeros)
    before = [history.back(rows, stretch.steps) for stretch in STRETCHES]
    may = may_have_grown(history.back(rows, 0), before)
    leaking, _, _ = grown(*history.matrix(rows), np.full(6, float(step_ms)))
    assert not (leaking & ~may).any()


def test_a_steady_leak_is_among_those_that_are_looked_at() -> None:
    history, row = History(watched_max=1), np.array([0])
    history.watch(0)
    for at in range(LENGTH):
        level = np.array([1e8 + 3e6 * max(0, at - 60)])
        history.add(row, np.array([START_MS + 1_000 * at]), level, level, level)
    before = [history.back(row, stretch.steps) for stretch in STRETCHES]
    assert may_have_grown(history.back(row, 0), before).tolist() == [True]
    assert grown(*history.matrix(row), np.array([1_000.0]))[0].tolist() == [True]


def test_a_history_says_none_of_what_is_no_number() -> None:
    history, row = History(watched_max=1), np.array([0])
    history.watch(0)
    for at_ms, low in ((1_000, 1.0), (2_000, -math.inf), (3_000, math.nan)):
        one = np.array([2.5])
        history.add(row, np.array([at_ms]), one, np.array([low]), one)
    times, values, lows, highs = history.of(0)
    assert (times, values, highs) == ((1_000, 2_000, 3_000), (2.5,) * 3, (2.5,) * 3)
    assert lows == (1.0, None, None)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(("add", "forget", "sample")), st.integers(0, 11), st.integers(0, 3)
        ),
        max_size=60,
    )
)
def test_sums_are_those_of_each_groups_own_inputs(steps: list[tuple[str, int, int]]) -> None:
    family, inputs = Family(("requests", "errors"), counters=True), dict[int, tuple[int, int]]()
    values, now_ms = np.zeros(16), START_MS
    of_both = ("requests", "errors")
    for what, row, number in steps:
        labels = Labels.of({"service": f"s{number}"})
        if what == "add" and row not in inputs:
            family.add(row, labels, of_both[: 1 + row % 2])
            inputs[row] = number, row % 2
        elif what == "forget" and row in inputs:
            family.forget(np.array([row]))
            del inputs[row]
        elif what == "sample" and row in inputs:
            now_ms += 1_000
            values[row] += 1.0 + row
            family.touch(np.array([row]), np.array([now_ms]))
            groups, _, sums = family.gather(values)
            of = inputs[row][0]
            wanted = [
                sum(values[r] for r, (n, errors) in inputs.items() if n == of and errors >= field)
                for field in (0, 1)
            ]
            assert [family.service(group) for group in groups.tolist()] == [f"s{of}"]
            np.testing.assert_allclose(sums, [wanted])
            saved = family.save("x")
            family = Family(of_both, counters=True)  # as after a restart
            family.load("x", *saved)


SERIES = (
    {"__name__": "http_requests_total", "service": "cart", "code": "500"},
    {"__name__": "http_request_duration_seconds_bucket", "service": "cart", "le": "0.1"},
    {"__name__": "process_resident_memory_bytes", "service": "cart"},
    {"__name__": "orders_queue_length", "service": "cart"},
    {"__name__": "orders_queue_capacity", "service": "cart"},
    {"__name__": "app_storage_used_bytes", "service": "cart"},
    {"__name__": "cache_evictions_total", "service": "cart"},
    {"__name__": "probe_success", "service": "cart"},
    {"__name__": "probe_duration_seconds", "service": "cart"},
    {"__name__": "traces_service_graph_request_total", "client": "a", "server": "b"},
    {"__name__": "node_load1", "instance": "h"},
    {"__name__": "go_info", "service": "cart"},
    {"__name__": "up", "service": "cart"},
    {"__name__": "temperature", "service": "cart"},
)


def test_series_met_together_are_what_they_are_met_one_by_one() -> None:
    found = []
    for size in (len(SERIES) * 3, 1):
        index = SeriesIndex()
        many = [{**labels, "job": f"j{n}"} for n in range(3) for labels in SERIES]
        rows = [index.intern(Labels.of(one), now_ms=START_MS) for one in many]
        engine = Engine(DetectorSettings(), index)
        for second in range(3):
            at_ms = START_MS + 1_000 * second
            for at in range(0, len(rows), size):
                part = rows[at : at + size]
                values = [1.0 + row + second for row in part]
                engine.take(MetricBatch.of(part, at_ms, values, arrival_ms=at_ms), now_ms=at_ms)
            engine.step(at_ms)
        arrays, state = unpack(engine.save())
        names = ("meta.kind", "meta.role", "meta.family")
        met = [arrays[name].tolist() for name in names], state["watchers"]["forecast"]["tracks"]
        found.append(met)
    assert found[0] == found[1]
    assert len(set(found[0][0][0])) > 5  # kinds: there is something to mistake
