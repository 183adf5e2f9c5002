"""The pages of services, tickets, changes, the pipeline's health and reports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from console import queries
from console.api_incidents import DESK
from console.api_operations import revive_letter
from console.call import Call, Endpoint, Kind
from console.graph import draw
from console.pages import back, page
from console.plots import line_with_band
from console.reports import report_page
from model.account import Role
from model.alert import Severity
from model.catalogue import Catalogue
from model.incident import Incident
from store import alerts, changes, incidents, outbox, pages, tickets

PLOTS_MAX = 8


def _state_of(active: list[Incident], firing: Mapping[str, int]) -> str:
    """The class that colours a service: its worst open incident, or what fires."""
    loud = [item.severity for item in active if not item.acknowledged_ms]
    if loud:
        return max(loud, key=lambda severity: severity.rank).value
    if active:
        return "acknowledged"
    known = [Severity(name) for name in firing]
    return "info" if known else "ok"


def _by_service(active: list[Incident]) -> dict[str, list[Incident]]:
    found: dict[str, list[Incident]] = {}
    for item in active:
        found.setdefault(item.service, []).append(item)
    return found


def _drawn(catalogue: Catalogue, names: list[str], most: int) -> list[str]:
    """The most critical services, as many as are drawn."""
    return sorted(names, key=lambda name: (catalogue.get(name).tier, name))[:most]


def list_services(call: Call) -> Response:
    """`/services`: the dependency graph with states, and the list."""
    catalogue = call.ports.catalogue()
    with call.ports.store.records.read() as conn:
        firing = alerts.firing_by_service(conn, simulated=False)
        active = _by_service(incidents.active(conn, simulated=False))
    names = sorted({*catalogue.services, *active})
    states = {n: _state_of(active.get(n, []), firing.get(n, {})) for n in names}
    notes = {n: _note(call, catalogue, n, active.get(n, [])) for n in names}
    drawn = _drawn(catalogue, names, call.ports.settings.graph_services_max)
    title = call.translate("Services and what they call")
    return page(
        call,
        "services.html",
        graph=draw(catalogue, drawn, states, notes, title=title),
        names=sorted(names, key=lambda n: (states[n] == "ok", catalogue.get(n).tier, n)),
        states=states,
        active=active,
        firing=firing,
        catalogue=catalogue,
        drawn=len(drawn),
        availability=call.request.app.state.availability.get(call),
    )


def _note(call: Call, catalogue: Catalogue, name: str, active: list[Incident]) -> str:
    if active:
        return call.translate("{count} active").format(count=len(active))
    return call.translate("tier {tier}").format(tier=catalogue.get(name).tier)


def show_service(call: Call) -> Response:
    """`/services/{name}`: its series, incidents, changes and neighbours."""
    name, catalogue = call.path("name"), call.ports.catalogue()
    with call.ports.store.records.read() as conn:
        recent = incidents.recent(conn, affected=name, limit=20)
        changed = changes.recent(conn, service=name, limit=15)
        known = alerts.recent(conn, service=name, limit=40)
        firing = alerts.firing_by_service(conn, simulated=False).get(name, {})
    if name not in catalogue.services and not (recent or changed or known):
        raise LookupError(name)
    active = [item for item in recent if item.state.active and item.service == name]
    return page(
        call,
        "service.html",
        service=catalogue.get(name),
        callers=catalogue.callers(name),
        state=_state_of([item for item in active if not item.simulated], firing),
        recent=recent,
        changes=changed,
        firing=[status for status in known if status.alert.firing],
        plots_shown=_series(call, known),
        slos=[s for s in call.ports.slos() if s.objective.service == name],
    )


def _series(call: Call, known: list[Any]) -> list[tuple[Any, Any]]:
    """Series of which something was ever wrong, as they are now."""
    shown: dict[Any, tuple[Any, Any]] = {}
    for status in known:
        evidence = status.alert.evidence
        if evidence is None or evidence.series in shown or len(shown) == PLOTS_MAX:
            continue
        told = evidence.component == "trend"  # what it will be is with the alert alone
        now = evidence if told else call.ports.band(evidence.series) or evidence
        mark = status.alert.starts_ms if status.alert.firing else None
        if picture := line_with_band(now, mark_ms=mark, title=str(evidence.series)):
            shown[evidence.series] = (now, picture)
    return list(shown.values())


def list_tickets(call: Call) -> Response:
    """`/tickets`: the built-in desk."""
    limit = call.ports.settings.page_size
    with call.ports.store.records.read() as conn:
        found = tickets.recent(
            conn,
            DESK,
            service=call.query("service"),
            simulated=queries.simulated_of(call),
            before=queries.cursor_of(call),
            limit=limit + 1,
        )
    following = str(tickets.cursor(found[limit - 1])) if len(found) > limit else ""
    return page(call, "tickets.html", tickets=found[:limit], next=following)


def show_ticket(call: Call) -> Response:
    """`/tickets/{number}`."""
    with call.ports.store.records.read() as conn:
        found = tickets.get(conn, DESK, call.path("number"))
        incident = incidents.get(conn, found.key) if found else None
    if found is None:
        raise LookupError(call.path("number"))
    return page(call, "ticket.html", ticket=found, incident=incident)


def list_changes(call: Call) -> Response:
    """`/changes`."""
    limit = call.ports.settings.page_size
    with call.ports.store.records.read() as conn:
        found = changes.recent(
            conn,
            service=call.query("service"),
            simulated=queries.simulated_of(call),
            before=queries.cursor_of(call),
            limit=limit + 1,
        )
    following = str(changes.cursor(found[limit - 1])) if len(found) > limit else ""
    return page(call, "changes.html", changes=found[:limit], next=following)


def show_health(call: Call) -> Response:
    """`/health`: the pipeline itself."""
    with call.ports.store.records.read() as conn:
        dead = outbox.dead_letters(conn, limit=50)
        waiting = outbox.counts(conn)
        sent = pages.recent(conn, limit=10, simulated=False)
    health = call.ports.health()
    counters = {**dict(health.counters), **call.ports.counters.values()}
    dropped = ("refused", "dropped", "failures", "damaged", "poisoned", "malformed", "errors")
    limits = {k: v for k, v in counters.items() if v and any(word in k for word in dropped)}
    return page(
        call, "health.html", health=health, dead=dead, waiting=waiting, sent=sent,
        limits=limits, counters=dict(sorted(counters.items())),
    )  # fmt: skip


def revive(call: Call) -> Response:
    """`/health/dead-letters/{id}/revive`."""
    revive_letter(call, call.path("id"))
    return back(call, "/health", "revived")


ENDPOINTS = (
    Endpoint("GET", "/services", Kind.PAGE, Role.VIEWER, list_services, "Services on the dependency graph"),
    Endpoint("GET", "/services/{name:path}", Kind.PAGE, Role.VIEWER, show_service, "One service"),
    Endpoint("GET", "/tickets", Kind.PAGE, Role.VIEWER, list_tickets, "Tickets of the built-in desk"),
    Endpoint("GET", "/tickets/{number}", Kind.PAGE, Role.VIEWER, show_ticket, "One ticket"),
    Endpoint("GET", "/changes", Kind.PAGE, Role.VIEWER, list_changes, "Changes"),
    Endpoint("GET", "/reports", Kind.PAGE, Role.VIEWER, report_page, "Reports"),
    Endpoint("GET", "/health", Kind.PAGE, Role.VIEWER, show_health, "The pipeline itself"),
    Endpoint("POST", "/health/dead-letters/{id}/revive", Kind.FORM, Role.RESPONDER, revive, "Try a dead letter again"),
)  # fmt: skip
