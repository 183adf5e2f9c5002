"""A burning or spent error budget in words: labels, sentence, and the burn's history to plot."""

from __future__ import annotations

import numpy as np

from detectors.explain import quantity
from detectors.slo_rings import BAD, TOTAL, Rings
from detectors.slo_rules import Pair
from detectors.tell import SOURCE
from model.alert import Alert, Evidence, Severity
from model.labels import Labels
from model.reason import because, gettext
from model.series import NAME
from model.slo import DAY_MS, Objective, ObjectiveKind, percent
from model.units import format_duration

BURN = "ErrorBudgetBurn"
SPENT = "ErrorBudgetSpent"
METHOD = "slo"
POINTS = 60
_BURN_MAX = 1e6

_SIGNALS = {
    ObjectiveKind.AVAILABILITY: "errors",
    ObjectiveKind.LATENCY: "latency",
    ObjectiveKind.PROBE: "errors",
}
_GONE = {
    ObjectiveKind.AVAILABILITY: gettext(
        "{service} burns its error budget {burn}× too fast: {share} of requests failed in the last {window}; "
        "what is left for {period} is gone in {left}"
    ),
    ObjectiveKind.LATENCY: gettext(
        "{service} burns its error budget {burn}× too fast: {share} of requests took longer than {threshold} "
        "in the last {window}; what is left for {period} is gone in {left}"
    ),
    ObjectiveKind.PROBE: gettext(
        "{service} burns its error budget {burn}× too fast: {share} of probes failed in the last {window}; "
        "what is left for {period} is gone in {left}"
    ),
}
_OVERDRAWN = {
    ObjectiveKind.AVAILABILITY: gettext(
        "{service} burns its error budget {burn}× too fast: {share} of requests failed in the last {window}; "
        "the budget for {period} is spent"
    ),
    ObjectiveKind.LATENCY: gettext(
        "{service} burns its error budget {burn}× too fast: {share} of requests took longer than {threshold} "
        "in the last {window}; the budget for {period} is spent"
    ),
    ObjectiveKind.PROBE: gettext(
        "{service} burns its error budget {burn}× too fast: {share} of probes failed in the last {window}; "
        "the budget for {period} is spent"
    ),
}


def times(burn: float) -> str:
    """A burn rate as people say it.

    Examples
    --------
    >>> times(1.04), times(18.3)
    ('1', '18')
    >>> times(6.25)
    '6.2'
    """
    return f"{burn:.1f}".removesuffix(".0") if burn < 10 else f"{min(burn, _BURN_MAX):.0f}"


def period(objective: Objective) -> str:
    """The SLO's window in days."""
    return f"{objective.window_ms / DAY_MS:g}d"


def burn_alert(
    objective: Objective,
    pair: Pair,
    windows: tuple[int, int],
    burn: float,
    left: float,
    rings: Rings,
    *,
    since_ms: int,
    seen_since_ms: int,
    end_ms: int,
) -> Alert:
    """An alert on a pair of windows; `windows` are its lengths here, `burn` its long window's."""
    long_ms, short_ms = windows
    counts = rings.sum(end_ms, long_ms)
    share = min(max(counts[BAD], 0.0) / max(counts[TOTAL], 1.0), 1.0)
    values = {
        "service": objective.service,
        "burn": times(burn),
        "share": quantity(float(f"{share:.2g}"), "ratio"),
        "window": format_duration(long_ms),
        "period": period(objective),
    }
    if objective.kind is ObjectiveKind.LATENCY:
        values["threshold"] = format_duration(objective.threshold_ms)
    if left > 0:
        values["left"] = format_duration(_rounded(left * objective.window_ms / max(burn, 1e-9)))
    template = (_GONE if left > 0 else _OVERDRAWN)[objective.kind]
    times_ms, history = burn_history(
        rings, windows, objective.budget, seen_since_ms=seen_since_ms, end_ms=end_ms
    )
    return Alert(
        labels=_labels(objective, BURN, pair.severity),
        source=SOURCE,
        starts_ms=since_ms,
        arrival_ms=end_ms,
        summary=because(template, **values),
        evidence=Evidence(
            series=Labels.of(
                {NAME: "slo_burn_rate", "service": objective.service, "slo": objective.name}
            ),
            method=METHOD,
            value=round(burn, 3),
            low=0.0,
            high=pair.factor,
            score=round(min(burn, _BURN_MAX), 2),
            threshold=pair.factor,
            times_ms=times_ms,
            values=history,
            lows=(0.0,) * len(times_ms),
            highs=(pair.factor,) * len(times_ms),
            component=f"burn rate {format_duration(long_ms)}/{format_duration(short_ms)}",
        ),
    )


def spent_alert(objective: Objective, attained: float, *, since_ms: int, end_ms: int) -> Alert:
    """An alert that nothing of the budget is left."""
    return Alert(
        labels=_labels(objective, SPENT, Severity.WARNING),
        source=SOURCE,
        starts_ms=since_ms,
        arrival_ms=end_ms,
        summary=because(
            "the error budget of {service} for {period} is spent: {attained} were good, {objective} % are promised",
            service=objective.service,
            period=period(objective),
            attained=percent(attained),
            objective=f"{objective.objective:g}",
        ),
        evidence=Evidence(
            series=Labels.of(
                {NAME: "slo_attained_ratio", "service": objective.service, "slo": objective.name}
            ),
            method=METHOD,
            unit="ratio",
            value=round(attained, 6),
            low=round(1.0 - objective.budget, 6),
            high=1.0,
            score=round(min((1.0 - attained) / objective.budget, _BURN_MAX), 2),
            threshold=1.0,
            component="budget",
        ),
    )


def burn_history(
    rings: Rings, windows: tuple[int, int], budget: float, *, seen_since_ms: int, end_ms: int
) -> tuple[tuple[int, ...], tuple[float | None, ...]]:
    """The short window's burn over the last long one: times, and burn rates (None: nothing counted)."""
    long_ms, short_ms = windows
    ring = rings.fitting(long_ms)
    wide = max(1, -(-short_ms // ring.step_ms))
    count = max(2, -(-long_ms // ring.step_ms))
    numbers, cells = ring.slots(end_ms, count + wide)
    summed = np.cumsum(np.vstack([np.zeros((1, cells.shape[1])), cells]), axis=0)
    ends = np.arange(wide, len(numbers) + 1)
    ends = ends[:: -max(1, len(ends) // POINTS)][::-1]
    within = summed[ends] - summed[ends - wide]
    times_ms = np.minimum((numbers[ends - 1] + 1) * ring.step_ms, end_ms)
    covered = np.clip((times_ms - seen_since_ms) / short_ms, 0.0, 1.0)
    share = np.clip(within[:, BAD], 0.0, None) / np.maximum(within[:, TOTAL], 1e-9)
    burns = np.minimum(np.clip(share, 0.0, 1.0) * covered / budget, _BURN_MAX)
    known = (within[:, TOTAL] > 0).tolist()
    return tuple(times_ms.tolist()), tuple(
        round(value, 3) if here else None for value, here in zip(burns.tolist(), known, strict=True)
    )


def _labels(objective: Objective, alertname: str, severity: Severity) -> Labels:
    return Labels.of(
        {
            "alertname": alertname,
            "service": objective.service,
            "severity": severity.value,
            "signal": _SIGNALS[objective.kind],
            "slo": objective.name,
        }
    )


def _rounded(duration_ms: float) -> int:
    """To minutes below two hours, to hours above: nobody believes seconds of a forecast."""
    unit = 60_000 if duration_ms < 7_200_000 else 3_600_000
    return max(unit, round(duration_ms / unit) * unit)
