"""A fresh store per test, and the databases that the contract is checked on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from store.store import Store
from tests.conftest import NewStore

NOW_MS = 1_700_000_000_000


@pytest.fixture
def store(tmp_path: Path, new_store: NewStore) -> Iterator[Store]:
    opened = new_store(tmp_path, NOW_MS)
    yield opened
    opened.close()


POSTGRES = os.environ.get("TOCSIN_TEST_POSTGRES", "")
DATABASES = ["sqlite"]
if POSTGRES:  # a database that may be emptied
    DATABASES.append(pytest.param(POSTGRES, marks=pytest.mark.integration, id="postgresql"))  # type: ignore[arg-type]


@pytest.fixture(params=DATABASES)
def any_store(
    request: pytest.FixtureRequest, tmp_path: Path, new_store: NewStore
) -> Iterator[Store]:
    """A store on each kind of database; PostgreSQL where TOCSIN_TEST_POSTGRES says where it is."""
    if request.param == "sqlite":
        opened = new_store(tmp_path, NOW_MS)
    else:
        _empty(request.param)
        opened = Store.open(request.param, now_ms=NOW_MS)
    yield opened
    opened.close()


def _empty(url: str) -> None:
    engine = create_engine(url)
    with engine.begin() as conn:
        conn.exec_driver_sql("DROP SCHEMA public CASCADE")
        conn.exec_driver_sql("CREATE SCHEMA public")
    engine.dispose()
