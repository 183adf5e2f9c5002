"""Who may come in, and what every answer carries."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.routing import APIRoute
from starlette.routing import Route

from console import security
from console.call import Endpoint, Kind
from model.account import Role
from store import audit

PUBLIC = {
    "/-/healthy", "/-/ready", "/healthz", "/readyz", "/sign-in", "/look", "/static/{name}",
}  # fmt: skip
ALERT = [{"labels": {"alertname": "Down", "service": "cart"}}]


def _endpoints(app: Any) -> list[Endpoint]:
    found = []
    for route in app.routes:
        assert isinstance(route, Route | APIRoute), f"{route} is no route of ours"
        declared = getattr(route.endpoint, "endpoint", None)
        assert isinstance(declared, Endpoint), f"{route.path} did not come through the gate"
        found.append(declared)
    return found


def test_every_route_declares_a_role(house: Any) -> None:
    found = _endpoints(house.app)
    assert len(found) > 50
    assert {e.path for e in found if e.role is None} == PUBLIC
    assert all(
        e.kind in (Kind.FORM, Kind.PUSH)
        for e in found
        if e.method == "POST" and "/api/" not in e.path and e.path != "/-/reload"
    )


def test_every_route_refuses_who_has_no_credential(house: Any) -> None:
    house.token()  # from now on one is required
    client = house.client()
    for endpoint in _endpoints(house.app):
        if endpoint.role is None:
            continue
        answer = client.request(endpoint.method, endpoint.path.replace("{", "").replace("}", ""))
        if endpoint.kind in (Kind.PAGE, Kind.FORM):
            assert answer.status_code == 303, endpoint
            assert answer.headers["location"].startswith("/sign-in?next=")
        else:
            assert answer.status_code == 401, endpoint


@pytest.mark.parametrize("role", list(Role))
def test_every_route_refuses_a_lower_role(house: Any, role: Role) -> None:
    headers, client = house.token(role.value, role.value), house.client()
    for endpoint in _endpoints(house.app):
        if endpoint.role is not None and not role.may(endpoint.role):
            path = endpoint.path.replace("{", "").replace("}", "")
            answer = client.request(endpoint.method, path, headers=headers)
            assert answer.status_code == 403, (role, endpoint)


def test_open_mode_lets_this_machine_in_until_a_credential_exists(house: Any) -> None:
    client = house.client()
    assert client.get("/api/v1/incidents").status_code == 200
    headers = house.token("viewer")
    assert client.get("/api/v1/incidents").status_code == 401
    assert client.get("/api/v1/incidents", headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("client", "headers"),
    [
        (("192.0.2.7", 5), {}),  # another machine
        (("127.0.0.1", 5), {"host": "evil.example:8420"}),  # DNS rebinding
        (("127.0.0.1", 5), {"x-forwarded-for": "192.0.2.7"}),  # a proxy speaks for others
    ],
)
def test_open_mode_is_for_this_machine_only(
    house: Any, client: tuple[str, int], headers: dict[str, str]
) -> None:
    answer = house.client(client=client).get("/api/v1/incidents", headers=headers)
    assert answer.status_code == 401


def test_open_mode_can_be_switched_off(build: Callable[..., Any]) -> None:
    house = build(console={"open_loopback": False})
    assert house.client().get("/api/v1/incidents").status_code == 401


def test_a18_a_page_of_another_site_cannot_post(house: Any) -> None:
    client = house.client()
    for headers in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}):
        for path in ("/api/v2/alerts", "/silences", "/sign-in", "/api/v1/tokens"):
            assert client.post(path, headers=headers, json=ALERT).status_code == 403
    assert house.submitted == []


def test_a18_a_form_needs_its_token(house: Any, seed: Any) -> None:
    item = seed.fill(house.store, more=0)
    client, path = house.client(), f"/incidents/{item.id}/acts"
    assert client.post(path, data={"act": "acknowledge"}).status_code == 403
    assert client.post(path, data={"act": "acknowledge", "csrf": "0" * 64}).status_code == 403
    assert house.submitted == []
    csrf = client.get(f"/incidents/{item.id}").text.split('name="csrf" value="')[1].split('"')[0]
    answer = client.post(path, data={"act": "acknowledge", "csrf": csrf})
    assert answer.status_code == 303 and len(house.submitted) == 1
    with house.store.records.read() as conn:
        assert audit.recent(conn, target=item.id)[0].act == "acknowledge"


def test_a18_a_sign_in_begins_a_new_session(house: Any) -> None:
    client = house.client()
    assert (
        client.post(
            "/api/v1/users", json={"name": "ann", "role": "responder", "password": "correct horse"}
        ).status_code
        == 201
    )
    client.cookies.set("tocsin_session", "planted")
    answer = client.post(
        "/sign-in", data={"name": "ann", "password": "correct horse", "next": "//evil.example"}
    )
    assert answer.status_code == 303 and answer.headers["location"] == "/"
    cookie = answer.headers["set-cookie"]
    assert "planted" not in cookie and "HttpOnly" in cookie and "SameSite=lax" in cookie
    secret = cookie.split("tocsin_session=")[1].split(";")[0]
    client.cookies.clear()
    client.cookies.set("tocsin_session", secret)
    assert client.get("/").status_code == 200
    assert client.get("/account").text.count("ann") > 0
    assert (
        client.post("/account/users", data={"csrf": security.csrf_token(secret)}).status_code == 403
    )
    assert client.post("/sign-out", data={"csrf": security.csrf_token(secret)}).status_code == 303
    assert client.get("/").status_code == 303


def test_a18_a_session_ends(house: Any) -> None:
    client = house.client()
    client.post(
        "/api/v1/users", json={"name": "ann", "role": "viewer", "password": "correct horse"}
    )
    secret = house.app.state.accounts.sign_in(
        "ann", "correct horse", now_ms=house.clock.now_ms(), address="x"
    )
    client.cookies.set("tocsin_session", secret)
    house.clock.set(house.clock.now_ms() + house.ports.settings.session_idle_ms - 1)
    assert client.get("/").status_code == 200
    house.clock.set(house.clock.now_ms() + house.ports.settings.session_idle_ms + 1)
    assert client.get("/").status_code == 303


def test_a18_there_is_no_default_password(house: Any) -> None:
    house.token()
    client = house.client()
    for name, password in (("admin", "admin"), ("tocsin", "tocsin"), ("local", ""), ("admin", "")):
        assert client.post("/sign-in", data={"name": name, "password": password}).status_code == 401


def test_sign_in_is_throttled_by_name_and_address(house: Any) -> None:
    client = house.client()
    client.post(
        "/api/v1/users", json={"name": "ann", "role": "viewer", "password": "correct horse"}
    )
    for _ in range(house.ports.settings.sign_in_tries_max):
        assert client.post("/sign-in", data={"name": "ann", "password": "wrong"}).status_code == 401
    right = {"name": "ann", "password": "correct horse"}
    assert client.post("/sign-in", data=right).status_code == 401
    # Whoever guessed from elsewhere does not lock ann out.
    assert house.client(client=("192.0.2.9", 1)).post("/sign-in", data=right).status_code == 303
    house.clock.set(house.clock.now_ms() + house.ports.settings.sign_in_window_ms + 1)
    assert client.post("/sign-in", data=right).status_code == 303


def test_a_revoked_token_and_a_disabled_user_are_out(house: Any) -> None:
    admin = house.token("admin", "root")
    client = house.client()
    made = client.post(
        "/api/v1/tokens", json={"name": "ci", "role": "viewer"}, headers=admin
    ).json()
    headers = {"authorization": f"Bearer {made['token']}"}
    assert client.get("/api/v1/incidents", headers=headers).status_code == 200
    listed = client.get("/api/v1/tokens", headers=admin)
    assert "hash" not in listed.text and made["token"] not in listed.text
    ident = next(t["id"] for t in listed.json()["tokens"] if t["name"] == "ci")
    assert client.delete(f"/api/v1/tokens/{ident}", headers=admin).status_code == 204
    assert client.get("/api/v1/incidents", headers=headers).status_code == 401


def test_a19_errors_show_no_secret_and_no_traceback(house: Any) -> None:
    headers = house.token("admin", "root")
    client = house.client(raise_server_exceptions=False)

    def fail() -> Any:
        raise RuntimeError("password=hunter2 at /secret/path")

    object.__setattr__(house.ports, "health", fail)
    answer = client.get("/api/v1/health", headers=headers)
    assert answer.status_code == 500
    assert "hunter2" not in answer.text and "Traceback" not in answer.text
    house.broken = True
    answer = client.post("/api/v2/alerts", json=ALERT, headers=headers)
    assert answer.status_code == 503 and "secret" not in answer.text
    refused = client.get("/api/v1/incidents", headers={"authorization": "Bearer tocsin_abc"})
    assert "tocsin_abc" not in refused.text
    assert "password_hash" not in client.get("/api/v1/users", headers=headers).text


def test_every_answer_has_the_security_headers(house: Any) -> None:
    client = house.client()
    for path in ("/", "/nothing", "/static/app.js", "/api/v1/incidents", "/-/healthy"):
        headers = client.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"


def test_check_bind_refuses_to_be_open_to_others() -> None:
    assert security.check_bind("0.0.0.0:8420", False) is not None
    assert security.check_bind("[::]:8420", False) is not None
    assert security.check_bind("192.0.2.1:8420", False) is not None
    assert security.check_bind("[::1]:8420", False) is None
    assert security.check_bind("0.0.0.0:8420", True) is None


def test_a02_a_gzip_bomb_costs_no_more_than_the_limit(house: Any) -> None:
    bomb = gzip.compress(b"[" + b" " * (64 * 2**20) + b"]")
    headers = {"content-encoding": "gzip"}
    answer = house.client().post("/api/v2/alerts", content=bomb, headers=headers)
    assert len(bomb) < 2**17 and answer.status_code == 413
    ok = gzip.compress(json.dumps(ALERT).encode())
    assert house.client().post("/api/v2/alerts", content=ok, headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"[]" * 3_000_000, {}, 413),  # longer than allowed
        (b"[]", {"content-length": "999999999"}, 413),  # says that it will be
        (b"no gzip", {"content-encoding": "gzip"}, 400),
        (gzip.compress(b"[]")[:-4], {"content-encoding": "gzip"}, 400),  # cut off
        (gzip.compress(b"[]") + b"more", {"content-encoding": "gzip"}, 400),
        (b"[]", {"content-encoding": "br"}, 415),
    ],
)
def test_a02_bodies_that_are_refused(
    house: Any, content: bytes, headers: dict[str, str], status: int
) -> None:
    answer = house.client().post("/api/v2/alerts", content=content, headers=headers)
    assert answer.status_code == status and house.submitted == []


def test_a02_a_body_of_undeclared_length_is_cut(house: Any) -> None:
    def endless() -> Any:
        for _ in range(200):
            yield b" " * 65_536

    assert house.client().post("/api/v2/alerts", content=endless()).status_code == 413
