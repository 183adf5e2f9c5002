"""What an on-call engineer does with a browser."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.integration


def test_a_pushed_alert_appears_without_a_reload(console: Any, visitor: Any, alert: Any) -> None:
    page = visitor.page()
    page.goto("/?service=search")
    expect(page.get_by_text("All quiet.")).to_be_visible()
    page.evaluate("window.sameDocument = true")
    console.push(alert("search"))
    row = page.locator("ul.rows a.row")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("search")
    expect(row.locator(".badge.open")).to_be_visible()
    assert page.evaluate("window.sameDocument") is True

    row.click()
    expect(page.locator("h1")).to_contain_text("search")
    expect(page).to_have_url(f"{console.url}/incidents/{console.incident('search')['id']}")


def test_an_incident_is_acknowledged_noted_and_silenced(console: Any, visitor: Any, alert: Any, servers: Any) -> None:  # fmt: skip
    console.push(alert("basket"))
    incident = console.incident("basket")
    page = visitor.page()
    page.goto(f"/incidents/{incident['id']}")
    expect(page.locator(".culprit")).to_have_text("basket")
    expect(page.locator("h1 ~ .meta, .card > .meta").first).to_contain_text("open")

    page.get_by_role("button", name="Acknowledge").click()
    expect(page.get_by_role("status").first).to_contain_text("Acknowledged")
    expect(page.locator(".card > .meta .badge.acknowledged")).to_be_visible()
    expect(page.get_by_role("button", name="Take back")).to_be_visible()
    assert console.incident("basket", "acknowledged")["id"] == incident["id"]

    said = "restarted the <b>pool</b>"
    page.get_by_placeholder("What you saw").fill(said)
    page.get_by_role("button", name="Add note").click()
    expect(page.locator(".timeline li.note")).to_contain_text(said)

    silence = page.locator("section#silence")
    expect(silence.locator("textarea")).to_have_value('alertname="LatencyHigh"\nservice="basket"')
    silence.get_by_label("Why").fill("pool is being replaced")
    silence.get_by_role("button", name="Silence").click()
    expect(page).to_have_url(f"{console.url}/silences?told=silenced")
    row = page.locator("li.row", has_text="pool is being replaced")
    expect(row.locator(".badge.active")).to_be_visible()

    def muted() -> bool:
        known = console.get("/api/v2/alerts", filter='service="basket"')
        return bool(known[0]["status"]["state"] == "suppressed")

    servers.wait_for(muted, "the alert to be silenced")
    row.get_by_role("button", name="End now").click()
    expect(row.locator(".badge.expired")).to_be_visible()


def test_a_silence_that_cannot_be_is_refused_with_the_reason(visitor: Any) -> None:
    page = visitor.page()
    page.goto("/silences")
    page.locator("textarea[name=matchers]").fill('alertname="x')
    page.get_by_label("Why").fill("a mistake")
    page.get_by_role("button", name="Silence", exact=True).click()
    expect(page.locator("main")).to_contain_text("matcher")
    # The browser notes the answer's status 400; nothing else may be wrong.
    assert [text for text in visitor.complaints if "400" not in text] == []
    visitor.complaints.clear()


def test_services_are_drawn_with_their_state_and_open(console: Any, visitor: Any, alert: Any) -> None:  # fmt: skip
    page = visitor.page()
    page.goto("/services")
    graph = page.locator(".graph-wrap svg")
    for name in ("gateway", "checkout", "payment", "mailer"):
        expect(graph.locator("text.name").get_by_text(name, exact=True)).to_be_visible()
    row = page.locator("tr", has=page.get_by_role("link", name="mailer", exact=True))
    expect(row.locator(".badge.ok")).to_be_visible()
    page.evaluate("window.sameDocument = true")
    console.push(alert("mailer"))
    expect(row.locator(".badge.critical")).to_be_visible()
    assert page.evaluate("window.sameDocument") is True
    row.get_by_role("link", name="mailer", exact=True).click()
    expect(page.locator("h1")).to_have_text("mailer")
    expect(page.locator("ul.rows a.row")).to_have_count(1)


def test_the_report_counts_and_is_downloaded(console: Any, visitor: Any, alert: Any) -> None:
    console.push(alert("billing"))
    console.incident("billing")
    page = visitor.page()
    page.goto("/reports?period=24h")
    tile = page.locator(".tile", has_text="incidents").first
    counted = int(tile.locator("b").inner_text())
    assert counted == len(console.get("/api/v1/incidents", state="all")["incidents"])
    with page.expect_download() as started:
        page.get_by_role("link", name="CSV").click()
    assert "billing" in started.value.path().read_text()


def test_health_tells_of_the_pipeline_itself(visitor: Any) -> None:
    page = visitor.page()
    page.goto("/health")
    expect(page.locator(".tile", has_text="dead letters").locator("b")).to_have_text("0")
    expect(page.locator("section", has_text="Parts").last).to_contain_text("store")
    expect(page.locator(".badge.dot.ok").first).to_be_visible()
    page.get_by_text("All counters").click()
    expect(page.locator("#counters")).to_contain_text("tocsin_steps_total")
