"""Pushes: durable before they are answered, refused whole sentences otherwise."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from console import security
from model.alert import Alert
from model.change import Change
from model.codec import decode
from model.incident import Act
from model.journal import Heartbeat, JournalKind

ALERT = [{"labels": {"alertname": "Down", "service": "cart"}}]
SIGNED = b'[{"labels": {"alertname": "Down"}}]'


def test_an_alert_is_journalled_under_the_name_of_its_credential(house: Any) -> None:
    client, headers = house.client(), house.token("responder", "prom-a")
    assert client.post("/api/v2/alerts", json=ALERT, headers=headers).status_code == 200
    (entry,) = house.submitted
    alert = decode(Alert, entry.body)
    assert entry.kind is JournalKind.ALERT and entry.source == alert.source == "prom-a"
    assert alert.name == "Down" and alert.arrival_ms == house.clock.now_ms()


def test_basic_authentication_takes_the_token_as_password(house: Any) -> None:
    token = house.token()["authorization"].split()[1]
    answer = house.client().post("/api/v2/alerts", json=ALERT, auth=("prometheus", token))
    assert answer.status_code == 200


def test_every_problem_is_said_and_the_rest_accepted(house: Any) -> None:
    body = [*ALERT, {"labels": {}}, {"labels": {"a": 1}, "startsAt": "yesterday"}]
    answer = house.client().post("/api/v2/alerts", json=body)
    assert answer.status_code == 400
    problems = answer.json()["problems"]
    assert len(problems) >= 3 and {"where", "problem", "hint"} == set(problems[0])
    assert problems[0]["where"].startswith("/1/labels")
    assert len(house.submitted) == 1


def test_a_store_that_does_not_take_it_is_503_with_retry_after(house: Any) -> None:
    house.broken = True
    for path, body in (
        ("/api/v2/alerts", ALERT),
        ("/api/v1/changes", {"service": "cart", "title": "x"}),
    ):
        answer = house.client().post(path, json=body)
        assert answer.status_code == 503 and int(answer.headers["retry-after"]) > 0
    assert house.submitted == []


def test_webhook_changes_and_heartbeats(house: Any) -> None:
    client = house.client()
    hook = {"version": "4", "status": "firing", "alerts": [{"status": "firing", **ALERT[0]}]}
    assert client.post("/api/v1/webhook/alertmanager", json=hook).status_code == 202
    change = client.post("/api/v1/changes", json={"service": "cart", "title": "v2"})
    assert change.status_code == 202 and len(change.json()["ids"]) == 1
    beat = client.post("/api/v1/heartbeats/backup", json={"timeout": "1d"})
    assert beat.status_code == 202 and beat.json()["timeout_ms"] == 86_400_000
    assert client.post("/api/v1/heartbeats/backup", content=b"").status_code == 202
    kinds = [(JournalKind.ALERT, Alert), (JournalKind.CHANGE, Change), (JournalKind.HEARTBEAT, Heartbeat), (JournalKind.HEARTBEAT, Heartbeat)]  # fmt: skip
    assert [entry.kind for entry in house.submitted] == [kind for kind, _ in kinds]
    for entry, (_, kind) in zip(house.submitted, kinds, strict=True):
        decode(kind, entry.body)


LONG = "x" * 4_097


@pytest.mark.parametrize(
    ("path", "body", "where"),
    [
        *(
            ("changes", {"service": "s", "title": "t", field: LONG}, f"/{field}")
            for field in ("service", "kind", "version", "author", "url", "id")
        ),
        ("heartbeats/backup", {"service": LONG}, "/service"),
        *(
            ("webhook/cloudevents", {"specversion": "1.0", "id": "1", "source": "/m", "type": "a.change",
                                     "data": {"service": "s", field: LONG}}, f"/data/{field}")
            for field in ("service", "kind", "version", "author", "url")
        ),
    ],
)  # fmt: skip
def test_a03_what_is_longer_than_a_label_is_refused_at_the_door(
    house: Any, path: str, body: dict[str, Any], where: str
) -> None:
    # Sentences are made of it, and of labels: such a text has ended the pipeline's thread.
    answer = house.client().post(f"/api/v1/{path}", json=body)
    assert (answer.status_code, house.submitted) == (400, [])
    (problem,) = answer.json()["problems"]
    assert problem["where"] == where and "longer than 4096" in problem["problem"]


def test_a_long_title_is_cut(house: Any) -> None:
    for title in ({"title": LONG}, {"message": LONG}):
        answer = house.client().post("/api/v1/changes", json={"service": "cart", **title})
        assert answer.status_code == 202
    summary = {"payload": {"summary": LONG, "source": "ci"}}
    assert house.client().post("/v2/change/enqueue", json=summary).status_code == 202
    found = [decode(Change, entry.body) for entry in house.submitted]
    assert [change.title for change in found] == [LONG[:4_096]] * 3


@pytest.mark.parametrize("name", ["a%00b", "a%0Ab", "a%1b%5b2J", "%e2%80%a8", "a" * 201])
def test_a03_the_name_of_a_heartbeat_is_one_line(house: Any, name: str) -> None:
    answer = house.client().post(f"/api/v1/heartbeats/{name}")
    assert answer.status_code == 400 and house.submitted == []
    assert answer.json()["problems"][0]["where"] == "/name"
    assert house.client().post("/api/v1/heartbeats/%E5%A4%87%E4%BB%BD%E3%80%80x").status_code == 202


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'[{"labels": {' + b",".join(b'"l%d": "x"' % i for i in range(100_000)) + b"}}]",
        b'[{"labels": {"a": "' + b"x" * 1_000_000 + b'"}}]',
        b'[{"labels": {"a": "1", "a": "2"}}]',
        b'[{"labels": {"a": NaN}}]',
        b'[{"labels": {"a": "\\ud800"}}]',
        b'[{"labels": {"a": "\\u0000"}}]',
        b"\xff\xfe",
        b"",
    ],
)
def test_a03_hostile_json_is_refused_soon(house: Any, body: bytes) -> None:
    client = house.client()
    client.get("/-/healthy")
    began = time.perf_counter()
    answer = client.post("/api/v2/alerts", content=body)
    assert answer.status_code == 400 and house.submitted == []
    assert time.perf_counter() - began < 2.0  # 100 ms on an idle machine; tests share theirs


@pytest.fixture
def signed(build: Callable[..., Any]) -> Any:
    """A house with a signed source in the middle of a rotation of its secret."""
    house = build(intake_secrets={"ci": (b"new", b"old")})
    house.token("admin", "root")
    return house


def _push(
    house: Any, secret: bytes, *, at_s: int | None = None, body: bytes = SIGNED, source: str = "ci"
) -> Any:
    stamp = house.clock.now_ms() // 1000 if at_s is None else at_s
    headers = {"tocsin-source": source, "tocsin-signature": security.sign(secret, SIGNED, stamp)}
    return house.client().post("/api/v2/alerts", content=body, headers=headers)


def test_a01_both_secrets_of_a_rotation_are_valid(signed: Any) -> None:
    assert _push(signed, b"new").status_code == 200
    assert _push(signed, b"old").status_code == 200
    assert [entry.source for entry in signed.submitted] == ["ci", "ci"]


def test_a01_wrong_signatures_store_nothing(signed: Any) -> None:
    now_s = signed.clock.now_ms() // 1000
    assert _push(signed, b"wrong").status_code == 401
    assert _push(signed, b"new", body=SIGNED + b" ").status_code == 401
    assert _push(signed, b"new", at_s=now_s - 301).status_code == 401
    assert _push(signed, b"new", at_s=now_s + 301).status_code == 401
    assert _push(signed, b"new", source="other").status_code == 401
    assert _push(signed, b"", source="other").status_code == 401
    assert signed.client().post("/api/v2/alerts", content=SIGNED).status_code == 401
    bare = {"tocsin-source": "ci", "tocsin-signature": "t=x,v1="}
    assert signed.client().post("/api/v2/alerts", content=SIGNED, headers=bare).status_code == 401
    assert signed.submitted == []


def test_a01_a_replay_is_recognised_but_a_retry_is_not_lost(signed: Any) -> None:
    signed.broken = True
    assert _push(signed, b"new").status_code == 503
    signed.broken = False
    assert _push(signed, b"new").status_code == 200
    again = _push(signed, b"new")
    assert again.status_code == 200 and again.headers["tocsin-duplicate"] == "true"
    assert len(signed.submitted) == 1


def test_a01_a_signature_opens_nothing_but_the_intake(signed: Any) -> None:
    headers = {
        "tocsin-source": "ci",
        "tocsin-signature": security.sign(b"new", b"", signed.clock.now_ms() // 1000),
    }
    assert signed.client().get("/api/v1/incidents", headers=headers).status_code == 401
    assert signed.client().post("/api/v2/silences", headers=headers).status_code == 401


def test_acts_go_through_the_state_machine_and_the_journal(house: Any, seed: Any) -> None:
    item = seed.fill(house.store, more=1)
    client = house.client()
    path = f"/api/v1/incidents/{item.id}/acts"
    assert client.post(path, json={"act": "acknowledge"}).status_code == 202
    act = decode(Act, house.submitted[0].body)
    assert (act.incident_id, act.actor, act.kind) == (item.id, "local", "acknowledge")
    assert client.post(path, json={"act": "reopen"}).status_code == 403  # it is open
    assert client.post(path, json={"act": "explode"}).status_code == 400
    assert client.post(path, json={"act": "note"}).status_code == 400
    assert client.post(path, json={"act": "priority", "text": "P9"}).status_code == 400
    assert client.post("/api/v1/incidents/none/acts", json={"act": "resolve"}).status_code == 404
    assert len(house.submitted) == 1
