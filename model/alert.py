"""An anomaly is a score past its threshold, once; an alert is what lasts long enough to tell."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from model.identity import derive_id
from model.labels import Labels
from model.reason import Reason


class Severity(StrEnum):
    """How bad, set by the detector or the rule. `rank` grows with badness."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for info, 1 for warning, 2 for critical."""
        return ("info", "warning", "critical").index(self.value)

    @classmethod
    def of(cls, text: str) -> Severity:
        """Read a `severity` label; "error", "page" and the like count as critical, unknown as warning.

        Examples
        --------
        >>> Severity.of("page"), Severity.of("")
        (<Severity.CRITICAL: 'critical'>, <Severity.WARNING: 'warning'>)
        """
        text = text.lower()
        if text in ("critical", "error", "page", "emergency", "fatal", "high", "disaster"):
            return cls.CRITICAL
        if text in ("info", "none", "notice", "low", "information", "ok"):
            return cls.INFO
        return cls.WARNING


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a detector saw, enough to plot and explain it.

    Attributes
    ----------
    series : Labels
        The (possibly derived) series, its name in `__name__`.
    method : str
        The detector: "baseline", "levelshift", "flatline", "absence", "threshold", "lograte", …
    unit : str
        "seconds", "bytes", "ratio", "per second" or "".
    value, low, high : float or None
        The latest sample and the expected band at that time.
    score, threshold : float
        How abnormal in the method's own terms, and what counts as abnormal.
    times_ms, values, lows, highs : tuples of equal length
        Recent history with its expected band; None for a missing sample.
    lines : tuple of str
        Example log lines.
    component : str
        Which view of the series found it ("day", "step", "burn rate", …); "" where the method has but one.
    once_in_ms : int
        By chance, as much as this is seen once in so long; 0 where nothing is known of it.
    """

    series: Labels
    method: str
    unit: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    score: float = 0.0
    threshold: float = 0.0
    times_ms: tuple[int, ...] = ()
    values: tuple[float | None, ...] = ()
    lows: tuple[float | None, ...] = ()
    highs: tuple[float | None, ...] = ()
    lines: tuple[str, ...] = ()
    component: str = ""
    once_in_ms: int = 0


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert as it stands: firing, or resolved at `ends_ms`.

    A later Alert with the same `key` replaces an earlier one. Time order is event time.

    Attributes
    ----------
    labels : Labels
        Identify it, with `source`. By convention `alertname`, `service`, `severity`, `instance`.
    annotations : Labels
        `summary`, `description`, `runbook_url`, …
    source : str
        "detector", "rule", "heartbeat", "self", or the intake credential's name: a resolve only counts
        from the source that fired.
    starts_ms, arrival_ms : int
        When it began (event time) and when we last heard of it.
    ends_ms : int or None
        When it was resolved; None while firing.
    expires_ms : int or None
        Resolve it then if nothing more is heard; None never.
    summary : Reason or None
        One translatable sentence (detectors); pushed alerts carry annotations instead.
    simulated : bool
        Not from real telemetry.
    """

    labels: Labels
    source: str
    starts_ms: int
    arrival_ms: int
    ends_ms: int | None = None
    expires_ms: int | None = None
    annotations: Labels = Labels()
    generator_url: str = ""
    summary: Reason | None = None
    evidence: Evidence | None = None
    simulated: bool = False

    @property
    def signal(self) -> str:
        """What kind of trouble, by the `signal` label: availability, errors, latency, traffic,
        saturation, logs, level, expiry; "" where the sender did not say."""
        return self.labels.get("signal", "")

    @property
    def key(self) -> str:
        """What it is about: a hash of source and labels, 16 hex digits."""
        return _key(self.source, self.labels)

    @property
    def id(self) -> str:
        """This occurrence of it: `key` and when it began."""
        return derive_id(self.key, self.starts_ms)

    @property
    def firing(self) -> bool:
        """Whether it has not been resolved."""
        return self.ends_ms is None

    @property
    def name(self) -> str:
        """The `alertname` label."""
        return self.labels.get("alertname", "")

    @property
    def service(self) -> str:
        """The `service` label, or else `job`, `app`, `instance`; "" where none is set."""
        return service_in(self.labels)

    @property
    def severity(self) -> Severity:
        """The `severity` label, read."""
        return Severity.of(self.labels.get("severity", ""))


def service_in(labels: Labels) -> str:
    """What an alert with these labels says it is about: `Alert.service`."""
    for name in ("service", "service_name", "job", "app", "instance"):
        if value := labels.get(name):
            return value
    return ""


# An alert's key is asked for by every stage it passes, within moments of each other.
@lru_cache(maxsize=16_384)
def _key(source: str, labels: Labels) -> str:
    return derive_id("alert", source, *[x for pair in labels.pairs for x in pair])


INHIBITED_BY = "inhibit:"
"""What stands before an inhibition rule's name in `AlertStatus.silenced_by`."""


@dataclass(frozen=True, slots=True)
class AlertStatus:
    """An alert with what the correlator made of it: the stored row, and the correlator's memory.

    Attributes
    ----------
    incident_id : str
        The incident it belongs to; "" while it waits for its group, or where it is only information.
    silenced_by : tuple of str
        Ids of the silences that mute it now, and inhibition rules after `INHIBITED_BY`.
    changes_ms : tuple of int
        Event times of its latest changes between firing and resolved, oldest first, bounded;
        flapping is read from them.
    seen_ms : int
        When the correlator took this occurrence up (its own time): `group_wait` counts from it.
    """

    alert: Alert
    incident_id: str = ""
    silenced_by: tuple[str, ...] = ()
    changes_ms: tuple[int, ...] = ()
    seen_ms: int = 0

    @property
    def silences(self) -> tuple[str, ...]:
        """Ids of the silences alone."""
        return tuple(name for name in self.silenced_by if not name.startswith(INHIBITED_BY))

    @property
    def inhibitors(self) -> tuple[str, ...]:
        """Names of the inhibition rules alone."""
        own = (name for name in self.silenced_by if name.startswith(INHIBITED_BY))
        return tuple(name.removeprefix(INHIBITED_BY) for name in own)
