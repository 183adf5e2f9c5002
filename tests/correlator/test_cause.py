"""Who is blamed, in the situations that happen."""

from __future__ import annotations

from typing import Any

import pytest

from model.change import Change

T0 = 1_700_000_000_000

# (case, alerts as (service, signal, began at second, further labels), culprit)
CASES: list[tuple[str, list[tuple[str, str, float, dict[str, str]]], str]] = [
    (
        "a slow payment makes its callers slow and failing",
        [
            ("payment", "latency", 10, {}),
            ("checkout", "latency", 11, {}),
            ("checkout", "errors", 12, {"severity": "critical"}),
            ("gateway", "latency", 13, {}),
        ],
        "payment",
    ),
    (
        "the caller's alert came first, by noise",
        [
            ("checkout", "latency", 10, {}),
            ("checkout", "errors", 10, {}),
            ("gateway", "latency", 11, {}),
            ("payment", "latency", 13, {}),
        ],
        "payment",
    ),
    (
        "the caller's alert came far too early, still within what detection may lag",
        [
            ("gateway", "latency", 10, {}),
            ("checkout", "latency", 11, {}),
            ("checkout", "logs", 11, {}),
            ("payment", "latency", 25, {}),
        ],
        "payment",
    ),
    (
        "a killed inventory",
        [
            ("cart", "errors", 10, {"severity": "critical"}),
            ("checkout", "errors", 10, {"severity": "critical"}),
            ("gateway", "errors", 11, {"severity": "critical"}),
            ("inventory", "availability", 12, {"severity": "critical"}),
        ],
        "inventory",
    ),
    (
        "checkout burns CPU; its callee looks slow for lack of CPU",
        [
            ("gateway", "latency", 10, {}),
            ("checkout", "latency", 10, {}),
            ("checkout", "saturation", 14, {"metric": "process_cpu_seconds_total"}),
            ("payment", "latency", 13, {}),
            ("host", "saturation", 12, {"metric": "host_cpu_ratio"}),
        ],
        "checkout",
    ),
    (
        "requests pile up in the caller of a slow service: that is no evidence of its own",
        [
            ("payment", "latency", 12, {}),
            ("checkout", "saturation", 12, {"metric": "http_requests_in_flight"}),
            ("gateway", "latency", 13, {}),
        ],
        "payment",
    ),
    (
        "errors injected into catalog show at the gateway",
        [
            ("gateway", "errors", 10, {"severity": "critical"}),
            ("gateway", "logs", 10, {}),
            ("catalog", "errors", 11, {}),
        ],
        "catalog",
    ),
    ("only a caller has an alert", [("checkout", "latency", 10, {})], "checkout"),
    (
        "less traffic below is the effect of trouble above",
        [("checkout", "errors", 10, {}), ("payment", "traffic", 9, {})],
        "checkout",
    ),
    (
        "memory of search leaks, catalog becomes slow before its own sign is seen",
        [
            ("catalog", "latency", 10, {}),
            ("search", "saturation", 13, {"metric": "process_resident_memory_bytes"}),
        ],
        "search",
    ),
    (
        "a caller works harder because its callee fails: what followed is no cause",
        [
            ("payment", "errors", 10, {}),
            ("payment", "latency", 10, {}),
            ("checkout", "saturation", 30, {"metric": "process_cpu_seconds_total"}),
            ("checkout", "errors", 11, {}),
        ],
        "payment",
    ),
]


@pytest.mark.parametrize(("case", "alerts", "culprit"), CASES, ids=[c[0] for c in CASES])
def test_culprit(desk: Any, case: str, alerts: list[Any], culprit: str) -> None:
    made = [desk.alert(s, signal, at=at, **more) for s, signal, at, more in alerts]
    # Heard in the order in which it was noticed, a step each second.
    for second in range(10, 45):
        desk.at(second, *[a for a in made if a.starts_ms == T0 + second * 1000])
    assert len(desk.groupings) == 1
    (incident,) = desk.groupings.values()
    assert incident.services[0] == culprit, [
        (c.service, c.score, [r.text() for r in c.reasons]) for c in incident.causes
    ]
    assert incident.title.params["service"] == culprit


def test_points_of_the_reasons_add_up_to_the_score(desk: Any) -> None:
    desk.at(0, desk.alert("payment", "latency", at=0), desk.alert("gateway", "errors", at=0))
    (incident,) = desk.run(1, 12)
    for cause in incident.causes:
        assert cause.score == sum(int(reason.params["points"]) for reason in cause.reasons)
        assert all(reason.text() != reason.template for reason in cause.reasons)


def test_a_bad_deploy_is_named(desk: Any) -> None:
    deploy = Change("d1", T0 - 30_000, "deploy", "cart", "cart 2.4.8", arrival_ms=T0 - 30_000)
    old = Change("d0", T0 - 3_000_000, "deploy", "cart", "cart 2.4.7")
    elsewhere = Change("d2", T0 - 20_000, "deploy", "search", "search 9")
    desk.at(0, old, deploy, elsewhere)
    desk.at(1, desk.alert("gateway", "errors", at=0), desk.alert("cart", "errors", at=1))
    (incident,) = desk.run(2, 12)
    assert incident.causes[0].service == "cart"
    assert incident.causes[0].change_id == "d1"
    assert incident.change_ids == ("d1",)
    assert "deploy of cart 31 s before: cart 2.4.8 (+25)" in [
        r.text() for r in incident.causes[0].reasons
    ]


def test_a_change_that_is_announced_late_comes_to_light(desk: Any) -> None:
    desk.at(0, desk.alert("cart", "errors", at=0))
    desk.run(1, 12)
    (news,) = desk.at(13, Change("d1", T0 - 30_000, "deploy", "cart", "cart 2.4.8"))
    assert (news.signal.value, news.change_ids) == ("changed", ("d1",))


def test_two_unconnected_faults_are_two_incidents(desk: Any) -> None:
    desk.at(
        0,
        desk.alert("payment", "latency", at=0),
        desk.alert("checkout", "errors", at=0),
        desk.alert("vault", "errors", at=0),
        desk.alert("ledger", "errors", at=0),
    )
    desk.run(1, 15)
    assert sorted(g.services[0] for g in desk.groupings.values()) == ["payment", "vault"]


def test_a_service_is_known_by_its_alias(desk: Any) -> None:
    alert = desk.alert("", "latency", at=0, job="pay", alertname="Slow")
    desk.at(0, alert)
    desk.run(1, 12)
    assert [g.services for g in desk.groupings.values()] == [("payment",)]


def test_an_unknown_service_with_several_signals_is_one_trouble(desk: Any) -> None:
    desk.at(0, desk.alert("legacy", "errors", at=0), desk.alert("legacy", "latency", at=1))
    (opened,) = desk.run(1, 12)
    assert opened.alert_count == 2
