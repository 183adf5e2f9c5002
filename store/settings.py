"""What can be set about the store."""

from __future__ import annotations

from dataclasses import dataclass

from model.units import Milliseconds, SizeBytes


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Where records and the journal are kept, and for how long.

    Attributes
    ----------
    url : str
        SQLAlchemy address of the records, `sqlite:///FILE` or `postgresql+psycopg://…`; "" is
        `tocsin.db` in the data folder.
    journal_url : str
        Address of the journal; "" puts SQLite's beside the records (`journal.db`), PostgreSQL's
        into the same database.
    busy_timeout_ms : int
        How long a write waits for another one before it is refused.
    history_ms : int
        How long closed incidents and what belongs to them are kept.
    journal_queue_entries_max : int
        Entries that may wait for their commit; beyond it a push is refused (503).
    journal_queue_bytes_max : int
        The same in bytes of their bodies.
    journal_batch_entries_max : int
        Entries of one commit.
    """

    url: str = ""
    journal_url: str = ""
    busy_timeout_ms: Milliseconds = 5_000
    history_ms: Milliseconds = 400 * 86_400_000
    journal_queue_entries_max: int = 20_000
    journal_queue_bytes_max: SizeBytes = 64 * 2**20
    journal_batch_entries_max: int = 2_000
