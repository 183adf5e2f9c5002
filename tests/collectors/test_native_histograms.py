"""Native histograms against the observations they were made of, and against what contradicts itself."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.native_histograms import BUCKETS_MAX, SAMPLES, read_native
from collectors.otlp_buckets import bounds
from collectors.remote_messages import Histogram
from collectors.remote_series import Book
from model.batch import STALE_NAN, is_stale
from model.errors import InputError
from model.labels import Labels
from tests.collectors.test_remote_write import NOW_MS, both, door, read, said

FAMILY = "http_request_duration_seconds"
ZERO = 1e-128


def native(observed: list[float], schema: int, *, broken: bool = False) -> bytes:
    """What a client library sends of these observations."""
    sent = Histogram(schema=schema, zero_threshold=ZERO, sum=sum(observed), timestamp=NOW_MS)
    positive: dict[int, int] = {}
    negative: dict[int, int] = {}
    zeros = 0
    for value in observed:
        if abs(value) <= ZERO:
            zeros += 1
            continue
        number = math.ceil(math.log2(abs(value)) * 2.0**schema)
        side = positive if value > 0 else negative
        side[number] = side.get(number, 0) + 1
    for side, name in ((positive, "positive"), (negative, "negative")):
        spans, deltas, counts = (getattr(sent, f"{name}_{one}") for one in ("spans", "deltas", "counts"))  # fmt: skip
        after, before = 0, 0
        for number, count in sorted(side.items()):
            if spans and number == after:
                spans[-1].length += 1
            else:
                spans.add(offset=number - after if spans else number, length=1)
            if broken:
                counts.append(count / 2)
            else:
                deltas.append(count - before)
            after, before = number + 1, count
    if broken:
        sent.count_float, sent.zero_count_float = len(observed) / 2, zeros / 2
    else:
        sent.count_int, sent.zero_count_int = len(observed), zeros
    return bytes(sent.SerializeToString())


observations = st.lists(
    st.floats(-10.0, 100.0).filter(lambda x: x == 0 or abs(x) > 1e-9), max_size=40
)


@settings(deadline=None)
@given(observed=observations, schema=st.integers(1, 8), broken=st.booleans())
def test_at_the_bounds_that_stay_the_counts_are_exact(observed: list[float], schema: int, broken: bool) -> None:  # fmt: skip
    found = read_native(native(observed, schema, broken=broken), FAMILY)
    share = 2 if broken else 1
    # What lies on a bound, but for the rounding of its logarithm, may be counted on either side.
    assert found.steps == bounds("s")
    for bound, upto in zip(found.steps, found.values, strict=False):
        low = sum(x <= bound * (1 - 1e-12) for x in observed)
        high = sum(x <= bound * (1 + 1e-12) for x in observed)
        assert low <= upto * share <= high
    assert found.values[-3:-1] == (len(observed) / share,) * 2
    assert found.values[-1] == pytest.approx(sum(observed))


@settings(deadline=None)
@given(observed=observations, schema=st.integers(-4, 0))
def test_coarser_ones_are_never_said_to_be_faster_than_they_were(observed: list[float], schema: int) -> None:  # fmt: skip
    found = read_native(native(observed, schema), FAMILY)
    for bound, upto in zip(found.steps, found.values, strict=False):
        assert upto <= sum(x <= bound * (1 + 1e-12) for x in observed)
    assert list(found.values[:-1]) == sorted(found.values[:-1])


def test_own_bounds_are_kept() -> None:
    sent = Histogram(schema=-53, count_int=6, sum=9.0, timestamp=1, custom_values=[0.1, 1.0, 5.0])
    sent.positive_spans.add(offset=0, length=1)
    sent.positive_spans.add(offset=1, length=2)
    sent.positive_deltas.extend([3, -1, -1])
    found = read_native(sent.SerializeToString(), FAMILY)
    assert found.steps == (0.1, 1.0, 5.0)
    assert found.values == (3.0, 3.0, 5.0, 6.0, 6.0, 9.0)


def test_observations_that_are_no_number_are_counted_and_in_no_bucket() -> None:
    found = read_native(
        _sent(count_int=3, positive_deltas=[1, 0], spans=[(0, 2)], sum=math.nan), FAMILY
    )
    assert found.values[-4:-1] == (2.0, 3.0, 3.0)


def test_the_end_of_a_series_is_the_end_of_all_its_parts() -> None:
    found = read_native(Histogram(sum=STALE_NAN, timestamp=1).SerializeToString(), FAMILY)
    assert len(found.values) == SAMPLES and is_stale(np.array(found.values)).all()


def _sent(**fields: Any) -> bytes:
    spans = fields.pop("spans", [])
    sent = Histogram(**fields)
    for offset, length in spans:
        sent.positive_spans.add(offset=offset, length=length)
    return bytes(sent.SerializeToString())


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"\xff\xff", "no protobuf"),
        (_sent(reset_hint=3, count_int=1), "gauge"),
        (_sent(schema=9), "schema 9"),
        (_sent(schema=-10), "schema -10"),
        (_sent(count_int=1, positive_deltas=[1]), "spans do not fit"),
        (_sent(count_int=1, positive_deltas=[1], spans=[(0, 2**32 - 1)]), "spans do not fit"),
        (_sent(count_int=1, positive_deltas=[1, -2], spans=[(0, 2)]), "a bucket with -1"),
        (_sent(count_int=1, positive_deltas=[1, 0], spans=[(0, 2)]), "2 observations in buckets, 1 in all"),
        (_sent(count_int=3, positive_deltas=[1, 0], spans=[(0, 2)]), "2 observations in buckets, 3 in all"),
        (_sent(count_int=9, positive_deltas=[1, 0], spans=[(5, 1), (-3, 1)]), "before the one before it"),
        (_sent(count_int=9, positive_deltas=[1], positive_counts=[1.0], spans=[(0, 1)]), "whole and broken"),
        (_sent(count_float=9, positive_counts=[math.nan], spans=[(0, 1)]), "a bucket with nan"),
        (_sent(count_float=9, zero_count_float=-1.0), "negative or no number"),
        (_sent(count_int=9, positive_deltas=[0] * (BUCKETS_MAX + 1), spans=[(0, BUCKETS_MAX + 1)]), "more than 2000 buckets"),
        (_sent(schema=-53, custom_values=[2.0, 1.0]), "must ascend"),
        (_sent(schema=-53, custom_values=[math.nan]), "must ascend"),
        (_sent(schema=-53, count_int=1, custom_values=[1.0], positive_deltas=[1], spans=[(2, 1)]), "beyond the 1 bounds"),
    ],
)  # fmt: skip
def test_a03_what_contradicts_itself_is_refused(data: bytes, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        read_native(data, FAMILY)


@both
def test_a_histogram_becomes_the_series_that_detectors_read(version: ModuleType) -> None:
    place, book = door(), Book()
    labels = {"__name__": FAMILY, "job": "shop"}
    extra: dict[str, Any] = {"histograms": [native([0.3, 0.3, 3.0], 3)]}
    for _ in range(2):  # as first met, and as known
        push, reading = read(version, [(labels, [])], book, **extra)
        batches = push.batches(place, NOW_MS)
        got = {who: np.frombuffer(bits)[0] for who, _, bits in said(place.index, batches)}  # fmt: skip
        assert len(got) == SAMPLES and len(reading.natives) == 1 and not reading.problems
        names = {**labels, "__name__": f"{FAMILY}_bucket"}
        assert got[str(Labels.of({**names, "le": "0.5"}))] == 2.0
        assert got[str(Labels.of({**names, "le": "+Inf"}))] == 3.0
        assert got[str(Labels.of({**labels, "__name__": f"{FAMILY}_sum"}))] == pytest.approx(3.6)
        assert place.index.kind(FAMILY) == "histogram"
    # Classic buckets that are written as well are the same series where their bounds are the same.
    rows = len(list(place.index.rows()))
    classic = [({**names, "le": "0.5"}, [(NOW_MS + 1, 2.0)]), ({**names, "le": "0.7"}, [(NOW_MS + 1, 2.0)])]  # fmt: skip
    push, _ = read(version, classic, book)
    push.batches(place, NOW_MS + 1)
    assert len(list(place.index.rows())) == rows + 1


@both
def test_of_a_bad_histogram_the_rest_is_taken(version: ModuleType) -> None:
    extra: dict[str, Any] = {"histograms": [native([0.3], 3), _sent(schema=20)]}
    push, reading = read(version, [({"__name__": "m"}, [(NOW_MS, 1.0)])], **extra)
    assert (len(push.slots), len(reading.natives), reading.histograms_bad) == (SAMPLES + 1, 1, 1)
    assert "schema 20" in reading.problems[0]


@both
def test_a02_a_body_of_tiny_bad_histograms_is_refused(version: ModuleType) -> None:
    with pytest.raises(InputError, match="more than 10000 samples"):
        read(version, [({"__name__": "m"}, [])], histograms=[b"\x20\x28"] * 20_000)
