"""Probes on the page and as JSON."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from collectors.probe import ProbeState
from collectors.probe_settings import ProbeKind, ProbeTarget
from collectors.probing import Result
from model.reason import because

DAY = 86_400_000


@pytest.fixture
def probing(house: Any, seed: Any) -> Any:
    from console.app import create_app

    seed.fill(house.store)
    now_ms = seed.NOW_MS
    shop = ProbeTarget("shop", ProbeKind.HTTP, "https://shop.example/?key=s3cret")
    phases = (("resolve", 0.004), ("connect", 0.02), ("tls", 0.05), ("processing", 0.1))
    well = Result(None, 0.2, phases, {}, now_ms + 63 * DAY + 5)
    soon = Result(None, 0.3, phases, {}, now_ms + 9 * DAY + 5)
    reason = because("{target} answers HTTP {status} instead of {expected}", target="<b>x", status=503, expected="2xx")  # fmt: skip
    failed = Result(reason, 0.5, phases, {}, now_ms - DAY)
    states = (
        ProbeState(shop, well, now_ms - 5_000),
        ProbeState(replace(shop, name="mail", service="payment"), soon, now_ms - 5_000),
        ProbeState(replace(shop, name="login"), failed, now_ms - 5_000, now_ms - 60_000),
        ProbeState(ProbeTarget("<script>", ProbeKind.TCP, "db1:5432")),
    )
    house.ports = replace(house.ports, probes=lambda: states)
    house.app = create_app(house.ports)
    return house


def test_what_fails_comes_first_and_nothing_secret_or_hostile_is_shown(probing: Any) -> None:
    text = probing.client().get("/probes").text
    at = [text.index(f"<b>{name}</b>") for name in ("login", "mail", "&lt;script&gt;", "shop")]
    assert at == sorted(at)
    assert "&lt;b&gt;x answers HTTP 503 instead of 2xx" in text
    assert "s3cret" not in text and "<script>" not in text.replace("<script src", "")
    for shown in ("63 days left", "9 days left", "expired", "not tried yet", "/services/payment"):
        assert shown in text


def test_in_chinese(probing: Any) -> None:
    text = probing.client().get("/probes", headers={"Accept-Language": "zh-CN"}).text
    assert "<b>x" not in text and "返回 HTTP 503，应为 2xx" in text and "剩余 63 天" in text


def test_as_json(probing: Any) -> None:
    found = probing.client().get("/api/v1/probes").json()["probes"]
    assert [one["name"] for one in found] == ["login", "mail", "<script>", "shop"]
    assert found[0]["state"] == "critical" and found[0]["reason"].endswith("instead of 2xx")
    assert found[1]["state"] == "warning" and found[1]["service"] == "payment"
    assert found[3]["phases"]["tls"] == 0.05 and found[3]["target"] == "https://shop.example/"
    only = probing.client().get("/api/v1/probes?service=payment").json()["probes"]
    assert [one["name"] for one in only] == ["mail"]


def test_nothing_to_probe(house: Any, seed: Any) -> None:
    assert "Nothing is probed" in house.client().get("/probes").text
