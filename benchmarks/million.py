"""A million series every 15 s, from scrape text to alerts, as a share of one core. Called by `throughput`."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from benchmarks.telemetry import START_MS
from collectors.exposition import Format
from collectors.layout import Layout
from detectors.engine import Engine
from detectors.full.tier import FullTier
from detectors.settings import DetectorSettings
from model.batch import Floats, MetricBatch
from model.series import SeriesIndex

_STEP_MS = 15_000
_PER_TARGET = 10_000
_WARM, _STEPS = 5, 5
_FULL_SHARE = 10


class Site:
    """Targets of 10,000 series each, half gauges and half counters, all of unknown meaning.

    All show the same text, whose layout repeats; their series differ by the label `instance`.
    """

    def __init__(self, targets: int) -> None:
        self._rng = np.random.default_rng(4)
        self._levels = self._rng.lognormal(2, 1, _PER_TARGET)
        self._totals: Floats = np.zeros(_PER_TARGET)
        half = _PER_TARGET // 2
        self._names = [
            f'queue_depth{{queue="orders-{n}",shard="{n % 16}",zone="zone-{n % 3}"}}'
            for n in range(half)
        ] + [
            f'cache_evictions_total{{cache="sessions-{n}",shard="{n % 16}",zone="zone-{n % 3}"}}'
            for n in range(half)
        ]
        self.index = SeriesIndex(series_max=2 * targets * _PER_TARGET)
        self.engine = Engine(DetectorSettings(), self.index)
        self.layouts = [
            Layout(
                self.index,
                source=f"t{n}",
                target={"job": f"shop-{n % 20}", "instance": f"10.0.0.{n}:80"},
            )
            for n in range(targets)
        ]
        self.tier = FullTier(targets * _PER_TARGET // _FULL_SHARE)
        self._now_ms = START_MS

    def body(self) -> bytes:
        """The next answer of every target."""
        half = _PER_TARGET // 2
        shown = self._levels * (1.0 + 0.05 * self._rng.standard_normal(_PER_TARGET))
        self._totals += 15.0 * np.abs(shown)
        shown[half:] = self._totals[half:]
        lines = [f"{a} {b}" for a, b in zip(self._names, np.round(shown, 3).tolist(), strict=True)]
        comments = "# TYPE queue_depth gauge", "# TYPE cache_evictions_total counter"
        text = [comments[0], *lines[:half], comments[1], *lines[half:], ""]
        return "\n".join(text).encode()

    def cycle(self) -> tuple[float, float, float]:
        """CPU seconds of reading text, of the engine, of the full tier, for one sample of everything."""
        body, read_s, engine_s, full_s = self.body(), 0.0, 0.0, 0.0
        seats, half = 0, _PER_TARGET // 2
        for number, layout in enumerate(self.layouts):
            now_ms = self._now_ms + number * _STEP_MS // len(self.layouts)
            began = time.process_time()
            scraped = layout.read(body, Format.TEXT, now_ms=now_ms)
            times_ms = np.full(len(scraped.rows), now_ms, dtype=np.int64)
            batch = MetricBatch(scraped.rows, times_ms, scraped.values, now_ms, layout.source)
            self.index.touch(scraped.rows, now_ms)
            read = time.process_time()
            self.engine.take(batch, now_ms=now_ms)
            self.engine.step(now_ms)
            taken = time.process_time()
            if seats + half <= self.tier.capacity:
                own = np.arange(seats, seats + half)
                scores = self.tier.score(own, times_ms[:half], scraped.values[:half])
                self.tier.alarms(own, scores)
                seats += half
            read_s, engine_s = read_s + read - began, engine_s + taken - read
            full_s += time.process_time() - taken
        assert seats * _FULL_SHARE == len(self.layouts) * _PER_TARGET
        self._now_ms += _STEP_MS
        return read_s, engine_s, full_s


def million(series: int) -> tuple[dict[str, float], float, float]:
    """Shares of a core by part, first sight's samples a second, and the process' bytes in memory."""
    site = Site(series // _PER_TARGET)
    first_s = sum(site.cycle()[:2])
    for _ in range(_WARM - 1):
        site.cycle()
    took = np.array([site.cycle() for _ in range(_STEPS)])
    parts = np.median(took, axis=0) / (_STEP_MS / 1000.0)
    whole = float(np.median(took.sum(axis=1))) / (_STEP_MS / 1000.0)
    shares = {"all": whole, **dict(zip(("text", "engine", "full"), parts.tolist(), strict=True))}
    return shares, series / first_s, _rss_bytes()


def _rss_bytes() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return float(line.split()[1]) * 1024.0
    raise AssertionError
