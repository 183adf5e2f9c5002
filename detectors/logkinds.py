"""Kinds of log lines, numbered: a service and a template. What is learnt of a kind is kept by its number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from detectors.logsettings import LogLineSettings
from detectors.rows import Array, RowArrays
from detectors.watcher import Watcher
from detectors.writers import Writers
from model.batch import Ints, LogBatch

_FUTURE_MS = 5_000
_EARLIEST_MS = 86_400_000
_EXAMPLE_MAX = 300
_TIDY_MS = 600_000
_OVERFLOW = 0  # the miner's template of the lines it has no room for


class Follower(Protocol):
    """Keeps something by kind number."""

    def fold(self, old: int, new: int) -> None:
        """Two kinds turned out to be one: what was learnt of `old` belongs to `new`; `old` is free."""

    def clear(self, kinds: Array) -> None:
        """These kinds are forgotten."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """The lines of one service in a batch, in order.

    Attributes
    ----------
    service : int
        Number of the service.
    at : int64, shape (n,)
        Where the lines stand in the batch.
    kinds : int32, shape (n,)
        -1 where there was no room for the kind.
    times_ms : int64, shape (n,)
        Event times made never to fall: a line out of order counts at the time of the one before it.
    order : int64, shape (n_known,)
        The lines with a kind, by kind, those of one in their order.
    """

    service: int
    at: Ints
    kinds: Array
    times_ms: Ints
    order: Ints


class LogKinds(Watcher):
    """Numbers the kinds of lines for the other watchers; shown every batch before them.

    Attributes
    ----------
    parts : list of Part
        The batch at hand, by service.
    times_ms : int64, shape (n_lines,)
        The same times in the batch's own order.
    names : list of str
        Services by number.
    texts : dict of int to str
        Template texts by template.
    kinds : RowArrays
        By kind: "service", "template", "first_ms", "last_ms", "severity" (the worst seen).
    services : RowArrays
        By service: "first_ms", "newest_ms", "lines".
    examples : dict of int to str
        The last line of each kind.
    """

    name = "logkinds"

    def __init__(self, settings: LogLineSettings) -> None:
        self._settings = settings
        self.followers: list[Follower] = []
        self.parts: list[Part] = []
        self.times_ms: Ints = np.empty(0, dtype=np.int64)
        self.names: list[str] = []
        self.texts: dict[int, str] = {}
        self.examples: dict[int, str] = {}
        self.refused = 0
        self.kinds = RowArrays(
            {"service": (np.int32, -1), "template": (np.int32, 0), "first_ms": (np.int64, 0)}
            | {"last_ms": (np.int64, 0), "severity": (np.int8, 0)}
        )
        self.services = RowArrays(
            {"first_ms": (np.int64, 0), "newest_ms": (np.int64, 0), "lines": (np.int64, 0)}
        )
        self._numbers: dict[str, int] = {}
        self._of: list[dict[int, int]] = []  # by service: template to kind
        self._free: list[int] = []
        self._next = 0
        self._tidied_ms = 0

    def __len__(self) -> int:
        """Kinds followed."""
        return self._next - len(self._free)

    def of_service(self, service: int) -> Array:
        """The kinds of a service, in the order they were met."""
        return np.fromiter(self._of[service].values(), dtype=np.int32)

    def number(self, service: str) -> int:
        """The number of a service; -1 where it never wrote a line."""
        return self._numbers.get(service, -1)

    def writer(self, template: int) -> str:
        """The service that wrote a template first; "" where none did."""
        return next((self.names[n] for n, of in enumerate(self._of) if template in of), "")

    def worst(self, template: int) -> int:
        """The worst severity a template was written with."""
        found = [of[template] for of in self._of if template in of]
        return max((int(self.kinds["severity"][kind]) for kind in found), default=0)

    def began(self, template: int, since_ms: int) -> bool:
        """Whether the service that writes a template has begun to write another one since."""
        of = [kind for each in self._of if template in each for kind in each.values()]
        return bool((self.kinds["first_ms"][of] >= since_ms).any())

    def text(self, kind: int) -> str:
        """The template of a kind."""
        return self.texts.get(int(self.kinds["template"][kind]), "")

    def lines(self, batch: LogBatch, now_ms: int) -> None:
        """Number a batch's lines."""
        for old, new in batch.merged.items():
            self._merge(old, new)
        self.texts.update(batch.template_texts)
        # What claims to be from before there were computers has no time.
        times_ms = np.clip(batch.times_ms, _EARLIEST_MS, now_ms + _FUTURE_MS)
        writers = Writers.of_lines(batch.services)
        parts = [
            self._part(batch, service, at, times_ms[at])
            for service, at in zip(writers.names, writers.lines(), strict=True)
        ]
        self.parts = [part for part in parts if part is not None]
        for part in self.parts:
            times_ms[part.at] = part.times_ms
        self.times_ms = times_ms

    def _part(self, batch: LogBatch, service: str, at: Ints, times_ms: Ints) -> Part | None:
        number = self._numbers.get(service)
        if number is None:
            if len(self.names) >= self._settings.services_max:
                self.refused += len(at)
                return None
            number = self._numbers[service] = len(self.names)
            self.names.append(service)
            self._of.append({})
            self.services.ensure(number + 1)
            self.services["first_ms"][number] = times_ms[0]
        state = self.services
        times_ms = np.maximum.accumulate(np.maximum(times_ms, state["newest_ms"][number]))
        state["newest_ms"][number] = times_ms[-1]
        state["lines"][number] += len(at)
        templates = batch.templates[at]
        order = np.argsort(templates, kind="stable")
        ordered = templates[order]
        begins = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
        counts = np.diff(np.r_[begins, len(order)])
        found = self._meet(number, ordered[begins], order[begins], counts, times_ms)
        ends = begins + counts - 1
        kinds = np.empty(len(at), dtype=np.int32)
        kinds[order] = np.repeat(found, counts)
        known = found >= 0
        self.kinds["last_ms"][found[known]] = times_ms[order[ends]][known]
        # In the order of their first lines, in which they enter.
        for group in np.argsort(order[begins]).tolist():
            if found[group] >= 0:
                line = batch.lines[at[order[ends[group]]]]
                self.examples[int(found[group])] = line[:_EXAMPLE_MAX]
        severities = batch.severities[at]
        if severities.max() > 0:
            worst = np.maximum.reduceat(severities[order], begins)
            state_of = self.kinds["severity"]
            state_of[found[known]] = np.maximum(state_of[found[known]], worst[known])
        if not known.all() or (found[1:] < found[:-1]).any():
            order = np.argsort(kinds, kind="stable")
            order = order[kinds[order] >= 0]
        return Part(number, at, kinds, times_ms, order)

    def _meet(
        self, service: int, templates: Array, first: Ints, counts: Ints, times_ms: Ints
    ) -> Array:
        """The kinds of templates, whose first lines and counts are given; -1 where there is no room."""
        of = self._of[service]
        found = np.array([of.get(template, -1) for template in templates.tolist()], dtype=np.int32)
        unknown = np.flatnonzero((found < 0) & (templates != _OVERFLOW))
        for group in unknown[np.argsort(first[unknown])].tolist():
            found[group] = self._new(service, int(templates[group]), int(times_ms[first[group]]))
            if found[group] < 0:
                self.refused += int(counts[group]) - 1  # one was counted
        return found

    def _new(self, service: int, template: int, time_ms: int) -> int:
        of = self._of[service]
        full = len(self) >= self._settings.kinds_max
        if full or len(of) >= self._settings.kinds_per_service_max:
            self.refused += 1
            return -1
        if self._free:
            kind = self._free.pop()
        else:
            kind, self._next = self._next, self._next + 1
            self.kinds.ensure(self._next)
        of[template] = kind
        self.kinds["service"][kind], self.kinds["template"][kind] = service, template
        self.kinds["first_ms"][kind] = self.kinds["last_ms"][kind] = time_ms
        return kind

    def _merge(self, old: int, new: int) -> None:
        self.texts.pop(old, None)
        for of in self._of:
            kind = of.pop(old, None)
            if kind is None:
                continue
            into = of.setdefault(new, kind)
            if into == kind:
                self.kinds["template"][kind] = new
                continue
            state = self.kinds
            state["first_ms"][into] = min(state["first_ms"][into], state["first_ms"][kind])
            state["last_ms"][into] = max(state["last_ms"][into], state["last_ms"][kind])
            state["severity"][into] = max(state["severity"][into], state["severity"][kind])
            for follower in self.followers:
                follower.fold(kind, into)
            self._give_back([kind])

    def _give_back(self, kinds: list[int]) -> None:
        self.kinds.clear(np.array(kinds, dtype=np.int64))
        self._free += kinds
        for kind in kinds:
            self.examples.pop(kind, None)

    def step(self, now_ms: int) -> None:
        """Forget what has not been seen for very long, against the newest line of its service."""
        if now_ms - self._tidied_ms < _TIDY_MS:
            return
        self._tidied_ms = now_ms
        for service, of in enumerate(self._of):
            newest = int(self.services["newest_ms"][service])
            before = newest - self._settings.forget_after_ms
            gone = [t for t, kind in of.items() if self.kinds["last_ms"][kind] < before]
            if gone:
                kinds = [of.pop(template) for template in gone]
                for follower in self.followers:
                    follower.clear(np.array(kinds, dtype=np.int32))
                self._give_back(kinds)
        used = {template for of in self._of for template in of}
        self.texts = {template: text for template, text in self.texts.items() if template in used}

    def counters(self) -> dict[str, float]:
        """What `metrics.METRICS` names."""
        return {
            "tocsin_detector_log_kinds": len(self),
            "tocsin_detector_log_kinds_refused_total": self.refused,
        }

    @property
    def nbytes(self) -> int:
        """Bytes held in arrays."""
        return self.kinds.nbytes + self.services.nbytes

    def save(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Arrays by name, and the rest as plain JSON values."""
        arrays = self.kinds.save("kinds", self._next)
        arrays |= self.services.save("services", len(self.names))
        return arrays, {
            "names": self.names,
            "of": [list(of.items()) for of in self._of],
            "texts": list(self.texts.items()),
            "examples": list(self.examples.items()),
            "free": self._free,
            "next": self._next,
            "refused": self.refused,
            "tidied_ms": self._tidied_ms,
        }

    def load(self, arrays: dict[str, Array], state: dict[str, Any]) -> None:
        """Take over what `save` gave."""
        if not state:
            return
        self.kinds.load("kinds", arrays)
        self.services.load("services", arrays)
        self.names = list(state["names"])
        self._numbers = {name: number for number, name in enumerate(self.names)}
        self._of = [dict(of) for of in state["of"]]
        self.texts, self.examples = dict(state["texts"]), dict(state["examples"])
        self._free, self._next = list(state["free"]), state["next"]
        self.refused, self._tidied_ms = state["refused"], state["tidied_ms"]
