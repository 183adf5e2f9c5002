"""kill -9 in a storm: is anything lost, is anything done twice?

    python -m benchmarks.crash [--kills 30] [--alerts 10000] [--json FILE]

10,000 alerts about 40 connected services are pushed in posts of 20; the process is killed with -9 at
random moments, thirty times, and started again. A post counts as accepted once it was answered 2xx;
one that was not is pushed again, as Prometheus would. At the end:

- `alerts_lost`: accepted alerts without a record that belongs to an incident.
- `tickets_doubled`: incidents with more than one ticket at a desk that ignores idempotency keys.
- `pages_doubled`: pages (incident, receiver, why) that were sent under more than one key.
- `page_deliveries_repeated`: requests that carried the key of a page already delivered: killed between
  the other side's answer and our commit. A pager that heeds the key shows nothing twice.
"""

from __future__ import annotations

import json
import random
import sqlite3
import tempfile
import threading
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.process import Outside, Tocsin
from benchmarks.report import Row, arguments, tell

SERVICES = 40
PER_POST = 20
SEED = 20260101


def configure(folder: Path, outside: Outside) -> None:
    """One chain of services, a desk and a pager outside."""
    config = folder / "config"
    config.mkdir()
    (config / "tocsin.yaml").write_text(
        "host: {enabled: false}\nself: {enabled: false}\nlogs: {sources: []}\n"
        "correlator: {group_wait: 1s, resolve_window: 5s}\n"
        "bridge: {retry: {first: 200ms, longest: 1s}}\n"
        "pipeline: {checkpoint_interval: 2s}\n"
    )
    services = [
        f"- {{name: s{i}, tier: {1 + i % 4}, owner: ops"
        + (f", depends_on: [s{i + 1}]}}" if i % 5 != 4 else "}")
        for i in range(SERVICES)
    ]
    (config / "catalogue.yaml").write_text(
        "teams: [{name: ops}]\nservices:\n" + "\n".join(services) + "\n"
    )
    (config / "routes.yaml").write_text(
        f"receivers:\n- {{name: pager, kind: webhook, url: '{outside.url}/pager', allow_private: true}}\n"
        f"desks:\n- {{name: desk, kind: webhook, url: '{outside.url}/desk', allow_private: true}}\n"
        "route: {receiver: pager, desks: [desk], repeat_interval: 1h}\n"
    )


class Storm:
    """Pushes every alert until it was accepted."""

    def __init__(self, tocsin: Tocsin, alerts: int) -> None:
        self.tocsin = tocsin
        started = datetime.now(UTC).isoformat()
        self.posts = [
            [
                {
                    "labels": {
                        "alertname": f"Broken{n % 7}",
                        "service": f"s{n % SERVICES}",
                        "instance": f"i{n}",
                        "severity": "critical" if n % 3 else "warning",
                    },
                    "startsAt": started,
                }
                for n in range(begin, min(begin + PER_POST, alerts))
            ]
            for begin in range(0, alerts, PER_POST)
        ]
        self.accepted = 0
        self.refused = 0
        self._thread = threading.Thread(target=self._push, daemon=True)
        self._thread.start()

    def _push(self) -> None:
        for post in self.posts:
            body = json.dumps(post).encode()
            while not self._accepted(body):
                self.refused += 1
                time.sleep(0.05)
            self.accepted += len(post)
            time.sleep(0.05)

    def _accepted(self, body: bytes) -> bool:
        request = urllib.request.Request(
            f"{self.tocsin.url}/api/v2/alerts",
            data=body,
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return 200 <= int(answer.status) < 300
        except (urllib.error.URLError, OSError):
            return False

    @property
    def done(self) -> bool:
        """Whether all were accepted."""
        return not self._thread.is_alive()


def settle(tocsin: Tocsin, *, timeout_s: float = 60.0) -> None:
    """Wait until nothing waits in the journal or the outbox."""
    until = time.monotonic() + timeout_s
    calm = 0
    while time.monotonic() < until and calm < 4:
        database = sqlite3.connect(f"file:{tocsin.data / 'tocsin.db'}?mode=ro", uri=True)
        waiting = database.execute(
            "SELECT count(*) FROM outbox WHERE state = 'pending'"
        ).fetchone()[0]
        grouped = database.execute("SELECT count(*) FROM alerts WHERE incident_id = ''").fetchone()[
            0
        ]
        database.close()
        calm = calm + 1 if not waiting and not grouped else 0
        time.sleep(0.5)


def recorded(tocsin: Tocsin) -> set[str]:
    """The `instance` of every alert that belongs to an incident that has a record."""
    database = sqlite3.connect(f"file:{tocsin.data / 'tocsin.db'}?mode=ro", uri=True)
    rows = database.execute(
        "SELECT alerts.body FROM alerts JOIN incidents ON incidents.id = alerts.incident_id"
    )
    found = {json.loads(body)["alert"]["labels"]["instance"] for (body,) in rows}
    database.close()
    return found


def measure(kills: int, alerts: int) -> list[Row]:
    """Kill and count."""
    rng = random.Random(SEED)
    restarts: list[float] = []
    with tempfile.TemporaryDirectory(prefix="tocsin-crash-") as name:
        folder = Path(name)
        outside = Outside()
        configure(folder, outside)
        tocsin = Tocsin(folder)
        tocsin.start()
        storm = Storm(tocsin, alerts)
        for number in range(kills):
            time.sleep(rng.uniform(0.05, 1.6))
            tocsin.kill()
            begun = time.monotonic()
            tocsin.start()
            restarts.append(time.monotonic() - begun)
            print(f"kill {number + 1}/{kills}: {storm.accepted} accepted", flush=True)
        in_storm = not storm.done
        while not storm.done:
            time.sleep(0.1)
        settle(tocsin)
        found = recorded(tocsin)
        tocsin.stop()
        outside.shutdown()
    sent = {a["labels"]["instance"] for post in storm.posts for a in post}  # type: ignore[index]
    subject = f"{kills} kills, {alerts} alerts"
    return [
        Row("alerts_lost", subject, len(sent - found), ""),
        Row("tickets_doubled", subject, sum(len(n) - 1 for n in outside.tickets.values()), ""),
        Row("pages_doubled", subject, sum(n > 1 for n in _keys(outside).values()), ""),
        Row("page_deliveries_repeated", subject, sum(n - 1 for n in outside.pages.values()), ""),
        Row("tickets", subject, len(outside.tickets), ""),
        Row("pages", subject, len(outside.pages), ""),
        Row("kills_within_storm", subject, kills if in_storm else -1, ""),
        Row("restart_s_max", subject, max(restarts, default=0.0), "s"),
    ]


def _keys(outside: Outside) -> dict[tuple[str, str, str], int]:
    """For each page, the distinct keys it was sent under."""
    found: dict[tuple[str, str, str], set[str]] = {}
    for what, key in outside.keys:
        found.setdefault(what, set()).add(key)
    return {what: len(keys) for what, keys in found.items()}


def main() -> None:
    """Measure and tell; exit 1 if anything was lost or doubled."""
    parser = arguments("crash: kill -9 in a storm")
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--alerts", type=int, default=10_000)
    options = parser.parse_args()
    rows = measure(options.kills, options.alerts)
    tell(rows, options.json)
    if any(row.value for row in rows[:3]):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
