"""The records in a real PostgreSQL: the store's contract, and a whole Tocsin on it, stopped and started."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import exc

from model.errors import StoreError
from pipeline.distributed.lease import Lease
from store import snapshots as snapshot_rows
from store.store import Store
from tests.integration.postgres_server import Postgres
from tests.integration.postgres_server import postgres as a_server

pytestmark = pytest.mark.integration
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """A server of its own: one test stops it."""
    with a_server() as server:
        yield server


def test_the_store_keeps_its_contract(postgres: Postgres) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "integration", "tests/store"],
        cwd=ROOT, capture_output=True, text=True, timeout=1_800,
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
            return requests.get(f"{tocsin.url}/-/ready", timeout=60).status_code == 503

        servers.wait_for(unready, "Tocsin to say that it is not ready")
        postgres.do("start")
        servers.wait_for(
            lambda: requests.get(f"{tocsin.url}/-/ready", timeout=60).status_code == 200,
            "Tocsin to be ready again",
        )
        tocsin.push({"labels": {"alertname": "Down", "service": "two", "severity": "critical"}})
        tocsin.incident("two")


def test_f21_a_database_that_became_read_only_is_the_worlds_failure(postgres: Postgres) -> None:
    """As after a switch to a standby: whoever performs tries again, and must not die of it."""
    url = postgres.database("readonly")
    store = Store.open(url, now_ms=1)

    def becomes(state: str) -> None:
        with postgres.connect() as conn:
            conn.execute(
                f"ALTER DATABASE readonly SET default_transaction_read_only = {state}".encode()
            )
        store.records.engine.dispose()  # connections of before keep what they began with

    lease = Lease(store, "act", "me")
    becomes("on")
    with pytest.raises(StoreError, match="read-only transaction"):
        lease.hold(1.0, now_ms=1)
    with pytest.raises(StoreError), store.records.write() as conn:
        snapshot_rows.put(conn, "x", b"", now_ms=1)
    with store.records.read() as conn:
        assert snapshot_rows.get(conn, "x") is None
    becomes("off")
    assert lease.hold(2.0, now_ms=2)
    # A mistake of ours stays one.
    with pytest.raises(exc.ProgrammingError), store.records.read() as conn:
        conn.exec_driver_sql("SELECT nothing FROM nowhere")
    store.close()
