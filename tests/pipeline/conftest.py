"""A Tocsin and an outside world for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.process import Outside
from tests.pipeline.running import Exporter, Running


@pytest.fixture
def tocsin(tmp_path: Path) -> Iterator[Running]:
    """Configured, not started."""
    running = Running(tmp_path)
    yield running
    running.close()


@pytest.fixture
def outside() -> Iterator[Outside]:
    """A desk and a pager."""
    server = Outside()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def exporter() -> Iterator[Exporter]:
    """A scrape target."""
    server = Exporter()
    yield server
    server.close()
