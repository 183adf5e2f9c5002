"""A fresh store per test, and the databases that the contract is checked on."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from store.store import Store

NOW_MS = 1_700_000_000_000


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both databases as they are made: copying them is faster than making them."""
    folder = tmp_path_factory.mktemp("empty")
    Store.open(f"sqlite:///{folder}/tocsin.db", now_ms=NOW_MS).close()
    return folder


@pytest.fixture
def store(tmp_path: Path, empty: Path) -> Iterator[Store]:
    shutil.copytree(empty, tmp_path, dirs_exist_ok=True)
    opened = Store.open(f"sqlite:///{tmp_path}/tocsin.db", now_ms=NOW_MS)
    yield opened
    opened.close()


POSTGRES = os.environ.get("TOCSIN_TEST_POSTGRES", "")
DATABASES = ["sqlite"]
if POSTGRES:  # a database that may be emptied
    DATABASES.append(pytest.param(POSTGRES, marks=pytest.mark.integration, id="postgresql"))  # type: ignore[arg-type]


@pytest.fixture(params=DATABASES)
def any_store(request: pytest.FixtureRequest, tmp_path: Path, empty: Path) -> Iterator[Store]:
    """A store on each kind of database; PostgreSQL where TOCSIN_TEST_POSTGRES says where it is."""
    url = request.param
    if url == "sqlite":
        shutil.copytree(empty, tmp_path, dirs_exist_ok=True)
        url = f"sqlite:///{tmp_path}/tocsin.db"
    else:
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
