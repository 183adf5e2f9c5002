"""Spans counted: requests, errors and durations of each service, and who calls whom.

What was counted becomes series at a steady pace, under the names that Grafana Tempo's metrics generator
gives them: a site that has one sends us the same. A call is known by its two ends, the caller's span of
kind client or producer and the callee's of kind server or consumer whose parent it is; where
the callee sends no spans, by the name that the caller gives it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TypeVar

from collectors.base import Counters
from collectors.otlp_settings import OtlpSettings
from model.batch import MetricBatch
from model.labels import Labels
from model.series import NAME, SeriesIndex

K = TypeVar("K")

CALLS = "traces_spanmetrics_calls_total"
LATENCY = "traces_spanmetrics_latency"
EDGE = "traces_service_graph_request_total"
EDGE_FAILED = "traces_service_graph_request_failed_total"

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 30.0)
"""Seconds: the buckets that OpenTelemetry advises for http.server.request.duration, and one more."""
SILENT_MS = 60_000
"""A source that has sent no spans at all for this long is not said to have had no requests."""


class SpanKind(IntEnum):
    """OpenTelemetry's kinds of spans."""

    INTERNAL = 1
    SERVER = 2
    CLIENT = 3
    PRODUCER = 4
    CONSUMER = 5


@dataclass(frozen=True, slots=True)
class Span:
    """What is kept of a span.

    Attributes
    ----------
    parent_id : bytes
        b"" for the first of a trace.
    peer : str
        Whom a client's span says it calls; "" where it does not.
    """

    service: str
    kind: int
    trace_id: bytes
    span_id: bytes
    parent_id: bytes
    end_ms: int
    seconds: float
    failed: bool
    peer: str = ""


@dataclass(slots=True)
class _Red:
    """Totals of one service and kind of span."""

    source: str
    seen_ms: int = 0
    ok: int = 0
    failed: int = 0
    seconds: float = 0.0
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    series: tuple[Labels, ...] = ()

    def add(self, span: Span, now_ms: int) -> None:
        self.seen_ms = now_ms
        self.failed += span.failed
        self.ok += not span.failed
        self.seconds += span.seconds
        self.buckets[bisect_left(BOUNDS, span.seconds)] += 1

    def values(self) -> Iterator[float]:
        yield self.ok
        yield self.failed
        total = 0
        for count in self.buckets:
            total += count
            yield total
        yield total
        yield self.seconds


@dataclass(slots=True)
class _Edge:
    """Calls from one service to another."""

    source: str
    seen_ms: int = 0
    calls: int = 0
    failed: int = 0
    series: tuple[Labels, ...] = ()


@dataclass(slots=True)
class _End:
    """One end of a call that waits for the other: of the caller, or several of callees."""

    at_ms: int
    source: str
    caller: str = ""
    peer: str = ""
    failed: bool = False
    met: bool = False
    callees: list[tuple[str, bool]] = field(default_factory=list)


class SpanBook:
    """Counts spans; for the pipeline's thread alone.

    Totals begin at zero after a restart, as those of any process do.

    Examples
    --------
    >>> book, index = SpanBook(OtlpSettings()), SeriesIndex()
    >>> call = Span("cart", SpanKind.CLIENT, b"t", b"1", b"", 0, 0.2, False)
    >>> served = Span("stock", SpanKind.SERVER, b"t", b"2", b"1", 0, 0.1, True)
    >>> book.take([served, call], source="shop", now_ms=1_000)
    >>> (batch,) = book.samples(index, 10_000)
    >>> [str(index.labels(row)) for row in batch.rows.tolist()][-2]
    '{__name__="traces_service_graph_request_total", client="cart", server="stock"}'
    """

    def __init__(self, settings: OtlpSettings) -> None:
        self._settings = settings
        self._red: dict[tuple[str, int], _Red] = {}
        self._edges: dict[tuple[str, str], _Edge] = {}
        self._of_source: dict[tuple[str, str], int] = {}
        self._waiting: OrderedDict[tuple[bytes, bytes], _End] = OrderedDict()
        self._heard_ms: dict[str, int] = {}
        self._told_ms = 0
        self.spans = self.refused = self.forgotten = 0

    def take(self, spans: Iterable[Span], *, source: str, now_ms: int) -> None:
        """Count spans that a source sent."""
        self._heard_ms[source] = now_ms
        for span in spans:
            self.spans += 1
            if span.kind in (SpanKind.SERVER, SpanKind.CONSUMER):
                self._count(span, source, now_ms)
                if span.parent_id:
                    self._answered(span, source, now_ms)
            elif span.kind in (SpanKind.CLIENT, SpanKind.PRODUCER):
                self._called(span, source, now_ms)
        while len(self._waiting) > self._settings.spans_waiting_max:
            self.forgotten += 1
            self._leave(*self._waiting.popitem(last=False), now_ms=now_ms)

    def _count(self, span: Span, source: str, now_ms: int) -> None:
        red = self._red.get((span.service, span.kind))
        if red is None:
            if not self._room("services", source, 2 * self._settings.services_max):
                return
            red = self._red[span.service, span.kind] = _Red(source)
        red.add(span, now_ms)

    def _room(self, what: str, source: str, most: int) -> bool:
        """Whether a source may bring one more."""
        used = self._of_source.get((what, source), 0)
        if used >= most:
            self.refused += 1
            return False
        self._of_source[what, source] = used + 1
        return True

    def _called(self, span: Span, source: str, now_ms: int) -> None:
        end = self._end((span.trace_id, span.span_id), source, now_ms)
        end.caller, end.peer, end.failed = span.service, span.peer, span.failed
        for callee, failed in end.callees:
            self._edge(span.service, callee, failed, source, now_ms)
        end.met, end.callees = bool(end.callees), []

    def _answered(self, span: Span, source: str, now_ms: int) -> None:
        end = self._end((span.trace_id, span.parent_id), source, now_ms)
        if end.caller:
            end.met = True
            self._edge(end.caller, span.service, span.failed, source, now_ms)
        elif len(end.callees) < 100:
            end.callees.append((span.service, span.failed))

    def _end(self, key: tuple[bytes, bytes], source: str, now_ms: int) -> _End:
        end = self._waiting.get(key)
        if end is None:
            end = self._waiting[key] = _End(now_ms, source)
        return end

    def _leave(self, key: tuple[bytes, bytes], end: _End, *, now_ms: int) -> None:
        """No other end will come: the caller's word for the callee is all there is."""
        if end.caller and end.peer and not end.met:
            self._edge(end.caller, end.peer, end.failed, end.source, now_ms)

    def _edge(self, caller: str, callee: str, failed: bool, source: str, now_ms: int) -> None:
        if not caller or not callee or caller == callee:
            return
        edge = self._edges.get((caller, callee))
        if edge is None:
            if not self._room("edges", source, self._settings.edges_max):
                return
            edge = self._edges[caller, callee] = _Edge(source)
        edge.seen_ms = now_ms
        edge.calls += 1
        edge.failed += failed

    def samples(self, index: SeriesIndex, now_ms: int) -> list[MetricBatch]:
        """Totals so far, where it is time to tell them; a batch for each source."""
        while self._waiting:
            key, end = next(iter(self._waiting.items()))
            if end.at_ms > now_ms - self._settings.spans_wait_ms:
                break
            del self._waiting[key]
            self._leave(key, end, now_ms=now_ms)
        if now_ms - self._told_ms < self._settings.spans_interval_ms:
            return []
        self._told_ms = now_ms
        self._forget(now_ms)
        found = []
        for source, heard_ms in list(self._heard_ms.items()):
            if heard_ms < now_ms - SILENT_MS:
                del self._heard_ms[source]
                continue
            batch = self._batch(index, source, now_ms)
            if len(batch):
                index.touch(batch.rows, now_ms)
                found.append(batch)
        return found

    def _batch(self, index: SeriesIndex, source: str, now_ms: int) -> MetricBatch:
        rows: list[int] = []
        values: list[float] = []
        for (service, kind), red in self._red.items():
            if red.source == source:
                red.series = red.series or tuple(_red_series(service, SpanKind(kind)))
                rows += [index.intern(ls, source=source, now_ms=now_ms) for ls in red.series]
                values += red.values()
        for (caller, callee), edge in self._edges.items():
            if edge.source == source:
                edge.series = edge.series or tuple(_edge_series(caller, callee))
                rows += [index.intern(ls, source=source, now_ms=now_ms) for ls in edge.series]
                values += (edge.calls, edge.failed)
        kept = [(row, value) for row, value in zip(rows, values, strict=True) if row >= 0]
        for name, kind_ in _KINDS.items():
            index.describe(name, kind_)
        return MetricBatch.of(
            [row for row, _ in kept],
            now_ms,
            [value for _, value in kept],
            arrival_ms=now_ms,
            source=source,
        )

    def _forget(self, now_ms: int) -> None:
        before_ms = now_ms - self._settings.services_keep_ms
        _drop(self._red, before_ms, self._of_source)
        _drop(self._edges, before_ms, self._of_source)

    def counters(self) -> Counters:
        """Running totals and gauges by metric name."""
        return {
            "tocsin_spans_total": self.spans,
            "tocsin_spans_refused_total": self.refused,
            "tocsin_spans_forgotten_total": self.forgotten,
            "tocsin_spans_waiting": len(self._waiting),
            "tocsin_spans_edges": len(self._edges),
        }


def _drop(
    held: dict[K, _Red] | dict[K, _Edge], before_ms: int, of_source: dict[tuple[str, str], int]
) -> None:
    """Forget what was seen last before a time, and give its place back."""
    for key in [key for key, one in held.items() if one.seen_ms < before_ms]:
        one = held.pop(key)
        of_source["services" if isinstance(one, _Red) else "edges", one.source] -= 1


_KINDS = {CALLS: "counter", LATENCY: "histogram", EDGE: "counter", EDGE_FAILED: "counter"}


def _red_series(service: str, kind: SpanKind) -> Iterator[Labels]:
    whose = {"service": service, "span_kind": f"SPAN_KIND_{kind.name}"}
    for status in ("STATUS_CODE_UNSET", "STATUS_CODE_ERROR"):
        yield Labels.of({**whose, NAME: CALLS, "status_code": status})
    for bound in (*map(str, BOUNDS), "+Inf"):
        yield Labels.of({**whose, NAME: f"{LATENCY}_bucket", "le": bound})
    yield Labels.of({**whose, NAME: f"{LATENCY}_count"})
    yield Labels.of({**whose, NAME: f"{LATENCY}_sum"})


def _edge_series(caller: str, callee: str) -> Iterator[Labels]:
    for name in (EDGE, EDGE_FAILED):
        yield Labels.of({NAME: name, "client": caller, "server": callee})
