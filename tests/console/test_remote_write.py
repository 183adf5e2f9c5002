"""`POST /api/v1/write`: what is negotiated, what is answered, and what goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import cramjam
import numpy as np
import pytest

from collectors.remote_messages import Exemplar2, Histogram, Request1, Request2
from console.api_remote_write import PATH
from console.app import create_app
from console.exemplars import EXEMPLARS_MAX

V1 = "application/x-protobuf;proto=prometheus.WriteRequest"
V2 = "application/x-protobuf;proto=io.prometheus.write.v2.Request"
SAMPLES = "X-Prometheus-Remote-Write-Samples-Written"
HISTOGRAMS = "X-Prometheus-Remote-Write-Histograms-Written"
EXEMPLARS = "X-Prometheus-Remote-Write-Exemplars-Written"


class Receiver:
    """A console that keeps what it is fed."""

    def __init__(self, house: Any) -> None:
        self.house = house
        self.fed: list[Any] = []
        self.room = True
        house.ports = replace(house.ports, feed=self.feed)
        house.app = create_app(house.ports)
        self.client = house.client()

    def feed(self, push: Any) -> bool:
        """Take a push while there is room."""
        if self.room:
            self.fed.append(push)
        return self.room

    def post(self, body: bytes, content_type: str = V1, **headers: str) -> Any:
        """Send a body, compressed."""
        named = {"content-type": content_type, "content-encoding": "snappy", **headers}
        data = bytes(cramjam.snappy.compress_raw(body))
        return self.client.post(PATH, content=data, headers=named)

    @property
    def counters(self) -> dict[str, float]:
        """What the console counted."""
        return dict(self.house.ports.counters.values())


@pytest.fixture
def receiver(house: Any) -> Receiver:
    """A console that keeps what it is fed."""
    return Receiver(house)


def body1(*times_ms: int, name: bytes = b"up", **extra: Any) -> bytes:
    """A 1.0 request with one series."""
    request = Request1()
    series = request.timeseries.add(**extra)
    series.labels.add(name=b"__name__", value=name)
    for time_ms in times_ms:
        series.samples.add(value=1.0, timestamp=time_ms)
    return bytes(request.SerializeToString())


def body2(*times_ms: int, name: bytes = b"up", texts: Sequence[bytes] = (), **extra: Any) -> bytes:
    """A 2.0 request with one series, and more texts in its table."""
    request = Request2(symbols=[b"", b"__name__", name, b"job", b"shop", *texts])
    series = request.timeseries.add(labels_refs=[1, 2, 3, 4], **extra)
    for time_ms in times_ms:
        series.samples.add(value=1.0, timestamp=time_ms)
    return bytes(request.SerializeToString())


@pytest.mark.parametrize(
    ("content_type", "encoding", "status"),
    [
        # Both messages, by their names; 1.0 where none is named.
        ("application/x-protobuf", "snappy", 204),
        (V1, "snappy", 204),
        ("Application/X-Protobuf; proto=prometheus.WriteRequest", "Snappy", 204),
        # Senders from before there were versions, as Prometheus takes them.
        ("", "snappy", 204),
        ("application/x-protobuf", "", 204),
        # Nothing else is understood, and 415 lets a sender of 2.0 fall back to 1.0.
        ("application/x-protobuf;proto=prometheus.WriteRequest3", "snappy", 415),
        ("application/json", "snappy", 415),
        ("application/x-protobuf", "gzip", 415),
        ("application/x-protobuf", "zstd", 415),
    ],
)
def test_what_is_negotiated(receiver: Receiver, content_type: str, encoding: str, status: int) -> None:  # fmt: skip
    now_ms = receiver.house.clock.now_ms()
    headers = {"content-type": content_type, "content-encoding": encoding}
    data = bytes(cramjam.snappy.compress_raw(body1(now_ms)))
    answer = receiver.client.post(
        PATH, content=data, headers={name: value for name, value in headers.items() if value}
    )
    assert answer.status_code == status, answer.text
    assert len(receiver.fed) == (status == 204)
    assert SAMPLES not in answer.headers, "1.0 knows no such header"


def test_two_says_how_much_was_written(receiver: Receiver) -> None:
    now_ms = receiver.house.clock.now_ms()
    answer = receiver.post(body2(now_ms - 1, now_ms), V2)
    assert answer.status_code == 204 and answer.content == b""
    said = [answer.headers[name] for name in (SAMPLES, HISTOGRAMS, EXEMPLARS)]
    assert said == ["2", "0", "0"]
    (push,) = receiver.fed
    assert push.times_ms.tolist() == [now_ms - 1, now_ms]


def test_the_source_is_the_credential(receiver: Receiver) -> None:
    now_ms = receiver.house.clock.now_ms()
    token = receiver.house.token("responder", "prometheus-paris")
    assert receiver.post(body1(now_ms), **token).status_code == 204
    assert receiver.fed[0].source == "prometheus-paris"
    assert receiver.post(body1(now_ms)).status_code == 401, "nobody else is let in now"
    viewer = receiver.house.token("viewer", "ann")
    assert receiver.post(body1(now_ms), **viewer).status_code == 403


def test_what_cannot_be_used_is_400_and_the_rest_is_taken(receiver: Receiver) -> None:
    now_ms = receiver.house.clock.now_ms()
    for body, written, problem in (
        (body2(now_ms - 3_600_000, now_ms), "1", "older than 600 s"),
        (body2(now_ms + 120_000), "0", "from the future"),
        (body2(now_ms, histograms=[b"\x20\x28"]), "1", "schema 20"),
        (body2(now_ms, name=b"\xff"), "0", "UTF-8"),
        (body2(now_ms, name=b""), "0", "leave such labels out"),
    ):
        answer = receiver.post(body, V2)
        assert (answer.status_code, answer.headers[SAMPLES]) == (400, written)
        assert problem in answer.json()["error"]
        assert answer.json()["problems"][0]["where"].startswith("timeseries")
    assert receiver.counters["tocsin_remote_write_invalid_samples_total"] == 2
    assert receiver.counters["tocsin_remote_write_histograms_refused_total"] == 1


def test_native_histograms_are_counted_as_such_and_not_as_samples(receiver: Receiver) -> None:
    now_ms = receiver.house.clock.now_ms()
    fine, late = (Histogram(timestamp=now_ms - ago) for ago in (0, 3_600_000))
    sent = [one.SerializeToString() for one in (fine, late)]
    answer = receiver.post(body2(now_ms, histograms=sent), V2)
    assert (answer.status_code, answer.headers[SAMPLES], answer.headers[HISTOGRAMS]) == (
        400,
        "1",
        "1",
    )
    assert "older than 600 s" in answer.json()["error"]
    assert receiver.counters["tocsin_remote_write_histograms_total"] == 2


def exemplar(trace: bytes, value: float, time_ms: int) -> tuple[bytes, list[bytes]]:
    """A 2.0 exemplar whose labels are the texts 5 and 6 of the table, and these texts."""
    sent = Exemplar2(labels_refs=[5, 6], value=value, timestamp=time_ms)
    return bytes(sent.SerializeToString()), [b"trace_id", trace]


def test_exemplars_that_name_a_trace_are_kept(receiver: Receiver) -> None:
    now_ms = receiver.house.clock.now_ms()
    for value, trace in ((0.5, b"fast"), (2.5, b"slow"), (2.0, b"slow")):
        data, texts = exemplar(trace, value, now_ms)
        answer = receiver.post(body2(now_ms, exemplars=[data], texts=texts), V2)
        assert (answer.status_code, answer.headers[EXEMPLARS]) == (204, "1")
    kept = receiver.house.ports.exemplars.around(["shop"], now_ms - 1, now_ms + 1)
    assert [(one.trace_id, one.value) for one in kept] == [("slow", 2.5), ("fast", 0.5)]
    assert receiver.counters["tocsin_remote_write_exemplars_total"] == 3


def test_forgotten_exemplars_are_counted(receiver: Receiver) -> None:
    now_ms = receiver.house.clock.now_ms()
    for number in range(EXEMPLARS_MAX + 2):
        data, texts = exemplar(b"t%d" % number, 1.0, now_ms)
        receiver.post(body2(now_ms, exemplars=[data], texts=texts), V2)
    assert receiver.counters["tocsin_exemplars_forgotten_total"] == 2


def test_exemplars_that_are_not_valid_are_told_of(receiver: Receiver) -> None:
    now_ms = receiver.house.clock.now_ms()
    for trace, problem in ((b"\xff", "UTF-8"), (b"x" * 2_000, "at most 1024 characters")):
        data, texts = exemplar(trace, 1.0, now_ms)
        answer = receiver.post(body2(now_ms, exemplars=[data], texts=texts), V2)
        assert (answer.status_code, answer.headers[EXEMPLARS]) == (400, "0")
        assert problem in answer.json()["error"]
    assert receiver.counters["tocsin_remote_write_exemplars_refused_total"] == 2


def test_a_request_without_samples_is_fine(receiver: Receiver) -> None:
    assert receiver.post(b"").status_code == 204
    assert receiver.post(b"", V2).status_code == 204
    request = Request1()
    request.metadata.add(type=1, family=b"a_total")
    assert receiver.post(bytes(request.SerializeToString())).status_code == 204
    assert [push.kinds for push in receiver.fed] == [(("a_total", "counter"),)]


def test_where_too_much_waits_it_is_503_and_not_429(receiver: Receiver) -> None:
    receiver.room = False
    answer = receiver.post(body2(receiver.house.clock.now_ms()), V2)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert answer.headers[SAMPLES] == "0"


def test_series_that_a_limit_refused_are_told_of(receiver: Receiver) -> None:
    now_ms = receiver.house.clock.now_ms()
    receiver.post(body2(now_ms), V2)
    book = receiver.fed[0].book

    class Full:
        epoch = 0

        def intern(self, *_: Any, **__: Any) -> int:
            return -1

    book.rows(np.array([0]), Full(), source="x", now_ms=now_ms)
    answer = receiver.post(body2(now_ms), V2)
    assert (answer.status_code, answer.headers[SAMPLES]) == (400, "0")
    assert "pipeline.series_per_source_max" in answer.json()["error"]


def test_a02_bombs_and_false_lengths(receiver: Receiver) -> None:
    bomb = bytes(cramjam.snappy.compress_raw(bytes(200 * 2**20)))
    false = b"\xff\xff\xff\x0f" + b"abc"
    for data, status in ((bomb, 413), (false, 400), (b"", 400), (b"\x05hello", 400)):
        answer = receiver.client.post(
            PATH, content=data, headers={"content-type": V2, "content-encoding": "snappy"}
        )
        assert answer.status_code == status, answer.text
    large = receiver.client.post(PATH, content=bytes(5 * 2**20), headers={"content-type": V1})
    assert large.status_code == 413
    assert not receiver.fed


def test_a01_a_stranger_is_not_read(receiver: Receiver) -> None:
    receiver.house.token()
    answer = receiver.post(body1(1), authorization="Bearer wrong")
    assert answer.status_code == 401 and not receiver.fed


def test_a03_what_is_no_protobuf(receiver: Receiver) -> None:
    for body in (b"\x0a", b"\xff" * 100, b"{}", b"\x0a\x02\x0a\x05"):
        assert receiver.post(body).status_code == 400
        assert receiver.post(body, V2).status_code == 400
    assert receiver.counters["tocsin_intake_malformed_total"] == 8
    assert not receiver.fed
