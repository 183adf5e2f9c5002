"""Service level objectives: what is promised, what of it is kept, and how fast the rest is used up."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from model.errors import LabelError
from model.labels import Matcher, MatchOp
from model.units import Milliseconds, format_duration

MINUTE_MS = 60_000
DAY_MS = 86_400_000
MONTH_MS = 30 * DAY_MS

OBJECTIVES_MAX = 500
"""Objectives of one configuration; each holds about 60 KB of counts."""

_NAME = re.compile(r'[^"\\{}\x00-\x1f]{1,100}')
_SELECTOR = re.compile(r"\s*(?P<name>[a-zA-Z_:][\w:.]*)?\s*(?:\{(?P<rest>.*)\})?\s*", re.DOTALL)
_COMMA = re.compile(r'((?:[^,"]|"(?:[^"\\]|\\.)*")+)(?:,|$)')


class ObjectiveKind(StrEnum):
    """What counts as a failure."""

    AVAILABILITY = "availability"  # a request that failed
    LATENCY = "latency"  # a request that took longer than the threshold
    PROBE = "probe"  # a probe from outside that failed


@dataclass(frozen=True, slots=True)
class Objective:
    """One promise; `service` is all that it needs.

    Attributes
    ----------
    service : str
        Whose requests count.
    name : str
        Unique; without one it is the service and the kind, "checkout-availability".
    kind : ObjectiveKind
        What fails: requests (availability), slow requests (latency), probes from outside (probe).
    objective : float
        Per cent that must be good, such as 99.9.
    window_ms : duration
        Over which it is promised, 1d to 90d; alerts of windows shorter than 28d look at shorter spans.
    threshold_ms : duration
        Kind latency: a slower request is a failure. Counted at the histogram's next bound.
    total, good, bad : str
        Count these counters instead (kind availability), each a Prometheus selector such as
        `shop_orders_total{region="eu"}`; `total` with either `good` or `bad`.
    probe : str
        Kind probe: only the probe of this name; empty takes all of the service.
    errors_min : int
        No alert below so many failures within its longer window.
    page : bool
        Alert (critical) where the budget burns fast.
    ticket : bool
        Alert (warning) where it burns slowly, or is spent.
    description : str
        For people.
    """

    service: str
    name: str = ""
    kind: ObjectiveKind = ObjectiveKind.AVAILABILITY
    objective: float = 99.9
    window_ms: Milliseconds = MONTH_MS
    threshold_ms: Milliseconds = 0
    total: str = ""
    good: str = ""
    bad: str = ""
    probe: str = ""
    errors_min: int = 10
    page: bool = True
    ticket: bool = True
    description: str = ""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.service):
            raise ValueError("service must be 1 to 100 letters without quotes or braces")
        if not self.name:
            tail = format_duration(self.threshold_ms) if self.threshold_ms else ""
            parts = (self.service, str(self.kind), tail or self.probe)
            object.__setattr__(self, "name", "-".join(filter(None, parts)))
        if not _NAME.fullmatch(self.name):
            raise ValueError("name must be 1 to 100 letters without quotes or braces")
        if not 0.0 < self.objective < 100.0:
            raise ValueError("objective must lie between 0 and 100 per cent, such as 99.9")
        if self.objective <= 1.0:
            raise ValueError(f"objective is in per cent: write {100 * self.objective:g}")
        if not DAY_MS <= self.window_ms <= 3 * MONTH_MS:
            raise ValueError("window must lie between 1d and 90d")
        if self.errors_min < 1:
            raise ValueError("errors_min must be at least 1")
        self._check_kind()

    def _check_kind(self) -> None:
        latency = self.kind is ObjectiveKind.LATENCY
        if latency and self.threshold_ms <= 0:
            raise ValueError('kind latency needs a "threshold" such as 300ms')
        if self.threshold_ms and not latency:
            raise ValueError("threshold is for the kind latency only")
        if self.probe and self.kind is not ObjectiveKind.PROBE:
            raise ValueError("probe is for the kind probe only")
        for key in ("total", "good", "bad"):
            if text := getattr(self, key):
                if self.kind is not ObjectiveKind.AVAILABILITY:
                    raise ValueError(f"{key} is for the kind availability only")
                try:
                    parse_selector(text)
                except LabelError as error:
                    raise ValueError(f"{key} {error}") from None
        if self.total and bool(self.good) == bool(self.bad):
            raise ValueError('total needs either "good" or "bad" beside it')
        if not self.total and (self.good or self.bad):
            raise ValueError(f'{"good" if self.good else "bad"} needs "total" beside it')

    @property
    def budget(self) -> float:
        """The share that may fail, 0 to 1."""
        return 1.0 - self.objective / 100.0

    @property
    def scale(self) -> float:
        """By how much the alerts' windows are shorter than those of a month (28 days and more: 1)."""
        return 1.0 if self.window_ms >= 28 * DAY_MS else self.window_ms / MONTH_MS

    @property
    def measures(self) -> str:
        """What is counted, as one text: counts of another text mean something else."""
        parts = (
            *(self.service, self.kind, self.window_ms, self.threshold_ms),
            *(self.total, self.good, self.bad, self.probe),
        )
        return "|".join(map(str, parts))


def parse_selector(text: str) -> tuple[Matcher, ...]:
    """Read a Prometheus selector.

    Raises
    ------
    LabelError
        If it is none, or would select everything.

    Examples
    --------
    >>> [str(m) for m in parse_selector('jobs_total{queue=~"a|b", ok!="1"}')]
    ['__name__="jobs_total"', 'queue=~"a|b"', 'ok!="1"']
    """
    found = _SELECTOR.fullmatch(text)
    if found is None or not (found["name"] or found["rest"]):
        raise LabelError(f'must be a selector such as requests_total{{job="shop"}}, got {text!r}')
    matchers = [Matcher("__name__", MatchOp.EQUAL, found["name"])] if found["name"] else []
    rest = (found["rest"] or "").strip()
    if rest:
        pieces = [piece for piece in _COMMA.findall(rest) if piece.strip()]
        matchers += [Matcher.parse(piece) for piece in pieces]
    if not matchers or all(m.matches({}) for m in matchers):
        raise LabelError(f"must name a metric or a label, got {text!r}")
    return tuple(matchers)


def percent(ratio: float) -> str:
    """A share that is nearly one, with as many digits as tell it from one.

    Examples
    --------
    >>> percent(0.99912), percent(0.5), percent(1.0)
    ('99.91 %', '50 %', '100 %')
    """
    text = f"{100 * ratio:.2f}".rstrip("0").rstrip(".")
    if text == "100" and ratio < 1.0:
        text = f"{100 * ratio:.4f}".rstrip("0").rstrip(".")
    return f"{text} %"


@dataclass(frozen=True, slots=True)
class Burn:
    """How fast a budget is used over a pair of windows; 1.0 uses it up in exactly the SLO's window.

    Attributes
    ----------
    factor : float
        From which on it is told.
    long_ms, short_ms : int
        The windows; both must burn that fast.
    long, short : float or None
        As it is now; None where nothing was counted.
    severity : str
        Of the alert.
    """

    factor: float
    long_ms: int
    short_ms: int
    long: float | None
    short: float | None
    severity: str


@dataclass(frozen=True, slots=True)
class SloState:
    """An objective as it stands at `at_ms`.

    Attributes
    ----------
    since_ms : int
        Counted since then; 0 where nothing was counted yet.
    total, bad : float
        Events in the window, and the failed ones.
    attained : float or None
        Share that was good, 0 to 1.
    remaining : float
        Share of the error budget that is left; below 0 it is overdrawn. Where less than the window was
        seen, the rest counts as if it had had as many requests and no failure.
    burns : tuple of Burn
        Fastest first.
    firing : str
        Severity of its alert; "" where none fires.
    gone_ms, soonest_ms, latest_ms : int or None
        In how long the budget is spent at the burn of the last hour, and an 80 % interval for it
        (`latest_ms` None: perhaps never); all None where it is not burning down, or spent already.
    bound_s : float or None
        Kind latency: the histogram's bound that is counted at, where it is not the threshold.
    times_ms, left : tuples of equal length
        The budget left over the window, oldest first: the plot.
    hours_ms, totals, bads : tuples of equal length
        Counts by slot (an hour, of a window of 30 days), oldest first: for reports.
    """

    objective: Objective
    at_ms: int
    since_ms: int = 0
    total: float = 0.0
    bad: float = 0.0
    attained: float | None = None
    remaining: float = 1.0
    burns: tuple[Burn, ...] = ()
    firing: str = ""
    gone_ms: int | None = None
    soonest_ms: int | None = None
    latest_ms: int | None = None
    bound_s: float | None = None
    times_ms: tuple[int, ...] = ()
    left: tuple[float, ...] = ()
    hours_ms: tuple[int, ...] = ()
    totals: tuple[float, ...] = ()
    bads: tuple[float, ...] = ()

    @property
    def burn(self) -> float | None:
        """The burn of the fastest pair's long window (an hour, of 30 days)."""
        return self.burns[0].long if self.burns else None


@dataclass(frozen=True, slots=True)
class Kept:
    """How an objective was kept over a period of a report.

    Attributes
    ----------
    ratio : float or None
        Share that was good, 0 to 1; None where nothing was counted.
    budget_used : float or None
        Failures of those the objective allows for the period's events; above 1 it was missed.
    """

    name: str
    service: str
    objective: float
    total: float
    bad: float
    ratio: float | None
    budget_used: float | None


def kept_over(state: SloState, since_ms: int, until_ms: int) -> Kept:
    """What was kept of an objective in [since_ms, until_ms), as far as its window reaches back.

    Examples
    --------
    >>> state = SloState(Objective("cart", objective=99.0), 0, hours_ms=(0, 10), totals=(90, 10), bads=(0, 2))
    >>> kept_over(state, 0, 10).ratio, round(kept_over(state, 0, 20).budget_used, 3)
    (1.0, 2.0)
    """
    rows = zip(state.hours_ms, state.totals, state.bads, strict=True)
    inside = [(total, bad) for at, total, bad in rows if since_ms <= at < until_ms]
    total = sum(row[0] for row in inside)
    bad = sum(row[1] for row in inside)
    ratio = 1.0 - bad / total if total > 0 else None
    used = bad / total / state.objective.budget if total > 0 else None
    mine = state.objective
    return Kept(mine.name, mine.service, mine.objective, total, bad, ratio, used)
