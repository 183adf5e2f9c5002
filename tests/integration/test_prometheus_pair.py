"""A highly available pair of Prometheus: both say the same, one is killed and comes back, then it is over."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.integration.test_prometheus import RULES

pytestmark = pytest.mark.integration

CONFIG = """\
global:
  scrape_interval: 1s
  evaluation_interval: 1s
  external_labels: {{cluster: eu, replica: "{name}"}}
rule_files: [{rules}]
alerting:
  # What tells the replicas apart is taken off, or each would have an alert of its own.
  alert_relabel_configs: [{{regex: replica, action: labeldrop}}]
  alertmanagers:
    - static_configs: [{{targets: ["{address}"]}}]
"""


def a_prometheus(
    servers: Any, folder: Path, name: str, address: str, rules: Path
) -> tuple[list[str], str]:
    """Its command, with its own configuration and data, and where it listens."""
    own_address = f"127.0.0.1:{servers.free_port()}"
    own = folder / name
    own.mkdir()
    (own / "prometheus.yml").write_text(CONFIG.format(name=name, rules=rules, address=address))
    command = [
        servers.program("prometheus"),
        f"--config.file={own / 'prometheus.yml'}",
        f"--storage.tsdb.path={own / 'tsdb'}",
        # An alert that is not repeated for four times as long is over: long enough for a busy machine.
        "--rules.alert.resend-delay=5s",
        f"--web.listen-address={own_address}",
    ]
    return command, own_address


SENT = re.compile(r"^prometheus_notifications_sent_total{.*} [1-9]", re.MULTILINE)


def sends(servers: Any, address: str) -> None:
    """Wait until it has handed on an alert: it finds its Alertmanagers some time after its rules."""

    def sent() -> bool:
        return bool(SENT.search(requests.get(f"http://{address}/metrics", timeout=60).text))

    servers.wait_for(sent, f"{address} to send")


@pytest.fixture
def tocsin(servers: Any, tmp_path: Path) -> Iterator[Any]:
    """One that waits until both have said that it is over: they read their rules one after the other."""
    settings = servers.settings.replace("resolve_window: 2s", "resolve_window: 15s")
    with servers.tocsin_in(tmp_path / "tocsin", settings) as started:
        yield started


def test_a_pair_makes_one_incident_and_a_restart_changes_nothing(tocsin: Any, servers: Any, tmp_path: Path) -> None:  # fmt: skip
    rules = tmp_path / "rules.yml"
    rules.write_text(RULES.format(value=1))
    a, a_address = a_prometheus(servers, tmp_path, "a", tocsin.address, rules)
    b, b_address = a_prometheus(servers, tmp_path, "b", tocsin.address, rules)
    with ExitStack() as stack:
        first = stack.enter_context(servers.running(a, tmp_path / "a.log"))
        incident = tocsin.incident("mail")
        (before,) = tocsin.get("/api/v2/alerts")
        assert before["labels"] == {"alertname": "QueueFull", "cluster": "eu", "service": "mail", "severity": "critical"}  # fmt: skip
        second = stack.enter_context(servers.running(b, tmp_path / "b.log"))
        sends(servers, b_address)
        first.kill()
        first.wait()
        again = stack.enter_context(servers.running(a, tmp_path / "a-again.log"))
        sends(servers, a_address)

        def repeated() -> bool:
            (now,) = tocsin.get("/api/v2/alerts")
            # The start is that of the first sight, whatever a restarted Prometheus says.
            assert now["startsAt"] == before["startsAt"]
            return bool(now["updatedAt"] > before["updatedAt"])

        servers.wait_for(repeated, "a repeat")
        rules.write_text(RULES.format(value=0))
        for process in (second, again):
            process.send_signal(1)  # SIGHUP: it reads its rules again
        ended = tocsin.incident("mail", "resolved")
        assert (ended["id"], ended["alert_count"], ended["reopened"]) == (incident["id"], 1, 0)
        assert len(tocsin.get("/api/v1/tickets")["tickets"]) == 1


def test_amtool_sees_groups_and_what_a_silence_hides(tocsin: Any, servers: Any) -> None:
    tocsin.push(
        {"labels": {"alertname": "QueueFull", "service": "mail", "queue": "in"}},
        {"labels": {"alertname": "QueueFull", "service": "mail", "queue": "out"}},
    )
    tocsin.incident("mail")

    def amtool(*words: str) -> Any:
        command = [servers.program("amtool"), f"--alertmanager.url={tocsin.url}", "-o", "json"]
        done = subprocess.run([*command, *words], capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if "query" in words else None

    groups = tocsin.get("/api/v2/alerts/groups")
    assert [len(group["alerts"]) for group in groups] == [2]
    words = (
        "silence",
        "add",
        "queue=~o.t",
        "--duration=1h",
        "--comment=known",
        "--author=ann",
    )
    amtool(*words)
    servers.wait_for(lambda: len(amtool("alert", "query")) == 1, "one alert to be hidden")
    assert len(amtool("alert", "query", "--silenced", "--active")) == 2
    (listed,) = amtool("silence", "query")
    amtool("silence", "update", "--duration=2h", "--comment=longer", listed["id"])
    (updated,) = amtool("silence", "query")
    assert updated["comment"] == "longer" and updated["endsAt"] > listed["endsAt"]
