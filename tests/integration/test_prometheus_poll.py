"""A real Prometheus that scrapes for us, and is missed when it is gone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.integration

CONFIG = """\
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: prometheus
    static_configs: [{{targets: ["{address}"]}}]
"""
POLLING = """\
prometheus_api:
  - {{url: "http://{address}", name: eyes, interval: 1s, selectors: ['{{job="prometheus"}}'], labels: {{service: metrics}}}}
"""


def test_what_it_scrapes_is_followed_and_its_end_is_told(servers: Any, tmp_path: Path) -> None:
    address = f"127.0.0.1:{servers.free_port()}"
    (tmp_path / "prometheus.yml").write_text(CONFIG.format(address=address))
    command = [
        servers.program("prometheus"),
        f"--config.file={tmp_path / 'prometheus.yml'}",
        f"--storage.tsdb.path={tmp_path / 'tsdb'}",
        f"--web.listen-address={address}",
    ]
    settings = servers.settings + POLLING.format(address=address)
    with servers.tocsin_in(tmp_path / "tocsin", settings) as tocsin:

        def counted(name: str) -> float:
            return float(dict(tocsin.get("/api/v1/health")["counters"])[name])

        with servers.running(command, tmp_path / "prometheus.log"):
            servers.wait_for(lambda: counted("tocsin_poll_samples_total") > 5_000, "samples")
            assert counted("tocsin_poll_series") > 100
            begun = counted("tocsin_poll_rounds_total")
            servers.wait_for(lambda: counted("tocsin_poll_rounds_total") > begun + 5, "rounds")
            assert counted("tocsin_samples_late_total") == 0
        incident = tocsin.incident("eyes")
        (status,) = tocsin.get(f"/api/v1/incidents/{incident['id']}")["alerts"]
        assert status["alert"]["labels"]["alertname"] == "ServiceDown"
