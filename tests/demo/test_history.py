"""The simulated past: the same each time, shaped like the real shop, and plausible."""

from __future__ import annotations

import numpy as np
import pytest

from model.alert import Severity
from model.batch import is_stale
from model.catalogue import Catalogue, Team
from model.incident import ActKind, Incident, IncidentState, Priority
from model.reason import because
from model.series import NAME, SeriesIndex
from pipeline.demo.blueprint import SHOP
from pipeline.demo.history import CALM_STEPS, STEP_MS, History
from pipeline.demo.operators import Operators
from pipeline.demo.troubles import DAY_MS, KINDS, draw_troubles

START_MS = 20_000 * DAY_MS
MONTH = {"start_ms": START_MS, "end_ms": START_MS + 30 * DAY_MS}


def play(seed: int = 1) -> tuple[SeriesIndex, History]:
    index = SeriesIndex()
    return index, History(index, **MONTH, seed=seed)


@pytest.fixture(scope="module")
def month() -> tuple[SeriesIndex, History]:
    return play()


def column(
    month: tuple[SeriesIndex, History], service: str, **labels: str
) -> tuple[np.ndarray, np.ndarray]:
    """Times and values of one series over the month."""
    index, history = month
    wanted = {"service": service, **{NAME if n == "name" else n: v for n, v in labels.items()}}
    (row,) = [r for r in index.rows() if wanted.items() <= dict(index.labels(r)).items()]
    times, values = [], []
    for step in history:
        for batch in step.batches:
            found = np.flatnonzero(batch.rows == row)
            times += batch.times_ms[found].tolist()
            values += batch.values[found].tolist()
    return np.array(times), np.array(values)


def fingerprint(history: History) -> list[object]:
    return [
        (s.now_ms, s.changes, [(b.rows.tobytes(), b.values.tobytes()) for b in s.batches])
        for s in history
    ]


def test_the_same_seed_gives_the_same_month_and_another_another() -> None:
    first, again, other = (fingerprint(play(seed)[1]) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_steps_follow_each_other_and_hold_one_sample_of_each_series(
    month: tuple[SeriesIndex, History],
) -> None:
    _, history = month
    steps = list(history)
    assert len(steps) == len(history) > 30 * 120
    gaps_ms = {b.now_ms - a.now_ms for a, b in zip(steps, steps[1:], strict=False)}
    assert gaps_ms <= {STEP_MS, 2 * STEP_MS, CALM_STEPS * STEP_MS}
    for step in steps[:50]:
        (batch,) = step.batches
        assert len(np.unique(batch.rows)) == len(batch)
        assert (batch.times_ms == step.now_ms).all()


def test_while_something_goes_on_no_sample_is_left_out(
    month: tuple[SeriesIndex, History],
) -> None:
    _, history = month
    times = [step.now_ms for step in history]
    for trouble in history.troubles:
        here = [t for t in times if trouble.start_ms - STEP_MS <= t < trouble.end_ms + STEP_MS]
        assert np.diff(here).max() == STEP_MS


def test_every_change_is_told_once_in_its_own_step(
    month: tuple[SeriesIndex, History],
) -> None:
    _, history = month
    told = [(step.now_ms, change) for step in history for change in step.changes]
    assert [change for _, change in told] == [
        c for c in history.changes if c.time_ms <= told[-1][0]
    ]
    assert all(0 <= now_ms - c.time_ms < CALM_STEPS * STEP_MS for now_ms, c in told)
    assert all(change.simulated for _, change in told)
    brought = [t for t in history.troubles if t.kind == "deploy"]
    for trouble in brought:
        before = [c for c in history.changes if 0 < trouble.start_ms - c.time_ms <= 240_000]
        assert trouble.service in {c.service for c in before}


def test_series_are_marked_and_named_as_the_real_ones(
    month: tuple[SeriesIndex, History],
) -> None:
    index, _ = month
    labels = [index.labels(row) for row in index.rows()]
    assert all(each["simulated"] == "true" and each["job"] == "shop-history" for each in labels)
    assert {each["service"] for each in labels} == set(SHOP)
    assert index.kind("http_requests_total") == "counter"
    assert index.kind("http_request_duration_seconds") == "histogram"


@pytest.mark.parametrize("seed", range(20))
def test_troubles_are_many_various_and_apart(seed: int) -> None:
    troubles = draw_troubles(**MONTH, seed=seed)
    assert 15 <= len(troubles) <= 25
    assert {trouble.kind for trouble in troubles} == set(KINDS)
    for before, after in zip(troubles, troubles[1:], strict=False):
        assert after.start_ms - before.end_ms > 30 * 60_000
    assert troubles[0].start_ms >= START_MS + 2 * DAY_MS
    assert troubles[-1].end_ms <= MONTH["end_ms"]


def test_a_short_past_has_no_troubles() -> None:
    assert draw_troubles(0, DAY_MS, seed=1) == ()


def test_buckets_are_cumulative_and_end_at_the_count(
    month: tuple[SeriesIndex, History],
) -> None:
    index, history = month
    bounds: dict[float, int] = {}
    for row in index.rows():
        labels = index.labels(row)
        name = labels[NAME]
        if labels["service"] == "gateway" and name == "http_request_duration_seconds_bucket":
            bounds[float(labels["le"])] = row
    batch = next(iter(history)).batches[0]
    values = dict(zip(batch.rows.tolist(), batch.values.tolist(), strict=True))
    counts = [values[bounds[bound]] for bound in sorted(bounds)]
    assert counts == sorted(counts)
    assert counts[0] < counts[-1]
    _, count = column(month, "gateway", name="http_request_duration_seconds_count")
    assert count[0] == counts[-1]


def test_a_killed_process_is_down_goes_stale_and_counts_from_zero(
    month: tuple[SeriesIndex, History],
) -> None:
    _, history = month
    trouble = next(t for t in history.troubles if t.kind == "down")
    times, up = column(month, trouble.service, name="up")
    during = (times >= trouble.start_ms) & (times < trouble.end_ms)
    assert during.any()
    assert (up[during] == 0).all()
    times, cpu = column(month, trouble.service, name="process_cpu_seconds_total")
    here = (times >= trouble.start_ms) & (times < trouble.end_ms)
    assert is_stale(cpu[here]).tolist() == [True]
    after = np.flatnonzero(times >= trouble.end_ms)[0]
    assert cpu[after] < cpu[np.flatnonzero(here)[0] - 1]


def test_callers_suffer_with_the_culprit(month: tuple[SeriesIndex, History]) -> None:
    _, history = month
    trouble = next(t for t in history.troubles if t.kind == "down" and t.service != "gateway")
    times, failed = column(month, "gateway", name="http_requests_total", code="500")
    rate = np.diff(failed) / np.diff(times)
    during = (times[1:] >= trouble.start_ms) & (times[1:] < trouble.end_ms)
    assert rate[during].min() > 5 * np.median(rate[~during])


def incident(name: str, state: IncidentState = IncidentState.OPEN, opened_ms: int = 0) -> Incident:
    return Incident(
        id=name,
        state=state,
        state_since_ms=opened_ms,
        title=because("t"),
        service="cart",
        services=("cart",),
        severity=Severity.CRITICAL,
        priority=Priority.P1,
        impact=1,
        urgency=1,
        team="orders",
        began_ms=opened_ms,
        opened_ms=opened_ms,
        updated_ms=opened_ms,
    )


CATALOGUE = Catalogue.of([], [Team("orders", ("chen", "dana"))])
NOON_MS = 12 * 3_600_000
DAY_END_MS = NOON_MS + 10 * 3_600_000


def test_operators_acknowledge_after_minutes_in_their_own_name() -> None:
    operators = Operators(CATALOGUE, seed=1)
    incidents = [incident(f"i{n}", opened_ms=NOON_MS) for n in range(200)]
    assert operators.take(incidents, now_ms=NOON_MS) == []
    acts = operators.take([], now_ms=DAY_END_MS)
    acks = [act for act in acts if act.kind is ActKind.ACKNOWLEDGE]
    waits_ms = sorted(act.time_ms - NOON_MS for act in acks)
    assert 170 <= len(acks) < 200  # some are overlooked
    assert 2 * 60_000 < waits_ms[len(waits_ms) // 2] < 4 * 60_000
    assert {act.actor for act in acks} == {"chen", "dana"}
    assert [act.time_ms for act in acts] == sorted(act.time_ms for act in acts)
    assert len({act.id for act in acts}) == len(acts)


def test_operators_do_the_same_each_time_and_nothing_twice() -> None:
    one, two = Operators(CATALOGUE, seed=1), Operators(CATALOGUE, seed=1)
    incidents = [incident(f"i{n}", opened_ms=NOON_MS) for n in range(20)]
    one.take(incidents, now_ms=NOON_MS)
    for each in reversed(incidents):
        two.take([each, each], now_ms=NOON_MS)
    first = one.take(incidents, now_ms=DAY_END_MS)
    assert first == two.take([], now_ms=DAY_END_MS)
    assert first
    assert one.take(incidents, now_ms=DAY_END_MS) == []


def test_nobody_acknowledges_what_is_over() -> None:
    operators = Operators(CATALOGUE, seed=1)
    incidents = [incident(f"i{n}", opened_ms=NOON_MS) for n in range(20)]
    operators.take(incidents, now_ms=NOON_MS)
    over = [incident(each.id, IncidentState.RESOLVED, NOON_MS) for each in incidents]
    assert operators.take(over, now_ms=DAY_END_MS) == []


def test_people_are_slower_at_night() -> None:
    def median_wait_ms(opened_ms: int) -> float:
        operators = Operators(CATALOGUE, seed=1)
        operators.take(
            [incident(f"i{n}", opened_ms=opened_ms) for n in range(50)], now_ms=opened_ms
        )
        acts = operators.take([], now_ms=opened_ms + DAY_MS)
        waits = [a.time_ms - opened_ms for a in acts if a.kind is ActKind.ACKNOWLEDGE]
        return float(np.median(waits))

    assert median_wait_ms(2 * 3_600_000) > 1.5 * median_wait_ms(NOON_MS)
