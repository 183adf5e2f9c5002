"""Which families of signals there are; a new one goes to the end, for snapshots know them by number."""

from __future__ import annotations

from detectors.derive import Family

SUMMED = ("requests", "errors", "seconds", "milliseconds", "microseconds")
"""Of summaries of durations; the last three are time taken, in the summary's own unit."""


def families() -> dict[str, Family]:
    """One empty family of each kind."""
    return {
        "requests": Family(("requests", "errors"), counters=True),
        "latency": Family((), counters=True, fields_max=40),
        "cpu": Family(("seconds",), counters=True),
        "host_cpu": Family(("idle", "all"), counters=True),
        "host_memory": Family(("available", "size"), counters=False),
        "disk": Family(("available", "size"), counters=False),
        "summary": Family(SUMMED, counters=True),
        "quantile": Family((), counters=False, fields_max=40),
    }
