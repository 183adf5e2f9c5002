"""Whatever comes as a log line, nothing raises, and how lines were cut into batches does not matter."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.engine import Engine
from detectors.settings import DetectorSettings
from detectors.snapshot import unpack
from model.batch import LogBatch
from model.series import SeriesIndex
from tests.detectors.log_bench import START_MS

LINES = st.lists(
    st.tuples(
        st.sampled_from((-(2**62), -1, 0, START_MS - 86_400_000, START_MS, START_MS + 31_000, 2**62)),
        st.sampled_from(("", "cart", "search")),
        st.sampled_from((0, 9, 17, 21)),
        st.one_of(
            st.text(max_size=40),
            st.sampled_from(
                ("took 5 ms", "status=500", "job_12345 ended", "size=999999999999999", "in 0 s", "id= ID: 1234")
            ),
        ),
        st.integers(-1, 4),
    ),
    max_size=40,
)  # fmt: skip


def batch(lines: list[tuple[int, str, int, str, int]], now_ms: int) -> LogBatch:
    return LogBatch(
        np.array([at for at, *_ in lines], dtype=np.int64),
        np.array([template for *_, template in lines], dtype=np.int32),
        np.array([severity for _, _, severity, _, _ in lines], dtype=np.int8),
        tuple(service for _, service, *_ in lines),
        tuple(text for *_, text, _ in lines),
        {template: f"template {template}" for *_, template in lines},
        now_ms,
        "f",
    )


@settings(deadline=None, max_examples=40)
@given(LINES, st.dictionaries(st.integers(0, 4), st.integers(0, 4), max_size=2))
def test_nothing_raises(
    lines: list[tuple[int, str, int, str, int]], merged: dict[int, int]
) -> None:
    index = SeriesIndex()
    engine = Engine(DetectorSettings(), index)
    later = {old: new for old, new in merged.items() if new < old}
    for n in range(3):
        now_ms = START_MS + n * 40_000
        made = batch(lines, now_ms)
        made.merged.update(later if n == 1 else {})
        engine.take(made, now_ms=now_ms)
        engine.step(now_ms)
        again = SeriesIndex()
        again.load(index.save())
        restored = Engine(DetectorSettings(), again)
        restored.load(engine.save())
        assert restored.save() == engine.save()


@settings(deadline=None, max_examples=25)
@given(LINES.map(lambda lines: [(at, "cart", *rest) for at, _, *rest in lines]))
def test_one_batch_of_many_equals_many_of_one(lines: list[tuple[int, str, int, str, int]]) -> None:
    saved = []
    for size in (1, 100):
        engine = Engine(DetectorSettings(), SeriesIndex())
        for n in range(2):
            now_ms = START_MS + n * 40_000
            for at in range(0, len(lines), size):
                engine.take(batch(lines[at : at + size], now_ms), now_ms=now_ms)
            engine.step(now_ms)
        saved.append(unpack(engine.save()))
    (one, plain), (many, other) = saved
    assert plain["watchers"] == other["watchers"] and plain["logs"] == other["logs"]
    mine = ("logkinds.", "templaterate.", "expectedline.", "parameters.")
    assert [n for n in one if n.startswith(mine) and one[n].tolist() != many[n].tolist()] == []
