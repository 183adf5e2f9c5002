"""Log lines as programs write them."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.loglines import LogLine, escape, parse_line

NOW = 1_700_000_000_000  # 2023-11-14T22:13:20Z


def line(text: str) -> LogLine:
    return parse_line(text, now_ms=NOW, zone=UTC)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        # ECS, flat and nested
        (
            '{"@timestamp":"2023-11-14T22:13:20.5Z","log.level":"warn","message":"m","service.name":"s","trace.id":"t"}',
            LogLine("m", NOW + 500, 13, "s", "", "t"),
        ),
        (
            '{"@timestamp":"2023-11-14T22:13:20Z","log":{"level":"error","logger":"l"},"message":"m","service":{"name":"s"}}',
            LogLine("m", NOW, 17, "s", "l"),
        ),
        # OpenTelemetry
        (
            '{"Timestamp":1700000000000000000,"SeverityText":"FATAL","Body":"m","TraceId":"t"}',
            LogLine("m", NOW, 21, "", "", "t"),
        ),
        ('{"time":"1700000000","severity_number":14,"msg":"m"}', LogLine("m", NOW, 14)),
        # pino
        ('{"level":50,"time":1700000000000,"msg":"m"}', LogLine("m", NOW, 17)),
        # Docker's json-file around a plain line
        (
            '{"log":"ERROR it broke\\n","stream":"stderr","time":"2023-11-14T22:13:20Z"}',
            LogLine("ERROR it broke", NOW, 17),
        ),
        # JSON that is no log record
        ("{not json", LogLine("{not json")),
        ('{"a": 1}', LogLine('{"a": 1}')),
        # logfmt
        (
            'time=2023-11-14T22:13:20Z level=error msg="it \\"broke\\"" service=s code=5',
            LogLine('it "broke" code=5', NOW, 17, "s"),
        ),
        # RFC 5424 and 3164
        (
            '<11>1 2023-11-14T22:13:20Z host app 1 - [x y="]"] it broke',
            LogLine("it broke", NOW, 17, "", "app"),
        ),
        ("<12>Nov 14 22:13:20 host app[7]: it is slow", LogLine("it is slow", NOW, 13, "", "app")),
        ("Nov 14 22:13:20 host kernel: ok", LogLine("ok", NOW, 0, "", "kernel")),
        (
            "2023-11-14T22:13:20.000000+00:00 host sshd[7]: error: no",
            LogLine("error: no", NOW, 17, "", "sshd"),
        ),
        # Kubernetes
        ("2023-11-14T22:13:20Z stdout F WARN slow", LogLine("WARN slow", NOW, 13)),
        # Web servers
        (
            '::1 - - [14/Nov/2023:22:13:20 +0000] "GET / HTTP/1.1" 503 5',
            LogLine('::1 - - "GET / HTTP/1.1" 503 5', NOW, 17),
        ),
        (
            "2023/11/14 22:13:20 [error] 7#7: upstream timed out",
            LogLine("[error] 7#7: upstream timed out", NOW, 17),
        ),
        # Python, Java, and others
        (
            "2023-11-14 22:13:20,000 INFO shop.cart: added",
            LogLine("INFO shop.cart: added", NOW, 9),
        ),
        ("[2023-11-14 22:13:20] [main] WARN slow", LogLine("[main] WARN slow", NOW, 13)),
        ("1700000000.5 ready", LogLine("ready", NOW + 500)),
        ("\x1b[31mERROR\x1b[0m it broke", LogLine("ERROR it broke", None, 17)),
        ("panic: nil", LogLine("panic: nil", None, 21)),
        # A word is not a severity wherever it stands.
        ("no error was found", LogLine("no error was found")),
        ("", LogLine("")),
        ("2023-99-99 22:13:20 x", LogLine("2023-99-99 22:13:20 x")),
    ],
)
def test_formats(text: str, wanted: LogLine) -> None:
    assert line(text) == wanted


@settings(deadline=None, max_examples=400)
@given(
    st.text(max_size=200)
    | st.text(alphabet='{}[]"=:<>1234567890.-T Z\\,levmsgtime', max_size=100)
    | st.dictionaries(
        st.sampled_from(["time", "level", "msg", "service", "log", "ts"]),
        st.none() | st.integers() | st.floats() | st.text() | st.lists(st.integers()),
    ).map(str)
)
def test_nothing_raises_and_everything_is_one_line(text: str) -> None:
    found = line(text)
    for said in (found.message, found.service, found.logger, found.trace_id):
        assert len(said.splitlines()) <= 1
        assert all(char.isprintable() or char.isspace() or ord(char) > 127 for char in said)


def test_a07_forged_lines_and_escapes_are_spelt_out() -> None:
    hostile = '{"msg":"ok\\n2023-11-14 ERROR forged\\u001b[2J\\u2028\\u202e"}'
    assert line(hostile).message == "ok\\n2023-11-14 ERROR forged\\x1b[2J\\u2028\\u202e"
    assert escape("a\r\nb") == "a\\r\\nb"


@pytest.mark.parametrize(
    "text",
    [
        "a=" * 32_768,
        '"' * 65_536,
        "<1>1 " + "[" * 65_000,
        '<1>1 - a b c d ["' + '\\"' * 30_000,
        "{" * 65_536,
        "2023-11-14 22:13:20" + " " * 60_000 + "x",
        'a="' + "\\" * 60_000,
        "((((" * 10_000,
    ],
)
def test_a16_pathological_lines_take_linear_time(text: str) -> None:
    assert len(line(text).message) <= 4_096


@pytest.mark.parametrize(
    ("zone", "said", "came", "meant"),
    [
        # Clocks go back: 02:30 comes twice (in Chicago 01:30), and each time it is now.
        ("Europe/Berlin", "2024-10-27 02:30:00", "2024-10-27T00:30:01Z", "2024-10-27T00:30:00Z"),
        ("Europe/Berlin", "2024-10-27 02:30:00", "2024-10-27T01:30:01Z", "2024-10-27T01:30:00Z"),
        ("America/Chicago", "2024-11-03 01:30:00", "2024-11-03T06:30:01Z", "2024-11-03T06:30:00Z"),
        ("America/Chicago", "2024-11-03 01:30:00", "2024-11-03T07:30:01Z", "2024-11-03T07:30:00Z"),
        # The last second of the first hour, the first of the second; and a clock that is a little ahead.
        ("Europe/Berlin", "2024-10-27 02:59:59", "2024-10-27T01:00:00Z", "2024-10-27T00:59:59Z"),
        ("Europe/Berlin", "2024-10-27 02:00:00", "2024-10-27T01:00:00Z", "2024-10-27T01:00:00Z"),
        ("Europe/Berlin", "2024-10-27 02:00:05", "2024-10-27T01:00:00Z", "2024-10-27T01:00:05Z"),
        # It waited in a file for most of an hour: the other one is still to come.
        ("Europe/Berlin", "2024-10-27 02:05:00", "2024-10-27T01:04:00Z", "2024-10-27T01:05:00Z"),
        ("Europe/Berlin", "2024-10-27 02:05:00", "2024-10-27T01:03:00Z", "2024-10-27T00:05:00Z"),
        # Who names a zone means it.
        ("Europe/Berlin", "2024-10-27 02:30:00 +0200", "2024-10-27T01:30:01Z", "2024-10-27T00:30:00Z"),
        ("Europe/Berlin", "2024-10-27T00:30:00Z", "2024-10-27T01:30:01Z", "2024-10-27T00:30:00Z"),
        # Clocks go forward: 02:30 does not exist; who still writes it has not set its clock forward.
        ("Europe/Berlin", "2024-03-31 01:59:59", "2024-03-31T01:00:00Z", "2024-03-31T00:59:59Z"),
        ("Europe/Berlin", "2024-03-31 02:30:00", "2024-03-31T01:30:00Z", "2024-03-31T01:30:00Z"),
        ("Europe/Berlin", "2024-03-31 03:00:00", "2024-03-31T01:00:00Z", "2024-03-31T01:00:00Z"),
        # No other day has two.
        ("Europe/Berlin", "2024-10-26 02:30:00", "2024-10-27T01:30:00Z", "2024-10-26T00:30:00Z"),
    ],
)  # fmt: skip
def test_f13_times_without_a_zone_in_the_nights_when_clocks_are_set(
    zone: str, said: str, came: str, meant: str
) -> None:
    def at(text: str) -> int:
        return int(datetime.fromisoformat(text).timestamp() * 1000)

    for text in (f"{said} ERROR it broke", f"[{said}] it broke", f"<11>{said} h su: it broke"):
        line = parse_line(text, now_ms=at(came), zone=ZoneInfo(zone))
        assert (line.time_ms, "it broke" in line.message) == (at(meant), True)
