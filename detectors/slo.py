"""Objectives: good and bad events are counted, and a budget that burns too fast is told.

Counts come from what is derived anyway ("requests", "latency"), or from counters and probes named in
slo.yaml. The rules are in `slo_rules`, the rings in `slo_rings`, the words in `slo_words`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from detectors.alerting import Entry, Lasting
from detectors.rows import Array
from detectors.slo_objective import Budget
from detectors.slo_rules import HOUR_MS, PAIRS, Verdict, burns
from detectors.slo_sources import Sources
from detectors.slo_words import METHOD, burn_alert, spent_alert
from detectors.watcher import Watcher
from model.alert import Alert, Severity
from model.batch import Floats, Ints
from model.reason import because
from model.slo import Objective, SloState

if TYPE_CHECKING:
    from detectors.derive import Family
    from detectors.judge import Judge

LAG_MS = 120_000
"""Windows end at the latest event; so long after it they go on, and drain."""
PUBLISH_MS = 10_000
PUBLISHED_AT_ONCE = 16
REARM_AT = 0.1
_AT_ONCE = Lasting(0, 1, 0, 1)
_CRITICAL, _WARNING, _SPENT, _PER_OBJECTIVE = 0, 1, 2, 4


class Slos(Watcher):
    """Error budgets of all objectives.

    Parameters
    ----------
    judge : Judge
        Tells, and knows the labels of rows.
    objectives : tuple of Objective
        With different names.
    """

    name = "slo"
    methods = frozenset({METHOD})

    def __init__(self, judge: Judge, objectives: tuple[Objective, ...]) -> None:
        self._judge = judge
        self._budgets = {n: Budget(objective) for n, objective in enumerate(objectives)}
        self._sources = Sources(self._budgets, judge.index)
        self._states: dict[int, SloState] = {}
        self._stated_ms: dict[int, int] = {}
        self._published: tuple[SloState, ...] = ()
        self.wants_samples = self.wants_plain = self._sources.wants_samples

    def slos(self) -> tuple[SloState, ...]:
        """How all objectives stood a few seconds ago; may be asked from any thread."""
        return self._published

    def samples(self, rows: Array, times_ms: Ints, values: Floats, now_ms: int) -> None:
        """Raw samples: counters and probes that objectives name."""
        self._sources.samples(rows, times_ms, values)

    def sums(
        self, family: str, groups: Family, of: Ints, times_ms: Ints, sums: Floats, now_ms: int
    ) -> None:
        """Requests and latencies of services."""
        self._sources.sums(family, groups, of, times_ms, sums)

    def learn(self, at_ms: int) -> None:
        """The past fills the rings, and nobody is told of it."""
        self._sources.settle(at_ms)

    def step(self, now_ms: int) -> None:
        """Judge what has news, and publish what stands."""
        self._sources.settle(now_ms)
        for number, budget in self._budgets.items():
            if budget.due(now_ms):
                self._judge_one(number, budget, now_ms)
        due = [
            n for n in self._budgets if now_ms - self._stated_ms.get(n, -PUBLISH_MS) >= PUBLISH_MS
        ]
        # Hundreds of objectives are not all described within one step.
        most = max(PUBLISHED_AT_ONCE, len(self._budgets) // 8)
        self._publish(due[:most] if self._published else due, now_ms)

    def _publish(self, numbers: list[int], now_ms: int) -> None:
        for number in numbers:
            budget = self._budgets[number]
            self._states[number] = budget.state(self._end(budget, now_ms), self._firing(number))
            self._stated_ms[number] = now_ms
        if numbers:
            self._published = tuple(self._states[number] for number in self._budgets)

    def _firing(self, number: int) -> str:
        for level, severity in ((_CRITICAL, Severity.CRITICAL), (_WARNING, Severity.WARNING)):
            entry = self._judge.alerting.entry((METHOD, number * _PER_OBJECTIVE + level))
            if entry is not None and entry.firing:
                return severity.value
        return ""

    @staticmethod
    def _end(budget: Budget, now_ms: int) -> int:
        return max(budget.latest_ms, now_ms - LAG_MS)

    def _judge_one(self, number: int, budget: Budget, now_ms: int) -> None:
        """Look at every pair; the fastest that burns is the alert."""
        end_ms = self._end(budget, now_ms)
        budget.judged_ms = now_ms
        before = budget.active
        seen = [budget.look(pair, end_ms) for pair in PAIRS]
        burning = [
            at
            for at, (pair, found) in enumerate(zip(PAIRS, seen, strict=True))
            if self._told(budget.objective, pair.severity)
            and burns(
                pair,
                found,
                errors_min=budget.objective.errors_min,
                firing=before is not None and PAIRS[before].severity is pair.severity,
            )
        ]
        fastest = burning[0] if burning else None
        if fastest is not None and fastest != before:
            budget.tell(fastest, end_ms)
        budget.active = fastest
        if before != budget.active or burning:
            self._tell(number, budget, seen, end_ms, now_ms)
        elif self._firing(number):  # adopted, or of a configuration before
            self._tell(number, budget, seen, end_ms, now_ms)
        self._tell_spent(number, budget, end_ms, now_ms)

    @staticmethod
    def _told(objective: Objective, severity: Severity) -> bool:
        return objective.page if severity is Severity.CRITICAL else objective.ticket

    def _tell(
        self, number: int, budget: Budget, seen: list[Verdict], end_ms: int, now_ms: int
    ) -> None:
        alerting = self._judge.alerting
        at = budget.active
        critical = (METHOD, number * _PER_OBJECTIVE + _CRITICAL)
        warning = (METHOD, number * _PER_OBJECTIVE + _WARNING)

        def describe(entry: Entry) -> Alert:
            shown = at if at is not None else max(range(len(PAIRS)), key=lambda i: _worst(seen, i))
            pair, left = PAIRS[shown], budget.left(end_ms)
            return burn_alert(
                budget.objective, pair, budget.windows(pair), seen[shown].long or 0.0, left, budget.rings,
                since_ms=entry.since_ms, seen_since_ms=budget.since_ms, end_ms=end_ms,
            )  # fmt: skip

        if at is not None and PAIRS[at].severity is Severity.CRITICAL:
            if alerting.entry(warning) is not None:
                why = because("it burns fast now, which is told as critical")
                alerting.resolve(warning, end_ms, now_ms=now_ms, why=why)
            peak = seen[at].long or 0.0
            alerting.abnormal(
                critical, end_ms, now_ms=now_ms, lasting=_AT_ONCE, peak=peak, describe=describe
            )
            return
        alerting.normal(critical, end_ms, now_ms=now_ms, lasting=_AT_ONCE, describe=describe)
        if at is None:
            alerting.normal(warning, end_ms, now_ms=now_ms, lasting=_AT_ONCE, describe=describe)
        else:
            peak = seen[at].long or 0.0
            alerting.abnormal(
                warning, end_ms, now_ms=now_ms, lasting=_AT_ONCE, peak=peak, describe=describe
            )

    def _tell_spent(self, number: int, budget: Budget, end_ms: int, now_ms: int) -> None:
        """Told once when the budget runs out; it stays spent for weeks, the alert does not."""
        left, key = budget.left(end_ms), (METHOD, number * _PER_OBJECTIVE + _SPENT)
        attained = budget.attained(end_ms)
        told = budget.spent_ms > 0
        if not told and left <= 0.0 and budget.failures(end_ms) >= budget.objective.errors_min:
            budget.spent_ms = end_ms
            if budget.objective.ticket:

                def describe(entry: Entry) -> Alert:
                    return spent_alert(
                        budget.objective, attained or 0.0, since_ms=entry.since_ms, end_ms=end_ms
                    )

                self._judge.alerting.abnormal(
                    key, end_ms, now_ms=now_ms, lasting=_AT_ONCE, peak=0.0, describe=describe
                )
        elif told and left >= REARM_AT:
            budget.spent_ms = 0
        if self._judge.alerting.entry(key) is None or budget.active is not None:
            return
        if end_ms - budget.spent_ms >= HOUR_MS * budget.objective.scale:
            why = because("the budget stays spent, and no longer burns; it was told")
            self._judge.alerting.resolve(key, end_ms, now_ms=now_ms, why=why)

    def housekeep(self, key: tuple[str, int], entry: Entry, now_ms: int) -> None:
        """End an alert of an objective that is in the configuration no more."""
        if key[1] // _PER_OBJECTIVE not in self._budgets:
            why = because("its objective is not configured any more")
            self._judge.alerting.resolve(key, entry.seen_ms, now_ms=now_ms, why=why)

    def forget(self, rows: Array) -> None:
        """These rows go to other series."""
        self._sources.forget(rows)

    def counters(self) -> dict[str, float]:
        """What `metrics.METRICS` names."""
        found: dict[str, float] = {}
        for state in self._published:
            mine = state.objective
            labels = f'{{objective="{mine.name}",service="{mine.service}"}}'
            found[f"tocsin_slo_objective_ratio{labels}"] = 1.0 - mine.budget
            found[f"tocsin_slo_error_budget_remaining_ratio{labels}"] = state.remaining
            found[f"tocsin_slo_events{labels}"] = state.total
            found[f"tocsin_slo_bad_events{labels}"] = state.bad
            if state.attained is not None:
                found[f"tocsin_slo_attained_ratio{labels}"] = state.attained
            if state.burn is not None:
                found[f"tocsin_slo_burn_rate{labels}"] = state.burn
        return found

    @property
    def nbytes(self) -> int:
        """Bytes held in arrays."""
        return sum(b.rings.nbytes for b in self._budgets.values()) + self._sources.nbytes

    def save(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Arrays by name, and the rest as plain JSON values."""
        saved = [budget.save() for budget in self._budgets.values()]
        arrays = {"cells": np.stack([cells for cells, _ in saved])} if saved else {}
        state = {
            "budgets": [[number, *rest] for number, (_, rest) in zip(self._budgets, saved, strict=True)],
            "sources": self._sources.save(),
            "stated_ms": list(self._stated_ms.items()),
        }  # fmt: skip
        return arrays, state

    def load(self, arrays: dict[str, Array], state: dict[str, Any]) -> None:
        """Take over what `save` gave: counts of objectives that still measure the same."""
        kept = {rest[0]: (at, number, rest) for at, (number, *rest) in enumerate(state.get("budgets", ()))}  # fmt: skip
        numbered: dict[int, Budget] = {}
        following = 1 + max((number for _, number, _ in kept.values()), default=-1)
        for budget in list(self._budgets.values()):
            found = kept.get(budget.objective.name)
            if found is None:
                number, following = following, following + 1
            else:
                number = found[1]
                budget.load(arrays["cells"][found[0]], found[2])
            numbered[number] = budget
        self._budgets.clear()
        self._budgets.update(numbered)
        self._sources.load(state.get("sources", {}), set(numbered))
        stated = {n: at for n, at in state.get("stated_ms", ()) if n in numbered}
        self._states, self._stated_ms, self._published = {}, {}, ()
        if stated:
            self._publish(list(numbered), max(stated.values()))
            self._stated_ms.update(stated)


def _worst(seen: list[Verdict], at: int) -> float:
    """How far beyond its factor a pair is."""
    return (seen[at].long or 0.0) / PAIRS[at].factor
