"""`tocsin backfill --check` against a double of Prometheus."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from model.clock import SystemClock
from model.labels import Labels
from pipeline.cli import app
from tests.collectors.prometheus_double import Double, serving

CONFIG = """\
scrape:
  interval: 15s
  targets: [{{url: "http://127.0.0.1:1/metrics", job: shop, instance: "{instance}"}}]
"""


@pytest.fixture
def double() -> Iterator[Double]:
    now_ms = SystemClock().now_ms()
    times = np.arange(now_ms - 600_000, now_ms, 15_000, dtype=np.int64)
    with serving(Double()) as served:
        for name in ("up", "depth", "width"):
            labels = Labels.of({"__name__": name, "job": "shop", "instance": "a:80"})
            served.series[labels] = (times, np.ones(len(times)))
        yield served


def check(folder: Path, double: Double, instance: str, *more: str) -> tuple[int, str]:
    (folder / "tocsin.yaml").write_text(CONFIG.format(instance=instance))
    command = ["backfill", "--check", "--url", double.url, "--config", str(folder), *more]
    result = CliRunner().invoke(app, command)
    return result.exit_code, result.stdout


def test_it_says_what_would_be_fetched(double: Double, tmp_path: Path) -> None:
    status, said = check(tmp_path, double, "a:80")
    assert status == 0 and '3       {job="shop",instance="a:80"}' in said
    assert re.search("At most 3 series, 141[0-9]{2} samples of 14 days, in about ", said)
    status, said = check(tmp_path, double, "a:80", "--json")
    found = json.loads(said)
    assert (found["series"], found["points"] // 100, found["requests"]) == (3, 141, 2)


def test_it_says_that_nothing_is_there(double: Double, tmp_path: Path) -> None:
    status, said = check(tmp_path, double, "b:80")
    assert status == 1 and "as in prometheus.yml?" in said


def test_without_a_prometheus_it_says_what_to_set(tmp_path: Path) -> None:
    (tmp_path / "tocsin.yaml").write_text("")
    result = CliRunner().invoke(app, ["backfill", "--check", "--config", str(tmp_path)])
    assert result.exit_code == 1 and "backfill.url" in str(result.exception)
