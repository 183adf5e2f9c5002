"""What a worker keeps when partitions are given away: as much as the others of its group wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from faust.types import TP

from model.clock import ManualClock
from pipeline.distributed.joined import ACK_EVERY_S, KEEP_WITHIN_S, Joined
from pipeline.distributed.settings import KafkaSettings
from pipeline.distributed.suspects import Suspects
from store.store import Store
from tests.pipeline.distributed.test_unheard import Noting


class Slow(Noting):
    """One whose snapshot takes a while."""

    def __init__(self, clock: ManualClock, seconds: float) -> None:
        super().__init__()
        self.kept = False
        self._clock, self._seconds = clock, seconds

    def save(self, now_ms: int) -> Callable[[], None]:
        def keep() -> None:
            self._clock.sleep(self._seconds)
            self.kept = True

        return keep


def joined(folder: Path, clock: ManualClock, store: Store) -> Joined:
    kafka = KafkaSettings()
    return Joined(
        "detect",
        kafka.telemetry,
        kafka,
        folder=folder,
        clock=clock,
        hold=lambda _: Noting(),
        suspects=Suspects(store, "detect"),
        until_kept_s=lambda _: 30.0,
    )


def test_what_failed_while_others_waited_to_keep_it_is_not_kept(tmp_path: Path) -> None:
    """Half of a message is in it; or its place was set back, and would be set forth again."""

    async def play() -> list[bool]:
        clock = ManualClock(1_000)
        store = Store.open(f"sqlite:///{tmp_path / 'records.db'}", now_ms=0)
        one = joined(tmp_path, clock, store)
        stages = {n: Slow(clock, 0.0) for n in range(3)}
        one.held.update(stages)
        async with one._busy:
            keeping = asyncio.create_task(one._keep_for_ever())
            leaving = asyncio.create_task(one._revoked(None, {TP(one._topic_name, 1)}))
            await asyncio.sleep(2 * ACK_EVERY_S)
            one.failed.set()
        await asyncio.wait_for(asyncio.gather(keeping, leaving), 60.0)
        await one.stop()
        store.close()
        return [stage.kept for stage in stages.values()]

    assert asyncio.run(play()) == [False] * 3


@pytest.mark.parametrize(
    ("seconds", "kept"), [(KEEP_WITHIN_S / 4, 5), (KEEP_WITHIN_S, 2), (100.0, 1)]
)
def test_a_rebalance_waits_for_no_more_snapshots_than_there_is_time_for(
    tmp_path: Path, seconds: float, kept: int
) -> None:
    async def play() -> list[bool]:
        clock = ManualClock(1_000)
        store = Store.open(f"sqlite:///{tmp_path / 'records.db'}", now_ms=0)
        one = joined(tmp_path, clock, store)
        stages = {n: Slow(clock, seconds) for n in range(8)}
        one.held.update(stages)
        await one._keep_some(set(stages))
        store.close()
        return [stage.kept for stage in stages.values()]

    assert asyncio.run(play()) == [True] * kept + [False] * (8 - kept)
