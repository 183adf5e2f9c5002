"""Runs a scenario: the real stages and a store of its own, in virtual time.

What comes out is what `tocsin test` prints and what tests/test_scenarios.py asserts.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from model.alert import Alert
from model.batch import MetricBatch
from model.change import Change
from model.identity import derive_id
from model.incident import Act, ActKind, Incident, IncidentState
from model.journal import Heartbeat
from model.labels import Labels
from model.series import NAME
from model.silence import Silence
from model.units import format_duration
from pipeline import scenario_facts, settings
from pipeline.problems import ConfigurationError, Problem
from pipeline.scenario_file import Moment, Scenario, Series, parse
from pipeline.scenario_words import Check, Input
from pipeline.virtual import Pushed, Stride, Virtual

START_MS = 1_767_603_600_000
"""Every scenario begins on Monday 2026-01-05 at 09:00 UTC."""

_FILES = {
    "settings": "tocsin.yaml",
    "catalogue": "catalogue.yaml",
    "routes": "routes.yaml",
    "sla": "sla.yaml",
    "rules": "rules.yaml",
    "slo": "slo.yaml",
}
_RECORDS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Failure:
    """An expectation that was not met (or an input that could not be done)."""

    path: str
    line: int
    at_ms: int
    wanted: str
    got: tuple[str, ...]

    def __str__(self) -> str:
        at = format_duration(self.at_ms)
        got = "".join(f"\n      {line}" for line in self.got) or " nothing"
        return f"{self.path}:{self.line}: at {at}\n  wanted: {self.wanted}\n  got:{got}"


@dataclass(frozen=True, slots=True)
class Result:
    """What a run found; `checks` counts the expectations."""

    scenario: Scenario
    failures: tuple[Failure, ...]
    checks: int
    steps: int

    @property
    def good(self) -> bool:
        """Whether every expectation was met."""
        return not self.failures


def run_file(path: Path) -> Result:
    """Read a scenario and run it.

    Raises
    ------
    ConfigurationError
        If the file, or the configuration in it, has mistakes: all of them, with their places.
    """
    return run(parse(path.read_text(encoding="utf-8"), str(path)))


def run(scenario: Scenario) -> Result:
    """Run a scenario from its start to its last `at` block."""
    with tempfile.TemporaryDirectory(prefix="tocsin-scenario-") as name:
        folder = Path(name)
        virtual = Virtual.build(_settings(scenario, folder), folder, START_MS)
        try:
            return _Run(scenario, virtual).run()
        finally:
            virtual.close()


def _settings(scenario: Scenario, folder: Path) -> settings.Settings:
    """The scenario's configuration blocks as a folder; problems at the scenario's own lines."""
    texts = {block.name: block for block in scenario.blocks}
    for name, file in _FILES.items():
        (folder / file).write_text(texts[name].text if name in texts else "", encoding="utf-8")
    try:
        return settings.load(folder)
    except ConfigurationError as error:
        names = {file: name for name, file in _FILES.items()}
        raise ConfigurationError(
            [
                Problem(
                    scenario.path,
                    problem.line + block.line - 1 if block else 1,
                    problem.column,
                    problem.where,
                    problem.what,
                )
                for problem in error.problems
                for block in [texts.get(names[Path(problem.path).name])]
            ]
        ) from None


class _Run:
    """One run's clockwork."""

    def __init__(self, scenario: Scenario, virtual: Virtual) -> None:
        self.scenario = scenario
        self.virtual = virtual
        self.failures: list[Failure] = []
        self.checks = 0
        self.steps = 0
        self._stride = Stride()
        self._rows = [self._row(series) for series in scenario.series]
        self._pushed: dict[str, Alert] = {}

    def run(self) -> Result:
        moments: dict[int, list[Moment]] = {}
        for moment in self.scenario.moments:
            moments.setdefault(moment.at_ms, []).append(moment)
        for at_ms in self._times(sorted(moments)):
            values: list[Pushed] = []
            for moment in moments.get(at_ms, ()):
                values += self._happen(moment, at_ms)
            now_ms = START_MS + at_ms
            out = self.virtual.step(now_ms, batches=self._scrape(at_ms), values=values)
            self._stride.note(busy=bool(values) or not out.empty)
            self.steps += 1
            for moment in moments.get(at_ms, ()):
                for check in moment.checks:
                    self._expect(check, at_ms)
        return Result(self.scenario, tuple(self.failures), self.checks, self.steps)

    def _times(self, moments: Sequence[int]) -> Iterator[int]:
        """Every second, and every time at which something is scraped, happens or is expected."""
        scraped = {every for every in (series.every_ms for series in self.scenario.series)}
        at_ms = 0
        while at_ms <= self.scenario.ends_ms:
            yield at_ms
            following = [at_ms + self._stride.ms]
            following += [moment for moment in moments if moment > at_ms][:1]
            following += [(at_ms // every + 1) * every for every in scraped]
            at_ms = min(following)

    def _row(self, series: Series) -> int:
        index = self.virtual.index
        name = series.labels.get(NAME, "")
        if name.endswith(("_total", "_count", "_sum", "_bucket")):
            index.describe(name, "counter")
        return index.intern(series.labels, source="scenario", now_ms=START_MS)

    def _scrape(self, at_ms: int) -> list[MetricBatch]:
        rows, values = [], []
        for row, series in zip(self._rows, self.scenario.series, strict=True):
            number, between = divmod(at_ms, series.every_ms)
            if not between and number < len(series.values) and series.present[number]:
                rows.append(row)
                values.append(series.values[number])
        now_ms = START_MS + at_ms
        if not rows:
            return []
        self.virtual.index.touch(np.array(rows), now_ms)
        return [MetricBatch.of(rows, now_ms, values, arrival_ms=now_ms, source="scenario")]

    def _happen(self, moment: Moment, at_ms: int) -> list[Pushed]:
        values: list[Pushed] = []
        for number, given in enumerate(moment.inputs):
            # The number keeps two alike of one moment apart.
            ident = derive_id("scenario", at_ms, number, given.line)
            if given.verb == "desk":
                self.virtual.desks_answer(given.word == "up")
            elif given.verb in [kind.value for kind in ActKind]:
                values += self._act(given, at_ms, ident)
            elif given.verb == "push":
                values += self._push(given, START_MS + at_ms)
            else:
                values.append(_value(given, START_MS + at_ms, ident))
        return values

    def _push(self, given: Input, now_ms: int) -> list[Alert]:
        """As an Alertmanager tells it: a resolve (or a repeat) carries the time of the start."""
        alerts = []
        for number in range(1, given.times + 1):
            labels = Labels.of({"alertname": given.target, **given.labels})
            labels = labels.with_(number=str(number)) if given.times > 1 else labels
            fresh = Alert(labels, given.actor, now_ms, now_ms)
            last = self._pushed.get(fresh.key)
            firing = given.word == "firing"
            alert = replace(
                fresh,
                starts_ms=last.starts_ms if last and (last.firing or not firing) else now_ms,
                ends_ms=None if firing else now_ms,
                expires_ms=now_ms + given.duration_ms if given.duration_ms else None,
            )
            self._pushed[alert.key] = alert
            alerts.append(alert)
        return alerts

    def _act(self, given: Input, at_ms: int, ident: str) -> list[Act]:
        incident = self._incident(given.target)
        if incident is None:
            wanted = f"an incident to {given.verb}" + f" ({given.target})" * bool(given.target)
            self.failures.append(Failure(self.scenario.path, given.line, at_ms, wanted, ()))
            return []
        kind, now_ms = ActKind(given.verb), START_MS + at_ms
        return [Act(ident, incident.id, kind, given.actor, now_ms, given.text)]

    def _incident(self, target: str) -> Incident | None:
        """By ticket number or service; without either the latest that is not closed."""
        with self.virtual.store.records.read() as conn:
            found = [
                incident
                for incident in scenario_facts.all_incidents(conn)
                if incident.state is not IncidentState.MERGED
            ]
        keys = [ticket.key for ticket in self.virtual.tickets if ticket.number == target]
        if keys:
            return next((i for i in found if i.id == keys[0]), None)
        if target:
            return next((i for i in found[::-1] if i.service == target), None)
        still = [i for i in found if i.state is not IncidentState.CLOSED]
        return next(iter((still or found)[::-1]), None)

    def _expect(self, check: Check, at_ms: int) -> None:
        self.checks += 1
        records = scenario_facts.read(self.virtual, check.kind)
        count = sum(record.has(check) for record in records)
        if count == check.count or (check.count is None and count):
            return
        # Of alerts there may be thousands: those of that name first.
        names = {value for name, value in check.facts if name in ("name", "number")}
        near = [r for r in records if names & set(r.facts.values())] or records
        got = [f"{check.kind} {record}" for record in near[:_RECORDS_SHOWN]]
        if len(near) > _RECORDS_SHOWN:
            got.append(f"… {len(near)} in all")
        self.failures.append(Failure(self.scenario.path, check.line, at_ms, check.text, tuple(got)))


def _value(given: Input, now_ms: int, ident: str) -> Pushed:
    """An input as the value an intake would have journalled."""
    if given.verb == "change":
        return Change(ident, now_ms, given.word, given.target, given.text, arrival_ms=now_ms)
    if given.verb == "silence":
        ends_ms = now_ms + given.duration_ms
        return Silence(ident, given.matchers, now_ms, ends_ms, "ann", "scenario", now_ms)
    assert given.verb == "heartbeat", given.verb
    return Heartbeat(given.target, now_ms, given.duration_ms, given.word, "scenario")
