"""Where an objective's events come from: derived sums, named counters, probes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from detectors.roles import service_of
from detectors.rows import Array
from detectors.slo_objective import Budget
from model.batch import Floats, Ints
from model.labels import Labels, matches_all
from model.series import NAME, SeriesIndex
from model.slo import ObjectiveKind, parse_selector

if TYPE_CHECKING:
    from detectors.derive import Family

FORGET_MS = 3_600_000
"""What a group was at last is forgotten when it has not been heard of for so long."""
_FAMILIES = {ObjectiveKind.AVAILABILITY: "requests", ObjectiveKind.LATENCY: "latency"}
_UNKNOWN, _NOT_WANTED = -1, 0
_TOTAL, _GOOD, _BAD, _PROBE = "total", "good", "bad", "probe"

Key = tuple[int, Labels]
"""An objective and a group of a family."""
Use = tuple[int, str]
"""An objective and what a row is to it."""


class Sources:
    """Turns running totals into counts of the objectives' budgets.

    Parameters
    ----------
    budgets : dict of int to Budget
        By number; shared with the watcher, which may number them anew.
    """

    def __init__(self, budgets: dict[int, Budget], index: SeriesIndex) -> None:
        self._budgets = budgets
        self._index = index
        self._seen: dict[Key, tuple[int, float, float, int]] = {}  # time, total, bad, field
        self._values: dict[tuple[int, str, int], float] = {}
        self._pending: dict[int, list[float]] = {}  # time, total, bad
        self._swept_ms = 0
        self._bind()

    def _bind(self) -> None:
        """Find out again which objectives look at what."""
        self._by_service: dict[tuple[str, str], list[int]] = {}
        self._wanted: dict[int, list[tuple[str, Any]]] = {}
        for number, budget in self._budgets.items():
            mine = budget.objective
            if mine.kind is ObjectiveKind.PROBE:
                self._wanted[number] = [(_PROBE, None)]
            elif mine.total:
                named = ((_TOTAL, mine.total), (_GOOD, mine.good), (_BAD, mine.bad))
                self._wanted[number] = [(use, parse_selector(text)) for use, text in named if text]
            else:
                place = (_FAMILIES[mine.kind], mine.service)
                self._by_service.setdefault(place, []).append(number)
        self._groups: dict[tuple[str, int], list[int]] = {}
        self._of_row: Ints = np.zeros(0, dtype=np.int64)
        self._uses: list[tuple[Use, ...]] = [()]
        self._places: dict[tuple[Use, ...], int] = {(): _NOT_WANTED}

    @property
    def wants_samples(self) -> bool:
        """Whether raw samples are needed at all."""
        return bool(self._wanted)

    @property
    def nbytes(self) -> int:
        """Bytes held in arrays."""
        return int(self._of_row.nbytes)

    def sums(self, family: str, groups: Family, of: Ints, times_ms: Ints, sums: Floats) -> None:
        """Groups were summed up: count what was added to those of objectives."""
        if not any(name == family for name, _ in self._by_service):
            return
        for at, group in enumerate(of.tolist()):
            numbers = self._groups.get((family, group))
            if numbers is None:
                place = (family, service_of(groups.labels(group)))
                numbers = self._groups[family, group] = self._by_service.get(place, [])
            for number in numbers:
                self._add(number, groups, of[at : at + 1], int(times_ms[at]), sums[at])

    def _add(self, number: int, groups: Family, of: Ints, time_ms: int, sums: Floats) -> None:
        budget, labels = self._budgets[number], groups.labels(int(of[0]))
        field = 1
        if budget.objective.kind is ObjectiveKind.LATENCY:
            bounds = groups.bounds(of)[0]
            whole = np.flatnonzero(np.isposinf(bounds))
            chosen = bound_of(bounds, budget.objective.threshold_ms / 1000.0)
            if len(whole) == 0 or chosen is None:
                return
            field = chosen
            budget.bound_s = float(bounds[field])
            total = float(sums[whole[0]])
            bad = total - float(sums[field])
        else:
            total, bad = float(sums[0]), float(sums[1])
        before = self._seen.get((number, labels))
        self._seen[number, labels] = (time_ms, total, bad, field)
        if before is None or before[3] != field or total < before[1]:
            budget.count(time_ms, 0.0, 0.0)  # known from now on: nothing was added yet
            return
        grown = total - before[1]
        budget.count(time_ms, grown, min(max(bad - before[2], 0.0), grown))

    def samples(self, rows: Array, times_ms: Ints, values: Floats) -> None:
        """Raw samples, one a row: those of objectives are kept until `settle`."""
        if not self._wanted or len(rows) == 0:
            return
        top = int(rows.max())
        if top >= len(self._of_row):
            grown = np.full(max(64, 2 * top), _UNKNOWN, dtype=np.int64)
            grown[: len(self._of_row)] = self._of_row
            self._of_row = grown
        places = self._of_row[rows]
        if (places == _UNKNOWN).any():
            for row in rows[places == _UNKNOWN].tolist():
                self._of_row[row] = self._place_of(row)
            places = self._of_row[rows]
        for at in np.flatnonzero(places > _NOT_WANTED).tolist():
            for use in self._uses[places[at]]:
                self._take(use, int(rows[at]), int(times_ms[at]), float(values[at]))

    def _place_of(self, row: int) -> int:
        if not self._index.in_use(row):
            return _NOT_WANTED
        labels = self._index.labels(row)
        uses = tuple(
            (number, use)
            for number, wanted in self._wanted.items()
            for use, matchers in wanted
            if (self._probes(number, labels) if use == _PROBE else matches_all(matchers, labels))
        )
        if uses not in self._places:
            self._places[uses] = len(self._uses)
            self._uses.append(uses)
        return self._places[uses]

    def _probes(self, number: int, labels: Labels) -> bool:
        mine = self._budgets[number].objective
        named = mine.probe in ("", labels.get("probe", ""))
        return labels.get(NAME) == "probe_success" and service_of(labels) == mine.service and named

    def _take(self, use: Use, row: int, time_ms: int, value: float) -> None:
        number, what = use
        waiting = self._pending.setdefault(number, [0.0, 0.0, 0.0])
        waiting[0] = max(waiting[0], time_ms)
        if what == _PROBE:
            waiting[1] += 1.0
            waiting[2] += value <= 0.0
            return
        before = self._values.get((number, what, row))
        self._values[number, what, row] = value
        if before is None:
            return
        # A counter that fell began again; what it shows now was counted since (Prometheus' rule).
        grown = value - before if value >= before else max(value, 0.0)
        has_good = bool(self._budgets[number].objective.good)
        waiting[1] += grown if what == _TOTAL else 0.0
        if has_good:
            waiting[2] += grown if what == _TOTAL else -grown
        else:
            waiting[2] += grown if what == _BAD else 0.0

    def settle(self, now_ms: int) -> None:
        """Count what `samples` has gathered: good and total of one scrape belong together."""
        for number, (time_ms, total, bad) in sorted(self._pending.items()):
            self._budgets[number].count(int(time_ms), total, bad)
        self._pending.clear()
        if now_ms - self._swept_ms >= FORGET_MS // 4:
            self._swept_ms = now_ms
            old_ms = now_ms - FORGET_MS
            self._seen = {key: seen for key, seen in self._seen.items() if seen[0] >= old_ms}

    def forget(self, rows: Array) -> None:
        """These rows go to other series, and groups may be numbered anew."""
        self._groups.clear()
        known = rows[rows < len(self._of_row)]
        self._of_row[known] = _UNKNOWN
        if self._values:
            gone = set(rows.tolist())
            self._values = {k: value for k, value in self._values.items() if k[2] not in gone}

    def save(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "seen": [[n, list(map(list, ls.pairs)), *seen] for (n, ls), seen in self._seen.items()],
            "values": [[*key, value] for key, value in self._values.items()],
            "pending": [[number, *waiting] for number, waiting in self._pending.items()],
            "swept_ms": self._swept_ms,
        }

    def load(self, state: dict[str, Any], numbers: set[int]) -> None:
        """Take over what `save` gave, of the objectives that have these numbers."""
        self._bind()
        self._seen = {
            (n, Labels(tuple((name, value) for name, value in pairs))): (time_ms, total, bad, field)
            for n, pairs, time_ms, total, bad, field in state.get("seen", ())
            if n in numbers
        }
        self._values = {(n, w, r): v for n, w, r, v in state.get("values", ()) if n in numbers}
        self._pending = {n: waiting for n, *waiting in state.get("pending", ()) if n in numbers}
        self._swept_ms = state.get("swept_ms", 0)


def bound_of(bounds: Floats, threshold_s: float) -> int | None:
    """Which field counts requests within a threshold: the next bound at or above it, else the last finite.

    A request is called slow only if it surely was: between two bounds the benefit of the doubt is the service's.

    Examples
    --------
    >>> bounds = np.array([0.1, 0.5, np.inf, np.nan])
    >>> bound_of(bounds, 0.1), bound_of(bounds, 0.3), bound_of(bounds, 9.0)
    (0, 1, 1)
    """
    finite = np.flatnonzero(np.isfinite(bounds))
    if len(finite) == 0:
        return None
    within = finite[bounds[finite] >= threshold_s * (1 - 1e-9)]
    if len(within):
        return int(within[np.argmin(bounds[within])])
    return int(finite[np.argmax(bounds[finite])])
