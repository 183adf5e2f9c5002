"""What faults, floods, forgeries and silences do to incidents."""

from __future__ import annotations

from typing import Any

import pytest

from correlator.settings import CorrelatorSettings
from model.alert import Alert
from model.labels import Labels, Matcher
from model.silence import Silence

T0 = 1_700_000_000_000


def test_f09_flapping_is_one_incident_and_few_signals(desk: Any) -> None:
    alert = desk.alert("payment", "latency", at=0)
    now = 0
    while now < 3_600:
        desk.at(now, desk.alert("payment", "latency", at=now))
        desk.at(now + 10)
        desk.at(now + 20)
        desk.at(now + 30, desk.resolved(desk.alert("payment", "latency", at=now), end=now + 30))
        desk.at(now + 45)
        now += 60
    assert len(desk.groupings) == 1
    assert sum(g.flapping for g in desk.groupings.values()) == 1
    assert len(desk.said) <= 12
    # It is never dropped: stable for a while, it ends.
    assert desk.rows[alert.key].incident_id
    ends = desk.run(now, now + 700, every=10)
    assert desk.signals(ends) == ["quiet"]
    assert ends[0].at_ms >= T0 + (3_570 + 600) * 1000


def test_f09_flapping_faster_than_group_wait_opens_too(desk: Any) -> None:
    for now in range(0, 60, 8):
        fired = desk.alert("payment", "latency", at=now)
        desk.at(now, fired)
        desk.at(now + 4, desk.resolved(fired, end=now + 4))
    assert desk.signals()[:1] == ["opened"]


def test_f10_storm_is_one_incident_and_a_stranger_its_own(desk: Any) -> None:
    storm = [
        desk.alert("payment" if i % 2 else "checkout", "errors", at=i / 200, instance=str(i))
        for i in range(10_000)
    ]
    for second in range(60):
        batch = [a for a in storm if (a.starts_ms - T0) // 1000 == second]
        if second == 30:
            down = desk.alert("vault", "availability", at=30, severity="critical")
            batch.append(down)
        desk.at(second, *batch)
    assert len(desk.groupings) == 2
    vault = next(g for g in desk.groupings.values() if g.services == ("vault",))
    assert vault.detected_ms == T0 + 32_000
    shop = next(g for g in desk.groupings.values() if g.services[0] == "payment")
    assert len(shop.alert_keys) == 50 and len(shop.evidence) == 10
    assert len(desk.said) < 15


def test_f10_more_alerts_than_may_be_remembered_are_counted(new_desk: Any) -> None:
    desk = new_desk(CorrelatorSettings(alerts_max=5))
    desk.at(0, *[desk.alert("payment", "errors", at=0, instance=str(i)) for i in range(9)])
    assert desk.correlator.counters()["tocsin_correlator_refused_total"] == 4
    assert [g.alert_count for g in desk.run(1, 10)] == [5]


def test_f10_resolved_alerts_make_room(new_desk: Any) -> None:
    desk = new_desk(CorrelatorSettings(alerts_max=20))
    for i in range(100):
        alert = desk.alert("payment", "errors", at=i, instance=str(i))
        desk.at(i, alert)
        desk.at(i + 0.5, desk.resolved(alert, end=i + 0.5))
    counters = desk.correlator.counters()
    assert counters["tocsin_correlator_refused_total"] == 0
    assert counters["tocsin_correlator_alerts"] <= 20


def test_f11_resolve_before_fire_and_twice(desk: Any) -> None:
    alert = desk.alert("payment", "latency", at=0)
    desk.at(5, desk.resolved(alert, end=5))
    desk.at(6, alert)
    desk.at(7, desk.resolved(alert, end=5))
    assert desk.run(8, 40) == []
    row = desk.rows[alert.key].alert
    assert (row.starts_ms, row.ends_ms) == (T0, T0 + 5_000)


def test_f11_a_lost_resolve_expires(desk: Any) -> None:
    alert = Alert(
        Labels.of({"alertname": "X", "service": "payment"}), "prom", T0, T0, expires_ms=T0 + 300_000
    )
    desk.at(0, alert)
    desk.run(1, 10)
    desk.at(299)
    assert desk.rows[alert.key].alert.firing
    desk.at(310)
    assert desk.rows[alert.key].alert.ends_ms == T0 + 300_000
    assert desk.signals(desk.at(420)) == ["quiet"]


def test_f11_heard_again_after_expiry_it_goes_on(desk: Any) -> None:
    labels = Labels.of({"alertname": "X", "service": "payment"})
    desk.at(0, Alert(labels, "prom", T0, T0, expires_ms=T0 + 100_000))
    desk.run(1, 10)
    desk.at(110)
    desk.at(130, Alert(labels, "prom", T0, T0 + 130_000, expires_ms=T0 + 230_000))
    (row,) = desk.rows.values()
    assert row.alert.firing and row.alert.starts_ms == T0
    assert len(desk.groupings) == 1


@pytest.mark.parametrize("starts_ms", [0, T0 // 1000, T0 + 3_600_000, 10**18, -5])
def test_f12_impossible_times_give_no_negative_durations(desk: Any, starts_ms: int) -> None:
    labels = Labels.of({"alertname": "X", "service": "payment"})
    desk.at(0, Alert(labels, "prom", starts_ms, T0))
    (opened,) = desk.run(1, 10)
    assert opened.began_ms == T0 <= opened.detected_ms
    desk.at(20, Alert(labels, "prom", starts_ms, T0 + 20_000, ends_ms=T0 + 20_000))
    (row,) = desk.rows.values()
    assert row.alert.ends_ms is not None and row.alert.ends_ms >= row.alert.starts_ms
    assert desk.correlator.counters()["tocsin_correlator_times_mended_total"] >= 1


def test_f12_an_older_occurrence_does_not_replace_a_newer(desk: Any) -> None:
    new = desk.alert("payment", "latency", at=100)
    desk.at(100, new)
    desk.at(101, desk.alert("payment", "latency", at=10, end=50))
    assert desk.rows[new.key].alert == new


def test_a25_a_resolve_from_another_source_does_nothing(desk: Any) -> None:
    alert = desk.alert("payment", "latency", at=0, source="prom-a")
    desk.at(0, alert)
    desk.run(1, 10)
    forged = desk.alert("payment", "latency", at=0, end=20, source="prom-b")
    desk.at(20, forged)
    assert desk.rows[alert.key].alert.firing
    assert "quiet" not in desk.signals(desk.run(21, 400, every=10))


def silence(ends: float, *matchers: str, starts: float = 0, updated: int = 0) -> Silence:
    parsed = tuple(Matcher.parse(m) for m in matchers)
    window = (T0 + round(starts * 1000), T0 + round(ends * 1000))
    return Silence("s1", parsed, *window, "ann", "", updated)


def test_a_silence_mutes_and_its_end_unmutes(desk: Any) -> None:
    desk.at(0, desk.alert("payment", "latency", at=0))
    (opened,) = desk.run(1, 10)
    assert not opened.muted
    (muted,) = desk.at(20, silence(100, "service=payment", starts=20))
    assert (muted.signal.value, muted.muted) == ("changed", True)
    assert [row.silenced_by for row in desk.rows.values()] == [("s1",)]
    assert desk.at(99) == []
    (loud,) = desk.at(100)
    assert (loud.signal.value, loud.muted) == ("changed", False)


def test_one_alert_that_is_not_silenced_unmutes(desk: Any) -> None:
    desk.at(0, silence(900, "signal=latency"))
    desk.at(1, desk.alert("payment", "latency", at=1))
    (opened,) = desk.run(2, 11)
    assert opened.muted
    (loud,) = desk.at(20, desk.alert("payment", "errors", at=20))
    assert not loud.muted
    assert loud.alert_count == 2


def test_a_silence_ended_early(desk: Any) -> None:
    desk.at(0, silence(900, "signal=latency"), desk.alert("payment", "latency", at=0))
    desk.run(1, 10)
    (loud,) = desk.at(30, silence(30, "signal=latency", updated=1))
    assert not loud.muted
