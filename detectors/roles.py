"""What a metric means, by its name: data, with the reason for each number.

An unknown metric is watched far more carefully than it is told of: false incidents cost more than a
late word about a number whose meaning nobody wrote down.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from model.alert import Severity
from model.labels import Labels
from model.reason import gettext


class Kind(IntEnum):
    """What is done with a raw series."""

    NEW = 0  # not classified yet
    IGNORED = 1  # parts of histograms, info metrics, timestamps
    GAUGE = 2  # baselined as it is
    COUNTER = 3  # baselined as a rate per second
    INPUT = 4  # a part of a derived signal
    UP = 5  # Prometheus' `up`
    MEMORY = 6  # resident memory of a process


@dataclass(frozen=True, slots=True)
class Role:
    """How a signal is judged.

    Attributes
    ----------
    up, down : bool
        Which direction matters.
    width : float
        Half width of the band in robust standard deviations.
    relative, floor
        The band is at least this share of the expected value, and at least this much, on either side.
    at_least : float
        Below this (above, for `down`) nothing is abnormal.
    window_ms
        Counts are looked at over this long (at least one sample interval).
    for_ms, for_samples
        How long it must last, whichever is longer.
    critical_at : float
        Severity is critical where the value passes this multiple of the upper bound (0: `severity` as is).
    warm_up_ms
        A longer warm-up than the setting's, where one is needed.
    keep_ms_max
        A shorter time to stay normal than the setting's, where the window itself is long.
    """

    name: str
    alertname: str
    signal: str
    unit: str
    template: str
    up: bool = True
    down: bool = False
    width: float = 6.0
    relative: float = 1.0
    floor: float = 0.0
    at_least: float = -float("inf")
    window_ms: int = 0
    for_ms: int = 8_000
    for_samples: int = 3
    severity: Severity = Severity.WARNING
    critical_at: float = 0.0
    warm_up_ms: int = 0
    keep_ms_max: int = 1 << 60


UNKNOWN = Role(
    "unknown",
    "LevelShift",
    "level",
    "",
    gettext("{metric} of {service} is {value}, usually between {low} and {high}"),
    down=True,
    width=10.0,  # heavy-tailed gauges pass 6 deviations many times a day
    relative=0.5,
    for_ms=600_000,
    for_samples=20,
    severity=Severity.INFO,
)
QUIET = Role("quiet", "", "", "", "", width=float("inf"), for_ms=1 << 60)
LATENCY = Role(
    "latency",
    "LatencyHigh",
    "latency",
    "seconds",
    gettext("p95 latency of {service} is {value}, expected at most {high}"),
    relative=1.0,  # buckets are coarse: less than a doubling may be one bucket's width
    floor=0.1,  # nobody is woken for a tenth of a second
    window_ms=3_000,  # short, so that a stall of a second is over before `for` is
    for_ms=6_000,  # longer than a stall of a busy machine
    for_samples=4,
    critical_at=4.0,
)
MEDIAN = Role(
    "median",
    "LatencyHigh",
    "latency",
    "seconds",
    gettext("median latency of {service} is {value}, expected at most {high}"),
    # Where the tail is always long, a slow service shows in the middle.
    relative=2.0,
    floor=0.1,
    window_ms=3_000,
    for_ms=8_000,  # longer than the tail's, which is told instead where both show it
    for_samples=6,
    critical_at=4.0,
)
ERRORS = Role(
    "errors",
    "ErrorRatioHigh",
    "errors",
    "ratio",
    gettext("{value} of the requests to {service} fail, expected at most {high}"),
    relative=2.0,
    floor=0.05,  # one request in twenty
    window_ms=5_000,
    for_ms=4_000,
    for_samples=3,
    critical_at=3.0,
)
TRAFFIC = Role(
    "traffic",
    "TrafficDrop",
    "traffic",
    "per second",
    gettext("{service} gets {value} requests, expected at least {low}"),
    up=False,
    down=True,
    width=3.0,
    relative=0.85,  # a rhythm may halve traffic, only a break takes nearly all
    floor=0.2,
    window_ms=15_000,
    for_ms=30_000,  # a caller's fault takes traffic from those behind it: let the cause be told first
    for_samples=4,
)
CPU = Role(
    "cpu",
    "CpuHigh",
    "saturation",
    "cores",
    gettext("{service} uses {value} CPU cores, expected at most {high}"),
    relative=1.0,
    floor=0.12,  # an eighth of a core; less is no hot loop, even where it is starved
    window_ms=9_000,  # its median is judged: spikes of a collector do not move it
    for_ms=3_000,
    for_samples=3,
)
MEMORY_LEVEL = Role(
    "memory",
    "MemoryGrowing",
    "saturation",
    "bytes",
    gettext("memory of {service} grew to {value}, {grown} in {seconds} s without a pause"),
    relative=0.3,  # the band is drawn; what is told of is growth
    for_ms=1_000,
    for_samples=2,
)
UP_ROLE = Role(
    "up",
    "ServiceDown",
    "availability",
    "",
    gettext("{service} does not answer scrapes"),
    up=False,
    down=True,
    for_ms=4_000,  # more than one missed scrape on a busy machine
    for_samples=4,
    severity=Severity.CRITICAL,
)
HOST_CPU = Role(
    "host_cpu",
    "HostCpuHigh",
    "saturation",
    "ratio",
    gettext("{service} is {value} busy, expected at most {high}"),
    floor=0.2,
    at_least=0.95,
    window_ms=30_000,
    for_ms=600_000,  # a busy host is no fault until it stays so
    for_samples=10,
)
HOST_MEMORY = Role(
    "host_memory",
    "HostMemoryHigh",
    "saturation",
    "ratio",
    gettext("{value} of the memory of {service} is used, expected at most {high}"),
    relative=0.0,
    floor=0.05,
    at_least=0.93,
    for_ms=120_000,
    for_samples=5,
)
DISK = Role(
    "disk",
    "DiskFilling",
    "saturation",
    "ratio",
    gettext("{value} of {mountpoint} on {service} is used, expected at most {high}"),
    relative=0.0,
    floor=0.03,
    at_least=0.9,
    for_ms=120_000,
    for_samples=5,
)
LOG_ERRORS = Role(
    "log_errors",
    "LogErrorBurst",
    "logs",
    "per second",
    gettext("{service} logs {value} errors, expected at most {high}"),
    relative=3.0,
    floor=0.6,  # six lines in ten seconds
    window_ms=10_000,
    for_ms=4_000,
    for_samples=3,
    warm_up_ms=45_000,
    keep_ms_max=3_000,
)
# Told by probes.py.
PROBE = Role("probe", "ProbeFailed", "availability", "", "", up=False, down=True)
PROBE_DURATION = Role(
    "probe_duration",
    "ProbeSlow",
    "latency",
    "seconds",
    gettext("a probe of {instance} takes {value}, expected at most {high}"),
    relative=1.0,
    floor=0.5,  # the way there and back varies by tenths of a second
    for_ms=60_000,
    for_samples=5,
)
# Told by certificates.py.
CERTIFICATE = Role("certificate", "CertificateExpiring", "expiry", "seconds", "")
MEAN = Role(
    "mean",
    "LatencyHigh",
    "latency",
    "seconds",
    gettext("mean latency of {service} is {value}, expected at most {high}"),
    # Of summaries: a tail of some requests moves it, so less than the tail's own doubling is not asked for.
    relative=1.0,
    floor=0.1,
    window_ms=3_000,
    for_ms=8_000,  # as the median's
    for_samples=6,
    critical_at=4.0,
)
TAIL = Role(
    "tail",
    "LatencyHigh",
    "latency",
    "seconds",
    gettext(
        "the {quantile} quantile of the latency of {service} is {value}, expected at most {high}"
    ),
    relative=1.0,
    floor=0.1,
    for_ms=60_000,  # the client's window is of minutes: what is over in seconds stays in it all the same
    for_samples=6,
    critical_at=4.0,
)
# Not judged: edges.py learns from it who calls whom.
EDGE = Role("edge", "", "", "", "", width=float("inf"), for_ms=1 << 60)

ROLES: tuple[Role, ...] = (
    UNKNOWN,
    QUIET,
    LATENCY,
    ERRORS,
    TRAFFIC,
    CPU,
    MEMORY_LEVEL,
    UP_ROLE,
    HOST_CPU,
    HOST_MEMORY,
    DISK,
    LOG_ERRORS,
    MEDIAN,
    PROBE,
    PROBE_DURATION,
    CERTIFICATE,
    EDGE,
    MEAN,
    TAIL,
)
WATCHED = frozenset({"probe", "probe_duration", "certificate", "edge"})
"""Roles of raw series that watchers take out of `samples` themselves."""
ROLE_NUMBER = {role.name: number for number, role in enumerate(ROLES)}
EVENT_ROLES = {"new_template": "NewErrorTemplate", "silent": "MetricAbsent", "flat": "MetricFlat"}


def service_of(labels: Labels) -> str:
    """Whom a series belongs to: its `service`, else `job`, `app`; "" where none is set."""
    for name in ("service", "service_name", "job", "app"):
        if value := labels.get(name):
            return value
    return ""
