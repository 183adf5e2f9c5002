"""What the full tier found, as a judgement of its size and in words; pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from detectors.alerting import Entry
from detectors.explain import alert_labels, quantity
from detectors.history import History
from detectors.roles import ROLES, UNKNOWN, Role, service_of
from detectors.tell import SOURCE, Sighting, evidence
from model.alert import Alert, Evidence, Severity
from model.batch import Bools, Floats, Ints
from model.labels import Labels
from model.reason import because, gettext
from model.series import NAME
from model.units import format_duration

ALERTNAME = "MetricUnusual"
_STEADY = 0.6  # of what it takes to begin keeps it going: nothing flaps at the bar
_BEYOND = 0.25  # of the historic range, above (below) it
_CYCLE_MS = 86_400_000  # what comes once a day is no surprise, but on the first day
_TRUSTED_MS = 8 * 86_400_000  # a profile that saw each day of the week
_INFORM = 0.25  # of what is expected of a metric of unknown meaning
_FEW = 0.5  # requests a second; of fewer a drop says nothing

# Role to the least change that matters, in its unit: far below the baselines' floors, for what is unusual
# in many ways at once and lasts for minutes. Directions are the role's.
_LEAST = {
    "latency": 0.02,  # a fifth of the floor
    "median": 0.02,
    "mean": 0.02,
    "tail": 0.02,
    "errors": 0.02,  # one in fifty
    "cpu": 0.01,  # ten millicores: small pods live below the floor of 120
    "memory": 16 * 2.0**20,
    "log_errors": 0.1,
    "traffic": 0.5,
}
_TIMES = {"memory": 2.0}
_TIMES_OTHER = 3.0
LEAST: Floats = np.array([_LEAST.get(role.name, np.inf) for role in ROLES])
_RATIO: Floats = np.array([_TIMES.get(role.name, _TIMES_OTHER) for role in ROLES])
_DOWN: Bools = np.array([role.down and not role.up for role in ROLES])

# A component's name (`full.combine.COMPONENTS`) to the sentence it is told with.
SENTENCES = {
    "mean": gettext("{metric} of {service} is {value}, {low} to {high} is usual; by chance once in {once}"),
    "spread": gettext("{metric} of {service} swings more than it did: {value}, {low} to {high} is usual; by chance once in {once}"),
    "day": gettext("{metric} of {service} is {value}, for this time of day {low} to {high} is usual; by chance once in {once}"),
    "week": gettext("{metric} of {service} is {value}, for this hour of the week {low} to {high} is usual; by chance once in {once}"),
    "change": gettext("{metric} of {service} has shifted to {value}, {low} to {high} was usual; by chance once in {once}"),
    "fast": gettext("{metric} of {service} stays at {value}, {low} to {high} is usual; by chance once in {once}"),
    "joint": gettext("{metric} of {service} moves as it never did: {value}, {low} to {high} is usual; by chance once in {once}"),
    "step": gettext("{metric} of {service} jumped to {value} from {low} to {high}; by chance once in {once}"),
    "spike": gettext("{metric} of {service} is {value}, far from {low} to {high}, usual a moment ago or at this time yesterday; by chance once in {once}"),
    "day_drift": gettext("{metric} of {service} has been off for this time of day for a while: {value}, {low} to {high} is usual; by chance once in {once}"),
    "week_drift": gettext("{metric} of {service} has been off for this hour of the week for a while: {value}, {low} to {high} is usual; by chance once in {once}"),
    "season_drift": gettext("{metric} of {service} has been off its rhythm for a while: {value}, {low} to {high} is usual; by chance once in {once}"),
}  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Usual:
    """What rows usually are; arrays of shape (n,).

    Attributes
    ----------
    low, high : float64
        The lasting extremes of the last weeks: the least and the largest value that three samples kept to.
    expected_low, expected_high : float64
        The lowest and the highest of what the mean, this time of day and this hour of the week expect.
    band_low, band_high : float64
        The lowest and the highest of what these views take for usual.
    watched_ms : int64
        For how long the row has been in the tier.
    """

    low: Floats
    high: Floats
    expected_low: Floats
    expected_high: Floats
    band_low: Floats
    band_high: Floats
    watched_ms: Ints


def matters(roles: Ints, values: Floats, usual: Usual, width: Floats, told: Bools) -> Bools:
    """Which samples of signals are far enough off to wake somebody, shape (n,).

    Upwards: three times what is expected, outside of everything that lasted in the last weeks, and by more than
    a floor. Downwards: a third of it; within the first eight days, of the lowest that lasted. Nothing on the first day.
    `width` (people's leniency) multiplies the distances; what is `told` already needs but part of them.
    """
    part = np.where(told, _STEADY, 1.0)
    ratio = 1.0 + (_RATIO[roles] - 1.0) * width * part
    least = LEAST[roles] * width * part
    beyond = np.where(told, 0.0, _BEYOND) * (usual.high - usual.low)
    up = (
        (values >= ratio * usual.expected_high)
        & (values - usual.expected_high >= least)
        & (values > usual.high + beyond)
    )
    floor = np.where(usual.watched_ms >= _TRUSTED_MS, usual.expected_low, usual.low)
    down = (values <= floor / ratio) & (floor - values >= least) & (floor >= _FEW)
    return np.where(_DOWN[roles], down, up) & (usual.watched_ms >= _CYCLE_MS)


def notable(roles: Ints, values: Floats, usual: Usual, width: Floats, told: Bools) -> Bools:
    """Which samples are far enough off to be worth a line beside an incident, shape (n,).

    Outside of what every view takes for usual, by a quarter of what is expected or, for a signal, twice it and
    more than its floor; a signal in the direction that matters, traffic in both. And beyond all that lasted in the last
    weeks: how rare a score is was counted over all series, and one that has bursts every few hours has most of them.
    """
    part = np.where(told, _STEADY, 1.0) * width
    signal = np.isfinite(LEAST[roles])
    relative = np.where(signal, np.where(_DOWN[roles], 0.5, 1.0), _INFORM) * part
    least = np.where(signal, LEAST[roles], 0.0) * part
    over, under = values - usual.expected_high, usual.expected_low - values
    up = (values > np.where(told, usual.band_high, np.fmax(usual.band_high, usual.high))) & (
        over >= np.maximum(relative * np.abs(usual.expected_high), least)
    )
    down = (values < np.where(told, usual.band_low, np.fmin(usual.band_low, usual.low))) & (
        under >= np.maximum(relative * np.abs(usual.expected_low), least)
    )
    return up | (down & (~signal | _DOWN[roles]))


@dataclass(frozen=True, slots=True)
class Found:
    """How a sample is told: the view that shows it best, its band, and how rare it is."""

    component: str
    low: float
    high: float
    lows: tuple[float, ...]
    highs: tuple[float, ...]
    once_in_ms: int
    score: float
    bar: float


def unusual_alert(
    series: Labels, role: Role, found: Found, seen: Sighting, entry: Entry, history: History, *, warn: bool
) -> Alert:  # fmt: skip
    """An alert of the full tier: a warning for a signal that is far off, else information."""
    severity = Severity.WARNING if warn else Severity.INFO
    signal = role.signal or UNKNOWN.signal
    named = replace(UNKNOWN, alertname=ALERTNAME, signal=signal)
    words = {
        "metric": series.get(NAME, ""),
        "service": service_of(series) or series.get("instance", ""),
        "value": quantity(seen.value, role.unit),
        "low": quantity(found.low, role.unit),
        "high": quantity(found.high, role.unit),
        "once": format_duration(found.once_in_ms),
    }
    return Alert(
        labels=alert_labels(series, named, severity, exact=not role.signal or role is UNKNOWN),
        source=SOURCE,
        starts_ms=entry.since_ms,
        arrival_ms=seen.at_ms,
        summary=because(SENTENCES[found.component], **words),
        evidence=_evidence(series, role, found, seen, history),
        simulated=series.get("simulated") == "true",
    )


def _evidence(
    series: Labels, role: Role, found: Found, seen: Sighting, history: History
) -> Evidence:
    """The recent history with the band of the view that found it."""
    made = evidence(series, "unusual", role.unit, seen, history)
    lows, highs = found.lows, found.highs
    if len(lows) != len(made.times_ms):
        lows, highs = (), ()
    return replace(
        made,
        score=round(found.score, 1),
        threshold=round(found.bar, 1),
        lows=lows or made.lows,
        highs=highs or made.highs,
        component=found.component,
        once_in_ms=found.once_in_ms,
    )
