"""OpenTelemetry's names in Prometheus' words: metrics with their unit, attributes, and who a resource is.

Source: "Prometheus and OpenMetrics Compatibility" of the OpenTelemetry specification, and
github.com/prometheus/otlptranslator for what it leaves open.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

_UNITS = {
    "d": "days",
    "h": "hours",
    "min": "minutes",
    "s": "seconds",
    "ms": "milliseconds",
    "us": "microseconds",
    "ns": "nanoseconds",
    "By": "bytes",
    "KiBy": "kibibytes",
    "MiBy": "mebibytes",
    "GiBy": "gibibytes",
    "TiBy": "tibibytes",
    "KBy": "kilobytes",
    "MBy": "megabytes",
    "GBy": "gigabytes",
    "TBy": "terabytes",
    "m": "meters",
    "V": "volts",
    "A": "amperes",
    "J": "joules",
    "W": "watts",
    "g": "grams",
    "Cel": "celsius",
    "Hz": "hertz",
    "%": "percent",
    "$": "dollars",
}
_PER = {
    "s": "second",
    "m": "minute",
    "h": "hour",
    "d": "day",
    "w": "week",
    "mo": "month",
    "y": "year",
}
_NOT_METRIC = re.compile(r"[^a-zA-Z0-9:]+")
_NOT_LABEL = re.compile(r"[^a-zA-Z0-9_]")
_RUNS = re.compile(r"__+")
_REMARK = re.compile(r"\{[^}]*\}")


@lru_cache(maxsize=20_000)
def metric_name(name: str, unit: str, kind: str) -> str:
    """Name of a metric's family: what is not allowed becomes `_`, the unit is written out, counters end in `_total`.

    Parameters
    ----------
    kind : str
        "counter", "gauge", "histogram" or "summary".

    Returns
    -------
    str
        "" where nothing of the name is left.

    Examples
    --------
    >>> metric_name("http.server.request.duration", "s", "histogram")
    'http_server_request_duration_seconds'
    >>> metric_name("process.cpu.time", "s", "counter"), metric_name("system.cpu.utilization", "1", "gauge")
    ('process_cpu_time_seconds_total', 'system_cpu_utilization_ratio')
    >>> metric_name("orders", "{order}", "counter"), metric_name("disk.io", "By/s", "gauge")
    ('orders_total', 'disk_io_bytes_per_second')
    """
    tokens = [token for token in _NOT_METRIC.split(name) if token]
    if not tokens:
        return ""
    for word in _unit_words(unit):
        if word not in tokens:
            tokens.append(word)
    if kind == "gauge" and unit == "1" and "ratio" not in tokens:
        tokens.append("ratio")
    if kind == "counter":
        tokens = [token for token in tokens if token != "total"] + ["total"]
    made = "_".join(tokens)
    return "_" + made if made[0].isdigit() else made


def _unit_words(unit: str) -> list[str]:
    whole, _, per = _REMARK.sub("", unit).strip().partition("/")
    words = []
    if whole.strip() and whole != "1":
        words += _NOT_METRIC.split(_UNITS.get(whole.strip(), whole.strip()))
    if per.strip():
        words += ["per", *_NOT_METRIC.split(_PER.get(per.strip(), per.strip()))]
    return [word for word in words if word]


@lru_cache(maxsize=20_000)
def label_name(name: str) -> str:
    """Name of an attribute as a label.

    Examples
    --------
    >>> label_name("http.response.status_code"), label_name("5xx"), label_name("__name__")
    ('http_response_status_code', 'key_5xx', 'key_name_')
    """
    made = _RUNS.sub("_", _NOT_LABEL.sub("_", name))
    if not made or made == "_":
        return ""
    return "key" + ("" if made[0] == "_" else "_") + made if not made[0].isalpha() else made


def label_pairs(attributes: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Attributes as labels; where two names become the same, their values are joined with `;`.

    Examples
    --------
    >>> label_pairs([("a.b", "1"), ("a_b", "2"), ("c", "")])
    {'a_b': '1;2'}
    """
    found: dict[str, str] = {}
    for name, text in sorted(attributes):
        label, value = label_name(name), text.replace("\0", "")  # which no database takes
        if label and value:
            found[label] = f"{found[label]};{value}" if label in found else value
    return found


_INSTANCE = ("service.instance.id", "k8s.pod.name", "host.name")
_CHOSEN = {
    "cluster": ("k8s.cluster.name",),
    "namespace": ("k8s.namespace.name",),
    "deployment_environment": ("deployment.environment.name", "deployment.environment"),
}


def resource_labels(resource: Mapping[str, str]) -> dict[str, str]:
    """Labels that every series of a resource carries: `service`, `job`, `instance`, and a chosen few.

    No version: a series that changes its name at each deploy learns nothing. `instance` is the pod's or
    the host's name where no `service.instance.id` is set.

    Examples
    --------
    >>> resource_labels({"service.name": "cart", "service.namespace": "shop", "host.name": "a"})
    {'service': 'cart', 'job': 'shop/cart', 'instance': 'a'}
    """
    service, namespace = resource.get("service.name", ""), resource.get("service.namespace", "")
    job = f"{namespace}/{service}" if namespace and service else service
    found = {
        "service": service,
        "job": job,
        "instance": next((resource[name] for name in _INSTANCE if resource.get(name)), ""),
    }
    for label, names in _CHOSEN.items():
        found[label] = next((resource[name] for name in names if resource.get(name)), "")
    made = {label: value.replace("\0", "") for label, value in found.items()}
    return {label: value for label, value in made.items() if value}
