"""Both databases of a pipeline, opened, migrated and closed together."""

from __future__ import annotations

from pathlib import Path

from model.errors import StoreError
from store import meta, offsets, schema
from store.database import Database
from store.journal import Journal
from store.migration import migrate
from store.settings import StoreSettings


class Store:
    """Records and journal. Make one with `Store.open`.

    Attributes
    ----------
    records : Database
        Everything but the journal; the query modules of this package take its connections.
    journal : Journal
        What was accepted, in order.

    Examples
    --------
    >>> import tempfile
    >>> from store import meta
    >>> store = Store.open(f"sqlite:///{tempfile.mkdtemp()}/tocsin.db", now_ms=1_000)
    >>> with store.records.read() as conn:
    ...     meta.get(conn, "created_ms")
    '1000'
    >>> store.close()
    """

    def __init__(self, records: Database, journal: Journal, journal_database: Database) -> None:
        self.records = records
        self.journal = journal
        self._journal_database = journal_database

    @classmethod
    def open(
        cls,
        url: str,
        *,
        journal_url: str | None = None,
        now_ms: int,
        settings: StoreSettings | None = None,
    ) -> Store:
        """Open both databases, creating or migrating them.

        Parameters
        ----------
        url, journal_url
            Their addresses; without the second, SQLite's journal is `journal.db` beside the
            records and PostgreSQL's is in the same database.
        now_ms
            Noted as the time of creation of a new database.
        settings
            Timeouts and limits; its addresses are not read.

        Raises
        ------
        StoreError
            If a database cannot be opened, is damaged, or was written by a newer version.
        InputError
            If an address cannot be read.
        """
        settings = settings or StoreSettings()
        records = Database(url, busy_timeout_ms=settings.busy_timeout_ms)
        beside = Database(
            journal_url or _beside(records),
            synchronous="FULL",
            busy_timeout_ms=settings.busy_timeout_ms,
        )
        try:
            migrate(records, schema.records)
            migrate(beside, schema.journal)
            done = _note(records, now_ms)
        except BaseException:
            records.close()
            beside.close()
            raise
        journal = Journal(
            beside,
            queue_entries_max=settings.journal_queue_entries_max,
            queue_bytes_max=settings.journal_queue_bytes_max,
            batch_entries_max=settings.journal_batch_entries_max,
            settle=records.settle,
        )
        if journal.last() < done:
            journal.reserve(done)
        return cls(records, journal, beside)

    def close(self) -> None:
        """Commit what the journal holds, and close both databases."""
        self.journal.close()
        self._journal_database.close()
        self.records.close()

    def probe(self, now_ms: int) -> None:
        """Write a trifle to both databases, to see whether they take writes.

        Raises
        ------
        StoreError
            If one of them does not.
        """
        with self.records.write() as conn:
            meta.put(conn, "probed_ms", str(now_ms))
        self.journal.probe()

    def counters(self) -> dict[str, float]:
        """Our own metrics (`store/metrics.py` says what they mean)."""
        return {
            "tocsin_journal_commits_total": self.journal.batches,
            "tocsin_journal_queue_entries": self.journal.waiting,
            "tocsin_journal_refused_total": self.journal.refused,
            "tocsin_journal_failed_total": self.journal.failed,
            "tocsin_store_records_bytes": self.records.size_bytes(),
            "tocsin_store_journal_bytes": self._journal_database.size_bytes(),
        }

    def backup(self, path: Path) -> None:
        """Copy both SQLite files into a new folder while they are in use.

        The records are copied first: a journal that is ahead of them is read again, and everything
        seen again is named the same; one that is behind them would have lost entries.

        Raises
        ------
        StoreError
            If the folder exists already, the disk does not take it, or this is not SQLite.
        """
        try:
            path.mkdir(parents=True, mode=0o700)
        except OSError as error:
            raise StoreError(f"{path}: cannot be made: {error.strerror}") from error
        with self.journal.pruning:
            self.records.copy_to(path / "tocsin.db")
            self._journal_database.copy_to(path / "journal.db")


def _beside(records: Database) -> str:
    if records.path is None:
        return records.url.render_as_string(hide_password=False)
    return f"sqlite:///{records.path.with_name('journal.db')}"


def _note(records: Database, now_ms: int) -> int:
    """Note when the database was made; returns the journal offset that the records have reached."""
    with records.read() as conn:
        created, done = meta.get(conn, "created_ms"), offsets.get(conn, offsets.JOURNAL)
    if created is None:
        with records.write() as conn:
            meta.put(conn, "created_ms", str(now_ms))
    return done
