"""Batches joined to one: the same samples in the same order."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from model.batch import SMALL, LogBatch, MetricBatch, joined
from model.reason import because


def metrics(rows: list[int], at_ms: int, noted: tuple[int, ...] = ()) -> MetricBatch:
    made = MetricBatch.of(rows, at_ms, [at_ms + row for row in rows], arrival_ms=at_ms)
    notes = {row: because("seen at {at}", at=at_ms) for row in noted}
    return MetricBatch(made.rows, made.times_ms, made.values, at_ms, "a", notes)


def lines() -> LogBatch:
    none = np.zeros(0, dtype=np.int32)
    times_ms, severities = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int8)
    return LogBatch(times_ms, none, severities, (), (), {}, 0, "log")


def samples(batches: list[MetricBatch | LogBatch]) -> list[object]:
    """Each sample, and each batch of lines by what it is."""
    found: list[object] = []
    for batch in batches:
        if isinstance(batch, LogBatch):
            found.append(batch)
        else:
            columns = batch.rows.tolist(), batch.times_ms.tolist(), batch.values.tolist()
            found += zip(*columns, strict=True)
    return found


@settings(deadline=None)
@given(
    st.lists(
        st.one_of(st.none(), st.integers(0, 5), st.just(SMALL - 1), st.just(SMALL)), max_size=12
    )
)
def test_no_sample_is_lost_moved_or_doubled(sizes: list[int | None]) -> None:
    given_ = [
        lines() if size is None else metrics(list(range(size)), at) for at, size in enumerate(sizes)
    ]
    made = list(joined(given_))
    assert samples(made) == samples(given_)
    for one, other in zip(made, made[1:], strict=False):
        # Neighbours are apart for a reason: lines, a large batch, or enough of small ones.
        both = [len(batch) for batch in (one, other) if isinstance(batch, MetricBatch)]
        assert len(both) < 2 or max(both) >= SMALL


def test_what_is_noted_goes_with_its_samples_and_twice_of_a_row_stays_apart() -> None:
    first, second = metrics([1, 2], 1_000, (1,)), metrics([2, 3], 1_000, (3,))
    again = metrics([1], 2_000, (1,))
    made = [batch for batch in joined([first, second, again]) if isinstance(batch, MetricBatch)]
    assert [batch.rows.tolist() for batch in made] == [[1, 2, 2, 3], [1]]
    assert [dict(batch.notes) for batch in made] == [{**first.notes, **second.notes}, again.notes]
