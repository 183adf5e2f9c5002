"""Telemetry made up from a seed: services with a rhythm, and a few faults whose time and place are known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model.batch import Floats
from model.catalogue import Catalogue, Service
from model.change import Change
from model.labels import Labels
from model.series import SeriesIndex
from pipeline.recording import LogLine, Recorder

START_MS = 1_767_571_200_000  # Monday 2026-01-05, 00:00 UTC
HOUR_S = 3600

# A service's series by instance: name, more labels, kind, level (of a counter: each second), noise as a ratio.
_METRICS: tuple[tuple[str, dict[str, str], str, float, float], ...] = (
    ("http_requests_total", {"code": "200"}, "counter", 40.0, 0.05),
    ("http_requests_total", {"code": "500"}, "counter", 0.02, 0.5),
    ("http_request_duration_seconds_sum", {}, "counter", 3.2, 0.08),
    ("http_request_duration_seconds_count", {}, "counter", 40.0, 0.05),
    ("process_cpu_seconds_total", {}, "counter", 0.3, 0.08),
    ("process_resident_memory_bytes", {}, "gauge", 3e8, 0.01),
    ("queue_length", {}, "gauge", 12.0, 0.2),
    ("open_connections", {}, "gauge", 80.0, 0.05),
    ("cache_hit_ratio", {}, "gauge", 0.93, 0.01),
    ("up", {}, "gauge", 1.0, 0.0),
)
_SIZED = np.array([name not in ("cache_hit_ratio", "up") for name, *_ in _METRICS])


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, where, and when (seconds from the start); every instance of the service has it."""

    service: str
    kind: str  # "latency", "errors", "down", "memory", "cpu"
    begin_s: int
    end_s: int


@dataclass(frozen=True, slots=True)
class World:
    """What is made up.

    Attributes
    ----------
    services, instances : int
        Ten series for each instance of each service.
    every_s : int
        Seconds between scrapes.
    """

    services: int = 20
    instances: int = 5
    every_s: int = 15
    duration_s: int = 2 * HOUR_S
    seed: int = 7

    @property
    def faults(self) -> tuple[Fault, ...]:
        """Five, one after another in the second half."""
        half, gap = self.duration_s // 2, self.duration_s // 12
        kinds = ("latency", "errors", "down", "cpu", "memory")
        return tuple(
            Fault(
                f"service{(3 * n) % self.services:02d}", kind, half + n * gap, half + n * gap + 300
            )
            for n, kind in enumerate(kinds)
        )

    def catalogue(self) -> Catalogue:
        """Each service calls the next but one, in a line."""
        names = [f"service{n:02d}" for n in range(self.services)]
        return Catalogue.of(
            Service(name, tier=1 + n % 4, depends_on=tuple(names[n + 2 : n + 3]))
            for n, name in enumerate(names)
        )


def record(world: World, folder: Path) -> None:
    """Write a world as a recording: metrics, the log lines of its faults, and one deploy."""
    index = SeriesIndex()
    recorder = Recorder(folder, index)
    rows = [index.intern(labels) for labels in series(world)]
    numbers = np.array(rows, dtype=np.int32)
    for time_ms, values in scrapes(world):
        recorder.metrics(numbers, np.full(len(rows), time_ms, dtype=np.int64), values)
    recorder.logs(_lines(world))
    recorder.changes(
        Change(
            f"deploy-{n}", START_MS + fault.begin_s * 1000 - 30_000, "deploy", fault.service, "v2"
        )
        for n, fault in enumerate(world.faults)
        if fault.kind == "errors"
    )
    recorder.close()


def series(world: World) -> list[Labels]:
    """All series in their order."""
    return [
        Labels.of({"__name__": name, "service": f"service{s:02d}", "instance": f"i{i}", **more})
        for s in range(world.services)
        for i in range(world.instances)
        for name, more, *_ in _METRICS
    ]


def _lines(world: World) -> Iterator[LogLine]:
    """Each service says something every ten seconds; with errors, what went wrong, twice a second."""
    for at_s in range(0, world.duration_s):
        time_ms = START_MS + at_s * 1000
        for n in range(world.services):
            if (at_s + n) % 10 == 0:
                yield LogLine(time_ms, f"served {at_s + n} requests", f"service{n:02d}", "info")
        for fault in world.faults:
            if fault.kind == "errors" and fault.begin_s <= at_s < fault.end_s:
                for half in range(2):
                    text = f"order {2 * at_s + half} failed: no route to warehouse"
                    yield LogLine(time_ms + 500 * half, text, fault.service, "error")


def scrapes(world: World) -> Iterator[tuple[int, Floats]]:
    """Times and the values of all series in their order."""
    random = np.random.default_rng(world.seed)
    shape = (world.services, world.instances, len(_METRICS))
    counters = np.array([metric[2] == "counter" for metric in _METRICS])
    level = np.array([metric[3] for metric in _METRICS])
    noise = np.array([metric[4] for metric in _METRICS])
    # Services differ in size; none is like the other.
    size = np.exp(random.normal(0.0, 0.5, size=shape[:2]))[:, :, None]
    size = np.where(_SIZED, size, 1.0)
    total = np.zeros(shape)
    for at_s in range(0, world.duration_s, world.every_s):
        rhythm = 1.0 + 0.2 * np.sin(2 * np.pi * at_s / (2 * HOUR_S))
        values = level * size * (1.0 + noise * random.standard_normal(shape))
        values[..., :5] *= rhythm  # more customers, more of everything they cause
        for fault in world.faults:
            if fault.begin_s <= at_s < fault.end_s:
                _break(values[int(fault.service[-2:])], fault, at_s)
        values = np.maximum(values, 0.0)
        total += values * world.every_s
        shown = np.where(counters, total, values)
        yield START_MS + at_s * 1000, shown.reshape(-1)


def _break(values: Floats, fault: Fault, at_s: int) -> None:
    """Apply a fault to one service's values, shape (n_instances, n_metrics), in place."""
    if fault.kind == "latency":
        values[:, 2] *= 8.0
        values[:, 6] *= 5.0
    elif fault.kind == "errors":
        values[:, 1] = 0.3 * values[:, 0]
    elif fault.kind == "down":
        values[:, :] = 0.0
    elif fault.kind == "cpu":
        values[:, 4] = 0.99
        values[:, 2] *= 3.0
    else:
        assert fault.kind == "memory", fault.kind
        values[:, 5] *= 1.0 + (at_s - fault.begin_s) / 60.0
