"""One contract for every desk, and the webhook's own manners, against a real server on loopback."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from incident_bridge.desks.builtin import BuiltinDesk
from incident_bridge.desks.memory import MemoryDesk
from incident_bridge.desks.webhook import WebhookDesk
from incident_bridge.notify import WebhookReceiver
from incident_bridge.outgoing import Outgoing
from incident_bridge.signing import sign, verify
from model.action import PageDraft
from model.clock import ManualClock
from model.errors import PermanentError, TransientError
from model.ticket import TicketDraft, TicketState
from tests.incident_bridge.desk_server import DeskServer

NOW_MS = 1_700_000_000_000
DRAFT = TicketDraft(
    "inc1", "cart fails", "body", TicketState.OPEN, "P2", "cart", "web", ("tocsin",), "first"
)
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW_MS)


@pytest.fixture
def webhook(server: DeskServer, clock: ManualClock) -> WebhookDesk:
    server.now_ms = NOW_MS
    outgoing = Outgoing(clock, allow_private=True, timeout_ms=120_000)
    return WebhookDesk("hook", server.url, [b"new", b"old"], outgoing, clock)


@pytest.fixture(params=["builtin", "memory", "webhook"])
def desk(
    request: pytest.FixtureRequest, clock: ManualClock
) -> BuiltinDesk | MemoryDesk | WebhookDesk:
    if request.param == "builtin":
        return BuiltinDesk(request.getfixturevalue("store").records, clock)
    if request.param == "memory":
        return MemoryDesk(clock)
    return request.getfixturevalue("webhook")


def test_a_key_that_no_ticket_carries_is_found_as_none(
    desk: BuiltinDesk | MemoryDesk | WebhookDesk,
) -> None:
    assert desk.find("inc1") is None


def test_what_is_created_is_found_by_its_key(desk: BuiltinDesk | MemoryDesk | WebhookDesk) -> None:
    made = desk.create(DRAFT, idempotency_key="k1")
    found = desk.find("inc1")
    assert found is not None and made.number and found.number == made.number
    assert (found.key, found.title, found.state) == ("inc1", "cart fails", TicketState.OPEN)
    assert found.desk == desk.name


def test_creating_again_gives_the_same_ticket(desk: BuiltinDesk | MemoryDesk | WebhookDesk) -> None:
    first = desk.create(DRAFT, idempotency_key="k1")
    assert desk.create(DRAFT, idempotency_key="k1").number == first.number


def test_tickets_of_two_incidents_differ(desk: BuiltinDesk | MemoryDesk | WebhookDesk) -> None:
    first = desk.create(DRAFT, idempotency_key="k1")
    second = desk.create(replace(DRAFT, key="inc2"), idempotency_key="k2")
    assert first.number != second.number


def test_an_update_changes_state_and_title(desk: BuiltinDesk | MemoryDesk | WebhookDesk) -> None:
    made = desk.create(DRAFT, idempotency_key="k1")
    changed = replace(DRAFT, title="cart is back", state=TicketState.RESOLVED, comment="over")
    assert desk.update(made.number, changed, idempotency_key="k2").state is TicketState.RESOLVED
    found = desk.find("inc1")
    assert found is not None and found.title == "cart is back"


def test_an_update_of_no_ticket_is_refused_for_good(
    desk: BuiltinDesk | MemoryDesk | WebhookDesk,
) -> None:
    with pytest.raises(PermanentError):
        desk.update("nope", DRAFT, idempotency_key="k2")


def test_changes_name_what_was_touched_since(desk: BuiltinDesk | MemoryDesk | WebhookDesk) -> None:
    desk.create(DRAFT, idempotency_key="k1")
    assert [t.key for t in desk.changes(NOW_MS)] == ["inc1"]
    assert desk.changes(NOW_MS + 1) == []


def test_requests_are_signed_with_every_secret_and_carry_the_key(
    webhook: WebhookDesk, server: DeskServer
) -> None:
    webhook.create(DRAFT, idempotency_key="k1")
    method, path, headers, body = server.requests[-1]
    assert (method, path, headers["idempotency-key"]) == ("POST", "/desk", "k1")
    assert json.loads(body)["ticket"]["key"] == "inc1"
    for secret in (b"new", b"old"):
        assert verify(headers["tocsin-signature"], body, [secret], now_ms=NOW_MS)
    assert not verify(headers["tocsin-signature"], body + b" ", [b"new"], now_ms=NOW_MS)
    assert not verify(headers["tocsin-signature"], body, [b"other"], now_ms=NOW_MS)


@pytest.mark.parametrize(
    ("off_ms", "good"), [(0, True), (300_000, True), (301_000, False), (-301_000, False)]
)
def test_a_signature_is_good_for_five_minutes(off_ms: int, good: bool) -> None:
    assert verify(sign(b"x", [b"k"], now_ms=NOW_MS), b"x", [b"k"], now_ms=NOW_MS + off_ms) is good


@pytest.mark.parametrize(
    ("value", "wait_ms"),
    [
        ("120", 120_000),
        # NOW_MS is 22:13:20 GMT.
        ("Tue, 14 Nov 2023 22:14:20 GMT", 60_000),
        ("Tue, 14 Nov 2023 22:00:00 GMT", 0),
        ("soon", 0),
        ("-5", 0),
        ("9" * 5000, 86_400_000),
    ],
)
def test_f04_retry_after_in_seconds_and_as_a_date(
    webhook: WebhookDesk, server: DeskServer, value: str, wait_ms: int
) -> None:
    server.answer = lambda _: (429, {"Retry-After": value}, b"slow down")
    with pytest.raises(TransientError) as raised:
        webhook.create(DRAFT, idempotency_key="k1")
    assert raised.value.retry_after_ms == wait_ms


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"Content-Type": "text/html"}, b"<html>Please log in</html>"),
        ({}, b""),
        (JSON, b"<html>"),
        (JSON, b"[]"),
        (JSON, b"{}"),
        (JSON, b'{"number": ""}'),
        (JSON, b'{"number": {"a": 1}}'),
        (JSON, b'{"error": "summary is required"}'),
    ],
)
def test_f05_200_without_a_ticket_is_a_failure(
    webhook: WebhookDesk, server: DeskServer, headers: dict[str, str], body: bytes
) -> None:
    server.answer = lambda _: (200, headers, body)
    with pytest.raises((TransientError, PermanentError)):
        webhook.create(DRAFT, idempotency_key="k1")


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (500, TransientError),
        (503, TransientError),
        (408, TransientError),
        (400, PermanentError),
        (401, PermanentError),
        (422, PermanentError),
        # A redirect is not followed.
        (302, PermanentError),
    ],
)
def test_statuses_say_whether_to_try_again(
    webhook: WebhookDesk, server: DeskServer, status: int, error: type
) -> None:
    server.answer = lambda _: (status, {"Location": "http://169.254.169.254/"}, b"")
    with pytest.raises(error):
        webhook.create(DRAFT, idempotency_key="k1")
    assert len(server.requests) == 1


def test_an_endless_answer_is_cut_off(server: DeskServer, clock: ManualClock) -> None:
    server.answer = lambda _: (200, JSON, b"x" * 5_000)
    outgoing = Outgoing(clock, allow_private=True, response_bytes_max=1_000)
    with pytest.raises(TransientError, match="longer than 1000 bytes"):
        outgoing.request("GET", server.url)


def test_nobody_listening_is_worth_trying_again(webhook: WebhookDesk, server: DeskServer) -> None:
    server.close()
    with pytest.raises(TransientError):
        webhook.find("inc1")


def test_a_link_that_is_no_web_address_is_dropped(webhook: WebhookDesk, server: DeskServer) -> None:
    server.answer = lambda _: (200, JSON, b'{"number": 7, "url": "javascript:alert(1)"}')
    assert webhook.create(DRAFT, idempotency_key="k1").url == ""


def test_a_page_is_posted_signed(server: DeskServer, clock: ManualClock) -> None:
    receiver = WebhookReceiver(
        "hook", server.url, [b"k"], Outgoing(clock, allow_private=True), clock, ["ann"]
    )
    server.answer = lambda _: (204, {}, b"")
    receiver.send(PageDraft("hook", "inc1", "t", "b", "P1", "opened"), idempotency_key="p1")
    _, _, headers, body = server.requests[-1]
    assert verify(headers["tocsin-signature"], body, [b"k"], now_ms=NOW_MS)
    assert json.loads(body)["people"] == ["ann"]
    assert json.loads(body)["page"]["why"] == "opened"


@pytest.mark.parametrize("time_ms", [2**63, 2**64, 10**30, -1, 1e300, "1", True, None])
def test_f12_a_desk_s_impossible_time_is_no_time(
    server: DeskServer, webhook: WebhookDesk, time_ms: bool | float | str | None
) -> None:
    ticket = {"number": "7", "key": "inc1", "updated_ms": time_ms, "created_ms": time_ms}
    body = json.dumps({"ticket": ticket}).encode()
    server.answer = lambda _: (200, JSON, body)
    found = webhook.find("inc1")
    assert found is not None
    assert (found.created_ms, found.updated_ms) == (0, 0)
