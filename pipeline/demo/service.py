"""One service of the shop as a process: `python -m pipeline.demo.service NAME --port P --config JSON`."""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import orjson
import uvloop

from model.clock import Clock, SystemClock
from model.errors import InputError
from pipeline.demo import http1, phrases
from pipeline.demo.blueprint import SHOP, Call, Plan, Route
from pipeline.demo.instruments import Instruments
from pipeline.demo.logfile import LogFile
from pipeline.demo.mischief import Mischief, Order

FAULT_HEADER = "x-demo-fault"
"""Must be set on admin requests: a web page open in a browser cannot send it across origins."""

WORK_SIGMA = 0.35
GRUMBLE_CHANCE = 0.01
CHORE_MEAN_S = 40.0


@dataclass(frozen=True, slots=True)
class Config:
    """What a service process is told at its start.

    Attributes
    ----------
    peers : dict of str to int
        Port of each service it may call.
    log : str
        Path of its log file.
    seed : int
        Of everything it draws at random.
    """

    peers: dict[str, int]
    log: str
    seed: int = 1


class Service:
    """Serves the routes of a plan, and `/metrics`, `/healthz` and `/admin/fault` beside them."""

    def __init__(self, plan: Plan, config: Config, clock: Clock) -> None:
        self.plan = plan
        self._peers = config.peers
        self._clock = clock
        self._rng = Random(f"{config.seed}/{plan.name}")
        self._client = http1.Client()
        self._routes = {route.path: route for route in plan.routes}
        self.log = LogFile(Path(config.log), plan.name, clock)
        self.instruments = Instruments(plan)
        self.mischief = Mischief(
            clock=clock,
            log=self.log,
            instruments=self.instruments,
            version=plan.version,
            rng=self._rng,
        )

    async def handle(self, request: http1.Request) -> http1.Response:
        """Answer one request."""
        route = self._routes.get(request.path)
        if route is not None:
            return await self._serve(route, request)
        if request.path == "/metrics":
            body, content_type = self.instruments.exposition(request.headers.get("accept", ""))
            return http1.Response(200, body, content_type)
        if request.path == "/healthz":
            return http1.Response(200, b'{"ok":true}')
        if request.path == "/admin/fault" and request.method == "POST":
            return self._order(request)
        return http1.Response(404, b'{"error":"no such route"}')

    def _order(self, request: http1.Request) -> http1.Response:
        """Take a list of orders: they replace whatever was on, so that an empty list ends it."""
        if FAULT_HEADER not in request.headers:
            return http1.Response(400, b'{"error":"the header X-Demo-Fault is missing"}')
        try:
            data = orjson.loads(request.body)
            orders = [Order.parse(item) for item in (data if isinstance(data, list) else [data])]
        except (orjson.JSONDecodeError, InputError) as error:
            return http1.Response(400, orjson.dumps({"error": str(error)}))
        self.mischief.clear()
        for order in orders:
            self.mischief.obey(order)
        return http1.Response(200, orjson.dumps([order.json() for order in orders]))

    async def _serve(self, route: Route, request: http1.Request) -> http1.Response:
        trace_id = request.headers.get("x-trace-id", "")
        began_s = self._clock.monotonic_s()
        with self.instruments.in_flight.track_inprogress():
            await asyncio.sleep(self._work_s(route))
            status, level, message = await self._outcome(route, request.method, trace_id)
        duration_s = self._clock.monotonic_s() - began_s
        self.instruments.requests.labels(route.path, str(status)).inc()
        self.instruments.durations.labels(route.path).observe(duration_s)
        self.log.write(
            level,
            message,
            route=route.path,
            status=status,
            duration_ms=round(duration_s * 1000, 1),
            trace_id=trace_id,
        )
        return http1.Response(status, b'{"status":%d}' % status)

    def _work_s(self, route: Route) -> float:
        own_ms = route.work_ms * math.exp(self._rng.gauss(0.0, WORK_SIGMA))
        return own_ms / 1000 + self.mischief.latency_s * self._rng.uniform(0.85, 1.15)

    async def _outcome(self, route: Route, method: str, trace_id: str) -> tuple[int, str, str]:
        """Status, level and message of one request, after its calls have been made."""
        if self._rng.random() < self.mischief.error_ratio:
            template = self._rng.choice(phrases.FAILING.get(self.plan.name, (phrases.FAILING_ANY,)))
            return 500, "ERROR", phrases.fill(template, self._rng, route=route.path)
        calls = [call for call in route.calls if self._rng.random() < call.chance]
        codes = await asyncio.gather(*(self._call(call, trace_id) for call in calls))
        for call, code in zip(calls, codes, strict=True):
            if code in ("timeout", "refused"):
                return 503, "ERROR", self._blame(call, code)
            if code.startswith("5"):
                return 502, "ERROR", f"{call.peer} answered {code} to {call.path}"
        if self._rng.random() < route.refuse_chance:
            return route.refuse_code, "INFO", f"{route.path} refused with {route.refuse_code}"
        grumbles = self._rng.random() < GRUMBLE_CHANCE
        template = self._rng.choice(
            (phrases.GRUMBLES if grumbles else phrases.DONE)[self.plan.name]
        )
        message = phrases.fill(template, self._rng, route=route.path, method=method)
        return 200, "WARN" if grumbles else "INFO", message

    def _blame(self, call: Call, code: str) -> str:
        if code == "timeout":
            return f"call to {call.peer} {call.path} timed out after {self.plan.timeout_ms} ms"
        return f"call to {call.peer} {call.path} failed: connection refused"

    async def _call(self, call: Call, trace_id: str) -> str:
        """Call another service; its status code, "timeout" or "refused"."""
        began_s = self._clock.monotonic_s()
        try:
            response = await self._client.get(
                self._peers[call.peer],
                call.path,
                trace_id=trace_id,
                timeout_s=self.plan.timeout_ms / 1000,
            )
            code = str(response.status)
        except http1.CallFailed as failure:
            code = failure.code
        self.instruments.calls.labels(call.peer, code).inc()
        self.instruments.call_durations.labels(call.peer).observe(
            self._clock.monotonic_s() - began_s
        )
        return code

    async def chores(self) -> None:
        """Say something rare now and then, as services do when nobody asked them anything."""
        while True:
            await asyncio.sleep(self._rng.expovariate(1 / CHORE_MEAN_S))
            template = self._rng.choice(phrases.CHORES[self.plan.name])
            self.log.write("INFO", phrases.fill(template, self._rng))


def leave_with_parent(leave: Callable[[], None]) -> None:
    """Call `leave` once standard input ends: its other end closes however the parent dies.

    Simpler and more portable than PR_SET_PDEATHSIG, which follows the parent's *thread*.
    """
    loop = asyncio.get_running_loop()
    descriptor = sys.stdin.fileno()

    def watch() -> None:
        if not os.read(descriptor, 4096):
            loop.remove_reader(descriptor)
            leave()

    loop.add_reader(descriptor, watch)


async def run(plan: Plan, config: Config, port: int, clock: Clock) -> None:
    """Serve until standard input ends."""
    leaving = asyncio.Event()
    leave_with_parent(leaving.set)
    service = Service(plan, config, clock)
    server = await http1.serve(service.handle, port)
    service.log.write("INFO", f"{plan.name} {plan.version} listening on port {port}")
    chores = asyncio.get_running_loop().create_task(service.chores())
    await leaving.wait()
    chores.cancel()
    server.close()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.demo.service", description=__doc__)
    parser.add_argument("name", choices=list(SHOP))
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--config", required=True, help='{"peers": {NAME: PORT}, "log": PATH}')
    options = parser.parse_args()
    config = Config(**orjson.loads(options.config))
    uvloop.run(run(SHOP[options.name], config, options.port, SystemClock()))


if __name__ == "__main__":
    main()
