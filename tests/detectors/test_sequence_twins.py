"""Identifiers followed by the block, on shared courses, give what following them line by line gives, to the letter."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.bare import Bare
from detectors.sequences import Sequences, SequenceSettings
from tests.detectors.naive_sequences import Sequences as Naive

Event = tuple[int, int, int, int]
"""Milliseconds since the one before (some go back), template, identifier, and another one or none."""

EVENTS = st.lists(
    st.tuples(st.integers(-300, 900), st.integers(1, 5), st.integers(0, 12), st.integers(-8, 4)),
    max_size=150,
)
BOUNDS = st.sampled_from(
    (
        {"known_min": 5, "companions_min": 5, "open_max": 6, "resting_max": 7, "idle_ms": 2_000},
        {"known_min": 3, "companions_min": 2, "rare_share": 0.3, "missing_share": 0.4, "idle_ms": 1_000},
        {"known_min": 2, "companions_min": 2, "rare_share": 0.2, "missing_share": 0.45, "memory": 9},
        {"known_min": 2, "memory": 8, "templates_max": 3, "kinds_max": 1, "open_max": 3, "resting_max": 2},
        {"known_min": 2, "open_max": 0, "resting_max": 0, "memory": 8},
    )
)  # fmt: skip


def lines_of(events: list[Event]) -> list[tuple[list[tuple[str, str]], int, int, str]]:
    """Lines with one identifier or two, of kinds that share values."""
    lines, at = [], 10_000
    for number, (passed_ms, template, one, other) in enumerate(events):
        at += passed_ms
        names = [("job_", str(1000 + one))] if one != 12 else []
        names += [("task_", str(1000 + other))] if other >= 0 else []
        lines.append((names, at, template, f"line {number} " + "x" * (310 * (number % 7 == 0))))
    return lines


def plain(saved: dict[str, Any]) -> dict[str, Any]:
    """A snapshot; what waits for its verdict waits once."""
    for kind in saved["kinds"]:
        kind[4] = list(dict.fromkeys(kind[4]))
    return saved


def twins(
    events: list[Event],
    bounds: dict[str, Any],
    size: int,
    merges: dict[int, int],
    courses_bytes_max: int = 10**7,
) -> None:
    told = SequenceSettings(**bounds)
    block, naive = Sequences(told, courses_bytes_max=courses_bytes_max), Naive(told)
    lines = lines_of(events)
    for number, begin in enumerate(range(0, len(lines), size)):
        if number == 3:
            block.merge(merges)
            naive.merge(merges)
        part = lines[begin : begin + size]
        one_by_one = [odd for line in part for odd in naive.meet(*line)]
        assert list(map(repr, block.take(part))) == list(map(repr, one_by_one))
        if number % 4 == 1:
            assert plain(block.save()) == plain(naive.save())
        if number == 2:  # what the code before has saved is gone on with
            block = Sequences(told, courses_bytes_max=courses_bytes_max)
            block.load(naive.save())
    assert list(map(repr, block.finish())) == list(map(repr, naive.finish()))
    assert plain(block.save()) == plain(naive.save())


@settings(deadline=None, max_examples=100)
@given(EVENTS, BOUNDS, st.sampled_from([1, 5, 40, 1000]), st.sampled_from([{}, {3: 1}, {4: 2, 5: 1}]))  # fmt: skip
def test_a_block_equals_its_lines(
    events: list[Event], bounds: dict[str, Any], size: int, merges: dict[int, int]
) -> None:
    twins(events, bounds, size, merges)


@pytest.mark.parametrize("bytes_max", [0, 3_000, 40_000])
def test_many_odd_ones_and_courses_that_are_forgotten(bytes_max: int) -> None:
    """Long enough that verdicts hold for many rests, and then no more; the table of courses begins anew meanwhile."""
    rng = np.random.default_rng(3)
    events: list[Event] = []
    for number in range(3_000):
        odd = rng.random() < 0.03
        usual = [1, 2, 3] if number < 1_500 or odd else [1, 2, 4, 3]
        for template in usual[:2] if rng.random() < 0.02 else [*usual, 5] if odd else usual:
            events.append((int(rng.integers(-5, 40)), template, number % 11, number % 3 - 1))
        events.append((2_000 * (number % 40 == 0), 1, 12, -1))
    bounds = {"known_min": 5, "companions_min": 5, "idle_ms": 200, "memory": 60}
    twins(events, bounds, 500, {5: 3}, bytes_max)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("bounds", [{}, {"memory": 240}, {"companions_min": 60}])
def test_verdicts_change_when_the_counts_have(seed: int, bounds: dict[str, Any]) -> None:
    """Half of them lack a template, then hardly any; and one that few meet was forgotten meanwhile."""
    rng = np.random.default_rng(seed)
    events: list[Event] = []
    for number in range(900):
        lacking = rng.random() < (0.5 if number < 200 else 0.05)
        rare = rng.random() < (0.03 if number % 300 < 60 else 0.0)
        ways = [1, 2] if lacking else [1, 2, 3]
        for template in [*ways, 4] if rare else ways:
            events.append((5, template, number % 12 if rng.random() < 0.1 else number + 13, -1))
    told = {
        "known_min": 5,
        "companions_min": 20,
        "idle_ms": 100,
        "rare_share": 0.01,
        "memory": 2_000,
    }
    twins(events, told | {"missing_share": 0.2} | bounds, 100, {})


def test_courses_are_bounded() -> None:
    """A storm in which every identifier goes another way."""
    most = 500_000
    follow = Sequences(SequenceSettings(open_max=50, resting_max=50), courses_bytes_max=most)
    rng = np.random.default_rng(1)
    for number in range(200):
        ways = rng.permutation(60)[:40].tolist()
        names = [("job_", str(number))]
        follow.take([(names, number, template, "a line") for template in ways])
    held = follow._courses_bytes
    assert 0 < held <= most + 5_000
    assert len(follow._courses) <= held // 1_000
    reached = {id(c) for c in follow._courses.values()} | {id(k.start) for k in follow._kinds.values()}  # fmt: skip
    for course in follow._courses.values():
        for after in (*course.again.values(), *course.first.values()):
            assert id(after) in reached


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.tuples(st.integers(1, 4), st.integers(0, 9)), min_size=64, max_size=400),
    st.sampled_from([0, 1, 9, 10]),
    st.dictionaries(st.integers(1, 5), st.integers(0, 70), max_size=4),
)
def test_which_lines_are_looked_at(
    lines: list[tuple[int, int]], named: int, counts: dict[int, int]
) -> None:
    templates = np.array([template for template, _ in lines], dtype=np.int32)
    names = np.array([template % 2 == 0 and at >= named for template, at in lines])
    block, single = Bare(counts.items()), Bare(counts.items())
    looked = [
        at
        for at in range(len(lines))
        if len(single.looked(templates[at : at + 1], names[at : at + 1]))
    ]
    assert block.looked(templates, names).tolist() == looked
    assert block.items() == single.items()
