"""Renders pages: the template engine, its filters, and what every page shows around its content."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markdown_it import MarkdownIt
from markupsafe import Markup
from starlette.responses import HTMLResponse, RedirectResponse, Response

from console import i18n, plots
from console.call import Call
from console.graph import service_path
from console.plain import plain, shown
from console.security import csrf_token
from console.sentences import retell, tell
from model.account import Role
from model.labels import Labels, Matcher, MatchOp
from model.reason import Reason
from model.units import format_duration

HERE = Path(__file__).parent
THEME_COOKIE = "tocsin_theme"
THEMES = ("auto", "light", "dark")

NAV: tuple[tuple[str, str, str], ...] = (
    ("/", "Incidents", "incidents"),
    ("/services", "Services", "services"),
    ("/alerts", "Alerts", "alerts"),
    ("/slos", "SLOs", "slos"),
    ("/probes", "Probes", "probes"),
    ("/tickets", "Tickets", "tickets"),
    ("/changes", "Changes", "changes"),
    ("/silences", "Silences", "silences"),
    ("/feedback", "Feedback", "feedback"),
    ("/capacity", "Capacity", "capacity"),
    ("/reports", "Reports", "reports"),
    ("/health", "Pipeline", "health"),
)
"""Address, name and icon of each entry of the navigation; the first three stand on a phone's bar."""


def safe_url(url: str) -> str:
    """The URL if it is http(s) with a host, else "": nothing else becomes a link.

    Examples
    --------
    >>> safe_url("https://example.org/x"), safe_url("javascript:alert(1)"), safe_url(" http:x")
    ('https://example.org/x', '', '')
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    plain = all(character.isprintable() and not character.isspace() for character in url)
    return url if parts.scheme in ("http", "https") and parts.netloc and plain else ""


def markdown(text: str) -> Markup:
    """Markdown as HTML; HTML within it is shown as text, links other than http(s) are dropped.

    Examples
    --------
    >>> str(markdown("*a* <script>"))
    '<p><em>a</em> &lt;script&gt;</p>\\n'
    """
    return Markup(_markdown().render(plain(text)))


@cache
def _markdown() -> MarkdownIt:
    engine = MarkdownIt("commonmark", {"html": False, "linkify": False}).enable("table")
    engine.disable("image")  # an image would call home
    engine.validateLink = lambda url: bool(safe_url(url))  # type: ignore[method-assign]
    engine.add_render_rule("th_open", lambda *_: "<th>")  # alignment would be an inline style
    engine.add_render_rule("td_open", lambda *_: "<td>")
    return engine


@pass_context
def _say(context: Context, reason: Reason | None) -> str:
    call: Call = context["call"]
    return "" if reason is None else tell(reason, call.language)


@pass_context
def _retold(context: Context, text: str) -> str:
    """An error that was written down in English."""
    call: Call = context["call"]
    return retell(text, call.language)


@pass_context
def _word(context: Context, value: object) -> str:
    """A value of an enumeration in the page's language."""
    call: Call = context["call"]
    return call.translate(str(value))


@pass_context
def _gettext(context: Context, message: str, **params: object) -> str:
    said: str = context["call"].translate(message)
    return said.format_map(params) if params else said


def _iso(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds")


def _time(time_ms: int | None, form: str = "time") -> Markup:
    """A time in UTC, which the script rewrites in the browser's zone (`form`: time, ago or date)."""
    if time_ms is None:
        return Markup("—")
    shown = datetime.fromtimestamp(time_ms / 1000, UTC)
    text = shown.strftime("%Y-%m-%d" if form == "date" else "%Y-%m-%d %H:%M:%S UTC")
    return Markup('<time datetime="{}" data-form="{}">{}</time>').format(_iso(time_ms), form, text)


@pass_context
def _duration(context: Context, milliseconds: float | None) -> str:
    return "—" if milliseconds is None else i18n.duration(milliseconds, context["call"].language)


@pass_context
def _number(context: Context, value: float | None) -> str:
    return "—" if value is None else i18n.number(value, context["call"].language)


@pass_context
def _percent(context: Context, ratio: float | None) -> str:
    return "—" if ratio is None else i18n.percent(ratio, context["call"].language)


def matchers_of(labels: Labels) -> str:
    """A matcher a line that fits exactly these labels."""
    return "\n".join(str(Matcher(name, MatchOp.EQUAL, value)) for name, value in labels.pairs)


@cache
def static_files() -> dict[str, tuple[bytes, str]]:
    """Every static file by name: its bytes and a tag that changes with them."""
    files = sorted((HERE / "static").iterdir())
    return {f.name: (data := f.read_bytes(), hashlib.sha256(data).hexdigest()[:12]) for f in files}


def _static(name: str) -> str:
    return f"/static/{name}?v={static_files()[name][1]}"


@cache
def environment() -> Environment:
    """Jinja2 with autoescaping, where a misspelt name is an error."""
    env = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        finalize=shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    env.filters |= {
        "say": _say, "retold": _retold, "word": _word, "time": _time, "duration": _duration, "number": _number,
        "percent": _percent, "markdown": markdown, "safe_url": safe_url, "service_path": service_path,
        "quoted": lambda text: quote(str(text), safe=""), "short_duration": format_duration,
        "axis": plots.label, "matchers": matchers_of, "runbook_text": lambda runbook: runbook.body,
    }  # fmt: skip
    env.globals |= {
        "_": _gettext, "static": _static, "NAV": NAV, "LANGUAGES": i18n.LANGUAGE_NAMES,
        "plots": plots, "Role": Role, "THEMES": THEMES,
    }  # fmt: skip
    return env


def render(call: Call, template: str, values: Mapping[str, Any]) -> str:
    """A template's text for this caller."""
    theme = call.request.cookies.get(THEME_COOKIE, "auto")
    return (
        environment()
        .get_template(template)
        .render(
            {
                "call": call,
                "who": call.who,
                "settings": call.ports.settings,
                "theme": theme if theme in THEMES else "auto",
                "csrf": csrf_token(call.who.secret) if call.who.secret else "",
                "here": call.here,
                "told": call.query("told"),
                "query_with": lambda **changes: query_with(call, **changes),
                **values,
            }
        )
    )


def query_with(call: Call, **changes: object) -> str:
    """The page's address with some query parameters changed, or removed by None."""
    kept = {k: v for k, v in call.request.query_params.items() if k not in ("part", "told")}
    kept |= {k: str(v) for k, v in changes.items() if v is not None}
    for name in (k for k, v in changes.items() if v is None):
        kept.pop(name, None)
    return f"{call.here}?{urlencode(kept)}" if kept else call.here


def page(call: Call, template: str, code: int = 200, **values: Any) -> Response:
    """A page, or with `?part=live` only its part that changes, with an ETag so that nothing is
    sent twice."""
    if call.query("part") == "live" and code == 200:
        text = render(call, f"_{template}", values)
        etag = f'"{hashlib.sha256(text.encode()).hexdigest()[:24]}"'
        headers = {"etag": etag, "cache-control": "no-cache"}
        if call.request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers=headers)
        return HTMLResponse(text, headers=headers)
    return HTMLResponse(render(call, template, values), code)


def problem(call: Call, status: int, reason: Reason) -> Response:
    """A page that says what went wrong."""
    return page(call, "problem.html", status, status=status, reason=reason)


def back(call: Call, path: str, told: str = "") -> Response:
    """After a form: to a page of ours, with a word about what was done."""
    return RedirectResponse(path + (f"?told={quote(told)}" if told else ""), 303)
