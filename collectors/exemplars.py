"""Exemplars: one observation of many, with the trace it was seen in; sent as such, or chosen from spans."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from collectors.spans import LATENCY, Span, SpanKind
from model.errors import InputError
from model.labels import Labels
from model.series import NAME

CHARACTERS_MAX = 1_024
"""Of all names and values of one exemplar; OpenMetrics 1.0 allows 128."""


OF_SPANS_MAX = 3
"""Spans of one service and request that are examples: those that failed, then the slowest."""


@dataclass(frozen=True, slots=True)
class Exemplar:
    """An observation that a sender chose as an example.

    Attributes
    ----------
    series : Labels
        What it was counted in.
    labels : Labels
        What is said of it: usually `trace_id`.
    time_ms : int
    value : float
        In the series' unit.
    failed : bool
        Whether what was observed is known to have failed.
    """

    series: Labels
    labels: Labels
    time_ms: int
    value: float
    failed: bool = False

    @property
    def trace_id(self) -> str:
        """The trace it was seen in, or ""."""
        return self.labels.get("trace_id", "") or self.labels.get("traceID", "")


def exemplar_labels(pairs: Sequence[tuple[bytes, bytes]]) -> Labels:
    """Labels of an exemplar; there may be none.

    Raises
    ------
    InputError
        If they are not valid.

    Examples
    --------
    >>> str(exemplar_labels([(b"trace_id", b"4bf92f35")]))
    '{trace_id="4bf92f35"}'
    """
    try:
        texts = [(name.decode("utf-8"), value.decode("utf-8")) for name, value in pairs]
    except UnicodeDecodeError:
        raise InputError("labels of an exemplar must be UTF-8") from None
    if any(not name for name, _ in texts) or len(dict(texts)) < len(texts):
        raise InputError("labels of an exemplar must have names, each once")
    if sum(len(name) + len(value) for name, value in texts) > CHARACTERS_MAX:
        raise InputError(f"labels of an exemplar must have at most {CHARACTERS_MAX} characters")
    return Labels.of([(name, value) for name, value in texts if value])


def of_spans(spans: Iterable[Span]) -> list[Exemplar]:
    """The spans of each service that tell most: what it served and failed at, or took long for.

    Examples
    --------
    >>> some = [Span("cart", SpanKind.SERVER, bytes([n]), b"s", b"", 0, n / 10, n == 2) for n in range(1, 6)]
    >>> [(one.trace_id, one.value, one.failed) for one in of_spans(some)]
    [('02', 0.2, True), ('05', 0.5, False), ('04', 0.4, False)]
    """
    served: dict[str, list[Span]] = {}
    for span in spans:
        if span.kind in (SpanKind.SERVER, SpanKind.CONSUMER):
            served.setdefault(span.service, []).append(span)
    return [
        Exemplar(
            Labels.of({NAME: LATENCY, "service": service}),
            Labels.of({"trace_id": span.trace_id.hex()}),
            span.end_ms,
            span.seconds,
            span.failed,
        )
        for service, some in served.items()
        for span in sorted(some, key=lambda one: (one.failed, one.seconds), reverse=True)[
            :OF_SPANS_MAX
        ]
    ]
