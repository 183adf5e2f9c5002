"""Remote write read as columns: against plain protobuf, and against what senders should not send."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors import remote_write1, remote_write2
from collectors.remote_messages import KINDS, Request1, Request2
from collectors.remote_series import Book, Books, read_labels
from collectors.remote_write import Reading, RemoteWrite
from collectors.senders import Senders
from collectors.watermark import Watermark
from model.batch import STALE_NAN, MetricBatch, is_stale
from model.errors import InputError
from model.labels import Labels
from model.series import SeriesIndex

NOW_MS = 1_700_000_000_000
PARTS = 10_000
Sample = tuple[int, float]
Series = tuple[dict[str, str], list[Sample]]


def v1(many: Sequence[Series], **extra: Any) -> bytes:
    """A 1.0 request."""
    request = Request1()
    for labels, samples in many:
        series = request.timeseries.add(**extra)
        for name, value in labels.items():
            series.labels.add(name=name.encode(), value=value.encode())
        for time_ms, number in samples:
            series.samples.add(value=number, timestamp=time_ms)
    return bytes(request.SerializeToString())


def v2(many: Sequence[Series], kind: int = 0, created_ms: int = 0, **extra: Any) -> bytes:
    """A 2.0 request."""
    request, numbers = Request2(), {"": 0}
    for labels, samples in many:
        series = request.timeseries.add(created_timestamp=created_ms, **extra)
        for pair in labels.items():
            series.labels_refs.extend(numbers.setdefault(text, len(numbers)) for text in pair)
        for time_ms, value in samples:
            series.samples.add(value=value, timestamp=time_ms)
        if kind:
            series.metadata.type = kind
            series.metadata.help_ref = numbers.setdefault("what it is", len(numbers))
    request.symbols.extend(text.encode() for text in numbers)
    return bytes(request.SerializeToString())


ENCODE = {remote_write1: v1, remote_write2: v2}
both = pytest.mark.parametrize("version", [remote_write1, remote_write2])


def door(index: SeriesIndex | None = None) -> Any:
    """Where pushes come in: as much of it as samples need."""
    mark = Watermark(lateness_ms=600_000, future_ms=60_000)
    given = SeriesIndex() if index is None else index
    return SimpleNamespace(index=given, samples=mark, senders=Senders())


def read(version: ModuleType, many: Sequence[Series], book: Book | None = None, **extra: Any) -> tuple[RemoteWrite, Reading]:  # fmt: skip
    """A request that is encoded and read."""
    body = ENCODE[version](many, **extra)
    found: tuple[RemoteWrite, Reading] = version.read(
        body, Book() if book is None else book, "site", parts_max=PARTS
    )
    return found


def said(index: SeriesIndex, batches: Sequence[MetricBatch]) -> list[tuple[str, int, bytes]]:
    """Samples as they can be compared: series, time, the value's bits."""
    return sorted(
        (str(index.labels(row)), time_ms, value.tobytes())
        for batch in batches
        for row, time_ms, value in zip(
            batch.rows.tolist(), batch.times_ms.tolist(), batch.values, strict=True
        )
    )


names = st.sampled_from(["a", "job", "instance", "zone", "é", "x" * 200])
texts = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20
)
label_sets = st.dictionaries(names, texts, max_size=4).map(
    lambda some: dict(sorted({**some, "__name__": "m"}.items()))
)
values = st.sampled_from([0.0, -0.0, 1.0, float("nan"), float("inf"), STALE_NAN]) | st.floats()
times = st.integers(NOW_MS - 500_000, NOW_MS)
requests = st.lists(
    st.tuples(label_sets, st.lists(st.tuples(times, values), max_size=3)), max_size=8
)


@both
@settings(deadline=None, max_examples=60)
@given(many=requests, kind=st.integers(0, 7), parts=st.integers(0, 2))
def test_columns_are_what_plain_protobuf_says(
    version: ModuleType, many: list[Series], kind: int, parts: int
) -> None:
    # A histogram that contradicts itself: what stands beside it is not harmed.
    extra = {"exemplars": [b"\x09"] * parts, "histograms": [b"\x30\x01"] * (parts // 2)}
    if version is remote_write2:
        extra["kind"] = kind  # type: ignore[assignment]
    wanted = sorted(
        (str(Labels.of(labels)), time_ms, np.float64(value).tobytes())
        for labels, samples in many
        for time_ms, value in samples
    )
    book, place = Book(), door()
    for _ in range(2):  # as first met, and as known
        push, reading = read(version, many, book, **extra)
        assert len(reading.problems) == min(10, reading.histograms_bad + reading.exemplars_bad)
        assert reading.exemplars_bad == parts * len(many) and not reading.exemplars
        assert reading.histograms_bad == parts // 2 * len(many) and not reading.natives
        # The sign of a zero is not sent.
        got = [(who, at, bits) for who, at, bits in said(place.index, push.batches(place, NOW_MS))]
        negative = np.float64(-0.0).tobytes()
        zero = np.float64(0.0).tobytes()

        def plain(one: list[tuple[str, int, bytes]]) -> list[tuple[str, int, bytes]]:
            return sorted((w, t, zero if b == negative else b) for w, t, b in one)  # noqa: B023

        assert plain(got) == plain(wanted)


@both
@settings(deadline=None, max_examples=200)
@given(many=requests, cuts=st.lists(st.tuples(st.integers(0, 2_000), st.binary(max_size=6)), max_size=3))  # fmt: skip
def test_a03_damaged_bodies_are_refused_or_read_never_a_mistake_of_ours(
    version: ModuleType, many: list[Series], cuts: list[tuple[int, bytes]]
) -> None:
    body = ENCODE[version](many)
    for at, put in cuts:
        body = body[:at] + put + body[at + len(put) :]
    book, place = Book(), door()
    try:
        push, _ = version.read(body, book, "site", parts_max=PARTS)
    except InputError as error:
        assert str(error)
    else:
        push.batches(place, NOW_MS)


def test_a_label_that_ends_like_a_sample_is_a_label() -> None:
    """Whoever chooses label values cannot make us read a number of theirs."""
    forged = "\x12\x10\x09" + "A" * 8
    many: list[Series] = [
        ({"__name__": "m", "z": forged}, [(NOW_MS, 0.0)]),
        ({"__name__": "m", "z": forged[:2] + "\x12\x07"}, [(NOW_MS, 5.0)]),
    ]
    place, book = door(), Book()
    for _ in range(2):
        push, _ = read(remote_write1, many, book)
        assert len(said(place.index, push.batches(place, NOW_MS))) == 2
    assert {place.index.labels(row)["z"] for row in place.index.rows()} == {
        labels["z"] for labels, _ in many
    }


@pytest.mark.parametrize(
    ("pairs", "problem"),
    [
        ([("job", "a")], "__name__ is missing"),
        ([("__name__", "m"), ("a", "1"), ("a", "2")], "stands twice"),
        ([("__name__", "m"), ("a", "")], "leave such labels out"),
        ([("", "m"), ("__name__", "m")], "leave such labels out"),
        ([("__name__", "m"), ("a", "x" * 5_000)], "longer than"),
        # PostgreSQL takes no NUL: such a service would end in an alert that cannot be stored.
        ([("__name__", "m"), ("service", "a\0")], "label 'service': NUL is not allowed"),
        ([("__name__", "m"), ("a\0", "1")], "NUL is not allowed"),
        ([("__name__", "m"), *((f"a{n:02}", "1") for n in range(64))], "at most 64"),
    ],
)
def test_a03_labels_are_checked(pairs: list[tuple[str, str]], problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        read_labels([(name.encode(), value.encode()) for name, value in pairs])


def test_labels_need_not_be_sorted_to_be_the_same_series() -> None:
    pairs = [(b"job", b"a"), (b"__name__", b"m")]
    assert (
        read_labels(pairs) == read_labels(sorted(pairs)) == Labels.of({"__name__": "m", "job": "a"})
    )


def test_a03_labels_that_are_not_utf8() -> None:
    with pytest.raises(InputError, match="UTF-8"):
        read_labels([(b"__name__", b"\xff")])


@both
def test_series_that_are_not_valid_are_left_out_and_told_of(version: ModuleType) -> None:
    many: list[Series] = [
        ({"job": "a"}, [(NOW_MS, 1.0)]),
        ({"__name__": "m", "job": "a"}, [(NOW_MS, 2.0)]),
        ({"__name__": "m", "job": ""}, [(NOW_MS, 1.0), (NOW_MS + 1, 1.0)]),
    ]
    push, reading = read(version, many)
    assert len(push.slots) == 1 and reading.bad == 3
    assert [problem.partition(": ")[0] for problem in sorted(reading.problems)] == [
        "timeseries/0",
        "timeseries/2",
    ]


def test_symbols_are_checked() -> None:
    for symbols, refs, problem in (
        (["x"], [1, 2], "must be the empty text"),
        (["", "__name__"], [1, 2], "beyond the symbols"),
        (["", "__name__", "m"], [1, 2, 1], "pairs of name and value"),
        (["", "__name__", "m" * 20_000], [1, 2], "too long"),
    ):
        request = Request2(symbols=[text.encode() for text in symbols])
        request.timeseries.add(labels_refs=refs).samples.add(value=1, timestamp=NOW_MS)
        try:
            push, reading = remote_write2.read(
                request.SerializeToString(), Book(), "s", parts_max=9
            )
        except InputError as error:
            assert problem in str(error)
        else:
            assert not len(push.slots) and problem in reading.problems[0]


def test_a_table_with_many_texts_has_wide_numbers() -> None:
    many: list[Series] = [
        ({"__name__": f"m{n}", "job": f"j{n}"}, [(NOW_MS, float(n))]) for n in range(9_000)
    ]
    book, place = Book(), door()
    body = v2(many)
    for _ in range(2):
        push, reading = remote_write2.read(body, book, "s", parts_max=100_000)
        (batch,) = push.batches(place, NOW_MS)
        assert not reading.slots, "all of them are regular"
        got = {place.index.labels(r)["__name__"]: v for r, v in zip(batch.rows.tolist(), batch.values.tolist(), strict=True)}  # fmt: skip
        assert got == {f"m{n}": float(n) for n in range(9_000)}


@both
def test_stale_markers_keep_their_bits_and_late_samples_go(version: ModuleType) -> None:
    labels = {"__name__": "up", "job": "a"}
    many: list[Series] = [
        (labels, [(NOW_MS, float(STALE_NAN))]),
        (labels, [(NOW_MS - 5_000, 1.0)]),
        (labels, [(NOW_MS - 601_000, 1.0)]),
        (labels, [(NOW_MS + 61_000, 1.0)]),
    ]
    place = door()
    push, _ = read(version, many)
    (batch,) = push.batches(place, NOW_MS)
    assert batch.times_ms.tolist() == [NOW_MS - 5_000, NOW_MS], "the oldest comes first"
    assert is_stale(batch.values).tolist() == [False, True]
    assert (place.samples.late, place.samples.future) == (1, 1)
    assert batch.source == "site" and place.index.source(int(batch.rows[0])) == "site"


def test_kinds_come_from_metadata() -> None:
    request = Request1()
    request.metadata.add(type=KINDS.index("counter"), family=b"jobs_done")
    request.metadata.add(type=KINDS.index("histogram"), family=b"wait_seconds")
    request.metadata.add(type=99, family=b"odd")
    place = door()
    push, _ = remote_write1.read(request.SerializeToString(), Book(), "s", parts_max=9)
    assert push.batches(place, NOW_MS) == []
    told = [place.index.kind(name) for name in ("jobs_done", "jobs_done_total", "wait_seconds", "odd")]  # fmt: skip
    assert told == ["counter", "counter", "histogram", "unknown"]
    many: list[Series] = [({"__name__": "lag_seconds_bucket", "le": "1"}, [(NOW_MS, 1.0)])]
    push, _ = read(remote_write2, many, kind=KINDS.index("histogram"))
    push.batches(place, NOW_MS)
    assert place.index.kind("lag_seconds") == "histogram"


def test_a_series_met_before_its_kind_is_known_begins_anew_as_a_counter() -> None:
    many: list[Series] = [
        ({"__name__": name, "job": "a"}, [(NOW_MS, 1.0)]) for name in ("jobs_done", "queue")
    ]
    book, place, evicted = Book(), door(), list[int]()
    place.index.on_evict(lambda rows: evicted.extend(rows.tolist()))
    push, _ = read(remote_write1, many, book)
    push.batches(place, NOW_MS)
    request = Request1()
    for name, kind in ((b"jobs_done", "counter"), (b"queue", "gauge")):
        request.metadata.add(type=KINDS.index(kind), family=name)
    for _ in range(2):  # said every minute, heeded once
        told, _ = remote_write1.read(request.SerializeToString(), book, "s", parts_max=9)
        assert told.batches(place, NOW_MS) == []
    assert evicted == [0]
    (batch,) = push.batches(place, NOW_MS)
    assert batch.rows.tolist() == [0, 1] and len(place.index) == 2


def test_a_counter_just_made_began_at_zero() -> None:
    many: list[Series] = [({"__name__": "x_total", "job": "a"}, [(NOW_MS, 7.0)])]
    book, place = Book(), door()
    push, reading = read(remote_write2, many, book, kind=1, created_ms=NOW_MS - 9_000)
    (batch,) = push.batches(place, NOW_MS)
    assert batch.times_ms.tolist() == [NOW_MS - 9_000, NOW_MS]
    assert batch.values.tolist() == [0.0, 7.0] and reading.made == 1
    push, reading = read(remote_write2, many, book, kind=1, created_ms=NOW_MS - 9_000)
    assert len(push.slots) == 1 and reading.made == 0, "said once"
    push, reading = read(remote_write2, many, Book(), kind=1, created_ms=NOW_MS - 9_000_000)
    assert len(push.slots) == 1, "long ago: where counting starts does not matter"


@both
def test_a02_a_body_of_tiny_parts_costs_little(version: ModuleType) -> None:
    """Two bytes a series: an ordinary parser makes fifty of each before they can be counted."""
    tag = b"\x0a\x00" if version is remote_write1 else b"\x22\x00"
    body = tag * (16 * 2**20)
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="more than 400000 parts"):
            version.read(body, Book(), "s", parts_max=400_000)
        assert tracemalloc.get_traced_memory()[1] < len(body)
    finally:
        tracemalloc.stop()


def test_a02_one_endless_series_is_refused() -> None:
    body = v1([({"__name__": "m"}, [])])
    inner = body[2:] + b"\x12\x00" * 600_000
    size = len(inner)
    head = bytes([0x0A, size & 127 | 128, size >> 7 & 127 | 128, size >> 14])
    with pytest.raises(InputError, match="longer than"):
        remote_write1.read(head + inner, Book(), "s", parts_max=9)


@both
def test_a02_a_body_of_tiny_samples_is_refused(version: ModuleType) -> None:
    """Two bytes a sample: fourteen megabytes would become gigabytes of Python's numbers."""
    many: list[Series] = [({"__name__": f"m{n}"}, [(0, 0.0)] * 4_000) for n in range(4)]
    with pytest.raises(InputError, match="more than 10000 samples"):
        read(version, many)


def test_a23_one_sender_of_random_labels_does_not_take_the_room_of_others() -> None:
    index = SeriesIndex(series_max=1_000, per_source_max=100)
    place = door(index)
    books = Books(series_max=300)
    for round_ in range(10):
        many: list[Series] = [
            ({"__name__": "m", "id": f"{round_}-{n}"}, [(NOW_MS, 1.0)]) for n in range(60)
        ]
        push, _ = remote_write1.read(v1(many), books.of("evil", "1"), "evil", parts_max=PARTS)
        push.batches(place, NOW_MS)
    fine: list[Series] = [({"__name__": "up", "job": f"{n}"}, [(NOW_MS, 1.0)]) for n in range(50)]
    push, _ = remote_write1.read(v1(fine), books.of("good", "1"), "good", parts_max=PARTS)
    (batch,) = push.batches(place, NOW_MS)
    assert len(batch) == 50 and len(index) == 150 and index.refused == 500
    assert len(books.of("evil", "1")) <= 300, "what came once is not remembered for ever"


def test_a23_who_was_refused_is_known_and_asked_again_later() -> None:
    index = SeriesIndex(per_source_max=1)
    many: list[Series] = [({"__name__": f"m{n}"}, [(NOW_MS, 1.0)]) for n in range(2)]
    book, place = Book(), door(index)
    push, _ = read(remote_write1, many, book)
    assert not book.refused(push.slots).any(), "nobody has met them yet"
    push.batches(place, NOW_MS)
    assert book.refused(push.slots).tolist() == [False, True]
    index.per_source_max = 2
    assert len(push.batches(place, NOW_MS + 1)[0]) == 1
    assert len(push.batches(place, NOW_MS + 61_000)[0]) == 2


def test_rows_that_went_to_other_series_are_looked_up_again() -> None:
    index = SeriesIndex()
    many: list[Series] = [({"__name__": "m"}, [(NOW_MS, 1.0)])]
    book, place = Book(), door(index)
    push, _ = read(remote_write1, many, book)
    push.batches(place, NOW_MS)
    index.evict_stale(NOW_MS + 1)
    other = index.intern(Labels.of({"__name__": "other"}))
    (batch,) = push.batches(place, NOW_MS)
    assert other == 0 and batch.rows.tolist() == [1]
    (again,) = push.batches(door(SeriesIndex()), NOW_MS)
    assert again.rows.tolist() == [0], "a reload has an index of its own"


def test_the_books_used_longest_ago_are_forgotten() -> None:
    books = Books(bytes_max=4_000)
    first = books.of("a", "1")
    for source in "abc":
        many: list[Series] = [
            ({"__name__": "m", "id": f"{n:090}"}, [(NOW_MS, 1.0)]) for n in range(15)
        ]
        remote_write1.read(v1(many), books.of(source, "1"), source, parts_max=PARTS)
    books.of("c", "1")
    assert books.of("a", "1") is not first
