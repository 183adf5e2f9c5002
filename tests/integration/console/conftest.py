"""A real browser before a real Tocsin; whatever the browser complains of fails the test."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

# A busy machine draws late; only a failure waits this long.
PATIENCE_MS = 120_000
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WATCH_POLICY = """
addEventListener("securitypolicyviolation", (event) => {
  console.error(`policy violated: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`);
});
"""
CATALOGUE = """\
teams:
  - {name: shop, members: [], receivers: [console]}
services:
  - {name: gateway, tier: 1, owner: shop, depends_on: [checkout]}
  - {name: checkout, tier: 1, owner: shop, depends_on: [payment]}
  - {name: payment, tier: 1, owner: shop}
  - {name: mailer, tier: 3, owner: shop}
"""

expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="session")
def browser(servers: Any) -> Iterator[Browser]:
    """Debian's Chromium: Playwright's own cannot be had everywhere."""
    path = servers.program("chromium", "chromium-browser", "google-chrome")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=FLAGS, timeout=PATIENCE_MS)
        yield started
        started.close()


@pytest.fixture(scope="session")
def console(servers: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One server that the tests share; each pushes alerts of its own service."""
    folder = tmp_path_factory.mktemp("console") / "tocsin"
    with servers.tocsin_in(folder, servers.settings, CATALOGUE) as tocsin:
        yield tocsin


@dataclass
class Visitor:
    """Someone with a browser: opens pages, and notes what the browser complains of."""

    url: str
    browser: Browser
    complaints: list[str] = field(default_factory=list)
    contexts: list[BrowserContext] = field(default_factory=list)

    def page(self, **options: Any) -> Page:
        """A page with cookies of its own."""
        context = self.browser.new_context(**{"base_url": self.url, "locale": "en-GB", **options})
        self.contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        context.add_init_script(WATCH_POLICY)
        page = context.new_page()
        page.on("console", lambda said: self._said(said.type, said.text))
        page.on("pageerror", lambda error: self.complaints.append(f"script: {error}"))
        page.on("dialog", self._dialog)
        return page

    def _said(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(text)

    def _dialog(self, dialog: Any) -> None:
        self.complaints.append(f"dialog: {dialog.message}")
        dialog.dismiss()


@pytest.fixture
def visitor(console: Any, browser: Browser) -> Iterator[Visitor]:
    """Visits the shared server."""
    yield from _visiting(console.url, browser)


@pytest.fixture
def visits(browser: Browser) -> Iterator[Any]:
    """Makes a visitor of another server."""
    made: list[Iterator[Visitor]] = []

    def visit(url: str) -> Visitor:
        made.append(_visiting(url, browser))
        return next(made[-1])

    yield visit
    for visiting in made:
        assert next(visiting, None) is None


def _visiting(url: str, browser: Browser) -> Iterator[Visitor]:
    found = Visitor(url, browser)
    yield found
    for context in found.contexts:
        context.close()
    assert found.complaints == []


def alert(service: str, name: str = "LatencyHigh", **annotations: str) -> dict[str, Any]:
    """An alert as Prometheus pushes it."""
    labels = {"alertname": name, "service": service, "severity": "critical"}
    return {"labels": labels, "annotations": {"summary": f"{service} is slow", **annotations}}


@pytest.fixture(scope="session", name="alert")
def alert_fixture() -> Any:
    """Make an alert."""
    return alert


@pytest.fixture(scope="session")
def paths(console: Any) -> list[str]:
    """Every page there is, with something on each."""
    console.push(alert("gateway", runbook_url="https://example.org/runbooks/gateway"))
    console.post(
        "/api/v1/changes",
        {"service": "gateway", "kind": "deploy", "title": "gateway 1.2", "author": "ann"},
    )
    ident = console.incident("gateway")["id"]
    ticket = console.ticket(ident)["number"]
    fixed = ["services", "alerts", "tickets", "changes", "silences", "reports", "health", "account"]
    return [
        "/", *(f"/{name}" for name in fixed),
        f"/incidents/{ident}", "/services/gateway", f"/tickets/{ticket}", "/sign-in",
    ]  # fmt: skip
