"""Blocks of log lines give what their lines give one by one (`naive_lines.py`), however odd the lines."""

from __future__ import annotations

from datetime import UTC
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from collectors.elastic_places import DEPTH_MAX, Places, flatten
from collectors.logbatches import LogBatches
from collectors.logformats import of_syslog, plain_syslog, printable, read_rows, tidy
from collectors.loglines import LogLine, parse_line
from collectors.logtimes import from_field, time_at_front
from collectors.masking import RULES, Masking
from collectors.records import split_records
from collectors.settings import TemplateSettings, WatermarkSettings
from collectors.syslog_header import read_header
from collectors.templates import TemplateMiner
from collectors.tokens import mask
from collectors.watermark import Watermark
from tests.collectors import naive_lines

NOW = 1_700_000_000_000  # 2023-11-14T22:13:20Z
DAY = 86_400_000

PIECES = [
    *(b"ready", b"\n", b"\n", b"\n", b"\r\n", b"  at f()", b"\tat g", b" ", b"\0", b"\x0b", b"{", b"\xe2\x80\xa8"),
    *(b"Traceback (most recent call last):", b"Traceback x", b"ValueError: no", b"Caused by: x", b"DEBUG", b"... 3 more"),
    *(b"\xc3", b"\xa9", b"\xf0\x9f", b"\xff", b"\xed\xa0\x80", b"\xe0\x80", "grün".encode(), b"x" * 30, b"\x85", b"\xc2\x85"),
]  # fmt: skip


@settings(deadline=None, max_examples=600)
@given(
    st.lists(st.sampled_from(PIECES) | st.binary(max_size=4), max_size=40).map(b"".join),
    st.booleans(),
    st.booleans(),
    st.integers(1, 40),
    st.integers(0, 3),
)
def test_a_chunk_is_split_as_piece_by_piece(
    data: bytes, skip: bool, final: bool, line_bytes_max: int, joined_lines_max: int
) -> None:
    limits = {"line_bytes_max": line_bytes_max, "joined_lines_max": joined_lines_max}
    chunk = split_records(data, skip=skip, final=final, **limits)
    records, consumed, goes_on, cut = naive_lines.split(data, skip=skip, final=final, **limits)
    assert chunk.texts == [text for text, _, _ in records]
    assert chunk.joined == {n: below for n, (_, below, _) in enumerate(records) if below}
    assert (chunk.consumed, chunk.skip, chunk.cut) == (consumed, goes_on, cut)
    if len(records) > 1:  # what is left for the next time begins where the record before it ends
        assert chunk.begins == records[-2][2]


WORDS = st.sampled_from(
    """
    <13>1 <191>1 <192>1 <34> - -- 2023-11-14T22:13:20.123Z 2023-11-14T22:13:20.5+01:00 2023-11-14T22:13:20+99:99 web1 cart
    [x@1 a="b"] [123]: Nov 14 22:13:20 Foo 99 :: app[7]: error: INFO [WARN] ERROR: a=b level=warn msg="slow call" msg="
    time=2023-11-14T22:13:20Z {"level":"error","msg":"no\\tstock","n":5} {"a":1} {"log":"WARN x","time":"1700000000"} @cee:{
    1700000000.5 [14/Nov/2023:22:13:20 +0000] [14/Nov/2023:22:13:20 +9999] "GET / HTTP/1.1" 503 stdout F \x1b[31mred\x1b[0m
    \ufeffbom tab\there größer … \u2028 \ud800 9f3a2b1c 10.0.0.1 <*> (5) node1.eu.example a.b.c, x{1} 0x1f db7.a.b.c
    password=hunter2 password= Bearer abcdef123456 bob:pa55@db https://bob:pa55@db/x ann@example.org 4539-1488-0343-6467
    """.split(" ")
) | st.text(max_size=6)  # fmt: skip
LINES = st.lists(st.lists(WORDS, max_size=12).map(" ".join) | st.text(max_size=60), max_size=12)
PLAIN = st.lists(
    st.tuples(
        st.sampled_from(["<13>1", "<11>1", "<192>1", "<13>2", "<13>"]),
        st.sampled_from(["-", "2023-11-14T22:13:20.123Z", "2023-11-14T22:13:20Z", "soon", "x" * 65]),
        *(st.sampled_from(["-", "web1", "", "h" * 70, "129" * 43]) for _ in range(4)),
        st.sampled_from(["-", '[a b="c"]', "[", ""]),
        st.sampled_from(["", "no stock", "{}", " x", "a=1 b=2", "@cee: {}", "x" * 5_000, "id=7 is gone", " "]),
    ).map(" ".join),
    min_size=1,
    max_size=6,
)  # fmt: skip


@settings(deadline=None, max_examples=600)
@given(LINES | PLAIN, st.integers(1, 300))
def test_lines_are_read_as_one_by_one(texts: list[str], chars_max: int) -> None:
    found = read_rows(texts, NOW, None, chars_max)
    wanted = [parse_line(text, now_ms=NOW, message_chars_max=chars_max) for text in texts]
    assert [LogLine(*row) for row in found] == wanted
    # What is known to be clean changes only the way there.
    for text, row in zip(texts, found, strict=True):
        assert read_rows([text, "ü"], NOW, None, chars_max)[0] == row


@settings(deadline=None, max_examples=600)
@given(PLAIN)
@example(["<13>1 2023-11-14T22:13:20.123Z web1 cart 7 - - no stock"])
def test_a_plain_syslog_message_is_read_as_any(texts: list[str]) -> None:
    for text in map(str.strip, texts):
        read = plain_syslog(text) if printable([text]) else None
        if read is None:
            continue
        header = read_header(text, now_ms=NOW)
        assert header is not None
        assert read == (of_syslog(header, text, NOW, None), header.host)
        assert len(text) > 4_096 or read[0] == tidy(read[0])


def test_most_messages_of_a_relay_take_the_short_way() -> None:
    assert plain_syslog("<13>1 2023-11-14T22:13:20.123Z web1 cart 7 - - no stock") is not None


@settings(deadline=None, max_examples=400)
@given(LINES, st.sets(st.sampled_from(RULES)))
@example(["password=", "hunter2", "x password=a", "4539-1488-0343-", "6467"], set(RULES))
@example(["https://bob:", "pa55@db", "pa\u017f\u017fword=x", "+49 30", "1234567"], set(RULES))
def test_a_block_is_masked_as_its_lines(texts: list[str], rules: set[str]) -> None:
    block, single = Masking(rules), Masking(rules)
    try:
        wanted = naive_lines.masked(texts, single)
    except UnicodeEncodeError:  # half of a surrogate pair: spelt out before it comes here
        return
    assert block.mask_all(texts) == wanted
    assert block.masked == single.masked


@settings(deadline=None, max_examples=300)
@given(st.lists(LINES, max_size=4), st.sampled_from([3, 50, 100_000]), st.sampled_from([2, 100]))
@example([["", "0", ":", "<13>1 0"]], 3, 2)  # lines without room leave the remembered ones alone
def test_a_block_is_mined_as_word_by_word(
    blocks: list[list[str]], keys_max: int, templates_max: int
) -> None:
    few = TemplateSettings(keys_max=keys_max, templates_max=templates_max)
    fast, naive = TemplateMiner(few), naive_lines.NaiveMiner(few)
    for texts in [*blocks, *blocks]:
        clean = [parse_line(text, now_ms=NOW).message for text in texts]
        assert fast.mine(clean) == naive.mine(clean)
    assert fast.save() == naive.save()


@settings(deadline=None, max_examples=2_000)
@given(st.text(max_size=20) | st.text(alphabet="ab1f09.:,/-_=()[]{}<>\"'!?@#$\\x*", max_size=14))
def test_which_digit_it_is_does_not_matter_to_a_mask(word: str) -> None:
    # What remembering lines by their shape rests on.
    to_zero = str.maketrans("123456789", "000000000")
    assert mask(word.translate(to_zero)) == mask(word).translate(to_zero)


STAMPS = st.builds(
    "{}-{}-{}{}{}:{}:{}{}{}".format,
    st.sampled_from(["2023", "0001", "9999", "1969"]),
    *(st.sampled_from(["01", "11", "31", "99"]) for _ in range(2)),
    st.sampled_from(["T", " ", "_"]),
    *(st.sampled_from(["00", "23", "59", "60"]) for _ in range(3)),
    st.sampled_from(["", ".5", ".123", ",123", ".123456", ".999999999", ".1234567890", ".12a", ".1\u0663\u0663"]),
    st.sampled_from(["", "Z", "z", "+01:00", "-0530", "+99:99", "+24:00", "+01:30:10.5", " UTC", "+01:30:10"]),
)  # fmt: skip


@settings(deadline=None, max_examples=1_500)
@given(STAMPS | st.text(alphabet="0123456789-:.,TZW+ ", max_size=30))
@example("2023W46T22+01:30:10.123")
@example("0001-12-02T07+18:08,39770874")
@example("9999-12-31T23:59:59.999Z")
def test_a_remembered_moment_is_the_moment(text: str) -> None:
    for _ in range(2):  # met, and remembered
        assert from_field(text) == naive_lines.from_field(text)
        for zone in (UTC, ZoneInfo("Europe/Berlin")):
            front = naive_lines.iso_at_front(text + " x", zone)
            if front != (None, 0):
                assert time_at_front(text + " x", now_ms=0, zone=zone) == front


@pytest.mark.parametrize(
    "text",
    [
        "2023-11-14T22:13:20+99:99 it broke",
        "2023-11-14 22:13:20 -2400 it broke",
        '::1 - - [14/Nov/2023:22:13:20 +9999] "GET / HTTP/1.1" 200 5',
    ],
)
def test_a_zone_that_is_none_does_not_raise(text: str) -> None:
    # It ended the pipeline's thread: anybody who may write a log line could.
    line = parse_line(text, now_ms=NOW)
    assert (line.time_ms, line.message) == (None, text)


@settings(deadline=None, max_examples=200)
@given(st.lists(LINES, max_size=3))
def test_a_batch_is_what_its_lines_are(blocks: list[list[str]]) -> None:
    fast = LogBatches(Masking(RULES), TemplateMiner(), _watermark())
    naive = Masking(RULES), naive_lines.NaiveMiner(), _watermark()
    for texts in blocks:
        batch = fast.make(read_rows(texts, NOW, None, 4_096), source="f", now_ms=NOW, service="s")
        wanted = _one_by_one(texts, *naive)
        if not wanted:
            assert batch is None
            continue
        assert batch is not None
        columns = zip(
            batch.lines,
            batch.times_ms.tolist(),
            batch.severities.tolist(),
            batch.services,
            batch.fields,
            [batch.template_texts[number] for number in batch.templates.tolist()],
            strict=True,
        )
        assert list(columns) == wanted


def _watermark() -> Watermark:
    return Watermark.for_logs(WatermarkSettings(log_lateness_ms=DAY))


def _one_by_one(
    texts: list[str], masking: Masking, miner: TemplateMiner, watermark: Watermark
) -> list[tuple[str, int, int, str, str, str]]:
    kept, numbers = [], []
    for row in naive_lines.rows(texts, NOW):
        message, time_ms, severity, service, _, _, fields = row
        message = masking.mask(message)
        (number,) = miner.mine([message])
        at = watermark.settle_one(None if time_ms is None else time_ms, now_ms=NOW)
        if at is None and time_ms is not None and (time_ms > NOW or abs(time_ms) < DAY):
            at = NOW
        if at is not None:
            kept.append((message, at, severity, service or "s", fields))
            numbers.append(number)
    shown = [miner.text(number) for number in numbers]
    return [(*line, text) for line, text in zip(kept, shown, strict=True)]


NAMES = ("a", "a.b", "b", "a.b.c", "b.c", "c.a.b", "a.c")
DOCUMENTS = st.dictionaries(
    st.sampled_from(["a", "b", "c", "a.b", "b.c", "", "a."]),
    st.recursive(
        st.none() | st.integers() | st.sampled_from(["", "x"]) | st.just([]),
        lambda inner: (
            st.lists(inner, max_size=2)
            | st.dictionaries(st.sampled_from(["a", "b", "c", "b.c", ""]), inner, max_size=3)
        ),
        max_leaves=6,
    ),
    max_size=4,
)


@settings(deadline=None, max_examples=600)
@given(st.lists(DOCUMENTS, max_size=6))
def test_fields_are_found_as_in_a_flat_document(documents: list[dict[str, object]]) -> None:
    places = Places({name: (name,) for name in NAMES})
    for document in documents:
        flat: dict[str, object] = {}
        flatten(document, "", flat, DEPTH_MAX)
        held, found = places.of(document)
        for name in NAMES:
            values = [place.value(held) for place in found[name]]
            assert [value for value in values if value is not None][:1] == [
                flat[n] for n in (name,) if n in flat
            ]
