"""The capacity report as a page, JSON, CSV and text."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest

from console.capacity import as_csv, rough
from model.capacity import Capacity, soonest_first
from model.labels import Labels

NOW_MS = 1_795_298_400_000  # the seed's
HOSTILE = '"><img src=x onerror=alert(1)><script>alert(2)</script>'
DAY_MS = 86_400_000
SOON = Capacity(
    "payment",
    "disk",
    Labels.of({"__name__": "disk_used_ratio", "instance": "db1", "mountpoint": "/var"}),
    0.814,
    growth_week=0.31,
    full_ms=NOW_MS + 2 * DAY_MS,
    early_ms=NOW_MS + DAY_MS,
    late_ms=NOW_MS + 4 * DAY_MS,
    window_ms=DAY_MS,
    seen_ms=NOW_MS,
    spark=(0.5, None, 0.7, 0.814),
)
NEVER = Capacity("cart", "queue", Labels.of({"__name__": "mail_queue_length"}), 12_000.0, "", -50.0)
HOSTILE_ONE = Capacity(HOSTILE, "quota", Labels.of({"__name__": "=1+1", "resource": HOSTILE}), None)
FOUND = soonest_first((NEVER, HOSTILE_ONE, SOON))


@pytest.fixture
def page(build: Callable[..., Any]) -> Callable[..., Any]:
    """Gets an address of a console that knows three resources."""
    client = build(capacity=lambda: FOUND).client()
    return lambda path, **headers: client.get(path, headers=headers)


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_the_page_shows_what_runs_out_first(page: Callable[..., Any], language: str) -> None:
    answer = page("/capacity", **{"accept-language": language})
    assert answer.status_code == 200
    text = answer.text
    assert text.index("/var db1") < text.index("mail_queue_length")
    assert ("81.4%" in text) and ("+31%" in text) and "12k" in text
    assert ("2d" in text) if language == "en" else ("2天" in text)
    assert 'class="spark"' in text
    assert "<img src=x" not in text and "<script>alert" not in text


def test_the_live_part_and_the_filter(page: Callable[..., Any]) -> None:
    text = page("/capacity?part=live&resource=queue").text
    assert "mail_queue_length" in text and "/var db1" not in text and "<html" not in text
    assert "Nothing that can run out was seen yet" in page("/capacity?service=none").text


def test_as_json(page: Callable[..., Any]) -> None:
    (first, *_), short = page("/api/v1/capacity?history=true").json()["capacity"], page("/api/v1/capacity").json()["capacity"]  # fmt: skip
    assert first["service"] == "payment" and first["place"] == "/var db1"
    assert (first["used"], first["full_ms"]) == (0.814, NOW_MS + 2 * DAY_MS)
    assert first["spark"] == [0.5, None, 0.7, 0.814] and "spark" not in short[0]
    assert first["series"]["mountpoint"] == "/var"
    assert page("/api/v1/capacity?format=xml").status_code == 400


def test_as_csv_without_formulas() -> None:
    first, *rest = list(csv.DictReader(io.StringIO(as_csv(list(FOUND)))))
    assert first["resource"] == "disk" and float(first["growth_week"]) == 0.31
    assert not any(cell.startswith("=") for row in rest for cell in row.values())


def test_as_text_and_as_a_download(page: Callable[..., Any]) -> None:
    text = page("/api/v1/capacity?format=text&language=en").text
    head, first, *_ = text.splitlines()
    assert head.split() == "Service Resource Place Used now Growth a week Full in Between".split()
    assert first.split() == ["payment", "disk", "/var", "db1", "81.4%", "+31%", "2d", "1d", "–", "4d"]  # fmt: skip
    answer = page("/api/v1/capacity?format=csv")
    assert "attachment" in answer.headers["content-disposition"]


def test_rough_times_have_no_false_digits() -> None:
    assert rough(-5.0 + 5.0) == 0.0 and rough(50 * 3_600_000 + 1) == 50 * 3_600_000
