"""Hostile bodies at every webhook."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

HOOK = "/api/v1/webhook"
PAGERDUTY = f"{HOOK}/pagerduty/v2/enqueue"
PATHS = [
    f"{HOOK}/zabbix",
    f"{HOOK}/grafana",
    f"{HOOK}/cloudevents",
    PAGERDUTY,
    "/v2/change/enqueue",
]
HOSTILE = {
    "deep": b"[" * 100_000,
    "many": b'{"payload": {' + b",".join(b'"k%d": 1' % n for n in range(150_000)) + b"}}",
    "twice": b'{"event_value": "1", "event_value": "0"}',
    "not a number": b'{"event_value": NaN}',
    "surrogate": b'{"event_value": "\\ud800"}',
    "nul": b'{"event_value": "\\u0000"}',
    "no text": b"\xff\xfe",
    "empty": b"",
    "a list": b"[]",
    "a number": b"5",
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_a03_hostile_json_is_400(house: Any, path: str, body: bytes) -> None:
    answer = house.client().post(path, content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 413) and house.submitted == []


def test_a02_a_stranger_may_not_send_much(house: Any) -> None:
    house.token()
    client = house.client()
    large = json.dumps({"routing_key": "x", "pad": "x" * 600_000}).encode()
    assert client.post(PAGERDUTY, content=large).status_code == 413
    bomb = gzip.compress(b"{" + b" " * 50_000_000)
    answer = client.post(PAGERDUTY, content=bomb, headers={"content-encoding": "gzip"})
    assert answer.status_code == 413 and house.submitted == []
