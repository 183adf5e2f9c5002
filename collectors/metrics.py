"""Names, kinds and help texts of what the collectors count."""

from __future__ import annotations

METRICS: dict[str, tuple[str, str]] = {
    "tocsin_scrapes_total": ("counter", "Scrapes that finished, well or not."),
    "tocsin_scrape_errors_total": ("counter", "Scrapes that failed."),
    "tocsin_scrapes_skipped_total": (
        "counter",
        "Scrapes not started because the one before was still under way.",
    ),
    "tocsin_scrape_samples_total": ("counter", "Samples read from scrapes."),
    "tocsin_scrape_bad_lines_total": ("counter", "Exposition lines that could not be read."),
    "tocsin_scrape_series_refused_total": (
        "counter",
        "Samples dropped because their series was beyond a limit.",
    ),
    "tocsin_scrape_duplicates_total": (
        "counter",
        "Samples dropped because their series had one in the same scrape.",
    ),
    "tocsin_scrape_targets": ("gauge", "Targets that are scraped."),
    "tocsin_scrape_targets_refused": ("gauge", "Targets left out because of targets_max."),
    "tocsin_probes_total": ("counter", "Probes that finished, well or not."),
    "tocsin_probe_failures_total": ("counter", "Probes that found something wrong."),
    "tocsin_probes_skipped_total": (
        "counter",
        "Probes not started because the one before was still under way.",
    ),
    "tocsin_probe_targets": ("gauge", "Probes that are configured."),
    "tocsin_probe_lookups": ("gauge", "Look-ups of names that are under way for probes."),
    "tocsin_samples_late_total": ("counter", "Samples dropped because they came too late."),
    "tocsin_samples_future_total": (
        "counter",
        "Samples dropped because their time is too far ahead.",
    ),
    "tocsin_samples_without_clock_total": (
        "counter",
        "Samples dropped because their time is the epoch.",
    ),
    "tocsin_samples_time_repaired_total": (
        "counter",
        "Samples whose time was in seconds, microseconds or nanoseconds and was put right.",
    ),
    "tocsin_poll_rounds_total": ("counter", "Times a Prometheus was asked for its samples."),
    "tocsin_poll_failures_total": ("counter", "Selectors that could not be asked for."),
    "tocsin_poll_skipped_total": (
        "counter",
        "Rounds not started because the one before was still under way.",
    ),
    "tocsin_poll_samples_total": ("counter", "Samples taken from a Prometheus."),
    "tocsin_poll_series_refused_total": ("counter", "Series of a Prometheus beyond a limit."),
    "tocsin_poll_series": ("gauge", "Series of a Prometheus that are followed."),
    "tocsin_backfill_series_total": ("counter", "Series that learnt from their past."),
    "tocsin_backfill_points_total": ("counter", "Samples of the past that were learnt from."),
    "tocsin_backfill_points_expected": (
        "gauge",
        "Samples of the past that were asked for in all; fewer may exist.",
    ),
    "tocsin_backfill_failures_total": (
        "counter",
        "Times a past could not be fetched, or not in time.",
    ),
    "tocsin_backfill_refused_total": (
        "counter",
        "Series that started cold because of backfill.series_max.",
    ),
    "tocsin_backfill_unmatched_total": (
        "counter",
        "Series that started cold because the Prometheus does not know them.",
    ),
    "tocsin_backfill_requests_total": ("counter", "Requests to the Prometheus for the past."),
    "tocsin_backfill_targets_waiting": ("gauge", "Targets that wait for their past."),
    "tocsin_backfill_held_samples": ("gauge", "Live samples that wait for their past."),
    "tocsin_pushed_pushes_total": ("counter", "Pushes of metrics, logs or traces taken up."),
    "tocsin_pushed_samples_total": ("counter", "Samples that were pushed."),
    "tocsin_pushed_lines_total": ("counter", "Log lines that were pushed."),
    "tocsin_pushed_refused_total": (
        "counter",
        "Pushes refused because of pushes.queue_bytes_max.",
    ),
    "tocsin_pushed_waiting_bytes": ("gauge", "Pushed bytes that wait for the pipeline."),
    "tocsin_pushed_deltas_repeated_total": (
        "counter",
        "Increments that were not newer than the last of their series; they are not added.",
    ),
    "tocsin_spans_total": ("counter", "Spans of clients, servers, producers and consumers."),
    "tocsin_spans_refused_total": (
        "counter",
        "Spans not counted because of otlp.services_max or edges_max.",
    ),
    "tocsin_spans_forgotten_total": (
        "counter",
        "Spans that no longer wait for the other end of their call because of otlp.spans_waiting_max.",
    ),
    "tocsin_spans_waiting": ("gauge", "Spans that wait for the other end of their call."),
    "tocsin_spans_edges": ("gauge", "Calls between two services that spans tell of."),
    "tocsin_syslog_messages_total": ("counter", "Syslog messages taken."),
    "tocsin_syslog_bytes_total": ("counter", "Bytes read of syslog."),
    "tocsin_syslog_malformed_total": (
        "counter",
        "Messages without a priority; taken as plain lines.",
    ),
    "tocsin_syslog_cut_total": ("counter", "Messages cut at syslog.message_max."),
    "tocsin_syslog_connections": ("gauge", "Open syslog connections."),
    "tocsin_syslog_connections_total": ("counter", "Syslog connections that were accepted."),
    "tocsin_syslog_connections_refused_total": ("counter", "Connections closed at once: too many."),
    "tocsin_syslog_connections_timed_out_total": (
        "counter",
        "Connections closed because they were idle or did not end a message or handshake in time.",
    ),
    "tocsin_syslog_senders_refused_total": (
        "counter",
        "Connections and datagrams of senders that are not in allow.",
    ),
    "tocsin_syslog_tls_errors_total": ("counter", "TLS handshakes that failed."),
    "tocsin_syslog_certificates_reloaded_total": (
        "counter",
        "Times a renewed certificate was taken up.",
    ),
    "tocsin_syslog_paused_total": (
        "counter",
        "Times a connection was not read because of rate_max or a full queue.",
    ),
    "tocsin_syslog_datagrams_dropped_total": (
        "counter",
        "Datagrams dropped because of rate_max or a full queue.",
    ),
    "tocsin_syslog_kernel_dropped_total": (
        "counter",
        "Datagrams the kernel dropped because the receive buffer was full.",
    ),
    "tocsin_syslog_services_refused_total": (
        "counter",
        "Programs or hosts that are no service because of syslog.services_max.",
    ),
    "tocsin_syslog_lost_at_stop_total": ("counter", "Messages read at a stop that found no room."),
    "tocsin_host_errors_total": ("counter", "Parts of the host that could not be read."),
    "tocsin_host_devices_refused_total": (
        "counter",
        "Devices left out because of devices_max, summed over readings.",
    ),
    "tocsin_self_errors_total": ("counter", "Failed readings of Tocsin's own metrics."),
    "tocsin_log_lines_total": ("counter", "Log records read (a stack trace counts with its line)."),
    "tocsin_log_bytes_total": ("counter", "Bytes of log files that are done with."),
    "tocsin_log_lines_cut_total": ("counter", "Log lines cut at line_bytes_max."),
    "tocsin_log_lines_joined_total": ("counter", "Lines joined to the record before them."),
    "tocsin_log_texts_masked_total": (
        "counter",
        "Messages and stack traces in which a rule of logs.mask found something.",
    ),
    "tocsin_log_files": ("gauge", "Log files that are open."),
    "tocsin_log_rotations_total": ("counter", "Log files that were renamed or deleted."),
    "tocsin_log_truncations_total": ("counter", "Log files that were truncated or written anew."),
    "tocsin_log_errors_total": ("counter", "Failed attempts to open or read a log file."),
    "tocsin_log_files_refused_total": (
        "counter",
        "Attempts to follow a file that files_max refused.",
    ),
    "tocsin_log_late_total": ("counter", "Log lines dropped because they came too late."),
    "tocsin_log_future_total": (
        "counter",
        "Log lines whose time is too far ahead; they take their arrival.",
    ),
    "tocsin_log_without_clock_total": (
        "counter",
        "Log lines whose time is the epoch; they take their arrival.",
    ),
    "tocsin_log_time_repaired_total": (
        "counter",
        "Log lines whose time was in another unit and was put right.",
    ),
    "tocsin_log_templates": ("gauge", "Log template numbers given, merged ones included."),
    "tocsin_log_templates_overflowed_total": (
        "counter",
        "Log lines without a template of their own because of templates_max.",
    ),
    "tocsin_elasticsearch_rounds_total": (
        "counter",
        "Times an Elasticsearch was asked for new documents.",
    ),
    "tocsin_elasticsearch_failures_total": ("counter", "Rounds that ended early."),
    "tocsin_elasticsearch_lines_total": ("counter", "Log lines taken from an Elasticsearch."),
    "tocsin_elasticsearch_repeated_total": (
        "counter",
        "Documents that were sent again, and dropped.",
    ),
    "tocsin_elasticsearch_skipped_total": (
        "counter",
        "Documents passed over because they are too long or unreadable.",
    ),
    "tocsin_elasticsearch_empty_total": (
        "counter",
        "Documents without a text in any field that is known.",
    ),
    "tocsin_elasticsearch_renewed_total": (
        "counter",
        "Points in time that expired while they were read.",
    ),
    "tocsin_elasticsearch_seen": (
        "gauge",
        "Documents remembered so that none is handed over twice.",
    ),
    "tocsin_elasticsearch_lag_seconds": (
        "gauge",
        "How far behind reading is, while more waits than one round takes.",
    ),
    "tocsin_zabbix_rounds_total": ("counter", "Times a Zabbix was asked for its problems."),
    "tocsin_zabbix_failures_total": ("counter", "Rounds that failed; they are tried again."),
    "tocsin_zabbix_problems_total": (
        "counter",
        "Alerts of a Zabbix that were journalled, changes of severity included.",
    ),
    "tocsin_zabbix_recoveries_total": ("counter", "Recoveries of a Zabbix that were journalled."),
    "tocsin_zabbix_acts_total": (
        "counter",
        "Acknowledgements and messages of people in a Zabbix that were journalled.",
    ),
    "tocsin_zabbix_problems": ("gauge", "Open problems of a Zabbix that are followed."),
    "tocsin_zabbix_problems_left_out": (
        "gauge",
        "Open problems of a Zabbix beyond zabbix.problems_max.",
    ),
    "tocsin_kafka_source_messages_total": ("counter", "Messages read of a site's topics."),
    "tocsin_kafka_source_samples_total": ("counter", "Samples read of a site's topics."),
    "tocsin_kafka_source_lines_total": ("counter", "Log lines read of a site's topics."),
    "tocsin_kafka_source_entries_total": (
        "counter",
        "Alerts, changes and acts of a site's topics that were journalled.",
    ),
    "tocsin_kafka_source_set_aside_total": (
        "counter",
        "Messages of a site's topics that could not be read, or not whole.",
    ),
    "tocsin_kafka_source_gaps_total": (
        "counter",
        "Messages that a broker had deleted before they were read.",
    ),
    "tocsin_kafka_source_paused_total": (
        "counter",
        "Times a site's topics were not read because kafka_sources.queue_max was reached.",
    ),
    "tocsin_kafka_source_lag_messages": (
        "gauge",
        "Messages of a site's topics that are not read yet.",
    ),
    "tocsin_kafka_source_waiting_bytes": (
        "gauge",
        "Bytes of a site's topics that were read and wait for the pipeline.",
    ),
    "tocsin_heartbeats": ("gauge", "Heartbeats that are watched."),
    "tocsin_heartbeats_missing": ("gauge", "Heartbeats that are overdue."),
    "tocsin_heartbeats_refused_total": ("counter", "Heartbeats refused because of heartbeats_max."),
}
