"""Documents of many shippers become the same line."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.elastic_fields import DocumentReader
from collectors.elastic_seen import Seen

AT = 1_800_000_000_000


def read(source: dict[str, Any], **fields: str) -> tuple[Any, ...]:
    """Message, severity, service, host, logger, trace and stack of a document."""
    found = DocumentReader(fields).read(source, AT)
    assert found is not None
    line = found.line
    return (line.message, line.severity, line.service, found.host, line.logger, line.trace_id, found.stack)  # fmt: skip


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        # ECS, nested as Filebeat and Elastic Agent write it.
        (
            {
                "message": "no stock",
                "log": {"level": "error", "logger": "shop.Cart"},
                "service": {"name": "cart"},
                "host": {"name": "db1"},
                "trace": {"id": "4bf9"},
                "error": {"stack_trace": "E\n  at Cart.add"},
                "event": {"dataset": "cart.log"},
            },
            ("no stock", 17, "cart", "db1", "shop.Cart", "4bf9", "E\\n  at Cart.add"),
        ),
        # The same with dots, as ecs-logging writes it.
        (
            {"message": "m", "log.level": "WARN", "service.name": "cart", "trace.id": "4bf9"},
            ("m", 13, "cart", "", "", "4bf9", ""),
        ),
        # OpenTelemetry's data streams.
        (
            {
                "body": {"text": "m"},
                "severity_text": "Error",
                "severity_number": 17,
                "resource": {"attributes": {"service.name": "cart", "host.name": "db1"}},
                "attributes": {"exception.stacktrace": "E"},
                "scope": {"name": "shop"},
                "trace_id": "4bf9",
            },
            ("m", 17, "cart", "db1", "shop", "4bf9", "E"),
        ),
        # Only the number, or only syslog's; 0 is an emergency.
        ({"message": "m", "SeverityNumber": 21}, ("m", 21, "", "", "", "", "")),
        (
            {"message": "m", "log": {"syslog": {"severity": {"code": 0}}}},
            ("m", 21, "", "", "", "", ""),
        ),
        # A level that is none is looked for further.
        ({"message": "m", "log.level": "?", "level": "fatal"}, ("m", 21, "", "", "", "", "")),
        # Shipped as it was written.
        (
            {"message": "2026-01-02 10:00:00 ERROR no stock"},
            ("ERROR no stock", 17, "", "", "", "", ""),
        ),
        (
            {"log": '{"level":"warn","msg":"slow","service":"cart"}'},
            ("slow", 13, "cart", "", "", "", ""),
        ),
        # Several lines in one: what is below the first is kept, not mined.
        ({"message": "boom\n  at x\n  at y\n"}, ("boom", 0, "", "", "", "", "  at x\\n  at y")),
        # Odd types: lists, numbers, objects where a text should be.
        ({"message": ["a", "b"], "service": {"name": 7}}, ("a", 0, "7", "", "", "", "")),
        ({"message": {"x": 1}, "event": {"original": "o"}}, ("o", 0, "", "", "", "", "")),
        ({"message": 5, "log": "x", "level": ["error"]}, ("5", 17, "", "", "", "", "")),
        # An exception alone.
        ({"error": {"stack_trace": "E: x\n at y"}}, ("E: x", 0, "", "", "", "", "E: x\\n at y")),
    ],
)
def test_documents(source: dict[str, Any], wanted: tuple[Any, ...]) -> None:
    assert read(source) == wanted


def test_names_of_ones_own_come_first() -> None:
    source = {"message": "m", "text": "t", "service": {"name": "a"}, "labels": {"app": "b"}}
    found = read(source, message="text", service="labels.app")
    assert (found[0], found[2]) == ("t", "b")
    assert read({"message": "m"}, message="text")[0] == "m"


def test_numbers_beside_the_line() -> None:
    reader = DocumentReader(numbers=("http.response.status_code", "event.duration", "ok", "big"))
    source = {"message": "m", "http": {"response": {"status_code": 500}}, "event": {"duration": 1.5}, "ok": True, "big": 1e300}  # fmt: skip
    found = reader.read(source, AT)
    assert found is not None and found.line.fields == "http.response.status_code=500 event.duration=1.5"  # fmt: skip


def test_what_is_asked_for_is_what_is_looked_at() -> None:
    wanted = DocumentReader({"service": "app"}, numbers=("took",)).wanted
    assert {"message", "service.name", "app", "took", "error.stack_trace"} <= set(wanted)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["message", "log", "level", "service", "name", "log.level", "body"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=10,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["message", "log", "service", "error", "level"]), VALUES))
def test_a03_whatever_a_document_holds_nothing_raises(source: dict[str, Any]) -> None:
    found = DocumentReader().read(source, AT)
    if found is not None:
        assert found.line.time_ms == AT and "\n" not in found.line.message + found.stack


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 9_999)), max_size=40),
    st.integers(1, 50),
)
def test_what_is_remembered_is_saved_and_bounded(keys: list[tuple[int, int]], most: int) -> None:
    seen = Seen(seen_max=most)
    seen.add(keys)
    # The twin: a plain set of what is not older than the floor.
    kept = {(key, at // 1_000) for key, at in keys if at >= seen.floor_ms}
    assert len(seen) == len(kept) <= most
    again = Seen(seen_max=most)
    again.load(seen.save())
    for key, at in keys:
        assert seen.knows(key, at) == again.knows(key, at) == (at >= seen.floor_ms)
    assert (len(again), again.floor_ms) == (len(seen), seen.floor_ms)
