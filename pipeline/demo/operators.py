"""The people of the simulated past: they acknowledge after plausible minutes, and leave a word."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from random import Random

from model.catalogue import Catalogue
from model.identity import derive_id
from model.incident import Act, ActKind, Incident, IncidentState, Priority

MINUTE_MS = 60_000
_HOUR_MS = 3_600_000
_DAY_MS = 86_400_000
_ACK_MEDIAN_MS = {
    Priority.P1: 3 * MINUTE_MS,
    Priority.P2: 7 * MINUTE_MS,
    Priority.P3: 18 * MINUTE_MS,
    Priority.P4: 45 * MINUTE_MS,
}
_OVERLOOKED = 0.06
_NOTED = 0.4
_AT_NIGHT = 1.8
_NOTES = (
    "Looking.",
    "Seen this before; restarting one instance.",
    "Asked the owner of the last deploy.",
    "Traffic is normal, so it is us.",
    "Recovering, keeping an eye on it.",
)


class Operators:
    """Decides when somebody acknowledges an incident of the past.

    What they do depends on the incident's id and the seed alone, so that the same past is acted
    upon the same.

    Parameters
    ----------
    catalogue : Catalogue
        Its teams' members are the actors.
    """

    def __init__(self, catalogue: Catalogue, *, seed: int) -> None:
        self._catalogue = catalogue
        self._seed = seed
        self._seen: set[str] = set()
        self._active: set[str] = set()
        self._due: list[tuple[int, str, Act]] = []

    def take(self, incidents: Iterable[Incident], *, now_ms: int) -> list[Act]:
        """Hear of incidents that are new or have changed; returns the acts that are due.

        Acts on an incident that is over meanwhile are not made.
        """
        for incident in incidents:
            if incident.state.active:
                self._active.add(incident.id)
            else:
                self._active.discard(incident.id)
            if incident.state is IncidentState.OPEN and incident.id not in self._seen:
                self._seen.add(incident.id)
                self._plan(incident)
        acts: list[Act] = []
        while self._due and self._due[0][0] <= now_ms:
            _, _, act = heapq.heappop(self._due)
            if act.incident_id in self._active:
                acts.append(act)
        return acts

    def _plan(self, incident: Incident) -> None:
        rng = Random(f"{self._seed}/{incident.id}")
        if rng.random() < _OVERLOOKED:
            return
        wait_ms = _ACK_MEDIAN_MS[incident.priority] * rng.lognormvariate(0.0, 0.5)
        hour = incident.opened_ms % _DAY_MS // _HOUR_MS
        at_night = hour >= 22 or hour < 7
        ack_ms = incident.opened_ms + round(wait_ms * (_AT_NIGHT if at_night else 1.0))
        team = self._catalogue.teams.get(incident.team)
        actor = rng.choice(team.members if team and team.members else ("on-call",))
        self._add(incident, ActKind.ACKNOWLEDGE, actor, ack_ms, "")
        if rng.random() < _NOTED:
            note_ms = ack_ms + rng.randrange(2, 15) * MINUTE_MS
            self._add(incident, ActKind.NOTE, actor, note_ms, rng.choice(_NOTES))

    def _add(self, incident: Incident, kind: ActKind, actor: str, at_ms: int, text: str) -> None:
        act_id = derive_id("simulated", incident.id, kind.value)
        act = Act(act_id, incident.id, kind, actor, at_ms, text)
        heapq.heappush(self._due, (at_ms, act.id, act))
