"""A real `tocsin run` on loopback with a folder of its own, and what a test asks of it."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest
import requests

from benchmarks.process import Outside, Tocsin
from tests.collectors.http_double import Answer, answering

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[2]
WAIT_S = 240.0
QUIET = "host: {enabled: false}\nself: {enabled: false}\nlogs: {sources: []}\n"
QUICK = "correlator: {group_wait: 200ms, group_wait_critical: 200ms, resolve_window: 1s}\n"
PACE = "pipeline: {tick: 200ms, checkpoint_interval: 1s}\n"
RETRY = "bridge: {retry: {first: 200ms, longest: 1s}}\n"


def until(ask: Callable[[], T], what: str) -> T:
    """Ask until the answer is true; no answer is "not yet"."""
    ends_s = time.monotonic() + WAIT_S
    last: object = None
    while time.monotonic() < ends_s:
        try:
            last = ask()
            if last:
                return last
        except (requests.RequestException, sqlite3.Error) as error:
            last = error
        time.sleep(0.05)
    pytest.fail(f"waited {WAIT_S:.0f} s for {what}; last: {last!r}")


class Running(Tocsin):
    """Tocsin, and shorthands for its API."""

    def __init__(self, folder: Path, program: Sequence[str] = ("-m", "pipeline")) -> None:
        super().__init__(folder, program=program)
        self.session = requests.Session()
        self.session.trust_env = False
        self.configure()

    def configure(self, **files: str) -> None:
        """Write files of its configuration; without `tocsin` it watches nothing and decides quickly."""
        config = self.folder / "config"
        config.mkdir(exist_ok=True)
        written = {"tocsin": QUIET + QUICK + RETRY + PACE, **files} if not files else files
        for name, text in written.items():
            (config / f"{name}.yaml").write_text(text)

    def outside(self, outside: Outside) -> None:
        """Let it open tickets and page there."""
        self.configure(
            routes=f"receivers:\n- {{name: pager, kind: webhook, url: '{outside.url}/pager', allow_private: true}}\n"
            f"desks:\n- {{name: desk, kind: webhook, url: '{outside.url}/desk', allow_private: true}}\n"
            "route: {receiver: pager, desks: [desk], repeat_interval: 1h}\n"
        )

    def ask(self, method: str, path: str, body: Any = None, **more: Any) -> requests.Response:
        """One request."""
        return self.session.request(method, self.url + path, json=body, timeout=120, **more)

    def push(self, *names: str, **labels: str) -> int:
        """Push alerts that fire now; returns the status."""
        now = datetime.now(UTC).isoformat()
        alerts = [{"labels": {"alertname": n, "severity": "critical", **labels}, "startsAt": now} for n in names]  # fmt: skip
        return self.ask("POST", "/api/v2/alerts", alerts).status_code

    def incidents(self, state: str = "active") -> list[dict[str, Any]]:
        """Incidents in a state."""
        found = self.ask("GET", "/api/v1/incidents", params={"state": state})
        found.raise_for_status()
        return list(found.json()["incidents"])

    def metric(self, name: str) -> float:
        """The sum of a metric's samples; NaN where there is none."""
        text = self.ask("GET", "/metrics").text
        found = re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE)
        return sum(map(float, found)) if found else float("nan")

    def ready(self) -> bool:
        """What /-/ready says."""
        return self.ask("GET", "/-/ready").status_code == 200

    def rows(self, query: str) -> list[Any]:
        """Read its records."""
        database = sqlite3.connect(f"file:{self.data / 'tocsin.db'}?mode=ro", uri=True)
        try:
            return database.execute(query).fetchall()
        finally:
            database.close()

    def settled(self) -> None:
        """Wait until nothing waits: everything accepted is decided, everything decided is done."""
        until(lambda: self.metric("tocsin_journal_lag_entries") == 0, "an empty journal")
        until(
            lambda: not self.rows("SELECT 1 FROM alerts WHERE incident_id = ''"), "grouped alerts"
        )
        until(lambda: not self.rows("SELECT 1 FROM outbox WHERE state = 'pending'"), "an empty outbox")  # fmt: skip

    def log(self) -> list[dict[str, Any]]:
        """What it has logged, of all its lives."""
        lines = (self.folder / "tocsin.log").read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def said(self, words: str) -> list[str]:
        """Log messages with these words."""
        return [entry["message"] for entry in self.log() if words in entry["message"]]

    def wait(self) -> int:
        """The exit status, once it has ended."""
        assert self.process is not None
        return self.process.wait(timeout=WAIT_S)

    def close(self) -> None:
        """End whatever is left."""
        if self.process is not None and self.process.poll() is None:
            self.kill()
        self.session.close()
        self._log.close()


class Exporter:
    """A scrape target: gives `body`, or nothing at all while `hangs`."""

    def __init__(self) -> None:
        self.body = "# TYPE jobs gauge\njobs 5\n"
        self.hangs = False
        self.asked = 0
        self.let_go = threading.Event()
        self._serving = ExitStack()
        self.url = f"{self._serving.enter_context(answering(self._ask))}/metrics"
        """Where it listens."""

    def close(self) -> None:
        """End it."""
        self.let_go.set()
        self._serving.close()

    def _ask(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        self.asked += 1
        if self.hangs:
            self.let_go.wait(600)
        return 200, self.body.encode(), {"Content-Type": "text/plain; version=0.0.4"}


def command(*words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run `tocsin WORDS` to its end, away from any terminal: a password is read from `stdin`."""
    return subprocess.run(
        [sys.executable, "-m", "pipeline", *words],
        input=stdin,
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=WAIT_S,
        start_new_session=True,
    )
