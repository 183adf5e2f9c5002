"""A real PostgreSQL on loopback, from Debian's package."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from tests.integration.conftest import free_port, missing, program


@dataclass(frozen=True, slots=True)
class Postgres:
    """A running server: where it is, and how it is stopped and started."""

    port: int
    folder: Path
    control: tuple[str, ...]

    def url(self, database: str = "postgres") -> str:
        """An address for the store."""
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{database}"

    def database(self, name: str) -> str:
        """The address of a database of that name, made now."""
        with psycopg.connect(self.url().replace("+psycopg", ""), autocommit=True) as conn:
            conn.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def do(self, *words: str) -> None:
        """`pg_ctl`, as the user that the server runs as."""
        options = (
            f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.folder}"
        )
        command = [
            *self.control,
            "-D",
            str(self.folder / "data"),
            "-w",
            "-l",
            str(self.folder / "log"),
        ]
        done = subprocess.run(
            [*command, "-o", options, *words], capture_output=True, text=True, timeout=60,
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
def postgres() -> Iterator[Postgres]:
    """A server on a fresh port until the block ends; it refuses root, so it runs as `postgres` there."""
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
        [*as_owner, str(binaries / "initdb"), "-D", str(folder / "data"), "-A", "trust", "-U", "postgres"],
        capture_output=True, text=True, timeout=120, cwd=folder,
    )  # fmt: skip
    assert made.returncode == 0, made.stdout + made.stderr
    server = Postgres(free_port(), folder, (*as_owner, str(binaries / "pg_ctl")))
    server.do("start")
    try:
        yield server
    finally:
        server.do("stop", "-m", "immediate")
        shutil.rmtree(folder)
