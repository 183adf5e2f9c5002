"""A synthetic shop: noisy telemetry of eight services as the demo's would be, from a seed, without a process."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from detectors.engine import Engine
from detectors.settings import DetectorSettings
from model.alert import Alert
from model.batch import LogBatch, MetricBatch
from model.labels import Labels
from model.series import SeriesIndex

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, math.inf)
START_MS = 1_800_000_000_000
MIB = 2**20
CALLS = {
    "gateway": (),
    "catalog": ("gateway",),
    "cart": ("gateway",),
    "checkout": ("gateway",),
    "search": ("catalog", "gateway"),
    "inventory": ("cart", "checkout", "gateway"),
    "payment": ("checkout", "gateway"),
    "shipping": ("checkout", "gateway"),
}
"""Services with those that (transitively) wait for them."""


@dataclass
class Fault:
    kind: str  # latency, errors, cpu, leak, kill, dependency, deploy, logs
    service: str
    begin_s: int
    end_s: int


@dataclass
class Process:
    rate: float
    median_s: float
    sigma: float
    error_ratio: float
    rss: float
    saw: float
    up: bool = True
    cpu_s: float = 3.0
    counts: np.ndarray = field(default_factory=lambda: np.zeros((2, len(BOUNDS))))
    codes: np.ndarray = field(default_factory=lambda: np.zeros((2, 3)))
    spike: int = 0


class Shop:
    """One seeded run; `second()` gives the batches of the next second."""

    def __init__(self, seed: int, index: SeriesIndex, faults: tuple[Fault, ...] = ()) -> None:
        self.rng = np.random.default_rng(seed)
        self.index = index
        self.faults = faults
        self.t = 0
        rng = self.rng
        self.processes = {
            name: Process(
                rate=float(rng.uniform(3, 10)),
                median_s=float(rng.uniform(0.005, 0.05)),
                sigma=float(rng.uniform(0.3, 0.7)),
                error_ratio=float(rng.choice([0.0, 0.002, 0.01])),
                rss=float(rng.uniform(35, 70)) * MIB,
                saw=float(rng.uniform(0, 4)) * MIB,
            )
            for name in CALLS
        }
        self._rows = {name: self._intern(name) for name in CALLS}

    def _intern(self, service: str) -> list[int]:
        target = {"job": "shop", "service": service, "instance": f"{service}:80"}
        series = [{"__name__": "up"}, {"__name__": "process_cpu_seconds_total"}]
        series += [{"__name__": "process_resident_memory_bytes"}, {"__name__": "process_open_fds"}]
        series += [{"__name__": "http_requests_in_flight"}]
        for route in ("/a", "/b"):
            for code in ("200", "404", "500"):
                series.append({"__name__": "http_requests_total", "route": route, "code": code})
            for bound in BOUNDS:
                le = "+Inf" if math.isinf(bound) else str(bound)
                name = "http_request_duration_seconds_bucket"
                series.append({"__name__": name, "route": route, "le": le})
        return [self.index.intern(Labels.of({**target, **s}), source=service) for s in series]

    def active(self, service: str) -> list[str]:
        """Kinds of fault a service suffers now, as culprit ("latency") or behind one ("slow", "failing")."""
        kinds = []
        for fault in self.faults:
            if not fault.begin_s <= self.t < fault.end_s:
                continue
            if fault.service == service:
                kinds.append(fault.kind)
            elif service in CALLS[fault.service]:
                if fault.kind in ("latency", "deploy"):
                    kinds.append("slow")
                if fault.kind in ("kill", "dependency", "errors", "deploy"):
                    kinds.append("failing")
        return kinds

    def second(self) -> tuple[list[MetricBatch], LogBatch]:
        """Telemetry of one second."""
        self.t += 1
        now_ms = START_MS + self.t * 1000
        stall = 0.4 if self.rng.random() < 1 / 300 else 0.0  # the machine is busy for a moment
        batches, lines = [], []
        for name, process in self.processes.items():
            kinds = self.active(name)
            batch = self._scrape(name, process, kinds, now_ms, stall)
            lines += self._logs(name, process, kinds)
            if batch is not None:
                batches.append(batch)
        return batches, _log_batch(lines, now_ms)

    def _scrape(
        self, name: str, process: Process, kinds: list[str], now_ms: int, stall: float
    ) -> MetricBatch | None:
        rng = self.rng
        at_ms = now_ms - int(rng.integers(0, 200))
        alive = "kill" not in kinds
        if not alive:
            process.up = False
            return MetricBatch.of(
                self._rows[name][:1], at_ms, [0.0], arrival_ms=now_ms, source=name
            )
        if not process.up:  # it starts again from nothing
            process.up, process.cpu_s = True, 0.4
            process.counts[:], process.codes[:] = 0, 0
        self._serve(process, kinds, stall)
        if rng.random() < 0.004:
            return None  # a missed scrape
        up = 0.0 if rng.random() < 0.001 else 1.0  # a scrape that timed out
        if up == 0.0:
            return MetricBatch.of(
                self._rows[name][:1], at_ms, [0.0], arrival_ms=now_ms, source=name
            )
        leak = sum(
            min(self.t - f.begin_s, 50) * 4 * MIB
            for f in self.faults
            if f.kind == "leak" and f.service == name and f.begin_s <= self.t < f.end_s
        )
        rss = process.rss + process.saw * (self.t % 7) / 7 + leak
        values = [1.0, round(process.cpu_s, 2), rss // 4096 * 4096, float(rng.integers(10, 14))]
        values.append(float(rng.integers(0, 3)))
        for route in range(2):
            values += process.codes[route].tolist()
            values += process.counts[route].cumsum().tolist()
        return MetricBatch.of(self._rows[name], at_ms, values, arrival_ms=now_ms, source=name)

    def _serve(self, process: Process, kinds: list[str], stall: float) -> None:
        rng = self.rng
        rhythm = 1 + 0.3 * math.sin(2 * math.pi * self.t / 120)
        count = int(rng.poisson(process.rate * rhythm))
        process.rss = min(process.rss + abs(rng.normal(0, 8_000)), 80 * MIB)
        took = rng.lognormal(math.log(process.median_s), process.sigma, count)
        if stall:
            took += stall * rng.random(count)
        if "latency" in kinds or "slow" in kinds:
            took += 0.4
        if "deploy" in kinds:
            took += 0.25
        if "dependency" in kinds:
            took += 3.0
        if "cpu" in kinds:
            took *= 1.8
        ratio = process.error_ratio
        if {"errors", "deploy", "failing"} & set(kinds):
            ratio = 0.3
        failed = rng.random(count) < ratio
        route = rng.integers(0, 2, count)
        bucket = np.searchsorted(np.array(BOUNDS), took)
        np.add.at(process.counts, (route, bucket), 1)
        np.add.at(process.codes, (route, np.where(failed, 2, 0)), 1)
        cpu = 0.02 + 0.004 * count + abs(rng.normal(0, 0.01))
        if process.spike == 0 and rng.random() < 1 / 200:
            process.spike = int(rng.integers(1, 3))  # a collector's run, a second or two
        if process.spike:
            process.spike -= 1
            cpu += float(rng.uniform(0.2, 0.6))
        if "cpu" in kinds:
            cpu += float(rng.uniform(0.45, 0.6))
        process.cpu_s += cpu

    def _logs(
        self, name: str, process: Process, kinds: list[str]
    ) -> list[tuple[str, int, int, str]]:
        rng = self.rng
        if "kill" in kinds:
            return []
        base = 100 * list(CALLS).index(name)
        lines = [(name, base + 1, 9, "request served")] * int(rng.poisson(process.rate))
        if rng.random() < 0.02:
            lines.append((name, base + 2, 13, "slow response"))
        if rng.random() < process.error_ratio * process.rate:
            lines.append((name, base + 3, 17, "request failed: upstream reset"))
        if rng.random() < 0.0005:
            lines.append(
                (name, base + int(rng.integers(10, 50)), 17, f"odd {rng.integers(9)} once")
            )
        if "logs" in kinds:
            lines += [(name, base + 4, 17, "checksum of a segment differs")] * int(rng.poisson(4))
        if {"errors", "deploy", "failing"} & set(kinds):
            lines += [(name, base + 5, 17, "call failed")] * int(rng.poisson(process.rate * 0.3))
        return lines


def _log_batch(lines: list[tuple[str, int, int, str]], now_ms: int) -> LogBatch:
    return LogBatch(
        times_ms=np.full(len(lines), now_ms, dtype=np.int64),
        templates=np.array([n for _, n, _, _ in lines], dtype=np.int32),
        severities=np.array([s for _, _, s, _ in lines], dtype=np.int8),
        services=tuple(service for service, _, _, _ in lines),
        lines=tuple(text for _, _, _, text in lines),
        template_texts={number: text for _, number, _, text in lines},
        arrival_ms=now_ms,
        source="logs",
    )


def run(
    seed: int,
    seconds: int,
    faults: tuple[Fault, ...] = (),
    settings: DetectorSettings | None = None,
) -> list[tuple[int, Alert]]:
    """Run a shop through a fresh engine; alerts with the second they were told."""
    index = SeriesIndex()
    engine = Engine(settings or DetectorSettings(), index)
    shop = Shop(seed, index, faults)
    told: list[tuple[int, Alert]] = []
    for second in range(1, seconds + 1):
        now_ms = START_MS + second * 1000
        metrics, logs = shop.second()
        batches: list[MetricBatch | LogBatch] = [*metrics, logs]
        for batch in batches:
            told += [(second, alert) for alert in engine.take(batch, now_ms=now_ms)]
        told += [(second, alert) for alert in engine.step(now_ms)]
    return told
