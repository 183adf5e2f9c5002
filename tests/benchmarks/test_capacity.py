"""The sizing model: the page shows what the program says, and more is never cheaper."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import capacity
from benchmarks.capacity import Costs, Site

PAGE = Path(__file__).parents[2] / "docs" / "capacity.md"


def test_the_page_has_the_tables_of_the_program() -> None:
    page = PAGE.read_text(encoding="utf-8").splitlines()
    for line in (*capacity.series_table(Costs()), *capacity.alerts_table(Costs())):
        assert line in page


@pytest.mark.parametrize(
    "more", [{"series": 2e6}, {"signals": 2e5}, {"partitions": 64}, {"domains": 8}]
)
def test_more_of_anything_takes_more_to_detect(more: dict[str, Any]) -> None:
    site = Site(1e6, 1e5, 10.0, 16, 2)
    assert capacity.detect_cores(replace(site, **more), Costs()) > capacity.detect_cores(
        site, Costs()
    )


@pytest.mark.parametrize("alerts", [1.0, 1e3, 1e6])
def test_a_cut_leaves_nobody_more_than_planned(alerts: float) -> None:
    site = capacity.cut(1e6, 0.1, alerts, Costs())
    assert capacity.decide_cores(site, Costs()) <= site.domains * capacity.BUSY
    assert capacity.detect_cores(site, Costs()) <= site.partitions * capacity.BUSY / 2


def test_a_check_says_how_far_off_the_model_is(tmp_path: Path) -> None:
    site = Site(10_000, 10_000, 0.0, 4, 4)
    cost = capacity.detect_cores(site, Costs()) / site.samples_per_s * 1e6
    row = {"measure": "cpu_s_per_msample", "subject": "2 workers, detect", "value": 2 * cost}
    (tmp_path / "scale.json").write_text(json.dumps({"rows": [row]}))
    *_, last = capacity.check(tmp_path / "scale.json", 10_000, 20_000, Costs())
    assert last.startswith("| cpu_s_per_msample, 2 workers, detect |")
    assert last.endswith(" 0.50 |")
