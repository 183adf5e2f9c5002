"""`tocsin slo`: objectives, and what is left of their error budgets."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from model.slo import DAY_MS, percent
from model.units import format_duration
from pipeline import output
from pipeline.client import Client
from pipeline.commands.options import AsJson, Token, Url


def slo(
    service: Annotated[str, typer.Option(help="Only this service's objectives.")] = "",
    url: Url = "",
    token: Token = "",
    json: AsJson = False,
) -> None:
    """Objectives: attained, error budget left, how fast it burns, when it is spent."""
    found = Client(url, token).get("/api/v1/slos", service=service)["slos"]
    if json:
        output.show_json(found)
        return
    output.show_table(
        ["OBJECTIVE", "SERVICE", "PROMISED", "WINDOW", "ATTAINED", "LEFT", "BURN", "SPENT IN", "STATE"],
        [_row(one) for one in found],
        empty="No objectives; set some in slo.yaml.",
    )  # fmt: skip


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    mine, counted = one["objective"], one["total"] > 0
    return (
        mine["name"],
        mine["service"],
        f"{mine['objective']:g} %",
        f"{mine['window_ms'] / DAY_MS:g}d",
        percent(one["attained"]) if counted else "-",
        f"{one['remaining']:.1%}" if counted else "-",
        "-" if one["burn"] is None else f"{one['burn']:.3g}x",
        _spent_in(one) if counted else "-",
        one["state"],
    )


def _spent_in(one: dict[str, Any]) -> str:
    """A forecast with its interval: "2d3h (2d to 2d8h)"."""
    if one["remaining"] <= 0:
        return "spent"
    if one["gone_ms"] is None:
        return "lasts"
    latest = "never" if one["latest_ms"] is None else _rough(one["latest_ms"])
    return f"{_rough(one['gone_ms'])} ({_rough(one['soonest_ms'])} to {latest})"


def _rough(duration_ms: int) -> str:
    unit = 3_600_000 if duration_ms >= DAY_MS else 60_000
    return format_duration(max(unit, duration_ms // unit * unit))
