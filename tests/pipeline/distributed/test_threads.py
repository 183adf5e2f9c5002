"""A consumer's thread whose last work calls the loop that ends it."""

from __future__ import annotations

import asyncio
from typing import Any

from mode.threads import ServiceThread

from pipeline.distributed.threads import Apart, ended


class Rebalancing(ServiceThread):
    """As a consumer in the middle of a rebalance: when it is to end, something of it first calls the other loop."""

    def __init__(self, *, until: asyncio.Event) -> None:
        self.app: Any = object()
        super().__init__(Worker=Apart)
        self.until = until
        self.heard = False

    async def on_thread_started(self) -> None:
        self.rebalance = asyncio.create_task(self._rebalance())

    async def _rebalance(self) -> None:
        try:
            await asyncio.sleep(3_600)
        finally:
            calling = asyncio.run_coroutine_threadsafe(self.until.wait(), self.parent_loop)
            await asyncio.wrap_future(calling)
            self.heard = True


def test_a_rebalance_while_it_ends_is_answered() -> None:
    async def end() -> bool:
        answer = asyncio.Event()
        consumer = Rebalancing(until=answer)
        await consumer.start()
        await asyncio.wait_for(consumer.stop(), 240)  # Faust's own thread stops this loop here
        answer.set()
        return await ended(consumer.app, 240.0) and consumer.heard

    assert asyncio.run(end())


def test_a_thread_that_does_not_end_is_told_and_holds_nobody_up() -> None:
    async def end() -> tuple[bool, bool]:
        answer = asyncio.Event()
        consumer = Rebalancing(until=answer)
        await consumer.start()
        await asyncio.wait_for(consumer.stop(), 240)
        first = await ended(consumer.app, 0.05)
        answer.set()
        return first, await ended(consumer.app, 240.0)

    assert asyncio.run(end()) == (False, True)


def test_the_thread_of_another_application_is_not_waited_for() -> None:
    """One of two stages hangs: the other's end is its own."""

    async def end() -> tuple[bool, bool]:
        answer = asyncio.Event()
        hangs = Rebalancing(until=answer)
        other: Any = object()
        await hangs.start()
        await asyncio.wait_for(hangs.stop(), 240)
        alone = await ended(other, 0.0)
        answer.set()
        return alone, await ended(hangs.app, 240.0)

    assert asyncio.run(end()) == (True, True)
