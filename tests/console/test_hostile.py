"""What was tried against the console by hand and got through, so that it does not again."""

from __future__ import annotations

import asyncio
import html
import json
from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
from starlette.requests import Request

from collectors.alertmanager import parse_v2, rfc3339
from console.call import NOBODY, Call
from console.pages_account import SIGN_INS_WAITING_MAX, AccountPages
from model.alert import AlertStatus
from model.errors import InputError
from model.incident import IncidentState
from model.labels import Labels, Matcher
from model.reason import because
from store import alerts as alert_rows
from store import incidents as incident_rows

JSON = {"content-type": "application/json"}
HOUR_MS = 3_600_000


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://["},
        {"origin": "http://evil.example"},
        {"authorization": b"Basic \xff\xff"},
        {"authorization": b"Bearer \xff\xfe"},
        {"host": "["},
        {"host": "127.0.0.1:1/x?y=<script>"},
        {"cookie": b'tocsin_session=\xff; tocsin_theme="><script>; tocsin_language=../../etc'},
        {"accept-language": b"zh;q=nan, en;q=1e999, \xff;q=x," * 500},
        {"x-forwarded-for": "<script>"},
    ],
)
@pytest.mark.parametrize("path", ["/", "/sign-in", "/nothing", "/api/v2/alerts"])
def test_a18_no_header_makes_a_mistake_of_ours(
    house: Any, path: str, headers: dict[str, Any]
) -> None:
    client = house.client(raise_server_exceptions=False)
    for method in ("get", "post"):
        assert getattr(client, method)(path, headers=headers).status_code < 500


@pytest.mark.parametrize("path", ["/sign-in", "/look", "/silences", "/account/users"])
@pytest.mark.parametrize("body", [b"\xff\xfe", b"a=%ff%00", b"&" * 1000, b"[" * 5000])
def test_a18_a_form_of_garbage_is_refused(house: Any, path: str, body: bytes) -> None:
    answer = house.client(raise_server_exceptions=False).post(path, content=body)
    assert answer.status_code in (400, 401, 403)


@pytest.mark.parametrize(
    "body", [b'{"text": "\\ud800"}', b'{"text": "\\u0000"}', b'{"text": NaN}', b'{"text":' * 5000]
)
@pytest.mark.parametrize("path", ["/api/v1/users", "/api/v1/tokens", "/api/v1/incidents/x/acts"])
def test_a03_what_is_no_push_is_read_with_the_same_care(house: Any, path: str, body: bytes) -> None:
    client = house.client(raise_server_exceptions=False)
    assert client.post(path, content=body, headers=JSON).status_code == 400


def test_a04_our_own_mistake_has_the_security_headers(house: Any) -> None:
    def broken() -> bytes:
        raise RuntimeError("secret detail")

    object.__setattr__(house.ports, "metrics", broken)
    answer = house.client(raise_server_exceptions=False).get("/metrics")
    assert answer.status_code == 500
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"
    assert "secret" not in answer.text


def test_a04_links_on_a_page_are_of_the_routed_path_not_of_the_host_header(house: Any) -> None:
    page = house.client().get("/alerts", headers={"host": "127.0.0.1:8420/evil?x="})
    assert page.status_code == 200
    assert "evil" not in page.text


# Beyond the year 9999 there are no dates: one such alert took down the API and every page that showed it.
@pytest.mark.parametrize("ends", [999_999_999_999_999, "9999-12-31T23:59:59-14:00"])
def test_f12_a_time_that_cannot_be_written_is_not_kept(ends: object) -> None:
    body = json.dumps([{"labels": {"a": "b"}, "endsAt": ends}]).encode()
    try:
        found = parse_v2(body, now_ms=0, source="s")
    except InputError as error:
        assert "/0/endsAt: must be a time" in str(error)
    else:
        assert rfc3339(found[0].expires_ms or 0).startswith("9999-12-31")


@pytest.mark.parametrize(
    ("matcher", "allowed"),
    [
        ('team="db"', True),
        ('alertname=~"Disk.*|Memory.*"', True),
        ('instance=~"db[0-9]+"', True),
        ('code=~"5.."', True),
        ('alertname=~".+"', False),
        ('alertname=~".{3,}"', False),
        ('alertname=~"[A-Za-z]+"', False),
        ('alertname=~"[^q].*"', False),
        ('alertname=~"[A-M].*|[N-Z].*"', False),
        ('alertname=~"(?i)[a-z_]+.*"', False),
        ('alertname=~"\\\\w+"', False),
    ],
)
def test_a20_a_pattern_that_names_nothing_is_a_silence_of_everything(
    house: Any, matcher: str, allowed: bool
) -> None:
    body = {
        "matchers": [
            {"name": m.name, "value": m.value, "isRegex": "~" in m.op, "isEqual": m.op[0] == "="}
            for m in [Matcher.parse(matcher)]
        ],
        "endsAt": rfc3339(house.clock.now_ms() + HOUR_MS),
    }
    answer = house.client().post("/api/v2/silences", json=body, headers=house.token("responder"))
    assert answer.status_code == (200 if allowed else 403), answer.text
    manager = house.token("manager", name="boss")
    wide = house.client().post("/api/v2/silences", json=body, headers=manager)
    assert wide.status_code == 200


def test_a16_a_matcher_is_no_longer_than_a_label(house: Any) -> None:
    long = {"name": "a", "value": "x" * 5_000, "isRegex": True, "isEqual": True}
    body = {"matchers": [long], "endsAt": rfc3339(house.clock.now_ms() + HOUR_MS)}
    answer = house.client().post("/api/v2/silences", json=body)
    assert (answer.status_code, "4096" in answer.text) == (400, True)


def test_a01_the_body_of_an_unknown_signer_is_not_read(house: Any) -> None:
    house.token()  # ends the open mode
    headers = {"tocsin-signature": "t=1,v1=00", "tocsin-source": "nobody", **JSON}
    answer = house.client().post("/api/v2/alerts", content=b"x" * 5_000_000, headers=headers)
    assert answer.status_code == 401  # and not 413


def test_a25_nobody_overwrites_the_change_of_another_source(house: Any) -> None:
    change = {"id": "deploy-7", "service": "cart", "title": "v7"}
    ids = []
    for name in ("ci", "stranger", "ci"):
        headers = house.token("responder", name=name)
        ids.append(
            house.client().post("/api/v1/changes", json=change, headers=headers).json()["ids"]
        )
    assert ids[0] == ids[2] != ids[1]


@pytest.mark.parametrize("version", ["9" * 5_000, "²", "3", "-4", "4.0"])
def test_a03_the_version_of_a_webhook_is_a_small_number(house: Any, version: str) -> None:
    body = {"version": version, "alerts": []}
    answer = house.client().post("/api/v1/webhook/alertmanager", json=body)
    assert answer.status_code == 400


def test_a07_nothing_on_a_page_turns_or_hides_the_text_around_it(house: Any) -> None:
    hostile = "a\u202eb\u200bc\x1b[31md\u2028e\U000e0041<i>"
    body = {
        "matchers": [{"name": hostile, "value": hostile, "isRegex": False}],
        "endsAt": rfc3339(house.clock.now_ms() + HOUR_MS),
        "comment": hostile,
    }
    assert house.client().post("/api/v2/silences", json=body).status_code == 200
    for path in ("/silences", "/account"):
        page = house.client().get(path).text
        assert "\\u202eb\\u200bc\\x1b[31md\\u2028e\\U000e0041&lt;i&gt;" in page
        assert not set(page) & set("\u202e\u200b\x1b\u2028\U000e0041")


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__.__mro__ }}",
        "{% for i in range(10**9) %}x{% endfor %}",
        "{x:>1000000000}",
        "{service.__class__} ${7*7} {{7*7}}",
    ],
)
def test_a08_what_looks_like_a_template_is_shown_as_it_came(
    house: Any, seed: ModuleType, text: str
) -> None:
    opened_ms = house.clock.now_ms()
    item = seed.incident(1, IncidentState.OPEN, "payment", opened_ms, title=because("{x}", x=text))
    alert = replace(
        seed.alert("Down", "payment", opened_ms, note=text),
        summary=because("{x}", x=text),
        annotations=Labels.of({"description": text}),
    )
    with house.store.records.write() as conn:
        incident_rows.save(conn, [item])
        alert_rows.save(conn, [AlertStatus(alert, incident_id=item.id)])
    for path in ("/", f"/incidents/{item.id}", "/alerts"):
        page = house.client().get(path)
        assert page.status_code == 200 and len(page.content) < 100_000
        assert text in html.unescape(page.text), path
        assert "&lt;class" not in page.text and "$49" not in page.text


def test_a20_silences_have_a_number(build: Callable[..., Any]) -> None:
    client = (house := build(console={"silences_max": 2})).client()

    def put(value: str, ident: str = "") -> Any:
        matcher = {"name": "job", "value": value, "isRegex": False}
        ends = rfc3339(house.clock.now_ms() + HOUR_MS)
        body = {"id": ident, "matchers": [matcher], "endsAt": ends, "comment": value}
        return client.post("/api/v2/silences", json=body)

    first = put("a").json()["silenceID"]
    assert [put("b").status_code, put("c").status_code] == [200, 400]
    assert client.delete(f"/api/v2/silence/{first}").status_code == 200
    assert put("c").status_code == 200


def test_a22_a_crowd_at_the_sign_in_is_sent_away(house: Any) -> None:
    pages = AccountPages(house.app.state.accounts)
    pages._places = Full()  # type: ignore[assignment]
    call = Call(Request({"type": "http", "headers": []}), house.ports, NOBODY, 0, body=b"name=ann")
    answer = asyncio.run(pages.sign_in(call))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


class Full:
    """A limiter before which as many wait as may."""

    tasks_waiting = SIGN_INS_WAITING_MAX

    def statistics(self) -> Full:
        return self
