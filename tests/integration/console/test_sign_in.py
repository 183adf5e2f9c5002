"""Who is let in, and to what, once there is a user."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.integration

PASSWORD = "correct horse battery"


def test_a_user_signs_in_with_a_role_and_out_again(servers: Any, visits: Any, alert: Any, tmp_path: Path) -> None:  # fmt: skip
    with servers.tocsin_in(tmp_path / "tocsin") as tocsin:
        tocsin.push(alert("search"))
        incident = tocsin.incident("search")
        tocsin.post("/api/v1/users", {"name": "vera", "role": "viewer", "password": PASSWORD})
        visitor = visits(tocsin.url)
        page = visitor.page()
        page.goto(f"/incidents/{incident['id']}")
        expect(page.locator("h1")).to_have_text("Sign in")
        page.get_by_label("Name").fill("vera")
        page.get_by_label("Password").fill("wrong")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert").filter(visible=True)).to_contain_text("not right")
        # The browser notes the answer's status; nothing else may be wrong.
        assert all("401" in text for text in visitor.complaints)
        visitor.complaints.clear()
        page.get_by_label("Name").fill("vera")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        expect(page.locator("h1")).to_contain_text("search")  # where she wanted to go
        expect(page.get_by_role("button", name="Acknowledge")).to_have_count(0)  # viewers look on
        (cookie,) = [c for c in page.context.cookies() if c["name"] == "tocsin_session"]
        assert cookie["httpOnly"] and cookie["sameSite"] == "Lax"

        page.goto("/account")
        page.get_by_role("button", name="Sign out").click()
        expect(page.locator("h1")).to_have_text("Sign in")
        page.context.add_cookies([cookie])  # a session that has ended lets nobody in
        page.goto("/")
        expect(page.locator("h1")).to_have_text("Sign in")
