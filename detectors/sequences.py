"""Lines that belong together by an identifier, and the identifiers whose lines are unusual.

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

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from detectors.companions import Course, Key, Kind, Queue, new_key
from detectors.keys import Name, Words
from model.units import Milliseconds

_WORDS_MAX = 50_000
_LINE_MAX = 300
_STEP_MS = 1_000
_COURSES_BYTES_MAX = 8_000_000


@dataclass(frozen=True, slots=True)
class SequenceSettings:
    """What counts as unusual, and how much is remembered.

    Attributes
    ----------
    rare_share : float
        A template that a smaller share of identifiers meets is rare.
    missing_share : float
        A template that all but a smaller share of those have that met another, is expected beside it.
    known_min : int
        Identifiers of a kind that must be known before any is judged.
    companions_min : int
        Identifiers that must have met a template before it says which others are expected beside it.
    idle_ms : duration
        An identifier without a line for this long rests.
    open_max, resting_max, kinds_max, templates_max : int
        Identifiers followed at once (the one idle for longest rests early), resting ones that are
        remembered (the longest resting is forgotten), kinds, and templates of a kind.
    memory : int
        Beyond so many identifiers of a kind all its counts are halved.
    """

    rare_share: float = 0.02
    missing_share: float = 0.04
    known_min: int = 500
    companions_min: int = 100
    idle_ms: Milliseconds = 600_000
    open_max: int = 50_000
    resting_max: int = 200_000
    kinds_max: int = 64
    templates_max: int = 256
    memory: int = 100_000

    def __post_init__(self) -> None:
        for name in ("rare_share", "missing_share"):
            if not 0.0 < getattr(self, name) < 0.5:
                raise ValueError(f"{name}: must lie between 0 and 0.5, got {getattr(self, name)}")
        if self.memory < 4 * self.known_min:
            raise ValueError(f"memory: must be at least 4 x known_min, got {self.memory}")


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

    def __init__(
        self,
        settings: SequenceSettings | None = None,
        *,
        courses_bytes_max: int = _COURSES_BYTES_MAX,
    ) -> None:
        self.settings = settings or SequenceSettings()
        self._courses_bytes_max = courses_bytes_max
        self.odd_total = 0
        self.refused = 0
        self._due_ms = 0  # looking once a second is enough
        self.words = Words(_WORDS_MAX)
        self._kinds: dict[str, Kind] = {}
        self._open = Queue()  # the one idle for longest first
        self._resting = Queue()  # the one resting for longest first
        self._courses: dict[tuple[str, tuple[int, ...], tuple[int, ...]], Course] = {}
        self._courses_bytes = 0

    def line(self, time_ms: int, template: int, message: str) -> list[Odd]:
        """A line came; gives the verdicts that this makes due.

        Parameters
        ----------
        time_ms : int
            The line's own time: what is read late is judged as if it had been read then.
        template : int
        message : str
        """
        return self.take([(self.words.of(message), time_ms, template, message)])

    def take(self, lines: Iterable[tuple[Sequence[Name], int, int, str]]) -> list[Odd]:
        """The same for a block of lines in their order, each with the identifiers in it before its time."""
        odd: list[Odd] = []
        kinds, opened, due_ms = self._kinds, self._open, self._due_ms
        open_max, rare_share = self.settings.open_max, self.settings.rare_share
        for names, time_ms, template, message in lines:
            for name, value in names:
                kind = kinds.get(name) or self._new(name)
                if kind is None:
                    continue
                key = self._touched(kind, value, time_ms)
                course = key.course.again.get(template)
                if course is None:
                    course = key.course.first.get(template) or self._on(key, template)
                    if len(course.templates) > len(key.course.templates):
                        if template not in kind.met and not self._admit(kind, template):
                            continue
                        kind.steps += 1
                        count = kind.met[template] = kind.met[template] + 1
                        if count < rare_share * kind.known:
                            key.line, key.kept = message[:_LINE_MAX], True
                key.course = course
                if not key.kept:
                    key.line = message[:_LINE_MAX]
            if time_ms >= due_ms or len(opened) > open_max:
                self._due_ms = due_ms = time_ms + _STEP_MS
                odd += self.step(time_ms)
        return odd

    def _touched(self, kind: Kind, value: str, time_ms: int) -> Key:
        """An identifier that has a line, followed from now on if it was not; it is idle for the shortest."""
        opened = self._open
        key = kind.keys.get(value)
        if key is None:
            key = kind.keys[value] = new_key(kind, value, time_ms)
            kind.known += 1
            kind.steps += 1
        elif key.resting:
            del self._resting[key.place]
            key.resting = False
            key.course = key.course.rested or self._rested(key)
        else:
            del opened[key.place]
        key.place = opened.next = place = opened.next + 1
        opened[place] = key
        if time_ms > key.last_ms:
            key.last_ms = time_ms
        return key

    def _new(self, name: str) -> Kind | None:
        if len(self._kinds) >= self.settings.kinds_max:
            self.refused += 1
            return None
        kind = self._kinds[name] = Kind(name, Course((), ()))
        return kind

    def _admit(self, kind: Kind, template: int) -> bool:
        admitted = kind.admit(template, self.settings.templates_max)
        self.refused += not admitted
        return admitted

    def _course(self, kind: Kind, templates: tuple[int, ...], recent: tuple[int, ...]) -> Course:
        """The one object for a course."""
        found = self._courses.get((kind.name, templates, recent))
        return found or self._enter(kind, Course(templates, recent))

    def _enter(self, kind: Kind, course: Course) -> Course:
        place = kind.name, course.templates, course.recent
        found = self._courses.setdefault(place, course)
        self._courses_bytes += course.nbytes if found is course else 0
        return found

    def _entered(self, key: Key) -> Course:
        """The course of an identifier, sure to be in the table: only those lead anywhere, so that all is forgotten with it."""
        if self._courses_bytes > self._courses_bytes_max:
            self._unlink()
        key.course = self._enter(key.kind, key.course)
        return key.course

    def _unlink(self) -> None:
        for course in self._courses.values():
            course.unlink()
        self._courses, self._courses_bytes = {}, 0

    def _on(self, key: Key, template: int) -> Course:
        """Where a template leads from an identifier's course, asked for the first time."""
        course = self._entered(key)
        templates, recent = course.templates, course.recent
        known = template in templates
        after = self._course(
            key.kind,
            templates if known else (*templates, template),
            recent if template in recent else (*recent, template),
        )
        (course.again if known else course.first)[template] = after
        return after

    def _rested(self, key: Key) -> Course:
        course = self._entered(key)
        found = course.rested = self._course(key.kind, course.templates, ())
        return found

    def merge(self, merged: Mapping[int, int]) -> None:
        """Templates turned out to be others: each number is to stand for another from now on."""
        if not merged:
            return
        for kind in self._kinds.values():
            kind.merge(merged)
        self._unlink()
        for key in (*self._open.values(), *self._resting.values()):
            course = key.course
            if not merged.keys().isdisjoint(course.templates):
                templates, recent = (
                    tuple(dict.fromkeys(merged.get(t, t) for t in each))
                    for each in (course.templates, course.recent)
                )
                key.course = self._course(key.kind, templates, recent)

    def known(self, kind: str) -> tuple[float, int]:
        """How many identifiers of a kind are known, and how often one came to rest."""
        found = self._kinds[kind]
        return found.known, found.rests

    def step(self, now_ms: int) -> list[Odd]:
        """Lay to rest what has been idle for long; gives the verdicts that this makes due."""
        odd: list[Odd] = []
        opened, before_ms = self._open, now_ms - self.settings.idle_ms
        while opened:
            key = opened.first()
            if key.last_ms > before_ms and len(opened) <= self.settings.open_max:
                break
            odd += self._rest(key)
        return odd

    def finish(self) -> list[Odd]:
        """The input is over: everything rests."""
        return [odd for key in list(self._open.values()) for odd in self._rest(key)]

    def _rest(self, key: Key) -> Sequence[Odd]:
        kind, course, resting = key.kind, key.course, self._resting
        del self._open[key.place]
        key.place = resting.next = place = resting.next + 1
        resting[place] = key
        key.resting = True
        if len(resting) > self.settings.resting_max:
            forgotten = resting.first()
            del resting[forgotten.place]
            forgotten.resting = False
            del forgotten.kind.keys[forgotten.value]
        if not course.rests:
            kind.unlearnt.append(course)
        course.rests += 1
        kind.rests += 1
        kind.steps += 1
        if kind.known >= self.settings.memory:
            kind.halve()
        if kind.known < self.settings.known_min:
            kind.waiting[key.value] = None
            return ()
        if kind.waiting:
            waiting, kind.waiting = kind.waiting | {key.value: None}, {}
            keys = [kind.keys[value] for value in waiting if value in kind.keys]
            return [odd for each in keys for odd in self._judge(each)]
        if kind.steps < course.usual_until and key.resting:
            key.line, key.kept = "", False
            return ()
        return self._judge(key)

    def _judge(self, key: Key) -> Sequence[Odd]:
        # One that goes on meanwhile is judged when it rests again.
        if not key.resting:
            return ()
        kind, line = key.kind, key.line
        key.line, key.kept = "", False
        verdict = None if key.told else kind.judge(key.course, self.settings)
        if verdict is None:
            return ()
        key.told = True
        self.odd_total += 1
        return (Odd(kind.name, key.value, key.last_ms, *verdict, line=line),)

    def save(self) -> dict[str, Any]:
        """Plain JSON values."""
        for kind in self._kinds.values():
            kind.learn()
        return {
            "kinds": [
                [
                    name,
                    kind.known,
                    list(kind.met.items()),
                    [[template, list(others.items())] for template, others in kind.beside.items()],
                    list(kind.waiting),
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
        self._unlink()
        self._kinds = {}
        for name, known, met, beside, waiting, *rests in saved["kinds"]:
            kind = self._kinds[name] = Kind(name, Course((), ()))
            kind.known, kind.met = known, dict(met)
            kind.beside = {template: dict(others) for template, others in beside}
            kind.waiting = dict.fromkeys(waiting)
            kind.rests = rests[0] if rests else 0
        self._open, self._resting = Queue(), Queue()
        for plain in saved["open"]:
            self._open.add(self._key(plain))
        for plain in saved["resting"]:
            key = self._key(plain)
            key.resting = True
            self._resting.add(key)
        self.odd_total, self.refused, *due = saved["totals"]
        self._due_ms = due[0] if due else 0

    def _key(self, plain: list[Any]) -> Key:
        name, value, last_ms, templates, recent, told, *line = plain
        kind = self._kinds[name]
        course = self._course(kind, tuple(templates), tuple(recent))
        key = kind.keys[value] = new_key(kind, value, last_ms)
        key.course, key.told = course, told
        key.line, key.kept = line or ("", False)
        return key


def _plain(key: Key) -> list[Any]:
    course = key.course
    templates, recent = list(course.templates), list(course.recent)
    return [key.kind.name, key.value, key.last_ms, templates, recent, key.told, key.line, key.kept]
