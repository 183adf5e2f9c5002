"""Messages are read as they were written; whatever else comes is refused, by one kind of error."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.alert import Alert
from model.batch import STALE_NAN, MetricBatch, is_stale
from model.calls import Calls
from model.errors import InputError
from model.journal import JournalKind
from model.labels import Labels
from model.reason import because
from model.series import SeriesIndex
from pipeline.distributed.blocks import DECODED_BYTES_MAX, pack_labels, unpack_labels
from pipeline.distributed.shards import Splitter, owner, shard
from pipeline.distributed.wire import (
    MAGIC,
    MAGIC_NEEDED,
    Ask,
    Called,
    Dead,
    Entries,
    Entry,
    Lines,
    Message,
    Newer,
    Past,
    Samples,
    Tick,
    Told,
    read,
    write,
)

UP = Labels.of({"__name__": "up", "service": "pg"})
ALERT = Alert(UP, "detector", 1, 2, summary=because("{x} is down", x="pg"))


def samples(times_ms: list[int]) -> Samples:
    values = np.array([1.0, float("nan"), STALE_NAN])
    notes = {1: because("answers {code}", code="503")}
    kinds = {"up": "gauge"}
    return Samples(pack_labels([UP] * 3), np.array(times_ms), values, 9, "t", kinds, notes)


LINES = Lines(
    np.array([5, 6]), np.array([9, 17], dtype=np.int8), ("a", ""), ("x", "é\n"), (), 7, "f"
)
MESSAGES: list[Message] = [
    samples([4, 4, 4]),
    samples([4, 5, 6]),
    LINES,
    Past(samples([4, 4, 4]), b"", True),
    Past(None, pack_labels([UP]), ends=True),
    Tick(1_000),
    Ask(UP, 1_000),
    Called(1, 1_000, (Calls("cart", "stock", 5, 900),)),
    Newer("of-tomorrow"),
    Told(3, 1_000, (ALERT,)),
    Told(3, 1_000, (ALERT,), "a-stamp"),
    Entry(JournalKind.ALERT, "prom", 5, b"{}"),
    Entries(
        (Entry(JournalKind.ALERT, "prom", 5, b"{}"), Entry(JournalKind.ACT, "ann", 6, b"")), "s"
    ),
    Dead("tocsin.alerts", 0, 17, "why", b"\0\1"),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda one: type(one).__name__)
def test_what_is_written_is_read(message: Message) -> None:
    assert write(read(write(message))) == write(message)


def test_f27_a_kind_that_a_newer_release_sends_is_passed_over_and_not_set_aside() -> None:
    assert read(write(Newer("of-tomorrow"))) == Newer("of-tomorrow")


def test_f27_a_kind_that_nobody_can_do_without_is_set_aside_where_it_is_not_known() -> None:
    pushes = write(Entries((Entry(JournalKind.ALERT, "prom", 5, b"{}"),)))
    assert read(pushes) == Entries((Entry(JournalKind.ALERT, "prom", 5, b"{}"),))
    of_tomorrow = pushes.replace(b'"entries"', b'"tidings"')
    with pytest.raises(InputError, match="'tidings'"):
        read(of_tomorrow)
    assert read(of_tomorrow.replace(MAGIC_NEEDED, MAGIC)) == Newer("tidings")


def test_columns_come_back_bit_by_bit() -> None:
    found = read(write(samples([4, 5, 6])))
    assert isinstance(found, Samples)
    assert found.times_ms.tolist() == [4, 5, 6]
    assert found.values.tobytes() == samples([4, 5, 6]).values.tobytes()
    assert is_stale(found.values).tolist() == [False, False, True]
    assert unpack_labels(found.series) == [UP] * 3


@settings(deadline=None)
@given(st.binary(max_size=200), st.sampled_from(MESSAGES), st.integers(0, 400))
def test_a02_anything_else_is_refused_and_nothing_else_is_raised(
    noise: bytes, message: Message, at: int
) -> None:
    whole = write(message)
    for data in (noise, whole[:at], whole[:at] + noise + whole[at:]):
        try:
            read(data)
        except InputError:
            continue


def test_a03_a_bomb_is_refused() -> None:
    bomb = zlib.compress(b" " * (DECODED_BYTES_MAX + 1))
    with pytest.raises(InputError, match="larger than"):
        unpack_labels(bomb)


def test_all_of_a_service_goes_to_one_partition_in_its_order() -> None:
    index = SeriesIndex()
    labels = [
        Labels.of({"__name__": "m", "service": f"s{n % 7}", "instance": f"i{n}"}) for n in range(70)
    ]
    rows = [index.intern(one) for one in labels]
    batch = MetricBatch.of([*rows, *rows], 5, np.arange(140.0), arrival_ms=5, source="t")
    seen: list[float] = []
    for number, message in Splitter(index, 4).split(batch):
        assert isinstance(message, Samples)
        found = unpack_labels(message.series)
        assert {shard(owner(one), 4) for one in found} == {number}
        assert [index.find(one) for one in found] == [rows[int(v) % 70] for v in message.values]
        assert (np.diff(message.values) > 0).all()
        seen += message.values.tolist()
    assert sorted(seen) == list(range(140))


def test_workers_are_told_that_a_sum_and_a_count_are_parts_of_a_summary() -> None:
    index = SeriesIndex()
    index.describe("request_seconds", "summary")
    index.describe("size_bytes", "histogram")
    names = ("request_seconds_sum", "request_seconds_count", "size_bytes_sum")
    rows = [index.intern(Labels.of({"__name__": name, "service": "cart"})) for name in names]
    batch = MetricBatch.of(rows, 5, [1.0, 2.0, 3.0], arrival_ms=5, source="t")
    ((_, message),) = Splitter(index, 4).split(batch)
    assert isinstance(message, Samples)
    assert message.kinds == {"request_seconds_sum": "summary", "request_seconds_count": "summary"}
