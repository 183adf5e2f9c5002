"""Languages, themes, small screens and hostile texts, on every page."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.integration

PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
SCRIPT = "<script>window.pwned=1</script>"
IMAGE = '"><img src=x onerror="window.pwned=1">'
JAVASCRIPT = "javascript:window.pwned=1"
PROTOCOLS = "found => found.map((one) => new URL(one.getAttribute('href'), location).protocol)"


def test_the_language_is_switched_and_kept(visitor: Any, paths: list[str]) -> None:
    page = visitor.page()
    page.goto("/")
    expect(page.locator("h1")).to_have_text("Incidents")
    page.get_by_role("button", name="简体中文").click()
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    expect(page.locator("h1")).to_have_text("事件")
    for path in paths:
        page.goto(path)
        expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
        expect(page.locator("nav.rail")).to_contain_text("报告")
    page.get_by_role("button", name="English").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")


def test_the_theme_is_switched_and_kept(visitor: Any) -> None:
    page = visitor.page(color_scheme="light")
    page.goto("/")

    def ground() -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    light = ground()
    page.get_by_role("button", name="Theme").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert ground() != light
    page.goto("/services")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.get_by_role("button", name="Theme").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    assert ground() == light


def test_the_dark_of_the_system_is_followed(visitor: Any) -> None:
    grounds = []
    for scheme in ("light", "dark"):
        page = visitor.page(color_scheme=scheme)
        page.goto("/")
        grounds.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert grounds[0] != grounds[1]


def _too_wide(page: Page) -> list[str]:
    """What sticks out to the right, if the page can be pushed sideways."""
    return list(
        page.evaluate(
            """() => {
                const root = document.documentElement;
                if (Math.max(root.scrollWidth, document.body.scrollWidth) <= root.clientWidth) return [];
                return [...document.querySelectorAll("body *")]
                    .filter((one) => one.getBoundingClientRect().right > root.clientWidth + 0.5)
                    .map((one) => one.outerHTML.slice(0, 120));
            }"""
        )
    )


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_a_phone_is_never_scrolled_sideways(visitor: Any, paths: list[str], language: str) -> None:
    page = visitor.page(**PHONE, locale=language)
    for path in paths:
        page.goto(path)
        expect(page.locator("html")).to_have_attribute("lang", language)
        assert page.evaluate("document.documentElement.clientWidth") == 390
        assert _too_wide(page) == [], path


def test_a_phone_reaches_every_page(visitor: Any) -> None:
    page = visitor.page(**PHONE)
    page.goto("/")
    for name in ("Services", "Alerts"):
        page.locator("nav.bar").get_by_role("link", name=name).click()
        expect(page.locator("h1")).to_have_text(name)
    for name in ("Tickets", "Changes", "Silences", "Reports", "Pipeline"):
        page.locator("nav.bar summary").click()
        page.locator("nav.bar .sheet").get_by_role("link", name=name).click()
        expect(page.locator("h1")).to_contain_text(name)


def test_a04_hostile_labels_are_inert(console: Any, visitor: Any) -> None:
    service = f"evil{SCRIPT}"
    console.push(
        {
            "labels": {"alertname": IMAGE, "service": service, "severity": "critical", "path": SCRIPT},
            "annotations": {"summary": IMAGE, "description": SCRIPT, "runbook_url": JAVASCRIPT, "dashboard_url": f"https://example.org/{IMAGE}"},
            "generatorURL": JAVASCRIPT,
        }
    )  # fmt: skip
    change = {"service": service, "kind": "deploy", "title": IMAGE, "author": SCRIPT}
    console.post("/api/v1/changes", change)
    incident = console.incident(service)
    fixed = ["/", "/alerts", "/changes", "/services", "/tickets", "/reports"]
    ticket = console.ticket(incident["id"])["number"]
    page = visitor.page()
    for path in [*fixed, f"/incidents/{incident['id']}", f"/tickets/{ticket}"]:
        page.goto(path)
        expect(page.locator("main")).to_contain_text("window.pwned=1")  # shown, as text
        assert page.evaluate("window.pwned") is None, path
        assert page.locator("main img, main script, [onerror]").count() == 0, path
        links = page.eval_on_selector_all("[href]", PROTOCOLS)
        assert set(links) <= {"http:", "https:"}, path
    page.goto(f"/incidents/{incident['id']}")
    page.locator(".culprit").click()
    expect(page.locator("h1")).to_have_text(service)
    assert page.evaluate("window.pwned") is None
