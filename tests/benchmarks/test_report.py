"""The form in which benchmarks tell what they found, and that made-up telemetry is the same each time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.report import Row, table, tell
from benchmarks.telemetry import World, record
from model.series import SeriesIndex
from pipeline.recording import Recording


def test_json_has_its_form(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tell([Row("speed", "a", 2.0, "1/s", "peer", 0.5)], tmp_path / "x.json")
    said = json.loads((tmp_path / "x.json").read_text())
    assert set(said["machine"]) == {"cores", "python", "commit"}
    assert said["rows"] == [
        {"measure": "speed", "subject": "a", "value": 2.0, "unit": "1/s", "peer": "peer", "ratio": 0.5}
    ]  # fmt: skip
    assert "0.50" in capsys.readouterr().out


def test_peers_have_columns_only_where_there_are_any() -> None:
    assert "peer" not in table([Row("a", "b", 1, "")])
    assert "peer" in table([Row("a", "b", 1, "", "c", 2.0)])


def test_a_world_is_the_same_each_time(tmp_path: Path) -> None:
    world = World(services=10, instances=1, duration_s=600)
    record(world, tmp_path / "a")
    record(world, tmp_path / "b")
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert files == ["changes.jsonl", "logs.jsonl", "metrics.om"]
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    index = SeriesIndex()
    taken = Recording(tmp_path / "a", index).take_until(1 << 61)
    assert len(index) == 100
    assert sum(map(len, taken.metrics)) == 100 * 40
