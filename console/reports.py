"""Reports: a period becomes a page, JSON, CSV or HTML, by `incident_bridge.reports`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from starlette.responses import HTMLResponse, PlainTextResponse, Response

from console import queries
from console.call import Call
from console.i18n import normalise, translator
from console.pages import page
from console.plots import bars
from incident_bridge import reports, reports_html, reports_render
from incident_bridge.reports import Report
from model.errors import InputError, UnitError
from model.units import parse_duration
from store import incidents

PERIODS = ("24h", "7d", "30d", "90d")
PERIOD = "30d"
FORMS = ("json", "csv", "html", "text")
PERIOD_MAX_MS = 5 * 366 * 86_400_000
CACHE_MS = 30_000
_POLICY = re.compile(r'http-equiv="Content-Security-Policy" content="([^"]+)"')
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def period_of(call: Call) -> tuple[int, int]:
    """The period that is asked for: `since` and `until` as dates, times or milliseconds, or `period`."""
    until = call.query("until")
    until_ms = _moment(until, "until") if until else call.now_ms
    if len(until) == 10:  # a date includes its day
        until_ms += 86_400_000
    if since := call.query("since"):
        since_ms = _moment(since, "since")
    else:
        try:
            since_ms = until_ms - parse_duration(call.query("period", PERIOD))
        except UnitError as error:
            raise InputError(f"period: {error}") from None
    if not 0 <= since_ms < until_ms or until_ms - since_ms > PERIOD_MAX_MS:
        raise InputError("since: must be before until, and at most five years")
    return since_ms, until_ms


def _moment(text: str, where: str) -> int:
    if text.isascii() and text.isdigit() and 10 < len(text) < 15:
        return int(text)
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise InputError(f"{where}: must be a date such as 2030-01-31, got {text[:40]!r}") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def build(call: Call) -> Report:
    """The report that is asked for."""
    since_ms, until_ms = period_of(call)
    with call.ports.store.records.read() as conn:
        return reports.build(
            conn,
            since_ms,
            until_ms,
            now_ms=call.now_ms,
            service=call.query("service"),
            team=call.query("team"),
            simulated=queries.simulated_of(call),
            services=sorted(call.ports.catalogue().services),
            slos=() if queries.simulated_of(call) else call.ports.slos(),
        )


def report_response(call: Call, form: str) -> Response:
    """The report as a file of some form.

    Raises
    ------
    InputError
        If there is no such form.
    """
    if form not in FORMS:
        raise InputError(f"format: must be one of {', '.join(FORMS)}, got {form[:40]!r}")
    report = build(call)
    language = normalise(call.query("language")) or call.language
    say = translator(language)
    if form == "text":
        return PlainTextResponse(reports_render.to_text(report, say))
    if form == "json":
        return Response(reports_render.to_json(report), media_type="application/json")
    if form == "csv":
        headers = {"content-disposition": 'attachment; filename="tocsin-report.csv"'}
        return Response(reports_render.to_csv(report), headers=headers, media_type="text/csv")
    text = reports_html.to_html(report, say, language=language.replace("_", "-"))
    return HTMLResponse(text, headers=_policy_of(text))


def _policy_of(text: str) -> dict[str, str]:
    """The document's own policy as a header: it allows its one style sheet, by hash, and no more."""
    found = _POLICY.search(text)
    return {"content-security-policy": f"{found[1]}; frame-ancestors 'none'"} if found else {}


def report_page(call: Call) -> Response:
    """`/reports`."""
    report = build(call)
    with call.ports.store.records.read() as conn:
        simulated = sum(incidents.counts(conn, simulated=True).values()) > 0
    catalogue = call.ports.catalogue()
    days = [(_day(d.day_ms), float(d.incidents)) for d in report.days]
    repairs = [(_day(d.day_ms), (d.resolve_mean_ms or 0) / 1000) for d in report.days]
    hours = [(f"{hour:02d}", float(count)) for hour, count in enumerate(report.hours)]
    say = call.translate
    return page(
        call,
        "reports.html",
        report=report,
        tables=reports_render.tables(report, call.translate),
        with_simulated=simulated and queries.simulated_of(call) is not False,
        per_day=bars(days, title=say("Incidents per day")),
        repair_per_day=bars(repairs, unit="seconds", title=say("Mean time to resolve, by day")),
        per_hour=bars(hours, title=say("Incidents by hour of the day (UTC)")),
        periods=PERIODS,
        period="" if call.query("since") else call.query("period", PERIOD),
        services=sorted(catalogue.services),
        teams=sorted({s.owner for s in catalogue.services.values() if s.owner}),
    )


def _day(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%m-%d")


class AvailabilityMemory:
    """Availability by service over thirty days, built again no more often than `CACHE_MS`.

    The page that shows it is polled; a report is a hundred times dearer than the page.
    """

    WINDOW_MS = 30 * 86_400_000

    def __init__(self) -> None:
        self._at_ms: int | None = None
        self._found: dict[str, float] = {}

    def get(self, call: Call) -> dict[str, float]:
        """The ratio by service, 0 to 1."""
        if self._at_ms is None or not 0 <= call.now_ms - self._at_ms < CACHE_MS:
            with call.ports.store.records.read() as conn:
                report = reports.build(
                    conn,
                    call.now_ms - self.WINDOW_MS,
                    call.now_ms,
                    now_ms=call.now_ms,
                    services=sorted(call.ports.catalogue().services),
                )
            self._found = {a.service: a.ratio for a in report.availability}
            self._at_ms = call.now_ms
        return self._found
