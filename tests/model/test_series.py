"""The series index: limits, eviction, and a snapshot that gives back the same rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.errors import SnapshotError
from model.labels import Labels
from model.series import SeriesIndex

_NAMES = st.lists(st.text(min_size=1, max_size=8), max_size=30, unique=True)


def _series(name: str) -> Labels:
    return Labels.of({"__name__": "m", "name": name})


@given(names=_NAMES, gone=st.sets(st.integers(0, 29)))
def test_a_snapshot_gives_back_the_same_rows(names: list[str], gone: set[int]) -> None:
    index = SeriesIndex()
    for at, name in enumerate(names):
        index.intern(_series(name), source=f"t{at % 3}", now_ms=5 if at in gone else 20)
    index.evict_stale(10)
    index.describe("m", "gauge")
    other = SeriesIndex()
    other.load(index.save())
    assert {r: other.labels(r) for r in other.rows()} == {r: index.labels(r) for r in index.rows()}
    assert [other.source(r) for r in other.rows()] == [index.source(r) for r in index.rows()]
    assert other.save() == index.save()
    # A new series gets the same row in both.
    assert other.intern(_series("a new one")) == index.intern(_series("a new one"))


@pytest.mark.parametrize(
    "data", [b"", b"{}", b'{"version":1}', b"\x00", b'{"version":2,"rows":1}\n{"labels":[[]]}']
)
def test_f20_a_damaged_snapshot_is_refused_and_changes_nothing(data: bytes) -> None:
    index = SeriesIndex()
    row = index.intern(_series("kept"))
    with pytest.raises(SnapshotError):
        index.load(data)
    assert index.find(_series("kept")) == row


def test_a23_one_source_at_its_cap_does_not_take_the_room_of_another() -> None:
    index = SeriesIndex(series_max=10, per_source_max=3)
    rows = [index.intern(_series(f"random {n}"), source="noisy") for n in range(100)]
    assert sum(row >= 0 for row in rows) == 3
    assert index.refused == 97
    assert index.intern(_series("calm"), source="other") >= 0


def test_evicted_rows_are_told_of_before_they_are_given_again() -> None:
    index = SeriesIndex()
    told: list[list[int]] = []
    index.on_evict(lambda rows: told.append(rows.tolist()))
    old = index.intern(_series("old"), now_ms=1)
    kept = index.intern(_series("kept"), now_ms=1)
    index.touch(np.array([kept], dtype=np.int32), 100)
    assert index.evict_stale(50).tolist() == [old]
    assert told == [[old]]
    assert index.intern(_series("new"), now_ms=100) == old
    assert index.find(_series("old")) is None
