"""What people did in a desk, as acts: what a human does there wins.

The acts go through the journal like any other, so that correlator and bridge both see them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from incident_bridge.desks.base import Desk
from incident_bridge.lifecycle import DESK_ACTOR, allowed_acts
from incident_bridge.settings import DeskSettings
from model.action import ActionState
from model.clock import Clock
from model.errors import DeliveryError, StoreError
from model.identity import derive_id
from model.incident import Act, ActKind, Incident, IncidentState
from model.ticket import Ticket, TicketState
from store import incidents, outbox, ticket_links
from store.store import Store

IDLE_S = 1.0
OVERLAP_MS = 5 * 60_000
"""Asked again each time: a desk's clock may be behind ours, and its answers may be late."""


def act_of(ticket: Ticket, incident: Incident, told: TicketState, *, now_ms: int) -> Act | None:
    """The act that a ticket's state says a person did; None where it says what we told it.

    Parameters
    ----------
    told : TicketState
        What we last told the desk and it took.
    """
    if ticket.state is told:
        return None
    kind = _kind(ticket.state, incident.state)
    if kind is None or kind not in allowed_acts(incident):
        return None
    return Act(
        id=derive_id("desk", ticket.desk, ticket.number, ticket.state.value, ticket.updated_ms),
        incident_id=incident.id,
        kind=kind,
        actor=f"{DESK_ACTOR}{ticket.desk}",
        time_ms=min(ticket.updated_ms or now_ms, now_ms),
    )


def _kind(state: TicketState, incident: IncidentState) -> ActKind | None:
    if state is TicketState.CLOSED:
        return ActKind.CLOSE
    if state is TicketState.RESOLVED:
        return ActKind.RESOLVE if incident.active else None
    if not incident.active:
        return ActKind.REOPEN
    return ActKind.ACKNOWLEDGE if state is TicketState.IN_PROGRESS else None


class DeskWatch:
    """Asks desks what people changed, each at its own interval.

    Parameters
    ----------
    report
        Told when a desk does not answer; it is asked again at the next interval.
    """

    def __init__(
        self,
        store: Store,
        desks: Mapping[str, Desk],
        settings: Mapping[str, DeskSettings],
        *,
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._records = store.records
        self._desks = dict(desks)
        self._settings = dict(settings)
        self._report = report
        self._asked_ms: dict[str, int] = {}
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def poll(self, now_ms: int) -> list[Act]:
        """Acts to journal. One that was journalled before has the same id; the lifecycle refuses it then."""
        acts: list[Act] = []
        for name, desk in self._desks.items():
            every_ms = self._settings[name].poll_interval_ms if name in self._settings else 0
            last_ms = self._asked_ms.get(name)
            if not every_ms or (last_ms is not None and now_ms - last_ms < every_ms):
                continue
            self._asked_ms[name] = now_ms
            since_ms = (now_ms if last_ms is None else last_ms) - OVERLAP_MS
            try:
                tickets = desk.changes(since_ms)
            except DeliveryError as error:
                self._report(f"{name}: cannot be asked for changes: {error}")
                continue
            except StoreError:
                raise
            except Exception as error:  # whatever an adapter raises must not end its thread
                self._report(
                    f"{name}: cannot be asked for changes: {type(error).__name__}: {error}"
                )
                continue
            acts += [act for ticket in tickets if (act := self._act(name, ticket, now_ms))]
        return acts

    def start(self, clock: Clock, submit: Callable[[list[Act]], None]) -> None:
        """Poll in an own thread; `submit` puts the acts into the journal."""
        self._stopping.clear()
        self._thread = threading.Thread(
            target=self._loop, args=(clock, submit), name="desk-watch", daemon=True
        )
        self._thread.start()

    def stop(self, timeout_s: float = 15.0) -> None:
        """End the thread, after the answer it may be waiting for."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _loop(self, clock: Clock, submit: Callable[[list[Act]], None]) -> None:
        while not self._stopping.wait(IDLE_S):
            try:
                if acts := self.poll(clock.now_ms()):
                    submit(acts)
            except StoreError as error:
                # The overlap asks for the same again.
                self._report(f"what people did in a desk could not be written down: {error}")

    def _act(self, desk: str, ticket: Ticket, now_ms: int) -> Act | None:
        with self._records.read() as conn:
            link = ticket_links.by_number(conn, desk, ticket.number)
            incident = incidents.get(conn, link.incident_id) if link else None
            queue = outbox.by_incident(conn, incident.id) if incident else []
        own = [q for q in queue if q.action.target == desk and q.action.ticket is not None]
        done = [q for q in own if q.state is ActionState.DONE]
        if incident is None or not done or any(q.state is ActionState.PENDING for q in own):
            # While something of ours is on its way the desk is merely behind.
            return None
        last = max(done, key=lambda q: q.action.sequence).action.ticket
        assert last is not None
        return act_of(ticket, incident, last.state, now_ms=now_ms)
