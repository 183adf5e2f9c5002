"""The faults that the demo commits, one record each: what is true, so that it can be compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from model.change import Change
from model.identity import derive_id
from model.reason import Reason, because
from pipeline.demo.blueprint import SHOP
from pipeline.demo.mischief import Order


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault.

    Attributes
    ----------
    name : str
        As given to `--faults`.
    service : str
        The culprit: what the first cause of the incident should name.
    what : Reason
        One sentence for people.
    orders : tuple of Order
        What the service itself is told to do.
    duration_s : float
        How long it lasts; with `needs_ack`, at most.
    needs_ack : bool
        It lasts until somebody acknowledges the incident.
    kills : bool
        The process is killed, and started again when the fault ends.
    deploys : str
        The version that is announced and rolled out; the old one comes back at the end.
    """

    name: str
    service: str
    what: Reason
    orders: tuple[Order, ...] = ()
    duration_s: float = 32.0
    needs_ack: bool = False
    kills: bool = False
    deploys: str = ""


FAULTS: tuple[Fault, ...] = (
    Fault(
        "latency",
        "search",
        because("search answers 400 ms late"),
        (Order("latency", (("ms", 400.0),)),),
    ),
    Fault(
        "kill",
        "inventory",
        because("the inventory process is killed and stays away"),
        kills=True,
    ),
    Fault(
        "errors",
        "catalog",
        because("catalog fails 30 % of its requests"),
        (Order("errors", (("ratio", 0.3),)),),
    ),
    Fault(
        "leak",
        "cart",
        because("cart leaks 6 MiB of memory a second"),
        (Order("leak", (("mib_per_s", 6.0), ("mib_max", 240.0))),),
        duration_s=40.0,
    ),
    Fault(
        "deploy",
        "payment",
        because(
            "a deploy of payment brings errors and latency; it is rolled back once acknowledged"
        ),
        (
            Order("latency", (("ms", 250.0),)),
            Order("errors", (("ratio", 0.35),)),
        ),
        duration_s=60.0,
        needs_ack=True,
        deploys="2.15.0",
    ),
    Fault(
        "logs",
        "search",
        because("search logs checksum errors while every metric stays normal"),
        (Order("logs", (("per_s", 4.0),)),),
    ),
    Fault(
        "cpu",
        "checkout",
        because("a hot loop in checkout burns most of a core"),
        (Order("burn", (("cores", 0.6),)),),
    ),
    Fault(
        "dependency",
        "shipping",
        because("shipping takes three seconds, so that its callers give up"),
        (Order("latency", (("ms", 3_000.0),)),),
    ),
)


def choose(names: str) -> tuple[Fault, ...]:
    """The faults of a comma-separated list, in the order given; "all" is all of them.

    Raises
    ------
    ValueError
        If a name is unknown.

    Examples
    --------
    >>> [fault.service for fault in choose("kill,cpu")]
    ['inventory', 'checkout']
    """
    if names.strip() == "all":
        return FAULTS
    known = {fault.name: fault for fault in FAULTS}
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    for name in wanted:
        if name not in known:
            raise ValueError(f"unknown fault {name!r}; choose from all, {', '.join(known)}")
    return tuple(known[name] for name in wanted)


class Victim(Protocol):
    """What a fault needs of a running shop; `shop.Shop` is one."""

    def order(self, service: str, orders: Sequence[Order]) -> None:
        """Replace the service's faults by these."""

    def kill(self, service: str) -> None:
        """Kill the process, and keep it away."""

    def revive(self, service: str) -> None:
        """Let the process start again."""


def begin(fault: Fault, victim: Victim, announce: Callable[[Change], None], now_ms: int) -> None:
    """Commit a fault."""
    if fault.deploys:
        announce(_change(fault, "deploy", fault.deploys, now_ms))
    if fault.kills:
        victim.kill(fault.service)
        return
    rollout = (Order("version", (), fault.deploys),) if fault.deploys else ()
    victim.order(fault.service, (*rollout, *fault.orders))


def end(fault: Fault, victim: Victim, announce: Callable[[Change], None], now_ms: int) -> None:
    """Take a fault back."""
    if fault.kills:
        victim.revive(fault.service)
        return
    old = SHOP[fault.service].version
    victim.order(fault.service, (Order("version", (), old),) if fault.deploys else ())
    if fault.deploys:
        announce(_change(fault, "rollback", old, now_ms))


def _change(fault: Fault, kind: str, version: str, now_ms: int) -> Change:
    return Change(
        id=derive_id("demo", fault.name, kind, now_ms),
        time_ms=now_ms,
        kind=kind,
        service=fault.service,
        title=f"{fault.service} {version}",
        author="ada" if kind == "deploy" else "on-call",
        version=version,
        source="demo",
    )
