"""A real Prometheus that takes Tocsin for its Alertmanager, and a real exporter that Tocsin scrapes."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

# With importlib's import mode a conftest cannot be imported by name: its helpers come as fixtures.
pytestmark = pytest.mark.integration

CONFIG = """\
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [rules.yml]
alerting:
  alertmanagers:
    - static_configs: [{{targets: ["{address}"]}}]
"""
RULES = """\
groups:
  - name: test
    rules:
      - alert: QueueFull
        expr: vector({value}) > 0
        labels: {{service: mail, severity: critical}}
        annotations: {{summary: "mail's queue is full"}}
"""
SCRAPING = """\
scrape:
  interval: 1s
  targets:
    - {{url: "http://127.0.0.1:{port}/metrics", job: node, service: machine}}
"""


def test_its_alert_becomes_an_incident_with_a_ticket_and_resolves(tocsin: Any, servers: Any, tmp_path: Path) -> None:  # fmt: skip
    rules = tmp_path / "rules.yml"
    rules.write_text(RULES.format(value=1))
    (tmp_path / "prometheus.yml").write_text(CONFIG.format(address=tocsin.address))
    command = [
        servers.program("prometheus"),
        f"--config.file={tmp_path / 'prometheus.yml'}",
        f"--storage.tsdb.path={tmp_path / 'tsdb'}",
        # Its first alert is lost: it finds its Alertmanagers later than its rules.
        "--rules.alert.resend-delay=1s",
        f"--web.listen-address=127.0.0.1:{servers.free_port()}",
    ]
    with servers.running(command, tmp_path / "prometheus.log") as process:
        incident = tocsin.incident("mail")
        assert incident["alert_count"] == 1
        assert tocsin.ticket(incident["id"])["state"] == "open"
        rules.write_text(RULES.format(value=0))
        process.send_signal(signal.SIGHUP)
        assert tocsin.incident("mail", "resolved")["id"] == incident["id"]


def test_a_node_exporter_is_scraped_and_missed_when_it_is_gone(servers: Any, tmp_path: Path) -> None:  # fmt: skip
    port = servers.free_port()
    settings = servers.settings + SCRAPING.format(port=port)
    command = [
        servers.program("prometheus-node-exporter"),
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with servers.tocsin_in(tmp_path / "tocsin", settings) as tocsin:

        def counted(name: str) -> float:
            return float(dict(tocsin.get("/api/v1/health")["counters"])[name])

        with servers.running(command, tmp_path / "node_exporter.log"):
            servers.wait_for(lambda: counted("tocsin_scrape_samples_total") > 1_000, "samples")
        incident = tocsin.incident("machine")
        (status,) = tocsin.get(f"/api/v1/incidents/{incident['id']}")["alerts"]
        assert status["alert"]["labels"]["alertname"] == "ServiceDown"
        with servers.running(command, tmp_path / "node_exporter.log"):
            assert tocsin.incident("machine", "resolved")["id"] == incident["id"]
