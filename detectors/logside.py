"""Logs on their way in: rates of lines by severity, and templates never seen before."""

from __future__ import annotations

from typing import Any

import numpy as np

from detectors.alerting import Entry, Lasting
from detectors.judge import Judge
from detectors.newtemplate import Newcomer, NewTemplates
from detectors.roles import ROLE_NUMBER
from detectors.settings import DetectorSettings
from detectors.tell import template_alert, template_series
from detectors.writers import Writers
from model.alert import Alert
from model.batch import LogBatch
from model.labels import Labels
from model.series import NAME


class LogSide:
    """Counts lines into series that the judge treats as any other, and meets new templates."""

    def __init__(self, settings: DetectorSettings, judge: Judge) -> None:
        self._settings = settings
        self._judge = judge
        self.templates = NewTemplates(
            learning_ms=settings.log_learning_ms,
            learning_lines=settings.log_learning_lines,
            lines=settings.new_template_lines,
            templates_max=settings.templates_max,
        )
        self.lines = 0

    def take(self, batch: LogBatch, now_ms: int) -> None:
        """Lines arrived."""
        self.lines += len(batch)
        writers = Writers.of_lines(batch.services)
        self._judge.rates.take(batch, now_ms, writers)
        for newcomer in self.templates.take(batch, writers):
            patience = self._judge.heeded.of(template_series(newcomer)).patience
            if self.templates.worth_telling(newcomer, patience):
                self._tell(newcomer, now_ms)

    def _tell(self, newcomer: Newcomer, now_ms: int) -> None:
        def describe(entry: Entry) -> Alert:
            return template_alert(newcomer, entry, self._settings.new_template_lines)

        self._judge.alerting.abnormal(
            ("newtemplate", newcomer.number),
            newcomer.last_ms,
            now_ms=now_ms,
            lasting=Lasting(0, 1, self._settings.log_quiet_ms),
            peak=0.0,
            describe=describe,
        )

    def step(self, now_ms: int) -> None:
        """Close the windows of the rates."""
        rates = self._judge.rates
        rows, values, roles = [], [], []
        for service, level, rate in rates.due(now_ms):
            role = "log_errors" if level == "error" else "quiet"
            row = rates.row(service, level)
            if row < 0:
                name = {NAME: "log_lines_per_second", "service": service, "level": level}
                row = self._judge.derived(Labels.of(name), role, now_ms)
                rates.set_row(service, level, row)
            if row >= 0:
                rows.append(row)
                values.append(rate)
                roles.append(ROLE_NUMBER[role])
        if rows:
            self._judge.signal(
                np.array(rows, dtype=np.int32),
                np.full(len(rows), now_ms // 1000 * 1000, dtype=np.int64),
                np.array(values),
                np.ones(len(rows), dtype=np.bool_),
                np.array(roles, dtype=np.int8),
                now_ms,
                "lograte",
            )

    def quieten(self, number: int, entry: Entry, now_ms: int) -> None:
        """Resolve the alert of a template whose lines have stopped; it is known from now on."""
        if now_ms - entry.seen_ms >= self._settings.log_quiet_ms:
            self._judge.alerting.resolve(("newtemplate", number), entry.seen_ms, now_ms=now_ms)
            self.templates.settle(number)

    def save(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "rates": self._judge.rates.save(),
            "templates": self.templates.save(),
            "lines": self.lines,
        }

    def load(self, saved: dict[str, Any]) -> None:
        """Take over what `save` gave."""
        self._judge.rates.load(saved["rates"])
        self.templates.load(saved["templates"])
        self.lines = saved["lines"]
