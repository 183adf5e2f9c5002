"""Health, metrics, reload, dead letters, reports, accounts: for operators and their programs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from console.accounts import Accounts, record
from console.call import Call, Endpoint, Kind, answer, read_json, refuse, text_of
from console.reports import report_response
from console.sentences import retell
from model.account import Role
from model.action import ActionState
from model.errors import InputError
from store import audit, outbox, tokens, users

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


async def healthy(call: Call) -> Response:
    """`/-/healthy`: the process answers."""
    return Response("Tocsin is healthy.\n", media_type="text/plain")


def ready(call: Call) -> Response:
    """`/-/ready`: 503 until state is restored and the store takes writes."""
    if call.ports.health().ready:
        return Response("Tocsin is ready.\n", media_type="text/plain")
    return Response("Tocsin is not ready.\n", 503, media_type="text/plain")


def metrics(call: Call) -> Response:
    """`/metrics`: the pipeline's own metrics."""
    return Response(call.ports.metrics(), headers={"content-type": METRICS_TYPE})


async def reload(call: Call) -> Response:
    """`/-/reload`: read the configuration again; the old one stays if there are problems."""
    problems = await run_in_threadpool(call.ports.reload)
    await run_in_threadpool(note, call, "reload", "configuration", f"{len(problems)} problems")
    if problems:
        found = tuple(
            {"where": "config", "problem": retell(text, call.language), "hint": ""}
            for text in problems
        )
        return refuse(
            400, call.translate("the configuration was not taken over; the old one stays"), found
        )
    return answer({"reloaded": True})


def note(call: Call, act: str, target: str, detail: str = "") -> None:
    """Write an audit record of what the caller did."""
    with call.ports.store.records.write() as conn:
        audit.save(conn, [record(call.who, act, target, detail, call.now_ms, call.address)])


def get_health(call: Call) -> Response:
    """`GET /api/v1/health`: how the pipeline itself fares."""
    health = call.ports.health()
    value: dict[str, Any] = asdict(health)
    for kind in ("components", "sources", "checkpoints"):
        for item, known in zip(value[kind], getattr(health, kind), strict=True):
            item["detail"] = known.detail.text(call.translate) if known.detail else ""
    value["counters"] = dict(health.counters) | call.ports.counters.values()
    return answer(value, 200 if health.ready else 503)


def get_dead_letters(call: Call) -> Response:
    """`GET /api/v1/dead-letters`: actions given up."""
    with call.ports.store.records.read() as conn:
        found = outbox.dead_letters(conn, limit=call.integer("limit", 100, least=1, most=1000))
    return answer({"dead_letters": [asdict(item) for item in found]})


def revive(call: Call) -> Response:
    """`POST /api/v1/dead-letters/{id}/revive`: try one again."""
    revive_letter(call, call.path("id"))
    return answer({"state": ActionState.PENDING})


def revive_letter(call: Call, ident: str) -> None:
    """Try a dead letter again, and note who asked for it."""
    with call.ports.store.records.write() as conn:
        if not outbox.revive(conn, ident, now_ms=call.now_ms):
            raise LookupError(ident)
        audit.save(conn, [record(call.who, "revived", ident, "", call.now_ms, call.address)])


def get_audit(call: Call) -> Response:
    """`GET /api/v1/audit`: who did what, newest first."""
    limit = call.integer("limit", 100, least=1, most=1000)
    with call.ports.store.records.read() as conn:
        found = audit.recent(
            conn, actor=call.query("actor"), act=call.query("act"), target=call.query("target"),
            limit=limit, skip=call.integer("skip", 0),
        )  # fmt: skip
    return answer({"audit": [asdict(item) for item in found]})


def get_report(call: Call) -> Response:
    """`GET /api/v1/report`: JSON, CSV or HTML over a period."""
    return report_response(call, call.query("format", "json"))


def role_of(text: str) -> Role:
    """A role by name."""
    if text not in set(Role):
        raise InputError(f"role: must be one of {', '.join(Role)}")
    return Role(text)


class AccountApi:
    """Users and tokens as JSON; no answer holds a hash."""

    def __init__(self, accounts: Accounts) -> None:
        self.accounts = accounts

    def get_users(self, call: Call) -> Response:
        """`GET /api/v1/users`."""
        with call.ports.store.records.read() as conn:
            found = users.everyone(conn)
        shown = [{"name": u.name, "role": u.role, "disabled": u.disabled} for u in found]
        return answer({"users": shown})

    def post_user(self, call: Call) -> Response:
        """`POST /api/v1/users`: make or change one."""
        values = read_json(call.body)
        self.accounts.save_user(
            text_of(values, "name"), role_of(text_of(values, "role")), text_of(values, "password"),
            by=call.who, now_ms=call.now_ms, address=call.address,
        )  # fmt: skip
        return answer({"name": values["name"]}, 201)

    def delete_user(self, call: Call) -> Response:
        """`DELETE /api/v1/users/{name}`: disable one; records of what they did stay."""
        self.accounts.disable_user(
            call.path("name"), by=call.who, now_ms=call.now_ms, address=call.address
        )
        return Response(status_code=204)

    def get_tokens(self, call: Call) -> Response:
        """`GET /api/v1/tokens`."""
        with call.ports.store.records.read() as conn:
            found = tokens.everything(conn)
        shown = [{k: v for k, v in asdict(t).items() if k != "token_hash"} for t in found]
        return answer({"tokens": shown})

    def post_token(self, call: Call) -> Response:
        """`POST /api/v1/tokens`: make one; its text is in this answer and nowhere else."""
        values = read_json(call.body)
        text = self.accounts.make_token(
            text_of(values, "name"), role_of(text_of(values, "role")),
            by=call.who, now_ms=call.now_ms, address=call.address,
        )  # fmt: skip
        return answer({"name": values["name"], "token": text}, 201)

    def delete_token(self, call: Call) -> Response:
        """`DELETE /api/v1/tokens/{id}`: revoke one."""
        self.accounts.revoke_token(
            call.path("id"), by=call.who, now_ms=call.now_ms, address=call.address
        )
        return Response(status_code=204)

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Its routes, all for administrators."""
        return (
            Endpoint("GET", "/api/v1/users", Kind.API, Role.ADMIN, self.get_users, "Users"),
            Endpoint("POST", "/api/v1/users", Kind.API, Role.ADMIN, self.post_user, "Make or change a user"),
            Endpoint("DELETE", "/api/v1/users/{name}", Kind.API, Role.ADMIN, self.delete_user, "Disable a user"),
            Endpoint("GET", "/api/v1/tokens", Kind.API, Role.ADMIN, self.get_tokens, "API tokens, without their text"),
            Endpoint("POST", "/api/v1/tokens", Kind.API, Role.ADMIN, self.post_token, "Make an API token"),
            Endpoint("DELETE", "/api/v1/tokens/{id}", Kind.API, Role.ADMIN, self.delete_token, "Revoke an API token"),
        )  # fmt: skip


ENDPOINTS = (
    Endpoint("GET", "/-/healthy", Kind.API, None, healthy, "Whether the process answers"),
    Endpoint("GET", "/healthz", Kind.API, None, healthy, "The same, by its other name"),
    Endpoint("GET", "/-/ready", Kind.API, None, ready, "Whether the pipeline takes work"),
    Endpoint("GET", "/readyz", Kind.API, None, ready, "The same, by its other name"),
    Endpoint("POST", "/-/reload", Kind.API, Role.ADMIN, reload, "Read the configuration again"),
    Endpoint("GET", "/metrics", Kind.API, Role.VIEWER, metrics, "The pipeline's own metrics"),
    Endpoint("GET", "/api/v1/health", Kind.API, Role.VIEWER, get_health, "How the pipeline itself fares"),
    Endpoint("GET", "/api/v1/report", Kind.API, Role.VIEWER, get_report, "A report over a period, as JSON, CSV, HTML or text"),
    Endpoint("GET", "/api/v1/dead-letters", Kind.API, Role.VIEWER, get_dead_letters, "Actions given up"),
    Endpoint("POST", "/api/v1/dead-letters/{id}/revive", Kind.API, Role.RESPONDER, revive, "Try a dead letter again"),
    Endpoint("GET", "/api/v1/audit", Kind.API, Role.ADMIN, get_audit, "Who did what"),
)  # fmt: skip
