"""CloudEvents over HTTP: every mode of the binding, and what is none."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from model.change import Change
from model.codec import decode
from tests.console.test_webhooks import EVENT, HOOK, alerts_of, post


def modes() -> list[tuple[str, dict[str, str], bytes]]:
    attributes = {name: value for name, value in EVENT.items() if name != "data"}
    data = json.dumps(EVENT["data"]).encode()
    packed = {**attributes, "data_base64": base64.b64encode(data).decode()}
    binary = {f"ce-{name}": str(value) for name, value in attributes.items()}
    return [
        ("structured", {"content-type": "application/cloudevents+json; charset=utf-8"}, json.dumps(EVENT).encode()),
        ("packed", {"content-type": "application/cloudevents+json"}, json.dumps(packed).encode()),
        ("batched", {"content-type": "application/cloudevents-batch+json"}, json.dumps([EVENT]).encode()),
        ("binary", {"content-type": "application/json", **binary}, data),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("headers", "body"), [(h, b) for _, h, b in modes()], ids=[n for n, _, _ in modes()]
)
def test_cloudevents_in_every_mode(house: Any, headers: dict[str, str], body: bytes) -> None:
    answer = house.client().post(f"{HOOK}/cloudevents", content=body, headers=headers)
    assert answer.status_code == 202 and answer.json() == {"accepted": 1, "ignored": 0}
    (alert,) = alerts_of(house)
    assert (alert.name, alert.service, alert.severity.value) == ("QueueFull", "mail", "critical")
    resolved = {**EVENT, "id": "2", "type": "acme.alert.resolved.v1", "data": {}}
    assert post(house, f"{HOOK}/cloudevents", resolved).json() == {"accepted": 1, "ignored": 0}
    assert not alerts_of(house)[1].firing and alerts_of(house)[1].key == alert.key


def test_cloudevents_attributes_in_headers_are_copies_where_the_body_has_them(house: Any) -> None:
    # Of structured and batched mode; a sender may put them there as well.
    copies = {"ce-specversion": "1.0", "ce-id": "9", "ce-source": "/other", "ce-type": "other"}
    for kind, body in (("Cloudevents+JSON", EVENT), ("cloudevents-batch+json", [EVENT])):
        headers = {"content-type": f"application/{kind}; charset=utf-8", **copies}
        answer = house.client().post(f"{HOOK}/cloudevents", json=body, headers=headers)
        assert (answer.status_code, answer.json()) == (202, {"accepted": 1, "ignored": 0})
    assert {alert.name for alert in alerts_of(house)} == {"QueueFull"}


@pytest.mark.parametrize(
    ("header", "key"),
    [
        ("queue/mail", "queue/mail"),
        # What older senders quote is unquoted first, then what is encoded is decoded, once.
        ('"queue/mail"', "queue/mail"),
        (r'"a \"b\" \\c"', 'a "b" \\c'),
        ("%e2%82%AC%20uro", "€ uro"),
        ("100%2525", "100%25"),
        ("%41", "A"),
        ("100%", "100%"),
        # No UTF-8, and a space written with too many bytes.
        ("%FF", None),
        ("%C0%A0", None),
        ("a%00b", None),
        ("a%0D%0Ab", None),
    ],
)
def test_cloudevents_in_headers_are_decoded_as_the_binding_says(
    house: Any, header: str, key: str | None
) -> None:
    headers = {"ce-specversion": '"1.0"', "ce-id": "1", "ce-source": "/m", "ce-type": "a.alert.firing"}  # fmt: skip
    answer = house.client().post(
        f"{HOOK}/cloudevents", json={"name": "Full"}, headers={**headers, "ce-subject": header}
    )
    if key is None:
        assert answer.status_code == 400 and answer.json()["problems"][0]["where"] == "ce-subject"
    else:
        assert answer.status_code == 202 and alerts_of(house)[0].labels["dedup_key"] == f"/m {key}"


def test_cloudevents_of_other_types_may_hold_what_they_like(house: Any) -> None:
    # Brokers send again what is refused; in binary mode the body is the data, of any type.
    headers = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/m", "ce-type": "acme.picture"}
    for kind, body in (
        ("text/xml", b"<a/>"),
        ("application/json", b"{"),
        ("image/png", b"\xff\xd8"),
    ):
        answer = house.client().post(
            f"{HOOK}/cloudevents", content=body, headers={**headers, "content-type": kind}
        )
        assert (answer.status_code, answer.json()) == (202, {"accepted": 0, "ignored": 1})


def test_cloudevents_changes_and_other_types(house: Any) -> None:
    change = {**EVENT, "type": "acme.change.v1", "data": {"service": "cart", "title": "cart 2"}}
    deployed = {
        **EVENT, "id": "3", "type": "dev.cdevents.service.deployed.0.1.1",
        "data": {"context": {}, "subject": {"id": "cart", "content": {"artifactId": "pkg:oci/cart@2.4"}}},
    }  # fmt: skip
    other = {**EVENT, "type": "acme.user.created"}
    headers = {"content-type": "application/cloudevents-batch+json"}
    body = json.dumps([change, deployed, other, change]).encode()
    answer = house.client().post(f"{HOOK}/cloudevents", content=body, headers=headers)
    assert answer.json() == {"accepted": 3, "ignored": 1}
    found = [decode(Change, entry.body) for entry in house.submitted]
    assert [c.title for c in found] == ["cart 2", "cart deployed pkg:oci/cart@2.4", "cart 2"]
    assert found[0].id == found[2].id != found[1].id


WRONG_EVENTS = [
    ({"specversion": "0.3"}, "/specversion"),
    ({"id": ""}, "/id"),
    ({"source": 5}, "/source"),
    ({"time": "yesterday"}, "/time"),
    ({"data": {"severity": "critical"}}, "/data/name"),
    ({"data": [1]}, "/data"),
    ({"data_base64": "?"}, "/data_base64"),
    ({"data_base64": "e30="}, "/data_base64"),
    ({"type": "alert.resolved", "subject": ""}, "/subject"),
]


@pytest.mark.parametrize(
    ("fields", "where"), WRONG_EVENTS, ids=[str(f)[:40] for f, _ in WRONG_EVENTS]
)
def test_cloudevents_what_cannot_be(house: Any, fields: dict[str, Any], where: str) -> None:
    answer = post(house, f"{HOOK}/cloudevents", {**EVENT, **fields})
    assert answer.status_code == 400 and house.submitted == []
    assert where in [problem["where"] for problem in answer.json()["problems"]]


def test_cloudevents_in_avro_are_not_understood(house: Any) -> None:
    for kind in (
        "cloudevents+avro",
        "CloudEvents+AVRO",
        "cloudevents-batch+protobuf",
        "cloudevents",
    ):
        headers = {"content-type": f"application/{kind}"}
        answer = house.client().post(f"{HOOK}/cloudevents", content=b"x", headers=headers)
        assert answer.status_code == 415
