"""What people said of alerts, as a little more or less patience with what they said it of.

A verdict moves the series it was said of, half as much the same metric's other series of the service, and, where
three services agree, the metric everywhere. It never mutes: the band of a series that everybody calls
noise grows to less than four times its width. To mute is what silences are for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from detectors.roles import service_of
from model.feedback import Feedback, Verdict
from model.labels import Labels
from model.series import NAME

_SIBLINGS, _EVERYWHERE = 0.5, 0.25  # weights beside a verdict on the series itself
_AGREEING = 3  # services
_LEAST, _MOST = -3.0, 5.0  # votes that count
_WIDER, _LONGER, _RARER = 1.3, 1.25, 0.5  # per vote: of the band, of `for`, in decades


@dataclass(frozen=True, slots=True)
class Leniency:
    """How much more (or less) it takes to tell.

    Attributes
    ----------
    width : float
        Multiplies the band's half width; 0.45 to 3.7.
    patience : float
        Multiplies how long it must last; 0.5 to 3.1.
    decades : float
        Is added to the rarity that is asked for; -1.5 to 2.5.
    """

    width: float = 1.0
    patience: float = 1.0
    decades: float = 0.0


NEUTRAL = Leniency()


class Heeded:
    """All active verdicts, and what they mean for a series.

    Examples
    --------
    >>> cart = Labels.of({"__name__": "request_rate", "service": "cart", "instance": "a"})
    >>> noise = Feedback("f", Verdict.NOISE, "alert", "TrafficDrop", "cart", cart, "ann", 1)
    >>> heeded = Heeded([noise])
    >>> heeded.of(cart).width, round(heeded.of(cart.with_(instance="b")).width, 2)
    (1.3, 1.14)
    """

    def __init__(self, said: Iterable[Feedback] = ()) -> None:
        self._series: dict[Labels, float] = {}
        self._service: dict[tuple[str, str], float] = {}
        self._services: dict[str, dict[str, float]] = {}
        for feedback in said:
            if feedback.active:
                self._add(feedback)

    def _add(self, feedback: Feedback) -> None:
        vote = 1.0 if feedback.verdict is Verdict.NOISE else -1.0
        series, metric, service = _about(feedback.series)
        self._series[series] = self._series.get(series, 0.0) + vote
        self._service[metric, service] = self._service.get((metric, service), 0.0) + vote
        services = self._services.setdefault(metric, {})
        services[service] = services.get(service, 0.0) + vote

    def __bool__(self) -> bool:
        return bool(self._series)

    @property
    def series(self) -> tuple[Labels, ...]:
        """The series of which something was said."""
        return tuple(self._series)

    def votes(self, labels: Labels) -> float:
        """For noise less for a good catch, weighed by how near they are."""
        series, metric, service = _about(labels)
        own = self._series.get(series, 0.0)
        siblings = self._service.get((metric, service), 0.0) - own
        others = [v for name, v in self._services.get(metric, {}).items() if name != service]
        agreed = sum((v > 0) - (v < 0) for v in others)
        everywhere = agreed if abs(agreed) >= _AGREEING else 0
        votes = own + _SIBLINGS * _clip(siblings, 2.0) + _EVERYWHERE * _clip(everywhere, 4.0)
        return min(max(votes, _LEAST), _MOST)

    def of(self, labels: Labels) -> Leniency:
        """What the verdicts mean for a series (or an alert without one, by its labels)."""
        votes = self.votes(labels) if self._series else 0.0
        if votes == 0.0:
            return NEUTRAL
        return Leniency(_WIDER**votes, _LONGER**votes, _RARER * votes)


def _about(labels: Labels) -> tuple[Labels, str, str]:
    return labels, labels.get(NAME, "") or labels.get("alertname", ""), service_of(labels)


def _clip(value: float, most: float) -> float:
    return min(max(value, -most), most)
