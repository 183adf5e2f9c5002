"""What was learnt of one kind of identifier: how many met which template, and which templates come together.

Most identifiers of a kind go one of a few ways. A way is one `Course` for all that went it, so that a further line of
an identifier is a step from one course to the next, and what is found of one that rests holds for the next
ones that rest on the same course, until the counts can have changed enough.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from detectors.sequences import SequenceSettings

_FAR = 2**40  # steps that no verdict outlives
_FINEST = (
    2.0**20
)  # counts are multiples of its inverse, so that the order they are summed in does not matter


class Verdict(NamedTuple):
    """Which template is rare, or which is missing, and which share of the kind's identifiers is so, too."""

    rare: int | None
    missing: int | None
    share: float


class Course:
    """The templates that an identifier met, in the order it met them first; in all, and since it rested last.

    Attributes
    ----------
    again, first : dict of int to Course
        Where a template leads that was met before, and one that was not, as far as it has been asked.
    rested : Course or None
        Where it goes on after a rest, as far as it has been asked.
    rests : int
        How many came to rest here and are not yet counted in `Kind.beside`.
    usual_until : int
        The kind's step up to which nothing is unusual about it.
    """

    __slots__ = ("again", "first", "recent", "rested", "rests", "templates", "usual_until")

    def __init__(self, templates: tuple[int, ...], recent: tuple[int, ...]) -> None:
        self.templates, self.recent = templates, recent
        self.again: dict[int, Course] = {}
        self.first: dict[int, Course] = {}
        self.rested: Course | None = None
        self.rests = self.usual_until = 0

    @property
    def nbytes(self) -> int:
        """About what it takes, with its place in a table and the way to it."""
        return 1_000 + 16 * (len(self.templates) + len(self.recent))

    def unlink(self) -> None:
        """Forget where it leads."""
        self.again, self.first, self.rested = {}, {}, None


class Key:
    """An identifier that is followed, or rests.

    Attributes
    ----------
    line : str
        The last one, or one that few have (`kept`).
    place : int
        In its `Queue`.
    """

    __slots__ = ("course", "kept", "kind", "last_ms", "line", "place", "resting", "told", "value")

    kind: Kind
    value: str
    last_ms: int
    course: Course
    line: str
    told: bool
    kept: bool
    resting: bool
    place: int


def new_key(kind: Kind, value: str, last_ms: int) -> Key:
    """One that met nothing yet; a storm makes many, and a class's own way to make one takes three times as long."""
    key: Key = object.__new__(Key)
    key.kind, key.value, key.last_ms, key.course = kind, value, last_ms, kind.start
    key.line = ""
    key.told = key.kept = key.resting = False
    return key


class Queue(dict[int, Key]):
    """Identifiers that stand in line, by place. Who comes takes the place after `next`."""

    __slots__ = ("_first", "next")

    def __init__(self) -> None:
        super().__init__()
        self._first = self.next = 0

    def add(self, key: Key) -> None:
        """At the end."""
        self.next = key.place = self.next + 1
        self[key.place] = key

    def first(self) -> Key:
        """Who stands in front. A dict would look through all the places that became free, at each question."""
        place = self._first
        while (key := self.get(place)) is None:
            place += 1
        self._first = place
        return key


class Kind:
    """A kind of identifier.

    Attributes
    ----------
    known : float
        Identifiers that were ever met, the older ones counting less.
    met : dict of int to float
        Template to identifiers that met it.
    beside : dict of int to dict of int to float
        Of rests: with both templates, or with one; what `Course.rests` holds is to be added (`learn`).
    waiting : dict of str to None
        Values that rested while few were known.
    rests : int
        How often one came to rest.
    steps : int
        Goes up by one at least whenever one of the counts goes up by one.
    keys : dict of str to Key
        Those followed and those at rest, by value.
    """

    __slots__ = ("beside", "keys", "known", "met", "name", "rests", "start", "steps", "unlearnt", "waiting")  # fmt: skip

    def __init__(self, name: str, start: Course) -> None:
        self.name, self.start = name, start
        self.known = 0.0
        self.met: dict[int, float] = {}
        self.beside: dict[int, dict[int, float]] = {}
        self.waiting: dict[str, None] = {}
        self.rests = self.steps = 0
        self.keys: dict[str, Key] = {}
        self.unlearnt: list[Course] = []

    def admit(self, template: int, most: int) -> bool:
        """Whether there is room for a template that no identifier of the kind has met so far."""
        if len(self.met) >= most:
            return False
        # Courses that hold it, from before its count was halved away, begin to count.
        self.learn()
        self.steps += _FAR
        self.met[template] = 0.0
        return True

    def learn(self) -> None:
        """Count what those that came to rest had met together."""
        for course in self.unlearnt:
            recent = [template for template in course.recent if template in self.met]
            for template in recent:
                others = self.beside.setdefault(template, {})
                for other in recent:
                    others[other] = others.get(other, 0.0) + course.rests
            course.rests = 0
        self.unlearnt = []

    def halve(self) -> None:
        """Let what was learnt count half."""
        self.learn()
        self.steps += _FAR
        self.known = _half(self.known)
        self.met = {template: _half(n) for template, n in self.met.items() if n >= 1}
        self.beside = {
            a: {b: _half(n) for b, n in others.items() if b in self.met}
            for a, others in self.beside.items()
            if a in self.met
        }

    def merge(self, merged: Mapping[int, int]) -> None:
        """Templates are others: an identifier that met both met one, so the greater count is kept."""
        self.learn()
        if merged.keys().isdisjoint(self.met):
            return
        self.steps += _FAR
        self.met = _joined(self.met, merged)
        beside: dict[int, dict[int, float]] = {}
        for template, others in self.beside.items():
            into = beside.setdefault(merged.get(template, template), {})
            for other, n in _joined(others, merged).items():
                into[other] = max(into.get(other, 0.0), n)
        self.beside = beside

    def judge(self, course: Course, settings: SequenceSettings) -> Verdict | None:
        """What is unusual about an identifier on a course: the rarest template, or one that is missing.

        Where nothing is, `Course.usual_until` is set: each step changes each count by one at most, so the verdict
        holds for as many steps as the nearest of the counts is away from its bound.
        """
        met = [(self.met[t] / self.known, t) for t in course.templates if t in self.met]
        share, rare = min(met, default=(1.0, -1))
        if share < settings.rare_share:
            return Verdict(rare, None, share)
        lasts = share * self.known / settings.rare_share - self.known if met else _FAR
        # A single line is no course of events that something could be missing from.
        if len(course.recent) > 1:
            self.learn()
            found = self._missing(course, settings)
            if isinstance(found, Verdict):
                return found
            lasts = min(lasts, found)
        course.usual_until = self.steps + max(0, int(lasts) - 2)
        return None

    def _missing(self, course: Course, settings: SequenceSettings) -> Verdict | float:
        """The first template that is missing, or for how many steps none will be."""
        lasts, least = float(_FAR), settings.missing_share
        for template in course.recent:
            others = self.beside.get(template, {})
            of = others.get(template, 0.0)
            if of < settings.companions_min:
                lasts = min(lasts, settings.companions_min - of)
                continue
            lasts = min(lasts, of / least - of)
            for other, n in others.items():
                # What it met before it need not meet again.
                if other not in course.templates:
                    share = (of - n) / of
                    if share < least:
                        return Verdict(None, other, share)
                    # Whoever meets the other one beside it is one more of them, too: `of` - `n` never falls.
                    lasts = min(lasts, (of - n) / least - of)
        return lasts


def _half(count: float) -> float:
    return count / 2 * _FINEST // 1 / _FINEST


def _joined(counts: Mapping[int, float], merged: Mapping[int, int]) -> dict[int, float]:
    joined: dict[int, float] = {}
    for template, n in counts.items():
        into = merged.get(template, template)
        joined[into] = max(joined.get(into, 0.0), n)
    return joined
