"""Each fault, switched on in a real shop, shows in the culprit's own telemetry; off, it is gone."""

from __future__ import annotations

import pytest

from model.change import Change
from model.errors import TransientError
from pipeline.demo import faults, loopback
from pipeline.demo.faults import FAULTS, Fault
from pipeline.demo.mischief import Order
from tests.demo.conftest import PATIENCE_S, Probe

BY_NAME = {fault.name: fault for fault in FAULTS}
SERVED = "http_request_duration_seconds"


def begin(well: Probe, name: str) -> tuple[Fault, list[Change]]:
    announced: list[Change] = []
    faults.begin(BY_NAME[name], well.shop, announced.append, well.clock.now_ms())
    return BY_NAME[name], announced


def end(well: Probe, fault: Fault, announced: list[Change]) -> None:
    faults.end(fault, well.shop, announced.append, well.clock.now_ms())


def test_latency_is_seen_at_the_culprit_and_at_its_caller(well: Probe) -> None:
    fault, announced = begin(well, "latency")
    well.until(lambda: well.mean_s("search", SERVED, 1.0) > 0.3, "search is slow")
    called = "client_request_duration_seconds"
    well.until(lambda: well.mean_s("catalog", called, 1.0) > 0.3, "its caller waits")
    end(well, fault, announced)
    well.until(lambda: well.mean_s("search", SERVED, 1.0) < 0.1, "search is quick again")


def test_errors_are_counted_logged_and_passed_on(well: Probe) -> None:
    def failed(seconds: float) -> float:
        return well.rate("catalog", "http_requests_total", seconds, code="500")

    fault, announced = begin(well, "errors")
    well.until(lambda: failed(1.0) > 1, "catalog fails")
    end(well, fault, announced)
    assert any("unhandled error" in str(line["msg"]) for line in well.log("catalog"))
    said = "catalog answered 500"
    well.until(lambda: any(said in str(x["msg"]) for x in well.log("gateway")), "gateway notes it")
    well.until(lambda: failed(1.0) == 0, "catalog is well again")


def test_cpu_is_burned_by_the_culprit_s_own_process(well: Probe) -> None:
    def used() -> float:
        return well.rate("checkout", "process_cpu_seconds_total", 1.0)

    quiet = min(used() for _ in range(3))
    fault, announced = begin(well, "cpu")
    # A busy machine gives a hot loop less than it wants, but far more than the service needs.
    well.until(lambda: used() > 3 * quiet + 0.05, "checkout burns")
    end(well, fault, announced)
    well.until(lambda: used() < 2 * quiet + 0.05, "checkout is cool again")


def test_leaked_memory_is_resident_and_given_back(well: Probe) -> None:
    before = well.value("cart", "process_resident_memory_bytes")

    def grown() -> float:
        return well.value("cart", "process_resident_memory_bytes") - before

    fault, announced = begin(well, "leak")
    well.until(lambda: grown() > 8 * 2**20, "cart has grown")
    end(well, fault, announced)
    well.until(lambda: grown() < 4 * 2**20, "cart has given it back")


def test_a_leak_is_bounded(well: Probe) -> None:
    before = well.value("cart", "process_resident_memory_bytes")

    def grown() -> float:
        return well.value("cart", "process_resident_memory_bytes") - before

    well.shop.order("cart", (Order("leak", (("mib_per_s", 16.0), ("mib_max", 8.0))),))
    well.until(lambda: grown() > 6 * 2**20, "cart has grown")
    well.clock.sleep(1.0)
    assert grown() < 10 * 2**20


def test_a_killed_process_stays_away_until_it_is_revived(well: Probe) -> None:
    def refused() -> float:
        return well.rate("cart", "client_requests_total", 1.0, peer="inventory", code="refused")

    pid = well.shop.pids()["inventory"]
    fault, announced = begin(well, "kill")
    with pytest.raises(TransientError):
        for _ in range(600):
            loopback.call(well.shop.ports["inventory"], "GET", "/metrics")
            well.clock.sleep(0.1)
    well.until(lambda: refused() > 0.5, "cart is refused")
    assert "inventory" not in well.shop.pids()
    end(well, fault, announced)
    well.shop.wait_ready("inventory", timeout_s=PATIENCE_S)
    assert well.shop.pids()["inventory"] != pid
    assert well.value("inventory", "process_resident_memory_bytes") > 0
    well.until(lambda: refused() == 0, "cart is served again")


def test_a_deploy_is_announced_rolled_out_and_rolled_back(well: Probe) -> None:
    fault, announced = begin(well, "deploy")
    assert well.value("payment", "build_info", version="2.15.0") == 1
    failed = "http_requests_total"
    well.until(lambda: well.rate("payment", failed, 1.0, code="500") > 0.3, "payment fails")
    well.until(lambda: well.mean_s("payment", SERVED, 1.0) > 0.15, "payment is slow")
    end(well, fault, announced)
    assert [(c.service, c.kind, c.version) for c in announced] == [
        ("payment", "deploy", "2.15.0"),
        ("payment", "rollback", "2.14.0"),
    ]
    assert announced[0].id != announced[1].id
    assert well.value("payment", "build_info", version="2.15.0") == 0
    assert well.value("payment", "build_info", version="2.14.0") == 1


def test_a_slow_dependency_makes_its_callers_fail(well: Probe) -> None:
    def timed_out() -> float:
        return well.rate("checkout", "client_requests_total", 1.0, peer="shipping", code="timeout")

    fault, announced = begin(well, "dependency")
    well.until(lambda: timed_out() > 1, "checkout gives up waiting")
    well.until(lambda: well.mean_s("shipping", SERVED, 1.0) > 2, "shipping answers late")
    assert well.value("shipping", "http_requests_total", code="503") == 0  # it thinks it is fine
    end(well, fault, announced)
    blamed = "call to shipping /quote timed out after 800 ms"
    assert any(line["msg"] == blamed for line in well.log("checkout"))


def test_a_log_only_failure_moves_no_metric(well: Probe) -> None:
    before = well.mean_s("search", SERVED, 1.0)

    def errors() -> list[str]:
        return [str(line["msg"]) for line in well.log("search") if line["level"] == "ERROR"]

    known = len(errors())
    fault, announced = begin(well, "logs")
    well.until(lambda: len(errors()) >= known + 5, "search complains")
    well.until(
        lambda: well.mean_s("search", SERVED, 1.0) < 3 * before, "search is as quick as ever"
    )
    end(well, fault, announced)
    assert any("checksum mismatch" in line for line in errors())
    assert well.value("search", "http_requests_total", code="500") == 0


@pytest.mark.parametrize(
    "body, wanted",
    [
        (b"{", "unexpected"),
        (b'{"kind": "earthquake"}', "kind: must be one of latency"),
        (b'{"kind": "latency"}', "ms: must be a number from 0 to 10000"),
        # More than the machine may be made to give.
        (b'{"kind": "leak", "mib_per_s": 4, "mib_max": 4000}', "mib_max: must be a number"),
        (b"7", "an order must be a JSON object"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused(well: Probe, body: bytes, wanted: str) -> None:
    headers = {"X-Demo-Fault": "1"}
    port = well.shop.ports["search"]
    status, answer = loopback.call(port, "POST", "/admin/fault", body=body, headers=headers)
    assert status == 400
    assert wanted in answer.decode()


def test_a_browser_cannot_give_orders(well: Probe) -> None:
    """Without the header, which no page may set across origins, nothing happens."""
    body = b'{"kind": "latency", "ms": 900}'
    status, _ = loopback.call(well.shop.ports["search"], "POST", "/admin/fault", body=body)
    assert status == 400
    well.until(lambda: well.mean_s("search", SERVED, 1.0) < 0.7, "search is as quick as ever")


def test_choose_refuses_what_it_does_not_know() -> None:
    assert faults.choose("all") == FAULTS
    assert [fault.name for fault in faults.choose("cpu, kill")] == ["cpu", "kill"]
    with pytest.raises(ValueError, match="unknown fault 'flood'; choose from all, latency"):
        faults.choose("flood")
