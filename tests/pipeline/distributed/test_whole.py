"""A console and two workers with every stage, as people run them: a push becomes one incident and one ticket."""

from __future__ import annotations

import asyncio
import json
import socket
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks.brokers import Broker, Process, received
from benchmarks.ports import free_port
from pipeline import settings as reading
from pipeline.distributed import topics
from pipeline.distributed.wire import Lines, read
from store import incidents as incident_rows
from store import tickets as ticket_rows
from store.store import Store
from tests.incident_bridge.bulk_double import Double, serving
from tests.pipeline.distributed.test_on_a_broker import until

PUSHES = 20


@pytest.fixture
def config(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    broker = Broker(tmp_path)
    port = free_port()
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "tocsin.yaml").write_text(
        f"kafka: {{brokers: ['{broker.address}'], partitions: 2, replication: 1, session_timeout: 3s}}\n"
        f"console: {{listen: '127.0.0.1:{port}'}}\ncorrelator: {{group_wait: 1s}}\n"
        "host: {enabled: false}\nself: {enabled: true}\nlogs: {sources: []}\n"
    )
    (folder / "catalogue.yaml").write_text("services: [{name: pg}]\n")
    asyncio.run(topics.create(reading.load(folder).machine.kafka))
    yield folder, port
    broker.close()


def push(port: int) -> bool:
    """Twenty alerts of one service, by Alertmanager's API; whether they were accepted."""
    now = datetime.now(UTC).isoformat()
    body = [
        {"labels": {"alertname": "Down", "service": "pg", "instance": f"i{n}", "severity": "critical"},
         "startsAt": now}
        for n in range(PUSHES)
    ]  # fmt: skip
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/v2/alerts",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=15) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def test_f16_two_workers_make_one_ticket_of_what_is_pushed(
    config: tuple[Path, int], tmp_path: Path
) -> None:
    folder, port = config
    data = tmp_path / "data"
    data.mkdir()
    words = ["--config", str(folder), "--data", str(data)]
    console = Process(["console", *words], data, tmp_path / "console.log")
    workers = [Process(["worker", *words], data, tmp_path / f"worker{n}.log") for n in range(2)]
    try:
        assert until(lambda: set() if push(port) else {b"not accepted"}) == set()
        store = Store.open(f"sqlite:///{data / 'tocsin.db'}", now_ms=0)

        def missing() -> set[bytes]:
            with store.records.read() as conn:
                incidents = incident_rows.recent(conn, limit=100)
                tickets = ticket_rows.recent(conn, "builtin", limit=100)
            counted = sum(incident.alert_count for incident in incidents)
            return set() if counted >= PUSHES and tickets else {b"no ticket yet"}

        assert until(missing) == set()
        with store.records.read() as conn:
            incidents = incident_rows.recent(conn, limit=100)
            assert [(one.alert_count) for one in incidents] == [PUSHES]
            assert len(ticket_rows.recent(conn, "builtin", limit=100)) == 1
        store.close()
    finally:
        for one in (console, *workers):
            one.stop()
    performing = [(tmp_path / f"worker{n}.log").read_text().count("performs now") for n in range(2)]
    assert performing[0] + performing[1] >= 1


def test_syslog_and_history_into_an_elasticsearch_with_workers(
    config: tuple[Path, int], tmp_path: Path
) -> None:
    folder, port = config
    data = tmp_path / "data"
    data.mkdir()
    words = ["--config", str(folder), "--data", str(data)]
    listens = free_port()
    with serving(Double()) as double:
        with (folder / "tocsin.yaml").open("a") as file:
            file.write(
                f"syslog: {{listeners: [{{protocol: udp, listen: '127.0.0.1:{listens}'}}]}}\n"
                f"elasticsearch_sink: {{url: '{double.url}', interval: 1s, logs: all}}\n"
            )
        console = Process(["console", *words], data, tmp_path / "console.log")
        worker = Process(["worker", *words], data, tmp_path / "worker.log")
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

        def no_line() -> set[bytes]:
            now = datetime.now(UTC).isoformat(timespec="seconds")
            said = f"<131>1 {now} db1 postgres 7 - - password=hunter2 refused"
            sender.sendto(said.encode(), ("127.0.0.1", listens))
            return set() if double.of("tocsin.log") else {b"no line yet"}

        try:
            assert until(lambda: set() if push(port) else {b"not accepted"}) == set()
            assert until(no_line) == set()
            opened = lambda: any(  # noqa: E731
                one["event"]["action"] == "incident-opened" for one in double.of("tocsin.incident")
            )
            assert until(lambda: set() if opened() else {b"no incident yet"}) == set()
            told = lambda: len(double.of("tocsin.alert")) >= PUSHES  # noqa: E731
            assert until(lambda: set() if told() else {b"not all alerts yet"}) == set()
        finally:
            sender.close()
            for one in (console, worker):
                one.stop()
        line = double.of("tocsin.log")[0]
        assert line["service"]["name"] == "postgres" and line["log"]["level"] == "error"
        assert "refused" in line["message"] and "hunter2" not in line["message"]
        assert len(double.of("tocsin.alert")) == PUSHES


def test_a_console_that_is_told_to_end_sends_what_it_has_accepted(
    config: tuple[Path, int], tmp_path: Path
) -> None:
    """Its sender was told 2xx; and a SIGTERM that ends uvicorn must not end the process before that."""
    folder, port = config
    data = tmp_path / "data"
    data.mkdir()
    with (folder / "tocsin.yaml").open("a") as file:
        file.write("pipeline: {tick: 1m}\n")  # little is sent by itself after the first turn
    words = ["console", "--config", str(folder), "--data", str(data)]
    console = Process(words, data, tmp_path / "console.log")
    kafka = reading.load(folder).machine.kafka
    try:
        assert until(lambda: set() if push(port) else {b"not accepted"}) == set()
        assert until(lambda: set() if asyncio.run(received(kafka, kafka.telemetry)) else {b"no tick"}) == set()  # fmt: skip
        assert export(port, "the last words")
        assert console.stop() == 0
    finally:
        console.stop()
    lines = [one for data in asyncio.run(received(kafka, kafka.telemetry)) if isinstance(one := read(data), Lines)]  # fmt: skip
    assert [one.lines for one in lines] == [("the last words",)]


def export(port: int, text: str) -> bool:
    """A log line by OTLP; whether it was accepted."""
    record = {
        "timeUnixNano": str(time.time_ns()),
        "severityNumber": 17,
        "body": {"stringValue": text},
    }
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "pg"}}]}
    body = {"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": [record]}]}]}
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/logs",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return bool(answer.status == 200)
