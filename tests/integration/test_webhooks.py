"""Senders of PagerDuty's events against Tocsin: a real Alertmanager that takes it for PagerDuty."""

from __future__ import annotations

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
    pagerduty_configs:
      - url: {url}/v2/enqueue
        routing_key: 0123456789abcdef0123456789abcdef
        severity: '{{{{ .CommonLabels.severity }}}}'
        class: '{{{{ .CommonLabels.alertname }}}}'
        details: {{service: '{{{{ .CommonLabels.service }}}}'}}
"""


def test_an_alertmanager_takes_it_for_pagerduty(tocsin: Any, servers: Any, tmp_path: Path) -> None:
    (tmp_path / "alertmanager.yml").write_text(CONFIG.format(url=tocsin.url))
    port = servers.free_port()
    command = [
        servers.program("prometheus-alertmanager"),
        f"--config.file={tmp_path / 'alertmanager.yml'}",
        f"--storage.path={tmp_path / 'alertmanager'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    url = f"http://127.0.0.1:{port}"
    labels = {"alertname": "DiskFull", "service": "mail", "severity": "critical"}
    with servers.running(command, tmp_path / "alertmanager.log"):
        servers.wait_for(lambda: requests.get(f"{url}/-/ready", timeout=60).ok, "Alertmanager")
        requests.post(f"{url}/api/v2/alerts", json=[{"labels": labels}], timeout=60)
        incident = tocsin.incident("mail")
        (alert,) = tocsin.get("/api/v2/alerts")
        assert alert["labels"]["alertname"] == "DiskFull"
        over = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
        ended = [{"labels": labels, "startsAt": "2020-01-01T00:00:00Z", "endsAt": over}]
        requests.post(f"{url}/api/v2/alerts", json=ended, timeout=60)
        assert tocsin.incident("mail", "resolved")["id"] == incident["id"]
