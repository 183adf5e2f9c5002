"""Rude peers and broken certificates: the timeout holds, no thread is lost, nothing crashes."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.der import validity_ms
from collectors.probe_settings import (
    ProbeKind,
    ProbeTarget,
    TlsProbe,
)
from collectors.probing import Names
from tests.collectors.probing_peers import (
    CLOCK,
    HEAD,
    PATIENCE_MS,
    Authority,
    addresses,
    drips,
    http,
    https,
    pours,
    probe,
    rude,
    said,
    sends,
    silent,
    web,
)

DAY_MS = 86_400_000


def patience_ms(sentence: str) -> int:
    """Where the timeout is what is tried, so much as its sentence says; else far more: the peer may be slow to answer.

    Those peers go on for ever: that the probe comes back at all is what the timeout does.
    """
    for words, timeout_ms in ((" 300ms", 300), (" 2s", 2_000)):
        if sentence.endswith(words):
            return timeout_ms
    return PATIENCE_MS


@pytest.mark.parametrize(
    ("behave", "sentence"),
    [
        (silent, "no answer from {} within 300ms"),
        (drips(b""), "no answer from {} within 300ms"),
        (drips(HEAD), "no answer from {} within 300ms"),
        (drips(HEAD + b"Content-Length: 100000\r\n\r\n"), "no whole answer from {} within 2s"),
        (drips(HEAD + b"Transfer-Encoding: chunked\r\n\r\n"), "no whole answer from {} within 2s"),
        (pours(b"HTTP/1.1 200 OK\r\nX-A: "), "what answers at {} does not speak HTTP"),
        (sends(b"SSH-2.0-OpenSSH_9.7\r\n"), "what answers at {} does not speak HTTP"),
        (sends(b"\x15\x03\x01\x00\x02\x02\x46"), "what answers at {} does not speak HTTP"),
        (sends(), "{} hangs up without an answer"),
        (sends(HEAD, b"Content-Length: 9\r\n\r\nhalf"), "{} breaks off in the middle of its answer"),
        (sends(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"ff\r\nhalf"), "{} breaks off in the middle of its answer"),
        (sends(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"zz\r\n"), "{} breaks off in the middle of its answer"),
    ],
)  # fmt: skip
def test_rude_web_servers_cost_no_more_than_the_timeout(
    behave: Callable[[socket.socket], None], sentence: str
) -> None:
    with rude(behave) as port:
        result = probe(http(port), timeout_ms=patience_ms(sentence))
        assert said(result) == sentence.format(f"http://shop.test:{port}/")


def test_an_endless_body_is_read_up_to_the_limit() -> None:
    with rude(pours(HEAD + b"\r\n")) as port:
        plain = probe(http(port), body_bytes_max=100_000)
        assert said(plain) == ""  # nothing of the body was asked for
        assert plain.values["probe_http_uncompressed_body_length", ()] == 100_000
        searched = probe(http(port, expect_body="end"), body_bytes_max=100_000)
        assert said(searched).startswith("the first 100000 bytes of the answer of")


@pytest.mark.parametrize(
    ("behave", "sentence"),
    [
        (silent, "no TLS handshake with {} within 300ms"),
        (drips(b"\x16\x03\x03\x40\x00"), "no TLS handshake with {} within 300ms"),
        (sends(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "what answers at {} does not speak TLS"),
        (sends(bytes(range(256)) * 20), "what answers at {} does not speak TLS"),
        (sends(b""), "{} hangs up without an answer"),
        (sends(b"\x15\x03\x03\x00\x02\x01\x00"), "{} hangs up without an answer"),
    ],
)
def test_rude_tls_servers(
    authority: Authority, behave: Callable[[socket.socket], None], sentence: str
) -> None:
    with rude(behave) as port:
        target = ProbeTarget(
            "s", ProbeKind.TLS, f"shop.test:{port}", tls=TlsProbe(ca_file=authority.file)
        )
        result = probe(target, timeout_ms=patience_ms(sentence))
        assert said(result) == sentence.format(f"shop.test:{port}")


def test_a_look_up_that_hangs_costs_one_thread_however_often_it_is_tried() -> None:
    release = threading.Event()

    def hangs(host: str, port: int) -> list[str]:
        if host == "hangs.test":
            release.wait(600)
        return addresses("shop.test", port)

    names = Names(2, hangs)
    with web() as page:
        for _ in range(4):
            result = probe(http(page.port, host="hangs.test"), names=names, timeout_ms=50)
            where = f"http://hangs.test:{page.port}/"
            assert said(result) == f"DNS: no address of {where} within 50ms"
        assert len(names) == 1
        assert said(probe(http(page.port), names=names)) == ""  # others are not held up
        release.set()
        eventually(lambda: not len(names))
        assert said(probe(http(page.port, host="hangs.test"), names=names)) == ""


def eventually(seen: Callable[[], bool]) -> None:
    """A thread has said its last word a little before it is gone."""
    ends_s = time.monotonic() + 240
    while not seen():
        assert time.monotonic() < ends_s
        time.sleep(0.01)


def test_no_thread_of_a_probe_outlives_it() -> None:
    with rude(drips(b"")) as port:
        before = threading.active_count()
        for _ in range(3):
            probe(http(port), timeout_ms=50)
        eventually(lambda: not [t for t in threading.enumerate() if t.name == "lookup"])
        # The peer's own threads end as soon as their next byte is refused.
        eventually(lambda: threading.active_count() <= before)


@given(st.binary(max_size=300))
def test_anything_may_be_said_to_be_a_certificate(data: bytes) -> None:
    try:
        validity_ms(data)
    except ValueError:
        pass


@given(st.data())
def test_a_broken_certificate_never_crashes(authority_der: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(authority_der) - 1))
    byte = data.draw(st.integers(0, 255))
    broken = authority_der[:at] + bytes([byte]) + authority_der[at + 1 :]
    try:
        validity_ms(broken[: data.draw(st.integers(0, len(broken)))])
    except ValueError:
        pass


@pytest.fixture(scope="module")
def authority_der(authority: Authority) -> bytes:
    return ssl.PEM_cert_to_DER_cert(Path(authority.file).read_text())


@pytest.mark.parametrize("days", [1.0, 400.0, 20_000.0, 365_000.0])
def test_the_times_of_certificates_are_those_that_cryptography_reads(
    authority: Authority, days: float
) -> None:
    from cryptography import x509

    issued = authority.ca.issue_cert("shop.test", not_after=_in(days))
    pem = issued.cert_chain_pems[0].bytes()
    read = x509.load_pem_x509_certificate(pem)
    wanted = read.not_valid_before_utc, read.not_valid_after_utc
    found = validity_ms(ssl.PEM_cert_to_DER_cert(pem.decode()))
    assert found == tuple(round(moment.timestamp() * 1000) for moment in wanted)


def _in(days: float) -> datetime:
    return datetime.now(UTC) + timedelta(days=days)


def test_a_certificate_that_expires_while_we_look_is_not_said_to_have_expired_in_the_future(
    authority: Authority,
) -> None:
    context, ends_ms = authority.context(days=-1, began_days=9)
    with web(context) as page:
        # Our own clock is behind: OpenSSL's is the machine's.
        result = probe(https(page.port, authority), now_ms=ends_ms - DAY_MS)
    assert said(result) == f"a certificate of https://shop.test:{page.port}/ has expired"
    assert CLOCK.now_ms() > ends_ms
