"""Take the pictures of docs/images/ from a running demo: `tocsin demo`, then `python .ci/pictures.py [ADDRESS [SERVICE]]`.

It waits for an open incident (about SERVICE), and takes the incident on a desktop and on a phone, and the list.
"""

from __future__ import annotations

import json
import sys
import time
import urllib.request
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
BYTES_MAX = 200_000
WAIT_S = 600
SETTLE_MS = 4_000


def open_incident(address: str, service: str) -> str:
    """The id of an open incident with at least two alerts, as soon as there is one."""
    deadline_s = time.monotonic() + WAIT_S
    while time.monotonic() < deadline_s:
        with urllib.request.urlopen(
            f"{address}/api/v1/incidents?state=active&simulated=false"
        ) as answer:
            found = json.load(answer)["incidents"]
        for incident in found:
            if incident["alert_count"] >= 2 and service in ("", incident["service"]):
                return str(incident["id"])
        time.sleep(1)
    sys.exit("no incident with two alerts; is the demo running?")


def take(
    browser: Browser, url: str, name: str, *, width: int, height: int, dark: bool = False
) -> None:
    """One picture, as PNG with few colours' worth of bytes."""
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if dark else "light",
        locale="en-GB",
        timezone_id="UTC",
    )
    page = context.new_page()
    page.goto(url)
    page.wait_for_timeout(SETTLE_MS)
    path = IMAGES / f"{name}.png"
    page.screenshot(path=path)
    context.close()
    size = path.stat().st_size
    print(f"{path.name}: {width}x{height}, {size} bytes")
    if size > BYTES_MAX:
        sys.exit(f"{path.name} is larger than {BYTES_MAX} bytes")


def main() -> None:
    address = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8420"
    service = sys.argv[2] if len(sys.argv) > 2 else ""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium")
        incident = open_incident(address, service)
        take(browser, f"{address}/incidents/{incident}", "incident", width=1280, height=860)
        take(browser, f"{address}/incidents/{incident}", "phone", width=390, height=844)
        take(browser, f"{address}/?state=all", "console", width=1280, height=800)
        browser.close()


if __name__ == "__main__":
    main()
