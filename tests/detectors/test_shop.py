"""Every demo fault is noticed in a noisy shop without a threshold, and a quiet shop is quiet.

More seeds and longer runs: `python tests/detectors/measure.py`, numbers in docs/detection.md.
"""

from __future__ import annotations

import pytest

from tests.detectors.synthetic_shop import Fault, run

BEGIN_S, END_S, SECONDS = 75, 110, 150
FAULTS = [
    ("latency", "search", {"LatencyHigh"}),
    ("errors", "catalog", {"ErrorRatioHigh"}),
    ("cpu", "checkout", {"CpuHigh"}),
    ("leak", "cart", {"MemoryGrowing"}),
    ("kill", "inventory", {"ServiceDown"}),
    ("dependency", "shipping", {"LatencyHigh"}),
    ("deploy", "payment", {"ErrorRatioHigh", "LatencyHigh"}),
    ("logs", "search", {"NewErrorTemplate", "LogErrorBurst"}),
]


@pytest.mark.parametrize("kind, service, names", FAULTS)
def test_a_fault_is_told_and_ends(kind: str, service: str, names: set[str]) -> None:
    told = run(11, SECONDS, (Fault(kind, service, BEGIN_S, END_S),))
    fired = {a.name: at for at, a in reversed(told) if a.service == service and a.firing}
    assert names <= fired.keys()
    assert min(fired[name] for name in names) <= BEGIN_S + 12
    # What fired is about the fault: nothing before it, nobody but the service and its callers.
    assert min(at for at, _ in told) > BEGIN_S
    assert {a.service for _, a in told} <= {service, "gateway", "catalog", "cart", "checkout"}
    # And all of it ends, under the key it began with.
    keys = {a.key for _, a in told}
    over = {a.key: at for at, a in told if not a.firing}
    assert over.keys() == keys
    assert max(over.values()) <= END_S + 20


@pytest.mark.parametrize("seed", [100, 101])
def test_a_quiet_shop_is_quiet(seed: int) -> None:
    assert [(at, a.name, a.service) for at, a in run(seed, 420)] == []
