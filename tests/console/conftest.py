"""A console over a real store, with what the pipeline would lend it."""

from __future__ import annotations

import importlib.util
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from console.app import create_app
from console.ports import Component, Health, Ports
from console.settings import ConsoleSettings
from model.clock import ManualClock
from model.errors import StoreError
from model.journal import NewEntry
from model.reason import because
from runbooks.library import Library
from store.store import Store
from tests.conftest import NewStore

with warnings.catch_warnings():
    # Starlette prefers a successor of httpx that is not released for good yet.
    warnings.simplefilter("ignore", DeprecationWarning)
    warnings.simplefilter("ignore", UserWarning)
    from starlette.testclient import TestClient


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        f"console_{name}", Path(__file__).with_name(f"{name}.py")
    )
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


seed_module = _load("seed")


class House:
    """The console, its store, its clock, and what was submitted."""

    def __init__(self, store: Store, **settings: Any) -> None:
        self.store = store
        self.clock = ManualClock(seed_module.NOW_MS)
        self.submitted: list[NewEntry] = []
        self.broken = False
        self.ready = True
        self.problems: list[str] = []
        self.ports = Ports(
            store=self.store,
            clock=self.clock,
            submit=self.submit,
            catalogue=lambda: seed_module.SHOP,
            runbooks=Library,
            health=self.health,
            metrics=lambda: b"tocsin_steps_total 1\n",
            reload=lambda: self.problems,
            band=lambda labels: None,
            settings=ConsoleSettings(**settings.pop("console", {})),
            **settings,
        )
        self.app = create_app(self.ports)

    async def submit(self, entries: Sequence[NewEntry]) -> list[int]:
        if self.broken:
            raise StoreError("disk full: /secret/path/journal.db")
        self.submitted += entries
        return list(range(len(self.submitted) - len(entries), len(self.submitted)))

    def health(self) -> Health:
        return Health(
            ready=self.ready,
            version="0.1.0",
            uptime_ms=3_600_000,
            components=(Component("store", True), Component("scrape", False, because("down"))),
            counters=(("tocsin_series_refused_total", 3.0),),
        )

    def client(self, **options: Any) -> TestClient:
        """A browser or program on this machine."""
        options = {"base_url": "http://127.0.0.1:8420", "client": ("127.0.0.1", 50_000)} | options
        return TestClient(self.app, follow_redirects=False, **options)

    def token(self, role: str = "responder", name: str = "prom") -> dict[str, str]:
        """A header with a new token."""
        from model.account import Role

        accounts = self.app.state.accounts
        text = accounts.make_token(
            name, Role(role), by=accounts.local, now_ms=self.clock.now_ms(), address="test"
        )
        return {"authorization": f"Bearer {text}"}


@pytest.fixture
def build(tmp_path: Path, new_store: NewStore) -> Iterator[Callable[..., House]]:
    """Makes a house with settings of one's own."""
    built: list[House] = []

    def make(**settings: Any) -> House:
        folder = tmp_path / str(len(built))
        folder.mkdir()
        built.append(House(new_store(folder, seed_module.NOW_MS), **settings))
        return built[-1]

    yield make
    for house in built:
        house.store.close()


@pytest.fixture
def house(build: Callable[..., House]) -> House:
    """An empty house in open mode."""
    return build()


@pytest.fixture
def seed() -> ModuleType:
    """The records that fill a house."""
    return seed_module
