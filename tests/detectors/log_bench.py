"""An engine that is fed log lines through a miner, and killed between batches at will."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from collectors.loglines import LogLine, parse_line
from collectors.templates import TemplateMiner
from detectors.engine import Engine
from detectors.logsettings import LogLineSettings
from detectors.settings import DetectorSettings
from model import codec
from model.alert import Alert
from model.batch import LogBatch
from model.series import SeriesIndex

START_MS = 1_800_000_000_000
SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
Line = tuple[int, str, int, str]
"""Milliseconds after the start, service, severity, message."""


class LogBench:
    """Feeds lines in the order of their times, in batches of so much time, stepping after each."""

    def __init__(self, logs: LogLineSettings | None = None, *, batch_ms: int = 60_000) -> None:
        self._settings = DetectorSettings(log_lines=logs or LogLineSettings())
        self._batch_ms = batch_ms
        self.miner, self.index = TemplateMiner(), SeriesIndex()
        self.engine = Engine(self._settings, self.index)
        self.told: list[Alert] = []

    def feed(self, lines: Iterable[Line], *, kill: bool = False) -> list[Alert]:
        """What is told of these lines; `kill` restores everything from its snapshot after each batch."""
        before = len(self.told)
        batches: dict[int, list[Line]] = {}
        for line in sorted(lines):
            batches.setdefault(line[0] // self._batch_ms, []).append(line)
        for number, part in sorted(batches.items()):
            self._take(part, START_MS + (number + 1) * self._batch_ms)
            if kill:
                self.restart()
        return self.told[before:]

    def _take(self, part: list[Line], now_ms: int) -> None:
        read = [parse_line(m, now_ms=now_ms) if m[0] == "{" else LogLine(m) for *_, m in part]
        mined = self.miner.mine([line.message for line in read])
        numbers = [self.miner.current(number) for number in mined]
        batch = LogBatch(
            np.array([START_MS + at for at, *_ in part], dtype=np.int64),
            np.array(numbers, dtype=np.int32),
            np.array([severity for _, _, severity, _ in part], dtype=np.int8),
            tuple(service for _, service, _, _ in part),
            tuple(line.message for line in read),
            {number: self.miner.text(number) for number in sorted(set(numbers))},
            now_ms,
            "f",
            self.miner.drain_merged(),
            tuple(line.fields for line in read),
        )
        self.told += self.engine.take(batch, now_ms=now_ms)
        self.step(now_ms)

    def step(self, now_ms: int) -> None:
        """Time passes."""
        self.told += self.engine.step(now_ms)

    def restart(self) -> None:
        """Kill it, and begin with what it saved."""
        index, miner, engine = self.index.save(), self.miner.save(), self.engine.save()
        self.index, self.miner = SeriesIndex(), TemplateMiner()
        self.index.load(index)
        self.miner.load(miner)
        self.engine = Engine(self._settings, self.index)
        self.engine.load(engine)

    def firing(self, name: str) -> list[Alert]:
        """Each alert of a name that fired, as it was told first."""
        seen: dict[str, Alert] = {}
        for alert in self.told:
            if alert.name == name and alert.firing:
                seen.setdefault(alert.id, alert)
        return list(seen.values())

    def resolved(self, name: str) -> list[Alert]:
        """Each alert of a name that ended."""
        return [alert for alert in self.told if alert.name == name and not alert.firing]

    def encoded(self) -> list[bytes]:
        """All that was told."""
        return [codec.encode(alert) for alert in self.told]


def every(ms: int, begin: int, end: int, service: str, text: str, severity: int = 9) -> list[Line]:
    """A line at regular times; `{n}` in it counts."""
    times = range(begin, end, ms)
    return [(at, service, severity, text.replace("{n}", str(n))) for n, at in enumerate(times)]


def chatter(
    begin: int, end: int, service: str, *, seed: int = 1, mean_ms: int = 20_000
) -> list[Line]:
    """Lines at random times, as requests make them."""
    rng = np.random.default_rng(seed)
    gaps = rng.exponential(mean_ms, max(1, 2 * (end - begin) // mean_ms + 50))
    times = begin + np.cumsum(gaps)
    return [
        (int(at), service, 9, f"served request number {n} of a visitor")
        for n, at in enumerate(times)
        if at < end
    ]
