"""What the bridge remembers between steps, and what one step gathers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from model.action import Action, LedgerEntry
from model.incident import ClockKind, Incident, SlaClock, TimelineEntry

_PROMISES = tuple(ClockKind)


@dataclass(slots=True)
class Step:
    """The outputs of one call, the last value of each row."""

    now_ms: int
    incidents: dict[str, Incident] = field(default_factory=dict)
    entries: list[TimelineEntry] = field(default_factory=list)
    clocks: dict[tuple[str, str], SlaClock] = field(default_factory=dict)
    ledger: dict[tuple[str, str], LedgerEntry] = field(default_factory=dict)
    actions: list[Action] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Case:
    incident: Incident
    clocks: tuple[SlaClock, ...]
    ledger: dict[str, LedgerEntry]
    due_ms: int


class Memory:
    """Incidents with their clocks and ledger entries, and when each is to be looked at again."""

    def __init__(self) -> None:
        self._cases: dict[str, _Case] = {}
        self._next_due_ms = 0
        self.forgotten = 0

    def __len__(self) -> int:
        return len(self._cases)

    def get(self, incident_id: str) -> Incident | None:
        """The incident, if it is remembered."""
        case = self._cases.get(incident_id)
        return case.incident if case else None

    def clocks_of(self, incident_id: str) -> tuple[SlaClock, ...]:
        """Its clocks."""
        case = self._cases.get(incident_id)
        return case.clocks if case else ()

    def ledger_of(self, incident_id: str) -> Mapping[str, LedgerEntry]:
        """What each target was told of it."""
        case = self._cases.get(incident_id)
        return case.ledger if case else {}

    def put(
        self,
        incident: Incident,
        clocks: tuple[SlaClock, ...],
        ledger: Sequence[LedgerEntry],
        *,
        due_ms: int,
    ) -> None:
        """Remember it, with the ledger entries that changed."""
        case = self._cases.get(incident.id)
        if case is None:
            case = self._cases[incident.id] = _Case(incident, clocks, {}, due_ms)
        case.incident, case.clocks, case.due_ms = incident, clocks, due_ms
        if ledger:
            # In the order of their names, as the rows come back after a restart.
            told = {**case.ledger, **{entry.target: entry for entry in ledger}}
            case.ledger = dict(sorted(told.items()))
        self._next_due_ms = min(self._next_due_ms, due_ms)

    def due(self, now_ms: int) -> list[Incident]:
        """Incidents to look at now, in the order of their ids: a restart must not change the order."""
        if now_ms < self._next_due_ms:
            return []
        found = [case.incident for case in self._cases.values() if case.due_ms <= now_ms]
        later = [case.due_ms for case in self._cases.values() if case.due_ms > now_ms]
        self._next_due_ms = min(later, default=1 << 62)
        return sorted(found, key=lambda incident: incident.id)

    def forget(self, incident_id: str) -> None:
        """Drop a case."""
        del self._cases[incident_id]

    def trim(self, incidents_max: int) -> None:
        """Keep within the limit: the longest ended go first, the active never."""
        excess = len(self._cases) - incidents_max
        if excess <= 0:
            return
        ended = [c.incident for c in self._cases.values() if not c.incident.state.active]
        for incident in sorted(ended, key=lambda i: (i.state_since_ms, i.id))[:excess]:
            self.forget(incident.id)
            self.forgotten += 1

    def fill(
        self,
        incidents: Iterable[Incident],
        clocks: Iterable[SlaClock],
        ledger: Iterable[LedgerEntry],
    ) -> None:
        """Take rows; each case is looked at in the next step."""
        for incident in incidents:
            self.put(incident, (), (), due_ms=0)
        for clock in sorted(clocks, key=lambda c: (c.incident_id, _PROMISES.index(c.kind))):
            if clock.incident_id in self._cases:
                self._cases[clock.incident_id].clocks += (clock,)
        for entry in sorted(ledger, key=lambda e: (e.incident_id, e.target)):
            if entry.incident_id in self._cases:
                self._cases[entry.incident_id].ledger[entry.target] = entry

    def incidents(self) -> tuple[Incident, ...]:
        """All of them, by id."""
        return tuple(self._cases[key].incident for key in sorted(self._cases))

    def clocks(self) -> tuple[SlaClock, ...]:
        """All clocks, by incident."""
        return tuple(clock for key in sorted(self._cases) for clock in self._cases[key].clocks)

    def ledger(self) -> tuple[LedgerEntry, ...]:
        """All entries, by incident and target."""
        return tuple(
            entry
            for key in sorted(self._cases)
            for _, entry in sorted(self._cases[key].ledger.items())
        )
