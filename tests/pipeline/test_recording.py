"""Recordings: written, read back in the order of time, and refused with a place."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.alert import Alert
from model.batch import STALE_NAN, is_stale
from model.change import Change
from model.errors import InputError
from model.labels import Labels
from model.series import SeriesIndex
from pipeline.recorded_metrics import FOREVER_MS, OrderedFile, SortedFile, open_metrics
from pipeline.recording import LogLine, Recorder, Recording, series_text


def test_what_is_recorded_is_read_back(tmp_path: Path) -> None:
    index = SeriesIndex()
    labels = Labels.of({"__name__": "up", "path": 'a "b" \\ {c} é\n# {'})
    rows = np.array([index.intern(labels), index.intern(Labels.of({"__name__": "x_total"}))])
    recorder = Recorder(tmp_path, index)
    recorder.metrics(rows, np.array([1_000, 1_000]), np.array([1.0, 2.5]))
    recorder.metrics(rows, np.array([2_000, 2_001]), np.array([STALE_NAN, np.nan]))
    alert = Alert(Labels.of({"alertname": "Down"}), "am", 1_500, 1_600)
    change = Change("c1", 900, "deploy", "shop", "v2", arrival_ms=1_700)
    recorder.alerts([alert])
    recorder.changes([change])
    recorder.logs([LogLine(1_800, "boom", "shop", "error")])
    recorder.close()

    other = SeriesIndex()
    recording = Recording(tmp_path, other)
    assert recording.next_ms() == 1_000
    first = recording.take_until(1_650)
    assert [len(s) for s in first.metrics] == [2]
    assert [other.labels(r) for r in first.metrics[0].rows.tolist()] == [
        labels,
        Labels.of({"__name__": "x_total"}),
    ]
    assert first.alerts == (alert,)
    assert (first.changes, first.logs) == ((), ())
    second = recording.take_until(9_000)
    assert second.changes == (change,)
    assert second.logs == (LogLine(1_800, "boom", "shop", "error"),)
    (samples,) = second.metrics
    assert samples.times_ms.tolist() == [2_000, 2_001]
    assert is_stale(samples.values).tolist() == [True, False]
    assert np.isnan(samples.values[1])
    assert recording.next_ms() == FOREVER_MS


def test_backfill_order_is_sorted_and_scrape_order_is_streamed(tmp_path: Path) -> None:
    scrapes = tmp_path / "scrapes.om"
    scrapes.write_text("# TYPE a counter\na_total 1 1\nb 2 1\na_total 3 2.5\n# EOF\nignored\n")
    index = SeriesIndex()
    assert isinstance(open_metrics(scrapes, index), OrderedFile)
    assert "counter" in (index.kind("a"), index.kind("a_total"))
    # As promtool and OpenMetrics want it: each series in one piece.
    backfill = tmp_path / "backfill.om"
    backfill.write_text("a_total 1 1\na_total 3 2.5\nb 2 1\n# EOF\n")
    found = open_metrics(backfill, index)
    assert isinstance(found, SortedFile)
    assert found.take_until(1_000).values.tolist() == [1.0, 2.0]
    assert found.next_ms() == 2_500


def test_victoriametrics_export(tmp_path: Path) -> None:
    line = {"metric": {"__name__": "up", "job": "a"}, "values": [1, None], "timestamps": [5, 9]}
    (tmp_path / "x.metrics.jsonl").write_text(json.dumps(line) + "\n")
    index = SeriesIndex()
    taken = Recording(tmp_path, index).take_until(9)
    assert taken.metrics[0].times_ms.tolist() == [5, 9]
    assert str(index.labels(0)) == '{__name__="up", job="a"}'


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.om", "up 1 1\nup one 2\n", "a.om:2:1: expected a number"),
        ("a.om", "up 1\n", "a.om:1:1: must be a series, a value and a timestamp"),
        ("a.om", "up 1 NaN\n", "a.om:1:1: must be a timestamp"),
        ("a.metrics.jsonl", '{"metric": {}}\n', "a.metrics.jsonl:1:1: not an exported series"),
        ("alerts.jsonl", "{}\n", "alerts.jsonl:1:1: not a Alert"),
        ("logs.jsonl", "\n\n[1]\n", "logs.jsonl:3:1: not a LogLine"),
        ("readme.txt", "hello\n", "nothing recorded"),
    ],
)
def test_mistakes_have_places(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError) as caught:
        Recording(tmp_path, SeriesIndex()).take_until(FOREVER_MS - 1)
    assert message in str(caught.value)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 50)), min_size=1, max_size=40))
def test_slices_are_what_the_loop_says(tmp_path_factory: pytest.TempPathFactory, points: list[tuple[int, int]]) -> None:  # fmt: skip
    """Naive twin: sort everything by time, cut it by hand."""
    path = tmp_path_factory.mktemp("r") / "x.om"
    path.write_text("".join(f"m{row} {n} {time}\n" for n, (row, time) in enumerate(points)))
    wanted = sorted((time * 1000, n) for n, (_, time) in enumerate(points))
    file = open_metrics(path, SeriesIndex())
    got = []
    for until_ms in range(0, 51_000, 7_000):
        part = file.take_until(until_ms)
        got += list(zip(part.times_ms.tolist(), part.values.astype(int).tolist(), strict=True))
        assert all(time <= until_ms for time, _ in got)
        assert file.next_ms() > until_ms
    assert got == [(time, n) for time, n in wanted if time <= 49_000]


def test_series_text_without_labels() -> None:
    assert series_text(Labels.of({"__name__": "up"})) == "up"
