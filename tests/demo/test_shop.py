"""The shop without faults: what it says of itself, and that nothing of it is left behind."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil

from model.clock import ManualClock
from pipeline.demo import loopback, phrases
from pipeline.demo.blueprint import SHOP
from pipeline.demo.load import JOURNEYS, rate_at
from pipeline.demo.logfile import LogFile
from tests.demo.conftest import Probe

STARTER = """
import sys
from pathlib import Path
from model.clock import SystemClock
from pipeline.demo.shop import Shop
shop = Shop(Path(sys.argv[1]), SystemClock())
shop.start()
print(*shop.pids().values(), flush=True)
SystemClock().sleep(600)
"""


def test_every_service_serves_calls_and_writes(well: Probe) -> None:
    well.until(
        lambda: all(well.value(name, "http_requests_total", code="200") > 3 for name in SHOP),
        "every service has served",
    )
    assert well.value("checkout", "client_requests_total", peer="payment", code="200") > 0
    for name in SHOP:
        assert well.value(name, "process_cpu_seconds_total") > 0
        assert well.value(name, "http_requests_in_flight") >= 0
        line = well.log(name)[-1]
        assert {"time", "level", "service", "msg"} <= line.keys()


def test_a_trace_is_followed_from_the_gateway_to_the_leaf(well: Probe) -> None:
    def traced(name: str) -> set[object]:
        return {line.get("trace_id", "") for line in well.log(name)} - {""}

    well.until(lambda: bool(traced("payment") & traced("gateway")), "a trace in both logs")


def test_failure_counters_exist_before_the_first_failure(well: Probe) -> None:
    _, body = loopback.call(well.shop.ports["cart"], "GET", "/metrics")
    assert b'http_requests_total{code="503",route="/view"} 0.0' in body  # /view calls nobody
    assert b'client_requests_total{code="timeout",peer="inventory"}' in body
    assert b"_created" not in body


def test_open_metrics_is_served_to_who_asks(well: Probe) -> None:
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    _, body = loopback.call(well.shop.ports["cart"], "GET", "/metrics", headers=accept)
    assert body.endswith(b"# EOF\n")


def test_targets_name_every_service(well: Probe) -> None:
    labels: list[Any] = [target["labels"] for target in well.shop.targets()]
    named = [one["service"] for one in labels]
    assert named == list(SHOP)
    assert well.shop.targets()[0]["targets"] == [f"127.0.0.1:{well.shop.ports['gateway']}"]


def test_nothing_survives_a_killed_parent(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STARTER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        children = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
        assert len(children) == len(SHOP) + 1
        os.kill(parent.pid, signal.SIGKILL)
    gone, alive = psutil.wait_procs(children, timeout=240)
    assert not alive
    assert len(gone) == len(children)


def test_the_load_swings_around_its_rate() -> None:
    rates = [rate_at(second, 40) for second in range(120)]
    assert math.isclose(sum(rates) / len(rates), 40, rel_tol=0.01)
    assert (min(rates), max(rates)) == (28.0, 52.0)
    known = {route.path for route in SHOP["gateway"].routes}
    assert {step for _, steps in JOURNEYS for step in steps} == known


def test_a_full_log_file_is_rotated(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "a.log", "a", ManualClock(0), bytes_max=200)
    for number in range(7):
        log.write("INFO", f"line {number}")
    log.close()
    kept = [(tmp_path / name).read_text() for name in ("a.log.1", "a.log")]
    assert all(0 < len(text) <= 200 for text in kept)
    assert '"time":"1970-01-01T00:00:00.000Z"' in kept[0]
    assert "line 6" in kept[1]


def test_every_service_has_something_to_say() -> None:
    assert set(phrases.DONE) == set(phrases.GRUMBLES) == set(phrases.CHORES) == set(SHOP)
