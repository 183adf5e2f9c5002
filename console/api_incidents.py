"""Incidents, tickets, changes and services as JSON."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from starlette.responses import Response

from console import acting, queries
from console.call import Call, Endpoint, Kind, answer, read_json, text_of
from model.account import Role
from model.errors import InputError
from model.incident import Incident, IncidentState
from model.reason import Reason
from store import alerts, changes, incidents, tickets
from store.ticket_links import TicketLink

LIMIT = 100
LIMIT_MAX = 1_000
DESK = "builtin"


def reason_json(call: Call, reason: Reason | None) -> str:
    """A reason as a sentence in the caller's language."""
    return "" if reason is None else reason.text(call.translate)


def incident_json(call: Call, item: Incident, links: list[TicketLink]) -> dict[str, Any]:
    """An incident as the list shows it: its own fields, sentences said, and its tickets."""
    values = asdict(item)
    values["title"] = reason_json(call, item.title)
    values["evidence"] = [reason_json(call, reason) for reason in item.evidence]
    values["causes"] = [
        {**asdict(cause), "reasons": [reason_json(call, reason) for reason in cause.reasons]}
        for cause in item.causes
    ]
    values["tickets"] = [asdict(link) for link in links]
    return values


def get_incidents(call: Call) -> Response:
    """`GET /api/v1/incidents`: filtered and paged."""
    state = call.query("state", "all")
    if state not in (*queries.STATES, *IncidentState):
        raise InputError(f"state: must be one of {', '.join((*queries.STATES, *IncidentState))}")
    limit = call.integer("limit", LIMIT, least=1, most=LIMIT_MAX)
    found = queries.incident_list(call, state=state, limit=limit)
    items = [incident_json(call, item, found.tickets.get(item.id, [])) for item in found.items]
    return answer({"incidents": items, "next": found.next})


def get_incident(call: Call) -> Response:
    """`GET /api/v1/incidents/{id}`: one with everything known of it."""
    view = queries.incident_view(call, call.path("id"))
    value = incident_json(call, view.incident, list(view.tickets))
    value["timeline"] = [
        {**asdict(entry), "text": reason_json(call, entry.text)} for entry in view.timeline
    ]
    value["traces"] = [
        {
            "trace_id": one.trace_id,
            "series": dict(one.series),
            "time_ms": one.time_ms,
            "failed": one.failed,
            "value": one.value if math.isfinite(one.value) else None,
        }
        for one in queries.traces(call, view.incident)
    ]
    value["alerts"] = [
        {
            "alert": {
                **asdict(status.alert),
                "labels": dict(status.alert.labels),
                "annotations": dict(status.alert.annotations),
                "summary": reason_json(call, status.alert.summary),
            },
            "id": status.alert.id,
            "key": status.alert.key,
            "silenced_by": status.silenced_by,
        }
        for status in view.alerts
    ]
    value["clocks"] = [
        {**asdict(clock), "elapsed_now_ms": queries.elapsed_ms(clock, call.now_ms)}
        for clock in view.clocks
    ]
    value["pages"] = [asdict(page) for page in view.pages]
    value["changes"] = [asdict(change) for change in view.changes]
    value["runbooks"] = [
        {
            "title": found.runbook.title,
            "score": found.score,
            "reasons": [reason_json(call, reason) for reason in found.reasons],
        }
        for found in view.runbooks
    ]
    value["acts"] = list(view.acts)
    return answer(value)


async def post_act(call: Call) -> Response:
    """`POST /api/v1/incidents/{id}/acts`."""
    values = read_json(call.body)
    done = await acting.act(call, call.path("id"), text_of(values, "act"), text_of(values, "text"))
    return answer({"id": done.id, "act": done.kind}, 202)


def get_tickets(call: Call) -> Response:
    """`GET /api/v1/tickets`: tickets of the built-in desk."""
    limit = call.integer("limit", LIMIT, least=1, most=LIMIT_MAX)
    with call.ports.store.records.read() as conn:
        found = tickets.recent(
            conn,
            DESK,
            service=call.query("service"),
            simulated=queries.simulated_of(call),
            before=queries.cursor_of(call),
            limit=limit,
        )
    following = str(tickets.cursor(found[-1])) if len(found) == limit else ""
    return answer({"tickets": [asdict(ticket) for ticket in found], "next": following})


def get_ticket(call: Call) -> Response:
    """`GET /api/v1/tickets/{number}`: one ticket with its comments."""
    with call.ports.store.records.read() as conn:
        found = tickets.get(conn, DESK, call.path("number"))
    if found is None:
        raise LookupError(call.path("number"))
    return answer(asdict(found))


def get_changes(call: Call) -> Response:
    """`GET /api/v1/changes`: change events, newest first."""
    limit = call.integer("limit", LIMIT, least=1, most=LIMIT_MAX)
    with call.ports.store.records.read() as conn:
        found = changes.recent(
            conn,
            service=call.query("service"),
            simulated=queries.simulated_of(call),
            before=queries.cursor_of(call),
            limit=limit,
        )
    following = str(changes.cursor(found[-1])) if len(found) == limit else ""
    return answer({"changes": [asdict(change) for change in found], "next": following})


def get_services(call: Call) -> Response:
    """`GET /api/v1/services`: the catalogue with what fires now."""
    catalogue = call.ports.catalogue()
    with call.ports.store.records.read() as conn:
        firing = alerts.firing_by_service(conn, simulated=False)
        active = incidents.active(conn, simulated=False)
    counts: dict[str, int] = {}
    for item in active:
        counts[item.service] = counts.get(item.service, 0) + 1
    names = sorted({*catalogue.services, *counts})
    return answer(
        {
            "services": [
                {
                    **asdict(catalogue.get(name)),
                    "alerts": firing.get(name, {}),
                    "active_incidents": counts.get(name, 0),
                }
                for name in names
            ]
        }
    )


ENDPOINTS = (
    Endpoint("GET", "/api/v1/incidents", Kind.API, Role.VIEWER, get_incidents, "Incidents, filtered and paged"),
    Endpoint("GET", "/api/v1/incidents/{id}", Kind.API, Role.VIEWER, get_incident, "One incident with everything known of it"),
    Endpoint("POST", "/api/v1/incidents/{id}/acts", Kind.API, Role.RESPONDER, post_act, "Acknowledge, resolve, close, reopen, note, set the priority"),
    Endpoint("GET", "/api/v1/tickets", Kind.API, Role.VIEWER, get_tickets, "Tickets of the built-in desk"),
    Endpoint("GET", "/api/v1/tickets/{number}", Kind.API, Role.VIEWER, get_ticket, "One ticket with its comments"),
    Endpoint("GET", "/api/v1/changes", Kind.API, Role.VIEWER, get_changes, "Change events"),
    Endpoint("GET", "/api/v1/services", Kind.API, Role.VIEWER, get_services, "Services with what fires now"),
)  # fmt: skip
