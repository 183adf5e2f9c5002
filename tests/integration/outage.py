"""Ten minutes without a broker, beside the other tests: begun first, looked at last.

Two things go on while nothing else is there but PostgreSQL: workers in the middle of a recorded storm, and a console
with workers in the present that take pushes.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import requests

from benchmarks.brokers import Cluster, Process, finish
from benchmarks.ports import free_port
from pipeline import settings as reading
from pipeline.distributed import topics
from store import alerts as alert_rows
from store import incidents as incident_rows
from store.store import Store
from tests.integration.kafka_server import KafkaServer
from tests.integration.postgres_server import postgres
from tests.pipeline.distributed.conftest import PARTITIONS, WORLD, Storm

WITHOUT_S = float(os.environ.get("TOCSIN_OUTAGE_S", "600"))
"""Shorter only while one works on this test."""
PATIENCE_S = 600.0
"""Only a failure waits so long."""
LIVE = """\
kafka: {{brokers: ['{broker}'], partitions: 2, domains: {domains}, replication: 1, session_timeout: 6s, prefix: live{domains}}}
console: {{listen: '{listen}'}}
correlator: {{group_wait: 1s, separate_domains: {apart}}}
host: {{enabled: false}}
logs: {{sources: []}}
store: {{url: '{records}'}}
"""


@dataclass
class Seen:
    """What came of it."""

    storm_differs: set[bytes] = field(default_factory=set)
    without_s: float = 0.0
    pushed_before: int = 0
    pushed_without: list[int] = field(default_factory=list)
    pushed_after: int = 0
    told: set[str] = field(default_factory=set)
    incidents: int = 0
    cpu_s: dict[str, float] = field(default_factory=dict)
    all_running: bool = False
    error: BaseException | None = None


class Live:
    """A console and two workers in the present; as many of them decide as there are `domains`."""

    def __init__(
        self, folder: Path, broker: KafkaServer, records: str, *, domains: int = 1
    ) -> None:
        config = folder / "config"
        config.mkdir(parents=True)
        self.address = f"127.0.0.1:{free_port()}"
        text = LIVE.format(
            broker=broker.address,
            listen=self.address,
            records=records,
            domains=domains,
            apart=str(domains > 1).lower(),
        )
        (config / "tocsin.yaml").write_text(text)
        (config / "catalogue.yaml").write_text(
            "services: [{name: pg}, {name: web}, {name: mail}]\n"
        )
        finish(topics.create(reading.load(config).machine.kafka))
        self.records = records
        self.processes: dict[str, Process] = {}
        for name in ("console", "worker1", "worker2"):
            data = folder / name
            data.mkdir()
            words = [name.rstrip("12"), "--config", str(config), "--data", str(data)]
            self.processes[name] = Process(words, data, folder / f"{name}.log")

    def push(self, service: str) -> int:
        """An alert by Alertmanager's API; the status, 0 where nobody answers."""
        labels = {"alertname": "Down", "service": service, "severity": "critical"}
        body = [{"labels": labels, "startsAt": datetime.now(UTC).isoformat()}]
        try:
            url = f"http://{self.address}/api/v2/alerts"
            return requests.post(url, json=body, timeout=120).status_code
        except requests.RequestException:
            return 0

    def log(self, name: str) -> str:
        """What one of them has said so far."""
        return self.processes[name].log.read_text()

    def told(self) -> set[str]:
        """Everything that is known to have fired: its name and service."""
        store = Store.open(self.records, now_ms=0)
        with store.records.read() as conn:
            found = alert_rows.recent(conn, limit=10_000)
        store.close()
        return {f"{one.alert.name} {one.alert.service}" for one in found}

    def close(self) -> None:
        """End all."""
        for one in self.processes.values():
            one.stop()


class Experiment(threading.Thread):
    """The whole of it, in a thread; `Seen` is complete once it has ended."""

    def __init__(self, folder: Path, storm: Storm) -> None:
        super().__init__(name="outage", daemon=True)
        self.seen = Seen()
        self._folder = folder
        self._storm = storm
        self._ending = threading.Event()

    def end(self) -> None:
        """Nobody wants to know any more."""
        self._ending.set()
        self.join()

    def run(self) -> None:
        """Begin, take the broker away, bring it back, look."""
        try:
            with ExitStack() as undo:
                self._run(undo)
        except BaseException as error:  # shown by the test that looks
            self.seen.error = error

    def _run(self, undo: ExitStack) -> None:
        seen, messages = self.seen, self._storm.messages
        server = undo.enter_context(postgres())
        broker = KafkaServer(self._folder)
        undo.callback(broker.close)
        records = server.database("storm")
        cluster = Cluster(self._folder, broker, WORLD, partitions=PARTITIONS, records=records)
        undo.callback(cluster.close)
        live = Live(self._folder / "live", broker, server.database("live"))
        undo.callback(live.close)
        workers = [cluster.worker("detect,correlate") for _ in range(2)]
        half = len(messages) // 2
        cluster.send(messages[:half])
        self._until(lambda: bool(cluster.outcome()), "something to be decided")
        self._until(lambda: live.push("pg") == 200, "a push to be taken")
        self._until(lambda: live.told() == {"Down pg"}, "it to be told")
        seen.pushed_before = 200
        everybody = {**live.processes, "storm1": workers[0], "storm2": workers[1]}
        begun = {name: one.cpu_s for name, one in everybody.items()}
        broker.kill()
        for _ in range(3):
            self._ending.wait(WITHOUT_S / 3)
            seen.pushed_without.append(live.push("web"))
            seen.without_s += WITHOUT_S / 3
        seen.cpu_s = {name: one.cpu_s - begun[name] for name, one in everybody.items()}
        seen.all_running = all(one.running for one in everybody.values())
        broker.start()
        cluster.send(messages[half:])
        self._until(lambda: live.push("mail") == 200, "a push to be taken again")
        seen.pushed_after = 200
        self._until(lambda: "Down mail" in live.told(), "it to be told")
        expected = set(self._storm.expected)
        self._until(lambda: set(cluster.outcome()) == expected, "the storm's outcome", must=False)
        seen.storm_differs = expected ^ set(cluster.outcome())
        seen.told = live.told()
        store = Store.open(live.records, now_ms=0)
        with store.records.read() as conn:
            seen.incidents = len(incident_rows.recent(conn, limit=100))
        store.close()

    def _until(self, ask: Callable[[], bool], what: str, *, must: bool = True) -> None:
        waited_s = 0.0
        while not ask():
            if self._ending.wait(1.0) or waited_s > PATIENCE_S:
                assert not must, f"waited {waited_s:.0f} s for {what}"
                return
            waited_s += 1.0
