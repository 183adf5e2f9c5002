"""What the client believes of a Prometheus, and what it says where it does not."""

from __future__ import annotations

import base64
import gzip
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from collectors.prometheus_api import PrometheusApi
from collectors.prometheus_settings import ApiSettings
from model.clock import SystemClock
from model.errors import PermanentError, TransientError
from model.labels import Labels
from tests.collectors.prometheus_double import Double, serving

UP = Labels.of({"__name__": "up", "job": "shop"})


@pytest.fixture
def double() -> Iterator[Double]:
    with serving(Double()) as served:
        times = np.arange(0, 600_000, 15_000, dtype=np.int64)
        served.series[UP] = (times, np.arange(len(times), dtype=np.float64))
        yield served


def client(double: Double, **settings: Any) -> PrometheusApi:
    return PrometheusApi(ApiSettings(url=double.url, tries_max=1, **settings), SystemClock())


def test_a_grid_the_samples_themselves_and_one_moment(double: Double) -> None:
    api = client(double)
    (grid,) = api.query_range('{job="shop"}', 0, 600_000, 300_000)
    assert (grid.labels, grid.values.tolist()) == (UP, [0.0, 20.0, 39.0])
    (raw,) = api.raw('{job="shop"}', 540_000, 600_000)
    assert raw.times_ms.tolist() == [555_000, 570_000, 585_000]
    (one,) = api.instant('{job="shop"}', 31_000)
    assert (one.times_ms.tolist(), one.values.tolist()) == ([31_000], [2.0])
    assert api.series('{job="shop"}', 0, 600_000, limit=5) == [UP]


def test_numbers_as_prometheus_writes_them(double: Double) -> None:
    values = np.array([np.nan, np.inf, -np.inf, 1e-310])
    double.series[UP] = (np.arange(1, 5, dtype=np.int64) * 1000, values)
    (raw,) = client(double).raw('{job="shop"}', 0, 5_000)
    assert np.array_equal(raw.values, values, equal_nan=True)


def test_credentials_and_the_tenant_are_sent(double: Double, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret\n")
    client(double, bearer_token_file=str(tmp_path / "token"), org_id="blue").instant(
        '{job="shop"}', 0
    )
    client(double, username="ann", password_file=str(tmp_path / "token")).instant('{job="shop"}', 0)
    first, second = (headers for _, _, headers in double.asked)
    assert (first["authorization"], first["x-scope-orgid"]) == ("Bearer s3cret", "blue")
    assert base64.b64decode(second["authorization"].split()[1]) == b"ann:s3cret"


def answer(double: Double, status: int, body: bytes, **headers: str) -> None:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    double.instead = lambda path, form: (status, body, named)


ERROR = json.dumps(
    {"status": "error", "errorType": "execution", "error": "too many \x1b[31msamples"}
)


@pytest.mark.parametrize(
    ("status", "body", "kind", "said"),
    [
        # The query is too heavy: trying again does not help, and it is said what does.
        (422, ERROR, PermanentError, 'answered 422.*"too many .*samples"; ask for less'),
        (400, "<html>", PermanentError, "answered 400, expected 200$"),
        (401, "", PermanentError, "answered 401.*check bearer_token_file"),
        (404, "not here", PermanentError, "is url the address of a Prometheus"),
        (503, ERROR, TransientError, 'answered 503.*"too many'),
        (200, "not json", PermanentError, "not JSON"),
        (200, "[" * 100_000, PermanentError, "not JSON"),
        (200, "[]", PermanentError, "said list where success was expected"),
        (200, ERROR, PermanentError, "without success"),
        (200, '{"status":"success"}', PermanentError, "a matrix was expected"),
        (200, '{"status":"success","data":{"resultType":"vector","result":[]}}', PermanentError, "a matrix"),
    ],
)  # fmt: skip
def test_refusals_are_sentences(double: Double, status: int, body: str, kind: Any, said: str) -> None:  # fmt: skip
    answer(double, status, body.encode())
    with pytest.raises(kind, match=said) as caught:
        client(double).query_range('{job="shop"}', 0, 1000, 1000)
    assert "\x1b" not in str(caught.value) and "127.0.0.1" not in str(caught.value)


@pytest.mark.parametrize(
    "series",
    [
        1,
        {"metric": [], "values": []},
        {"metric": {"": "x"}, "values": []},
        {"metric": {}, "values": [[1]]},
        {"metric": {}, "values": [[1, "x"]]},
        {"metric": {}, "values": [[1, {"a": 1}]]},
        {"metric": {}, "values": [{"a": 1}]},
        {"metric": {}, "values": 7},
        {"metric": {}, "values": [[1e300, "1"]]},
        {"metric": {}, "values": [["soon", "1"]]},
        {"metric": {str(i): "x" for i in range(100)}, "values": []},
    ],
)
def test_a_malformed_series_is_refused(double: Double, series: object) -> None:
    data = {"resultType": "matrix", "result": [series]}
    answer(double, 200, json.dumps({"status": "success", "data": data}).encode())
    with pytest.raises(PermanentError):
        client(double).query_range('{job="shop"}', 0, 1000, 1000)


def test_native_histograms_are_passed_over(double: Double) -> None:
    data = {"resultType": "matrix", "result": [{"metric": {}, "histograms": [[1, {}]]}]}
    answer(double, 200, json.dumps({"status": "success", "data": data}).encode())
    assert client(double).query_range('{job="shop"}', 0, 1000, 1000) == []


def test_a_long_answer_is_left_packed_or_not(double: Double) -> None:
    answer(double, 200, b"[" + b" " * 100_000 + b"]")
    with pytest.raises(TransientError, match="longer than 1000 bytes"):
        client(double, body_bytes_max=1_000).instant('{job="shop"}', 0)
    answer(double, 200, gzip.compress(b"[" + b" " * 10_000_000 + b"]"), Content_Encoding="gzip")
    with pytest.raises(TransientError, match="longer than 1000 bytes"):
        client(double, body_bytes_max=1_000).instant('{job="shop"}', 0)


def test_a_redirect_is_followed_on_the_same_host_only(double: Double) -> None:
    def moved(path: str, form: object) -> tuple[int, bytes, dict[str, str]] | None:
        return None if path.startswith("/new") else (307, b"", {"Location": "/new" + path})

    double.instead = moved
    assert len(client(double).raw('{job="shop"}', 0, 60_000)) == 1
    answer(double, 302, b"", Location="http://elsewhere.example/")
    with pytest.raises(PermanentError, match="redirects to another host"):
        client(double).instant('{job="shop"}', 0)


def test_what_passes_is_tried_again_and_no_more_than_told(double: Double) -> None:
    answer(double, 503, b"")
    api = PrometheusApi(ApiSettings(url=double.url, tries_max=2), SystemClock())
    api.close()  # nobody waits any more
    with pytest.raises(TransientError):
        api.instant('{job="shop"}', 0)
    assert len(double.asked) == 1


def test_who_drips_is_left_at_the_deadline() -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65_536)
            try:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n")
                for _ in range(899):
                    connection.sendall(b" ")
                    time.sleep(0.02)
            except OSError:
                pass

    thread = threading.Thread(target=serve)
    thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    api = PrometheusApi(ApiSettings(url=url, timeout_ms=300, tries_max=1), SystemClock())
    with pytest.raises(TransientError, match="no answer in time"):
        api.instant('{job="shop"}', 0)
    thread.join()
    listener.close()
