"""What the correlator counts of itself."""

from __future__ import annotations

METRICS: dict[str, tuple[str, str]] = {
    "tocsin_correlator_alerts_total": ("counter", "Alerts taken, repeats included."),
    "tocsin_correlator_repeats_total": ("counter", "Alerts that said nothing new."),
    "tocsin_correlator_stale_total": ("counter", "Alerts older than what was known: ignored."),
    "tocsin_correlator_times_mended_total": ("counter", "Alerts whose times were impossible."),
    "tocsin_correlator_expired_total": ("counter", "Alerts resolved because nothing was heard."),
    "tocsin_correlator_refused_total": ("counter", "Alerts refused because too many are known."),
    "tocsin_correlator_opened_total": ("counter", "Incidents opened."),
    "tocsin_correlator_joined_total": ("counter", "Alerts that joined an open incident."),
    "tocsin_correlator_refired_total": ("counter", "Incidents that came back."),
    "tocsin_correlator_merged_total": ("counter", "Incidents merged into another."),
    "tocsin_correlator_declined_total": (
        "counter",
        "Alerts that opened nothing because a person had closed their incident.",
    ),
    "tocsin_correlator_alerts": ("gauge", "Alerts remembered now."),
    "tocsin_correlator_alerts_max": ("gauge", "Alerts remembered at most."),
    "tocsin_correlator_incidents": ("gauge", "Incidents remembered now, quiet ones included."),
    "tocsin_correlator_edges_apart": (
        "gauge",
        "Calls learnt from traces between two correlation domains: they join nothing.",
    ),
    "tocsin_correlator_waiting": ("gauge", "Alerts that wait for companions."),
}
