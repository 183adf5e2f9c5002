"""The records in a real PostgreSQL: the store's contract, and a whole Tocsin on it, stopped and started."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests

pytestmark = pytest.mark.integration
ROOT = Path(__file__).resolve().parents[2]


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


@pytest.fixture(scope="module")
def postgres(servers: Any) -> Iterator[Postgres]:
    """A server of its own on a fresh port; it refuses root, so it runs as `postgres` there."""
    binaries = _binaries()
    if binaries is None:
        servers.missing("PostgreSQL is not installed (tests/integration/install.sh)")
        raise AssertionError
    # Not among pytest's folders, which are its user's alone.
    folder = Path(tempfile.mkdtemp(prefix="tocsin-postgres-"))
    as_owner: tuple[str, ...] = ()
    if os.geteuid() == 0:
        as_owner = (servers.program("runuser"), "-u", "postgres", "--")
        shutil.chown(folder, "postgres")
    made = subprocess.run(
        [*as_owner, str(binaries / "initdb"), "-D", str(folder / "data"), "-A", "trust", "-U", "postgres"],
        capture_output=True, text=True, timeout=120, cwd=folder,
    )  # fmt: skip
    assert made.returncode == 0, made.stdout + made.stderr
    server = Postgres(servers.free_port(), folder, (*as_owner, str(binaries / "pg_ctl")))
    server.do("start")
    yield server
    server.do("stop", "-m", "immediate")
    shutil.rmtree(folder)


def test_the_store_keeps_its_contract(postgres: Postgres) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "integration", "tests/store"],
        cwd=ROOT, capture_output=True, text=True, timeout=600,
        env={**os.environ, "TOCSIN_TEST_POSTGRES": postgres.url()},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None and int(passed[1]) >= 20, done.stdout[-400:]


def test_a_tocsin_on_postgresql_goes_on_where_it_was(
    postgres: Postgres, servers: Any, tmp_path: Path
) -> None:
    settings = servers.settings + f"store: {{url: {postgres.database('killed')}}}\n"
    alerts = [
        {"labels": {"alertname": "Down", "service": f"s{n}", "severity": "critical"}}
        for n in range(5)
    ]
    with servers.tocsin_in(tmp_path, settings) as tocsin:
        tocsin.push(*alerts)
        before = [tocsin.incident(f"s{n}")["id"] for n in range(5)]
        for ident in before:
            tocsin.ticket(ident)
    with servers.tocsin_in(tmp_path, settings) as tocsin:
        assert [tocsin.incident(f"s{n}")["id"] for n in range(5)] == before
        tocsin.push(*alerts)  # told again: nothing new
        assert len(tocsin.get("/api/v1/tickets")["tickets"]) == 5


def test_f21_without_its_database_it_refuses_and_recovers(
    postgres: Postgres, servers: Any, tmp_path: Path
) -> None:
    settings = servers.settings + f"store: {{url: {postgres.database('stopped')}}}\n"
    with servers.tocsin_in(tmp_path, settings) as tocsin:
        tocsin.push({"labels": {"alertname": "Down", "service": "one", "severity": "critical"}})
        tocsin.incident("one")
        postgres.do("stop", "-m", "fast")

        def unready() -> bool:
            return requests.get(f"{tocsin.url}/-/ready", timeout=10).status_code == 503

        servers.wait_for(unready, "Tocsin to say that it is not ready")
        postgres.do("start")
        servers.wait_for(
            lambda: requests.get(f"{tocsin.url}/-/ready", timeout=10).status_code == 200,
            "Tocsin to be ready again",
        )
        tocsin.push({"labels": {"alertname": "Down", "service": "two", "severity": "critical"}})
        tocsin.incident("two")
