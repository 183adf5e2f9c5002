"""Pushes: parsed whole, made durable, and only then answered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from collectors import alertmanager, changes, heartbeat
from console.call import Call, Endpoint, Kind, answer, refuse
from model.account import Role
from model.codec import encode
from model.errors import InputError
from model.journal import JournalKind, NewEntry

HTTP_ACCEPTED = 202
INLINE_BYTES_MAX = 32 * 1024
"""A larger body is parsed in a thread."""

Parser = Callable[..., Any]


async def accept(call: Call, kind: JournalKind, values: Sequence[Any]) -> list[int]:
    """Make values durable in one append; the name of who sent them is the entries' source."""
    if not values:
        return []
    source, now_ms = call.who.name, call.now_ms
    entries = [NewEntry(kind, source, now_ms, encode(value)) for value in values]
    offsets = await call.ports.submit(entries)
    call.ports.counters.add("tocsin_intake_pushes_total")
    call.ports.counters.add("tocsin_intake_entries_total", len(entries))
    return offsets


async def _parsed(call: Call, parse: Parser, **options: Any) -> tuple[list[Any], Response | None]:
    """What could be read of a push, and the refusal that lists every problem of the rest."""
    options |= {"now_ms": call.now_ms, "source": call.who.name, "limits": call.ports.limits}
    try:
        if len(call.body) > INLINE_BYTES_MAX:  # do not hold up the others
            found = await run_in_threadpool(parse, call.body, **options)
        else:
            found = parse(call.body, **options)
    except InputError as error:
        call.ports.counters.add("tocsin_intake_malformed_total")
        accepted = list(getattr(error, "accepted", ()))
        said = f"{len(accepted)} accepted, the rest refused" if accepted else "nothing was accepted"
        return accepted, refuse(400, said, problems_of(error))
    return (found if isinstance(found, list) else [found]), None


def problems_of(error: InputError) -> tuple[dict[str, str], ...]:
    """Each line of the message as where, what and (after a semicolon) how to mend it.

    Examples
    --------
    >>> problems_of(InputError("/0/labels: must be an object; write {}"))
    ({'where': '/0/labels', 'problem': 'must be an object', 'hint': 'write {}'},)
    """
    problems = []
    for line in str(error).splitlines():
        where, colon, rest = line.partition(": ")
        problem, _, hint = (rest if colon else line).partition("; ")
        problems.append({"where": where if colon else "body", "problem": problem, "hint": hint})
    return tuple(problems)


async def post_alerts(call: Call) -> Response:
    """`POST /api/v2/alerts`, as Prometheus sends it to an Alertmanager."""
    timeout_ms = call.ports.intake.resolve_timeout_ms
    alerts, refusal = await _parsed(call, alertmanager.parse_v2, resolve_timeout_ms=timeout_ms)
    await accept(call, JournalKind.ALERT, alerts)
    return refusal or Response(status_code=200)


async def post_webhook(call: Call) -> Response:
    """`POST /api/v1/webhook/alertmanager`: Alertmanager's webhook, version 4."""
    alerts, refusal = await _parsed(call, alertmanager.parse_webhook)
    await accept(call, JournalKind.ALERT, alerts)
    return refusal or answer({"accepted": len(alerts)}, HTTP_ACCEPTED)


async def post_changes(call: Call) -> Response:
    """`POST /api/v1/changes`: one change event or a list of them."""
    found, refusal = await _parsed(call, changes.parse)
    await accept(call, JournalKind.CHANGE, found)
    ids = [change.id for change in found]
    return refusal or answer({"accepted": len(found), "ids": ids}, HTTP_ACCEPTED)


async def post_heartbeat(call: Call) -> Response:
    """`POST /api/v1/heartbeats/{name}`: a sign of life; the body may state a timeout."""
    found, refusal = await _parsed(call, heartbeat.parse, name=call.path("name"))
    await accept(call, JournalKind.HEARTBEAT, found)
    return refusal or answer({"accepted": 1, "timeout_ms": found[0].timeout_ms}, HTTP_ACCEPTED)


HOT = Endpoint(
    "POST", "/api/v2/alerts", Kind.PUSH, Role.RESPONDER, post_alerts,
    "Push alerts, as to an Alertmanager",
)  # fmt: skip
"""Registered first and without FastAPI's own machinery: it takes a thousand pushes a second."""

ENDPOINTS = (
    Endpoint("POST", "/api/v1/webhook/alertmanager", Kind.PUSH, Role.RESPONDER, post_webhook, "Alertmanager's webhook, version 4"),
    Endpoint("POST", "/api/v1/changes", Kind.PUSH, Role.RESPONDER, post_changes, "Announce changes: deploys, configuration, flags"),
    Endpoint("POST", "/api/v1/heartbeats/{name}", Kind.PUSH, Role.RESPONDER, post_heartbeat, "Give a sign of life"),
)  # fmt: skip
