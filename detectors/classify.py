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
_REQUESTS = re.compile(r"(^|_)(requests|server_handled|server_requests_seconds_count)(_total)?$")
_FAILURES = re.compile(r"(^|_)(request_)?(errors|failures|exceptions)_total$")
_LATENCY = re.compile(
    r"(request|response|handling|server|http|grpc|rpc).*_(seconds|milliseconds|ms)_bucket$"
)
_PARTS = re.compile(r"(_bucket|_sum|_count|_created|_info|_build_info|_timestamp_seconds)$")
_STARTED = re.compile(r"(start_time|boot_time|last_.*time|_time_seconds)")

_CERTIFICATE = re.compile(
    r"^probe_ssl_earliest_cert_(expiry|not_before)$|cert(ificate)?s?_not_(after|before)$"
    r"|cert(ificate)?s?_expir(y|es|ation)_timestamp_seconds$"
)

STATUS_LABELS = ("code", "status", "status_code", "http_status", "status_class", "grpc_code")
_GRPC_ERRORS = ("Unknown", "Internal", "Unavailable", "DataLoss", "DeadlineExceeded")


@dataclass(frozen=True, slots=True)
class Class:
    """What a raw series is for: its kind and, for an input, its signal family, field and group labels."""

    kind: Kind
    family: str = ""
    fields: tuple[str, ...] = ()
    group: Labels = Labels()
    counter: bool = False


def is_error(labels: Labels) -> bool:
    """Whether a request series counts failures of the server (5xx, gRPC's server faults).

    Examples
    --------
    >>> is_error(Labels.of({"code": "503"})), is_error(Labels.of({"code": "404"}))
    (True, False)
    """
    for name in STATUS_LABELS:
        value = labels.get(name, "")
        if value:
            return value.startswith("5") and len(value) == 3 or value in _GRPC_ERRORS
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
    said = _by_name(name, kind)
    if isinstance(said, Class):
        return Class(Kind.IGNORED) if labels.get("quantile") and said in _PLAIN else said
    if said == "host":
        return _host_class(name, labels)
    owner = labels.only("service", "service_name", "job", "app", "instance", "simulated")
    if said == "cpu":
        return Class(Kind.INPUT, "cpu", ("seconds",), owner, counter=True)
    if said == "requests":
        fields = ("requests", "errors") if is_error(labels) else ("requests",)
        return Class(Kind.INPUT, "requests", fields, owner, counter=True)
    if bound := labels.get("le"):
        return Class(Kind.INPUT, "latency", (bound,), owner, counter=True)
    return Class(Kind.IGNORED)


def _plain(name: str, kind: str) -> Kind:
    return Kind.COUNTER if kind == "counter" or name.endswith("_total") else Kind.GAUGE


_PLAIN = (Class(Kind.GAUGE), Class(Kind.COUNTER))


@lru_cache(maxsize=16_384)  # a site has a thousand names, and a million series
def _by_name(name: str, kind: str) -> Class | str:
    """What the name alone says: all, or for which signal the labels are to be asked."""
    if name == "up":
        return Class(Kind.UP)
    if name.startswith("node_"):
        return "host" if name in _HOST_INPUTS else Class(_plain(name, ""), "quiet")
    if watched := _watched_class(name):
        return watched
    if name == "process_cpu_seconds_total":
        return "cpu"
    if name == "process_resident_memory_bytes":
        return Class(Kind.MEMORY)
    if not _OUTGOING.search(name):
        if _REQUESTS.search(name) and kind != "gauge" and "active" not in name:
            return "requests"
        if _LATENCY.search(name):
            return "latency"
    if _PARTS.search(name) or _STARTED.search(name):
        return Class(Kind.IGNORED)
    return Class(_plain(name, kind))


def _watched_class(name: str) -> Class | None:
    """Results of probes, and moments at which certificates expire (or began)."""
    if name in ("probe_success", "probe_duration_seconds"):
        return Class(Kind.IGNORED, "probe" if name == "probe_success" else "probe_duration")
    if _CERTIFICATE.search(name):
        return Class(Kind.IGNORED, "certificate")
    return Class(Kind.IGNORED) if name.startswith("probe_") else None


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
