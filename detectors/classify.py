"""What a raw series is for, by its name and labels."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from detectors.roles import Kind, service_of
from model.labels import Labels
from model.series import NAME

# The calls a service makes are counted by the service it calls: its own view of them is not its own fault.
_OUTGOING = re.compile(r"client|upstream|outgoing|outbound|downstream|egress|promhttp|scrape|push")
_REQUESTS = re.compile(
    r"(^|_)(requests|server_handled|server_requests_seconds_count)(_total)?$"
    # OpenTelemetry has no counter of requests: the histogram of their durations counts them. In
    # milliseconds, and rpc_server_duration: from before the conventions were stable.
    r"|^http_server_(request_duration_seconds|duration(_milliseconds)?)_count$"
    r"|^rpc_server_(call_)?duration(_seconds|_milliseconds)?_count$"
)
# Counted of spans: by Tempo's metrics generator and ourselves, and by the Collector's connector.
_SPAN_CALLS = re.compile(r"^(traces_spanmetrics_calls|traces_span_metrics_calls|calls)_total$")
_SPAN_LATENCY = re.compile(
    r"^(traces_spanmetrics_latency|(traces_span_metrics_)?duration_(milli)?seconds)_bucket$"
)
_SPAN_EDGE = "traces_service_graph_request_total"
_ANSWERS = ("SPAN_KIND_SERVER", "SPAN_KIND_CONSUMER")
VIA = "via"
"""A label of signals that a service did not measure itself: judged only where it has none of its own."""
_FAILURES = re.compile(r"(^|_)(request_)?(errors|failures|exceptions)_total$")
_LATENCY = re.compile(
    r"(request|response|handling|server|http|grpc|rpc).*_(seconds|milliseconds|ms)_bucket$"
)
_DURATION_SUMMARY = re.compile(
    r"(request|response|handling|server|http|grpc|rpc).*_(seconds|milliseconds|microseconds|ms)(_sum|_count)?$"
)
_UNITS = {
    "seconds": "seconds",
    "milliseconds": "milliseconds",
    "ms": "milliseconds",
    "microseconds": "microseconds",
}
_TAIL = (0.9, 0.99)  # beyond it lies what one request in a hundred meets
_MIDDLE = 0.5
_PARTS = re.compile(r"(_bucket|_sum|_count|_created|_info|_build_info|_timestamp_seconds)$")
_STARTED = re.compile(r"(start_time|boot_time|last_.*time|_time_seconds)")

_CERTIFICATE = re.compile(
    r"^probe_ssl_earliest_cert_(expiry|not_before)$|cert(ificate)?s?_not_(after|before)$"
    r"|cert(ificate)?s?_expir(y|es|ation)_timestamp_seconds$"
)

STATUS_LABELS = (
    "code",
    "status",
    "status_code",
    "http_status",
    "status_class",
    "grpc_code",
    "http_response_status_code",  # OpenTelemetry
    "http_status_code",  # and before its conventions were stable
    "rpc_response_status_code",  # OpenTelemetry: the code's name
    "rpc_grpc_status_code",  # and before: gRPC's number
    "rpc_connect_rpc_error_code",
)
_GRPC_ERRORS = frozenset(
    ("Unknown", "Internal", "Unavailable", "DataLoss", "DeadlineExceeded")
    + ("UNKNOWN", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "DEADLINE_EXCEEDED")
    + ("unknown", "internal", "unavailable", "data_loss", "deadline_exceeded")
    + ("STATUS_CODE_ERROR",)  # a span's
)
_GRPC_NUMBERS = frozenset(("2", "4", "13", "14", "15"))
"""The same five as numbers, which mean nothing under another name."""


@dataclass(frozen=True, slots=True)
class Class:
    """What a raw series is for: its kind and, for an input, its signal family, field and group labels."""

    kind: Kind
    family: str = ""
    fields: tuple[str, ...] = ()
    group: Labels = Labels()
    counter: bool = False
    also: str = ""
    """A second family that the same fields go into."""


def is_error(labels: Labels) -> bool:
    """Whether a request series counts failures of the server (5xx, gRPC's server faults).

    Examples
    --------
    >>> is_error(Labels.of({"code": "503"})), is_error(Labels.of({"code": "404"}))
    (True, False)
    >>> is_error(Labels.of({"rpc_grpc_status_code": "14"})), is_error(Labels.of({"error_type": "IOError"}))
    (True, True)
    """
    for name in STATUS_LABELS:
        value = labels.get(name, "")
        if value:
            if value.startswith("5") and len(value) == 3 or value in _GRPC_ERRORS:
                return True
            return name == "rpc_grpc_status_code" and value in _GRPC_NUMBERS
    if labels.get("error_type"):  # OpenTelemetry: it ended without any status
        return True
    return labels.get("outcome", labels.get("result", "")).lower() in (
        "error",
        "failure",
        "exception",
        "server_error",
    )


def classify(labels: Labels, kind: str) -> Class:
    """What to do with a raw series, from its labels and its TYPE ("counter", "gauge", …, "unknown").

    Examples
    --------
    >>> labels = Labels.of({"__name__": "http_requests_total", "job": "shop", "code": "500"})
    >>> classify(labels, "counter").fields
    ('requests', 'errors')
    """
    name = labels.get(NAME, "")
    if name != "up" and (name.startswith(("tocsin_", "scrape_")) or service_of(labels) == "tocsin"):
        # The watcher's own load follows what it watches; telemetry.py tells of its health.
        return Class(Kind.IGNORED if _PARTS.search(name) else _plain(name, kind), "quiet")
    if (quantile := labels.get("quantile")) is not None:
        return _quantile_class(name, quantile, labels)
    said = _by_name(name, kind)
    if isinstance(said, Class):
        return said
    if said == "host":
        return _host_class(name, labels)
    if said == "span":
        return _span_class(name, labels, kind)
    owner = labels.only("service", "service_name", "job", "app", "instance", "simulated")
    if said == "cpu":
        return Class(Kind.INPUT, "cpu", ("seconds",), owner, counter=True)
    if said == "summary" and name.endswith("_sum"):
        return Class(Kind.INPUT, "summary", (unit_of(name),), owner, counter=True)
    if said in ("requests", "summary"):
        fields = ("requests", "errors") if is_error(labels) else ("requests",)
        timed = said == "requests" and kind == "summary" and name.endswith("_count")
        return Class(Kind.INPUT, said, fields, owner, True, "summary" if timed else "")
    if bound := labels.get("le"):
        return Class(Kind.INPUT, "latency", (_seconds(name, bound),), owner, counter=True)
    return Class(Kind.IGNORED)


def unit_of(name: str) -> str:
    """The unit of a summary of durations, by its name.

    Examples
    --------
    >>> unit_of("http_request_duration_ms_sum"), unit_of("http_request_duration_seconds")
    ('milliseconds', 'seconds')
    """
    return _UNITS[name.removesuffix("_sum").rpartition("_")[2]]


def is_duration_summary(name: str) -> bool:
    """Whether a summary of this name, or its part, is of how long this service takes to answer."""
    return bool(_DURATION_SUMMARY.search(name)) and not _OUTGOING.search(name)


def _quantile_class(name: str, quantile: str, labels: Labels) -> Class:
    """A quantile that a client made itself: tails of request durations make a signal, of others only the middle says something.

    The tail of few events is one event. What pauses of a collector or sizes of chunks are nobody asks.
    """
    try:
        share = float(quantile)
    except ValueError:
        return Class(Kind.IGNORED)
    if is_duration_summary(name) and not name.endswith(("_sum", "_count")):
        if not _TAIL[0] <= share <= _TAIL[1]:
            return Class(Kind.IGNORED)
        group = labels.only("service", "service_name", "job", "app", "instance", "simulated")
        group = group.with_(quantile=quantile, unit=unit_of(name))
        return Class(Kind.INPUT, "quantile", (labels.without("quantile").fingerprint(),), group)
    plain = share == _MIDDLE and not name.startswith("go_") and not _OUTGOING.search(name)
    return _plain_class(name) if plain else Class(Kind.IGNORED)


def _plain_class(name: str) -> Class:
    """As of a gauge of this name without the label."""
    said = _by_name(name, "gauge")
    return said if said == Class(Kind.GAUGE) else Class(Kind.IGNORED)


def _seconds(name: str, bound: str) -> str:
    """A bucket's bound in seconds: the floors of latency are."""
    if not name.endswith(("_milliseconds_bucket", "_ms_bucket")) or bound == "+Inf":
        return bound
    try:
        return f"{float(bound) / 1000:.12g}"
    except ValueError:
        return bound


def _span_class(name: str, labels: Labels, kind: str) -> Class:
    """What was counted of spans: those that answer somebody tell of their service."""
    span_kind = labels.get("span_kind")
    if span_kind is None and name in ("calls_total", "duration_milliseconds_bucket"):
        return Class(Kind.IGNORED if name.endswith("_bucket") else _plain(name, kind))
    if span_kind not in _ANSWERS:
        return Class(Kind.IGNORED)
    group = labels.only("service", "service_name", "simulated").with_(**{VIA: "traces"})
    if bound := labels.get("le"):
        return Class(Kind.INPUT, "latency", (_seconds(name, bound),), group, counter=True)
    fields = ("requests", "errors") if is_error(labels) else ("requests",)
    return Class(Kind.INPUT, "requests", fields, group, counter=True)


def _plain(name: str, kind: str) -> Kind:
    return Kind.COUNTER if kind == "counter" or name.endswith("_total") else Kind.GAUGE


_SINGLE: dict[str, Class | str] = {
    "up": Class(Kind.UP),
    "process_cpu_seconds_total": "cpu",
    "process_cpu_time_seconds_total": "cpu",  # OpenTelemetry
    "process_resident_memory_bytes": Class(Kind.MEMORY),
    "process_memory_usage_bytes": Class(Kind.MEMORY),  # OpenTelemetry: the physical memory in use
}


@lru_cache(maxsize=16_384)  # a site has a thousand names, and a million series
def _by_name(name: str, kind: str) -> Class | str:
    """What the name alone says: all, or for which signal the labels are to be asked."""
    if name in _SINGLE:
        return _SINGLE[name]
    if name.startswith("node_"):
        return "host" if name in _HOST_INPUTS else Class(_plain(name, ""), "quiet")
    if watched := _watched_class(name):
        return watched
    if _SPAN_CALLS.search(name) or _SPAN_LATENCY.search(name):
        return "span"
    if not _OUTGOING.search(name):
        if _REQUESTS.search(name) and kind != "gauge" and "active" not in name:
            return "requests"
        if _LATENCY.search(name):
            return "latency"
        if (
            kind == "summary"
            and name.endswith(("_sum", "_count"))
            and _DURATION_SUMMARY.search(name)
        ):
            return "summary"
    if _PARTS.search(name) or _STARTED.search(name):
        return Class(Kind.IGNORED)
    return Class(_plain(name, kind))


def _watched_class(name: str) -> Class | None:
    """Results of probes, and moments at which certificates expire (or began)."""
    if name in ("probe_success", "probe_duration_seconds"):
        return Class(Kind.IGNORED, "probe" if name == "probe_success" else "probe_duration")
    if _CERTIFICATE.search(name):
        return Class(Kind.IGNORED, "certificate")
    if name == _SPAN_EDGE:
        return Class(Kind.IGNORED, "edge")
    return Class(Kind.IGNORED) if name.startswith(("probe_", "traces_service_graph_")) else None


_HOST_INPUTS = {
    "node_cpu_seconds_total": "host_cpu",
    "node_memory_MemAvailable_bytes": "host_memory",
    "node_memory_MemTotal_bytes": "host_memory",
    "node_filesystem_avail_bytes": "disk",
    "node_filesystem_size_bytes": "disk",
}


def _host_class(name: str, labels: Labels) -> Class:
    family, group = _HOST_INPUTS[name], ["service", "job", "instance"]
    if family == "host_cpu":
        idle = labels.get("mode") in ("idle", "iowait", "steal")
        fields = ("idle", "all") if idle else ("all",)
        return Class(Kind.INPUT, family, fields, labels.only(*group), counter=True)
    if family == "disk":
        if labels.get("fstype", "") in ("tmpfs", "squashfs", "overlay", "ramfs", "iso9660"):
            return Class(Kind.IGNORED)
        group.append("mountpoint")
    field = "available" if "vail" in name else "size"
    return Class(Kind.INPUT, family, (field,), labels.only(*group))
