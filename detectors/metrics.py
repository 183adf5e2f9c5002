"""What the detectors count about themselves; `pipeline/telemetry.py` exposes it."""

from __future__ import annotations

METRICS: dict[str, tuple[str, str]] = {
    "tocsin_detector_samples_total": ("counter", "Metric samples taken by the detectors."),
    "tocsin_detector_samples_dropped_total": (
        "counter",
        "Samples not used: missing, not finite, or not newer than the series' last.",
    ),
    "tocsin_detector_log_lines_total": ("counter", "Log lines taken by the detectors."),
    "tocsin_detector_counter_resets_total": ("counter", "Counters seen to start again."),
    "tocsin_detector_alerts_fired_total": ("counter", "Alerts that began to fire."),
    "tocsin_detector_alerts_resolved_total": ("counter", "Alerts that resolved."),
    "tocsin_detector_alerts_refused_total": ("counter", "Alerts not told because of alerts_max."),
    "tocsin_detector_templates_refused_total": (
        "counter",
        "Log templates not remembered because of templates_max.",
    ),
    "tocsin_detector_accepted_total": ("counter", "New levels accepted as normal."),
    "tocsin_detector_watched_series": ("gauge", "Series with a plotted history."),
    "tocsin_detector_alerts_pending": ("gauge", "Anomalies that have not lasted long enough yet."),
    "tocsin_detector_alerts_firing": ("gauge", "Alerts firing."),
    "tocsin_detector_forecast_resources": (
        "gauge",
        "Disks, quotas, queues and the like whose past is kept for forecasts.",
    ),
    "tocsin_detector_forecast_refused_total": (
        "counter",
        "Series without a forecast because of forecast.series_max.",
    ),
    "tocsin_detector_full_series": ("gauge", "Series in the full tier."),
    "tocsin_detector_full_series_max": ("gauge", "Series for which full_memory has room."),
    "tocsin_detector_full_entered_total": ("counter", "Moves of series into the full tier."),
    "tocsin_detector_full_left_total": ("counter", "Moves of series out of the full tier."),
    "tocsin_detector_full_waiting": (
        "gauge",
        "Series that would be in the full tier if full_memory, or their service's share, had room.",
    ),
    "tocsin_detector_full_samples_total": ("counter", "Samples taken by the full tier."),
    "tocsin_detector_full_bytes": ("gauge", "Memory of the full tier."),
    "tocsin_slo_objective_ratio": (
        "gauge",
        "Share of events that an objective promises to be good.",
    ),
    "tocsin_slo_attained_ratio": (
        "gauge",
        "Share of events in the objective's window that was good.",
    ),
    "tocsin_slo_error_budget_remaining_ratio": (
        "gauge",
        "Share of the error budget that is left; below 0 it is overdrawn.",
    ),
    "tocsin_slo_burn_rate": (
        "gauge",
        "How fast the budget burnt in the last hour (of 30 days); 1 spends it in exactly the window.",
    ),
    "tocsin_slo_events": ("gauge", "Events in the objective's window."),
    "tocsin_slo_bad_events": ("gauge", "Failed events in the objective's window."),
    "tocsin_detector_log_kinds": (
        "gauge",
        "Kinds of log lines (a service and a template) followed.",
    ),
    "tocsin_detector_log_kinds_refused_total": (
        "counter",
        "Log lines of a kind that kinds_max, kinds_per_service_max or services_max left no room for.",
    ),
    "tocsin_detector_log_parameters": ("gauge", "Numbers in kinds of log lines that are learnt."),
    "tocsin_detector_log_parameters_refused_total": (
        "counter",
        "Numbers in log lines not learnt because of parameters_max.",
    ),
    "tocsin_detector_log_parameter_lines_total": (
        "counter",
        "Log lines read for their numbers.",
    ),
    "tocsin_detector_odd_sequences_total": (
        "counter",
        "Identifiers whose log lines were unusual.",
    ),
    "tocsin_detector_sequences_refused_total": (
        "counter",
        "Log lines not followed because of a limit on kinds of identifiers, templates or groups.",
    ),
    "tocsin_detector_probes": ("gauge", "Probes whose results are watched."),
    "tocsin_detector_probes_failing": ("gauge", "Probes whose last result was a failure."),
    "tocsin_detector_certificates": ("gauge", "Certificates whose expiry is watched."),
    "tocsin_detector_edges": ("gauge", "Calls between two services that traces gave evidence of."),
    "tocsin_detector_edges_refused_total": (
        "counter",
        "Samples of calls between services beyond the 10,000 that are remembered.",
    ),
    "tocsin_detector_drift_series": (
        "gauge",
        "Series of unknown meaning whose slow rises and falls are told.",
    ),
    "tocsin_detector_drift_waiting": (
        "gauge",
        "Series that would be, if drift_series_max had room.",
    ),
    "tocsin_detector_owners": (
        "gauge",
        "Services and hosts that are missed when all of their metrics end.",
    ),
    "tocsin_detector_owners_refused_total": (
        "counter",
        "Series of services and hosts beyond the 20,000 that are missed.",
    ),
    "tocsin_detector_groups": ("gauge", "Services and hosts whose metrics are looked at together."),
    "tocsin_detector_groups_refused_total": (
        "counter",
        "Series of services beyond the 4,096 that are looked at together.",
    ),
    "tocsin_detector_rhythm_series": (
        "gauge",
        "Series that are searched for a rhythm, or have one.",
    ),
    "tocsin_detector_rhythm_series_max": ("gauge", "How many there may be at a time."),
    "tocsin_detector_rhythms": ("gauge", "Series whose rhythm is known."),
    "tocsin_detector_rhythm_waiting": (
        "gauge",
        "Series of the full tier that wait for their turn to be searched for a rhythm.",
    ),
    "tocsin_detector_rhythm_looks_total": (
        "counter",
        "Times a series was looked at for a rhythm, each costs some 15 ms.",
    ),
    "tocsin_detector_state_bytes": ("gauge", "Memory held by the learnt state."),
}
