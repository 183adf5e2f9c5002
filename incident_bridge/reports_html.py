"""A report as one HTML file: no script, nothing loaded, everything escaped."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from html import escape

from incident_bridge.neutral import visible
from incident_bridge.reports import Report
from incident_bridge.reports_render import Table, Translate, day, heading, tables

_STYLE = """
:root { color-scheme: light dark; font: 15px/1.45 system-ui, sans-serif; }
body { max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 0.5rem 0 2rem; }
th, td { text-align: right; padding: 0.2rem 0.8rem; border-bottom: 1px solid #8885; }
th:first-child, td:first-child { text-align: left; }
svg { max-width: 100%; height: auto; }
""".strip()

WIDTH, HEIGHT, GAP = 720, 120, 2


def to_html(report: Report, translate: Translate = str, *, language: str = "en") -> str:
    """The page. Its own Content-Security-Policy allows its style sheet and nothing else."""
    title = escape(heading(report, translate))
    # The policy names the style sheet by its hash, so that nothing injected is a style either.
    digest = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'"
    per_day = [(day(d.day_ms), d.incidents) for d in report.days]
    per_hour = [(f"{hour:02}:00", count) for hour, count in enumerate(report.hours)]
    parts = [
        "<!doctype html>",
        f'<html lang="{escape(language.replace("_", "-"))}">',
        '<head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width">',
        f"<title>{title}</title><style>{_STYLE}</style></head>",
        f"<body><h1>{title}</h1>",
        _bars(translate("Incidents by day (UTC)"), per_day),
        _bars(translate("Busiest hours (UTC)"), per_hour),
        *(_table(table) for table in tables(report, translate)),
        "</body></html>",
    ]
    return "\n".join(parts) + "\n"


def _table(table: Table) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in table.columns)
    body = "\n".join(
        "<tr>" + "".join(f"<td>{escape(visible(text))}</td>" for text in row) + "</tr>"
        for row in table.rows
    )
    return (
        f"<h2>{escape(table.title)}</h2>\n<table><thead><tr>{head}</tr></thead>\n"
        f"<tbody>{body}</tbody></table>"
    )


def _bars(title: str, counts: Sequence[tuple[str, int]]) -> str:
    """Bars by presentation attributes: a strict policy allows no style attribute."""
    most = max((count for _, count in counts), default=0)
    if not most:
        return ""
    step = WIDTH / len(counts)
    bars = []
    for number, (name, count) in enumerate(counts):
        height = HEIGHT * count / most
        bars.append(
            f'<rect x="{number * step:.2f}" y="{HEIGHT - height:.2f}" '
            f'width="{max(step - GAP, 0.5):.2f}" height="{height:.2f}" fill="#4477aa">'
            f"<title>{escape(name)}: {count}</title></rect>"
        )
    return (
        f"<h2>{escape(title)}</h2>\n"
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img" '
        f'aria-label="{escape(title)}">{"".join(bars)}</svg>'
    )
