"""The benchmarks of logs: what they find, count, and say where there is nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import hdfs, templates
from benchmarks.packs import NoData, data_dir

ROOT = Path(__file__).resolve().parents[2]
LABELS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=30)


@given(LABELS)
def test_grouping_is_as_the_obvious_loop_has_it(pairs: list[tuple[int, int]]) -> None:
    ours, theirs = zip(*pairs, strict=True)
    right = [
        at
        for at in range(len(pairs))
        if {n for n, x in enumerate(ours) if x == ours[at]}
        == {n for n, x in enumerate(theirs) if x == theirs[at]}
    ]
    groups = len({ours[at] for at in right})
    precision, recall = groups / len(set(ours)), groups / len(set(theirs))
    f1 = 2 * precision * recall / (precision + recall) if groups else 0.0
    assert templates.grouping(ours, theirs) == pytest.approx((len(right) / len(pairs), f1))


def test_systems_are_found_by_layout_wherever_they_lie(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    text = "Content,EventId,EventTemplate\ntook 3 ms,E1,took <*> ms\n"
    (deep / "Shop_2k.log_structured_corrected.csv").write_text(text)
    (deep / "Shop_2k.log_structured.csv").write_text(text)
    (deep / "Till.log_structured.csv").write_text(text)
    found = templates.find(tmp_path)
    assert [(s.name, sorted(s.truth)) for s in found] == [
        ("Shop", ["corrected", "eventid", "original"]),
        ("Till", ["corrected", "eventid", "original"]),
    ]
    rows = {row.measure: row.value for row in templates.quality(found)}
    assert rows["ga_mean"] == rows["fga_mean_original"] == 1.0


def test_odd_blocks_are_found_in_a_made_up_log() -> None:
    times, messages = [], []
    for n in range(1500):
        words = ["opened", "filled", "closed"] + ["lost its mirror"] * (n == 1200)
        times += [n * 1000] * len(words)
        messages += [f"block blk_{10_000 + n} was {word}" for word in words]
    found, _ = hdfs.run(times, messages)
    assert found == ["blk_11200"]


@pytest.mark.parametrize("name", ["templates", "hdfs"])
def test_absent_data_is_said_plainly(name: str, tmp_path: Path) -> None:
    told = tmp_path / "told.json"
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", "--data", tmp_path, "--json", told],
        capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0
    assert "nothing measured: no *" in done.stdout and str(tmp_path) in done.stdout
    assert not told.exists()
    with pytest.raises(NoData, match="name one with --data"):
        data_dir(tmp_path / "nowhere")


def test_the_whole_run_writes_its_rows(tmp_path: Path) -> None:
    text = "date,time,m_message,seq_id\n81109,3000,block blk_12345 lost,blk_12345\n"
    (tmp_path / "x_events.csv").write_text(text.replace("81109", "081109"))
    (tmp_path / "x_labels.csv").write_text("seq_id,normal,anomaly\nblk_12345,True,False\n")
    told = tmp_path / "told.json"
    subprocess.run(
        [sys.executable, "-m", "benchmarks.hdfs", "--data", tmp_path, "--json", told],
        check=True, capture_output=True, cwd=ROOT,
    )  # fmt: skip
    rows = {row["measure"]: row["value"] for row in json.loads(told.read_text())["rows"]}
    assert rows["blocks"] == 1 and rows["odd_blocks"] == 0 and rows["block_f1"] == 0
