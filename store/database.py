"""One database by its address: who may write when, and which failures are the world's."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, exc
from sqlalchemy.engine import URL, make_url

from model.errors import InputError, StoreError

CONNECTIONS_MAX = 64
_SQLITE_ERROR = 1  # "SQL error or missing database": a mistake in a statement, ours
_FAILED_BEFORE = "25P02"  # a statement after one that failed: we went on where we should not have
_WRITES = "tocsin_writes"


class Database:
    """Transactions on one SQLite file or PostgreSQL database, from any thread.

    Writers take turns, by a lock of this process and by `BEGIN IMMEDIATE` against other
    processes, so that a transaction never fails half-way because it has to be upgraded. Readers
    see the state of their first statement and are never waited for (WAL).

    Parameters
    ----------
    url : str
        SQLAlchemy address. SQLite must be a file: a database in memory is not shared by threads.
    synchronous : str
        SQLite's `PRAGMA synchronous`. NORMAL may lose the last commits when the power fails (never
        when the process dies), FULL none.
    busy_timeout_ms : int
        How long a write waits for others, in this process and outside, before it is a StoreError.

    Examples
    --------
    >>> import tempfile
    >>> database = Database(f"sqlite:///{tempfile.mkdtemp()}/example.db")
    >>> with database.write() as conn:
    ...     _ = conn.exec_driver_sql("CREATE TABLE fruit (name TEXT)")
    ...     _ = conn.exec_driver_sql("INSERT INTO fruit VALUES ('fig')")
    >>> with database.read() as conn:
    ...     conn.exec_driver_sql("SELECT name FROM fruit").scalar()
    'fig'
    >>> database.close()
    """

    def __init__(
        self, url: str, *, synchronous: str = "NORMAL", busy_timeout_ms: int = 5_000
    ) -> None:
        assert synchronous in ("NORMAL", "FULL"), synchronous
        try:
            self.url: URL = make_url(url)
        except exc.ArgumentError as error:
            raise InputError(
                f'must be an address such as "sqlite:///data/tocsin.db", got {url!r}'
            ) from error
        self._busy_s = busy_timeout_ms / 1000
        self._turn = threading.Lock()
        self._writer = 0
        with _typed(self):
            self.engine = _connect(self.url, synchronous, busy_timeout_ms)
        self._writing = self.engine.execution_options(**{_WRITES: True})
        self._reading = self.engine
        if self.url.get_backend_name() == "postgresql":  # where SQLite has no choice
            self._reading = self.engine.execution_options(isolation_level="REPEATABLE READ")

    def __str__(self) -> str:
        return self.url.render_as_string(hide_password=True)

    @property
    def path(self) -> Path | None:
        """The SQLite file; None where there is none."""
        return _file(self.url)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction that may write: committed at the end of the block, undone by an exception.

        Raises
        ------
        StoreError
            Nothing was written: the disk is full or read-only, the file is damaged, or it stayed
            locked for `busy_timeout_ms`.
        """
        me = threading.get_ident()
        assert self._writer != me, "write() inside write(): pass the connection on"
        if not self._turn.acquire(timeout=self._busy_s):
            raise StoreError(f"{self}: another write has held the database for {self._busy_s:g} s")
        self._writer = me
        try:
            with _typed(self), self._writing.begin() as conn:
                yield conn
        finally:
            self._writer = 0
            self._turn.release()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent view, for reading.

        Raises
        ------
        StoreError
            If the database cannot be reached or read.
        """
        with _typed(self), self._reading.connect() as conn:
            yield conn

    def copy_to(self, path: Path) -> None:
        """Write a consistent, compacted copy of a SQLite file while it is in use.

        Raises
        ------
        StoreError
            If this is not SQLite, `path` exists, or the disk does not take it.
        """
        if self.url.get_backend_name() != "sqlite":
            raise StoreError(f"{self}: back up a server's database with its own tools (pg_dump)")
        with _typed(self), self.engine.connect() as conn:
            # VACUUM refuses to run in a transaction, which SQLAlchemy would begin.
            raw = conn.connection.dbapi_connection
            assert raw is not None
            try:
                raw.execute("VACUUM INTO ?", (str(path),))
            except conn.dialect.loaded_dbapi.Error as error:
                raise StoreError(f"{self}: cannot be copied to {path}: {error}") from error

    def settle(self) -> None:
        """Put every commit so far on the disk, where `synchronous` NORMAL has left some in its cache.

        Raises
        ------
        StoreError
            If the disk does not take it.
        """
        if self.path is None:
            return
        # The log holds what is not yet in the file itself, which SQLite flushes when it moves it there.
        try:
            log = os.open(f"{self.path}-wal", os.O_RDWR)
        except FileNotFoundError:
            return
        except OSError as error:
            raise StoreError(f"{self}: cannot be flushed: {error.strerror}") from error
        try:
            os.fsync(log)
        except OSError as error:
            raise StoreError(f"{self}: cannot be flushed: {error.strerror}") from error
        finally:
            os.close(log)

    def size_bytes(self) -> int:
        """Room that a SQLite file takes with its log; 0 for a server's database."""
        if self.path is None:
            return 0
        files = (self.path, self.path.with_name(self.path.name + "-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    def close(self) -> None:
        """Close every idle connection."""
        self.engine.dispose()


@contextmanager
def _typed(database: Database) -> Iterator[None]:
    try:
        yield
    except (exc.OperationalError, exc.InterfaceError, exc.DatabaseError) as error:
        if _ours(error):
            raise
        raise StoreError(f"{database}: {error.orig}") from error
    except exc.TimeoutError as error:
        raise StoreError(f"{database}: {CONNECTIONS_MAX} connections are in use") from error


def _ours(error: exc.DatabaseError | exc.InterfaceError) -> bool:
    """Whether a statement of ours is wrong, rather than the world."""
    if isinstance(error, exc.OperationalError | exc.InterfaceError):
        return getattr(error.orig, "sqlite_errorcode", 0) & 0xFF == _SQLITE_ERROR
    if isinstance(error, exc.InternalError):
        # PostgreSQL's own state: read-only since it is a standby, a transaction ended for idling, a damaged page.
        return getattr(error.orig, "sqlstate", "") == _FAILED_BEFORE
    # DatabaseError itself is a damaged file; its other subclasses are broken constraints and the like.
    return type(error) is not exc.DatabaseError


def _file(url: URL) -> Path | None:
    if url.get_backend_name() != "sqlite" or not url.database or url.database.startswith("file:"):
        return None
    return Path(url.database)


def _connect(url: URL, synchronous: str, busy_timeout_ms: int) -> Engine:
    pool: dict[str, Any] = {
        "pool_size": 8,
        "max_overflow": CONNECTIONS_MAX - 8,
        "pool_timeout": busy_timeout_ms / 1000,
    }
    if url.get_backend_name() != "sqlite":
        options = {
            "connect_timeout": 10,
            "options": f"-c lock_timeout={busy_timeout_ms}",
            # A server that is cut off, not down, is noticed: its silence would last a quarter of an hour.
            "tcp_user_timeout": 15_000,
            "keepalives_idle": 5,
            "keepalives_interval": 5,
            "keepalives_count": 3,
        }
        return create_engine(url, pool_pre_ping=True, connect_args=options, **pool)
    if url.database in (None, "", ":memory:"):
        raise InputError(f'{url}: must name a file, such as "sqlite:///data/tocsin.db"')
    if (path := _file(url)) is not None:
        _make_private(path)
    engine = create_engine(url, connect_args={"timeout": busy_timeout_ms / 1000}, **pool)
    event.listen(engine, "connect", _prepare(synchronous))
    event.listen(engine, "begin", _begin)
    return engine


def _make_private(path: Path) -> None:
    """Make a new file readable to its owner only: it will hold hashes of passwords and tokens."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Never a file that is there: closing it would take this process's locks off a database that
        # is open elsewhere in it (sqlite.org/howtocorrupt.html, 2.2).
        if not path.exists():
            path.touch(0o600, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{path}: cannot be opened: {error.strerror}") from error


def _prepare(synchronous: str) -> Any:
    def prepare(raw: Any, _record: object) -> None:
        raw.isolation_level = None  # transactions begin where we say, in _begin
        cursor = raw.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute(f"PRAGMA synchronous = {synchronous}")
        cursor.execute("PRAGMA foreign_keys = ON")
        # One long reader can make the log grow; give the room back afterwards.
        cursor.execute(f"PRAGMA journal_size_limit = {64 * 2**20}")
        cursor.close()

    return prepare


def _begin(conn: Connection) -> None:
    writes = conn.get_execution_options().get(_WRITES, False)
    conn.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
