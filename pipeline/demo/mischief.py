"""The faults inside a service process, switched by `POST /admin/fault`. All of them are real:
processor time is burned, memory is held, answers are late.
"""

from __future__ import annotations

import asyncio
import mmap
import threading
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from model.clock import Clock
from model.errors import InputError
from pipeline.demo import phrases
from pipeline.demo.instruments import Instruments
from pipeline.demo.logfile import LogFile

MIB = 2**20
BURN_PERIOD_S = 0.1
LEAK_STEP_S = 0.25
_BOUNDS: dict[str, dict[str, tuple[float, float]]] = {
    "latency": {"ms": (0, 10_000)},
    "errors": {"ratio": (0, 1)},
    "burn": {"cores": (0, 0.9)},
    "leak": {"mib_per_s": (0, 16), "mib_max": (0, 250)},
    "logs": {"per_s": (0, 50)},
}


@dataclass(frozen=True, slots=True)
class Order:
    """One line of a fault's recipe: what to do (`kind`), and how much of it.

    Examples
    --------
    >>> Order.parse({"kind": "latency", "ms": 400})
    Order(kind='latency', amounts=(('ms', 400.0),), version='')
    """

    kind: str
    amounts: tuple[tuple[str, float], ...] = ()
    version: str = ""

    @classmethod
    def parse(cls, data: object) -> Order:
        """Read an order from JSON.

        Raises
        ------
        InputError
            If the kind is unknown, or an amount is missing or out of its bounds.
        """
        if not isinstance(data, dict):
            raise InputError("an order must be a JSON object")
        kind = data.get("kind")
        if kind == "version":
            return cls("version", (), str(data.get("version", ""))[:40])
        if kind not in _BOUNDS:
            raise InputError(f"kind: must be one of {', '.join([*_BOUNDS, 'version'])}")
        amounts = []
        for name, (low, high) in _BOUNDS[kind].items():
            amount = data.get(name)
            if not isinstance(amount, int | float) or not low <= amount <= high:
                raise InputError(f"{name}: must be a number from {low:g} to {high:g}")
            amounts.append((name, float(amount)))
        return cls(kind, tuple(amounts))

    def json(self) -> dict[str, object]:
        """What `parse` reads."""
        named: dict[str, object] = {"kind": self.kind, **dict(self.amounts)}
        return {**named, "version": self.version} if self.version else named


class Mischief:
    """The faults that are on in this process; `clear` ends them all and gives everything back."""

    def __init__(
        self, *, clock: Clock, log: LogFile, instruments: Instruments, version: str, rng: Random
    ) -> None:
        self.latency_s = 0.0
        self.error_ratio = 0.0
        self._clock = clock
        self._log = log
        self._instruments = instruments
        self._version = version
        self._rng = rng
        self._quit_burning: threading.Event | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def obey(self, order: Order) -> None:
        """Switch one fault on."""
        amounts = dict(order.amounts)
        match order.kind:
            case "latency":
                self.latency_s = amounts["ms"] / 1000
            case "errors":
                self.error_ratio = amounts["ratio"]
            case "burn":
                self._burn(amounts["cores"])
            case "leak":
                self._start(lambda: self._leak(amounts["mib_per_s"], amounts["mib_max"]))
            case "logs":
                self._start(lambda: self._complain(amounts["per_s"]))
            case "version":
                self._deploy(order.version)

    def clear(self) -> None:
        """Switch every fault off; the version stays, until another is deployed."""
        self.latency_s = self.error_ratio = 0.0
        if self._quit_burning is not None:
            self._quit_burning.set()
            self._quit_burning = None
        for task in self._tasks:
            task.cancel()
        self._tasks.clear()

    def _start(self, work: Callable[[], asyncio._CoroutineLike[None]]) -> None:
        self._tasks.append(asyncio.get_running_loop().create_task(work()))

    def _deploy(self, version: str) -> None:
        self._version = version or self._version
        self._instruments.set_version(self._version)
        self._log.write("INFO", f"version {self._version} started")

    def _burn(self, cores: float) -> None:
        """Spin for `cores` of every period in a thread of this process.

        The thread holds the interpreter's lock while it spins, so requests wait for it: latency
        rises with the processor time, as it does where a hot loop runs in a real service.
        """
        quit_burning = self._quit_burning = threading.Event()

        def spin() -> None:
            while not quit_burning.is_set():
                until_s = self._clock.monotonic_s() + BURN_PERIOD_S * cores
                while self._clock.monotonic_s() < until_s:
                    sum(range(2_000))
                quit_burning.wait(BURN_PERIOD_S * (1 - cores))

        threading.Thread(target=spin, name="burn", daemon=True).start()

    async def _leak(self, mib_per_s: float, mib_max: float) -> None:
        held: list[mmap.mmap] = []
        step = max(mmap.PAGESIZE, round(mib_per_s * LEAK_STEP_S * MIB))
        try:
            while True:
                if (len(held) + 1) * step <= mib_max * MIB:
                    held.append(mmap.mmap(-1, step))
                    for page in range(0, step, mmap.PAGESIZE):
                        held[-1][page] = 1  # an untouched page would cost no memory
                await asyncio.sleep(LEAK_STEP_S)
        finally:
            for piece in held:
                piece.close()  # unmapped, so that the system has it back at once

    async def _complain(self, per_s: float) -> None:
        while True:
            template = phrases.BROKEN_INDEX[self._rng.random() < 0.25]
            self._log.write("ERROR", phrases.fill(template, self._rng))
            await asyncio.sleep(1 / max(per_s, 0.1))
