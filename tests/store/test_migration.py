"""The schema and its steps agree, and a step loses nothing."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import MetaData

from model.account import AuditRecord, Role, User
from model.errors import StoreError
from model.journal import JournalKind, NewEntry
from store import audit, migration, schema, users
from store.database import Database
from store.store import Store

STEP = """
import sqlalchemy as sa
from alembic import op

revision = "records_9999"
down_revision = "records_0002"


def upgrade():
    with op.batch_alter_table("users") as batch:
        batch.add_column(sa.Column("shoe_size", sa.Integer(), nullable=False, server_default="42"))
        batch.alter_column("body", new_column_name="record")
"""
BROKEN_STEP = STEP + "    raise RuntimeError('the power failed')\n"


@pytest.mark.parametrize("metadata", [schema.records, schema.journal], ids=["records", "journal"])
def test_the_steps_lead_to_the_schema(metadata: MetaData, tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/x.db")
    migration.migrate(database, metadata)
    with database.read() as conn:
        assert migration.differences(conn, metadata) == []
    database.close()


def test_a_column_without_a_step_is_noticed(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/x.db")
    migration.migrate(database, schema.records)
    with database.write() as conn:
        conn.exec_driver_sql("ALTER TABLE users DROP COLUMN body")
    with database.read() as conn:
        (difference,) = migration.differences(conn, schema.records)
    assert difference[0] == "add_column"
    database.close()


def test_both_schemas_live_in_one_database(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/both.db"
    store = Store.open(url, journal_url=url, now_ms=0)
    with store.records.read() as conn:
        assert migration.differences(conn, schema.records) == []
        assert migration.differences(conn, schema.journal) == []
        assert migration.revision(conn, schema.records) == "records_0002"
        assert migration.revision(conn, schema.journal) == "journal_0001"
    store.close()


def test_threads_that_make_databases_at_once_make_each_its_own(tmp_path: Path) -> None:
    """What steps call `op` is one for the whole process."""
    together = threading.Barrier(4)

    def make(number: int) -> tuple[str | None, list[Any]]:
        database = Database(f"sqlite:///{tmp_path}/{number}.db", busy_timeout_ms=240_000)
        together.wait()
        migration.migrate(database, schema.records)
        with database.read() as conn:
            found = migration.revision(conn, schema.records)
            differences = migration.differences(conn, schema.records)
        database.close()
        return found, differences

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(make, range(4))) == [("records_0002", [])] * 4


def _next_version(folder: Path, step: str) -> list[Path]:
    """The steps that are shipped and one more, as the next release would bring them."""
    folder.mkdir()
    (folder / "v0002_next.py").write_text(step)
    return [migration.FOLDER / "records", folder]


def _fill(url: str) -> None:
    store = Store.open(url, now_ms=0)
    with store.records.write() as conn:
        users.save(conn, [User("ann", Role.ADMIN, "hash"), User("bob", Role.VIEWER)])
        audit.save(conn, [AuditRecord(1, "ann", "made", "bob")])
    store.journal.append([NewEntry(JournalKind.ALERT, "prom", 1, b"{}")])
    store.close()


def test_f27_an_upgrade_with_data_loses_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/tocsin.db"
    _fill(url)
    database = Database(url)
    migration.migrate(database, schema.records, folders=_next_version(tmp_path / "n", STEP))
    with database.read() as conn:
        rows = conn.exec_driver_sql("SELECT name, record, shoe_size FROM users ORDER BY name").all()
        assert migration.revision(conn, schema.records) == "records_9999"
        assert [(name, size) for name, _, size in rows] == [("ann", 42), ("bob", 42)]
        assert '"password_hash":"hash"' in rows[0][1]
        assert len(audit.recent(conn)) == 1
    database.close()


def test_f27_a_newer_database_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/tocsin.db"
    _fill(url)
    database = Database(url)
    steps = _next_version(tmp_path / "n", STEP)
    migration.migrate(database, schema.records, folders=steps)
    with pytest.raises(StoreError, match="newer"):
        Store.open(url, now_ms=0)
    migration.migrate(database, schema.records, folders=steps)  # and up again
    with database.read() as conn:
        assert conn.exec_driver_sql("SELECT count(*) FROM users").scalar() == 2
    database.close()


ADDING_STEP = """
import sqlalchemy as sa
from alembic import op

revision = "records_0009_since_0002"
down_revision = "records_0002"


def upgrade():
    op.add_column("users", sa.Column("shoe_size", sa.Integer(), nullable=True))
"""


def test_f27_a_later_schema_that_only_adds_is_used_by_this_release_too(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/tocsin.db"
    _fill(url)
    database = Database(url)
    steps = _next_version(tmp_path / "n", ADDING_STEP)
    migration.migrate(database, schema.records, folders=steps)
    _fill(url)  # as this release does, on the later schema
    migration.migrate(database, schema.records, folders=steps)
    with database.read() as conn:
        assert migration.revision(conn, schema.records) == "records_0009_since_0002"
        rows = conn.exec_driver_sql("SELECT name, shoe_size FROM users ORDER BY name").all()
    assert [tuple(row) for row in rows] == [("ann", None), ("bob", None)]
    database.close()


def test_f27_a_step_that_fails_half_way_leaves_the_old_database(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/tocsin.db"
    _fill(url)
    database = Database(url)
    with pytest.raises(RuntimeError, match="power"):
        migration.migrate(
            database, schema.records, folders=_next_version(tmp_path / "n", BROKEN_STEP)
        )
    database.close()
    store = Store.open(url, now_ms=0)
    with store.records.read() as conn:
        assert migration.differences(conn, schema.records) == []
        assert [user.name for user in users.everyone(conn)] == ["ann", "bob"]
    store.close()
