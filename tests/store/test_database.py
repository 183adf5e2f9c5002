"""Transactions on real SQLite files: turns, views, and the disk's failures as StoreError."""

from __future__ import annotations

import sqlite3
import stat
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, exc

from model.errors import InputError, StoreError
from store import meta, offsets, schema
from store.database import Database
from store.migration import migrate
from store.store import Store


@pytest.fixture
def database(tmp_path: Path) -> Any:
    opened = Database(f"sqlite:///{tmp_path}/x.db", busy_timeout_ms=200)
    migrate(opened, schema.records)
    yield opened
    opened.close()


def test_an_exception_undoes_the_whole_block(database: Database) -> None:
    with pytest.raises(KeyError), database.write() as conn:
        meta.put(conn, "a", "1")
        raise KeyError
    with database.read() as conn:
        assert meta.get(conn, "a") is None


def test_a_reader_keeps_its_view_and_waits_for_nobody(database: Database) -> None:
    with database.write() as conn:
        meta.put(conn, "a", "old")
    with database.read() as reading:
        assert meta.get(reading, "a") == "old"
        with database.write() as conn:
            meta.put(conn, "a", "new")
            with database.read() as other:
                assert meta.get(other, "a") == "old"  # not committed yet
        assert meta.get(reading, "a") == "old"
    with database.read() as conn:
        assert meta.get(conn, "a") == "new"


def test_writers_take_turns(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/x.db", busy_timeout_ms=240_000)
    migrate(database, schema.records)

    def count_up() -> None:
        for _ in range(50):
            with database.write() as conn:
                offsets.put(conn, "n", offsets.get(conn, "n") + 1)

    threads = [threading.Thread(target=count_up) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as conn:
        assert offsets.get(conn, "n") == 400
    database.close()


def test_a_write_inside_a_write_is_our_mistake(database: Database) -> None:
    with pytest.raises(AssertionError, match="pass the connection on"), database.write():
        with database.write():
            pass


def test_a_wrong_statement_is_our_mistake(database: Database) -> None:
    with pytest.raises(exc.OperationalError, match="no such table"), database.read() as conn:
        conn.exec_driver_sql("SELECT * FROM nowhere")


def test_a_new_file_is_its_owners_alone(database: Database) -> None:
    assert database.path is not None
    assert stat.S_IMODE(database.path.stat().st_mode) == 0o600


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "no address"])
def test_an_address_without_a_file_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="such as"):
        Database(url)


def test_f21_locked_by_another_process_is_a_store_error_and_passes(database: Database) -> None:
    other = sqlite3.connect(str(database.path), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="locked"), database.write():
        pass
    with database.read() as conn:
        assert meta.get(conn, "a") is None  # reading goes on
    other.execute("ROLLBACK")
    other.close()
    with database.write() as conn:
        meta.put(conn, "a", "1")


def test_f21_held_by_another_thread_is_a_store_error_in_time(database: Database) -> None:
    failures: list[StoreError] = []

    def try_to_write() -> None:
        try:
            with database.write():
                pass
        except StoreError as error:
            failures.append(error)

    with database.write():
        thread = threading.Thread(target=try_to_write)
        thread.start()
        thread.join()
    assert "held the database for 0.2 s" in str(failures[0])


def test_f19_a_full_disk_is_a_store_error_and_recovers(tmp_path: Path) -> None:
    pages_max = [60]
    database = Database(f"sqlite:///{tmp_path}/x.db")

    @event.listens_for(database.engine, "connect")
    def small(raw: Any, _record: object) -> None:
        raw.execute(f"PRAGMA max_page_count = {pages_max[0]}")

    with database.write() as conn:
        conn.exec_driver_sql("CREATE TABLE t (text TEXT)")
        conn.exec_driver_sql("INSERT INTO t VALUES ('kept')")
    with pytest.raises(StoreError, match="full"), database.write() as conn:
        conn.exec_driver_sql("INSERT INTO t VALUES ('small')")
        conn.exec_driver_sql("INSERT INTO t VALUES (hex(zeroblob(1000000)))")
    with database.read() as conn:
        assert conn.exec_driver_sql("SELECT text FROM t").scalars().all() == ["kept"]
    pages_max[0] = 10_000
    database.engine.dispose()  # somebody made room
    with database.write() as conn:
        conn.exec_driver_sql("INSERT INTO t VALUES (hex(zeroblob(1000000)))")
    database.close()


def test_f19_a_read_only_file_is_read_but_not_written(store: Store) -> None:
    database = Database(f"sqlite:///file:{store.records.path}?mode=ro&uri=true")
    with database.read() as conn:
        assert meta.get(conn, "created_ms")
    with pytest.raises(StoreError, match="readonly"), database.write() as conn:
        meta.put(conn, "a", "1")
    database.close()


def test_f19_a_folder_that_cannot_be_made_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be opened"):
        Database(f"sqlite:///{tmp_path}/file/x.db")


def test_f20_a_damaged_file_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "tocsin.db").write_bytes(b"this is no database" * 1000)
    with pytest.raises(StoreError, match="not a database"):
        Store.open(f"sqlite:///{tmp_path}/tocsin.db", now_ms=0)
