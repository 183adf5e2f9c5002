"""What every collector offers, and how it says what is wrong with a source."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from model.batch import LogBatch, MetricBatch
from model.reason import Reason

Counters = dict[str, int | float]
"""Values by full metric name, or by `name{label="value"}`; `collectors.metrics` has kinds and help."""


@dataclass(frozen=True, slots=True)
class SourceProblem:
    """Something that is wrong with a source; one per source and kind however often it happens.

    Attributes
    ----------
    source : str
        Target, file or feed.
    kind : str
        "scrape", "syntax", "limit", "permission", "discovery", …
    reason : Reason
        What was met first: where, what was expected, what came.
    count : int
        How often since.
    since_ms : int
        When it was met first.
    """

    source: str
    kind: str
    reason: Reason
    count: int
    since_ms: int


class Collector(Protocol):
    """Hands over what has arrived; never blocks long, never raises for the world's failures."""

    def poll(self, now_ms: int) -> list[MetricBatch | LogBatch]:
        """What has arrived since the last call."""
        ...

    @property
    def problems(self) -> Problems:
        """What is wrong now, by source and kind."""
        ...

    def counters(self) -> Counters:
        """Running totals and gauges by metric name."""
        ...


class Problems:
    """Remembers what is wrong, once per source and kind, at most `problems_max` of them.

    Examples
    --------
    >>> from model.reason import because
    >>> problems = Problems()
    >>> for _ in range(3):
    ...     problems.note("app.log", "permission", because("not readable"), now_ms=5)
    >>> [(p.source, p.count) for p in problems.all()], len(problems.fresh()), len(problems.fresh())
    ([('app.log', 3)], 1, 0)
    """

    def __init__(self, problems_max: int = 1_000) -> None:
        self.problems_max = problems_max
        self._known: dict[tuple[str, str], SourceProblem] = {}
        self._fresh: list[tuple[str, str]] = []

    def note(self, source: str, kind: str, reason: Reason, *, now_ms: int, times: int = 1) -> None:
        """Something went wrong, `times` times."""
        key = (source, kind)
        known = self._known.get(key)
        if known is not None:
            self._known[key] = replace(known, count=known.count + times)
        elif len(self._known) < self.problems_max:
            self._known[key] = SourceProblem(source, kind, reason, times, now_ms)
            self._fresh.append(key)

    def mend(self, source: str, kind: str) -> None:
        """The source is well again in this respect; a relapse is reported anew."""
        self._known.pop((source, kind), None)

    def forget(self, source: str) -> None:
        """The source is gone."""
        for key in [key for key in self._known if key[0] == source]:
            del self._known[key]

    def all(self) -> list[SourceProblem]:
        """What is wrong now, in the order it was met."""
        return list(self._known.values())

    def fresh(self) -> list[SourceProblem]:
        """What was met since the last call: to be said once."""
        fresh = [self._known[key] for key in self._fresh if key in self._known]
        self._fresh = []
        return fresh
