"""Opening, joining, growing quiet, coming back; and what people do to it."""

from __future__ import annotations

from typing import Any

import pytest

from model.alert import Alert
from model.incident import Act, ActKind

T0 = 1_700_000_000_000


def test_opens_once_with_its_first_companions(desk: Any) -> None:
    desk.at(0, desk.alert("payment", "latency", at=0))
    desk.at(4, desk.alert("checkout", "errors", at=3))
    assert desk.said == []
    (opened,) = desk.run(5, 10)
    assert (opened.signal.value, opened.alert_count, opened.began_ms) == ("opened", 2, T0)
    assert opened.detected_ms == opened.at_ms == T0 + 10_000
    assert opened.reason.text() == ("payment-latency began on payment, and 1 more alerts with it")


def test_a_dead_service_does_not_wait_long(desk: Any) -> None:
    down = desk.alert("vault", "availability", at=0, severity="critical")
    desk.at(0, down)
    assert desk.at(1.9) == []
    assert desk.signals(desk.at(2)) == ["opened"]


def test_information_opens_nothing_but_joins(desk: Any) -> None:
    note = desk.alert("payment", "latency", at=0, severity="info")
    desk.at(0, note)
    assert desk.run(1, 30) == []
    desk.at(31, desk.alert("payment", "errors", at=31))
    desk.run(32, 42)
    desk.at(43, desk.alert("payment", "logs", at=43, severity="info"))
    assert desk.rows[desk.alert("payment", "logs", at=43, severity="info").key].incident_id
    assert not desk.rows[note.key].incident_id


def test_resolved_while_waiting_opens_nothing(desk: Any) -> None:
    alert = desk.alert("payment", "latency", at=0)
    desk.at(0, alert)
    desk.at(5, desk.resolved(alert, end=5))
    assert desk.run(6, 30) == []


def test_joins_within_the_window_and_not_after(desk: Any) -> None:
    first = desk.alert("payment", "errors", at=0)
    desk.at(0, first)
    desk.run(1, 10)
    said = desk.at(300, desk.alert("inventory", "saturation", at=300, metric="cpu"))
    assert said == []  # payment does not call inventory, nor the other way
    (joined,) = desk.at(300, desk.alert("checkout", "saturation", at=300, metric="cpu"))
    assert (joined.signal.value, joined.services) == ("joined", ("checkout", "payment")) or (
        joined.signal.value,
        set(joined.services),
    ) == ("joined", {"checkout", "payment"})
    desk.run(301, 320)
    assert len(desk.groupings) == 2


def test_after_the_window_own_trouble_of_a_caller_is_another_incident(desk: Any) -> None:
    desk.at(0, desk.alert("payment", "errors", at=0))
    desk.run(1, 10)
    desk.at(311, desk.alert("checkout", "saturation", at=311, metric="cpu"))
    desk.run(312, 330)
    assert len(desk.groupings) == 2


def test_after_the_window_what_the_culprit_explains_still_joins(desk: Any) -> None:
    desk.at(0, desk.alert("payment", "errors", at=0))
    desk.run(1, 10)
    (joined,) = desk.at(1_000, desk.alert("checkout", "latency", at=1_000))
    assert joined.signal.value == "joined"
    assert len(desk.groupings) == 1


def test_unknown_services_group_by_labels(desk: Any) -> None:
    alerts = [
        desk.alert("legacy", at=0, source="prom", alertname=name, instance=str(i))
        for name in ("DiskFull", "Slow")
        for i in range(3)
    ]
    desk.at(0, *alerts)
    opened = desk.run(1, 10)
    assert sorted(g.alert_count for g in opened) == [3, 3]
    assert sorted(g.title.text() for g in opened) == ["legacy: DiskFull", "legacy: Slow"]


def test_host_joins_what_it_can_explain_and_does_not_bind_strangers(desk: Any) -> None:
    desk.at(0, desk.alert("payment", "latency", at=0), desk.alert("vault", "latency", at=1))
    desk.at(2, desk.alert("host", "saturation", at=2))
    opened = desk.run(3, 12)
    assert len(opened) == 2
    assert sorted(g.alert_count for g in desk.groupings.values()) == [1, 2]
    assert "host" not in {g.services[0] for g in desk.groupings.values()}


def test_a_common_callee_merges_two_incidents(desk: Any) -> None:
    # cart and checkout do not call each other, but both call inventory.
    desk.at(0, desk.alert("cart", "errors", at=0), desk.alert("checkout", "errors", at=0))
    first = desk.run(1, 10)
    assert len(first) == 2
    said = desk.at(15, desk.alert("inventory", "errors", at=15))
    merged = next(g for g in said if g.signal.value == "merged")
    survivor = next(g for g in said if g.signal.value != "merged")
    assert merged.merged_into == survivor.id
    assert survivor.alert_count == 3
    assert survivor.services[0] == "inventory"
    assert {row.incident_id for row in desk.rows.values()} == {survivor.id}


def test_a_common_caller_does_not_merge(desk: Any) -> None:
    desk.at(0, desk.alert("search", "errors", at=0), desk.alert("payment", "errors", at=0))
    desk.run(1, 10)
    desk.at(15, desk.alert("gateway", "errors", at=15))
    assert len(desk.groupings) == 2
    assert "merged" not in desk.signals()


def test_quiet_after_the_resolve_window(desk: Any) -> None:
    alert = desk.alert("payment", "latency", at=0)
    desk.at(0, alert)
    desk.run(1, 10)
    desk.at(60, desk.resolved(alert, end=60))
    assert "quiet" not in desk.signals(desk.run(61, 179))
    (quiet,) = desk.at(180)
    assert (quiet.signal.value, quiet.quiet_ms) == ("quiet", T0 + 60_000)
    assert quiet.firing_count == 0
    assert quiet.causes[0].service == "payment"
    assert quiet.title.text() == "payment: answers slowly"


def fire_and_quiet(desk: Any, service: str = "payment", signal: str = "latency") -> Alert:
    alert: Alert = desk.alert(service, signal, at=0)
    desk.at(0, alert)
    desk.run(1, 10)
    desk.at(60, desk.resolved(alert, end=60))
    assert desk.signals(desk.at(180))[-1] == "quiet"
    return alert


def test_f07_refires_inside_the_reopen_window_as_the_same(desk: Any) -> None:
    fire_and_quiet(desk)
    desk.at(1_900, desk.alert("payment", "latency", at=1_900))
    (again,) = desk.run(1_901, 1_910)
    assert (again.signal.value, again.quiet_ms, again.firing_count) == ("refired", None, 1)
    assert again.id == desk.said[0].id
    assert again.active_since_ms == T0 + 1_900_000


def test_f07_outside_the_window_a_new_one_points_to_the_old(desk: Any) -> None:
    fire_and_quiet(desk)
    desk.at(2_000, desk.alert("payment", "latency", at=2_000))
    (new,) = desk.run(2_001, 2_010)
    assert new.signal.value == "opened"
    assert new.id != desk.said[0].id
    assert new.previous_id == desk.said[0].id


def test_f07_another_alert_about_the_same_culprit_brings_it_back(desk: Any) -> None:
    fire_and_quiet(desk)
    desk.at(600, desk.alert("payment", "errors", at=600))
    (again,) = desk.run(601, 610)
    assert (again.signal.value, again.alert_count) == ("refired", 2)


def test_f07_another_fault_behind_the_same_symptom_is_another_incident(desk: Any) -> None:
    gateway = desk.alert("gateway", "errors", at=1)
    payment = desk.alert("payment", "errors", at=0)
    desk.at(1, gateway, payment)
    desk.run(2, 11)
    desk.at(60, desk.resolved(gateway, end=60), desk.resolved(payment, end=59))
    desk.at(180)
    desk.at(600, desk.alert("gateway", "errors", at=600), desk.alert("search", "errors", at=600))
    (new,) = desk.run(601, 610)
    assert (new.signal.value, new.services[0]) == ("opened", "search")


@pytest.mark.parametrize("kind", [ActKind.CLOSE, ActKind.RESOLVE])
def test_f06_closed_while_firing_stays_closed(desk: Any, kind: ActKind) -> None:
    alert = desk.alert("payment", "latency", at=0)
    desk.at(0, alert)
    (opened,) = desk.run(1, 10)
    (closed,) = desk.at(20, Act("a", opened.id, kind, "ann", T0 + 20_000))
    assert closed.closed_ms == T0 + 20_000
    # It goes on firing, for hours: nothing.
    assert desk.run(30, 9_000, every=30) == []
    # It resolves once, and the window has passed: free to open a new one.
    desk.at(9_010, desk.resolved(alert, end=9_010))
    desk.at(9_100, desk.alert("payment", "latency", at=9_100))
    (new,) = desk.run(9_101, 9_110)
    assert (new.signal.value, new.previous_id) == ("opened", opened.id)


def test_f06_refiring_in_the_window_waits_for_its_end(desk: Any) -> None:
    alert = desk.alert("payment", "latency", at=0)
    desk.at(0, alert)
    (opened,) = desk.run(1, 10)
    desk.at(20, Act("a", opened.id, ActKind.CLOSE, "ann", T0 + 20_000))
    desk.at(100, desk.resolved(alert, end=100))
    desk.at(200, desk.alert("payment", "latency", at=200))
    assert desk.run(201, 1_819, every=9) == []
    said = desk.run(1_820, 1_835)
    assert [(g.signal.value, g.previous_id) for g in said] == [("opened", opened.id)]


def test_f06_holds_for_days_and_over_a_restart(desk: Any) -> None:
    desk.at(0, desk.alert("payment", "latency", at=0))
    (opened,) = desk.run(1, 10)
    desk.at(20, Act("a", opened.id, ActKind.CLOSE, "ann", T0 + 20_000))
    said = desk.run(60, 3 * 86_400, every=600)
    assert len(said) == 5 and {g.closed_ms for g in said} == {T0 + 20_000}
    # The store gives what was said within `remember`: the row is among it.
    assert desk.groupings[opened.id].at_ms >= T0 + (3 * 86_400 - 43_800) * 1000
    desk.restart()
    assert "opened" not in desk.signals(desk.run(3 * 86_400 + 1, 3 * 86_400 + 60))


def test_resolved_by_a_person_before_it_was_quiet_it_can_come_back(desk: Any) -> None:
    alert = desk.alert("payment", "latency", at=0)
    desk.at(0, alert)
    (opened,) = desk.run(1, 10)
    desk.at(20, desk.resolved(alert, end=20))
    (quiet,) = desk.at(25, Act("a", opened.id, ActKind.RESOLVE, "ann", T0 + 25_000))
    assert (quiet.signal.value, quiet.quiet_ms) == ("quiet", T0 + 20_000)
    desk.at(40, desk.alert("payment", "latency", at=40))
    (again,) = desk.run(41, 50)
    assert (again.id, again.signal.value) == (opened.id, "refired")


def test_f06_nothing_joins_a_closed_incident(desk: Any) -> None:
    desk.at(0, desk.alert("payment", "latency", at=0))
    (opened,) = desk.run(1, 10)
    desk.at(20, Act("a", opened.id, ActKind.CLOSE, "ann", T0 + 20_000))
    desk.at(30, desk.alert("payment", "errors", at=30))
    (new,) = desk.run(31, 40)
    assert (new.signal.value, new.alert_count) == ("opened", 1)


def test_reopened_by_a_person_alerts_join_again(desk: Any) -> None:
    desk.at(0, desk.alert("payment", "latency", at=0))
    (opened,) = desk.run(1, 10)
    desk.at(20, Act("a", opened.id, ActKind.CLOSE, "ann", T0 + 20_000))
    (again,) = desk.at(25, Act("b", opened.id, ActKind.REOPEN, "ann", T0 + 25_000))
    assert (again.signal.value, again.closed_ms) == ("changed", None)
    (joined,) = desk.at(30, desk.alert("checkout", "errors", at=30))
    assert (joined.id, joined.signal.value) == (opened.id, "joined")


def test_reopened_by_a_person_while_quiet_it_is_remembered_anew(desk: Any) -> None:
    """`reopen_window` (30 m) counts from the reopening."""
    alert = desk.alert("payment", "latency", at=0)
    desk.at(0, alert)
    (opened,) = desk.run(1, 10)
    desk.at(20, desk.resolved(alert, end=20))
    (quiet,) = desk.at(25, Act("a", opened.id, ActKind.RESOLVE, "ann", T0 + 25_000))
    (kept,) = desk.at(1_800, Act("b", opened.id, ActKind.REOPEN, "bob", T0 + 1_800_000))
    assert (kept.signal.value, kept.quiet_ms) == ("changed", quiet.quiet_ms)
    desk.at(3_500, desk.alert("payment", "latency", at=3_500))
    (again,) = desk.run(3_501, 3_520)
    assert (again.id, again.signal.value) == (opened.id, "refired")
