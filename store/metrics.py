"""Names, kinds and help texts of what the store counts (`Store.counters`)."""

from __future__ import annotations

METRICS: dict[str, tuple[str, str]] = {
    "tocsin_journal_commits_total": (
        "counter",
        "Commits of the journal; each takes all pushes that were waiting.",
    ),
    "tocsin_journal_queue_entries": ("gauge", "Pushes that wait for their commit."),
    "tocsin_journal_refused_total": (
        "counter",
        "Pushes refused (503) because too many were waiting.",
    ),
    "tocsin_journal_failed_total": (
        "counter",
        "Pushes refused (503) because their commit failed.",
    ),
    "tocsin_store_records_bytes": ("gauge", "Size of the records' SQLite file with its log."),
    "tocsin_store_journal_bytes": ("gauge", "Size of the journal's SQLite file with its log."),
}
