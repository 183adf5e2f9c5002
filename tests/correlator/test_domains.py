"""What never joins: with `separate_domains`, trouble of two domains, whatever else would tie it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from correlator.correlator import Correlator
from correlator.domains import Domains
from correlator.settings import CorrelatorSettings, InhibitRule
from model.alert import Alert
from model.calls import Calls
from model.catalogue import Catalogue, Service
from model.labels import Labels

SHOP = Catalogue.of(
    [
        Service("web", depends_on=("cart",)),
        Service("cart", depends_on=("db",)),
        Service("db", domain="data"),
        Service("mail"),
        Service("disk", domain="data"),
    ]
)


def alert(service: str, name: str = "Slow", **more: str) -> Alert:
    labels = {"alertname": name, "service": service, "severity": "critical", "signal": "latency"}
    return Alert(Labels.of({**labels, **more}), "prom", 1_000, 1_000)


def incidents(
    alerts: Sequence[Alert], *, apart: bool, calls: Sequence[Calls] = ()
) -> list[set[str]]:
    settings = CorrelatorSettings(group_wait_ms=0, separate_domains=apart)
    correlator = Correlator(settings, SHOP)
    correlator.learn(calls)
    correlator.take(alerts, now_ms=1_000)
    said = correlator.step(1_000).groupings
    return sorted(({*one.services} for one in said), key=sorted)


@pytest.mark.parametrize(
    ("services", "together", "apart"),
    [
        # Within a domain nothing changes.
        (["web", "cart"], [{"web", "cart"}], [{"web", "cart"}]),
        # A call to a service whose `domain` differs joins no longer.
        (["cart", "db"], [{"cart", "db"}], [{"cart"}, {"db"}]),
        # Nor does a call between two domains that only traces show.
        (["web", "mail"], [{"web", "mail"}], [{"mail"}, {"web"}]),
        # The ground joins whatever it may explain; apart it explains nothing.
        (["web", "host"], [{"web", "host"}], [{"host"}, {"web"}]),
        # What the catalogue does not list: calls between two such are of two domains.
        (["new1", "new2"], [{"new1", "new2"}], [{"new1"}, {"new2"}]),
    ],
)
def test_what_joins(services: list[str], together: list[set[str]], apart: list[set[str]]) -> None:
    calls = [Calls("web", "mail"), Calls("new1", "new2")]
    alerts = [alert(name) for name in services]
    assert incidents(alerts, apart=False, calls=calls) == together
    assert incidents(alerts, apart=True, calls=calls) == apart


def test_edges_that_join_nothing_are_counted() -> None:
    correlator = Correlator(CorrelatorSettings(separate_domains=True), SHOP)
    correlator.learn([Calls("web", "mail"), Calls("web", "db"), Calls("web", "cart")])
    assert correlator.counters()["tocsin_correlator_edges_apart"] == 2


@pytest.mark.parametrize("apart", [False, True])
def test_a_group_by_labels_does_not_reach_over_instances(apart: bool) -> None:
    alerts = [
        Alert(Labels.of({"alertname": "X", "instance": f"i{n}"}), "prom", 1_000, 1_000)
        for n in range(2)
    ]
    assert len(incidents(alerts, apart=apart)) == (2 if apart else 1)


@pytest.mark.parametrize(("apart", "muted"), [(False, 2), (True, 1)])
def test_an_inhibition_acts_within_a_domain(apart: bool, muted: int) -> None:
    rule = InhibitRule(("alertname=Down",), ("alertname=Slow",))
    settings = CorrelatorSettings(inhibit=(rule,), separate_domains=apart)
    correlator = Correlator(settings, SHOP)
    correlator.take([alert("web", "Down"), alert("cart"), alert("mail")], now_ms=1_000)
    rows = correlator.step(1_000).alerts
    assert sum(bool(row.silenced_by) for row in rows) == muted


def test_domains_by_hand_are_one_wherever_they_lie() -> None:
    domains = Domains(SHOP)
    assert domains.together("db", "disk")
    assert not domains.together("cart", "db")
    assert domains.of("data") == "data"  # a service of that name is not of that domain
