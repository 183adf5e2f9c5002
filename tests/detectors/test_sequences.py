"""Identifiers in lines, and the ones whose lines are unusual."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.keys import identifiers
from detectors.sequences import Odd, Sequences, SequenceSettings

SMALL = SequenceSettings(known_min=80, companions_min=20, idle_ms=60_000)

KEYS = [
    ("req-6f1c2d3e-1111-2222-3333-0123456789ab done", [("req-", "6f1c2d3e-1111-2222-3333-0123456789ab")]),
    ("span 6f1c2d3e11112222 ended", [("hex", "6f1c2d3e11112222")]),
    ('{"traceId": "7ab3f"}', []),  # JSON is taken apart before
    ("traceId=7ab3f sessionID: 99x1", [("traceId", "7ab3f"), ("sessionID", "99x1")]),
    ("container_1445144423722_0020_01_000002 up", [("container_", "1445144423722_0020_01_000002")]),
    # Two of a kind: the first is what the line is about.
    ("copy blk_12345 to blk_67890", [("blk_", "12345")]),
    # Sizes, times, addresses, versions, words with a hyphen, an id without a digit.
    ("size 67108864 at 2026-11-21 22:00 from 10.0.0.1:50010 v-1 half-open valid=true", []),
]  # fmt: skip


@pytest.mark.parametrize(("message", "expected"), KEYS)
def test_identifiers(message: str, expected: list[tuple[str, str]]) -> None:
    assert identifiers(message) == expected


def run(follow: Sequences, courses: list[list[int]], *, first: int = 0) -> list[Odd]:
    """One identifier a second, each meeting its templates at once."""
    odd: list[Odd] = []
    for n, templates in enumerate(courses, first):
        for template in templates:
            odd += follow.line(n * 1000, template, f"job_{10_000 + n} at {template}")
    return odd


def told(odd: list[Odd]) -> list[tuple[str, int | None, int | None]]:
    return [(o.value, o.rare, o.missing) for o in odd]


USUAL = [1, 2, 3]
VERDICTS = [
    # What few meet.
    ([1, 2, 3, 9], (9, None)),
    # What nearly all have beside the others.
    ([1, 2], (None, 3)),
    # In another order, and repeated: neither is unusual.
    ([3, 1, 2, 2, 2], None),
    # A single line is no course of events.
    ([1], None),
]


@pytest.mark.parametrize(("course", "verdict"), VERDICTS)
def test_verdicts(course: list[int], verdict: tuple[int | None, int | None] | None) -> None:
    follow = Sequences(SMALL)
    odd = run(follow, [USUAL] * 150 + [course] + [USUAL] * 100) + follow.finish()
    assert told(odd) == ([("10150", *verdict)] if verdict else [])
    assert follow.odd_total == len(odd)


def test_an_odd_one_among_the_first_waits_for_its_verdict() -> None:
    follow = Sequences(SMALL)
    assert run(follow, [USUAL] * 10 + [[1, 2, 3, 9]] + [USUAL] * 65) == []
    assert told(run(follow, [USUAL] * 100, first=76)) == [("10010", 9, None)]


def test_what_many_begin_to_meet_is_not_told() -> None:
    follow = Sequences(SMALL)
    run(follow, [USUAL] * 100)
    # Long after it rested, each goes on, as all do: deletions begin.
    odd = [o for n in range(100) for o in follow.line(10_000_000, 5, f"job_{10_000 + n} gone")]
    assert odd + follow.finish() == []


def test_what_was_met_before_the_rest_is_not_missing_after_it() -> None:
    follow = Sequences(SMALL)
    run(follow, [[*USUAL, 4]] * 100)
    follow.line(10_000_000, 1, "job_10000 again")
    follow.line(10_000_000, 2, "job_10000 again")
    assert follow.finish() == []


def test_each_is_told_once() -> None:
    follow = Sequences(SMALL)
    odd = run(follow, [USUAL] * 100 + [[1, 2, 3, 9]] + [USUAL] * 100)
    follow.line(10_000_000, 9, "job_10100 again")
    assert told(odd + follow.finish()) == [("10100", 9, None)]


def test_a_template_that_becomes_usual_is_no_longer_told() -> None:
    follow = Sequences(SMALL)
    run(follow, [USUAL] * 300)
    late = run(follow, [[1, 2, 3, 7]] * 300, first=300)
    assert len(late) < 10
    assert run(follow, [[1, 2, 3, 7]] * 100, first=600) + follow.finish() == []


LINES = st.lists(
    st.tuples(st.integers(0, 3000), st.integers(1, 6), st.integers(0, 30)), max_size=120
)


@settings(deadline=None)
@given(LINES, LINES)
def test_restored_it_goes_on_as_the_first(
    before: list[tuple[int, int, int]], after: list[tuple[int, int, int]]
) -> None:
    bounds = SequenceSettings(known_min=5, companions_min=5, idle_ms=500, open_max=8, resting_max=8)
    first, second = Sequences(bounds), Sequences(bounds)

    def feed(follow: Sequences, lines: list[tuple[int, int, int]]) -> list[Odd]:
        return [odd for t, n, key in lines for odd in follow.line(t, n, f"job_{1000 + key} did")]

    feed(first, before)
    second.load(first.save())
    assert second.save() == first.save()
    assert feed(first, after) == feed(second, after)
    assert first.finish() == second.finish()


def test_a16_everything_is_bounded() -> None:
    follow = Sequences(
        SequenceSettings(
            known_min=5, companions_min=5, memory=40, open_max=10, resting_max=10, kinds_max=3,
            templates_max=4,
        )
    )  # fmt: skip
    for n in range(500):
        kind = "abcdefgh"[n % 8] * 2
        follow.line(n, n % 50, f"{kind}_{10_000 + n} x")
    saved = follow.save()
    assert len(saved["kinds"]) == 3
    assert len(saved["open"]) <= 10 and len(saved["resting"]) <= 10
    assert all(len(met) <= 4 for _, _, met, *_ in saved["kinds"])
    assert follow.refused > 0


def test_who_rests_often_while_few_are_known_waits_once() -> None:
    follow = Sequences(SMALL)
    for day in range(40):
        for job in range(5):
            follow.line(day * 1_000_000 + job, 1, f"job_{10_000 + job} at 1")
    # The first one is met before the others are laid to rest, each day.
    (kind,) = follow.save()["kinds"]
    assert kind[4] == [str(10_000 + job) for job in range(1, 5)] and kind[5] == 4 * 39


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="rare_share"):
        SequenceSettings(rare_share=0.7)
    with pytest.raises(ValueError, match="memory"):
        SequenceSettings(memory=10)
