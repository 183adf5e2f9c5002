"""Syslog as text: heads, levels, frames, and what is hostile in them."""

from __future__ import annotations

import time
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.loglines import parse_line
from collectors.syslog_framing import Framer
from collectors.syslog_header import read_header
from collectors.syslog_lines import Services, SyslogReader
from collectors.syslog_settings import SyslogListener, SyslogService, SyslogSettings

NOW = 1_700_000_000_000  # 2023-11-14T22:13:20Z
BERLIN = ZoneInfo("Europe/Berlin")

HEADS = [
    # RFC 5424 with everything.
    ('<165>1 2023-11-14T22:13:20.5Z h cart 12 ID7 [a@1 b="c"] text', (5, NOW + 500, "h", "cart", "12", "text")),
    # All nil, and no message at all.
    ("<0>1 - - - - - -", (0, None, "", "", "", "")),
    # A byte order mark is no part of the message; escapes in structured data.
    ('<14>1 - h a - - [x@1 y="\\]\\"\\\\"][z@1] \ufeffn', (6, None, "h", "a", "", "n")),
    # Structured data that does not end belongs to the message.
    ('<14>1 - h a - - [x y="', (6, None, "h", "a", "", '[x y="')),
    # RFC 3164: a zone of the listener's (CET is an hour ahead), a day with one digit.
    ("<34>Nov  4 23:13:20 h su[7]: failed", (2, NOW - 10 * 86_400_000, "h", "su", "7", "failed")),
    # What rsyslog and syslog-ng forward: an ISO time with an offset.
    ("<34>2023-11-14T23:13:20+01:00 h su: failed", (2, NOW, "h", "su", "", "failed")),
    # Without a host, as glibc's syslog() writes to /dev/log; without anything.
    ("<34>su[7]: failed", (2, None, "", "su", "7", "failed")),
    ("<34>it failed", (2, None, "", "", "", "it failed")),
    # A level is no program.
    ("<34>error: it failed", (2, None, "", "", "", "error: it failed")),
]  # fmt: skip


@pytest.mark.parametrize(("text", "wanted"), HEADS, ids=[text[:30] for text, _ in HEADS])
def test_heads(text: str, wanted: tuple[object, ...]) -> None:
    head = read_header(text, now_ms=NOW, zone=BERLIN)
    assert head is not None
    found = (head.level, head.time_ms, head.host, head.app, head.process, text[head.start :])
    assert found == wanted


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


@pytest.mark.parametrize(
    ("zone", "said", "now", "meant"),
    [
        # Clocks go forward: 02:30 does not exist; who still writes it has not set its clock forward.
        ("Europe/Berlin", "Mar 31 01:59:59", "2024-03-31T00:59:59Z", "2024-03-31T00:59:59Z"),
        ("Europe/Berlin", "Mar 31 02:30:00", "2024-03-31T01:30:00Z", "2024-03-31T01:30:00Z"),
        ("Europe/Berlin", "Mar 31 03:00:00", "2024-03-31T01:00:00Z", "2024-03-31T01:00:00Z"),
        ("America/Chicago", "Mar 10 02:30:00", "2024-03-10T08:30:00Z", "2024-03-10T08:30:00Z"),
        ("America/Chicago", "Mar 10 03:00:00", "2024-03-10T08:00:00Z", "2024-03-10T08:00:00Z"),
        # Clocks go back: 02:30 comes twice (in Chicago 01:30), and each time it is now.
        ("Europe/Berlin", "Oct 27 02:30:00", "2024-10-27T00:30:00Z", "2024-10-27T00:30:00Z"),
        ("Europe/Berlin", "Oct 27 02:30:00", "2024-10-27T01:30:00Z", "2024-10-27T01:30:00Z"),
        ("America/Chicago", "Nov  3 01:30:00", "2024-11-03T06:30:00Z", "2024-11-03T06:30:00Z"),
        ("America/Chicago", "Nov  3 01:30:00", "2024-11-03T07:30:00Z", "2024-11-03T07:30:00Z"),
        # Ten minutes under way, and a clock that is a little ahead.
        ("Europe/Berlin", "Oct 27 02:55:00", "2024-10-27T01:05:00Z", "2024-10-27T00:55:00Z"),
        ("Europe/Berlin", "Oct 27 02:00:05", "2024-10-27T01:00:00Z", "2024-10-27T01:00:05Z"),
        # No other day has two.
        ("Europe/Berlin", "Oct 26 02:30:00", "2024-10-27T01:30:00Z", "2024-10-26T00:30:00Z"),
    ],
)
def test_f13_local_times_of_the_nights_when_clocks_are_set(
    zone: str, said: str, now: str, meant: str
) -> None:
    head = read_header(f"<34>{said} h su: failed", now_ms=at(now), zone=ZoneInfo(zone))
    assert head is not None and head.time_ms == at(meant)


@pytest.mark.parametrize("text", ["", "<", "<a>x", "<192>x", "<1234>x", "no priority"])
def test_what_is_no_syslog_has_no_head(text: str) -> None:
    assert read_header(text, now_ms=NOW) is None


def test_levels_become_opentelemetry_numbers() -> None:
    found = [parse_line(f"<{level}>1 - - - - - - x", now_ms=NOW).severity for level in range(8)]
    assert found == [21, 21, 21, 17, 13, 9, 9, 5]


def test_what_a_program_says_itself_wins_over_the_priority_it_always_uses() -> None:
    line = parse_line('<14>Nov 14 22:13:20 h cart: {"level":"error","msg":"no stock"}', now_ms=NOW)
    assert (line.severity, line.message, line.logger) == (17, "no stock", "cart")


def test_structured_data_gives_numbers_and_traces_but_not_counters_of_the_sender() -> None:
    text = '<14>1 - h cart - - [meta sequenceId="9"][shop@1 ms="35.5" trace_id="ab"] done'
    line = parse_line(text, now_ms=NOW)
    assert (line.fields, line.trace_id, line.message) == ("ms=35.5", "ab", "done")
    assert parse_line('<14>1 - h a - - [x@1 k="v"]', now_ms=NOW).message == "k=v"


# --- frames -----------------------------------------------------------------------------------


_TEXTS = st.binary(min_size=1, max_size=40).map(lambda text: b"<13>" + text.strip(b"\n\r\0") + b".")


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(_TEXTS, st.booleans()), max_size=20), st.integers(1, 60))
def test_frames_are_found_however_the_stream_is_cut(
    messages: list[tuple[bytes, bool]], piece: int
) -> None:
    wanted, stream = [], b""
    for text, counted in messages:
        text = text if counted else text.replace(b"\n", b" ")
        wanted.append(text)
        stream += b"%d %s" % (len(text), text) if counted else text + b"\n"
    framer, found = Framer(1_000), list[bytes]()
    for start in range(0, len(stream), piece):
        found += framer.feed(stream[start : start + piece])
    assert found + framer.rest() == wanted and framer.cut == 0


def test_a02_a_false_length_holds_no_more_than_one_message() -> None:
    framer = Framer(1_000)
    found = framer.feed(b"999999999 <13>")
    for _ in range(100):
        found += framer.feed(b"x" * 500)
        assert len(framer._buffer) < 2_000
    assert [len(message) for message in found] == [1_000] and framer.cut == 1


def test_a_line_without_end_is_cut_and_its_rest_skipped() -> None:
    framer = Framer(10)
    assert framer.feed(b"<13>" + b"x" * 100) == [b"<13>xxxxxx"]
    assert framer.feed(b"yyy") == [] and framer.feed(b"y\n<13>z\n") == [b"<13>z"]


def test_a16_no_message_takes_long() -> None:
    reader = SyslogReader(SyslogListener(), Services(SyslogSettings()))
    hostile = [
        b"<1>1 " + b"[" * 16_000,
        b'<1>1 - a b c d ["' + b'\\"' * 8_000,
        b"<1>1 - a b c d [a" + b' b="' * 4_000,
        b"<1>1 - a b c d " + b'[a b="c"]' * 1_700,
        b"<1>" + b"a" * 16_000,
        b"<1>Nov 14 22:13:20 " + b"a " * 8_000,
        b"<1>" + b"a=b " * 4_000 + b'"',
        b"<" * 16_000,
    ]
    begun_s = time.process_time()
    assert len(reader.push(hostile, "x", NOW).lines) == len(hostile)
    assert time.process_time() - begun_s < 1.0


def test_a03_a07_bytes_that_are_no_text_become_one_line() -> None:
    reader = SyslogReader(SyslogListener(), Services(SyslogSettings()))
    text = b"<13>1 - h a - - - x\n<13>forged\x1b[2J\x00\xff\xe2\x80\xa8end"
    (line,) = reader.push([text], "x", NOW).lines
    assert line.message == "x\\n<13>forged\\x1b[2J\\x00\ufffd\\u2028end"
    (nested,) = reader.push([b"<13>app: " + b'{"a":' * 3_000], "x", NOW).lines
    assert nested.logger == "app"


def test_services_by_pattern_then_by_program_then_none() -> None:
    entries = (SyslogService("shop", app="nginx", host="web*"), SyslogService("edge", host="lb?"))
    services = Services(SyslogSettings(services=entries, services_max=2))
    found = [services.of(*pair) for pair in (("nginx", "web1"), ("x", "lb1"), ("a", "db"), ("b", "db"), ("c", "db"))]  # fmt: skip
    assert found == ["shop", "edge", "a", "b", ""] and services.refused == 1
