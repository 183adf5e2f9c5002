"""Verdicts on alerts: given, listed, taken back; by button and by API."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from console.accounts import record
from console.api_intake import accept
from console.call import Call, Endpoint, Kind, answer, read_json, text_of
from console.pages import back, page
from model.account import Role
from model.errors import InputError
from model.feedback import Feedback, Verdict, feedback_on
from model.journal import JournalKind
from store import alerts, audit
from store import feedback as rows

NOTE_MAX = 1_000
ACTIVE_MAX = 20_000
OWN_SOURCES = ("detector",)
"""What the detectors told: other senders do not learn from us."""


async def give(call: Call, alert_id: str, verdict: str, note: str) -> Feedback:
    """Say of an alert's occurrence that it was noise, or a good catch.

    Raises
    ------
    InputError
        If there is no such verdict, the alert is not one of the detectors', or there are too many.
    LookupError
        If there is no such alert.
    """
    if verdict not in set(Verdict):
        raise InputError(f"verdict: must be one of {', '.join(Verdict)}")

    def known() -> tuple[Any, int]:
        with call.ports.store.records.read() as conn:
            return alerts.get(conn, alert_id), rows.count_active(conn)

    status, count = await run_in_threadpool(known)
    if status is None:
        raise LookupError(alert_id)
    if status.alert.source not in OWN_SOURCES:
        raise InputError(
            f"alert: it came from {status.alert.source!r}; only what the detectors found learns from "
            "feedback: silence it, or change the rule that sends it"
        )
    if count >= ACTIVE_MAX:
        raise InputError(f"there are {ACTIVE_MAX} verdicts already; take some back")
    said = feedback_on(
        status.alert, Verdict(verdict), call.who.name, call.now_ms, note.strip()[:NOTE_MAX]
    )
    await _keep(call, said, said.verdict.value)
    return said


async def withdraw(call: Call, feedback_id: str) -> Feedback:
    """Take a verdict back: what it did is undone.

    Raises
    ------
    LookupError
        If there is none of that id.
    """

    def known() -> Feedback | None:
        with call.ports.store.records.read() as conn:
            return rows.get(conn, feedback_id)

    said = await run_in_threadpool(known)
    if said is None:
        raise LookupError(feedback_id)
    if said.active:
        said = replace(said, withdrawn_ms=call.now_ms, withdrawn_by=call.who.name)
        await _keep(call, said, "feedback_withdrawn")
    return said


async def _keep(call: Call, said: Feedback, act: str) -> None:
    """Journal it for the detectors, and write the row at once so that the answer can be read back."""
    await accept(call, JournalKind.FEEDBACK, [said])

    def write() -> None:
        about = f"{said.alertname} {said.series} {said.note}".strip()
        with call.ports.store.records.write() as conn:
            rows.save(conn, [said])
            audit.save(
                conn, [record(call.who, act, said.alert_id, about, call.now_ms, call.address)]
            )

    await run_in_threadpool(write)


def _shown(said: Feedback) -> dict[str, Any]:
    return {**asdict(said), "series": dict(said.series), "active": said.active}


async def post_feedback(call: Call) -> Response:
    """`POST /api/v1/alerts/{id}/feedback`."""
    values = read_json(call.body)
    said = await give(call, call.path("id"), text_of(values, "verdict"), text_of(values, "note"))
    return answer(_shown(said), 202)


def get_feedback(call: Call) -> Response:
    """`GET /api/v1/feedback`: verdicts, newest first."""
    limit = call.integer("limit", 200, least=1, most=1000)
    with call.ports.store.records.read() as conn:
        found = rows.recent(conn, limit=limit)
    return answer({"feedback": [_shown(said) for said in found]})


async def post_withdrawal(call: Call) -> Response:
    """`POST /api/v1/feedback/{id}/withdraw`."""
    return answer(_shown(await withdraw(call, call.path("id"))), 202)


def list_feedback(call: Call) -> Response:
    """`/feedback`: what people said of alerts, and the way back."""
    with call.ports.store.records.read() as conn:
        found = rows.recent(conn, limit=200)
    return page(call, "feedback.html", found=found)


async def do_feedback(call: Call) -> Response:
    """`/alerts/{id}/feedback`: the two buttons of an alert."""
    form = call.form()
    await give(call, call.path("id"), form.get("verdict", ""), form.get("note", ""))
    return back(call, _local(form.get("next", "")), "feedback")


async def undo_feedback(call: Call) -> Response:
    """`/feedback/{id}/withdraw`."""
    await withdraw(call, call.path("id"))
    return back(call, "/feedback", "feedback_withdrawn")


def _local(address: str) -> str:
    """A path of this console, else the list of alerts: a form must not lead elsewhere."""
    parts = urlsplit(address)
    local = address.startswith("/") and not address.startswith(("//", "/\\"))
    return parts.path if local and not parts.netloc else "/alerts"


ENDPOINTS = (
    Endpoint("GET", "/feedback", Kind.PAGE, Role.VIEWER, list_feedback, "What people said of alerts"),
    Endpoint("POST", "/alerts/{id}/feedback", Kind.FORM, Role.RESPONDER, do_feedback, "Noise, or a good catch"),
    Endpoint("POST", "/feedback/{id}/withdraw", Kind.FORM, Role.RESPONDER, undo_feedback, "Take a verdict back"),
    Endpoint("GET", "/api/v1/feedback", Kind.API, Role.VIEWER, get_feedback, "Verdicts on alerts"),
    Endpoint("POST", "/api/v1/alerts/{id}/feedback", Kind.API, Role.RESPONDER, post_feedback, "Say that an alert was noise, or a good catch"),
    Endpoint("POST", "/api/v1/feedback/{id}/withdraw", Kind.API, Role.RESPONDER, post_withdrawal, "Take a verdict back"),
)  # fmt: skip
