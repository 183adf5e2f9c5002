"""Priority = impact × urgency (ITIL)."""

from __future__ import annotations

from dataclasses import dataclass

from model.alert import Severity
from model.catalogue import Catalogue
from model.incident import Grouping, Priority
from model.reason import Reason, because, gettext

MATRIX: tuple[tuple[Priority, ...], ...] = (
    (Priority.P1, Priority.P2, Priority.P3),
    (Priority.P2, Priority.P3, Priority.P4),
    (Priority.P3, Priority.P4, Priority.P4),
)
"""Rows: impact 1 to 3; columns: urgency 1 to 3."""

SERVICES_WIDE = 5
"""So many affected services raise the impact by one."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """A priority and why. Impact and urgency: 1 high, 2 medium, 3 low."""

    priority: Priority
    impact: int
    urgency: int
    reason: Reason


def of(impact: int, urgency: int) -> Priority:
    """Look up the matrix.

    Examples
    --------
    >>> of(1, 1).value, of(2, 2).value, of(3, 1).value
    ('P1', 'P3', 'P3')
    """
    return MATRIX[impact - 1][urgency - 1]


def impact_of(services: tuple[str, ...], catalogue: Catalogue) -> int:
    """Impact from the best tier among the affected services, one higher when many are affected.

    Tier 1 gives high, 2 medium, 3 and 4 low.
    """
    tier = min((catalogue.get(name).tier for name in services), default=3)
    impact = min(max(tier, 1), 3)
    return max(impact - 1, 1) if len(services) >= SERVICES_WIDE else impact


def urgency_of(severity: Severity, firing_ratio: float) -> int:
    """Urgency from the severity; a warning that most members still fire is no more urgent than it says,
    but one that mostly went quiet is less.

    Parameters
    ----------
    firing_ratio : float
        Firing members of all members, 0 to 1.
    """
    urgency = 3 - severity.rank
    if severity is Severity.WARNING and firing_ratio < 0.25:
        urgency += 1
    return urgency


def assess(grouping: Grouping, catalogue: Catalogue) -> Assessment:
    """The priority of what the correlator found, with its reason.

    Examples
    --------
    >>> from model.catalogue import Service
    >>> from model.incident import Signal
    >>> shop = Catalogue.of([Service("pay", tier=1)])
    >>> group = Grouping("i", Signal.OPENED, 0, 0, 0, Severity.CRITICAL, because("t"), because("r"), ("pay",))
    >>> found = assess(group, shop)
    >>> found.priority.value, found.reason.text()
    ('P1', 'impact high (tier 1 service pay, 1 affected) × urgency high (critical) = P1')
    """
    ratio = grouping.firing_count / grouping.alert_count if grouping.alert_count else 1.0
    impact = impact_of(grouping.services, catalogue)
    urgency = urgency_of(grouping.severity, ratio)
    priority = of(impact, urgency)
    gravest = min(grouping.services, key=lambda name: catalogue.get(name).tier, default="")
    template = _SENTENCES[impact - 1][urgency - 1]
    return Assessment(
        priority,
        impact,
        urgency,
        because(
            template,
            tier=catalogue.get(gravest).tier,
            service=gravest or "unknown",
            count=len(grouping.services),
            severity=grouping.severity.value,
            priority=priority.value,
        ),
    )


# One sentence for each cell: what is put together from words cannot be translated.
_SENTENCES: tuple[tuple[str, ...], ...] = (
    (
        gettext(
            "impact high (tier {tier} service {service}, {count} affected)"
            " × urgency high ({severity}) = {priority}"
        ),
        gettext(
            "impact high (tier {tier} service {service}, {count} affected)"
            " × urgency medium ({severity}) = {priority}"
        ),
        gettext(
            "impact high (tier {tier} service {service}, {count} affected)"
            " × urgency low ({severity}) = {priority}"
        ),
    ),
    (
        gettext(
            "impact medium (tier {tier} service {service}, {count} affected)"
            " × urgency high ({severity}) = {priority}"
        ),
        gettext(
            "impact medium (tier {tier} service {service}, {count} affected)"
            " × urgency medium ({severity}) = {priority}"
        ),
        gettext(
            "impact medium (tier {tier} service {service}, {count} affected)"
            " × urgency low ({severity}) = {priority}"
        ),
    ),
    (
        gettext(
            "impact low (tier {tier} service {service}, {count} affected)"
            " × urgency high ({severity}) = {priority}"
        ),
        gettext(
            "impact low (tier {tier} service {service}, {count} affected)"
            " × urgency medium ({severity}) = {priority}"
        ),
        gettext(
            "impact low (tier {tier} service {service}, {count} affected)"
            " × urgency low ({severity}) = {priority}"
        ),
    ),
)
