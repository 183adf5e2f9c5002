"""Pages: every one answers, hostile text stays text, and silences have bounds."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from collectors.exemplars import Exemplar
from console.app import create_app
from console.i18n import translator
from console.messages import collect, missing
from console.plots import line_with_band
from model.alert import Alert, AlertStatus, Evidence
from model.codec import decode
from model.labels import Labels
from model.silence import Silence
from store import alerts, audit

PAGES = ("/", "/?state=all", "/alerts", "/alerts?state=all", "/silences", "/services", "/services/payment", "/slos", "/probes", "/tickets", "/tickets/OPS-1", "/changes", "/reports", "/reports?period=7d&simulated=false", "/health", "/account", "/sign-in")  # fmt: skip
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def filled(house: Any, seed: Any) -> Any:
    house.item = seed.fill(house.store)
    return house


@pytest.mark.parametrize("language", ["en", "zh-CN"])
@pytest.mark.parametrize("path", [*PAGES, "/incidents/ITEM"])
def test_every_page_answers_in_both_languages(filled: Any, path: str, language: str) -> None:
    path = path.replace("ITEM", filled.item.id)
    answer = filled.client().get(path, headers={"accept-language": language})
    assert answer.status_code == 200, answer.text[:500]
    assert f'<html lang="{language.replace("en", "en")}"' in answer.text
    # What the policy would block must not be there.
    assert not re.search(r"<[^>]*\s(style|on\w+)=", re.sub(r"&quot;|&lt;[^&]*", "", answer.text))
    assert "<style" not in answer.text and "<script>" not in answer.text


@pytest.mark.parametrize(
    ("language", "view", "rarity"),
    [
        ("en", "odd for this time of day", r"by chance once in \S"),
        ("zh-CN", "就一天中此时而言异常", r"纯属偶然约 \S.* 一次"),
    ],
)
def test_which_view_found_it_and_how_rare_it_is(
    filled: Any, language: str, view: str, rarity: str
) -> None:
    for path in (f"/incidents/{filled.item.id}", "/alerts?state=all"):
        text = filled.client().get(path, headers={"accept-language": language}).text
        assert view in text and re.search(rarity, text), path


@pytest.mark.parametrize(
    ("language", "title"), [("en", "Traces to look at"), ("zh-CN", "可查看的链路追踪")]
)
def test_traces_of_an_incidents_time_lead_to_where_they_are_looked_at(filled: Any, language: str, title: str) -> None:  # fmt: skip
    item = filled.item
    place = f"/incidents/{item.id}"
    assert title not in filled.client().get(place, headers={"accept-language": language}).text
    settings = replace(filled.ports.settings, trace_url="https://tempo/trace/{trace_id}")
    filled.app = create_app(replace(filled.ports, settings=settings))
    series = Labels.of({"__name__": "wait_seconds_bucket", "service": item.service})
    for trace, at_ms in (("4bf9/2f", item.began_ms), ("long-ago", item.began_ms - 3_600_000)):
        filled.ports.exemplars.keep([Exemplar(series, Labels.of({"trace_id": trace}), at_ms, 2.5)])
    text = filled.client().get(place, headers={"accept-language": language}).text
    assert title in text and 'href="https://tempo/trace/4bf9%2F2f"' in text
    assert "long-ago" not in text
    (told,) = filled.client().get(f"/api/v1{place}").json()["traces"]
    assert (told["trace_id"], told["value"]) == ("4bf9/2f", 2.5)


def test_a04_hostile_traces_are_inert(filled: Any) -> None:
    series = Labels.of({"__name__": "<i>m", "service": filled.item.service})
    hostile = Labels.of({"trace_id": "<script>alert(1)</script>"})
    filled.ports.exemplars.keep([Exemplar(series, hostile, filled.item.began_ms, float("nan"))])
    text = filled.client().get(f"/incidents/{filled.item.id}").text
    assert "&lt;script&gt;alert(1)" in text and "<script>alert" not in text and "<i>m" not in text


@pytest.mark.parametrize("path", ["/incidents/none", "/services/none", "/tickets/none"])
def test_what_is_not_there_is_said(filled: Any, path: str) -> None:
    assert filled.client().get(path).status_code == 404


def test_the_live_part_is_sent_once(filled: Any) -> None:
    client = filled.client()
    first = client.get("/?part=live")
    assert first.status_code == 200 and "<html" not in first.text
    again = client.get("/?part=live", headers={"if-none-match": first.headers["etag"]})
    assert again.status_code == 304 and not again.content


def test_pages_of_a_list_follow_each_other(filled: Any) -> None:
    client, seen, before = filled.client(), list[str](), ""
    for _ in range(20):
        found = client.get(f"/api/v1/incidents?limit=10&before={before}").json()
        seen += [item["id"] for item in found["incidents"]]
        before = found["next"]
        if not before:
            break
    assert len(seen) == len(set(seen)) == 42


def test_simulated_incidents_are_marked(filled: Any) -> None:
    text = filled.client().get("/?state=all&simulated=true").text
    rows = text.count('href="/incidents/')
    assert rows > 0 and text.count('class="badge sim"') == rows


def test_a04_hostile_text_is_inert(filled: Any) -> None:
    client = filled.client()
    for path in (
        f"/incidents/{filled.item.id}",
        "/alerts",
        "/tickets",
        "/tickets/OPS-1",
        "/services/payment",
    ):
        text = client.get(path).text
        assert "<script>alert" not in text and "<img src=x" not in text
        assert "javascript:" not in re.sub(r"\[x\]\(javascript:alert\(1\)\)", "", text)


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "data:text/html,x", "//evil", "http://a b", "https://x/\n<"]
)
def test_a04_only_http_urls_become_links(house: Any, url: str) -> None:
    alert = Alert(
        Labels.of({"alertname": "X"}),
        "p",
        1,
        1,
        generator_url=url,
        annotations=Labels.of({"runbook_url": url}),
    )
    with house.store.records.write() as conn:
        alerts.save(conn, [AlertStatus(alert)])
    client = house.client()
    text = client.get("/alerts").text
    assert f'href="{url}' not in text and 'rel="noopener' not in text
    assert client.get("/api/v2/alerts").json()[0]["generatorURL"] == ""


def test_a07_a_line_feed_in_a_label_forges_nothing(house: Any, caplog: Any) -> None:
    name = "X\n2026-01-01 ERROR forged \x1b[31m\u2028"
    body = [{"labels": {"alertname": name}}]
    assert house.client().post("/api/v2/alerts", json=body).status_code in (200, 400)
    assert not [r for r in caplog.records if "\n" in r.getMessage() or "\x1b" in r.getMessage()]
    house.client().get(f"/incidents/{name.encode().hex()}")
    house.client().post(
        "/api/v1/users", json={"name": name, "role": "viewer", "password": "0123456789"}
    )
    with house.store.records.read() as conn:
        assert audit.recent(conn) == []  # a name must be printable


SILENCE = {"startsAt": "2020-01-01T00:00:00Z", "comment": "x", "createdBy": "amtool"}


@pytest.mark.parametrize(
    ("matcher", "hours", "responder", "manager"),
    [
        (("service", "cart", False, True), 1, 200, 200),
        (("service", "cart", False, True), 24, 200, 200),
        # Longer than a responder may.
        (("service", "cart", False, True), 25, 403, 200),
        # Everything, in several spellings.
        (("alertname", ".+", True, True), 1, 403, 200),
        (("alertname", "(.|\\n)+", True, True), 1, 403, 200),
        # Matches the empty value: nobody may.
        (("alertname", ".*", True, True), 1, 400, 400),
        (("team", "db", False, False), 1, 400, 400),
        # Over before it begins.
        (("service", "cart", False, True), -1, 400, 400),
    ],
)  # fmt: skip
def test_a20_silences_have_bounds(
    house: Any, matcher: tuple[str, str, bool, bool], hours: int, responder: int, manager: int
) -> None:
    from collectors.alertmanager import rfc3339

    name, value, regex, equal = matcher
    body = {
        **SILENCE,
        "matchers": [{"name": name, "value": value, "isRegex": regex, "isEqual": equal}],
        "endsAt": rfc3339(house.clock.now_ms() + hours * 3_600_000),
    }
    for role, status in (("responder", responder), ("manager", manager)):
        headers = house.token(role, role)
        before = len(house.submitted)
        answer = house.client().post("/api/v2/silences", json=body, headers=headers)
        assert answer.status_code == status, (role, answer.text)
        assert len(house.submitted) - before == (status == 200)
        if status == 200:
            silence = decode(Silence, house.submitted[-1].body)
            assert silence.created_by == role  # who is signed in, not what the body says
            with house.store.records.read() as conn:
                assert audit.recent(conn, act="silenced")[0].actor == role


def test_a_silence_can_be_read_ended_and_is_shown(house: Any) -> None:
    from collectors.alertmanager import rfc3339

    client = house.client()
    body = {
        **SILENCE,
        "matchers": [{"name": "service", "value": "cart", "isRegex": False}],
        "endsAt": rfc3339(house.clock.now_ms() + 60_000),
    }
    ident = client.post("/api/v2/silences", json=body).json()["silenceID"]
    assert client.get(f"/api/v2/silence/{ident}").json()["status"]["state"] == "active"
    assert "service=&#34;cart&#34;" in client.get("/silences").text
    assert "1 silences in force" in client.get("/").text
    assert client.delete(f"/api/v2/silence/{ident}").status_code == 200
    assert client.get(f"/api/v2/silence/{ident}").json()["status"]["state"] == "expired"
    assert client.delete("/api/v2/silence/none").status_code == 404


def test_alerts_are_filtered_as_by_an_alertmanager(filled: Any) -> None:
    client = filled.client()
    assert len(client.get("/api/v2/alerts").json()) == 3
    one = client.get("/api/v2/alerts", params={"filter": 'service="checkout"'}).json()
    assert [a["labels"]["service"] for a in one] == ["checkout"]
    assert client.get("/api/v2/alerts?active=false").json() == []
    assert client.get("/api/v2/alerts?active=maybe").status_code == 400
    assert client.get("/api/v2/alerts?receiver=other").json() == []
    groups = client.get("/api/v2/alerts/groups").json()
    assert len(groups) == 1 and len(groups[0]["alerts"]) == 3
    assert client.get("/api/v2/status").json()["cluster"]["status"] == "disabled"


def test_ready_health_reload_and_dead_letters(filled: Any) -> None:
    client = filled.client()
    assert client.get("/-/ready").status_code == 200
    filled.ready = False
    assert client.get("/-/ready").status_code == client.get("/readyz").status_code == 503
    assert client.get("/-/healthy").status_code == 200
    assert client.post("/-/reload").status_code == 200
    filled.problems = ["config/tocsin.yaml:3:3: x"]
    assert client.post("/-/reload").json()["problems"][0]["problem"].startswith("config/")
    (dead,) = client.get("/api/v1/dead-letters").json()["dead_letters"]
    assert client.post(f"/api/v1/dead-letters/{dead['action']['id']}/revive").status_code == 200
    assert client.get("/api/v1/dead-letters").json()["dead_letters"] == []
    assert client.post("/api/v1/dead-letters/none/revive").status_code == 404


@pytest.mark.parametrize("form", ["json", "csv", "html"])
def test_reports_come_in_three_forms(filled: Any, form: str) -> None:
    answer = filled.client().get(f"/api/v1/report?format={form}&period=30d")
    assert answer.status_code == 200 and form in answer.headers["content-type"]
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert (
        filled.client().get("/api/v1/report?since=2030-01-01&until=2020-01-01").status_code == 400
    )


def test_every_message_is_translated() -> None:
    assert not missing("zh_CN"), "python -m console.messages prints what is missing"


def test_translations_keep_their_parameters() -> None:
    say = translator("zh_CN")
    for message in collect():
        assert set(re.findall(r"{\w+}", say(message))) == set(re.findall(r"{\w+}", message)), (
            message
        )


def test_every_route_is_documented(house: Any) -> None:
    text = (ROOT / "docs" / "http.md").read_text(encoding="utf-8")
    for route in house.app.routes:
        found = route.endpoint.endpoint
        role = found.role.value if found.role else "public"
        path = found.path.replace(":path}", "}")  # how it is matched is no reader's business
        heading = f"### `{found.method} {path}`"
        row = f"| `{found.method}` | `{path}` | {role} |"
        assert heading in text or row in text, f"{found.method} {found.path}"


def test_a_plot_of_many_points_keeps_what_stands_out() -> None:
    values = [10.0] * 5_000
    values[2_501], values[3_333] = 99.0, 1.0
    evidence = Evidence(Labels(), "full", times_ms=tuple(range(5_000)), values=tuple(values))
    ticks = re.findall(r'class="tick"[^>]*>([^<]*)<', str(line_with_band(evidence)))
    path = re.search(r'class="line" d="([^"]*)"', str(line_with_band(evidence)))
    assert path is not None and "100" in ticks
    heights = {float(y) for y in re.findall(r",(-?[\d.]+)", path[1])}
    assert len(heights) == 3, heights  # the level, the spike and the dip
