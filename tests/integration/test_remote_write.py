"""A real Prometheus that remote-writes to Tocsin (1.0), and senders of 2.0: no target is scraped by us."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import cramjam
import pytest
import requests

from collectors.remote_messages import Request2

pytestmark = pytest.mark.integration

CONFIG = """\
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: machine
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
  - job_name: prometheus
    static_configs: [{{targets: ["{own}"]}}]
remote_write:
  - url: http://{address}/api/v1/write
    queue_config: {{batch_send_deadline: 1s, max_backoff: 1s}}
    metadata_config: {{send_interval: 1s}}
"""
SECOND = "application/x-protobuf;proto=io.prometheus.write.v2.Request"


@contextmanager
def writing(servers: Any, folder: Path, address: str, port: int) -> Iterator[None]:
    """A Prometheus that scrapes an exporter at `port` and itself, and remote-writes."""
    own = f"127.0.0.1:{servers.free_port()}"
    (folder / "prometheus.yml").write_text(CONFIG.format(port=port, own=own, address=address))
    command = [
        servers.program("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address={own}",
    ]
    with servers.running(command, folder / "prometheus.log"):
        yield


def exporter(servers: Any, port: int) -> list[str]:
    """How the exporter is started."""
    return [servers.program("prometheus-node-exporter"), f"--web.listen-address=127.0.0.1:{port}"]


def counted(tocsin: Any, name: str) -> float:
    """A counter, from Tocsin's own metrics."""
    text = requests.get(f"{tocsin.url}/metrics", timeout=60).text
    lines = [line for line in text.splitlines() if line.startswith(name + " ")]
    return float(lines[0].split()[1]) if lines else 0.0


def test_an_exporter_that_stops_is_told_of_by_remote_write_alone(tocsin: Any, servers: Any, tmp_path: Path) -> None:  # fmt: skip
    port = servers.free_port()
    with writing(servers, tmp_path, tocsin.address, port):
        with servers.running(exporter(servers, port), tmp_path / "node_exporter.log"):
            servers.wait_for(
                lambda: counted(tocsin, "tocsin_pushed_samples_total") > 5_000, "samples"
            )
        incident = tocsin.incident("machine")
        (status,) = tocsin.get(f"/api/v1/incidents/{incident['id']}")["alerts"]
        assert status["alert"]["labels"]["alertname"] == "ServiceDown"
        assert status["alert"]["labels"]["instance"] == f"127.0.0.1:{port}"
        with servers.running(exporter(servers, port), tmp_path / "node_exporter.log"):
            assert tocsin.incident("machine", "resolved")["id"] == incident["id"]
    assert counted(tocsin, "tocsin_intake_malformed_total") == 0
    assert counted(tocsin, "tocsin_remote_write_invalid_samples_total") == 0
    assert len(tocsin.get("/api/v1/incidents")["incidents"]) == 1, "nothing else was told"


def test_what_waited_in_its_log_while_we_were_away_is_caught_up_with(servers: Any, tmp_path: Path) -> None:  # fmt: skip
    port, address = servers.free_port(), f"127.0.0.1:{servers.free_port()}"
    folder = tmp_path / "tocsin"
    with (
        servers.running(exporter(servers, port), tmp_path / "node_exporter.log") as process,
        writing(servers, tmp_path, address, port),
    ):
        with servers.tocsin_in(folder, address=address) as tocsin:
            servers.wait_for(
                lambda: counted(tocsin, "tocsin_pushed_samples_total") > 5_000, "samples"
            )
        time.sleep(15)  # it goes on scraping: this is what it has to send us later
        with servers.tocsin_in(folder, address=address) as tocsin:
            # Two targets of some hundreds of samples, fifteen seconds long.
            servers.wait_for(
                lambda: counted(tocsin, "tocsin_pushed_samples_total") > 15_000, "what waited"
            )
            assert counted(tocsin, "tocsin_samples_late_total") == 0
            assert tocsin.get("/api/v1/incidents")["incidents"] == [], "a pause of ours is no fault"
            process.terminate()
            assert tocsin.incident("machine")["alert_count"] == 1


def second(many: dict[str, list[int]]) -> bytes:
    """A 2.0 request: `up` of some jobs at some times."""
    request = Request2(symbols=[b"", b"__name__", b"up", b"job"])
    for job, times_ms in many.items():
        request.symbols.append(job.encode())
        series = request.timeseries.add(labels_refs=[1, 2, 3, len(request.symbols) - 1])
        series.metadata.type = 2
        for time_ms in times_ms:
            series.samples.add(value=1.0, timestamp=time_ms)
    return bytes(cramjam.snappy.compress_raw(request.SerializeToString()))


def test_a_sender_of_two_that_falls_silent_is_missed(servers: Any, tmp_path: Path) -> None:
    settings = servers.settings + "detectors: {silent_after: 5s}\n"
    with servers.tocsin_in(tmp_path / "tocsin", settings) as tocsin:

        def write(many: dict[str, list[int]]) -> requests.Response:
            return requests.post(
                f"{tocsin.url}/api/v1/write",
                data=second(many),
                headers={"content-type": SECOND, "content-encoding": "snappy"},
                timeout=60,
            )

        now_ms = int(time.time() * 1000)
        before = [now_ms - 1_000 * n for n in range(30, 0, -1)]
        answer = write({"mail": before, "web": before})
        assert answer.status_code == 204, answer.text
        assert answer.headers["X-Prometheus-Remote-Write-Samples-Written"] == "60"

        def silent() -> list[Any]:
            assert write({"web": [int(time.time() * 1000)]}).status_code == 204
            found: list[Any] = tocsin.incidents("mail", "open")
            return found

        (incident,) = servers.wait_for(silent, "mail to be missed")
        (status,) = tocsin.get(f"/api/v1/incidents/{incident['id']}")["alerts"]
        assert status["alert"]["labels"]["alertname"] == "MetricAbsent"
        assert tocsin.incidents("web", "open") == []


def test_one_that_stops_is_missed_and_not_each_service_it_spoke_of(servers: Any, tmp_path: Path) -> None:  # fmt: skip
    folder = tmp_path / "tocsin"
    settings = servers.settings + (
        "detectors: {silent_after: 20s}\npushes: {senders: {silent_after: 10s, steady_after: 5s}}\n"
    )
    (folder / "config").mkdir(parents=True)
    (folder / "config" / "tocsin.yaml").write_text(settings)
    tokens = {name: made_token(folder, name) for name in ("paris", "london")}
    with servers.tocsin_in(folder, settings) as started:
        tocsin = replace(started, token=tokens["london"])

        def write(sender: str, jobs: list[str], times_ms: list[int]) -> None:
            answer = requests.post(
                f"{tocsin.url}/api/v1/write",
                data=second(dict.fromkeys(jobs, times_ms)),
                headers={
                    "authorization": f"Bearer {tokens[sender]}",
                    "content-type": SECOND,
                    "content-encoding": "snappy",
                },
                timeout=60,
            )
            assert answer.status_code == 204, answer.text

        many = [f"s{number}" for number in range(10)]
        now_ms = int(time.time() * 1000)
        before = [now_ms - 1_000 * n for n in range(30, 0, -1)]
        write("paris", many, before)
        write("london", ["web"], before)
        begun_s = last_s = time.monotonic()
        while last_s - begun_s < 8:
            now_ms = int(time.time() * 1000)
            write("paris", many, [now_ms])
            write("london", ["web"], [now_ms])
            time.sleep(0.5)
            before_s, last_s = last_s, time.monotonic()
            if last_s - before_s > 4:  # this machine stood still: neither was steady
                begun_s = last_s

        def missed() -> list[Any]:  # paris has stopped, london goes on
            write("london", ["web"], [int(time.time() * 1000)])
            time.sleep(0.5)
            found: list[Any] = tocsin.incidents("paris", "open")
            return found

        (incident,) = servers.wait_for(missed, "paris to be missed")
        assert incident["alert_count"] == 1
        assert [one["service"] for one in tocsin.get("/api/v1/incidents")["incidents"]] == ["paris"]


def made_token(folder: Path, name: str) -> str:
    """A token by the command that people use."""
    command = [sys.executable, "-m", "pipeline", "tokens", "add", name, "--role", "responder"]
    command += ["--config", str(folder / "config"), "--data", str(folder / "data")]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return max(said.split(), key=len)
