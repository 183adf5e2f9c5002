"""Alerts and changes in the words of other systems: Zabbix, Grafana, PagerDuty's events, CloudEvents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from collectors import alert_cloudevents, alert_grafana, alert_pagerduty, alert_zabbix
from collectors.known_alerts import KnownAlerts
from collectors.told import Action, Told, settle
from console.acting import act
from console.api_intake import HTTP_ACCEPTED, INLINE_BYTES_MAX, accept, problems_of
from console.call import Call, Endpoint, Kind, answer, refuse
from model.account import Role
from model.errors import InputError, NotAllowed, StoreError
from model.incident import ActKind
from model.journal import JournalKind

TOO_MANY_REQUESTS = 429
RETRY_AFTER_S = "2"
Parser = Callable[..., Any]
_FORMATS = (alert_cloudevents.STRUCTURED, alert_cloudevents.BATCHED)


class Webhooks:
    """The routes; what fires under which key is known between requests."""

    def __init__(self) -> None:
        self._known = KnownAlerts()

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Every route."""
        push, role = Kind.PUSH, Role.RESPONDER
        key_of = alert_pagerduty.routing_key
        event, change = "Events as to PagerDuty (Events API v2)", "Change events as to PagerDuty"
        pagerduty = [
            Endpoint("POST", f"{root}/v2/{path}", push, role, handler, says, key_of)
            for root in ("/api/v1/webhook/pagerduty", "")
            for path, handler, says in (
                ("enqueue", self.pagerduty, event),
                ("change/enqueue", self.pagerduty_change, change),
            )
        ]
        return (
            Endpoint("POST", "/api/v1/webhook/zabbix", push, role, self.zabbix, "Problems of Zabbix, by our media type"),
            Endpoint("POST", "/api/v1/webhook/grafana", push, role, self.grafana, "Grafana's own alerting"),
            Endpoint("POST", "/api/v1/webhook/cloudevents", push, role, self.cloudevents, "Alerts and changes as CloudEvents 1.0"),
            *pagerduty,
        )  # fmt: skip

    async def zabbix(self, call: Call) -> Response:
        """`POST /api/v1/webhook/zabbix`."""
        told, refusal = await _read(call, alert_zabbix.parse)
        if refusal is not None:
            return refusal
        return answer(await self._take(call, told), HTTP_ACCEPTED)

    async def grafana(self, call: Call) -> Response:
        """`POST /api/v1/webhook/grafana`; the well-formed alerts are taken even when others are not."""
        found, refusal = await _read(call, alert_grafana.parse)
        await accept(call, JournalKind.ALERT, found)
        return refusal or answer({"accepted": len(found)}, HTTP_ACCEPTED)

    async def cloudevents(self, call: Call) -> Response:
        """`POST /api/v1/webhook/cloudevents`: nothing of a batch is taken where a part is malformed."""
        headers = {name: value for name, value in call.request.headers.items()}
        kind = alert_cloudevents.media_type(headers)
        if kind.startswith("application/cloudevents") and kind not in _FORMATS:
            return refuse(415, "only JSON is understood as event format")
        events, refusal = await _read(call, alert_cloudevents.parse, headers=headers)
        if refusal is not None:
            return refusal
        await accept(call, JournalKind.CHANGE, events.changes)
        done = await self._take(call, events.told)
        if events.ignored:
            call.ports.counters.add("tocsin_intake_ignored_total", events.ignored)
        done["accepted"] += len(events.changes)
        done["ignored"] += events.ignored
        return answer(done, HTTP_ACCEPTED)

    async def pagerduty(self, call: Call) -> Response:
        """`POST …/v2/enqueue`, answered as PagerDuty does."""
        told, refusal = await _read(call, alert_pagerduty.parse, refuse_as=_invalid_event)
        if refusal is not None:
            return refusal
        try:
            await self._take(call, told)
        except StoreError:
            return _try_again(call)
        said = {"status": "success", "message": "Event processed", "dedup_key": told[0].key}
        return answer(said, HTTP_ACCEPTED)

    async def pagerduty_change(self, call: Call) -> Response:
        """`POST …/v2/change/enqueue`, answered as PagerDuty does."""
        found, refusal = await _read(call, alert_pagerduty.parse_change, refuse_as=_invalid_event)
        if refusal is not None:
            return refusal
        try:
            await accept(call, JournalKind.CHANGE, found)
        except StoreError:
            return _try_again(call)
        said = {"status": "success", "message": "Change event processed"}
        return answer(said, HTTP_ACCEPTED)

    async def _take(self, call: Call, told: Sequence[Told]) -> dict[str, int]:
        """Settle and journal in order; one event may rest on the one before it."""
        accepted = ignored = 0
        for one in told:
            known = await run_in_threadpool(
                self._known.find, call.ports.store, call.who.name, one.key, call.now_ms
            )
            alert = None if known is None else known.alert
            if one.action is Action.ACKNOWLEDGE:
                done = known is not None and await _acknowledge(call, known.incident_id, one)
                accepted, ignored = accepted + done, ignored + (not done)
                continue
            found = settle(one, alert, source=call.who.name, now_ms=call.now_ms)
            await accept(call, JournalKind.ALERT, found)
            self._known.note(list(reversed(found)))  # the firing one is noted last
            accepted, ignored = accepted + bool(found), ignored + (not found)
        if ignored:
            call.ports.counters.add("tocsin_intake_ignored_total", ignored)
        return {"accepted": accepted, "ignored": ignored}


async def _acknowledge(call: Call, incident_id: str, told: Told) -> bool:
    """Acknowledge the incident; False where there is none yet, or it needs none."""
    if not incident_id:
        return False
    try:
        await act(call, incident_id, ActKind.ACKNOWLEDGE, told.text)
    except (NotAllowed, LookupError):
        return False
    return True


async def _read(
    call: Call,
    parse: Parser,
    *,
    refuse_as: Callable[[InputError], Response] | None = None,
    **more: Any,
) -> tuple[Any, Response | None]:
    options = {"now_ms": call.now_ms, "source": call.who.name, "limits": call.ports.limits, **more}
    try:
        if len(call.body) > INLINE_BYTES_MAX:  # do not hold up the others
            return await run_in_threadpool(parse, call.body, **options), None
        return parse(call.body, **options), None
    except InputError as error:
        call.ports.counters.add("tocsin_intake_malformed_total")
        accepted = list(getattr(error, "accepted", ()))
        if refuse_as is not None:
            return accepted, refuse_as(error)
        return accepted, refuse(400, "the push is malformed", problems_of(error))


def _invalid_event(error: InputError) -> Response:
    said = {"status": "invalid event", "message": "Event object is invalid", "errors": str(error).splitlines()}  # fmt: skip
    return answer(said, 400)


def _try_again(call: Call) -> Response:
    """Its clients know that they may try again after this."""
    call.ports.counters.add("tocsin_console_refused_store_total")
    said = {"status": "throttle exceeded", "message": "the store cannot take this now; try again"}
    return answer(said, TOO_MANY_REQUESTS, {"retry-after": RETRY_AFTER_S})
