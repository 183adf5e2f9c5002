"""What runs out, and when: a page, JSON, CSV and plain text."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict
from typing import Any

from starlette.responses import PlainTextResponse, Response

from console.call import Call, Endpoint, Kind, answer
from console.i18n import duration, normalise, percent, translator
from console.pages import page
from console.plots import label, sparkline
from incident_bridge.reports_render import cell
from model.account import Role
from model.capacity import Capacity
from model.errors import InputError
from model.reason import gettext

SHOWN_MAX = 500
FORMS = ("json", "csv", "text")
COLUMNS = (
    "service",
    "resource",
    "place",
    "used",
    "unit",
    "growth_week",
    "full_ms",
    "early_ms",
    "late_ms",
    "window_ms",
    "seen_ms",
    "series",
)
RESOURCES = (
    gettext("disk"),
    gettext("inodes"),
    gettext("volume"),
    gettext("quota"),
    gettext("file descriptors"),
    gettext("connections"),
    gettext("memory"),
    gettext("heap"),
    gettext("queue"),
)
"""Names of resources, for the translators."""


def rough(milliseconds: float) -> float:
    """A stretch of time as it may be said of a forecast: whole days, hours, or minutes.

    Examples
    --------
    >>> rough(200_000_000) / 3_600_000, rough(9_000_000_000) / 86_400_000, rough(95_000) / 60_000
    (56.0, 104.0, 2.0)
    """
    unit = (
        86_400_000
        if milliseconds >= 10 * 86_400_000
        else 3_600_000
        if milliseconds >= 10 * 3_600_000
        else 60_000
    )
    return max(round(milliseconds / unit), 0) * float(unit)


def amount(one: Capacity, value: float | None, language: str = "en") -> str:
    """A level in its unit."""
    if value is None:
        return "—"
    return percent(round(value, 3), language) if one.unit == "ratio" else label(value)


def growth(one: Capacity, language: str = "en") -> str:
    """Growth in a week, with its sign."""
    if one.growth_week is None:
        return "—"
    if one.unit == "ratio" and abs(one.growth_week) < 0.0005:
        return percent(0.0, language)
    sign = "+" if one.growth_week > 0 else ""
    return sign + amount(one, one.growth_week, language)


def found_of(call: Call) -> list[Capacity]:
    """Those that are asked for: all, or those of a service or a kind."""
    service, resource = call.query("service"), call.query("resource")
    return [
        one
        for one in call.ports.capacity()
        if service in ("", one.service) and resource in ("", one.resource)
    ]


def as_json(one: Capacity, *, history: bool) -> dict[str, Any]:
    """A line as JSON: shares 0 to 1, times in milliseconds since the epoch."""
    values = asdict(one) | {"place": one.place, "series": dict(one.series)}
    if not history:
        del values["spark"]
    return values


def as_csv(found: list[Capacity]) -> str:
    """The lines as CSV."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for one in found:
        values = as_json(one, history=False) | {"series": str(one.series)}
        writer.writerow([_cell(values[name]) for name in COLUMNS])
    return out.getvalue()


def _cell(value: object) -> object:
    """Text may come from anywhere: a spreadsheet must not take it for a formula."""
    if value is None:
        return ""
    return cell(value) if isinstance(value, str) else value


def as_text(found: list[Capacity], now_ms: int, language: str) -> str:
    """The lines in columns, for a terminal."""
    say = translator(language)
    heads = (
        say("Service"), say("Resource"), say("Place"), say("Used now"), say("Growth a week"),
        say("Full in"), say("Between"),
    )  # fmt: skip
    rows = [heads, *(_text_row(one, now_ms, language) for one in found)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(heads))]
    lines = [
        "  ".join(t.ljust(w) for t, w in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    return "\n".join(lines) + "\n"


def _text_row(one: Capacity, now_ms: int, language: str) -> tuple[str, ...]:
    say = translator(language)

    def ahead(time_ms: int | None) -> str:
        return "∞" if time_ms is None else duration(rough(max(time_ms - now_ms, 0)), language)

    known = one.full_ms is not None
    return (
        one.service,
        say(one.resource),
        one.place,
        amount(one, one.used, language),
        growth(one, language),
        ahead(one.full_ms) if known else "—",
        f"{ahead(one.early_ms)} – {ahead(one.late_ms)}" if known else "",
    )


def get_capacity(call: Call) -> Response:
    """`GET /api/v1/capacity`: what runs out when; `history=true` adds each one's past.

    Raises
    ------
    InputError
        If there is no such form.
    """
    form, found = call.query("format", "json"), found_of(call)
    if form not in FORMS:
        raise InputError(f"format: must be one of {', '.join(FORMS)}, got {form[:40]!r}")
    if form == "csv":
        headers = {"content-disposition": 'attachment; filename="tocsin-capacity.csv"'}
        return Response(as_csv(found), headers=headers, media_type="text/csv")
    if form == "text":
        language = normalise(call.query("language")) or call.language
        return PlainTextResponse(as_text(found, call.now_ms, language))
    history = call.query("history") == "true"
    return answer({"capacity": [as_json(one, history=history) for one in found]})


def list_capacity(call: Call) -> Response:
    """`/capacity`: what runs out first stands first."""
    found, everything = found_of(call), call.ports.capacity()
    return page(
        call,
        "capacity.html",
        found=[
            (one, sparkline(one.spark, title=one.place), amount(one, one.used, call.language),
             growth(one, call.language))
            for one in found[:SHOWN_MAX]
        ],
        more=max(len(found) - SHOWN_MAX, 0),
        services=sorted({one.service for one in everything if one.service}),
        resources=sorted({one.resource for one in everything}),
        now_ms=call.now_ms,
        rough=rough,
        soon_ms=4 * 86_400_000,
    )  # fmt: skip


ENDPOINTS = (
    Endpoint("GET", "/capacity", Kind.PAGE, Role.VIEWER, list_capacity, "What runs out, and when"),
    Endpoint("GET", "/api/v1/capacity", Kind.API, Role.VIEWER, get_capacity, "What runs out, and when, as JSON, CSV or text"),
)  # fmt: skip
