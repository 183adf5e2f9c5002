"""For all tests: no deadlines (the machine may be busy), in CI the same examples every time; and stores that cost little."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

from store.store import Store

settings.register_profile("desk", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "desk")

NewStore = Callable[[Path, int], Store]


@pytest.fixture(scope="session")
def new_store(tmp_path_factory: pytest.TempPathFactory) -> NewStore:
    """Opens an empty store in a folder, at a time; both databases are copied: making them costs a dozen times as much."""
    made = tmp_path_factory.mktemp("empty")
    Store.open(f"sqlite:///{made}/tocsin.db", now_ms=0).close()

    def opened(folder: Path, now_ms: int) -> Store:
        shutil.copytree(made, folder, dirs_exist_ok=True)
        return Store.open(f"sqlite:///{folder}/tocsin.db", now_ms=now_ms)

    return opened
