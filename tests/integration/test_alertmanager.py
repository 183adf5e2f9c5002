"""A real Alertmanager before Tocsin, and its tool against Tocsin."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

pytestmark = pytest.mark.integration

CONFIG = """\
route: {{receiver: tocsin, group_wait: 1s, group_interval: 1s, repeat_interval: 1h}}
receivers:
  - name: tocsin
    webhook_configs:
      - url: {url}/api/v1/webhook/alertmanager
        send_resolved: true
        http_config: {{authorization: {{credentials: {token}}}}}
"""


class Amtool:
    """`amtool` pointed at a server."""

    def __init__(self, servers: Any, url: str) -> None:
        self.command = [servers.program("amtool"), f"--alertmanager.url={url}"]

    def __call__(self, *words: str) -> str:
        """What it printed."""
        done = subprocess.run([*self.command, *words], capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def json(self, *words: str) -> Any:
        """What it printed as JSON."""
        return json.loads(self("--output=json", *words))


def test_amtool_lists_alerts_and_adds_lists_and_expires_a_silence(tocsin: Any, servers: Any) -> None:  # fmt: skip
    amtool = Amtool(servers, tocsin.url)
    amtool("alert", "add", "DiskFull", "service=mail", "--annotation=summary=no room")
    tocsin.incident("mail")
    (alert,) = amtool.json("alert", "query", "service=mail")
    assert alert["labels"]["alertname"] == "DiskFull"
    assert alert["annotations"]["summary"] == "no room"
    assert amtool.json("alert", "query", "service=other") == []

    silence = amtool("silence", "add", "service=mail", "--duration=1h", "--comment=moving it")
    (listed,) = amtool.json("silence", "query")
    assert (listed["id"], listed["status"]["state"]) == (silence, "active")

    def shown(*flags: str) -> list[Any]:
        return list(amtool.json("alert", "query", *flags))

    # As with an Alertmanager, the query leaves out what is silenced.
    servers.wait_for(lambda: not shown(), "the alert to be silenced")
    assert shown("--silenced")[0]["status"]["silencedBy"] == [silence]

    amtool("silence", "expire", silence)
    assert amtool.json("silence", "query") == []
    servers.wait_for(shown, "the alert to be heard again")


def test_an_alertmanager_hands_on_what_fires_and_what_resolves(tocsin: Any, servers: Any, tmp_path: Path) -> None:  # fmt: skip
    token = tocsin.post("/api/v1/tokens", {"name": "alertmanager", "role": "responder"})["token"]
    config = tmp_path / "alertmanager.yml"
    config.write_text(CONFIG.format(url=tocsin.url, token=token))
    port = servers.free_port()
    command = [
        servers.program("prometheus-alertmanager"),
        f"--config.file={config}",
        f"--storage.path={tmp_path / 'alertmanager'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    url = f"http://127.0.0.1:{port}"
    known = type(tocsin)(tocsin.address, tocsin.folder, token)
    with servers.running(command, tmp_path / "alertmanager.log"):
        ready = f"{url}/-/ready"
        servers.wait_for(lambda: requests.get(ready, timeout=60).ok, "alertmanager to be ready")
        amtool = Amtool(servers, url)
        began = datetime.now(UTC) - timedelta(seconds=60)
        words = ["alert", "add", "DiskFull", "service=mail", "severity=critical"]
        amtool(*words, f"--start={began.isoformat()}")
        incident = known.incident("mail")
        assert (incident["severity"], incident["alert_count"]) == ("critical", 1)
        amtool(*words, f"--start={began.isoformat()}", f"--end={datetime.now(UTC).isoformat()}")
        assert known.incident("mail", "resolved")["id"] == incident["id"]


def test_a01_without_the_token_nothing_is_stored(tocsin: Any) -> None:
    token = tocsin.post("/api/v1/tokens", {"name": "alertmanager", "role": "responder"})["token"]
    body = [{"labels": {"alertname": "Forged", "service": "mail"}}]
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {token}"}):
        refused = requests.post(f"{tocsin.url}/api/v2/alerts", json=body, headers=headers, timeout=60)  # fmt: skip
        assert refused.status_code == 401
    known = type(tocsin)(tocsin.address, tocsin.folder, token)
    known.push({"labels": {"alertname": "Genuine", "service": "web"}})
    known.incident("web")
    assert [alert["labels"]["alertname"] for alert in known.get("/api/v2/alerts")] == ["Genuine"]
