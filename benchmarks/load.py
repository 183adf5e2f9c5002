"""100,000 series every 15 s on one core, with the console answering; 1,000 pushed alerts a second.

    python -m benchmarks.load [--series 100000] [--seconds 120] [--rate 1000] [--json FILE]

Tocsin is pinned to one core; targets, readers and pushers share another. Measured from outside:

- `core_share`: its CPU seconds by wall seconds, after the first two scrapes.
- `console_p99_ms`: of the incident list, an incident's API and /metrics, asked in turn ten times a second.
- `bytes_per_series`: resident memory with the series by what it was without, by series.
- `peak_rss_bytes`: VmHWM at the end.
- `alerts_per_s`: accepted pushes over the whole of the push, posts of `--batch` alerts.
- `accepted_to_incident_p99_ms`: from the 2xx of an alert to its committed record in an incident,
  seen by reading the database every 10 ms; `group_wait` is 0 here, because it is a wait by choice.
"""

from __future__ import annotations

import http.client
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks.ports import free_port
from benchmarks.process import Tocsin
from benchmarks.report import Row, arguments, tell

TARGETS = 20
SERVICES = 20


def configure(folder: Path, port: int, *, targets: int) -> None:
    """Targets every 15 s, a built-in desk, pages to the console."""
    config = folder / "config"
    config.mkdir()
    listed = "\n".join(
        f"  - {{url: 'http://127.0.0.1:{port}/t{n}', job: bench, service: s{n % SERVICES}}}"
        for n in range(targets)
    )
    (config / "tocsin.yaml").write_text(
        "host: {enabled: false}\nlogs: {sources: []}\n"
        f"scrape:\n  interval: 15s\n  series_max: 200000\n  targets:\n{listed or '    []'}\n"
        "correlator: {group_wait: 0s, group_wait_critical: 0s}\n"
    )
    services = "\n".join(f"- {{name: s{n}, tier: 2}}" for n in range(SERVICES))
    (config / "catalogue.yaml").write_text(f"services:\n{services}\n")


def status(pid: int, field: str) -> int:
    """A line of /proc/PID/status in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise KeyError(field)


def cpu_s(pid: int) -> float:
    """CPU seconds of a process, user and system."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


class Readers:
    """Somebody looks at the console, ten times a second."""

    PATHS = ("/", "/api/v1/incidents?limit=50", "/metrics", "/services")

    def __init__(self, tocsin: Tocsin) -> None:
        self.took_ms: list[float] = []
        self.failed = 0
        self._quit = threading.Event()
        self._port = tocsin.port
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        number = 0
        while not self._quit.wait(0.1):
            begun = time.perf_counter()
            try:
                connection.request("GET", self.PATHS[number % len(self.PATHS)])
                answer = connection.getresponse()
                answer.read()
                if answer.status != 200:
                    self.failed += 1
            except (OSError, http.client.HTTPException):
                self.failed += 1
                connection.close()
            self.took_ms.append((time.perf_counter() - begun) * 1000)
            number += 1

    def stop(self) -> None:
        """Enough."""
        self._quit.set()
        self._thread.join()


class Pushers:
    """Pushes alerts at a rate, and notes when each was accepted."""

    def __init__(self, tocsin: Tocsin, *, rate: int, batch: int, seconds: int) -> None:
        self.tocsin = tocsin
        self.accepted: dict[str, float] = {}
        self.refused = 0
        self._lock = threading.Lock()
        self._batch = batch
        threads = min(16, max(1, rate // batch // 10))
        per_thread = rate * seconds // batch // threads
        gap_s = threads * batch / rate
        self.begun = time.time()
        self.threads = [
            threading.Thread(target=self._push, args=(n, per_thread, gap_s), daemon=True)
            for n in range(threads)
        ]
        for thread in self.threads:
            thread.start()

    def _push(self, worker: int, posts: int, gap_s: float) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.tocsin.port, timeout=10)
        due = (
            time.monotonic() + gap_s * worker / len(self.threads) if hasattr(self, "threads") else 0
        )
        for post in range(posts):
            due = max(due + gap_s, time.monotonic() - 1.0)
            time.sleep(max(0.0, due - time.monotonic()))
            names = [f"{worker}.{post}.{n}" for n in range(self._batch)]
            body = json.dumps([self._alert(name, i) for i, name in enumerate(names)])
            try:
                connection.request(
                    "POST", "/api/v2/alerts", body, {"Content-Type": "application/json"}
                )
                answer = connection.getresponse()
                answer.read()
                good = 200 <= answer.status < 300
            except (OSError, http.client.HTTPException):
                connection.close()
                good = False
            at = time.time()
            with self._lock:
                if good:
                    self.accepted.update(dict.fromkeys(names, at))
                else:
                    self.refused += len(names)

    def _alert(self, name: str, number: int) -> dict[str, object]:
        return {
            "labels": {
                "alertname": "PoolSmall",
                "service": f"s{number % SERVICES}",
                "instance": name,
                "severity": "warning",
            },
            "startsAt": datetime.now(UTC).isoformat(),
        }

    def join(self) -> float:
        """Wait for the end; returns how long it took, seconds."""
        for thread in self.threads:
            thread.join()
        return time.time() - self.begun


class Watcher:
    """Sees alerts appear in incidents, by reading the database as anyone could."""

    def __init__(self, database: Path) -> None:
        self.seen: dict[str, float] = {}
        self._quit = threading.Event()
        self._path = database
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        database = sqlite3.connect(f"file:{self._path}?mode=ro", uri=True, check_same_thread=False)
        last = 0
        while not self._quit.wait(0.01):
            rows = database.execute(
                "SELECT rowid, body FROM alerts WHERE rowid > ? AND incident_id != '' ORDER BY rowid",
                (last,),
            ).fetchall()
            at = time.time()
            for rowid, body in rows:
                last = max(last, rowid)
                self.seen.setdefault(json.loads(body)["alert"]["labels"].get("instance", ""), at)
        database.close()

    def stop(self) -> None:
        """Enough."""
        self._quit.set()
        self._thread.join()


def measure(options: object) -> list[Row]:
    """Load, look, push."""
    series, seconds = options.series, options.seconds  # type: ignore[attr-defined]
    cores = sorted(os.sched_getaffinity(0))
    ours, theirs = cores[0], cores[-1]
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="tocsin-load-") as name:
        port = free_port()
        os.sched_setaffinity(0, {theirs})
        exporter = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "benchmarks.exporter",
                str(port),
                str(TARGETS),
                str(series // TARGETS),
            ]
        )
        try:
            empty = Path(name) / "empty"
            empty.mkdir()
            configure(empty, port, targets=0)
            idle = Tocsin(empty, cpu=ours)
            idle.start()
            time.sleep(5)
            idle_bytes = status(idle.process.pid, "VmRSS")  # type: ignore[union-attr]
            idle.stop()
            full = Path(name) / "full"
            full.mkdir()
            configure(full, port, targets=TARGETS)
            tocsin = Tocsin(full, cpu=ours)
            tocsin.start()
            rows += _scraping(tocsin, series, seconds, idle_bytes)
            rows += _pushing(tocsin, options)
            tocsin.stop()
        finally:
            exporter.kill()
            exporter.wait()
    return rows


def _scraping(tocsin: Tocsin, series: int, seconds: int, idle_bytes: int) -> list[Row]:
    pid = tocsin.process.pid  # type: ignore[union-attr]
    time.sleep(45)  # every series seen, the layouts known
    readers = Readers(tocsin)
    cpu, begun = cpu_s(pid), time.monotonic()
    time.sleep(seconds)
    share = (cpu_s(pid) - cpu) / (time.monotonic() - begun)
    readers.stop()
    text = _text(tocsin, "/metrics")
    known = float(next(x for x in text.splitlines() if x.startswith("tocsin_series ")).split()[1])
    longest = float(
        next(x for x in text.splitlines() if x.startswith("tocsin_step_seconds_max ")).split()[1]
    )
    rss = status(pid, "VmRSS")
    subject = f"{series} series every 15 s, one core"
    return [
        Row("series", subject, known, ""),
        Row("core_share", subject, share, ""),
        Row("step_s_max", subject, longest, "s"),
        Row("console_p50_ms", subject, float(np.percentile(readers.took_ms, 50)), "ms"),
        Row("console_p99_ms", subject, float(np.percentile(readers.took_ms, 99)), "ms"),
        Row("console_failed", subject, readers.failed, ""),
        Row("bytes_per_series", subject, (rss - idle_bytes) / series, "B"),
        Row("peak_rss_bytes", subject, status(pid, "VmHWM"), "B"),
    ]


def _pushing(tocsin: Tocsin, options: object) -> list[Row]:
    rate, batch, seconds = options.rate, options.batch, options.push_seconds  # type: ignore[attr-defined]
    watcher = Watcher(tocsin.data / "tocsin.db")
    readers = Readers(tocsin)
    pushers = Pushers(tocsin, rate=rate, batch=batch, seconds=seconds)
    took = pushers.join()
    time.sleep(5)
    watcher.stop()
    readers.stop()
    waits = [
        max(0.0, watcher.seen[n] - at) * 1000
        for n, at in pushers.accepted.items()
        if n in watcher.seen
    ]
    subject = f"{rate} alerts/s in posts of {batch}, scraping meanwhile"
    return [
        Row("alerts_per_s", subject, len(pushers.accepted) / took, "1/s"),
        Row("alerts_refused", subject, pushers.refused, ""),
        Row("alerts_unseen", subject, len(pushers.accepted) - len(waits), ""),
        Row("accepted_to_incident_p50_ms", subject, float(np.percentile(waits, 50)), "ms"),
        Row("accepted_to_incident_p99_ms", subject, float(np.percentile(waits, 99)), "ms"),
        Row("console_pushing_p99_ms", subject, float(np.percentile(readers.took_ms, 99)), "ms"),
    ]


def _text(tocsin: Tocsin, path: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", tocsin.port, timeout=30)
    connection.request("GET", path)
    return connection.getresponse().read().decode()


def main() -> None:
    """Measure and tell."""
    parser = arguments("load: series, console and alerts on one core")
    parser.add_argument("--series", type=int, default=100_000)
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--rate", type=int, default=1_000)
    parser.add_argument("--batch", type=int, default=10)
    parser.add_argument("--push-seconds", type=int, default=30)
    options = parser.parse_args()
    tell(measure(options), options.json)


if __name__ == "__main__":
    main()
