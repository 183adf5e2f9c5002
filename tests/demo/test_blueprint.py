"""What the catalogue says of the shop is what the shop does."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline import settings
from pipeline.demo.blueprint import SHOP
from pipeline.demo.faults import FAULTS
from pipeline.settings import Settings

CONFIG = Path(__file__).parents[2] / "config" / "demo"


@pytest.fixture(scope="module")
def configured() -> settings.Settings:
    return settings.load(CONFIG)


def test_the_catalogue_has_the_shop_s_graph(configured: Settings) -> None:
    known = configured.catalogue.services
    for plan in SHOP.values():
        assert tuple(sorted(known[plan.name].depends_on)) == plan.peers
    assert set(known) - set(SHOP) == {"host", "tocsin"}


def test_every_service_has_an_owner_who_can_be_reached(configured: Settings) -> None:
    receivers = {receiver.name for receiver in configured.machine.bridge.receivers}
    for service in configured.catalogue.services.values():
        team = configured.catalogue.teams[service.owner]
        assert set(team.receivers) & receivers


def test_every_call_reaches_a_route_and_no_service_calls_itself_in_a_circle(
    configured: Settings,
) -> None:
    for plan in SHOP.values():
        for route in plan.routes:
            for call in route.calls:
                assert call.path in {r.path for r in SHOP[call.peer].routes}
                assert configured.catalogue.distance(call.peer, plan.name) is None


def test_a_caller_waits_longer_than_the_services_it_calls() -> None:
    """So that the one nearest to the trouble gives up first, and its callers hear why."""
    for plan in SHOP.values():
        for peer in plan.peers:
            if SHOP[peer].peers:
                assert plan.timeout_ms > SHOP[peer].timeout_ms


def test_culprits_are_spread_over_the_shop() -> None:
    assert {fault.service for fault in FAULTS} <= set(SHOP)
    assert len({fault.service for fault in FAULTS}) >= 6
    assert sum(fault.needs_ack for fault in FAULTS) == 1
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) == 8


def test_the_windows_are_shorter_than_the_pauses(configured: Settings) -> None:
    """An alert of one fault must not reopen the incident of the fault before."""
    from pipeline.demo.director import Pace

    assert configured.machine.correlator.reopen_window_ms < Pace().settle_s * 1000
