"""A small shop, and a correlator driven by hand whose memory is checked against its rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest

from correlator.correlator import Correlator
from correlator.settings import CorrelatorSettings
from model.alert import Alert, AlertStatus
from model.catalogue import Catalogue, Service
from model.change import Change
from model.codec import encode
from model.incident import Act, Grouping
from model.labels import Labels
from model.silence import Silence

T0 = 1_700_000_000_000


def shop() -> Catalogue:
    """gateway → catalog → search; gateway → cart → inventory; gateway → checkout → payment, inventory."""
    return Catalogue.of(
        [
            Service("gateway", 1, depends_on=("catalog", "cart", "checkout")),
            Service("catalog", 2, depends_on=("search",)),
            Service("search", 3),
            Service("cart", 2, depends_on=("inventory",)),
            Service("checkout", 1, depends_on=("payment", "inventory")),
            Service("payment", 1, labels=(("job", "pay"),)),
            Service("inventory", 2),
            Service("ledger", 1, depends_on=("vault",)),
            Service("vault", 1),
        ]
    )


@dataclass
class Desk:
    """Drives a correlator; times are seconds after `T0`."""

    settings: CorrelatorSettings = field(default_factory=CorrelatorSettings)
    catalogue: Catalogue = field(default_factory=shop)
    restart_each_step: bool = False

    def __post_init__(self) -> None:
        self.correlator = Correlator(self.settings, self.catalogue)
        self.rows: dict[str, AlertStatus] = {}
        self.groupings: dict[str, Grouping] = {}
        self.silences: dict[str, Silence] = {}
        self.changes: list[Change] = []
        self.said: list[Grouping] = []
        self.written: list[bytes] = []

    def alert(
        self,
        service: str,
        signal: str = "",
        *,
        at: float,
        end: float | None = None,
        heard: float | None = None,
        **more: str,
    ) -> Alert:
        labels = {"alertname": f"{service}-{signal}", "service": service, "severity": "warning"}
        if signal:
            labels["signal"] = signal
        labels |= more
        source = labels.pop("source", "detector")
        ends_ms = None if end is None else T0 + round(end * 1000)
        last = heard if heard is not None else end if end is not None else at
        starts_ms = T0 + round(at * 1000)
        return Alert(Labels.of(labels), source, starts_ms, T0 + round(last * 1000), ends_ms)

    def resolved(self, alert: Alert, *, end: float) -> Alert:
        ends_ms = T0 + round(end * 1000)
        return replace(alert, ends_ms=ends_ms, arrival_ms=ends_ms)

    def at(self, seconds: float, *items: Alert | Change | Silence | Act) -> list[Grouping]:
        """Take items and step, at one time; what was said."""
        now_ms = T0 + round(seconds * 1000)
        self.correlator.take(list(items), now_ms=now_ms)
        out = self.correlator.step(now_ms)
        for status in out.alerts:
            self.rows[status.alert.key] = status
        for grouping in out.groupings:
            self.groupings[grouping.id] = grouping
        for item in items:
            if isinstance(item, Silence):
                self.silences[item.id] = item
            elif isinstance(item, Change):
                self.changes.append(item)
        self.said += out.groupings
        self.written.append(encode([out.alerts, out.groupings]))
        if self.restart_each_step:
            self.restart()
        return list(out.groupings)

    def restart(self) -> None:
        """Forget everything but the rows."""
        self.correlator = Correlator(self.settings, self.catalogue)
        self.correlator.restore(
            list(self.rows.values()),
            list(self.groupings.values()),
            list(self.silences.values()),
            self.changes,
        )

    def run(self, since: float, until: float, every: float = 1) -> list[Grouping]:
        """Only let time pass."""
        said: list[Grouping] = []
        now = since
        while now <= until:
            said += self.at(now)
            now += every
        return said

    def signals(self, said: Sequence[Grouping] | None = None) -> list[str]:
        return [g.signal.value for g in (self.said if said is None else said)]


@pytest.fixture
def desk() -> Desk:
    """With the default settings."""
    return Desk()


@pytest.fixture
def new_desk() -> type[Desk]:
    """To make one with other settings."""
    return Desk
