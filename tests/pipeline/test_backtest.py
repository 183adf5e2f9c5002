"""A recording played back: the same twice, whatever the batches, and with the incidents it should have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from model.alert import Alert
from model.change import Change
from model.labels import Labels
from model.series import SeriesIndex
from pipeline import backtest, settings
from pipeline.recording import LogLine, Recorder

START_MS = 1_767_571_200_000
RULES = """\
rules:
  - alert: InstanceDown
    matchers: ['__name__="up"']
    op: "=="
    value: 0
    severity: critical
"""


@pytest.fixture
def given(tmp_path: Path) -> settings.Settings:
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "tocsin.yaml").write_text("correlator:\n  group_wait: 20s\n")
    (folder / "rules.yaml").write_text(RULES)
    (folder / "catalogue.yaml").write_text("services: [{name: pg}, {name: mail}]\n")
    return settings.load(folder)


@pytest.fixture
def recorded(tmp_path: Path) -> Iterator[Path]:
    """Forty series at 15 s for half an hour; two of them say that something is down for five minutes."""
    index = SeriesIndex()
    names = [("up", n) for n in range(20)] + [("load", n) for n in range(20)]
    rows = np.array(
        [
            index.intern(Labels.of({"__name__": name, "service": "pg", "instance": f"db{n}"}))
            for name, n in names
        ]
    )
    recorder = Recorder(tmp_path / "recorded", index)
    for at_s in range(0, 1800, 15):
        values = np.array([1.0] * 20 + [float(n + at_s % 7) for n in range(20)])
        if 600 <= at_s < 900:
            values[:2] = 0.0
        recorder.metrics(rows, np.full(40, START_MS + at_s * 1000), values)
    recorder.changes([Change("c", START_MS + 500_000, "deploy", "pg", "15.3", arrival_ms=START_MS + 500_000)])  # fmt: skip
    labels = Labels.of({"alertname": "Pushed", "service": "mail", "severity": "critical"})
    at_ms = START_MS + 100_000
    recorder.alerts(
        [
            Alert(labels, "am", at_ms, at_ms),
            Alert(labels, "am", at_ms, at_ms + 60_000, ends_ms=at_ms + 60_000),
        ]
    )
    recorder.logs(
        LogLine(START_MS + n * 1000, f"request {n} done", "pg", "info") for n in range(99)
    )
    recorder.close()
    yield tmp_path / "recorded"


def test_it_finds_what_was_there(given: settings.Settings, recorded: Path) -> None:
    found = backtest.run(recorded, given)
    # The engine derives series of its own beside the forty.
    assert found.series >= 40
    assert found.samples == 40 * 120
    assert found.recorded_s == 1785
    pg = [i for i in found.incidents if i.service == "pg"]
    mail = [i for i in found.incidents if i.service == "mail"]
    assert len(mail) == len(pg) == 1
    assert mail[0].opened_ms - START_MS == 120_000
    assert pg[0].alert_count >= 2
    assert 600_000 <= pg[0].opened_ms - START_MS <= 640_000
    assert pg[0].closed_ms is not None
    assert all(len(lines) >= 3 for lines in found.timelines)


@pytest.mark.parametrize("batching", [0, 1, 7])
def test_batching_changes_nothing(given: settings.Settings, recorded: Path, batching: int) -> None:
    one = backtest.run(recorded, given, settle_ms=60_000)
    other = backtest.run(recorded, given, batching=batching, settle_ms=60_000)
    assert one.canonical() == other.canonical()
