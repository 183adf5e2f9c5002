"""Counting lines by what they have in common gives what counting them one by one does."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.lograte import LogRates
from model.batch import LogBatch

LINES = st.lists(
    st.tuples(st.integers(0, 9_000), st.sampled_from([0, 9, 13, 17, 21]), st.sampled_from("abcd")),
    max_size=30,
)


def _batch(lines: list[tuple[int, int, str]], first: int = 0) -> LogBatch:
    return LogBatch(
        np.array([at for at, _, _ in lines], dtype=np.int64),
        np.zeros(len(lines), dtype=np.int32),
        np.array([severity for _, severity, _ in lines], dtype=np.int8),
        tuple(service for _, _, service in lines),
        tuple(f"line {first + n}" for n in range(len(lines))),
        {},
        5,
        "f",
    )


@settings(deadline=None)
@given(LINES, st.sampled_from([1, 4, 6, 100]))
def test_one_batch_of_many_equals_many_of_one(
    lines: list[tuple[int, int, str]], streams_max: int
) -> None:
    one, many = LogRates(streams_max), LogRates(streams_max)
    one.take(_batch(lines), now_ms=2_000)
    for number, line in enumerate(lines):
        many.take(_batch([line], number), now_ms=2_000)
    assert one.save() == many.save()
    assert sum(count for *_, counts, _, _ in one.save()["streams"] for _, count in counts) == (
        len(lines) - one.refused
    )
