"""Our own metrics of tickets and pages."""

from __future__ import annotations

from dataclasses import dataclass

METRICS: dict[str, tuple[str, str]] = {
    "tocsin_tickets_opened_total": ("counter", "Tickets opened in a desk."),
    "tocsin_tickets_updated_total": ("counter", "Updates that a desk took."),
    "tocsin_tickets_adopted_total": (
        "counter",
        "Tickets found in a desk before opening one: an earlier answer was lost.",
    ),
    "tocsin_pages_sent_total": ("counter", "Pages that a receiver took."),
    "tocsin_source_notes_total": (
        "counter",
        "Problems whose own system was told what became of them.",
    ),
    "tocsin_deliveries_failed_total": ("counter", "Attempts that a desk or receiver did not take."),
    "tocsin_dead_letters_total": ("counter", "Actions given up."),
    "tocsin_elasticsearch_sink_documents_total": (
        "counter",
        "Incidents and alerts that an Elasticsearch took as documents.",
    ),
    "tocsin_elasticsearch_sink_refused_total": (
        "counter",
        "Documents that an Elasticsearch will never take.",
    ),
    "tocsin_elasticsearch_sink_failures_total": (
        "counter",
        "Rounds of writing to an Elasticsearch that are tried again.",
    ),
    "tocsin_elasticsearch_sink_waiting": (
        "gauge",
        "Lines of timelines that are not yet in Elasticsearch.",
    ),
    "tocsin_kafka_events_total": ("counter", "Events of incidents that a Kafka topic took."),
    "tocsin_kafka_events_failures_total": (
        "counter",
        "Times that events could not be sent; they are sent later.",
    ),
    "tocsin_kafka_events_waiting": (
        "gauge",
        "Lines of timelines that were not yet looked at for a Kafka topic.",
    ),
    "tocsin_elasticsearch_logs_total": ("counter", "Log lines that an Elasticsearch took."),
    "tocsin_elasticsearch_logs_refused_total": (
        "counter",
        "Log lines that an Elasticsearch will never take as they are.",
    ),
    "tocsin_elasticsearch_logs_failures_total": (
        "counter",
        "Attempts to write log lines that are made again.",
    ),
    "tocsin_elasticsearch_logs_dropped_total": (
        "counter",
        "Log lines dropped because too much waited for an Elasticsearch.",
    ),
    "tocsin_elasticsearch_logs_waiting": (
        "gauge",
        "Log lines that wait to be written into an Elasticsearch.",
    ),
    "tocsin_incidents_remembered": ("gauge", "Incidents in the bridge's memory."),
    "tocsin_incidents_forgotten_total": (
        "counter",
        "Ended incidents dropped from memory because of incidents_max.",
    ),
}
"""Name to (kind, help). The performer's `counters()` and the bridge's give the values."""


@dataclass(slots=True)
class Counts:
    """What the performer counts."""

    opened: int = 0
    updated: int = 0
    adopted: int = 0
    pages: int = 0
    sources: int = 0
    failed: int = 0
    dead: int = 0

    def values(self) -> dict[str, float]:
        """By metric name."""
        return {
            "tocsin_tickets_opened_total": self.opened,
            "tocsin_tickets_updated_total": self.updated,
            "tocsin_tickets_adopted_total": self.adopted,
            "tocsin_pages_sent_total": self.pages,
            "tocsin_source_notes_total": self.sources,
            "tocsin_deliveries_failed_total": self.failed,
            "tocsin_dead_letters_total": self.dead,
        }
