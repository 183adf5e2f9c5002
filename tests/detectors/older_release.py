"""Twelve hours of one service, and the snapshot that an older release made of them.

`snapshots/688a909.zip` was written in a checkout of that commit, from before rhythms, the view `spread` and
MetricUnsteady, by this file: `python older_release.py 688a909.zip`. It uses only what both know.
"""

from __future__ import annotations

import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from detectors.engine import Engine
from detectors.knowledge import Knowledge
from detectors.settings import DetectorSettings
from model.alert import Alert
from model.batch import MetricBatch
from model.labels import Labels
from model.series import SeriesIndex

START_MS = 1_800_000_000_000
MINUTES = 12 * 60
UP = {"__name__": "up", "job": "batch", "service": "batch", "instance": "batch:80"}
GAUGES = ("rows", "load")


@dataclass
class Site:
    """A job that beats every twenty minutes, a load that is quiet, and whether it answers."""

    index: SeriesIndex = field(default_factory=lambda: SeriesIndex(series_max=8))
    minute: int = 0

    def __post_init__(self) -> None:
        self.engine = Engine(
            DetectorSettings(), self.index, knowledge=Knowledge(tiers={"batch": 1})
        )
        self.rng = np.random.default_rng(1)

    def run(
        self, minutes: int, *, up: float = 1.0, load: float = 10.0, beats: bool = True
    ) -> list[Alert]:
        """One sample of each a minute; what is told."""
        told: list[Alert] = []
        for _ in range(minutes):
            self.minute += 1
            now_ms = START_MS + self.minute * 60_000
            names = [UP, *({"__name__": name, "service": "batch"} for name in GAUGES)]
            rows = [self.index.intern(Labels.of(name), now_ms=now_ms) for name in names]
            beat = 5.0 * (beats and self.minute % 20 < 3)
            noise = 0.3 * self.rng.normal(size=2)
            values = [up, 10.0 + beat + noise[0], load + noise[1]]
            batch = MetricBatch.of(rows, now_ms, values, arrival_ms=now_ms)
            told += [*self.engine.take(batch, now_ms=now_ms), *self.engine.step(now_ms)]
        return told


def site_of(path: Path) -> Site:
    """The site as that snapshot knows it."""
    with zipfile.ZipFile(path) as kept:
        index = SeriesIndex(series_max=8)
        index.load(kept.read("index"))
        site = Site(index, MINUTES)
        site.engine.load(kept.read("engine"))
    return site


def main(path: str) -> None:
    """Write it: quiet for long, at last it does not answer."""
    site = Site()
    site.run(MINUTES - 10)
    site.run(10, up=0.0)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as kept:
        kept.writestr("index", site.index.save())
        kept.writestr("engine", site.engine.save())


if __name__ == "__main__":
    main(sys.argv[1])
