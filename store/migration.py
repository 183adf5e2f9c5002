"""Bring a database to today's schema, all of it or nothing.

The steps are Alembic revisions in `migrations/records` and `migrations/journal`. They are run from
here, without an `alembic.ini` or an `env.py`: in one transaction of `Database.write`, so that two
processes that start at once do not migrate twice, and a step that fails leaves the file as it was.

A step that only adds (tables, columns that are nullable or have a default) says so in its name,
`records_0003_since_0002`: whoever knows the steps up to 0002 may go on using the database. So workers of two
releases run beside each other, and an upgrade can be taken back. What a step takes away, it takes away a
release after nobody uses it.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, MetaData, func, select

from model.errors import StoreError
from store import schema
from store.database import Database

_LOCK = 8_420_001  # any number, the same in all our processes
# What a step calls `op` is one for the whole process: two threads that migrate at once would each write to both databases.
_TURN = threading.Lock()
_NUMBER = re.compile(r"[a-z]+_(?P<number>\d+)(?:_since_\d+)?")
_LATER = re.compile(r"[a-z]+_(?P<number>\d+)_since_(?P<since>\d+)")
FOLDER = Path(__file__).parent / "migrations"


def migrate(
    database: Database, metadata: MetaData, *, folders: Sequence[Path] = (), to: str = "head"
) -> None:
    """Run the steps that the database has not had.

    Parameters
    ----------
    database
        Where to.
    metadata
        `schema.records` or `schema.journal`.
    folders
        Where the steps are, if not in those shipped.
    to
        The step to end with.

    Raises
    ------
    StoreError
        If a newer version has written the database, or the disk does not take it.
    """
    script = _script(metadata, folders)
    with database.read() as conn:  # opening must not wait for a writer where there is nothing to do
        if to == "head" and _usable(revision(conn, metadata), script.get_current_head()):
            return
    with database.write() as conn:
        if conn.dialect.name == "postgresql":  # SQLite's writers take turns anyway
            conn.execute(select(func.pg_advisory_xact_lock(_LOCK)))
        try:
            with _TURN:
                _run(conn, metadata, script, to)
        except CommandError as error:
            raise StoreError(
                f"{database}: is not of a schema that this version knows ({error}): was it written by a newer one?"
            ) from error


def _usable(found: str | None, ours: str | None) -> bool:
    """Whether a database is of our schema, or of a later one that only added to it.

    Examples
    --------
    >>> _usable("records_0004_since_0002", "records_0002"), _usable("records_0004", "records_0002")
    (True, False)
    >>> _usable("records_0004_since_0003", "records_0002"), _usable("records_0001", "records_0002")
    (False, False)
    """
    if found == ours:
        return True
    later, known = _LATER.fullmatch(found or ""), _NUMBER.fullmatch(ours or "")
    return (
        later is not None
        and known is not None
        and int(later["since"]) <= int(known["number"]) < int(later["number"])
    )


def revision(conn: Connection, metadata: MetaData) -> str | None:
    """The step that a database has reached."""
    return _context(conn, metadata).get_current_revision()


def differences(conn: Connection, metadata: MetaData) -> list[Any]:
    """What Alembic would change to make the database's tables those of `metadata`."""
    context = _context(conn, metadata, compare_type=True, include_name=_ours(metadata))
    return list(compare_metadata(context, metadata))


def _ours(metadata: MetaData) -> Any:
    # In PostgreSQL records and journal share a database: each leaves the other's tables alone.
    def include(name: str | None, kind: str, _parents: object) -> bool:
        return kind != "table" or name in metadata.tables

    return include


def _name(metadata: MetaData) -> str:
    return "records" if metadata is schema.records else "journal"


def _version_table(metadata: MetaData) -> str:
    return f"{_name(metadata)}_version"


def _context(conn: Connection, metadata: MetaData, **options: Any) -> MigrationContext:
    options["version_table"] = _version_table(metadata)
    return MigrationContext.configure(conn, opts=options)


def _script(metadata: MetaData, folders: Sequence[Path]) -> ScriptDirectory:
    paths = [str(folder) for folder in folders or (FOLDER / _name(metadata),)]
    return ScriptDirectory(str(FOLDER), version_locations=paths)


def _run(conn: Connection, metadata: MetaData, script: ScriptDirectory, to: str) -> None:
    def steps(current: Any, _context: object) -> Any:
        return script._upgrade_revs(to, current)  # the way that Alembic's own documentation takes

    with EnvironmentContext(Config(), script, fn=steps) as environment:
        environment.configure(
            connection=conn,
            target_metadata=metadata,
            version_table=_version_table(metadata),
            render_as_batch=True,
        )
        environment.run_migrations()
