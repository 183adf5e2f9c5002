"""A fresh store per test, and the databases that the contract is checked on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from store.store import Store

NOW_MS = 1_700_000_000_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(f"sqlite:///{tmp_path}/tocsin.db", now_ms=NOW_MS)
    yield opened
    opened.close()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.integration)])
def any_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A store on each kind of database; PostgreSQL where TOCSIN_TEST_POSTGRES says where it is."""
    url = f"sqlite:///{tmp_path}/tocsin.db"
    if request.param == "postgresql":
        url = os.environ.get("TOCSIN_TEST_POSTGRES", "")
        if not url:
            pytest.skip("TOCSIN_TEST_POSTGRES is not set")
        _empty(url)
    opened = Store.open(url, now_ms=NOW_MS)
    yield opened
    opened.close()


def _empty(url: str) -> None:
    engine = create_engine(url)
    with engine.begin() as conn:
        conn.exec_driver_sql("DROP SCHEMA public CASCADE")
        conn.exec_driver_sql("CREATE SCHEMA public")
    engine.dispose()
