"""Numbers as people say them, and an alert's labels."""

from __future__ import annotations

import math

from detectors.roles import Role, service_of
from model.alert import Severity
from model.labels import Labels
from model.series import NAME

TEMPLATE_LABEL_MAX = 200


def quantity(value: float | None, unit: str) -> str:
    """A value in its unit, in three digits.

    Examples
    --------
    >>> quantity(0.0345, "seconds"), quantity(2.5, "seconds"), quantity(50 * 2**20, "bytes")
    ('34.5 ms', '2.5 s', '50 MiB')
    >>> quantity(0.251, "ratio"), quantity(3.5, "per second"), quantity(1234567.0, "")
    ('25.1 %', '3.5/s', '1.23M')
    """
    if value is None or not math.isfinite(value):
        return "unknown"
    if unit == "seconds":
        return f"{_digits(value)} s" if abs(value) >= 1 else f"{_digits(value * 1000)} ms"
    if unit == "bytes":
        for name, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
            if abs(value) >= size:
                return f"{_digits(value / size)} {name}"
        return f"{_digits(value)} B"
    if unit == "ratio":
        return f"{_digits(value * 100)} %"
    if unit == "per second":
        return f"{_digits(value)}/s"
    for name, many in (("G", 1e9), ("M", 1e6), ("k", 1e4)):
        if abs(value) >= many:
            return f"{_digits(value / (1e3 if name == 'k' else many))}{name}"
    return _digits(value)


def _digits(value: float) -> str:
    if value == 0 or not 1e-3 <= abs(value) < 1e6:
        return f"{value:.3g}"
    decimals = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def alert_labels(series: Labels, role: Role, severity: Severity, *, exact: bool) -> Labels:
    """Labels of an alert on a series, stable for its life.

    `exact` adds the series' fingerprint, for metrics of which a service has many series.

    Examples
    --------
    >>> from detectors.roles import CPU
    >>> series = Labels.of({"__name__": "cpu_cores", "job": "cart", "instance": "c:1"})
    >>> str(alert_labels(series, CPU, Severity.WARNING, exact=False))
    '{alertname="CpuHigh", instance="c:1", metric="cpu_cores", service="cart", severity="warning", signal="saturation"}'
    """
    extra = {n: series[n] for n in ("instance", "mountpoint", "probe") if n in series}
    if exact:
        extra["series"] = series.fingerprint()
    return Labels.of(
        {
            **extra,
            "alertname": role.alertname,
            "service": service_of(series),
            "severity": severity.value,
            "signal": role.signal,
            "metric": series.get(NAME, ""),
        }
    )
