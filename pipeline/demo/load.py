"""Customers of the shop, as a process: `python -m pipeline.demo.load --port GATEWAY_PORT`.

Customers arrive at random around a rate that rises and falls like a day, in two minutes. Arrivals
do not wait for answers (an open loop): a slow shop has the same customers as a fast one.
"""

from __future__ import annotations

import argparse
import asyncio
import math
from dataclasses import dataclass, field
from random import Random

import uvloop

from model.clock import Clock, SystemClock
from pipeline.demo import http1
from pipeline.demo.service import leave_with_parent

JOURNEYS: tuple[tuple[int, tuple[str, ...]], ...] = (
    (3, ("/", "/product")),
    (3, ("/", "/search", "/product")),
    (2, ("/search", "/search", "/product", "/cart/add")),
    (4, ("/product", "/cart/add", "/cart", "/checkout")),
    (2, ("/cart", "/checkout")),
)
"""Weight and steps of each way through the shop."""

PERIOD_S = 120.0
SWING = 0.3
THINK_S = (0.2, 0.9)
TIMEOUT_S = 4.0
CUSTOMERS_MAX = 300


def steps_mean() -> float:
    """Requests of an average journey."""
    return sum(w * len(steps) for w, steps in JOURNEYS) / sum(w for w, _ in JOURNEYS)


def rate_at(second: float, rate: float) -> float:
    """Requests per second wanted at a time since the start: `rate`, ±30 % over two minutes.

    Examples
    --------
    >>> rate_at(0, 30), rate_at(30, 30), rate_at(90, 30)
    (30.0, 39.0, 21.0)
    """
    return rate * (1 + SWING * math.sin(2 * math.pi * second / PERIOD_S))


@dataclass(slots=True)
class Load:
    """Sends customers to the gateway.

    Attributes
    ----------
    rate : float
        Mean requests per second.
    turned_away : int
        Customers who did not come because `CUSTOMERS_MAX` were inside.
    """

    port: int
    rate: float
    clock: Clock
    rng: Random
    turned_away: int = 0
    _client: http1.Client = field(default_factory=http1.Client)
    _inside: set[asyncio.Task[None]] = field(default_factory=set)

    async def run(self) -> None:
        """Send customers for ever."""
        began_s = self.clock.monotonic_s()
        while True:
            wanted = rate_at(self.clock.monotonic_s() - began_s, self.rate) / steps_mean()
            await asyncio.sleep(self.rng.expovariate(wanted))
            if len(self._inside) >= CUSTOMERS_MAX:
                self.turned_away += 1
                continue
            customer = asyncio.get_running_loop().create_task(self._visit())
            self._inside.add(customer)
            customer.add_done_callback(self._inside.discard)

    async def _visit(self) -> None:
        weights = [weight for weight, _ in JOURNEYS]
        _, steps = self.rng.choices(JOURNEYS, weights)[0]
        for path in steps:
            trace_id = f"{self.rng.getrandbits(64):016x}"
            try:
                await self._client.get(self.port, path, trace_id=trace_id, timeout_s=TIMEOUT_S)
            except http1.CallFailed:
                pass  # the customer tries the next page; the gateway's metrics tell the story
            await asyncio.sleep(self.rng.uniform(*THINK_S))


async def run(load: Load) -> None:
    """Send customers until standard input ends."""
    leaving = asyncio.Event()
    leave_with_parent(leaving.set)
    work = asyncio.get_running_loop().create_task(load.run())
    await leaving.wait()
    work.cancel()


def main() -> None:
    """Read the command line and send customers."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.demo.load", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="the gateway's")
    parser.add_argument("--rate", type=float, default=40.0, help="mean requests per second")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    uvloop.run(run(Load(options.port, options.rate, SystemClock(), Random(options.seed))))


if __name__ == "__main__":
    main()
