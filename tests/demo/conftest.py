"""A real shop, shared by the tests of this folder, and a probe that scrapes it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from model.clock import SystemClock
from pipeline.demo import loopback
from pipeline.demo.shop import Shop

PATIENCE_S = 240.0
"""Only a failure waits this long: the machine may be busy."""


@dataclass(frozen=True)
class Probe:
    """Looks at a running shop from outside: its expositions and its log files."""

    shop: Shop
    clock: SystemClock

    def value(self, service: str, name: str, **labels: str) -> float:
        """The sum of a metric's samples that carry these labels."""
        _, body = loopback.call(self.shop.ports[service], "GET", "/metrics", timeout_s=PATIENCE_S)
        return sum(
            sample.value
            for family in text_string_to_metric_families(body.decode())
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def mean_s(self, service: str, metric: str, seconds: float) -> float:
        """Mean of a histogram over the next seconds, and until something was observed."""
        before = after = self._totals(service, metric)
        until_s = self.clock.monotonic_s() + PATIENCE_S
        while after[1] == before[1]:
            assert self.clock.monotonic_s() < until_s, f"{service} observes no {metric}"
            self.clock.sleep(seconds)
            after = self._totals(service, metric)
        return (after[0] - before[0]) / (after[1] - before[1])

    def _totals(self, service: str, metric: str) -> tuple[float, float]:
        return self.value(service, f"{metric}_sum"), self.value(service, f"{metric}_count")

    def rate(self, service: str, name: str, seconds: float, **labels: str) -> float:
        """Increase per second over the next seconds."""
        before, began_s = self.value(service, name, **labels), self.clock.monotonic_s()
        self.clock.sleep(seconds)
        passed_s = self.clock.monotonic_s() - began_s
        return (self.value(service, name, **labels) - before) / passed_s

    def log(self, service: str) -> list[dict[str, object]]:
        """The lines of a service's log so far."""
        text = (self.shop.logs / f"{service}.log").read_text()
        return [json.loads(line) for line in text.splitlines()]

    def until(self, true: Callable[[], bool], what: str) -> None:
        """Wait until something is true, and fail if it does not become so."""
        until_s = self.clock.monotonic_s() + PATIENCE_S
        while not true():
            assert self.clock.monotonic_s() < until_s, f"not in {PATIENCE_S:g} s: {what}"
            self.clock.sleep(0.1)


@pytest.fixture(scope="session")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Probe]:
    clock = SystemClock()
    folder: Path = tmp_path_factory.mktemp("shop")
    with Shop(folder, clock, rate=60.0) as shop:
        shop.start(timeout_s=PATIENCE_S)
        yield Probe(shop, clock)


@pytest.fixture
def well(probe: Probe) -> Iterator[Probe]:
    """The probe of a shop without faults, and without faults again after the test."""
    yield probe
    for name in probe.shop.ports:
        probe.shop.revive(name)
        probe.shop.wait_ready(name, timeout_s=PATIENCE_S)
        probe.shop.order(name, ())
