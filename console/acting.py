"""A person's act on an incident: checked against the state machine, journalled, audited."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool

from console.accounts import record
from console.api_intake import accept
from console.call import Call
from incident_bridge import lifecycle
from model.errors import InputError
from model.identity import derive_id
from model.incident import Act, ActKind, Incident, Priority
from model.journal import JournalKind
from store import audit, incidents

TEXT_MAX = 10_000


async def act(call: Call, incident_id: str, kind: str, text: str) -> Act:
    """Do it.

    Raises
    ------
    InputError
        If there is no such act, or it lacks its text.
    LookupError
        If there is no such incident.
    NotAllowed
        If the state machine refuses it.
    """
    if kind not in set(ActKind):
        raise InputError(f"act: must be one of {', '.join(ActKind)}")
    known = ActKind(kind)
    text = text.strip()[:TEXT_MAX]
    if known is ActKind.NOTE and not text:
        raise InputError("text: a note needs one")
    if known is ActKind.PRIORITY and text not in set(Priority):
        raise InputError(f"text: must be one of {', '.join(Priority)}")
    incident = await run_in_threadpool(_get, call, incident_id)
    if known is ActKind.ACKNOWLEDGE and incident.merged_into:
        # Who answers the page of an incident that has become part of another answers for that one.
        incident = await run_in_threadpool(_where_it_goes_on, call, incident)
        incident_id = incident.id
    lifecycle.check(incident, known, call.who.name)
    ident = derive_id("act", incident_id, kind, call.who.name, call.now_ms, text)
    done = Act(ident, incident_id, known, call.who.name, call.now_ms, text)
    await accept(call, JournalKind.ACT, [done])
    await run_in_threadpool(_note, call, done)
    return done


def _get(call: Call, incident_id: str) -> Incident:
    with call.ports.store.records.read() as conn:
        found = incidents.get(conn, incident_id)
    if found is None:
        raise LookupError(incident_id)
    return found


def _where_it_goes_on(call: Call, incident: Incident) -> Incident:
    seen = {incident.id}
    while incident.merged_into and incident.merged_into not in seen:
        incident = _get(call, incident.merged_into)
        seen.add(incident.id)
    return incident


def _note(call: Call, done: Act) -> None:
    with call.ports.store.records.write() as conn:
        said = record(
            call.who, done.kind.value, done.incident_id, done.text, call.now_ms, call.address
        )
        audit.save(conn, [said])
