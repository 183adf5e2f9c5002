"""A kind of error line that a service never wrote before."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from detectors.writers import Writers
from model.batch import Ints, LogBatch

_FATAL = 21
_ERROR = 17
_WARN = 13
_WITHIN_MS = 10_000
_SPAN_MS = 1_500  # many lines of one moment are one event
_WARN_FACTOR = 4  # a warning must come four times as often as an error
_FORGOTTEN_MS = 600_000
_LINES_MAX = 5
_PATIENT = 4  # a service of few lines has been learnt after so many learning periods

_VARIABLE = re.compile(r"<[^>]*>|\S*\d\S*|[\"'][^\"']*[\"']")


def essence(text: str) -> str:
    """A template without what varies: the same message mined twice must not be new twice.

    Examples
    --------
    >>> essence("checksum <*> of segment 17 differs") == essence("checksum ab12 of segment <num> differs")
    True
    """
    return " ".join(_VARIABLE.sub("*", text).split())


@dataclass(slots=True)
class _Service:
    first_ms: int
    lines: int = 0


@dataclass(slots=True)
class Newcomer:
    """A template first seen after the learning: when, and its last lines."""

    number: int
    service: str
    text: str
    severity: int
    first_ms: int
    last_ms: int
    count: int = 0
    told: bool = False
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=_LINES_MAX))


class NewTemplates:
    """Which templates are known by service, and which have newly come.

    Only warnings and worse are remembered, up to `templates_max`.
    """

    def __init__(
        self, *, learning_ms: int, learning_lines: int, lines: int, templates_max: int
    ) -> None:
        self._learning_ms = learning_ms
        self._learning_lines = learning_lines
        self._lines = lines
        self._templates_max = templates_max
        self._services: dict[str, _Service] = {}
        self._known: dict[tuple[str, str], None] = {}
        self._new: dict[tuple[str, str], Newcomer] = {}
        self._numbers = 0
        self.refused = 0

    def take(self, batch: LogBatch, writers: Writers | None = None) -> list[Newcomer]:
        """Read a batch; gives the newcomers of which lines came, in order, once each."""
        wrote = Writers.of_lines(batch.services) if writers is None else writers
        places = wrote.lines()
        services = [
            self._service(name, int(batch.times_ms[of[0]]))
            for name, of in zip(wrote.names, places, strict=True)
        ]
        bad = np.flatnonzero(batch.severities >= _WARN)
        touched = self._meet(batch, bad, wrote, services, places) if len(bad) else []
        for service, of in zip(services, places, strict=True):
            service.lines += len(of)
        return touched

    def _service(self, name: str, time_ms: int) -> _Service:
        service = self._services.get(name)
        if service is None:
            service = self._services[name] = _Service(time_ms)
        return service

    def _meet(
        self,
        batch: LogBatch,
        bad: Ints,
        wrote: Writers,
        services: list[_Service],
        places: list[Ints],
    ) -> list[Newcomer]:
        """The lines that are warnings or worse."""
        touched: dict[int, Newcomer] = {}
        nth = np.empty(
            len(batch), dtype=np.int64
        )  # of its service's lines in the batch, from one on
        for of in places:
            nth[of] = np.arange(1, len(of) + 1)
        texts = {number: essence(text) for number, text in batch.template_texts.items()}
        severities, templates = batch.severities.tolist(), batch.templates.tolist()
        for at in bad.tolist():
            time_ms, place = int(batch.times_ms[at]), int(wrote.of[at])
            name, service = wrote.names[place], services[place]
            text = texts.get(templates[at])
            key = name, essence(batch.lines[at]) if text is None else text
            if key in self._known:
                continue
            newcomer = self._new.get(key)
            if newcomer is None:
                if self._learning(service, time_ms, int(nth[at])) or not self._room():
                    self._know(key)
                    continue
                self._numbers += 1
                shown = batch.template_texts.get(templates[at], batch.lines[at])
                newcomer = self._new[key] = Newcomer(
                    self._numbers, name, shown, severities[at], time_ms, time_ms
                )
            newcomer.severity = max(newcomer.severity, severities[at])
            newcomer.last_ms = max(newcomer.last_ms, time_ms)
            newcomer.count += 1
            newcomer.lines.append(batch.lines[at])
            touched[newcomer.number] = newcomer
        return list(touched.values())

    def _learning(self, service: _Service, time_ms: int, nth: int) -> bool:
        age_ms = time_ms - service.first_ms
        few = service.lines + nth < self._learning_lines and age_ms < _PATIENT * self._learning_ms
        return age_ms < self._learning_ms or few

    def _room(self) -> bool:
        if len(self._known) + len(self._new) < self._templates_max:
            return True
        self.refused += 1
        return False

    def _know(self, key: tuple[str, str]) -> None:
        if len(self._known) + len(self._new) < self._templates_max:
            self._known[key] = None

    def worth_telling(self, newcomer: Newcomer, patience: float = 1.0) -> bool:
        """Whether its first lines came fast enough: a fatal one at once, others a few within seconds.

        `patience`, of what people said of such alerts, multiplies how many are needed. One that begins slowly is chatter that the learning happened not to meet, and is known from then on.
        """
        if newcomer.told or newcomer.severity >= _FATAL:
            newcomer.told = True
            return True
        lasted_ms = newcomer.last_ms - newcomer.first_ms
        if lasted_ms > _WITHIN_MS:
            self.settle(newcomer.number)
            return False
        needed = self._lines * (1 if newcomer.severity >= _ERROR else _WARN_FACTOR) * patience
        newcomer.told = newcomer.count >= needed and lasted_ms >= _SPAN_MS
        return newcomer.told

    def newcomers(self) -> list[Newcomer]:
        """All newcomers, in the order they came."""
        return list(self._new.values())

    def settle(self, number: int) -> None:
        """A newcomer was told and has gone quiet: from now on it is known."""
        for key, newcomer in list(self._new.items()):
            if newcomer.number == number:
                del self._new[key]
                self._know(key)

    def step(self, now_ms: int, telling: set[int]) -> None:
        """A newcomer that stayed rare is known after a while."""
        for newcomer in self.newcomers():
            if newcomer.number not in telling and now_ms - newcomer.first_ms > _FORGOTTEN_MS:
                self.settle(newcomer.number)

    def save(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "services": [[name, s.first_ms, s.lines] for name, s in self._services.items()],
            "known": [list(key) for key in self._known],
            "new": [
                [
                    list(key),
                    [n.number, n.service, n.text, n.severity, n.first_ms, n.last_ms],
                    [n.count, n.told],
                    list(n.lines),
                ]
                for key, n in self._new.items()
            ],
            "numbers": self._numbers,
            "refused": self.refused,
        }

    def load(self, saved: dict[str, Any]) -> None:
        """Take over what `save` gave."""
        self._services = {name: _Service(first, n) for name, first, n in saved["services"]}
        self._known = {(service, text): None for service, text in saved["known"]}
        self._new = {
            (key[0], key[1]): _newcomer(plain, seen, lines)
            for key, plain, seen, lines in saved["new"]
        }
        self._numbers, self.refused = saved["numbers"], saved["refused"]


def _newcomer(plain: list[Any], seen: list[Any], lines: list[str]) -> Newcomer:
    newcomer = Newcomer(*plain)
    newcomer.count, newcomer.told = seen
    newcomer.lines.extend(lines)
    return newcomer
