"""The doors that bring alerts by themselves, on workers: a Zabbix and a site's topic become incidents, and Zabbix hears back."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

from benchmarks.brokers import Broker, Process
from pipeline import settings as reading
from pipeline.distributed import topics
from store import incidents as incident_rows
from store import tickets as ticket_rows
from store.store import Store
from tests.collectors.kafka_topics import Topic
from tests.collectors.zabbix_double import Double, serving
from tests.pipeline.distributed.test_on_a_broker import until


def test_problems_and_topics_become_incidents_and_the_ticket_is_told_back(tmp_path: Path) -> None:
    with Broker(tmp_path) as broker, serving(Double()) as zabbix:
        folder, data = tmp_path / "config", tmp_path / "data"
        folder.mkdir()
        data.mkdir()
        (folder / "token").write_text("t0ken")
        (folder / "tocsin.yaml").write_text(
            f"kafka: {{brokers: ['{broker.address}'], partitions: 2, replication: 1, session_timeout: 3s}}\n"
            f"zabbix: [{{url: {zabbix.url}, token_file: token, interval: 1s}}]\n"
            f"kafka_sources: [{{name: bus, brokers: ['{broker.address}'], topics: [site], format: alertmanager,"
            " start: earliest}]\n"
            "host: {enabled: false}\nself: {enabled: false}\nlogs: {sources: []}\n"
            "correlator: {group_wait: 1s, group_wait_critical: 1s}\n"
        )
        (folder / "catalogue.yaml").write_text("services: [{name: shop}, {name: mail}]\n")
        asyncio.run(topics.create(reading.load(folder).machine.kafka))
        labels = {"alertname": "Down", "service": "mail", "severity": "critical"}
        alert = {"version": "4", "alerts": [{"status": "firing", "labels": labels}]}
        Topic(broker.address, "site", 1).write(json.dumps(alert).encode())
        event = zabbix.fire(int(time.time()))
        words = ["worker", "--config", str(folder), "--data", str(data)]
        worker = Process(words, data, tmp_path / "worker.log")
        store = Store.open(f"sqlite:///{data / 'tocsin.db'}", now_ms=0)

        def missing() -> set[bytes]:
            with store.records.read() as conn:
                found = {one.service for one in incident_rows.recent(conn, limit=100)}
            lost = {name.encode() for name in {"shop", "mail"} - found}
            return lost if zabbix.said(event) else lost | {b"told back"}

        try:
            assert until(missing) == set(), (tmp_path / "worker.log").read_text()[-4_000:]
            with store.records.read() as conn:
                numbers = [one.number for one in ticket_rows.recent(conn, "builtin", limit=100)]
            assert any(number in zabbix.said(event)[0] for number in numbers)
        finally:
            worker.stop()
            store.close()
