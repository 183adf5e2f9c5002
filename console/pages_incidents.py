"""The pages of incidents, alerts and silences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from starlette.responses import Response

from console import acting, queries, silencing
from console.api_incidents import LIMIT_MAX
from console.call import Call, Endpoint, Kind
from console.pages import back, matchers_of, page
from console.plots import line_with_band
from model.account import Role
from model.alert import AlertStatus
from model.errors import InputError
from model.identity import derive_id
from model.incident import Incident, Priority
from model.labels import Matcher
from model.silence import Silence
from model.units import parse_duration
from store import alerts, silences

PLOTS_MAX = 6
LINES_MAX = 12
MATCHERS_PREFILLED = ("alertname", "service", "instance")


def list_incidents(call: Call) -> Response:
    """`/`: what is going on, live."""
    state = call.query("state", "active")
    state = state if state in queries.STATES else "active"
    limit = min(call.ports.settings.page_size, LIMIT_MAX)
    found = queries.incident_list(call, state=state, limit=limit)
    catalogue = call.ports.catalogue()
    return page(
        call,
        "incidents.html",
        found=found,
        state=state,
        states=tuple(queries.STATES),
        services=sorted(catalogue.services),
        teams=sorted({s.owner for s in catalogue.services.values() if s.owner}),
        priorities=tuple(Priority),
    )


def show_incident(call: Call) -> Response:
    """`/incidents/{id}`: one incident."""
    view = queries.incident_view(call, call.path("id"))
    catalogue = call.ports.catalogue()
    return page(
        call,
        "incident.html",
        view=view,
        incident=view.incident,
        plots_shown=_plots(call, view.incident, view.alerts),
        lines=_lines(view.alerts),
        traces=queries.traces(call, view.incident),
        trace_url=call.ports.settings.trace_url,
        suspects={change.id: change for change in view.changes},
        blamed=catalogue.get(view.incident.service),
        elapsed=lambda clock: queries.elapsed_ms(clock, call.now_ms),
        priorities=tuple(Priority),
        prefilled=_prefilled(view.alerts),
        said=queries.verdicts(call, view.alerts[:50]),
    )


def _plots(
    call: Call, incident: Incident, members: tuple[AlertStatus, ...]
) -> list[tuple[AlertStatus, Any, Any]]:
    """The best alerts' evidence with its picture; where an alert kept no history, what is known now."""
    shown: list[tuple[AlertStatus, Any, Any]] = []
    for status in members:
        evidence = status.alert.evidence
        if evidence is None:
            continue
        if not evidence.times_ms and incident.state.active and not incident.simulated:
            evidence = call.ports.band(evidence.series) or evidence
        picture = line_with_band(
            evidence, mark_ms=status.alert.starts_ms, title=evidence.series.get("__name__", "")
        )
        if picture:
            shown.append((status, evidence, picture))
        if len(shown) == PLOTS_MAX:
            break
    return shown


def _lines(members: tuple[AlertStatus, ...]) -> list[str]:
    """Example log lines of all members, each once."""
    found = [line for s in members if s.alert.evidence for line in s.alert.evidence.lines]
    return list(dict.fromkeys(found))[:LINES_MAX]


def _prefilled(members: tuple[AlertStatus, ...]) -> str:
    """Matchers that fit the incident's first alert: a start for a silence."""
    return matchers_of(members[0].alert.labels.only(*MATCHERS_PREFILLED)) if members else ""


async def do_act(call: Call) -> Response:
    """`/incidents/{id}/acts`: the buttons and the note."""
    form = call.form()
    incident_id = call.path("id")
    await acting.act(call, incident_id, form.get("act", ""), form.get("text", ""))
    return back(call, f"/incidents/{quote(incident_id, safe='')}", form.get("act", ""))


def list_alerts(call: Call) -> Response:
    """`/alerts`: alerts, those that fire first."""
    state = call.query("state", "firing")
    firing = {"firing": True, "resolved": False}.get(state)
    limit = call.ports.settings.page_size
    with call.ports.store.records.read() as conn:
        found = alerts.recent(
            conn,
            firing=firing,
            simulated=queries.simulated_of(call),
            service=call.query("service"),
            severity=call.query("severity"),
            text=call.query("q")[:200],
            before=queries.cursor_of(call),
            limit=limit + 1,
        )
    following = str(alerts.cursor(found[limit - 1])) if len(found) > limit else ""
    return page(
        call, "alerts.html", found=found[:limit], next=following, state=state,
        services=sorted(call.ports.catalogue().services), said=queries.verdicts(call, found[:limit]),
    )  # fmt: skip


def list_silences(call: Call) -> Response:
    """`/silences`: what is muted, by whom and until when."""
    with call.ports.store.records.read() as conn:
        found = silences.recent(conn, limit=200)
    order = {"active": 0, "pending": 1, "expired": 2}
    shown = sorted(found, key=lambda s: (order[s.state(call.now_ms)], -s.ends_ms))
    return page(call, "silences.html", silences=shown, prefilled=call.query("matchers")[:2000])


async def make_silence(call: Call) -> Response:
    """`/silences`: from the form, one matcher a line."""
    form = call.form()
    lines = [line.strip() for line in form.get("matchers", "").splitlines() if line.strip()]
    matchers = tuple(Matcher.parse(line) for line in lines[:100])
    if not form.get("comment", "").strip():
        raise InputError("comment: say why, for those who find it later")
    ends_ms = call.now_ms + parse_duration(form.get("duration", "").strip())
    words = [str(matcher) for matcher in matchers]
    silence = Silence(
        id=derive_id("silence", call.who.name, call.now_ms, *words),
        matchers=matchers,
        starts_ms=call.now_ms,
        ends_ms=ends_ms,
        created_by=call.who.name,
        comment=form["comment"].strip()[:1000],
        updated_ms=call.now_ms,
    )
    await silencing.create(call, silence)
    return back(call, "/silences", "silenced")


async def end_silence(call: Call) -> Response:
    """`/silences/{id}/end`."""
    await silencing.expire(call, call.path("id"))
    return back(call, "/silences", "silence_ended")


def old_address(path: Callable[[Call], str]) -> Callable[[Call], Response]:
    """A page that has moved."""
    return lambda call: back(call, path(call))


ENDPOINTS = (
    Endpoint("GET", "/", Kind.PAGE, Role.VIEWER, list_incidents, "Incidents, live"),
    Endpoint("GET", "/incidents", Kind.PAGE, Role.VIEWER, old_address(lambda call: "/"), "The same page"),
    Endpoint("GET", "/incidents/{id}", Kind.PAGE, Role.VIEWER, show_incident, "One incident"),
    Endpoint("POST", "/incidents/{id}/acts", Kind.FORM, Role.RESPONDER, do_act, "Buttons of the incident's page"),
    Endpoint("GET", "/alerts", Kind.PAGE, Role.VIEWER, list_alerts, "Alerts"),
    Endpoint("GET", "/silences", Kind.PAGE, Role.VIEWER, list_silences, "Silences"),
    Endpoint("POST", "/silences", Kind.FORM, Role.RESPONDER, make_silence, "Make a silence"),
    Endpoint("POST", "/silences/{id}/end", Kind.FORM, Role.RESPONDER, end_silence, "End a silence"),
)  # fmt: skip
