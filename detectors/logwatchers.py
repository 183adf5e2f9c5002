"""The methods that read log lines one kind at a time, as far as they are switched on."""

from __future__ import annotations

from detectors.courses import Courses
from detectors.expectedline import ExpectedLines
from detectors.judge import Judge
from detectors.logkinds import LogKinds
from detectors.parameters import Parameters
from detectors.templaterate import TemplateRates
from detectors.watcher import Watcher


def log_watchers(judge: Judge) -> tuple[Watcher, ...]:
    """All of them, made anew; the numbering of kinds comes first, the others use it."""
    settings = judge.settings.log_lines
    kinds = LogKinds(settings)
    found: list[Watcher] = [kinds]
    if settings.rates:
        found.append(TemplateRates(judge, kinds, settings))
    if settings.expected:
        found.append(ExpectedLines(judge, kinds, settings))
    if settings.parameters:
        found.append(Parameters(judge, kinds, settings, judge.settings.accept_after_ms))
    if settings.sequences:
        found.append(Courses(judge, kinds, settings))
    return tuple(found)
