"""What can be set about OTLP."""

from __future__ import annotations

from dataclasses import dataclass

from model.units import Milliseconds


@dataclass(frozen=True, slots=True)
class OtlpSettings:
    """How much of what OTLP brings is taken up, and what becomes of traces.

    Attributes
    ----------
    samples_max : int
        Samples of one request (a histogram's point is one for each bucket and two); what is beyond them
        is rejected and counted.
    records_max : int
        Log records, or spans, of one request.
    labels_max : int
        Attributes of one data point; a point with more is rejected.
    buckets_max : int
        Buckets of one histogram's point; a point with more is rejected.
    spans_interval_ms : duration
        How often what was counted of spans becomes samples.
    spans_waiting_max : int
        Spans that wait for the other end of their call; the oldest are forgotten beyond it.
    spans_wait_ms : duration
        How long they wait.
    services_max, edges_max : int
        Services, and calls between two of them, that one source's spans may tell of; more are counted.
    services_keep_ms : duration
        A service without spans for this long is forgotten.
    """

    samples_max: int = 200_000
    records_max: int = 50_000
    labels_max: int = 40
    buckets_max: int = 200
    spans_interval_ms: Milliseconds = 5_000
    spans_waiting_max: int = 100_000
    spans_wait_ms: Milliseconds = 60_000
    services_max: int = 1_000
    edges_max: int = 5_000
    services_keep_ms: Milliseconds = 86_400_000
