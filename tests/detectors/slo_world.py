"""A service with objectives that is scraped in virtual time."""

from __future__ import annotations

import numpy as np

from detectors.engine import Engine
from detectors.knowledge import Knowledge
from detectors.settings import DetectorSettings
from model.alert import Alert
from model.batch import MetricBatch
from model.labels import Labels
from model.series import SeriesIndex
from model.slo import Objective, SloState

START = 1_800_000_000_000
HOUR, MINUTE = 3_600_000, 60_000
INTERVAL = 15_000


class World:
    """A service that is scraped every 15 s, in virtual time."""

    def __init__(self, *objectives: Objective, instances: int = 1) -> None:
        self.objectives = objectives
        self.index = SeriesIndex()
        self.engine = self.fresh(self.index)
        self.now_ms = START
        self.counts = np.zeros((instances, 2))
        self.told: list[Alert] = []
        self.instances = instances

    def fresh(self, index: SeriesIndex) -> Engine:
        return Engine(DetectorSettings(), index, (), Knowledge(slos=self.objectives))

    def row(self, name: str, **labels: str) -> int:
        """A row of service "shop"."""
        return self.index.intern(
            Labels.of({"__name__": name, "service": "shop", **labels}), now_ms=self.now_ms
        )

    def run(
        self, duration_ms: int, *, rate: float = 10.0, errors: float = 0.0, every: int = INTERVAL
    ) -> list[Alert]:
        """Go on for so long: requests per second, and the share that fails."""
        found: list[Alert] = []
        for _ in range(duration_ms // every):
            self.now_ms += every
            self.counts[:, 0] += rate * (1 - errors) * every / 1000 / self.instances
            self.counts[:, 1] += rate * errors * every / 1000 / self.instances
            samples = {
                self.row("http_requests_total", code=code, instance=f"shop:{n}"): value
                for n in range(self.instances)
                for code, value in zip(("200", "500"), self.counts[n].tolist(), strict=True)
            }
            found += self.push(samples)
        self.told += found
        return found

    def push(self, samples: dict[int, float]) -> list[Alert]:
        """One scrape, and a step."""
        batch = MetricBatch.of(
            list(samples), self.now_ms, list(samples.values()), arrival_ms=self.now_ms
        )
        found = self.engine.take(batch, now_ms=self.now_ms) + self.engine.step(self.now_ms)
        return [alert for alert in found if alert.name.startswith("ErrorBudget")]

    def past(self, duration_ms: int, *, every: int, errors: float = 0.0) -> None:
        """Learn so much history up to now, at 10 requests a second."""
        began_ms = self.now_ms - duration_ms
        for done in range(every, duration_ms, every):
            self.counts[:, 0] += 10.0 * (1 - errors) * every / 1000
            self.counts[:, 1] += 10.0 * errors * every / 1000
            rows = [
                self.row("http_requests_total", code=code, instance="shop:0")
                for code in ("200", "500")
            ]
            batch = MetricBatch.of(
                rows, began_ms + done, self.counts[0].tolist(), arrival_ms=self.now_ms
            )
            self.engine.learn(batch, now_ms=self.now_ms, coarse=True)
        self.engine.learnt()

    def restart(self, *objectives: Objective) -> None:
        """Save, and go on with what was saved."""
        index = SeriesIndex()
        index.load(self.index.save())
        data = self.engine.save()
        if objectives:
            self.objectives = objectives
        self.index, self.engine = index, self.fresh(index)
        self.engine.load(data)

    def state(self) -> SloState:
        """The first objective, as published."""
        self.now_ms += 11_000
        self.engine.step(self.now_ms)
        return self.engine.slos()[0]


def fired(alerts: list[Alert]) -> list[tuple[str, str]]:
    """Names and severities of what began, in order, once each."""
    keys = dict.fromkeys((a.name, a.severity.value, a.starts_ms) for a in alerts if a.firing)
    return [(name, severity) for name, severity, _ in keys]


SHOP = Objective("shop")
BURN = "ErrorBudgetBurn"
