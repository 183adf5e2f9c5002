"""Objectives on the page, as JSON and in reports."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from model.slo import Burn, Objective, ObjectiveKind, SloState

HOUR = 3_600_000


@pytest.fixture
def states(seed: Any) -> tuple[SloState, ...]:
    now_ms = seed.NOW_MS
    hours = tuple(now_ms - HOUR * n for n in range(48, 0, -1))
    burning = SloState(
        Objective("payment"),
        now_ms,
        hours[0],
        480_000.0,
        240.0,
        0.9995,
        0.5,
        (
            Burn(14.4, HOUR, 300_000, 18.0, 20.0, "critical"),
            Burn(6.0, 6 * HOUR, 1_800_000, None, None, "critical"),
        ),
        "critical",
        72_000_000,
        60_000_000,
        90_000_000,
        None,
        (hours[0], hours[-1]),
        (1.0, 0.5),
        hours,
        (10_000.0,) * 48,
        (5.0,) * 48,
    )
    slow = Objective("cart", kind=ObjectiveKind.LATENCY, threshold_ms=300, objective=99.0)
    spent = replace(burning, objective=slow, firing="", remaining=-0.2, gone_ms=None, bound_s=0.5)
    hostile = Objective("<script>alert(1)</script>", description="<b onclick=x>")
    return (SloState(hostile, now_ms), spent, burning)


@pytest.fixture
def house_of(house: Any, seed: Any, states: tuple[SloState, ...]) -> Any:
    from console.app import create_app

    seed.fill(house.store)
    house.ports = replace(house.ports, slos=lambda: states)
    house.app = create_app(house.ports)
    return house


def test_the_page_shows_what_burns_first(house_of: Any) -> None:
    text = house_of.client().get("/slos").text
    first, second = text.index("payment-availability"), text.index("cart-latency-300ms")
    assert first < second
    for said in ("99.95 %", "50%", "18×", "20h", "16h 40m to 1d 1h", "spent", "bound of 0.5 s"):
        assert said in text, said
    assert "<script>alert" not in text and "&lt;script&gt;" in text
    assert text.count('class="plot"') == 2


def test_the_page_in_chinese(house_of: Any) -> None:
    text = house_of.client().get("/slos", headers={"accept-language": "zh-CN"}).text
    assert "剩余错误预算" in text and "已用尽" in text and "error budget left" not in text


def test_a_service_can_be_picked(house_of: Any) -> None:
    text = house_of.client().get("/slos?service=cart").text
    assert "cart-latency-300ms" in text and "payment-availability" not in text


def test_a_services_page_names_its_objectives(house_of: Any) -> None:
    text = house_of.client().get("/services/payment").text
    assert "payment-availability" in text and "50% of the error budget left" in text
    assert "cart-latency" not in text


def test_without_objectives_the_page_says_how_to_set_one(house: Any) -> None:
    assert "Two lines in config/slo.yaml" in house.client().get("/slos").text
    assert house.client().get("/api/v1/slos").json() == {"slos": []}


def test_json_is_light_unless_history_is_asked_for(house_of: Any) -> None:
    found = house_of.client().get("/api/v1/slos").json()["slos"]
    assert [one["state"] for one in found] == ["critical", "spent", "unknown"]
    assert found[0]["objective"]["name"] == "payment-availability"
    assert found[0]["objective"]["budget"] == pytest.approx(0.001)
    assert found[0]["burn"] == 18.0 and "left" not in found[0]
    found = house_of.client().get("/api/v1/slos?history=true&service=payment").json()["slos"]
    assert len(found) == 1 and len(found[0]["totals"]) == 48


def test_the_report_says_how_objectives_were_kept(house_of: Any, seed: Any) -> None:
    client = house_of.client()
    since, until = seed.NOW_MS - 24 * HOUR, seed.NOW_MS
    path = f"/api/v1/report?since={since}&until={until}"
    kept = {one["name"]: one for one in client.get(path).json()["slos"]}
    mine = kept["payment-availability"]
    assert (mine["total"], mine["bad"]) == (240_000.0, 120.0)
    assert mine["budget_used"] == pytest.approx(0.5)
    text = client.get(f"{path}&format=text").text
    assert "Objectives (SLOs)" in text and "99.95 %" in text
    rows = client.get(f"{path}&format=csv").text.splitlines()
    assert any(row.startswith("objective,payment-availability,") for row in rows)
    assert len({row.count(",") for row in rows}) == 1
    assert "Objectives (SLOs)" in client.get(f"{path}&format=html").text
    # Of the simulated past nothing is promised.
    assert client.get(f"{path}&simulated=true").json()["slos"] == []
