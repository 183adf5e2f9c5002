"""Objectives as a watcher of the engine: what fires when, in virtual time."""

from __future__ import annotations

import pytest

from detectors.slo_objective import Budget
from detectors.slo_rules import PAIRS, burns
from model.alert import Alert
from model.slo import DAY_MS, Objective, ObjectiveKind
from tests.detectors.slo_world import BURN, HOUR, INTERVAL, MINUTE, SHOP, START, World, fired


def test_two_lines_of_configuration_are_enough() -> None:
    assert (SHOP.name, SHOP.objective, SHOP.window_ms) == ("shop-availability", 99.9, 30 * DAY_MS)


def test_an_outage_pages_and_ends_with_its_short_window() -> None:
    world = World(SHOP)
    world.run(2 * HOUR, errors=0.0005)
    assert world.told == []
    began_ms = world.now_ms
    found = world.run(10 * MINUTE, errors=0.3)
    assert fired(found) == [(BURN, "critical")]
    # 2 % of the month's budget at 30 % failures: 173 s.
    assert 150_000 <= found[0].starts_ms - began_ms <= 200_000
    assert found[0].labels["slo"] == "shop-availability"
    over_ms = world.now_ms
    found = world.run(8 * HOUR, errors=0.0005, every=30_000)
    ended = [a for a in found if not a.firing]
    assert len(ended) == 1 and ended[0].ends_ms is not None
    assert 4 * MINUTE <= ended[0].ends_ms - over_ms <= 6 * MINUTE
    # What was paged leaves nothing slower behind.
    assert fired([a for a in found if a.starts_ms > over_ms]) == []


def test_the_sentence_and_the_evidence() -> None:
    world = World(SHOP)
    world.run(2 * HOUR)
    found = world.run(10 * MINUTE, errors=0.2)
    alert = found[-1]
    assert alert.summary is not None and alert.evidence is not None
    said = alert.summary.text()
    assert said.startswith("shop burns its error budget ")
    assert "requests failed in the last 1h; what is left for 30d is gone in " in said
    evidence = alert.evidence
    assert evidence.component == "burn rate 1h/5m"
    assert evidence.threshold == 14.4 and evidence.score >= 14.4
    assert len(evidence.times_ms) == len(evidence.values) == len(evidence.highs) >= 30
    assert set(evidence.highs) == {14.4}
    # It was quiet, then it burns: 20 % of a budget of 0.1 % is 200 times too fast.
    assert evidence.values[0] == 0.0 and evidence.values[-1] == pytest.approx(200.0, rel=0.02)


@pytest.mark.parametrize("at", range(4))
@pytest.mark.parametrize("share", [0.99, 1.0])
def test_both_sides_of_every_burn_rate(at: int, share: float) -> None:
    """Failures fill one pair's long window to just below its factor, and to it."""
    budget, pair = Budget(SHOP), PAIRS[at]
    for minute in range(5 * 24 * 60):
        time_ms = START + minute * MINUTE
        recent = 5 * 24 * 60 - minute <= pair.long_ms // MINUTE
        budget.count(time_ms, 1_000_000.0, 1_000.0 * pair.factor * share if recent else 0.0)
    seen = [budget.look(p, budget.latest_ms) for p in PAIRS]
    tells = [burns(p, s, errors_min=10, firing=False) for p, s in zip(PAIRS, seen, strict=True)]
    assert seen[at].long == pytest.approx(pair.factor * share)
    assert seen[at].short == pytest.approx(pair.factor * share)
    assert tells[at] is (share == 1.0)
    # A faster pair is not reached by what a slower one is for.
    assert not any(tells[:at])


def test_one_failure_of_ten_requests_at_night_tells_nothing() -> None:
    world = World(SHOP)
    world.run(HOUR, rate=0.1)
    found = world.run(10 * MINUTE, rate=0.02, errors=0.1)
    found += world.run(HOUR, rate=0.02)
    assert found == []


def test_a_cold_start_does_not_make_the_first_failure_a_catastrophe() -> None:
    world = World(SHOP)
    assert fired(world.run(3 * MINUTE, errors=0.05)) == []
    # But a real outage is one from the first minute on: 2 % of the budget are 52 s of nothing but failures.
    world = World(SHOP)
    assert fired(world.run(2 * MINUTE, errors=1.0)) == [(BURN, "critical")]


def test_a_slow_burn_that_turns_into_an_outage_pages() -> None:
    """Severity is part of an alert's identity: the ticket's alert ends, the page's begins."""
    world = World(SHOP)
    world.run(2 * HOUR)
    slow = world.run(20 * HOUR, errors=0.004, every=MINUTE)
    assert fired(slow) == [(BURN, "warning")]
    found = world.run(10 * MINUTE, errors=0.5)
    assert fired([a for a in found if a.severity.value == "critical"]) == [(BURN, "critical")]
    ended = [a for a in found if not a.firing]
    assert [a.severity.value for a in ended] == ["warning"]
    assert ended[0].summary is not None and "burns fast now" in ended[0].summary.text()


def test_outages_that_were_paged_do_not_add_up_to_another_alert() -> None:
    """Five outages of two minutes in six hours are five pages; what made them fire is told, too."""
    world = World(SHOP)
    world.run(7 * HOUR, every=MINUTE)
    for _ in range(5):
        # 60 % of a month's hourly allowance each: together far beyond what the 6 h pair tells.
        found = world.run(2 * MINUTE, errors=1.0)
        assert fired(found) == [(BURN, "critical")]
        found = world.run(7 * MINUTE)
        assert [a.firing for a in found][-1:] == [False]
        assert fired(world.run(50 * MINUTE, every=30_000)) == []
    assert world.state().remaining < 0.8


def test_small_failures_that_nobody_was_told_of_do_add_up() -> None:
    """Thirty seconds of nothing but failures every half hour: no single one pages, the sixth hour does."""
    world = World(SHOP)
    world.run(7 * HOUR, every=MINUTE)
    found: list[Alert] = []
    for _ in range(12):
        found += world.run(30_000, errors=0.7)
        found += world.run(30 * MINUTE, every=30_000)
    assert fired(found)[:1] == [(BURN, "critical")]
    assert found[0].evidence is not None
    assert found[0].evidence.component == "burn rate 6h/30m"


def test_a_slow_burn_goes_on_after_an_outage_within_it() -> None:
    """The page for the slow burn stays one: it does not end because a short outage told more."""
    world = World(SHOP)
    world.run(4 * HOUR, every=MINUTE)
    found = world.run(6 * HOUR, errors=0.008, every=MINUTE)
    assert fired(found) == [(BURN, "critical")]
    found = world.run(90_000, errors=1.0)
    assert found[-1].evidence is not None
    assert found[-1].evidence.component == "burn rate 1h/5m"
    found += world.run(HOUR, errors=0.008)
    assert all(alert.firing for alert in found)
    assert found[-1].evidence is not None
    assert found[-1].evidence.component == "burn rate 6h/30m"
    found = world.run(HOUR)
    assert [alert.firing for alert in found][-1] is False


def test_page_and_ticket_can_be_switched_off() -> None:
    for page, ticket, expected in (
        (True, False, [(BURN, "critical")]),
        (False, False, []),
    ):
        world = World(Objective("shop", page=page, ticket=ticket))
        world.run(2 * HOUR)
        found = world.run(20 * MINUTE, errors=0.5)
        assert fired(found) == expected
        assert world.state().remaining < 1.0


def test_a_spent_budget_is_told_once_and_ends() -> None:
    world = World(Objective("shop", window_ms=DAY_MS, objective=99.0))
    world.run(26 * HOUR, rate=1.0, every=5 * MINUTE)
    found = world.run(40 * MINUTE, rate=1.0, errors=0.5)
    assert ("ErrorBudgetSpent", "warning") in fired(found)
    spent = next(a for a in found if a.name == "ErrorBudgetSpent")
    assert spent.summary is not None and "99 % are promised" in spent.summary.text()
    state = world.state()
    assert state.remaining < 0 and state.gone_ms is None
    found = world.run(2 * HOUR, rate=1.0)
    assert [a.name for a in found if not a.firing].count("ErrorBudgetSpent") == 1
    assert "ErrorBudgetSpent" not in [
        name for name, _ in fired(found) if name != "ErrorBudgetSpent"
    ]
    # A day later the window has left it behind.
    assert world.run(26 * HOUR, rate=1.0, every=5 * MINUTE) == [] and world.state().remaining == 1.0


def test_the_forecast_and_the_plot() -> None:
    world = World(SHOP)
    world.run(2 * HOUR, errors=0.01)
    state = world.state()
    assert state.burn == pytest.approx(10.0, rel=0.02)
    assert state.gone_ms is not None and state.soonest_ms is not None
    assert state.gone_ms == pytest.approx(3 * DAY_MS * state.remaining, rel=0.02)
    assert state.soonest_ms < state.gone_ms < (state.latest_ms or 0)
    assert state.left[0] == 1.0 and state.left[-1] == pytest.approx(state.remaining, abs=0.002)
    assert len(state.times_ms) == len(state.left)
    assert sum(state.totals) == pytest.approx(state.total)


def test_a_restart_changes_nothing() -> None:
    """The ring of thirty days comes from the snapshot; alerts, counts and sentences are the same."""
    runs = []
    for restarts in (False, True):
        world = World(SHOP, Objective("shop", kind=ObjectiveKind.PROBE))
        for errors in (0.0, 0.0005, 0.4, 0.4, 0.0, 0.02):
            world.run(8 * MINUTE, errors=errors)
            if restarts:
                world.restart()
        runs.append((world.told, world.engine.slos(), world.engine.save()))
    assert runs[0][0] and runs[0] == runs[1]


def test_an_older_snapshot_without_objectives_is_read() -> None:
    world = World()
    world.run(MINUTE)
    world.restart(SHOP)
    world.run(10 * MINUTE, errors=0.01)
    assert world.state().bad == pytest.approx(60, rel=0.1)


def test_objectives_come_and_go_with_the_configuration() -> None:
    other = Objective("shop", "strict", objective=99.99)
    world = World(SHOP)
    world.run(2 * HOUR)
    world.run(10 * MINUTE, errors=0.4)
    kept = world.state()
    # Another one is put before it: the counts stay with the name.
    world.restart(other, SHOP)
    world.run(INTERVAL)
    found = {s.objective.name: s for s in world.engine.slos()}
    assert found["shop-availability"].bad == kept.bad
    assert found["strict"].total <= 1500
    assert found["shop-availability"].firing == "critical"
    # Another objective of the same counts: nothing is lost. Another window: it begins anew.
    world.restart(Objective("shop", objective=99.0))
    assert world.engine.slos()[0].bad == kept.bad
    world.restart(Objective("shop", window_ms=7 * DAY_MS))
    assert world.engine.slos()[0].bad == 0.0
    # Taken out while it burns: its alert ends and says why.
    world.restart(other)
    told = world.run(MINUTE)
    ended = [a for a in told if not a.firing and a.labels["slo"] == "shop-availability"]
    assert len(ended) <= 1


def test_it_drains_when_nothing_reports_any_more() -> None:
    world = World(SHOP)
    world.run(HOUR)
    assert fired(world.run(10 * MINUTE, errors=0.5)) == [(BURN, "critical")]
    ended: list[Alert] = []
    for _ in range(60):
        world.now_ms += INTERVAL
        ended += [a for a in world.engine.step(world.now_ms) if a.name == BURN and not a.firing]
    assert len(ended) == 1


def test_metrics_have_the_objectives_labels() -> None:
    world = World(SHOP)
    world.run(HOUR, errors=0.01)
    world.state()
    found = world.engine.counters()
    labels = '{objective="shop-availability",service="shop"}'
    assert found[f"tocsin_slo_objective_ratio{labels}"] == pytest.approx(0.999)
    assert 0 < found[f"tocsin_slo_error_budget_remaining_ratio{labels}"] < 1
    assert found[f"tocsin_slo_burn_rate{labels}"] == pytest.approx(10.0, rel=0.02)


def test_hundreds_of_objectives_are_described_a_few_at_a_time() -> None:
    world = World(*(Objective("shop", f"shop-{n}") for n in range(200)))
    world.run(2 * INTERVAL)
    before = {s.objective.name: s.at_ms for s in world.engine.slos()}
    assert len(before) == 200
    for _ in range(10):
        world.now_ms += 1_000
        world.engine.step(world.now_ms)
        after = {s.objective.name: s.at_ms for s in world.engine.slos()}
        assert sum(after[name] != at for name, at in before.items()) <= 25
        before = after
