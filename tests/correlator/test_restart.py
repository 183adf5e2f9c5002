"""Determinism, restarts and speed: the same rows, whoever remembers them and however they come."""

from __future__ import annotations

import random
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from correlator.correlator import Correlator
from correlator.inhibit import Inhibitor
from correlator.settings import CorrelatorSettings, InhibitRule
from model.alert import Alert
from model.change import Change
from model.errors import SnapshotError
from model.incident import Act, ActKind
from model.labels import Labels, Matcher, matches_all
from model.silence import Silence

T0 = 1_700_000_000_000
SERVICES = ("gateway", "catalog", "cart", "checkout", "payment", "inventory", "vault", "host", "x")
SIGNALS = ("latency", "errors", "availability", "saturation", "traffic", "logs", "")
QUICK = CorrelatorSettings(
    group_wait_ms=5_000,
    group_window_ms=40_000,
    group_interval_ms=10_000,
    resolve_window_ms=15_000,
    reopen_window_ms=60_000,
    remember_ms=150_000,
    flap_window_ms=60_000,
    flap_stable_ms=30_000,
    flap_changes_max=4,
    inhibit=(InhibitRule(("signal=availability",), ("signal=~latency|errors",), ("service",)),),
)


def weather(desk: Any, seed: int, steps: int) -> list[tuple[float, list[Any]]]:
    """A long, eventful random history, of about one item a step."""
    rng = random.Random(seed)
    firing: list[Alert] = []
    history: list[tuple[float, list[Any]]] = []
    now = 0.0
    for number in range(steps):
        now += rng.choice((0.5, 1, 1, 2, 5, 30 if rng.random() < 0.1 else 1))
        items: list[Any] = []
        for _ in range(rng.choice((0, 0, 1, 1, 2, 3))):
            roll = rng.random()
            if roll < 0.45 or not firing:
                alert = desk.alert(
                    rng.choice(SERVICES),
                    rng.choice(SIGNALS),
                    at=now - rng.choice((0, 0, 1, 3, 20)),
                    heard=now,
                    severity=rng.choice(("critical", "warning", "warning", "info")),
                    instance=str(rng.randrange(2)),
                )
                firing.append(alert)
                items.append(alert)
            elif roll < 0.9:
                alert = firing.pop(rng.randrange(len(firing)))
                items.append(desk.resolved(alert, end=max(now - rng.choice((0, 0, 1)), 0)))
            elif roll < 0.93:
                edges = (T0 + int(now * 1000), T0 + int(now * 1000) + rng.choice((5_000, 30_000)))
                service = Matcher.parse(f"service={rng.choice(SERVICES)}")
                items.append(Silence(f"s{number}", (service,), *edges, "ann", "", edges[0]))
            elif roll < 0.96:
                name = rng.choice(SERVICES)
                at_ms = T0 + int(now * 1000) - rng.choice((0, 5_000))
                items.append(Change(f"c{number}", at_ms, "deploy", name, "v", arrival_ms=at_ms))
            else:
                items.append(("act", rng.random(), rng.choice(list(ActKind)), number))
        history.append((now, items))
    return history


def act_on(desk: Any, item: Any, now: float) -> Any:
    if not isinstance(item, tuple):
        return item
    _, which, kind, number = item
    ids = sorted(desk.groupings) or ["none"]
    chosen = ids[int(which * len(ids))]
    return Act(f"a{number}", chosen, kind, "ann", T0 + round(now * 1000))


@pytest.mark.parametrize("seed", range(6))
def test_a_restart_after_every_step_changes_nothing(new_desk: Any, seed: int) -> None:
    whole, broken = new_desk(QUICK), new_desk(QUICK, restart_each_step=True)
    for now, items in weather(whole, seed, 200):
        for desk in (whole, broken):
            desk.at(now, *[act_on(desk, item, now) for item in items])
        assert whole.written[-1] == broken.written[-1], now
    assert {"opened", "joined", "quiet"} <= set(whole.signals())


@pytest.mark.parametrize("seed", range(3))
def test_one_batch_or_many(new_desk: Any, seed: int) -> None:
    one, many = new_desk(QUICK), new_desk(QUICK)
    for now, items in weather(one, seed, 200):
        real = [act_on(one, item, now) for item in items]
        one.at(now, *real)
        for item in real:
            many.correlator.take([item], now_ms=T0 + round(now * 1000))
        many.at(now)
        assert one.written[-1] == many.written[-1]


def test_counts_agree_with_the_rows(new_desk: Any) -> None:
    desk = new_desk(QUICK)
    for now, items in weather(desk, 77, 400):
        desk.at(now, *[act_on(desk, item, now) for item in items])
        for grouping in desk.correlator._cases.values():
            members = [r for r in desk.rows.values() if r.incident_id == grouping.id]
            if not grouping.quiet:
                assert grouping.firing == sum(r.alert.firing for r in members)
                assert len(grouping.members) == len(members)


def test_a_snapshot_is_the_whole_memory(new_desk: Any) -> None:
    desk, other = new_desk(QUICK), new_desk(QUICK)
    history = weather(desk, 3, 300)
    for now, items in history[:150]:
        desk.at(now, *[act_on(desk, item, now) for item in items])
    data = desk.correlator.save()
    other.correlator.load(data)
    assert other.correlator.save() == data
    other.groupings = dict(desk.groupings)
    for now, items in history[150:]:
        for each in (desk, other):
            each.at(now, *[act_on(each, item, now) for item in items])
        assert desk.written[-1] == other.written[-1]


@pytest.mark.parametrize("damage", [b"", b"x", b"tocsin-correlator 1 00\n{}"])
def test_f20_a_damaged_snapshot_is_refused(desk: Any, damage: bytes) -> None:
    with pytest.raises(SnapshotError):
        desk.correlator.load(damage)


def test_ten_thousand_alerts_cost_little(desk: Any) -> None:
    storm = [
        desk.alert("payment", "errors", at=0, instance=str(i), source="prom") for i in range(10_000)
    ]
    correlator = Correlator(CorrelatorSettings(), desk.catalogue)
    begun = time.process_time()
    correlator.take(storm, now_ms=T0)
    first = correlator.step(T0)
    opened = correlator.step(T0 + 10_000)
    assert (len(first.alerts), len(opened.alerts)) == (10_000, 10_000)
    assert [g.alert_count for g in opened.groupings] == [10_000]
    # The target is 1.5 s; the machine may be busy.
    assert time.process_time() - begun < 6


def labels_strategy() -> Any:
    pair = st.tuples(st.sampled_from(("a", "b", "zone")), st.sampled_from(("1", "2", "")))
    return st.lists(pair, max_size=3).map(lambda pairs: Labels.of(dict(pairs)))


def naive_muting(rule: InhibitRule, labels: Labels, firing: dict[str, Labels]) -> bool:
    """Alertmanager's rule, looking at every firing alert."""
    source = [Matcher.parse(m) for m in rule.source]
    target = [Matcher.parse(m) for m in rule.target]
    if not matches_all(target, labels):
        return False
    both = matches_all(source, labels)
    return any(
        matches_all(source, other)
        and all(other.get(n, "") == labels.get(n, "") for n in rule.equal)
        and not (both and matches_all(target, other))
        for other in firing.values()
    )


@given(st.lists(st.tuples(labels_strategy(), st.booleans()), max_size=25))
@settings(deadline=None)
def test_inhibition_against_its_naive_twin(events: list[tuple[Labels, bool]]) -> None:
    rules = (
        InhibitRule(("a=1",), ("b=~1|2",), ("zone",)),
        InhibitRule(("b=2",), ("b=2",), ()),
    )
    inhibitor = Inhibitor(rules)
    firing: dict[str, Labels] = {}
    muted: dict[str, tuple[str, ...]] = {}
    for labels, fires in events:
        key = str(labels)
        firing.pop(key, None)
        muted.pop(key, None)
        if fires:
            firing[key] = labels
        again = inhibitor.note(key, labels, fires)
        for other in [*again, key]:
            if other in firing:
                muted[other] = inhibitor.muting(firing[other])
        for other, theirs in firing.items():
            want = tuple(
                f"inhibit:{n}"
                for n, rule in enumerate(rules, 1)
                if naive_muting(rule, theirs, firing)
            )
            assert muted[other] == want


def test_inhibited_alerts_stay_recorded(new_desk: Any) -> None:
    desk = new_desk(QUICK)
    slow = desk.alert("payment", "latency", at=0)
    down = desk.alert("payment", "availability", at=1)
    desk.at(0, slow)
    desk.at(1, down)
    (opened,) = desk.run(2, 8)
    assert (opened.alert_count, opened.muted) == (2, False)
    assert desk.rows[slow.key].silenced_by == ("inhibit:1",)
    desk.at(9, desk.resolved(down, end=9))
    assert desk.rows[slow.key].silenced_by == ()
