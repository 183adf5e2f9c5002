"""A real Prometheus that takes Tocsin for its Alertmanager."""

from __future__ import annotations

import signal
from pathlib import Path

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


def test_its_alert_becomes_an_incident_with_a_ticket_and_resolves(tocsin, servers, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]  # fmt: skip
    prometheus = servers.program("prometheus")
    rules = tmp_path / "rules.yml"
    rules.write_text(RULES.format(value=1))
    (tmp_path / "prometheus.yml").write_text(CONFIG.format(address=tocsin.address))
    command = [
        prometheus,
        f"--config.file={tmp_path / 'prometheus.yml'}",
        f"--storage.tsdb.path={tmp_path / 'tsdb'}",
        # Its first alert is lost: it finds its Alertmanagers later than its rules.
        "--rules.alert.resend-delay=1s",
        f"--web.listen-address=127.0.0.1:{servers.free_port()}",
    ]

    def incidents(state: str) -> list[dict[str, object]]:
        found = tocsin.get("/api/v1/incidents", state=state)["incidents"]
        return [incident for incident in found if incident["service"] == "mail"]

    with servers.running(command, tmp_path / "prometheus.log") as process:
        (incident,) = servers.wait_for(lambda: incidents("open"), "an incident")
        assert incident["alert_count"] == 1

        def tickets() -> list[dict[str, object]]:
            return list(tocsin.get("/api/v1/tickets")["tickets"])

        (ticket,) = servers.wait_for(tickets, "a ticket")
        assert ticket["key"] == incident["id"]
        rules.write_text(RULES.format(value=0))
        process.send_signal(signal.SIGHUP)
        (resolved,) = servers.wait_for(lambda: incidents("resolved"), "its end")
        assert resolved["id"] == incident["id"]
