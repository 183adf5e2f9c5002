"""What the stages after the detectors remember, as the store holds it: all of it, or one decider's share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from model.action import LedgerEntry
from model.alert import Alert, AlertStatus
from model.change import Change
from model.feedback import Feedback
from model.incident import Grouping, Incident, SlaClock
from model.journal import Heartbeat
from model.silence import Silence
from store import alerts as alert_rows
from store import changes as change_rows
from store import clocks as clock_rows
from store import feedback as feedback_rows
from store import groupings as grouping_rows
from store import heartbeats as heartbeat_rows
from store import incidents as incident_rows
from store import ledger as ledger_rows
from store import offsets as offset_rows
from store import silences as silence_rows
from store.store import Store

CHANGES_MAX = 100_000


class Share(Protocol):
    """What of the records is remembered by one of several deciders."""

    def alert(self, alert: Alert) -> bool:
        """Whether it is decided here."""
        ...

    def service(self, name: str) -> bool:
        """Whether changes of a service matter here."""
        ...

    def heartbeat(self, beat: Heartbeat) -> bool:
        """Whether its silence is told here."""
        ...

    def incident(self, incident: Incident | Grouping) -> bool:
        """Whether it is decided here."""
        ...


@dataclass(frozen=True, slots=True)
class Memory:
    """How far back `Core.restore` reads: at least as far as the stages remember, milliseconds."""

    alerts_ms: int = 86_400_000
    incidents_ms: int = 7 * 86_400_000


MEMORY = Memory()


@dataclass(frozen=True, slots=True)
class Remembered:
    """The rows of one moment, and the offset of the journal up to which they go."""

    offset: int
    statuses: list[AlertStatus]
    groupings: list[Grouping]
    silences: list[Silence]
    changes: list[Change]
    incidents: list[Incident]
    clocks: list[SlaClock]
    ledger: list[LedgerEntry]
    heartbeats: list[Heartbeat]
    said: list[Feedback]

    @classmethod
    def read(
        cls, store: Store, now_ms: int, memory: Memory, *, simulated: bool, journal: str
    ) -> Remembered:
        """All of it; `journal` is the name of the offset.

        Raises
        ------
        StoreError
            If it cannot be read.
        """
        alerts_ms, incidents_ms = now_ms - memory.alerts_ms, now_ms - memory.incidents_ms
        with store.records.read() as conn:
            return cls(
                offset_rows.get(conn, journal),
                alert_rows.active(conn, resolved_since_ms=alerts_ms, simulated=simulated),
                grouping_rows.restorable(conn, since_ms=alerts_ms, simulated=simulated),
                silence_rows.current(conn, now_ms=now_ms),
                change_rows.between(
                    conn, alerts_ms, now_ms, simulated=simulated, limit=CHANGES_MAX
                ),
                incident_rows.restorable(conn, since_ms=incidents_ms, simulated=simulated),
                clock_rows.restorable(conn, since_ms=incidents_ms, simulated=simulated),
                ledger_rows.restorable(conn, since_ms=incidents_ms, simulated=simulated),
                # A simulated past has no heartbeats; those of the store are of the living.
                [] if simulated else heartbeat_rows.everything(conn),
                feedback_rows.active(conn),
            )

    def part(self, share: Share) -> Remembered:
        """What of it is one decider's; silences and feedback are everybody's."""
        groupings = [one for one in self.groupings if share.incident(one)]
        here = {one.id for one in groupings}
        elsewhere = {one.id for one in self.groupings} - here
        # An incident goes where its grouping does, whatever was said of the two when.
        incidents = [
            one
            for one in self.incidents
            if one.id in here or (one.id not in elsewhere and share.incident(one))
        ]
        known = {one.id for one in incidents}
        return replace(
            self,
            statuses=[one for one in self.statuses if share.alert(one.alert)],
            groupings=groupings,
            changes=[one for one in self.changes if share.service(one.service)],
            incidents=incidents,
            clocks=[one for one in self.clocks if one.incident_id in known],
            ledger=[one for one in self.ledger if one.incident_id in known],
            heartbeats=[one for one in self.heartbeats if share.heartbeat(one)],
        )
