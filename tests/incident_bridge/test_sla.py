"""Promises: counted once, announced once, whatever restarts, pauses and clocks do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incident_bridge import sla
from incident_bridge.settings import SlaPolicy, SlaSettings
from incident_bridge.sla import AroundTheClock, SlaNews, advance, next_due_ms, resume, stop
from model.codec import decode, encode
from model.incident import ClockKind, EntryKind, Grouping, Priority, SlaClock
from store import clocks, timeline
from tests.incident_bridge.conftest import House

ALWAYS = AroundTheClock()
RATIOS = (0.5, 0.75, 0.9)
CLOCK = SlaClock("inc1", ClockKind.RESOLUTION, target_ms=1_000, started_ms=0, counted_ms=0)
MINUTE_MS = 60_000


@pytest.mark.parametrize(
    ("now_ms", "news", "ratio"),
    [
        (499, None, None),
        (500, SlaNews.WARNING, 0.5),
        (749, SlaNews.WARNING, 0.5),
        (750, SlaNews.WARNING, 0.75),
        # Two at once are one announcement, of the graver.
        (900, SlaNews.WARNING, 0.9),
        (999, SlaNews.WARNING, 0.9),
        (1_000, SlaNews.BREACHED, 1.0),
        (99_999, SlaNews.BREACHED, 1.0),
    ],
)
def test_what_is_announced_when(now_ms: int, news: SlaNews | None, ratio: float | None) -> None:
    _, found = advance(CLOCK, ALWAYS, now_ms, RATIOS)
    assert (found and found.news, found and found.ratio) == (news, ratio)


def test_each_is_announced_once_also_over_restarts() -> None:
    clock, said = CLOCK, []
    for now_ms in range(0, 3_000, 7):
        clock, news = advance(decode(SlaClock, encode(clock)), ALWAYS, now_ms, RATIOS)
        said += [news.ratio] if news else []
    assert said == [0.5, 0.75, 0.9, 1.0]
    assert clock.breached_ms == 1_000


def test_a_clock_set_back_takes_nothing_away_and_says_nothing_twice() -> None:
    clock, _ = advance(CLOCK, ALWAYS, 600, RATIOS)
    back, news = advance(clock, ALWAYS, 100, RATIOS)
    assert (back, news) == (clock, None)
    assert sla.elapsed_ms(back, ALWAYS, 100) == 600


def test_next_due_is_the_moment_of_the_next_announcement() -> None:
    clock = replace(CLOCK, target_ms=777)
    for ratio in (0.5, 0.75, 0.9, 1.0):
        due_ms = next_due_ms(clock, ALWAYS, RATIOS)
        assert due_ms is not None
        assert advance(clock, ALWAYS, due_ms - 1, RATIOS)[1] is None
        clock, news = advance(clock, ALWAYS, due_ms, RATIOS)
        assert news is not None and news.ratio == ratio
    assert next_due_ms(clock, ALWAYS, RATIOS) is None


def test_a_breach_that_was_none_is_taken_back() -> None:
    # The last alert ended at 900; that was certain only at 1200, after the breach was announced.
    late, _ = advance(CLOCK, ALWAYS, 1_200, RATIOS)
    assert late.breached_ms == 1_000
    ended = stop(late, ALWAYS, 900)
    assert (ended.elapsed_ms, ended.breached_ms, ended.stopped_ms) == (900, None, 900)


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 500)), max_size=30))
def test_f15_only_running_time_counts_as_in_the_obvious_loop(
    spans: list[tuple[bool, int]],
) -> None:
    clock, now_ms, counted = CLOCK, 0, 0
    for running, length_ms in spans:
        clock = resume(clock, now_ms) if running else stop(clock, ALWAYS, now_ms)
        now_ms += length_ms
        clock, _ = advance(clock, ALWAYS, now_ms, RATIOS)
        counted += length_ms if running else 0
    assert sla.elapsed_ms(clock, ALWAYS, now_ms) == counted
    assert (stop(clock, ALWAYS, now_ms).breached_ms is not None) == (counted >= 1_000)


def test_another_priority_is_another_target_on_the_same_time() -> None:
    clock = sla.retarget(CLOCK, ALWAYS, 600, 500)
    assert clock.elapsed_ms == 600
    _, news = advance(clock, ALWAYS, 600, RATIOS)
    assert news is not None and news.news is SlaNews.BREACHED
    breached, _ = advance(CLOCK, ALWAYS, 1_500, RATIOS)
    assert sla.retarget(breached, ALWAYS, 1_500, 9_000).breached_ms is None


@pytest.mark.parametrize(
    ("changes", "response_ms"),
    [
        ({"priority": Priority.P1}, 1),
        ({"priority": Priority.P2, "service": "db"}, 2),
        ({"priority": Priority.P2, "service": "gateway"}, 3),
        ({"priority": Priority.P2, "service": "blog"}, 4),
        ({"priority": Priority.P4, "service": "blog"}, 0),
    ],
)
def test_the_first_policy_that_fits_counts(
    house: House,
    grouping: Callable[..., Grouping],
    changes: dict[str, Priority] | dict[str, Priority | str],
    response_ms: int,
) -> None:
    policies = (
        SlaPolicy((Priority.P1,), response_ms=1),
        SlaPolicy(services=("db",), response_ms=2),
        SlaPolicy(tiers=(1,), response_ms=3),
        SlaPolicy((Priority.P2, Priority.P3), response_ms=4),
    )
    house.take(grouping())
    incident = replace(house.incident(), **changes)
    found = sla.policy_for(incident, SlaSettings(policies), house.bridge.catalogue)
    assert found.response_ms == response_ms


def test_warnings_reach_timeline_and_ticket_once(
    make_house: Callable[..., House], grouping: Callable[..., Grouping]
) -> None:
    policy = SlaPolicy(response_ms=10 * MINUTE_MS, resolution_ms=60 * MINUTE_MS)
    house = make_house(sla=SlaSettings((policy,)))
    house.take(grouping())
    for _ in range(90):
        house.restart()
        house.step(MINUTE_MS)
    texts = [
        e.text.text() for e in house.read(timeline.by_incident, "inc1") if e.kind is EntryKind.SLA
    ]
    assert len(texts) == len(set(texts)) == 8
    assert "nobody responded within 10m: SLA breached" in texts
    assert "75 % of the time to resolve (1h) has passed" in texts
    assert all(c.breached_ms for c in house.read(clocks.by_incident, "inc1"))
