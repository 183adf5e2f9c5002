"""An incident as a ticket and as a page, in one language, with every stranger's word made harmless."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from incident_bridge.neutral import VALUE_MAX, cut, say
from model.action import PageDraft, SourceDraft
from model.identity import derive_id
from model.incident import Incident, IncidentState
from model.reason import Reason, because, gettext
from model.ticket import TicketDraft, TicketState

TITLE_MAX = 120
BODY_MAX = 8_000
COMMENT_MAX = 4_000
PAGE_MAX = 1_200
SOURCE_MAX = 500

Translate = Callable[[str], str]

TICKET_STATES = {
    IncidentState.OPEN: TicketState.OPEN,
    IncidentState.ACKNOWLEDGED: TicketState.IN_PROGRESS,
    IncidentState.RESOLVED: TicketState.RESOLVED,
    IncidentState.CLOSED: TicketState.CLOSED,
    IncidentState.MERGED: TicketState.CLOSED,
}

_PAGE_TITLES = {
    "opened": gettext("{priority} {title}"),
    "repeat": gettext("{priority} still open: {title}"),
    "escalated": gettext("{priority} nobody has answered: {title}"),
    "reopened": gettext("{priority} again: {title}"),
    "resolved": gettext("Resolved: {title}"),
    "merged": gettext("Goes on as part of another incident: {title}"),
    "sla": gettext("{priority} SLA breached: {title}"),
    "priority": gettext("{priority} now: {title}"),
    "dead_letter": gettext("Not delivered, {priority}: {title}"),
}

_SOURCE_NOTES = {
    "acknowledged": gettext("{by} acknowledged the incident: {title}"),
    "unacknowledged": gettext("the acknowledgement was taken back: {title}"),
    "resolved": gettext("{by} resolved the incident: {title}"),
}


@dataclass(frozen=True, slots=True)
class Renderer:
    """Says incidents in one language.

    Attributes
    ----------
    translate : Callable
        From the English template to that language's; `str` for English.
    external_url : str
        Where people reach the console.
    """

    translate: Translate = str
    external_url: str = ""

    def url(self, incident: Incident) -> str:
        """The incident's page in the console; of a merged one that where it goes on."""
        return f"{self.external_url.rstrip('/')}/incidents/{incident.merged_into or incident.id}"

    def title(self, incident: Incident) -> str:
        """One short line: what and where."""
        return cut(say(incident.title, self.translate, length=80), TITLE_MAX)

    def fingerprint(self, incident: Incident) -> str:
        """What a ticket says, as far as a change of it is worth telling.

        Counts of alerts are left out: each joining alert would be a message.
        """
        best = incident.causes[0] if incident.causes else None
        return derive_id(
            incident.state.value,
            self.title(incident),
            incident.priority.value,
            incident.service,
            incident.team,
            best.service if best else "",
            best.change_id if best else "",
            incident.flapping,
        )

    def ticket(self, incident: Incident, comment: Sequence[Reason] = ()) -> TicketDraft:
        """The ticket as it should be, with what is new as a comment."""
        return TicketDraft(
            key=incident.id,
            title=self.title(incident),
            body=self.body(incident),
            state=TICKET_STATES[incident.state],
            priority=incident.priority.value,
            service=incident.service,
            team=incident.team,
            labels=("tocsin", "simulated") if incident.simulated else ("tocsin",),
            comment=cut("\n".join(self._sentence(r, COMMENT_MAX) for r in comment), COMMENT_MAX),
            simulated=incident.simulated,
        )

    def page(self, incident: Incident, receiver: str, why: str) -> PageDraft:
        """A notification: a title for a phone's lock screen, then the evidence, then the link."""
        head = because(
            _PAGE_TITLES[why], priority=incident.priority.value, title=self.title(incident)
        )
        lines = [self._sentence(r) for r in self._suspects(incident)[:2]]
        lines += [self._sentence(r) for r in incident.evidence[:3]]
        return PageDraft(
            receiver=receiver,
            incident_id=incident.id,
            title=cut(head.text(self.translate), TITLE_MAX),
            body=cut("\n".join(lines), PAGE_MAX),
            priority=incident.priority.value,
            why=why,
            url=self.url(incident),
        )

    def source_note(self, incident: Incident, source: str, why: str) -> SourceDraft:
        """What the system that fired the alerts shows beside them: who does what, and the link."""
        by = incident.resolved_by if why == "resolved" else incident.acknowledged_by
        said = because(_SOURCE_NOTES[why], by=by or "Tocsin", title=self.title(incident))
        text = f"Tocsin: {self._sentence(said, SOURCE_MAX)} {self.url(incident)}"
        acked = incident.acknowledged_ms if why == "acknowledged" else None
        at_ms = incident.state_since_ms if acked is None else acked
        return SourceDraft(source, incident.id, why, self.title(incident), text, at_ms)

    def body(self, incident: Incident) -> str:
        """The ticket's text: suspects with their reasons, evidence, what is affected, the link."""
        parts = [
            self._section(because("Probable cause"), self._suspects(incident)),
            self._section(because("Evidence"), incident.evidence),
            self._section(because("Facts"), self._facts(incident)),
        ]
        text = "\n\n".join(part for part in parts if part)
        # The link goes last and must not be what the limit cuts off.
        link = self.url(incident)
        return cut(text, BODY_MAX - len(link) - 2) + "\n\n" + link

    def _sentence(self, reason: Reason, length: int = VALUE_MAX) -> str:
        return say(reason, self.translate, length=length)

    def _section(self, heading: Reason, reasons: Sequence[Reason]) -> str:
        if not reasons:
            return ""
        return "\n".join(
            [self._sentence(heading) + ":", *(f"- {self._sentence(r)}" for r in reasons)]
        )

    def _suspects(self, incident: Incident) -> list[Reason]:
        found: list[Reason] = []
        for number, cause in enumerate(incident.causes[:3], start=1):
            found.append(because("{number}. {service}", number=number, service=cause.service))
            found += cause.reasons[:5]
        return found

    def _facts(self, incident: Incident) -> list[Reason]:
        facts = [
            because(
                "priority {priority} (impact {impact}, urgency {urgency})",
                priority=incident.priority.value,
                impact=incident.impact,
                urgency=incident.urgency,
            ),
            because("affected: {services}", services=", ".join(incident.services[:20])),
            because(
                "{firing} of {count} alerts firing",
                firing=incident.firing_count,
                count=incident.alert_count,
            ),
        ]
        if incident.team:
            facts.append(because("owner: {team}", team=incident.team))
        if incident.flapping:
            facts.append(because("it flaps: changes are told less often"))
        if incident.previous_id:
            facts.append(because("earlier incident: {id}", id=incident.previous_id))
        if incident.simulated:
            facts.append(because("simulated: not from real telemetry"))
        return facts
