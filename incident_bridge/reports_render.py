"""A report as JSON, CSV, plain rows for a terminal, and text."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

from incident_bridge.mttr import Measure
from incident_bridge.neutral import visible
from incident_bridge.reports import Attainment, Report, Row
from model.labels import Labels
from model.reason import gettext
from model.slo import percent
from model.units import format_duration

Translate = Callable[[str], str]
NOTHING = "–"


@dataclass(frozen=True, slots=True)
class Table:
    """A heading, column names, and rows of text: what a terminal or a page shows."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def to_json(report: Report) -> bytes:
    """The whole report; durations in milliseconds, ratios 0 to 1."""
    return orjson.dumps(report, default=_plain, option=orjson.OPT_INDENT_2)


def _plain(value: object) -> object:
    if isinstance(value, Labels):
        return dict(value.pairs)
    raise TypeError(f"{type(value).__name__} is not said in a report")


_CSV_COLUMNS = (
    "group",
    "name",
    "incidents",
    "unresolved",
    "mttd_ms",
    "mtta_ms",
    "mttr_ms",
    "mttr_p50_ms",
    "mttr_p90_ms",
    "response_kept",
    "response_broken",
    "resolution_kept",
    "resolution_broken",
    "available_ratio",
    "error_budget_used",
)


def to_csv(report: Report) -> str:
    """One line for the total and for each service, team and priority; columns as in the JSON.

    Cells that a spreadsheet would run as a formula are quoted.
    """
    available = {a.service: a for a in report.availability}
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(_CSV_COLUMNS)
    groups: tuple[tuple[str, Sequence[Row]], ...] = (
        ("total", (report.total,)),
        ("service", report.services),
        ("team", report.teams),
        ("priority", report.priorities),
    )
    for group, rows in groups:
        for row in rows:
            known = available.get(row.name) if group == "service" else None
            writer.writerow(
                [
                    group,
                    cell(row.name),
                    row.incidents,
                    row.unresolved,
                    row.detect.mean_ms,
                    row.acknowledge.mean_ms,
                    row.resolve.mean_ms,
                    row.resolve.p50_ms,
                    row.resolve.p90_ms,
                    row.response.kept,
                    row.response.broken,
                    row.resolution.kept,
                    row.resolution.broken,
                    "" if known is None else round(known.ratio, 6),
                    "" if known is None else round(known.budget_used, 4),
                ]
            )
    for kept in report.slos:
        blank = [""] * (len(_CSV_COLUMNS) - 4)
        ratio = "" if kept.ratio is None else round(kept.ratio, 8)
        used = "" if kept.budget_used is None else round(kept.budget_used, 4)
        writer.writerow(["objective", cell(kept.name), *blank, ratio, used])
    return out.getvalue()


def cell(text: str) -> str:
    """Text that no spreadsheet takes for a formula.

    Examples
    --------
    >>> cell("=cmd|' /C calc'!A0"), cell("cart")
    ("'=cmd|' /C calc'!A0", 'cart')
    """
    text = visible(text)
    return "'" + text if text.lstrip()[:1] in ("=", "+", "-", "@", "\t", "\r") and text else text


def tables(report: Report, translate: Translate = str) -> tuple[Table, ...]:
    """The report's tables in words."""
    columns = tuple(
        translate(name)
        for name in (
            gettext("Name"),
            gettext("Incidents"),
            gettext("Unresolved"),
            gettext("MTTD"),
            gettext("MTTA"),
            gettext("MTTR"),
            gettext("MTTR median"),
            gettext("MTTR p90"),
            gettext("Response kept"),
            gettext("Resolution kept"),
        )
    )
    total = translate("Total")
    found = [
        Table(translate("Total"), columns, (_cells(report.total, total),)),
        Table(translate("By service"), columns, _lines(report.services, translate)),
        Table(translate("By team"), columns, _lines(report.teams, translate)),
        Table(translate("By priority"), columns, _lines(report.priorities, translate)),
        _availability(report, translate),
        _objectives(report, translate),
        _causes(report, translate),
        _noise(report, translate),
    ]
    return tuple(table for table in found if table.rows)


def _lines(rows: Sequence[Row], translate: Translate) -> tuple[tuple[str, ...], ...]:
    return tuple(_cells(row, visible(row.name) or translate("(none)")) for row in rows)


def _cells(row: Row, name: str) -> tuple[str, ...]:
    return (
        name,
        str(row.incidents),
        str(row.unresolved),
        _mean(row.detect),
        _mean(row.acknowledge),
        _mean(row.resolve),
        _duration(row.resolve.p50_ms),
        _duration(row.resolve.p90_ms),
        _kept(row.response),
        _kept(row.resolution),
    )


def _availability(report: Report, translate: Translate) -> Table:
    names = (
        gettext("Service"),
        gettext("Available"),
        gettext("Down"),
        gettext("Target"),
        gettext("Error budget"),
        gettext("Budget used"),
    )
    rows = tuple(
        (
            visible(a.service) or translate("(none)"),
            f"{a.ratio:.3%}",
            _duration(a.down_ms),
            f"{a.target:.3%}",
            _duration(a.budget_ms),
            f"{a.budget_used:.0%}",
        )
        for a in report.availability
    )
    return Table(translate("Availability"), tuple(translate(n) for n in names), rows)


def _objectives(report: Report, translate: Translate) -> Table:
    names = (
        gettext("Objective"),
        gettext("Service"),
        gettext("Promised"),
        gettext("Attained"),
        gettext("Events"),
        gettext("Failed"),
        gettext("Budget used"),
    )
    rows = tuple(
        (
            visible(kept.name),
            visible(kept.service),
            f"{kept.objective:g} %",
            NOTHING if kept.ratio is None else percent(kept.ratio),
            f"{kept.total:.0f}",
            f"{kept.bad:.0f}",
            NOTHING if kept.budget_used is None else f"{kept.budget_used:.0%}",
        )
        for kept in report.slos
    )
    return Table(translate("Objectives (SLOs)"), tuple(translate(n) for n in names), rows)


def _causes(report: Report, translate: Translate) -> Table:
    names = (gettext("Service"), gettext("What"), gettext("Incidents"), gettext("Last"))
    rows = tuple(
        (visible(c.service), visible(c.said.text(translate)), str(c.incidents), day(c.last_ms))
        for c in report.causes
    )
    return Table(translate("Repeat causes"), tuple(translate(n) for n in names), rows)


def _noise(report: Report, translate: Translate) -> Table:
    noise = report.noise
    rows = (
        (translate("Alerts"), str(noise.alerts)),
        (translate("Alerts per incident"), f"{noise.alerts_per_incident:.1f}"),
        (translate("Flapping incidents"), str(noise.flapping)),
        (translate("Muted incidents"), str(noise.muted)),
        (translate("Merged incidents"), str(noise.merged)),
        (translate("Reopenings"), str(noise.reopened)),
        (translate("Notes"), str(noise.notes)),
        (translate("Pages sent"), str(noise.pages)),
        (translate("Tickets opened"), str(noise.tickets)),
    )
    return Table(translate("Noise"), (translate("What"), translate("Count")), rows)


def to_text(report: Report, translate: Translate = str) -> str:
    """Tables of plain text, columns aligned."""
    parts = [heading(report, translate)]
    for table in tables(report, translate):
        lines = [table.columns, *table.rows]
        widths = [max(_width(line[n]) for line in lines) for n in range(len(table.columns))]
        parts.append(
            "\n".join(
                [table.title, *("  ".join(map(_pad, line, widths)).rstrip() for line in lines)]
            )
        )
    return "\n\n".join(parts) + "\n"


def heading(report: Report, translate: Translate = str) -> str:
    """What period and whose."""
    text = translate("Reliability from {since} to {until}").format(
        since=day(report.since_ms), until=day(report.until_ms)
    )
    names = [visible(name) for name in (report.service, report.team) if name]
    if report.simulated:
        names.append(translate("simulated"))
    if report.cut:
        names.append(translate("cut: too many incidents"))
    return f"{text} ({', '.join(names)})" if names else text


def day(time_ms: int) -> str:
    """A day (UTC) as people write it.

    Examples
    --------
    >>> day(1_700_000_000_000)
    '2023-11-14'
    """
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d")


def _mean(found: Measure) -> str:
    return _duration(found.mean_ms)


def _duration(duration_ms: int | None) -> str:
    if duration_ms is None:
        return NOTHING
    # Nobody reads milliseconds of an hour.
    return format_duration(duration_ms if duration_ms < 1000 else duration_ms // 1000 * 1000)


def _kept(found: Attainment) -> str:
    return NOTHING if found.ratio is None else f"{found.ratio:.1%}"


def _width(text: str) -> int:
    """Columns on a terminal: Chinese characters take two."""
    return sum(2 if "\u2e80" <= c <= "\uffef" else 1 for c in text)


def _pad(text: str, width: int) -> str:
    return text + " " * (width - _width(text))
