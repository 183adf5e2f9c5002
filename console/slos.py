"""Objectives and their error budgets: a page, and JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from markupsafe import Markup
from starlette.responses import Response

from console.call import Call, Endpoint, Kind, answer
from console.pages import page
from console.plots import line_with_band
from model.account import Role
from model.alert import Evidence
from model.labels import Labels
from model.series import NAME
from model.slo import SloState, percent

_HEAVY = ("times_ms", "left", "hours_ms", "totals", "bads")
_WORST = ("critical", "spent", "warning", "ok", "unknown")


def state_of(state: SloState) -> str:
    """One word for how it stands: an alert's severity, "spent", "ok", or "unknown" without events.

    Examples
    --------
    >>> from model.slo import Objective
    >>> state_of(SloState(Objective("cart"), 0)), state_of(SloState(Objective("cart"), 0, total=5.0))
    ('unknown', 'ok')
    """
    if state.firing:
        return state.firing
    if state.total <= 0:
        return "unknown"
    return "spent" if state.remaining <= 0 else "ok"


def in_order(states: tuple[SloState, ...]) -> list[SloState]:
    """What burns first, then what has the least budget left."""
    return sorted(states, key=lambda s: (_WORST.index(state_of(s)), s.remaining, s.objective.name))


def found_of(call: Call) -> list[SloState]:
    """The objectives that are asked for: all, or those of a service."""
    service = call.query("service")
    return in_order(tuple(s for s in call.ports.slos() if service in ("", s.objective.service)))


def slo_json(state: SloState, *, history: bool) -> dict[str, Any]:
    """An objective as JSON: ratios 0 to 1, durations and times in milliseconds."""
    values = asdict(state)
    if not history:
        for name in _HEAVY:
            del values[name]
    values["objective"]["budget"] = round(state.objective.budget, 9)
    values["state"] = state_of(state)
    values["burn"] = state.burn
    return values


def get_slos(call: Call) -> Response:
    """`GET /api/v1/slos`: all objectives; `history=true` adds counts by hour and the plot."""
    history = call.query("history") == "true"
    return answer({"slos": [slo_json(state, history=history) for state in found_of(call)]})


def picture_of(call: Call, state: SloState) -> Markup:
    """The budget left over the window; the shaded part is budget."""
    if len(state.times_ms) < 2:
        return Markup("")
    count = len(state.times_ms)
    evidence = Evidence(
        series=Labels.of({NAME: "error_budget", "slo": state.objective.name}),
        method="slo",
        unit="ratio",
        times_ms=state.times_ms,
        values=state.left,
        lows=(0.0,) * count,
        highs=(1.0,) * count,
    )
    title = call.translate("Error budget left of {objective}").format(
        objective=state.objective.name
    )
    return line_with_band(evidence, title=title)


def rough(duration_ms: int) -> int:
    """A forecast without digits that nobody believes: to hours, minutes, or ten seconds.

    Examples
    --------
    >>> rough(200_000_000), rough(1_371_000), rough(95_000)
    (198000000, 1320000, 90000)
    """
    unit = 3_600_000 if duration_ms >= 86_400_000 else 60_000 if duration_ms >= 600_000 else 10_000
    return max(unit, duration_ms // unit * unit)


def list_slos(call: Call) -> Response:
    """`/slos`: objectives, worst first."""
    states = found_of(call)
    services = sorted({state.objective.service for state in call.ports.slos()})
    return page(
        call,
        "slos.html",
        slos=[(state, state_of(state), picture_of(call, state)) for state in states],
        services=services,
        attained=percent,
        rough=rough,
    )


ENDPOINTS = (
    Endpoint("GET", "/slos", Kind.PAGE, Role.VIEWER, list_slos, "Objectives and error budgets"),
    Endpoint(
        "GET", "/api/v1/slos", Kind.API, Role.VIEWER, get_slos, "Objectives and error budgets"
    ),
)
