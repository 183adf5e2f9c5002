"""What can be set about detection; everything else is learnt."""

from __future__ import annotations

from dataclasses import dataclass

from detectors.logsettings import LogLineSettings
from model.alert import Severity
from model.labels import Labels, Matcher
from model.units import Milliseconds, SizeBytes


@dataclass(frozen=True, slots=True)
class ForecastSettings:
    """When something that runs out is told of.

    Attributes
    ----------
    warn_ahead_ms
        A warning where it is full within this, by the middle of the forecast, and within three quarters
        of it by the early end of the interval.
    critical_ahead_ms
        Critical where it is full within this, by the middle of the forecast. 0 makes nothing critical.
    series_max : int
        Limit: resources (disks, quotas, queues, …) whose past is kept, about 9 KB each.
    """

    warn_ahead_ms: Milliseconds = 345_600_000
    critical_ahead_ms: Milliseconds = 14_400_000
    series_max: int = 5_000


@dataclass(frozen=True, slots=True)
class DetectorSettings:
    """The few knobs of the learnt detectors.

    Attributes
    ----------
    sensitivity : float
        Divides every learnt band's width: 2.0 alerts on deviations half as rare, 0.5 is half as nervous.
        The floors of `roles.py` (what is too small to matter) stay.
    patience : float
        Multiplies how long something must last before it is told.
    warm_up_ms, warm_up_samples
        Nothing is judged before a series has been seen for this long and this often.
    keep_firing_ms
        An alert resolves after its series has been normal for this long (and for two samples).
    update_interval_ms
        A firing alert is told again, with fresh evidence, at most this often.
    accept_after_ms, accept_after_samples
        A change of a metric of unknown meaning that has lasted this long, and for this many samples, is the
        new normal; its alert (information only) resolves and says so.
    accept_faults_after_ms
        The same for errors, latency, traffic, CPU and log rates: long, since a long outage is still one.
    stale_after_ms
        A firing alert whose series stopped reporting resolves after this long (and five sample intervals).
    edges_keep_ms
        A call from one service to another that traces showed is believed in for this long after the last one.
    silent_after_ms
        A whole service that stopped reporting, without an `up` to say why, is told after this long
        (and ten sample intervals).
    log_learning_ms, log_learning_lines
        A service's log templates are only learnt, not judged, for this long and this many lines.
    log_quiet_ms
        A log alert resolves after its lines have not been seen for this long.
    new_template_lines
        A never-seen error template is told when its first this many lines came within 10 s
        (a fatal one at once).
    adopt_grace_ms
        After a restart, alerts that the store holds as firing must be seen again within this time.
    probe_failures : int
        A probe that fails so many times running is told.
    certificate_warning_ms, certificate_critical_ms : duration
        So long before its end a certificate is told of; one that lives for days only a quarter, and
        a twelfth, of its life before.
    level_alerts : bool
        Tell changes of level of metrics whose meaning is unknown (as information, never as an incident).
    log_lines : LogLineSettings
        Kinds of log lines: how often, whether still, with which numbers, in which company.
    templates_max, watched_max, alerts_max : int
        Limits: remembered log templates, series with a plotted history, alerts pending or firing at once.
    full_memory_bytes
        What the full tier may take: about 2.4 kB for each of the series that matter most; 0 turns it off.
    pages_per_service_week : float
        How often the full tier may tell of one service by chance: its threshold follows from it.
    rhythm_series_max : int
        Limit: series of the full tier that are searched for a rhythm, or have one, at a time; about 2.7 kB each.
        0 turns it off.
    drift_series_max : int
        Limit: metrics of unknown meaning whose slow rises and falls are told, about 900 bytes each. 0 turns it off.
    forecast : ForecastSettings
        When something runs out.
    """

    sensitivity: float = 1.0
    patience: float = 1.0
    warm_up_ms: Milliseconds = 20_000
    warm_up_samples: int = 20
    keep_firing_ms: Milliseconds = 8_000
    update_interval_ms: Milliseconds = 10_000
    accept_after_ms: Milliseconds = 3_600_000
    accept_after_samples: int = 200
    accept_faults_after_ms: Milliseconds = 604_800_000
    stale_after_ms: Milliseconds = 30_000
    edges_keep_ms: Milliseconds = 86_400_000
    silent_after_ms: Milliseconds = 60_000
    log_learning_ms: Milliseconds = 45_000
    log_learning_lines: int = 100
    log_quiet_ms: Milliseconds = 12_000
    new_template_lines: int = 5
    adopt_grace_ms: Milliseconds = 60_000
    probe_failures: int = 3
    certificate_warning_ms: Milliseconds = 21 * 86_400_000
    certificate_critical_ms: Milliseconds = 3 * 86_400_000
    level_alerts: bool = True
    log_lines: LogLineSettings = LogLineSettings()
    templates_max: int = 20_000
    watched_max: int = 20_000
    alerts_max: int = 10_000
    full_memory_bytes: SizeBytes = 256 * 2**20
    pages_per_service_week: float = 0.5
    rhythm_series_max: int = 4_096
    drift_series_max: int = 10_000
    forecast: ForecastSettings = ForecastSettings()

    def accepted_after_ms(self, method: str) -> int | None:
        """How long what a method tells must last to be normal; None where it never is.

        Examples
        --------
        >>> settings = DetectorSettings()
        >>> settings.accepted_after_ms("baseline") > settings.accepted_after_ms("levelshift")
        True
        """
        if method in ("levelshift", "flatline"):
            return self.accept_after_ms
        return self.accept_faults_after_ms if method in ("baseline", "lograte") else None


@dataclass(frozen=True, slots=True)
class ThresholdRule:
    """A fixed bound on raw or derived series.

    Attributes
    ----------
    alert : str
        The `alertname`.
    matchers : tuple of Matcher
        Which series; the metric's name is the label `__name__`.
    op : str
        ">", ">=", "<", "<=", "==" or "!=".
    value : float
    for_ms, keep_firing_ms
        How long it must hold, and how long it must not to resolve, as Prometheus has it.
    labels, annotations : Labels
        Added to the alert.
    """

    alert: str
    matchers: tuple[Matcher, ...]
    op: str
    value: float
    for_ms: Milliseconds = 0
    keep_firing_ms: Milliseconds = 0
    severity: Severity = Severity.WARNING
    labels: Labels = Labels()
    annotations: Labels = Labels()

    def __post_init__(self) -> None:
        if self.op not in (">", ">=", "<", "<=", "==", "!="):
            raise ValueError(
                f"rule {self.alert!r}: op must be one of > >= < <= == !=, got {self.op!r}"
            )
