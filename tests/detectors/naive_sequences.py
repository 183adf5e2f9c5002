"""The naive twin of `detectors/sequences.py`: one line, one identifier, one count after the other.

A block, a request, a session leaves a set of templates. Learnt, by kind of identifier: which share of
the identifiers ever meet a template, and which template hardly ever comes without which other. An
identifier is odd when it meets what few meet, or ends without what nearly all that went as far have.

Source
------
The workflow view of logs of Lou et al. (2010, invariants) and Xu et al. (2009, message count vectors),
reduced to presence: how often a line comes varies with retries and replicas, whether it comes does not.
Nothing is trained before; shares are taken over the identifiers met so far, the older
ones counting less. An identifier is judged whenever it rests: it may go on days later, and is then
remembered with all it met before. One that rests while few are known waits for its verdict.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from detectors.keys import Name, Words
from detectors.sequences import SequenceSettings

_WORDS_MAX = 50_000
_LINE_MAX = 300
_STEP_MS = 1_000


@dataclass(frozen=True, slots=True)
class Odd:
    """An identifier whose lines are unusual: which template is rare, or which is missing."""

    kind: str
    value: str
    time_ms: int
    rare: int | None = None
    missing: int | None = None
    share: float = 0.0  # of the kind's identifiers that are so, too
    line: str = ""  # its last one


@dataclass(slots=True)
class _Key:
    """An identifier that is followed."""

    kind: str
    value: str
    last_ms: int
    templates: dict[int, None] = field(default_factory=dict)
    recent: dict[int, None] = field(default_factory=dict)  # those met since it rested last
    told: bool = False
    line: str = ""  # the last one, or one that few have
    kept: bool = False


@dataclass(slots=True)
class _Kind:
    """What was learnt of one kind of identifier."""

    known: float = 0.0  # identifiers that were ever met
    met: dict[int, float] = field(default_factory=dict)  # template to identifiers that met it
    beside: dict[int, dict[int, float]] = field(default_factory=dict)  # of rests: with both, or one
    waiting: list[str] = field(default_factory=list)  # values that rested while few were known
    rests: int = 0  # how often one came to rest

    def meet(self, template: int, settings: SequenceSettings) -> bool:
        """Count an identifier that meets a template for the first time, if there is room."""
        if template not in self.met and len(self.met) >= settings.templates_max:
            return False
        self.met[template] = self.met.get(template, 0.0) + 1
        return True

    def learn(self, key: _Key, settings: SequenceSettings) -> None:
        """Count what an identifier that comes to rest met together since it rested last."""
        recent = [template for template in key.recent if template in self.met]
        for template in recent:
            others = self.beside.setdefault(template, {})
            for other in recent:
                others[other] = others.get(other, 0.0) + 1
        if self.known >= settings.memory:
            self._halve()

    def merge(self, merged: Mapping[int, int]) -> None:
        """Templates are others: an identifier that met both met one, so the greater count is kept."""
        if merged.keys().isdisjoint(self.met):
            return
        self.met = _joined(self.met, merged)
        beside: dict[int, dict[int, float]] = {}
        for template, others in self.beside.items():
            into = beside.setdefault(merged.get(template, template), {})
            for other, n in _joined(others, merged).items():
                into[other] = max(into.get(other, 0.0), n)
        self.beside = beside

    def _halve(self) -> None:
        self.known /= 2
        self.met = {template: n / 2 for template, n in self.met.items() if n >= 1}
        self.beside = {
            a: {b: n / 2 for b, n in others.items() if b in self.met}
            for a, others in self.beside.items()
            if a in self.met
        }

    def judge(self, key: _Key, settings: SequenceSettings) -> Odd | None:
        """What is unusual about an identifier: the rarest template, or one that is missing."""
        met = [(self.met[t] / self.known, t) for t in key.templates if t in self.met]
        share, rare = min(met, default=(1.0, -1))
        if share < settings.rare_share:
            return Odd(key.kind, key.value, key.last_ms, rare=rare, share=share, line=key.line)
        # A single line is no course of events that something could be missing from.
        for template in key.recent if len(key.recent) > 1 else ():
            others = self.beside.get(template, {})
            of = others.get(template, 0.0)
            if of < settings.companions_min:
                continue
            for other, n in others.items():
                share = (of - n) / of
                # What it met before it need not meet again.
                if share < settings.missing_share and other not in key.templates:
                    return Odd(
                        key.kind, key.value, key.last_ms, missing=other, share=share, line=key.line
                    )
        return None


class Sequences:
    """Follows identifiers through the lines that name them.

    Examples
    --------
    >>> follow = Sequences(SequenceSettings(known_min=20, companions_min=20, idle_ms=1000))
    >>> odd = []
    >>> for n in range(100):
    ...     for template, words in ((1, "begin"), (2, "work"), (3, "end")):
    ...         if (n, template) != (70, 3):
    ...             odd += follow.line(n * 500, template, f"{words} of job_{1000 + n}")
    >>> [(o.kind, o.value, o.missing) for o in odd]
    [('job_', '1070', 3)]
    """

    def __init__(self, settings: SequenceSettings | None = None) -> None:
        self.settings = settings or SequenceSettings()
        self.odd_total = 0
        self.refused = 0
        self._due_ms = 0  # looking once a second is enough
        self.words = Words(_WORDS_MAX)
        self._kinds: dict[str, _Kind] = {}
        self._open: dict[tuple[str, str], _Key] = {}  # the one idle for longest first
        self._resting: dict[tuple[str, str], _Key] = {}  # the one resting for longest first

    def line(self, time_ms: int, template: int, message: str) -> list[Odd]:
        """A line came; gives the verdicts that this makes due.

        Parameters
        ----------
        time_ms : int
            The line's own time: what is read late is judged as if it had been read then.
        template : int
        message : str
        """
        return self.meet(self.words.of(message), time_ms, template, message)

    def meet(self, names: Sequence[Name], time_ms: int, template: int, message: str) -> list[Odd]:
        """The same, where the identifiers of the line are known already."""
        for name in names:
            kind = self._kinds.get(name[0])
            if kind is None:
                if len(self._kinds) >= self.settings.kinds_max:
                    self.refused += 1
                    continue
                kind = self._kinds[name[0]] = _Kind()
            key = self._open.pop(name, None) or self._wake(name, kind, time_ms)
            self._open[name] = key
            if time_ms > key.last_ms:
                key.last_ms = time_ms
            if template not in key.templates:
                if not kind.meet(template, self.settings):
                    self.refused += 1
                    continue
                key.templates[template] = None
                if kind.met[template] < self.settings.rare_share * kind.known:
                    key.line, key.kept = message[:_LINE_MAX], True
            if not key.kept:
                key.line = message[:_LINE_MAX]
            key.recent[template] = None
        if time_ms < self._due_ms and len(self._open) <= self.settings.open_max:
            return []
        self._due_ms = time_ms + _STEP_MS
        return self.step(time_ms)

    def merge(self, merged: Mapping[int, int]) -> None:
        """Templates turned out to be others: each number is to stand for another from now on."""
        if not merged:
            return
        for kind in self._kinds.values():
            kind.merge(merged)
        for key in (*self._open.values(), *self._resting.values()):
            if not merged.keys().isdisjoint(key.templates):
                key.templates = {merged.get(t, t): None for t in key.templates}
                key.recent = {merged.get(t, t): None for t in key.recent}

    def known(self, kind: str) -> tuple[float, int]:
        """How many identifiers of a kind are known, and how often one came to rest."""
        found = self._kinds[kind]
        return found.known, found.rests

    def _wake(self, name: tuple[str, str], kind: _Kind, time_ms: int) -> _Key:
        key = self._resting.pop(name, None)
        if key is None:
            kind.known += 1
            return _Key(*name, time_ms)
        key.recent = {}
        return key

    def step(self, now_ms: int) -> list[Odd]:
        """Lay to rest what has been idle for long; gives the verdicts that this makes due."""
        odd: list[Odd] = []
        while self._open:
            key = next(iter(self._open.values()))
            idle = now_ms - key.last_ms >= self.settings.idle_ms
            if not idle and len(self._open) <= self.settings.open_max:
                break
            odd += self._rest(key)
        return odd

    def finish(self) -> list[Odd]:
        """The input is over: everything rests."""
        return [odd for key in list(self._open.values()) for odd in self._rest(key)]

    def _rest(self, key: _Key) -> list[Odd]:
        name = key.kind, key.value
        self._resting[name] = self._open.pop(name)
        if len(self._resting) > self.settings.resting_max:
            del self._resting[next(iter(self._resting))]
        kind = self._kinds[key.kind]
        kind.learn(key, self.settings)
        kind.rests += 1
        kind.waiting.append(key.value)
        if kind.known < self.settings.known_min:
            return []
        waiting, kind.waiting = kind.waiting, []
        return [odd for value in waiting for odd in self._judge(kind, (key.kind, value))]

    def _judge(self, kind: _Kind, name: tuple[str, str]) -> list[Odd]:
        # One that goes on meanwhile is judged when it rests again.
        key = self._resting.get(name)
        odd = kind.judge(key, self.settings) if key and not key.told else None
        if key is not None:
            key.line, key.kept = "", False
        if key is None or odd is None:
            return []
        key.told = True
        self.odd_total += 1
        return [odd]

    def save(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "kinds": [
                [
                    name,
                    kind.known,
                    list(kind.met.items()),
                    [[template, list(others.items())] for template, others in kind.beside.items()],
                    kind.waiting,
                    kind.rests,
                ]
                for name, kind in self._kinds.items()
            ],
            "open": [_plain(key) for key in self._open.values()],
            "resting": [_plain(key) for key in self._resting.values()],
            "totals": [self.odd_total, self.refused, self._due_ms],
        }

    def load(self, saved: dict[str, Any]) -> None:
        """Take over what `save` gave."""
        self._kinds = {
            name: _Kind(
                known,
                dict(met),
                {template: dict(others) for template, others in beside},
                list(waiting),
                *rests,
            )
            for name, known, met, beside, waiting, *rests in saved["kinds"]
        }
        self._open = {(key.kind, key.value): key for key in map(_key, saved["open"])}
        self._resting = {(key.kind, key.value): key for key in map(_key, saved["resting"])}
        self.odd_total, self.refused, *due = saved["totals"]
        self._due_ms = due[0] if due else 0


def _joined(counts: Mapping[int, float], merged: Mapping[int, int]) -> dict[int, float]:
    joined: dict[int, float] = {}
    for template, n in counts.items():
        into = merged.get(template, template)
        joined[into] = max(joined.get(into, 0.0), n)
    return joined


def _plain(key: _Key) -> list[Any]:
    recent = list(key.recent)
    return [
        key.kind,
        key.value,
        key.last_ms,
        list(key.templates),
        recent,
        key.told,
        key.line,
        key.kept,
    ]


def _key(plain: list[Any]) -> _Key:
    kind, value, last_ms, templates, recent, told, *line = plain
    met = dict.fromkeys(templates), dict.fromkeys(recent)
    return _Key(kind, value, last_ms, *met, told, *line)
