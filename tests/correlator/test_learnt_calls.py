"""Calls that traces showed, beside the catalogue's: they join, they rank, and the reason says so."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from correlator.settings import CorrelatorSettings
from correlator.topology import Topology
from model.alert import Alert
from model.calls import Calls
from model.catalogue import Catalogue, Service
from model.labels import Labels


def test_services_that_no_catalogue_lists_are_one_incident_and_the_callee_is_blamed(
    new_desk: Any,
) -> None:
    for calls, incidents in (((), 2), ((Calls("front", "stock", 9),), 1)):
        desk = new_desk(catalogue=Catalogue())
        desk.correlator.learn(calls)
        desk.at(10, desk.alert("front", "latency", at=10), desk.alert("stock", "latency", at=10))
        desk.run(11, 60)
        assert len(desk.groupings) == incidents
    (grouping,) = desk.groupings.values()
    assert grouping.services == ("stock", "front")
    reasons = [reason.text() for cause in grouping.causes for reason in cause.reasons]
    assert "front calls stock, as its traces show; stock is in trouble too (-30)" in reasons


def test_what_the_catalogue_says_is_not_said_to_come_from_traces(desk: Any) -> None:
    desk.correlator.learn((Calls("checkout", "payment", 9),))
    alerts = [desk.alert(name, "latency", at=10) for name in ("checkout", "payment")]
    desk.at(10, *alerts)
    desk.run(11, 60)
    (grouping,) = desk.groupings.values()
    assert "traces" not in str([r.text() for cause in grouping.causes for r in cause.reasons])


def test_an_open_incident_survives_that_its_calls_are_learnt_and_forgotten(new_desk: Any) -> None:
    desk = new_desk(catalogue=Catalogue())
    desk.correlator.learn((Calls("front", "stock", 9),))
    alerts = [desk.alert(name, "latency", at=10) for name in ("front", "stock")]
    desk.at(10, *alerts)
    desk.run(11, 60)
    desk.correlator.learn(())
    desk.at(61, *[desk.resolved(alert, end=61) for alert in alerts])
    desk.run(62, 600, every=10)
    (grouping,) = desk.groupings.values()
    assert grouping.quiet_ms is not None


def test_clusters_are_kept_apart_and_names_of_telemetry_are_the_catalogues() -> None:
    shop = Catalogue.of([Service("payment", labels=(("job", "pay"),))])
    topology = Topology(shop, CorrelatorSettings())
    topology.learn([Calls("cart", "pay"), Calls("cart", "stock")])
    assert topology.calls("cart", "payment") == 1

    def place(service: str, cluster: str) -> str:
        labels = {"service": service, "signal": "latency", "cluster": cluster}
        return topology.place(Alert(Labels.of(labels), "detector", 0, 0))

    near = dict(topology.near(place("cart", "eu")))
    assert near == {place("cart", "eu"): 0, "payment": 1, place("stock", "eu"): 1}
    assert topology.calls(place("cart", "eu"), "stock") == 1


names = st.sampled_from("abcdef")
edges = st.lists(st.tuples(names, names), max_size=12)


@given(edges, edges)
@settings(deadline=None)
def test_twin_learnt_calls_lie_beside_the_catalogues(
    told: list[tuple[str, str]], seen: list[tuple[str, str]]
) -> None:
    """As if the catalogue had listed them all."""

    def catalogue(pairs: list[tuple[str, str]]) -> Catalogue:
        found: dict[str, list[str]] = {name: [] for name in "abcdef"}
        for caller, callee in pairs:
            if caller != callee:
                found[caller].append(callee)
        return Catalogue.of([Service(n, depends_on=tuple(c)) for n, c in found.items()])

    limits = CorrelatorSettings()
    learnt, listed = Topology(catalogue(told), limits), Topology(catalogue(told + seen), limits)
    learnt.learn([Calls(*pair) for pair in seen])
    for one in "abcdef":
        assert learnt.near(one) == listed.near(one)
        for other in "abcdef":
            assert learnt.calls(one, other) == listed.calls(one, other)
