"""The shop: starts its services and its customers as processes, and brings back what dies.

Alone: `python -m pipeline.demo.shop --port-base 9100` prints its targets as file_sd JSON.
"""

from __future__ import annotations

import argparse
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import FrameType

import orjson

from collectors.settings import LogSource, ScrapeTarget
from model.clock import Clock, SystemClock
from model.errors import TransientError
from pipeline.demo import loopback
from pipeline.demo.blueprint import SHOP
from pipeline.demo.mischief import Order

RATE = 40.0
LOAD = "load"
SUPERVISE_S = 0.2
RESTARTS_MAX = 50


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now, by asking the system for `count` at once."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


class Shop:
    """Eight services and a load generator, each its own process.

    Every process watches the other end of its standard input, so that none outlives this one,
    however this one ends.

    Parameters
    ----------
    folder : Path
        Log files go to `folder/logs`, what a process says on stderr to `folder/stderr.log`.
    port_base : int
        First of eight consecutive ports; 0 takes free ones.
    rate : float
        Mean requests per second at the gateway; 0 sends no customers.
    """

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        *,
        port_base: int = 0,
        rate: float = RATE,
        seed: int = 1,
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._rate = rate
        self._seed = seed
        numbers = range(port_base, port_base + len(SHOP)) if port_base else free_ports(len(SHOP))
        self.ports: dict[str, int] = dict(zip(SHOP, numbers, strict=True))
        self.restarts = 0
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._away: set[str] = set()
        self._lock = threading.RLock()
        self._quit = threading.Event()
        self._supervisor = threading.Thread(target=self._supervise, name="shop", daemon=True)

    def __enter__(self) -> Shop:
        """Promise that leaving ends every process; `start` starts them."""
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def logs(self) -> Path:
        """Folder of the log files: `NAME.log`, and `NAME.log.1` after a rotation."""
        return self._folder / "logs"

    def pids(self) -> Mapping[str, int]:
        """Process id of each running service, and of "load"."""
        with self._lock:
            return {n: p.pid for n, p in self._processes.items() if p.poll() is None}

    def targets(self) -> list[dict[str, object]]:
        """The services as Prometheus' file discovery writes targets."""
        return [
            {
                "targets": [f"127.0.0.1:{port}"],
                "labels": {"job": "shop", "service": name, "instance": name},
            }
            for name, port in self.ports.items()
        ]

    def scrape_targets(self) -> tuple[ScrapeTarget, ...]:
        """The services as the pipeline's own settings name targets."""
        return tuple(
            ScrapeTarget(f"http://127.0.0.1:{port}/metrics", "shop", instance=name, service=name)
            for name, port in self.ports.items()
        )

    def log_source(self) -> LogSource:
        """The log files as the pipeline's own settings name them; each line names its service."""
        return LogSource((str(self.logs.absolute() / "*.log"),), from_start=True)

    def start(self, *, timeout_s: float = 30.0) -> None:
        """Start every process and wait until every service answers.

        Raises
        ------
        TransientError
            If a service does not answer within `timeout_s`.
        """
        self.logs.mkdir(parents=True, exist_ok=True)
        with self._lock:
            for name in SHOP:
                self._spawn(name)
        self._supervisor.start()
        for name in SHOP:
            self.wait_ready(name, timeout_s=timeout_s)
        if self._rate > 0:
            with self._lock:
                self._spawn(LOAD)

    def wait_ready(self, name: str, *, timeout_s: float = 30.0) -> None:
        """Wait until a service answers."""
        until_s = self._clock.monotonic_s() + timeout_s
        while True:
            try:
                loopback.call(self.ports[name], "GET", "/healthz", timeout_s=1.0)
                return
            except TransientError as error:
                if self._clock.monotonic_s() > until_s:
                    hint = f"what it said is in {self._folder / 'stderr.log'}"
                    raise TransientError(f"{name} does not answer: {error}; {hint}") from None
            self._clock.sleep(0.05)

    def order(self, service: str, orders: Sequence[Order]) -> None:
        """Replace a service's faults by these; none ends them."""
        body = orjson.dumps([order.json() for order in orders])
        headers = {"Content-Type": "application/json", "X-Demo-Fault": "1"}
        status, answer = loopback.call(
            self.ports[service], "POST", "/admin/fault", body=body, headers=headers
        )
        if status != 200:
            raise TransientError(f"{service} refused a fault: {answer.decode(errors='replace')}")

    def kill(self, service: str) -> None:
        """Kill a service as the kernel's memory killer would, and keep it away until `revive`."""
        with self._lock:
            self._away.add(service)
            self._processes[service].kill()

    def revive(self, service: str) -> None:
        """Let the supervisor start a killed service again."""
        with self._lock:
            self._away.discard(service)

    def stop(self) -> None:
        """End every process; returns when all are gone."""
        self._quit.set()
        if self._supervisor.is_alive():
            self._supervisor.join()
        with self._lock:
            for process in self._processes.values():
                assert process.stdin is not None
                with suppress(OSError):
                    process.stdin.close()
            for process in self._processes.values():
                try:
                    process.wait(timeout=2.0)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            self._processes.clear()

    def _supervise(self) -> None:
        while not self._quit.wait(SUPERVISE_S):
            with self._lock:
                for name, process in list(self._processes.items()):
                    dead = process.poll() is not None
                    if dead and name not in self._away and self.restarts < RESTARTS_MAX:
                        self.restarts += 1
                        self._spawn(name)

    def _spawn(self, name: str) -> None:
        old = self._processes.get(name)
        if old is not None and old.stdin is not None:
            with suppress(OSError):
                old.stdin.close()
        with (self._folder / "stderr.log").open("ab") as stderr:
            self._processes[name] = subprocess.Popen(
                self._command(name),
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                # Ctrl-C is for the parent: it ends its children in good order.
                process_group=0,
            )

    def _command(self, name: str) -> list[str]:
        if name == LOAD:
            options = {"--port": self.ports["gateway"], "--rate": self._rate, "--seed": self._seed}
            rest = [str(word) for pair in options.items() for word in pair]
            return [sys.executable, "-m", "pipeline.demo.load", *rest]
        config = {
            "peers": {peer: self.ports[peer] for peer in SHOP[name].peers},
            "log": str((self.logs / f"{name}.log").absolute()),
            "seed": self._seed,
        }
        port = str(self.ports[name])
        module = [sys.executable, "-m", "pipeline.demo.service", name]
        return [*module, "--port", port, "--config", orjson.dumps(config).decode()]


def main() -> None:
    """Run the shop alone until Ctrl-C or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.demo.shop", description=__doc__)
    parser.add_argument("--port-base", type=int, default=9100)
    parser.add_argument("--folder", type=Path, default=Path("data/demo-shop"))
    parser.add_argument("--rate", type=float, default=RATE)
    options = parser.parse_args()
    leaving = threading.Event()

    def leave(_signal: int, _frame: FrameType | None) -> None:
        leaving.set()

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, leave)
    shop = Shop(options.folder, SystemClock(), port_base=options.port_base, rate=options.rate)
    with shop:
        shop.start()
        print(orjson.dumps(shop.targets(), option=orjson.OPT_INDENT_2).decode(), flush=True)
        leaving.wait()


if __name__ == "__main__":
    main()
