"""OTLP as `benchmarks.intake` measures it: requests as a Collector sends them for many pods of many services."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from benchmarks.intake_measure import Pushing, cpu_rate, end_to_end
from benchmarks.report import Row
from collectors.otlp_deltas import Deltas
from collectors.otlp_metrics import MetricReader
from collectors.otlp_settings import OtlpSettings
from collectors.watermark import Watermark
from model.series import SeriesIndex

_START_MS = 1_700_000_000_000
_POINTS = 20  # of a pod
_PODS_PER_REQUEST = 25
_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
_OF_HISTOGRAM = len(_BOUNDS) + 3
"""Samples of one point: its buckets, the infinite one, count and sum."""


def _request(pods: range, time_ms: int, values: Any, histograms: bool) -> bytes:
    made = ExportMetricsServiceRequest()
    for pod in pods:
        of_resource = made.resource_metrics.add()
        for name, text in (
            ("service.name", f"s{pod % 20}"),
            ("service.namespace", "shop"),
            ("service.instance.id", f"payment-7d9f4c6b5-{pod:05}"),
            ("telemetry.sdk.language", "java"),
        ):
            of_resource.resource.attributes.add(key=name).value.string_value = text
        metrics = of_resource.scope_metrics.add().metrics
        if histograms:
            metric = metrics.add(name="http.server.request.duration", unit="s")
            data: Any = metric.histogram
        else:
            metric = metrics.add(name="shop.orders", unit="{order}")
            data = metric.sum
            data.is_monotonic = True
        data.aggregation_temporality = 2
        for number in range(_POINTS):
            point = data.data_points.add(time_unix_nano=time_ms * 1_000_000)
            value = int(values[pod % len(values)]) + number
            for name, text in (
                ("http.route", f"/api/v1/resource{number}/items"),
                ("http.request.method", "GET"),
                ("url.scheme", "https"),
            ):
                point.attributes.add(key=name).value.string_value = text
            point.attributes.add(key="http.response.status_code").value.int_value = 200
            if histograms:
                point.count, point.sum = value * (len(_BOUNDS) + 1), value * 0.1
                point.explicit_bounds.extend(_BOUNDS)
                point.bucket_counts.extend([value] * (len(_BOUNDS) + 1))
            else:
                point.as_int = value
    return made.SerializeToString()


def rounds(series: int, times: Sequence[int], *, histograms: bool) -> Iterator[list[bytes]]:
    """The requests of each round: every series once."""
    rng = np.random.default_rng(4)
    pods = max(1, series // (_POINTS * (_OF_HISTOGRAM if histograms else 1)))
    totals = np.zeros(97)
    for time_ms in times:
        totals += rng.poisson(2.0, len(totals))
        yield [
            _request(range(at, min(pods, at + _PODS_PER_REQUEST)), time_ms, totals, histograms)
            for at in range(0, pods, _PODS_PER_REQUEST)
        ]


def _ours(made: list[list[bytes]]) -> Iterator[tuple[list[bytes], Any]]:
    reader, settings, index = MetricReader(), OtlpSettings(), SeriesIndex()
    samples = Watermark(lateness_ms=600_000, future_ms=60_000)
    door: Any = SimpleNamespace(index=index, samples=samples, deltas=Deltas(index))

    def work(bodies: list[bytes]) -> int:
        taken = 0
        for body in bodies:
            push, _ = reader.read_body(body, settings, source="bench", now_ms=_START_MS)
            taken += sum(len(batch) for batch in push.batches(door, _START_MS))
        return taken

    for bodies in made:
        yield bodies, work


def _walk(bodies: list[bytes]) -> int:
    """Plain protobuf: every attribute and value looked at."""
    taken = 0
    for body in bodies:
        request = ExportMetricsServiceRequest.FromString(body)
        for of_resource in request.resource_metrics:
            for of_scope in of_resource.scope_metrics:
                for metric in of_scope.metrics:
                    shape: Any = getattr(metric, metric.WhichOneof("data") or "")
                    for point in shape.data_points:
                        _labels = [(kv.key, kv.value.string_value) for kv in point.attributes]
                        if metric.HasField("sum"):
                            _value = point.time_unix_nano, point.as_int
                            taken += 1
                        else:
                            _values = list(point.explicit_bounds), list(point.bucket_counts)
                            _total = point.time_unix_nano, point.count, point.sum
                            taken += _OF_HISTOGRAM
    return taken


def _parse(bodies: list[bytes], samples: int) -> int:
    """Protobuf alone: parsed, nothing of it looked at."""
    messages = [ExportMetricsServiceRequest.FromString(body) for body in bodies]
    return samples if messages else 0


def measure(count: int) -> list[Row]:
    """Body to `MetricBatch`, counters and histograms."""
    rows = []
    for name, histograms in (("counters", False), ("histograms", True)):
        times = [_START_MS + 15_000 * n for n in range(6)]
        made = list(rounds(count, times, histograms=histograms))
        first, known = cpu_rate(_ours(made))
        _, walked = cpu_rate((bodies, _walk) for bodies in made)
        # What is only parsed counts as the samples that it holds.
        weighed = partial(_parse, samples=_walk(made[0]))
        _, parsed = cpu_rate((bodies, weighed) for bodies in made)
        subject = f"OTLP {name}, {count:,} series"
        unit, measured = "1/s", "intake_samples_per_s"
        rows += [
            Row(measured, subject, known, unit, "protobuf, each attribute read", known / walked),
            Row(measured, subject, known, unit, "protobuf, parsed only", known / parsed),
            Row("intake_first_samples_per_s", subject, first, unit),
        ]
    return rows


def measure_end_to_end(count: int, now_ms: int) -> list[Row]:
    """Socket to detectors, histograms."""
    times = [now_ms - 200_000 + 10_000 * n for n in range(20)]
    pushing = Pushing(
        "/v1/metrics",
        {"Content-Type": "application/x-protobuf"},
        rounds(count, times, histograms=True),
        max(1, count // (_POINTS * _OF_HISTOGRAM)) * _POINTS * _OF_HISTOGRAM,
    )
    subject = f"OTLP histograms, {count:,} series, socket to detectors"
    return [Row("intake_end_to_end_samples_per_s", subject, end_to_end(pushing), "1/s")]
