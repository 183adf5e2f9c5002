"""Remote write as `benchmarks.intake` measures it: requests of 2,000 series, made up as a Prometheus sends them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import ModuleType, SimpleNamespace
from typing import Any

import cramjam
import numpy as np

from benchmarks.intake_measure import Pushing, cpu_rate, end_to_end
from benchmarks.report import Row
from collectors import remote_write1, remote_write2, snappy
from collectors.remote_messages import Request1, Request2
from collectors.remote_series import Book
from collectors.senders import Senders
from collectors.watermark import Watermark
from model.series import SeriesIndex

_START_MS = 1_700_000_000_000
_PER_REQUEST = 2_000
_BYTES_MAX = 32 * 2**20
_PARTS_MAX = 400_000
_BOUNDS = ("0.005", "0.01", "0.05", "0.1", "0.5", "1", "2.5", "5", "10", "+Inf")

Labels = tuple[tuple[str, str], ...]


def series(count: int) -> list[Labels]:
    """Labels of series: buckets of requests to many pods; sorted by name, as they must be."""
    made: list[Labels] = []
    for number in range(count):
        pod, bound = divmod(number, len(_BOUNDS))
        made.append(
            (
                ("__name__", "http_request_duration_seconds_bucket"),
                ("code", "200" if pod % 7 else "500"),
                ("handler", f"/api/v1/resource{pod % 97}/items"),
                ("instance", f"10.1.{pod // 250}.{pod % 250}:9100"),
                ("job", "shop"),
                ("le", _BOUNDS[bound]),
                ("pod", f"payment-7d9f4c6b5-{pod:05}"),
                ("service", f"s{pod % 20}"),
            )
        )
    return made


def encode1(many: Sequence[Labels], values: Sequence[float], time_ms: int) -> bytes:
    """A 1.0 request, compressed."""
    request = Request1()
    for labels, value in zip(many, values, strict=True):
        one = request.timeseries.add()
        for name, text in labels:
            one.labels.add(name=name.encode(), value=text.encode())
        one.samples.add(value=value, timestamp=time_ms)
    return bytes(cramjam.snappy.compress_raw(request.SerializeToString()))


def encode2(many: Sequence[Labels], values: Sequence[float], time_ms: int) -> bytes:
    """A 2.0 request, compressed."""
    request, numbers = Request2(), {"": 0}
    for labels, value in zip(many, values, strict=True):
        one = request.timeseries.add()
        one.labels_refs.extend(numbers.setdefault(t, len(numbers)) for pair in labels for t in pair)
        one.samples.add(value=value, timestamp=time_ms)
        one.metadata.type = 3
        one.metadata.help_ref = numbers.setdefault("how long requests take", len(numbers))
    request.symbols.extend(text.encode() for text in numbers)
    return bytes(cramjam.snappy.compress_raw(request.SerializeToString()))


def rounds(encode: Any, count: int, times: Sequence[int]) -> Iterator[list[bytes]]:
    """The requests of each round: every series once, a fifth of the values 0."""
    rng = np.random.default_rng(4)
    many = series(count)
    totals = np.zeros(count)
    for time_ms in times:
        totals += rng.poisson(2.0, count) * (np.arange(count) % 5 > 0)
        yield [
            encode(many[at : at + _PER_REQUEST], totals[at : at + _PER_REQUEST].tolist(), time_ms)
            for at in range(0, count, _PER_REQUEST)
        ]


def ours(version: ModuleType, made: list[list[bytes]]) -> Iterator[tuple[list[bytes], Any]]:
    """What takes a round's requests from body to `MetricBatch`."""
    book = Book()
    door: Any = SimpleNamespace(
        index=SeriesIndex(),
        samples=Watermark(lateness_ms=600_000, future_ms=60_000),
        senders=Senders(),
    )

    def work(bodies: list[bytes]) -> int:
        taken = 0
        for body in bodies:
            data = snappy.unpack(body, bytes_max=_BYTES_MAX)
            push, _ = version.read(data, book, "bench", parts_max=_PARTS_MAX)
            taken += sum(len(batch) for batch in push.batches(door, _START_MS))
        return taken

    for bodies in made:
        yield bodies, work


def walk1(bodies: list[bytes]) -> int:
    """Plain protobuf: every label and sample of a 1.0 request looked at."""
    taken = 0
    for body in bodies:
        for one in Request1.FromString(snappy.unpack(body, bytes_max=_BYTES_MAX)).timeseries:
            _labels = tuple((label.name, label.value) for label in one.labels)
            for sample in one.samples:
                _sample = (sample.timestamp, sample.value)
                taken += 1
    return taken


def walk2(bodies: list[bytes]) -> int:
    """Plain protobuf: every label and sample of a 2.0 request looked at."""
    taken = 0
    for body in bodies:
        request = Request2.FromString(snappy.unpack(body, bytes_max=_BYTES_MAX))
        symbols = list(request.symbols)
        for one in request.timeseries:
            _labels = tuple(symbols[ref] for ref in one.labels_refs)
            for sample in one.samples:
                _sample = (sample.timestamp, sample.value)
                taken += 1
    return taken


def parse1(bodies: list[bytes]) -> int:
    """Protobuf alone: a 1.0 request parsed, nothing of it looked at."""
    messages = [Request1.FromString(snappy.unpack(b, bytes_max=_BYTES_MAX)) for b in bodies]
    return sum(len(message.timeseries) for message in messages)


def parse2(bodies: list[bytes]) -> int:
    """Protobuf alone: a 2.0 request parsed, nothing of it looked at."""
    messages = [Request2.FromString(snappy.unpack(b, bytes_max=_BYTES_MAX)) for b in bodies]
    return sum(len(message.timeseries) for message in messages)


def measure(count: int) -> list[Row]:
    """Body to `MetricBatch`, both versions."""
    rows = []
    for name, version, encode, walk, parse in (
        ("1.0", remote_write1, encode1, walk1, parse1),
        ("2.0", remote_write2, encode2, walk2, parse2),
    ):
        made = list(rounds(encode, count, [_START_MS + 1_000 * n for n in range(6)]))
        first, known = cpu_rate(ours(version, made))
        _, walked = cpu_rate((bodies, walk) for bodies in made)
        _, parsed = cpu_rate((bodies, parse) for bodies in made)
        subject = f"remote write {name}, {count:,} series"
        unit, measured = "1/s", "intake_samples_per_s"
        rows += [
            Row(measured, subject, known, unit, "protobuf, each label read", known / walked),
            Row(measured, subject, known, unit, "protobuf, parsed only", known / parsed),
            Row("intake_first_samples_per_s", subject, first, unit),
        ]
    return rows


def measure_end_to_end(count: int, now_ms: int) -> list[Row]:
    """From the socket of a real Tocsin to samples that its detectors have judged."""
    rows = []
    for name, encode, kind in (
        ("1.0", encode1, "prometheus.WriteRequest"),
        ("2.0", encode2, "io.prometheus.write.v2.Request"),
    ):
        times = [now_ms - 200_000 + 10_000 * n for n in range(20)]
        headers = {
            "Content-Type": f"application/x-protobuf;proto={kind}",
            "Content-Encoding": "snappy",
        }
        pushing = Pushing("/api/v1/write", headers, rounds(encode, count, times), count)
        subject = f"remote write {name}, {count:,} series, socket to detectors"
        rows.append(Row("intake_end_to_end_samples_per_s", subject, end_to_end(pushing), "1/s"))
    return rows
