"""What a person says of an alert: noise, or a good catch."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from model.alert import Alert
from model.identity import derive_id
from model.labels import Labels


class Verdict(StrEnum):
    """Whether it was right to tell."""

    NOISE = "noise"
    GOOD_CATCH = "good_catch"


@dataclass(frozen=True, slots=True)
class Feedback:
    """One person's verdict on one occurrence of an alert; a later one of the same person replaces it.

    Attributes
    ----------
    id : str
        From the alert's id and the person.
    series : Labels
        What the alert was about: its evidence's series, else its labels without the severity.
    withdrawn_ms : int or None
        When it was taken back; from then on it has no effect.
    """

    id: str
    verdict: Verdict
    alert_id: str
    alertname: str
    service: str
    series: Labels
    actor: str
    time_ms: int
    note: str = ""
    withdrawn_ms: int | None = None
    withdrawn_by: str = ""

    @property
    def active(self) -> bool:
        """Whether it has an effect."""
        return self.withdrawn_ms is None


def feedback_on(alert: Alert, verdict: Verdict, actor: str, time_ms: int, note: str) -> Feedback:
    """A verdict on an alert.

    Examples
    --------
    >>> alert = Alert(Labels.of({"alertname": "A", "service": "cart"}), "detector", 5, 5)
    >>> said = feedback_on(alert, Verdict.NOISE, "ann", 9, "")
    >>> said.service, said.id == feedback_on(alert, Verdict.GOOD_CATCH, "ann", 10, "").id
    ('cart', True)
    """
    known = alert.evidence.series if alert.evidence is not None else Labels()
    return Feedback(
        id=derive_id("feedback", alert.id, actor),
        verdict=verdict,
        alert_id=alert.id,
        alertname=alert.name,
        service=alert.service,
        series=known or alert.labels.without("severity"),
        actor=actor,
        time_ms=time_ms,
        note=note,
    )
