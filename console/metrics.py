"""What the console counts of itself."""

from __future__ import annotations

import threading

METRICS: dict[str, tuple[str, str]] = {
    "tocsin_console_requests_total": ("counter", "Requests answered by the console."),
    "tocsin_console_errors_total": ("counter", "Requests that failed by a mistake of ours."),
    "tocsin_intake_pushes_total": ("counter", "Pushes that were accepted."),
    "tocsin_intake_entries_total": ("counter", "Alerts, changes, heartbeats and acts accepted."),
    "tocsin_intake_malformed_total": ("counter", "Pushes refused because of their content."),
    "tocsin_intake_ignored_total": (
        "counter",
        "Events of types that are not understood, and resolves of what the same source did not fire.",
    ),
    "tocsin_intake_duplicates_total": ("counter", "Signed pushes that were sent again."),
    "tocsin_remote_write_invalid_samples_total": (
        "counter",
        "Samples refused because the labels of their series are not valid.",
    ),
    "tocsin_remote_write_histograms_total": (
        "counter",
        "Native histograms read, each as the samples of classic buckets.",
    ),
    "tocsin_remote_write_histograms_refused_total": (
        "counter",
        "Native histograms refused: gauges, or such as contradict themselves.",
    ),
    "tocsin_remote_write_exemplars_total": (
        "counter",
        "Exemplars read; those that name a trace are shown on incidents.",
    ),
    "tocsin_remote_write_exemplars_refused_total": (
        "counter",
        "Exemplars refused because their labels, or those of their series, are not valid.",
    ),
    "tocsin_exemplars_forgotten_total": (
        "counter",
        "Exemplars forgotten for newer ones: at most 256 are kept of a service, and of 1,000 services.",
    ),
    "tocsin_otlp_rejected_total": (
        "counter",
        "Data points, log records and spans of OTLP that were rejected, each with a reason to its sender.",
    ),
    "tocsin_console_refused_body_total": ("counter", "Bodies too large or wrongly encoded."),
    "tocsin_console_refused_http_total": ("counter", "What is no HTTP, or has too large a head."),
    "tocsin_console_refused_role_total": ("counter", "Requests without a sufficient role."),
    "tocsin_console_refused_signature_total": ("counter", "Pushes with a wrong signature."),
    "tocsin_console_refused_store_total": ("counter", "Requests that the store did not take."),
    "tocsin_console_sign_ins_total": ("counter", "Sign-ins that succeeded."),
    "tocsin_console_sign_in_failures_total": ("counter", "Sign-ins refused."),
}


class Counters:
    """Values of `METRICS`; several threads may add.

    Examples
    --------
    >>> counters = Counters()
    >>> counters.add("tocsin_intake_pushes_total")
    >>> counters.values()["tocsin_intake_pushes_total"]
    1.0
    """

    def __init__(self) -> None:
        self._values = dict.fromkeys(METRICS, 0.0)
        self._lock = threading.Lock()

    def add(self, name: str, amount: float = 1.0) -> None:
        """Count."""
        with self._lock:
            self._values[name] += amount

    def values(self) -> dict[str, float]:
        """All values by name."""
        with self._lock:
            return dict(self._values)
