"""A service's metrics, by prometheus-client: RED for what it serves, the same for what it calls.

The label `service` is not set here: the scrape target's labels bring it (`Shop.targets`), so that
`up` and the process metrics carry it too.
"""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import choose_encoder

from pipeline.demo.blueprint import Plan

BUCKETS_S = (0.005, 0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.0, 5.0)
FAILURES = ("500", "502", "503")


class Instruments:
    """The registry of one service process."""

    def __init__(self, plan: Plan) -> None:
        # `_created` samples double the series and say nothing here.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "http_requests", "Requests served.", ("route", "code"), registry=self.registry
        )
        self.durations = Histogram(
            "http_request_duration_seconds",
            "Time to serve a request.",
            ("route",),
            buckets=BUCKETS_S,
            registry=self.registry,
        )
        self.in_flight = Gauge(
            "http_requests_in_flight", "Requests being served.", registry=self.registry
        )
        self.calls = Counter(
            "client_requests", "Calls to other services.", ("peer", "code"), registry=self.registry
        )
        self.call_durations = Histogram(
            "client_request_duration_seconds",
            "Time until another service answered.",
            ("peer",),
            buckets=BUCKETS_S,
            registry=self.registry,
        )
        self._build = Gauge(
            "build_info", "Constant 1, labelled by version.", ("version",), registry=self.registry
        )
        self.set_version(plan.version)
        self._begin_at_zero(plan)

    def _begin_at_zero(self, plan: Plan) -> None:
        # A counter that appears with its first failure hides that failure from every rate.
        for route in plan.routes:
            refusals = (str(route.refuse_code),) if route.refuse_code else ()
            for code in ("200", *refusals, *FAILURES):
                self.requests.labels(route.path, code)
            self.durations.labels(route.path)
        for peer in plan.peers:
            for code in ("200", *FAILURES, "timeout", "refused"):
                self.calls.labels(peer, code)
            self.call_durations.labels(peer)

    def set_version(self, version: str) -> None:
        """Say that this version runs from now on."""
        self._build.clear()
        self._build.labels(version).set(1)

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """The scrape's body and its content type, in the format that `accept` asks for."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type
