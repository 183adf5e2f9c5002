"""Probes as they stand: a page, and JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from collectors.probe import ProbeState
from console.call import Call, Endpoint, Kind, answer
from console.pages import page
from model.account import Role

_WORST = ("critical", "warning", "unknown", "ok")
_SOON_MS = 21 * 86_400_000


@dataclass(frozen=True, slots=True)
class Shown:
    """A probe as the page shows it.

    Attributes
    ----------
    state : ProbeState
    word : str
        "critical" where it fails, "warning" where its certificate ends soon, "ok", or "unknown".
    left_ms : int or None
        How long its certificate is good for still.
    """

    state: ProbeState
    word: str
    left_ms: int | None


def shown(state: ProbeState, now_ms: int) -> Shown:
    """How a probe stands.

    Examples
    --------
    >>> from collectors.probe_settings import ProbeKind, ProbeTarget
    >>> shown(ProbeState(ProbeTarget("db", ProbeKind.TCP, "db1:5432")), 0).word
    'unknown'
    """
    result = state.result
    if result is None:
        return Shown(state, "unknown", None)
    left_ms = None if result.expires_ms is None else result.expires_ms - now_ms
    if not result.ok:
        return Shown(state, "critical", left_ms)
    soon = left_ms is not None and left_ms < _SOON_MS
    return Shown(state, "warning" if soon else "ok", left_ms)


def found_of(call: Call) -> list[Shown]:
    """The probes that are asked for (all, or those of a service), what fails first."""
    service, now_ms = call.query("service"), call.ports.clock.now_ms()
    all_of = [shown(s, now_ms) for s in call.ports.probes() if service in ("", s.service)]
    return sorted(all_of, key=lambda one: (_WORST.index(one.word), one.state.target.name))


def probe_json(one: Shown) -> dict[str, Any]:
    """A probe as JSON: seconds, and times in milliseconds."""
    state, result = one.state, one.state.result
    return {
        "name": state.target.name,
        "kind": state.target.kind.value,
        "target": state.target.instance,
        "service": state.service,
        "state": one.word,
        "reason": None if result is None or result.reason is None else result.reason.text(),
        "failing_since_ms": state.failing_since_ms,
        "at_ms": state.at_ms or None,
        "seconds": None if result is None else result.seconds,
        "phases": {} if result is None else dict(result.phases),
        "certificate_expires_ms": None if result is None else result.expires_ms,
    }


def get_probes(call: Call) -> Response:
    """`GET /api/v1/probes`: all probes, or those of `service`."""
    return answer({"probes": [probe_json(one) for one in found_of(call)]})


def list_probes(call: Call) -> Response:
    """`/probes`: what is tried from outside, what fails first."""
    return page(call, "probes.html", probes=found_of(call), day_ms=86_400_000)


ENDPOINTS = (
    Endpoint("GET", "/probes", Kind.PAGE, Role.VIEWER, list_probes, "Probes and their results"),
    Endpoint(
        "GET", "/api/v1/probes", Kind.API, Role.VIEWER, get_probes, "Probes and their results"
    ),
)
