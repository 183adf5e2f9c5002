"""One objective's counts, and what they say: attained, left, burning, spent in."""

from __future__ import annotations

from typing import Any

import numpy as np

from detectors.rows import Array
from detectors.slo_rings import BAD, FRESH, TOTAL, UNTOLD, Rings
from detectors.slo_rules import PAIRS, Pair, Verdict, burn_rate, remaining, scaled, spent_in
from model.batch import Floats
from model.slo import Burn, Objective, SloState

EVENTS_MAX = 1e12
"""More within one scrape is no count."""
_PLOT_POINTS = 180
_INTERVAL_STEP = 0.2


class Budget:
    """What was counted for an objective, and which pair of windows burns.

    Attributes
    ----------
    since_ms, latest_ms : int
        Event times of the first and the latest data; 0 where there was none.
    active : int or None
        The fastest pair that burns.
    beneath : bool
        The slow page was telling when the fast one began: what follows is its news, too.
    spent_ms : int
        When the budget was found spent; 0 where it is not.
    """

    def __init__(self, objective: Objective) -> None:
        self.objective = objective
        self.rings = Rings(objective.scale, objective.window_ms)
        self.since_ms = self.latest_ms = self.judged_ms = self.spent_ms = 0
        self.interval_ms = 0.0
        self.active: int | None = None
        self.beneath = False
        self.bound_s: float | None = None

    def count(self, time_ms: int, total: float, bad: float) -> None:
        """Count events; what a pair has told before is no news to slower pairs."""
        # The past of one target may be learnt after another's present.
        self.since_ms = min(self.since_ms or time_ms, time_ms)
        if self.latest_ms and time_ms > self.latest_ms:
            gap = float(time_ms - self.latest_ms)
            bound = _INTERVAL_STEP * self.interval_ms
            step = min(max(gap - self.interval_ms, -bound), bound)
            self.interval_ms = self.interval_ms + step if self.interval_ms else gap
        self.latest_ms = max(self.latest_ms, time_ms)
        if max(total, abs(bad)) > EVENTS_MAX:
            return  # a counter gone wild; sums of such numbers would be no numbers any more
        if total or bad:
            fast = self.active == 0 and not self.beneath
            paged = self.active in (0, 1)
            fields = (total, bad, 0.0 if fast else bad, 0.0 if paged else bad)
            self.rings.add(time_ms, np.array(fields))

    def due(self, now_ms: int) -> bool:
        """Whether it is time to look again: half a slot of the finest ring, if anything was counted."""
        return bool(self.since_ms) and now_ms - self.judged_ms >= self.rings.rings[0].step_ms // 2

    def windows(self, pair: Pair) -> tuple[int, int]:
        """A pair's windows here."""
        return scaled(pair, self.objective.scale, self.interval_ms)

    def tell(self, at: int, end_ms: int) -> None:
        """A pair begins to tell: the failures that made it do so are told to slower ones."""
        self.beneath = at == 0 and self.active == 1
        fields = (FRESH, UNTOLD)[self.beneath :] if at == 0 else (UNTOLD,) if at == 1 else ()
        self.rings.clear(end_ms, self.windows(PAIRS[at])[0], fields)

    def look(self, pair: Pair, end_ms: int) -> Verdict:
        """How fast a pair's windows burn."""
        long_ms, short_ms = self.windows(pair)
        seen_ms, budget = end_ms - self.since_ms, self.objective.budget
        long, short = self.rings.sum(end_ms, long_ms), self.rings.sum(end_ms, short_ms)
        return Verdict(
            burn_rate(long, pair.field, window_ms=long_ms, seen_ms=seen_ms, budget=budget),
            burn_rate(short, pair.field, window_ms=short_ms, seen_ms=seen_ms, budget=budget),
            float(long[pair.field]),
            float(short[pair.field]),
        )

    def _window(self, end_ms: int) -> Floats:
        return self.rings.rings[-1].sum(end_ms, self.objective.window_ms)

    def left(self, end_ms: int) -> float:
        """Share of the budget left."""
        return remaining(
            self._window(end_ms),
            window_ms=self.objective.window_ms,
            seen_ms=end_ms - self.since_ms,
            budget=self.objective.budget,
        )

    def attained(self, end_ms: int) -> float | None:
        """Share that was good; None where nothing was counted."""
        counts = self._window(end_ms)
        if counts[TOTAL] <= 0:
            return None
        return 1.0 - min(max(float(counts[BAD]) / float(counts[TOTAL]), 0.0), 1.0)

    def failures(self, end_ms: int) -> float:
        """Failures in the window."""
        return max(0.0, float(self._window(end_ms)[BAD]))

    def state(self, end_ms: int, firing: str) -> SloState:
        """All of it as a value."""
        if not self.since_ms:
            return SloState(self.objective, end_ms)
        # Whatever was told already: this is what people read, not what decides.
        plain = [Pair(p.factor, p.long_ms, p.short_ms, p.severity, BAD) for p in PAIRS]
        seen = [self.look(pair, end_ms) for pair in plain]
        burns = tuple(
            Burn(p.factor, *self.windows(p), v.long, v.short, p.severity.value)
            for p, v in zip(PAIRS, seen, strict=True)
        )
        left = self.left(end_ms)
        gone, soonest, latest = spent_in(
            left, seen[0].long, seen[0].long_bad, self.objective.window_ms
        )
        numbers, cells = self.rings.rings[-1].slots(end_ms, 720)
        step_ms = self.rings.rings[-1].step_ms
        first = int(np.searchsorted(numbers, self.since_ms // step_ms))
        times_ms, shown = self._burned_down(numbers[first:], cells[first:], end_ms)
        used = cells[:, TOTAL] > 0
        return SloState(
            self.objective,
            end_ms,
            self.since_ms,
            float(cells[:, TOTAL].sum()),
            max(0.0, float(cells[:, BAD].sum())),
            self.attained(end_ms),
            left,
            burns,
            firing,
            gone,
            soonest,
            latest,
            self.bound_s if self._elsewhere() else None,
            times_ms,
            shown,
            tuple((numbers[used] * step_ms).tolist()),
            tuple(cells[used, TOTAL].tolist()),
            tuple(np.clip(cells[used, BAD], 0.0, None).tolist()),
        )

    def _elsewhere(self) -> bool:
        """Whether the histogram has no bound at the threshold."""
        wanted = self.objective.threshold_ms / 1000.0
        return self.bound_s is not None and abs(self.bound_s - wanted) > 1e-6 * wanted

    def _burned_down(
        self, numbers: Array, cells: Floats, end_ms: int
    ) -> tuple[tuple[int, ...], tuple[float, ...]]:
        """The budget left after each slot of the window: it ends at what is left now."""
        total = float(cells[:, TOTAL].sum())
        if total <= 0:
            return (), ()
        step_ms = self.rings.rings[-1].step_ms
        seen = min(1.0, max(end_ms - self.since_ms, 0) / self.objective.window_ms)
        left = 1.0 - np.cumsum(cells[:, BAD]) / total * seen / self.objective.budget
        every = max(1, -(-len(left) // _PLOT_POINTS))
        at = np.arange(len(left))[::-every][::-1]
        times_ms = np.minimum((numbers[at] + 1) * step_ms, end_ms)
        begin_ms = max(self.since_ms, int(numbers[0]) * step_ms)
        return (begin_ms, *times_ms.tolist()), (1.0, *np.round(left[at], 6).tolist())

    def save(self) -> tuple[Array, list[Any]]:
        """Cells, and the rest as plain JSON values; the name is first."""
        cells, newest = self.rings.save()
        rest = [
            *(self.objective.name, self.objective.measures, newest, self.since_ms, self.latest_ms),
            *(self.judged_ms, self.spent_ms, self.interval_ms, self.active, self.bound_s),
            self.beneath,
        ]
        return cells, rest

    def load(self, cells: Array, rest: list[Any]) -> None:
        """Take over what `save` gave, if it was counted the same way."""
        measures, newest, *kept = rest[1:]
        if measures != self.objective.measures:
            return
        self.rings.load(cells, newest)
        self.since_ms, self.latest_ms, self.judged_ms, self.spent_ms, self.interval_ms = kept[:5]
        active, self.bound_s = kept[5:7]
        self.active = active if active is None or 0 <= active < len(PAIRS) else None
        self.beneath = bool(kept[7]) if len(kept) > 7 else False
