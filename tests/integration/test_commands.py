"""The commands against a running Tocsin, as they are typed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

pytestmark = pytest.mark.integration


class Typed:
    """`tocsin …` pointed at a server."""

    def __init__(self, url: str, token: str) -> None:
        self.environment = {**os.environ, "TOCSIN_URL": url, "TOCSIN_TOKEN": token, "TZ": "UTC"}

    def __call__(self, *words: str, status: int = 0) -> str:
        """What it printed; on which stream does not matter."""
        done = subprocess.run(
            [sys.executable, "-m", "pipeline", *words],
            capture_output=True,
            text=True,
            timeout=300,
            env=self.environment,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def typed(servers: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Typed]:
    """At one that nobody has told of anything, and that the tests leave so."""
    with servers.tocsin_in(tmp_path_factory.mktemp("quiet")) as tocsin:
        yield Typed(tocsin.url, tocsin.token)


def test_from_a_pushed_alert_to_a_closed_incident(tocsin: Any, servers: Any) -> None:
    typed = Typed(tocsin.url, tocsin.token)
    typed("changes", "announce", "mail", "mail 2.0", "--version", "2.0")
    typed("alerts", "push", "alertname=QueueFull", "service=mail", "--summary", "it is full")
    found = tocsin.incident("mail")
    assert "QueueFull" in typed("alerts", "list", "service=mail")
    assert found["id"] in typed("incidents", "list")  # whole, to be copied
    typed("incidents", "acknowledge", found["id"], "--note", "looking")
    tocsin.incident("mail", "acknowledged")
    typed("incidents", "note", found["id"], "it was the disk")

    def shown() -> str:
        text = typed("incidents", "show", found["id"])
        return text if "it was the disk" in text and "OPS-1" in text else ""

    servers.wait_for(shown, "the note and the ticket on the timeline")
    assert "mail 2.0" in typed("changes", "list")
    typed("incidents", "priority", found["id"], "P2")
    servers.wait_for(lambda: tocsin.incident("mail", "acknowledged")["priority"] == "P2", "P2")
    typed("incidents", "close", found["id"])
    tocsin.incident("mail", "closed")
    assert "No incidents." in typed("incidents", "list")
    typed("incidents", "reopen", found["id"])
    tocsin.incident("mail", "open")


def test_a_silence_from_beginning_to_end(typed: Typed) -> None:
    silence = typed("silences", "add", 'service="cart"', "-m", "moving it", "--for", "10m").strip()
    assert 'service="cart"' in typed("silences", "list")
    typed("silences", "expire", silence)
    assert "No silences." in typed("silences", "list")


@pytest.mark.parametrize(
    ("form", "begins"),
    [("table", "Reliability from"), ("json", "{"), ("csv", "group,name"), ("html", "<!doctype")],
)
def test_a_report_in_every_form(typed: Typed, form: str, begins: str) -> None:
    assert typed("report", "--last", "1d", "--format", form).lower().startswith(begins.lower())


def test_a_report_in_chinese(typed: Typed) -> None:
    assert "合计" in typed("report", "--last", "1d", "--language", "zh_CN")


def test_what_is_wrong_is_said_in_a_line(typed: Typed) -> None:
    assert "nothing answers" in typed("incidents", "list", "--url", "http://127.0.0.1:9", status=3)
    assert "nothing here by that name" in typed("incidents", "show", "0123", status=1)
    assert "a label must be name=value" in typed("alerts", "push", "x", status=2)
    assert json.loads(typed("alerts", "list", "--json")) == []
