"""A recorded storm, and what the embedded run makes of it: once for all tests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks import distributed as played
from benchmarks.telemetry import World
from pipeline.settings import Settings
from store.store import Store

WORLD = World(services=6, instances=2, duration_s=2_700)
PARTITIONS = 3


@dataclass(frozen=True, slots=True)
class Storm:
    """A recording, its messages by partition, and what is to come out."""

    folder: Path
    settings: Settings
    messages: list[tuple[str, int, bytes]]
    expected: list[bytes]


@pytest.fixture(scope="session")
def storm(tmp_path_factory: pytest.TempPathFactory) -> Storm:
    """Five faults in an hour of six services."""
    folder = tmp_path_factory.mktemp("storm")
    settings = played.configure(folder / "config", WORLD)
    played.record_storm(WORLD, folder / "recorded")
    store = Store.open(f"sqlite:///{folder / 'embedded.db'}", now_ms=0)
    played.embedded(folder / "recorded", settings, store)
    expected = played.outcome(store)
    store.close()
    messages = list(played.messages(folder / "recorded", PARTITIONS))
    return Storm(folder, settings, messages, expected)
