"""What of an incident follows from what the correlator sees of it now."""

from __future__ import annotations

from dataclasses import replace

from model.catalogue import Catalogue
from model.incident import Grouping, Incident, Signal


def seen(incident: Incident, grouping: Grouping) -> Incident:
    """The incident with what the correlator sees of it now."""
    return replace(
        incident,
        title=grouping.title,
        services=grouping.services,
        severity=max(incident.severity, grouping.severity, key=lambda s: s.rank),
        causes=grouping.causes,
        evidence=grouping.evidence or incident.evidence,
        alert_keys=grouping.alert_keys,
        alert_count=grouping.alert_count,
        firing_count=grouping.firing_count,
        change_ids=grouping.change_ids,
        flapping=grouping.flapping,
        # With nothing firing there is nothing to mute: it stays what it was.
        muted=grouping.muted if grouping.firing_count else incident.muted,
        previous_id=grouping.previous_id or incident.previous_id,
        sources=grouping.sources,
    )


def follow_cause(incident: Incident, grouping: Grouping, catalogue: Catalogue) -> Incident:
    """While it lasts (and when it is back) an incident is about its first suspect, its owner's to handle.

    A suspect without a name moves nothing; one without an owner leaves it with the team that has it.
    """
    service = (grouping.causes[0].service if grouping.causes else "") or incident.service
    back = grouping.signal is Signal.REFIRED and not incident.human_closed
    if service == incident.service or not (incident.state.active or back):
        return incident
    team = catalogue.get(service).owner or incident.team
    return replace(incident, service=service, team=team)
