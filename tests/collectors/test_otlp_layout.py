"""OTLP metrics by where their numbers stand: the same as reading every request with care."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import Exemplar

from collectors.otlp_deltas import Deltas
from collectors.otlp_layout import Unusual, places
from collectors.otlp_metrics import MetricReader
from collectors.otlp_push import Rejected
from collectors.otlp_settings import OtlpSettings
from collectors.settings import WatermarkSettings
from collectors.watermark import Watermark
from model.errors import InputError
from model.series import SeriesIndex

NOW = 1_700_000_000_000
NANO = NOW * 1_000_000
LIMITS = OtlpSettings(labels_max=3)

POINTS = st.fixed_dictionaries(
    {
        "value": st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.floats()),
        "route": st.sampled_from(["/a", "/b", "/much/longer"]),
        "time": st.sampled_from([0, NANO, NANO - 5_000_000]),
        "start": st.sampled_from([0, 1]),
        "more": st.sampled_from(["", "", "", "exemplar", "flags", "labels"]),
    }
)
METRICS = st.tuples(
    st.sampled_from(["gauge", "counter", "sum", "delta", "histogram", "none", "nameless"]),
    st.lists(POINTS, max_size=4),
)
REQUESTS = st.lists(st.tuples(st.sampled_from("xy"), st.lists(METRICS, max_size=3)), max_size=3)


def request(resources: list[Any], bump: int = 0) -> bytes:
    made = ExportMetricsServiceRequest()
    for name, metrics in resources:
        of_resource = made.resource_metrics.add()
        of_resource.resource.attributes.append(pair("service.name", name))
        scope = of_resource.scope_metrics.add()
        for kind, points in metrics:
            metric = scope.metrics.add(name="" if kind == "nameless" else f"m.{kind}", unit="s")
            if kind == "none":
                continue
            data: Any = metric.gauge if kind in ("gauge", "nameless") else metric.sum
            if kind == "histogram":
                data = metric.histogram
            if data is not metric.gauge:
                data.aggregation_temporality = 1 if kind == "delta" else 2
            if data is metric.sum:
                data.is_monotonic = kind != "sum"
            for point in points:
                _add(data, point, kind, bump)
    return made.SerializeToString()


def pair(key: str, value: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=value))


def _add(data: Any, point: dict[str, Any], kind: str, bump: int) -> None:
    made = data.data_points.add(time_unix_nano=point["time"], start_time_unix_nano=point["start"])
    made.attributes.append(pair("route", point["route"]))
    if point["more"] == "labels":
        made.attributes.extend(pair(f"l{n}", "") for n in range(4))
    made.flags = 1 if point["more"] == "flags" else 0
    if kind == "histogram":
        made.explicit_bounds.extend((0.1, 1.0))
        made.bucket_counts.extend((bump, 2, 3))
        made.count, made.sum = 5 + bump, 1.5
    elif isinstance(point["value"], int):
        made.as_int = max(min(point["value"] + bump, 2**63 - 1), -(2**63))
    elif point["value"] is not None:
        made.as_double = point["value"] + bump
    if point["more"] == "exemplar":
        made.exemplars.append(Exemplar(as_int=1))


class Taking:
    """A reader, and the pipeline's door behind it."""

    def __init__(self) -> None:
        self.reader, self.index = MetricReader(), SeriesIndex()
        samples = Watermark.for_samples(WatermarkSettings())
        self.door: Any = SimpleNamespace(
            index=self.index, samples=samples, deltas=Deltas(self.index)
        )

    def told(self, push: Any, rejected: Rejected) -> tuple[Any, ...]:
        found = [
            (str(self.index.labels(row)), at_ms, np.float64(value).tobytes())
            for batch in push.batches(self.door, NOW)
            for row, at_ms, value in zip(
                batch.rows.tolist(), batch.times_ms.tolist(), batch.values.tolist(), strict=True
            )
        ]
        kinds = {
            name: (kind, str(push.series[first])) for name, (kind, first) in push.kinds.items()
        }
        return sorted(found), rejected.count, rejected.message, kinds

    def by_layout(self, body: bytes) -> tuple[Any, ...]:
        return self.told(*self.reader.read_body(body, LIMITS, source="s", now_ms=NOW))

    def with_care(self, body: bytes) -> tuple[Any, ...]:
        message = ExportMetricsServiceRequest.FromString(body)
        return self.told(*MetricReader().read(message, LIMITS, source="s", now_ms=NOW))


@settings(deadline=None)
@given(st.lists(REQUESTS, min_size=1, max_size=3))
def test_twin_by_layout_is_as_with_care(requests: list[Any]) -> None:
    quick, careful = Taking(), Taking()
    for bump in (0, 1, 2):
        for resources in requests:
            body = request(resources, bump)
            assert quick.by_layout(body) == careful.with_care(body)


@settings(deadline=None)
@given(REQUESTS, st.data())
def test_a02_one_byte_that_differs_is_noticed(resources: list[Any], data: st.DataObject) -> None:
    """Wherever a byte is turned after a layout was learnt: what comes is what a parser says, or its refusal."""
    body = bytearray(request(resources))
    if not body:
        return
    quick, careful = Taking(), Taking()
    assert quick.by_layout(bytes(body)) == careful.with_care(bytes(body))
    body[data.draw(st.integers(0, len(body) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        wanted = careful.with_care(bytes(body))
    except Exception:  # protobuf has several
        with pytest.raises(InputError, match="body: (not a |must be protobuf)"):
            quick.by_layout(bytes(body))
        return
    assert quick.by_layout(bytes(body)) == wanted


def test_a_resource_whose_points_are_plain_is_not_parsed_again() -> None:
    point = {"value": 3, "route": "/a", "time": NANO, "start": 0, "more": ""}
    resources = [("x", [("counter", [point]), ("histogram", [point])])]
    taking = Taking()
    taking.by_layout(request(resources))
    book = taking.reader._books.of("s", "otlp")
    (layout, changes), *_ = book.layouts.values()
    assert changes == 1 and len(layout.slots) == 1 and len(layout.places.others) == 1
    part = request(resources, bump=4)
    found = layout.match(part[-len(layout.seen) :])
    assert found is not None and found[1].tolist() == [7.0]


def test_a23_a_resource_that_changes_each_time_is_not_learnt_each_time() -> None:
    taking = Taking()
    for number in range(20):
        point = {"value": 3, "route": f"/{number:03}", "time": NANO, "start": 0, "more": ""}
        taking.by_layout(request([("x", [("counter", [point])])]))
    ((_, changes),) = taking.reader._books.of("s", "otlp").layouts.values()
    assert changes == 9


@pytest.mark.parametrize(
    "body", [b"\x12\x04\x12\x02\x08", b"\x80", b"\x12\x02\x0d\x00", b"\x12\x05"]
)
def test_what_is_cut_off_has_no_places(body: bytes) -> None:
    with pytest.raises(Unusual):
        places(body)
