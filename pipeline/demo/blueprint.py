"""The shop on paper: its services, their routes, who calls whom, and how long each step works.

`config/demo/catalogue.yaml` tells the pipeline the same graph; `tests/demo/test_blueprint.py` holds
the two together.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Call:
    """One outgoing call of a route, made with probability `chance` (0 to 1)."""

    peer: str
    path: str
    chance: float = 1.0


@dataclass(frozen=True, slots=True)
class Route:
    """What one path of a service does: work for a while, call others, refuse now and then.

    Attributes
    ----------
    work_ms : float
        Median of the log-normal time that the service's own work takes.
    calls : tuple of Call
        Made side by side, so that one failing callee does not take the others' traffic away.
    refuse_code, refuse_chance : int, float
        A normal 4xx (not found, card declined) and how often it is given.
    """

    path: str
    work_ms: float
    calls: tuple[Call, ...] = ()
    refuse_code: int = 0
    refuse_chance: float = 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """One service: its routes, its version, and how long it waits for the services it calls."""

    name: str
    routes: tuple[Route, ...]
    version: str
    timeout_ms: int = 800

    @property
    def peers(self) -> tuple[str, ...]:
        """Services it calls, sorted."""
        return tuple(sorted({call.peer for route in self.routes for call in route.calls}))


SHOP: dict[str, Plan] = {
    plan.name: plan
    for plan in (
        Plan(
            "gateway",
            (
                Route("/", 2.0, (Call("catalog", "/products"),)),
                Route("/product", 2.0, (Call("catalog", "/product"),)),
                Route("/search", 2.0, (Call("catalog", "/find"),)),
                Route("/cart", 2.0, (Call("cart", "/view"),)),
                Route("/cart/add", 2.0, (Call("cart", "/add"),)),
                Route("/checkout", 3.0, (Call("checkout", "/order"),)),
            ),
            "5.2.0",
            # Longer than what any callee waits, so that the callee's own verdict comes first.
            timeout_ms=2_000,
        ),
        Plan(
            "catalog",
            (
                Route("/products", 6.0, (Call("search", "/rank", 0.5),)),
                Route("/product", 5.0, (Call("search", "/similar", 0.5),), 404, 0.01),
                Route("/find", 4.0, (Call("search", "/query"),)),
            ),
            "3.8.1",
        ),
        Plan(
            "search",
            (Route("/query", 14.0), Route("/rank", 9.0), Route("/similar", 11.0)),
            "8.1.4",
        ),
        Plan(
            "cart",
            (Route("/view", 5.0), Route("/add", 6.0, (Call("inventory", "/reserve"),))),
            "2.4.7",
        ),
        Plan(
            "checkout",
            (
                Route(
                    "/order",
                    8.0,
                    (
                        Call("inventory", "/commit"),
                        Call("payment", "/authorize"),
                        Call("shipping", "/quote"),
                    ),
                ),
            ),
            "4.0.3",
        ),
        Plan("inventory", (Route("/reserve", 5.0), Route("/commit", 7.0)), "1.9.2"),
        Plan("payment", (Route("/authorize", 22.0, (), 402, 0.03),), "2.14.0"),
        Plan("shipping", (Route("/quote", 12.0),), "1.3.5"),
    )
}
"""Every service of the shop by name, callers before the services they call."""
