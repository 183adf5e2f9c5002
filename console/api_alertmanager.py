"""The reading half of Alertmanager's v2 API, and its silences: for amtool, Grafana and the like."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection
from starlette.responses import Response

from collectors import alertmanager
from collectors.silences import anew, changes_to, parse_silence, silence_to_json
from console import silencing
from console.call import Call, Endpoint, Kind, answer, read_json
from console.pages import safe_url
from model.account import Role
from model.alert import AlertStatus
from model.labels import Matcher, MatchOp, matches_all
from store import alerts, silences

ALERTS_MAX = 5_000
RECEIVER = "tocsin"


def _matchers(call: Call) -> list[Matcher]:
    texts = call.request.query_params.getlist("filter")
    return [Matcher.parse(text) for text in texts[: silencing.MATCHERS_MAX]]


def _wanted(call: Call, conn: Connection) -> list[AlertStatus]:
    """Firing alerts that pass the query's flags and matchers."""
    matchers = _matchers(call)
    active, silenced = call.flag("active", True), call.flag("silenced", True)
    inhibited = call.flag("inhibited", True)
    call.flag("unprocessed", True)  # ours are processed before they can be read
    return [
        status
        for status in alerts.firing(conn, simulated=False, limit=ALERTS_MAX)
        if (active or status.silenced_by)
        and (silenced or not status.silences)
        and (inhibited or not status.inhibitors)
        and matches_all(matchers, status.alert.labels)
    ]


def _alerts(found: Sequence[AlertStatus], now_ms: int) -> list[dict[str, Any]]:
    shown = alertmanager.to_v2(found, now_ms=now_ms)
    for one, status in zip(shown, found, strict=True):
        one["receivers"] = [{"name": RECEIVER}]
        one["generatorURL"] = safe_url(status.alert.generator_url)
        if status.alert.summary is not None:  # our own alerts carry a sentence, not annotations
            one["annotations"].setdefault("summary", status.alert.summary.text())
    return shown


def get_alerts(call: Call) -> Response:
    """`GET /api/v2/alerts`."""
    if not _receiver_fits(call):
        return answer([])
    with call.ports.store.records.read() as conn:
        found = _wanted(call, conn)
    return answer(_alerts(found, call.now_ms))


def _receiver_fits(call: Call) -> bool:
    wanted = call.query("receiver")
    return not wanted or Matcher("r", MatchOp.REGEX, wanted).matches({"r": RECEIVER})


def get_groups(call: Call) -> Response:
    """`GET /api/v2/alerts/groups`: a group is an incident, or alerts that have none yet."""
    if not _receiver_fits(call):
        return answer([])
    with call.ports.store.records.read() as conn:
        found = _wanted(call, conn)
    groups: dict[str, list[AlertStatus]] = {}
    for status in found:
        groups.setdefault(status.incident_id, []).append(status)
    return answer(
        [
            {
                "labels": {"incident": incident_id} if incident_id else {},
                "receiver": {"name": RECEIVER},
                "alerts": _alerts(members, call.now_ms),
            }
            for incident_id, members in sorted(groups.items())
        ]
    )


def get_silences(call: Call) -> Response:
    """`GET /api/v2/silences`; a filter is matched with the matchers' values, as in Alertmanager."""
    wanted = _matchers(call)
    with call.ports.store.records.read() as conn:
        found = silences.recent(conn, limit=1_000)
    fitting = [s for s in found if matches_all(wanted, {m.name: m.value for m in s.matchers})]
    return answer([silence_to_json(s, now_ms=call.now_ms) for s in fitting])


def get_silence(call: Call) -> Response:
    """`GET /api/v2/silence/{id}`."""
    with call.ports.store.records.read() as conn:
        silence = silences.get(conn, call.path("id"))
    if silence is None:
        raise LookupError(call.path("id"))
    return answer(silence_to_json(silence, now_ms=call.now_ms))


async def post_silence(call: Call) -> Response:
    """`POST /api/v2/silences`: make a silence, or change the one of the given id.

    As in Alertmanager: one with other matchers, or whose time of the start is over, is another
    silence; the old one ends, so that what it did can still be read.
    """
    limits = call.ports.limits
    silence = parse_silence(call.body, now_ms=call.now_ms, created_by=call.who.name, limits=limits)
    if read_json(call.body).get("id"):
        before = await silencing.existing(call, silence.id)
        if not changes_to(before, silence, now_ms=call.now_ms):
            silence = anew(silence, now_ms=call.now_ms)
            silencing.check(call, silence)
            if before.ends_ms > call.now_ms:
                await silencing.expire(call, before.id)
    await silencing.create(call, silence)
    return answer({"silenceID": silence.id})


async def delete_silence(call: Call) -> Response:
    """`DELETE /api/v2/silence/{id}`: end it now."""
    await silencing.expire(call, call.path("id"))
    return Response(status_code=200)


def get_status(call: Call) -> Response:
    """`GET /api/v2/status`."""
    health = call.ports.health()
    return answer(
        {
            "cluster": {"status": "disabled", "peers": []},
            "config": {"original": ""},
            "uptime": alertmanager.rfc3339(call.now_ms - health.uptime_ms),
            "versionInfo": {
                "version": call.ports.version,
                "branch": "",
                "buildDate": "",
                "buildUser": "",
                "goVersion": "",
                "revision": "",
            },
        }
    )


def get_receivers(call: Call) -> Response:
    """`GET /api/v2/receivers`: one, because routing is done per incident, not per alert."""
    return answer([{"name": RECEIVER}])


ENDPOINTS = (
    Endpoint("GET", "/api/v2/alerts", Kind.API, Role.VIEWER, get_alerts, "Firing alerts, filtered as by an Alertmanager"),
    Endpoint("GET", "/api/v2/alerts/groups", Kind.API, Role.VIEWER, get_groups, "Firing alerts by incident"),
    Endpoint("GET", "/api/v2/silences", Kind.API, Role.VIEWER, get_silences, "Silences"),
    Endpoint("POST", "/api/v2/silences", Kind.API, Role.RESPONDER, post_silence, "Make or change a silence"),
    Endpoint("GET", "/api/v2/silence/{id}", Kind.API, Role.VIEWER, get_silence, "One silence"),
    Endpoint("DELETE", "/api/v2/silence/{id}", Kind.API, Role.RESPONDER, delete_silence, "End a silence"),
    Endpoint("GET", "/api/v2/status", Kind.API, Role.VIEWER, get_status, "Version and uptime, as an Alertmanager says it"),
    Endpoint("GET", "/api/v2/receivers", Kind.API, Role.VIEWER, get_receivers, "Receivers of alerts"),
)  # fmt: skip
