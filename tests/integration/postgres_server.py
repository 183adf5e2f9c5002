"""A real PostgreSQL on a fresh port of loopback, for whatever test needs a database server."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg

from benchmarks.ports import free_port
from tests.integration.conftest import missing, program

HASTY = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off"
"""For a database that nobody keeps."""


@dataclass(frozen=True, slots=True)
class Postgres:
    """A running server: where it is, and how it is stopped and started."""

    port: int
    folder: Path
    control: tuple[str, ...]
    options: str = ""

    def url(self, database: str = "postgres") -> str:
        """An address for the store."""
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{database}"

    def database(self, name: str) -> str:
        """The address of a database of that name, made now."""
        with self.connect() as conn:
            conn.execute(f"CREATE DATABASE {name}".encode())
        return self.url(name)

    def connect(self, database: str = "postgres") -> psycopg.Connection[tuple[object, ...]]:
        """A connection that commits each statement."""
        return psycopg.connect(self.url(database).replace("+psycopg", ""), autocommit=True)

    def pause(self) -> None:
        """Stand still, as on a disk that does not answer: connections are taken, and nothing is answered."""
        self._signal(signal.SIGSTOP)

    def proceed(self) -> None:
        """Go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        first = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        os.kill(first, number)  # it first: it makes the others
        for tasks in Path(f"/proc/{first}/task").glob("*/children"):
            for one in tasks.read_text().split():
                with suppress(ProcessLookupError):  # one that goes on may end before it is its turn
                    os.kill(int(one), number)

    def do(self, *words: str) -> None:
        """`pg_ctl`, as the user that the server runs as."""
        options = (
            f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.folder}"
            f" {self.options}"
        )
        where = ("-D", str(self.folder / "data"), "-w", "-t", "180", "-l", str(self.folder / "log"))
        done = subprocess.run(
            [*self.control, *where, "-o", options, *words], capture_output=True, text=True, timeout=240,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr


def _binaries() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).parent if on_path else None


@contextmanager
def postgres(options: str = "") -> Iterator[Postgres]:
    """A server until the block ends; it refuses root, so it runs as `postgres` there."""
    binaries = _binaries()
    if binaries is None:
        missing("PostgreSQL is not installed (tests/integration/install.sh)")
        raise AssertionError
    # Not among pytest's folders, which are its user's alone.
    folder = Path(tempfile.mkdtemp(prefix="tocsin-postgres-"))
    as_owner: tuple[str, ...] = ()
    if os.geteuid() == 0:
        as_owner = (program("runuser"), "-u", "postgres", "--")
        shutil.chown(folder, "postgres")
    made = subprocess.run(
        [*as_owner, str(binaries / "initdb"), "-D", str(folder / "data"), "-N", "-A", "trust", "-U", "postgres"],
        capture_output=True, text=True, timeout=600, cwd=folder,
    )  # fmt: skip
    assert made.returncode == 0, made.stdout + made.stderr
    control = (*as_owner, str(binaries / "pg_ctl"))
    server = Postgres(free_port(), folder, control, options)
    server.do("start")
    try:
        yield server
    finally:
        server.do("stop", "-m", "immediate")
        shutil.rmtree(folder)
