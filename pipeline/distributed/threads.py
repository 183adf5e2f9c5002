"""Faust's consumer in a thread that cannot hold up the loop that ends it.

A worker's loop waits for its consumer's thread to end, and stands still meanwhile. But that thread's last work may
be a rebalance, which calls the loop: then both wait for ever, and the process has to be killed. Here the loop goes
on, and the thread is waited for outside of it, for a while.
"""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import faust
from faust.transport.drivers import aiokafka as driver
from mode.threads import WorkerThread

ENDS_WITHIN_S = 5.0


class Apart(WorkerThread):
    """A thread that is not waited for in the loop, and that does not keep a process alive."""

    def __init__(self, service: Any, **kwargs: Any) -> None:
        super().__init__(service, **kwargs)
        self.daemon = True
        self.app = service.app

    def stop(self) -> None:
        """It has been told already: it ends by itself (`ended`)."""


class _Consumer(driver.Consumer):
    def _new_consumer_thread(self) -> driver.AIOKafkaConsumerThread:
        return driver.AIOKafkaConsumerThread(self, loop=self.loop, beacon=self.beacon, Worker=Apart)


class _Transport(driver.Transport):
    Consumer = _Consumer


class Application(faust.App):
    """A Faust application whose consumer has such a thread."""

    def _new_transport(self) -> Any:
        return _Transport(self.conf.broker_consumer, self)


async def ended(app: faust.App, within_s: float = ENDS_WITHIN_S) -> bool:
    """Wait for the threads of an application that was told to end; whether they did."""
    told = [one for one in threading.enumerate() if isinstance(one, Apart) and one.app is app]
    await asyncio.gather(*[asyncio.to_thread(one.join, within_s) for one in told])
    return not any(one.is_alive() for one in told)
