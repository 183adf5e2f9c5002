"""Each fault, switched on in a real shop, shows in the culprit's own telemetry; off, it is gone."""

from __future__ import annotations

import pytest

from model.change import Change
from model.errors import TransientError
from pipeline.demo import faults, loopback
from pipeline.demo.faults import FAULTS, Fault
from pipeline.demo.mischief import Order

BY_NAME = {fault.name: fault for fault in FAULTS}
SERVED = "http_request_duration_seconds"


def begin(well, name) -> tuple[Fault, list[Change]]:
    announced: list[Change] = []
    faults.begin(BY_NAME[name], well.shop, announced.append, well.clock.now_ms())
    return BY_NAME[name], announced


def end(well, fault, announced) -> None:
    faults.end(fault, well.shop, announced.append, well.clock.now_ms())


def test_latency_is_seen_at_the_culprit_and_at_its_caller(well):
    fault, announced = begin(well, "latency")
    assert 0.3 < well.mean_s("search", SERVED, 1.5) < 0.6
    assert well.mean_s("catalog", "client_request_duration_seconds", 1.0) > 0.3
    end(well, fault, announced)
    well.clock.sleep(0.6)  # for what was under way
    assert well.mean_s("search", SERVED, 1.0) < 0.1


def test_errors_are_counted_logged_and_passed_on(well):
    fault, announced = begin(well, "errors")
    served = well.rate("catalog", "http_requests_total", 2.0, code="500")
    assert served > 1
    end(well, fault, announced)
    assert any("unhandled error" in str(line["msg"]) for line in well.log("catalog"))
    assert any("catalog answered 500" in str(line["msg"]) for line in well.log("gateway"))
    well.clock.sleep(0.3)
    assert well.rate("catalog", "http_requests_total", 1.0, code="500") == 0


def test_cpu_is_burned_by_the_culprit_s_own_process(well):
    fault, announced = begin(well, "cpu")
    assert well.rate("checkout", "process_cpu_seconds_total", 2.0) > 0.3
    end(well, fault, announced)
    well.clock.sleep(0.3)
    assert well.rate("checkout", "process_cpu_seconds_total", 1.5) < 0.15


def test_leaked_memory_is_resident_and_given_back(well):
    before = well.value("cart", "process_resident_memory_bytes")
    fault, announced = begin(well, "leak")
    well.clock.sleep(2.0)
    assert well.value("cart", "process_resident_memory_bytes") - before > 8 * 2**20
    end(well, fault, announced)
    well.clock.sleep(0.3)
    assert well.value("cart", "process_resident_memory_bytes") - before < 4 * 2**20


def test_a_leak_is_bounded(well):
    before = well.value("cart", "process_resident_memory_bytes")
    well.shop.order("cart", (Order("leak", (("mib_per_s", 16.0), ("mib_max", 8.0))),))
    well.clock.sleep(1.5)
    assert well.value("cart", "process_resident_memory_bytes") - before < 10 * 2**20


def test_a_killed_process_stays_away_until_it_is_revived(well):
    pid = well.shop.pids()["inventory"]
    fault, announced = begin(well, "kill")
    with pytest.raises(TransientError):
        for _ in range(20):
            loopback.call(well.shop.ports["inventory"], "GET", "/metrics")
            well.clock.sleep(0.1)
    assert well.rate("cart", "client_requests_total", 1.5, peer="inventory", code="refused") > 0.5
    assert "inventory" not in well.shop.pids()
    end(well, fault, announced)
    well.shop.wait_ready("inventory")
    assert well.shop.pids()["inventory"] != pid
    assert well.value("inventory", "process_resident_memory_bytes") > 0
    well.clock.sleep(0.5)
    assert well.rate("cart", "client_requests_total", 1.0, peer="inventory", code="refused") == 0


def test_a_deploy_is_announced_rolled_out_and_rolled_back(well):
    fault, announced = begin(well, "deploy")
    assert well.value("payment", "build_info", version="2.15.0") == 1
    assert well.rate("payment", "http_requests_total", 2.5, code="500") > 0.3
    assert well.mean_s("payment", SERVED, 1.0) > 0.15
    end(well, fault, announced)
    assert [(c.service, c.kind, c.version) for c in announced] == [
        ("payment", "deploy", "2.15.0"),
        ("payment", "rollback", "2.14.0"),
    ]
    assert announced[0].id != announced[1].id
    assert well.value("payment", "build_info", version="2.15.0") == 0
    assert well.value("payment", "build_info", version="2.14.0") == 1


def test_a_slow_dependency_makes_its_callers_fail(well):
    fault, announced = begin(well, "dependency")
    well.clock.sleep(3.2)
    assert well.rate("checkout", "client_requests_total", 1.5, peer="shipping", code="timeout") > 1
    assert well.mean_s("shipping", SERVED, 1.0) > 2
    assert well.value("shipping", "http_requests_total", code="503") == 0  # it thinks it is fine
    end(well, fault, announced)
    blamed = "call to shipping /quote timed out after 800 ms"
    assert any(line["msg"] == blamed for line in well.log("checkout"))


def test_a_log_only_failure_moves_no_metric(well):
    before = well.mean_s("search", SERVED, 1.0)
    fault, announced = begin(well, "logs")
    during = well.mean_s("search", SERVED, 2.0)
    end(well, fault, announced)
    errors = [line for line in well.log("search") if line["level"] == "ERROR"]
    assert len(errors) >= 5
    assert any("checksum mismatch" in str(line["msg"]) for line in errors)
    assert during < 3 * before
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
def test_an_order_that_makes_no_sense_is_refused(well, body, wanted):
    headers = {"X-Demo-Fault": "1"}
    port = well.shop.ports["search"]
    status, answer = loopback.call(port, "POST", "/admin/fault", body=body, headers=headers)
    assert status == 400
    assert wanted in answer.decode()


def test_a_browser_cannot_give_orders(well):
    """Without the header, which no page may set across origins, nothing happens."""
    body = b'{"kind": "latency", "ms": 900}'
    status, _ = loopback.call(well.shop.ports["search"], "POST", "/admin/fault", body=body)
    assert status == 400
    assert well.mean_s("search", SERVED, 1.0) < 0.2


def test_choose_refuses_what_it_does_not_know():
    assert faults.choose("all") == FAULTS
    assert [fault.name for fault in faults.choose("cpu, kill")] == ["cpu", "kill"]
    with pytest.raises(ValueError, match="unknown fault 'flood'; choose from all, latency"):
        faults.choose("flood")
