"""A real Prometheus with a past, a target that is slow when Tocsin first sees it, and nobody to have told it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests

from benchmarks.brokers import Broker, Process, finish
from benchmarks.ports import free_port
from pipeline import settings as reading
from pipeline.distributed import topics
from tests.collectors.http_double import Answer, answering
from tests.integration.conftest import Tocsin, wait_for

pytestmark = pytest.mark.integration

BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
BUCKET = "http_request_duration_seconds_bucket"
LABELS = 'job="shop",instance="shop:80"'
SETTINGS = """\
scrape:
  interval: 1s
  targets:
    - {{url: "http://127.0.0.1:{port}/metrics", job: shop, instance: "shop:80", service: checkout}}
{more}"""
BACKFILL = 'backfill: {{url: "{url}", days: 1}}\n'
WRITING = """\
global: {{scrape_interval: 1s, external_labels: {{site: paris}}}}
scrape_configs:
  - job_name: shop
    static_configs: [{{targets: ["127.0.0.1:{port}"], labels: {{instance: "shop:80"}}}}]
remote_write:
  - url: http://{address}/api/v1/write
    queue_config: {{batch_send_deadline: 1s, max_backoff: 1s, max_samples_per_send: 5}}
"""


class Shop:
    """Counts requests: forty a second, of 30 ms in the middle, or of `median_s`."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(1)
        self.counts = np.zeros(len(BOUNDS) + 1)

    def serve(self, seconds: float, median_s: float = 0.03) -> None:
        served = self.rng.poisson(40 * seconds)
        shares = 1.0 / (1.0 + (median_s / np.array(BOUNDS)) ** 3.0)
        within = np.sort(self.rng.binomial(served, shares))
        self.counts += np.append(within, served)

    def lines(self, more: str = "", at: str = "") -> Iterator[str]:
        for bound, count in zip([*map(str, BOUNDS), "+Inf"], self.counts.tolist(), strict=True):
            yield f'{BUCKET}{{{more}le="{bound}"}} {count:.0f}{at}\n'
        yield f'http_requests_total{{{more}code="200"}} {self.counts[-1]:.0f}{at}\n'


@pytest.fixture
def past(servers: Any, tmp_path: Path) -> Iterator[tuple[str, Shop]]:
    """A Prometheus with twelve hours of the shop, and the shop as it was left."""
    shop, now_s = Shop(), int(time.time())
    times = [*range(now_s - 43_200, now_s - 1_800, 60), *range(now_s - 1_800, now_s - 2)]
    written, last_s = [], times[0] - 60
    for time_s in times:
        shop.serve(time_s - last_s)
        last_s = time_s
        written.append(list(shop.lines(f'{LABELS},cluster="east",', f" {time_s}")))
    openmetrics = tmp_path / "past.om"
    with openmetrics.open("w") as file:  # one series after the other, as the format wants it
        for series in zip(*written, strict=True):
            file.writelines(series)
        file.write("# EOF\n")
    tsdb = tmp_path / "tsdb"
    promtool = servers.program("promtool")
    subprocess.run(
        [promtool, "tsdb", "create-blocks-from", "openmetrics", str(openmetrics), str(tsdb)],
        check=True,
        capture_output=True,
    )
    (tmp_path / "prometheus.yml").write_text("global: {scrape_interval: 15s}\n")
    address = f"127.0.0.1:{servers.free_port()}"
    command = [
        servers.program("prometheus"),
        f"--config.file={tmp_path / 'prometheus.yml'}",
        f"--storage.tsdb.path={tsdb}",
        f"--web.listen-address={address}",
        "--web.enable-lifecycle",
    ]
    with servers.running(command, tmp_path / "prometheus.log"):
        servers.wait_for(
            lambda: requests.get(f"http://{address}/-/ready", timeout=60).ok, "Prometheus"
        )
        yield f"http://{address}", shop


@pytest.fixture
def slow(past: tuple[str, Shop]) -> Iterator[int]:
    """The port of the shop, whose requests take fifteen times as long as ever before."""
    _, shop = past
    last_s = [time.monotonic()]

    def ask(method: str, path: str, asked: bytes, headers: dict[str, str]) -> Answer:
        now_s = time.monotonic()
        shop.serve(now_s - last_s[0], median_s=0.45)
        last_s[0] = now_s
        body = "# TYPE http_request_duration_seconds histogram\n" + "".join(shop.lines())
        return 200, body.encode(), {"Content-Type": "text/plain; version=0.0.4"}

    with answering(ask) as address:
        yield int(address.rpartition(":")[2])


def slowness(tocsin: Tocsin, service: str) -> list[dict[str, Any]]:
    """The alerts about latency in a service's incident."""
    incident = tocsin.incident(service)
    alerts = tocsin.get(f"/api/v1/incidents/{incident['id']}")["alerts"]
    return [a["alert"] for a in alerts if a["alert"]["labels"]["alertname"] == "LatencyHigh"]


def is_told_slow(tocsin: Tocsin, service: str) -> None:
    """With the band of how fast it always was."""
    # On a busy machine a scrape that came to nothing may have opened the incident.
    (alert,) = wait_for(lambda: slowness(tocsin, service), f"{service} to be told slow")
    band = alert["evidence"]
    assert 0.05 < band["high"] < 0.4 < band["value"]


def test_who_was_always_fast_is_found_slow_at_once(past: Any, slow: int, servers: Any, tmp_path: Path) -> None:  # fmt: skip
    url, _ = past
    settings = servers.settings + SETTINGS.format(port=slow, more=BACKFILL.format(url=url))
    with servers.tocsin_in(tmp_path / "tocsin", settings) as tocsin:
        is_told_slow(tocsin, "checkout")

        def counted(name: str) -> float:
            return float(dict(tocsin.get("/api/v1/health")["counters"])[f"tocsin_backfill_{name}"])

        assert counted("series_total") == len(BOUNDS) + 2
        assert counted("failures_total") == 0
        # The incident may come of the first of the samples that waited.
        servers.wait_for(lambda: counted("held_samples") == 0, "the held samples to be judged")


def test_what_that_prometheus_writes_itself_learns_from_its_past(past: Any, slow: int, servers: Any, tmp_path: Path) -> None:  # fmt: skip
    url, _ = past
    address = f"127.0.0.1:{servers.free_port()}"
    settings = servers.settings + BACKFILL.format(url=url)
    with servers.tocsin_in(tmp_path / "tocsin", settings, address=address) as tocsin:
        # Only now does it scrape the shop, and write what it scrapes, few samples at a time.
        (tmp_path / "prometheus.yml").write_text(WRITING.format(port=slow, address=address))
        requests.post(f"{url}/-/reload", timeout=60).raise_for_status()
        is_told_slow(tocsin, "shop")
        counters = dict(tocsin.get("/api/v1/health")["counters"])
        assert counters["tocsin_backfill_series_total"] == len(BOUNDS) + 2
        assert counters["tocsin_backfill_unmatched_total"] == 0


def test_a_cold_start_does_not_know_better(slow: int, servers: Any, tmp_path: Path) -> None:
    settings = servers.settings + SETTINGS.format(port=slow, more="")
    with servers.tocsin_in(tmp_path / "tocsin", settings) as tocsin:

        def samples() -> float:
            return float(dict(tocsin.get("/api/v1/health")["counters"])["tocsin_scrapes_total"])

        servers.wait_for(lambda: samples() > 40, "samples")
        told = {alert["labels"]["alertname"] for alert in tocsin.get("/api/v2/alerts")}
        assert told <= {"ServiceDown"}  # what a scrape that came to nothing says, on a busy machine


def test_workers_learn_from_the_past_as_well(past: Any, slow: int, servers: Any, tmp_path: Path) -> None:  # fmt: skip
    """One scrapes and asks the Prometheus, whoever has the partition learns, a console shows what came of it."""
    url, _ = past
    config, data = tmp_path / "config", tmp_path / "data"
    for folder in (config, data):
        folder.mkdir()
    with Broker(tmp_path) as broker:
        address = f"127.0.0.1:{free_port()}"
        more = BACKFILL.format(url=url) + f"console: {{listen: '{address}'}}\n"
        kafka = f"kafka: {{brokers: ['{broker.address}'], partitions: 2, replication: 1, session_timeout: 3s}}\n"
        text = servers.settings + SETTINGS.format(port=slow, more=more) + kafka
        (config / "tocsin.yaml").write_text(text)
        finish(topics.create(reading.load(config).machine.kafka))
        words = ["--config", str(config), "--data", str(data)]
        processes = [
            Process([command, *words], data, tmp_path / f"{command}.log")
            for command in ("console", "worker")
        ]
        tocsin = Tocsin(address, tmp_path)
        try:
            servers.wait_for(lambda: tocsin.get("/api/v1/incidents") is not None, "the console")
            is_told_slow(tocsin, "checkout")
        finally:
            for one in processes:
                one.stop()
