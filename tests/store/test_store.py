"""Both databases together: opened again, copied while in use, and when one of them is lost."""

from __future__ import annotations

import sqlite3
import stat
from pathlib import Path

import pytest
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from model.errors import StoreError
from model.journal import JournalKind, NewEntry
from store import meta, offsets, schema
from store.metrics import METRICS
from store.migration import differences
from store.settings import StoreSettings
from store.store import Store

IMPATIENT = StoreSettings(busy_timeout_ms=50)
ENTRY = NewEntry(JournalKind.ALERT, "prom", 1, b"{}")


def test_what_was_kept_is_there_after_opening_again(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/deep/down/tocsin.db"
    store = Store.open(url, now_ms=1)
    store.journal.append([ENTRY])
    store.close()
    store = Store.open(url, now_ms=2, settings=StoreSettings(journal_queue_entries_max=1))
    with store.records.read() as conn:
        assert meta.get(conn, "created_ms") == "1"
        assert differences(conn, schema.records) == []
    assert store.journal.append([ENTRY]) == [2]
    with pytest.raises(StoreError, match="wait for the disk"):
        store.journal.append([ENTRY, ENTRY])
    store.close()
    assert sorted(p.name for p in (tmp_path / "deep/down").glob("*.db")) == [
        "journal.db",
        "tocsin.db",
    ]


def test_the_journal_can_be_elsewhere(tmp_path: Path) -> None:
    store = Store.open(
        f"sqlite:///{tmp_path}/a.db", journal_url=f"sqlite:///{tmp_path}/disk2/b.db", now_ms=1
    )
    store.close()
    assert (tmp_path / "disk2/b.db").exists() and not (tmp_path / "journal.db").exists()


def test_f20_a_journal_that_was_lost_gives_no_offset_twice(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/tocsin.db"
    store = Store.open(url, now_ms=1)
    done = store.journal.append([ENTRY] * 40)[-1]
    with store.records.write() as conn:
        offsets.put(conn, offsets.JOURNAL, done)
    store.close()
    for path in tmp_path.glob("journal.db*"):
        path.unlink()
    store = Store.open(url, now_ms=2)
    # An offset up to 40 would be taken for done, and the push never looked at.
    assert store.journal.append([ENTRY]) == [41]
    store.close()


def test_a_backup_is_a_whole_store_and_its_owners_alone(store: Store, tmp_path: Path) -> None:
    store.journal.append([ENTRY] * 3)
    with store.records.write() as conn:
        offsets.put(conn, offsets.JOURNAL, 2)
    copy = tmp_path / "backup" / "today"
    store.backup(copy)
    store.journal.append([ENTRY])  # after the copy
    assert stat.S_IMODE(copy.stat().st_mode) == 0o700
    restored = Store.open(f"sqlite:///{copy}/tocsin.db", now_ms=9)
    with restored.records.read() as conn:
        assert offsets.get(conn, offsets.JOURNAL) == 2
    assert [e.offset for e in restored.journal.read(2)] == [3]
    restored.close()
    with pytest.raises(StoreError, match="cannot be made"):
        store.backup(copy)


def test_a_probe_writes_to_both_and_says_which_refuses(store: Store) -> None:
    store.probe(5)
    with store.records.read() as conn:
        assert meta.get(conn, "probed_ms") == "5"
    impatient = Store.open(str(store.records.url), now_ms=6, settings=IMPATIENT)
    path = str(store.records.path).replace("tocsin.db", "journal.db")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="journal.db.*locked"):
        impatient.probe(7)
    other.close()
    impatient.close()


def test_every_counter_is_described_and_counts(store: Store) -> None:
    store.journal.append([ENTRY])
    store.records.settle()
    counted = store.counters()
    assert list(counted) == list(METRICS)
    assert counted["tocsin_journal_commits_total"] == 1
    assert counted["tocsin_store_records_bytes"] > 4096 < counted["tocsin_store_journal_bytes"]


def test_the_tables_are_ones_that_postgresql_takes() -> None:
    dialect = postgresql.dialect()
    for metadata in (schema.records, schema.journal):
        for table in metadata.sorted_tables:
            assert "CREATE TABLE" in str(CreateTable(table).compile(dialect=dialect))
            for index in table.indexes:
                assert "CREATE INDEX" in str(CreateIndex(index).compile(dialect=dialect))
    assert "number BIGSERIAL" in str(CreateTable(schema.audit).compile(dialect=dialect))
