"""A fixed bound that a user wrote."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from detectors.rows import Array
from detectors.settings import ThresholdRule
from model.batch import Bools, Floats
from model.labels import Labels, matches_all

_COMPARE: dict[str, Callable[[Floats, float], Bools]] = {
    ">": np.greater,
    ">=": np.greater_equal,
    "<": np.less,
    "<=": np.less_equal,
    "==": np.equal,
    "!=": np.not_equal,
}


class Thresholds:
    """Which rules look at which rows.

    Examples
    --------
    >>> from model.labels import Matcher
    >>> rule = ThresholdRule("Deep", (Matcher.parse("__name__=queue_depth"),), ">", 100.0)
    >>> thresholds = Thresholds((rule,))
    >>> thresholds.add(5, Labels.of({"__name__": "queue_depth"}))
    >>> [(n, at.tolist(), over.tolist()) for n, at, over in thresholds.look(np.array([4, 5]), np.array([1., 101.]))]
    [(0, [1], [True])]
    """

    def __init__(self, rules: tuple[ThresholdRule, ...]) -> None:
        self.rules = rules
        self._watches: list[Bools] = [np.zeros(0, dtype=np.bool_) for _ in rules]

    def add(self, row: int, labels: Labels) -> None:
        """Meet a new series."""
        for number, rule in enumerate(self.rules):
            if matches_all(rule.matchers, labels):
                watched = self._watches[number]
                if row >= len(watched):
                    grown = np.zeros(max(64, 2 * row + 1), dtype=np.bool_)
                    grown[: len(watched)] = watched
                    self._watches[number] = watched = grown
                watched[row] = True

    def look(self, rows: Array, values: Floats) -> list[tuple[int, Array, Bools]]:
        """Per rule with rows here: its number, their positions, and which pass its bound."""
        found: list[tuple[int, Array, Bools]] = []
        for number, (rule, watched) in enumerate(zip(self.rules, self._watches, strict=True)):
            if not len(watched):
                continue
            known = rows < len(watched)
            at = np.flatnonzero(known & watched[np.where(known, rows, 0)])
            if len(at):
                found.append((number, at, _COMPARE[rule.op](values[at], rule.value)))
        return found

    def forget(self, rows: Array) -> None:
        """Rows go to other series."""
        for watched in self._watches:
            watched[rows[rows < len(watched)]] = False


def bounds(rule: ThresholdRule) -> tuple[float, float]:
    """The band a rule leaves normal, for the plot."""
    infinite = float("inf")
    if rule.op in (">", ">="):
        return -infinite, rule.value
    if rule.op in ("<", "<="):
        return rule.value, infinite
    return -infinite, infinite
