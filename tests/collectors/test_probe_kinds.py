"""Every way in which a probe fails, and the sentence it earns; against real peers on loopback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import pytest

from benchmarks.ports import free_port
from collectors.probe_settings import (
    DnsProbe,
    ProbeKind,
    ProbeSettings,
    ProbeTarget,
    TcpProbe,
)
from collectors.probing import Attempt, Names, ProbeFault
from tests.collectors.probing_peers import (
    CLOCK,
    PATIENCE_MS,
    Authority,
    addresses,
    answers,
    http,
    https,
    name_server,
    probe,
    rude,
    said,
    sends,
    silent,
    web,
)

DAY_MS = 86_400_000


def test_a_good_page_has_every_phase_and_blackbox_exporters_names() -> None:
    with web() as page:
        result = probe(http(page.port, expect_body="w.lcome"))
    assert said(result) == ""
    assert [phase for phase, _ in result.phases] == ["resolve", "connect", "processing", "transfer"]
    assert sum(seconds for _, seconds in result.phases) <= result.seconds
    assert result.address == "127.0.0.1"
    names = {(metric, dict(labels).get("phase")) for metric, labels in result.values}
    assert {
        ("probe_http_duration_seconds", p) for p in ("resolve", "connect", "processing")
    } < names
    assert result.values["probe_http_status_code", ()] == 200
    assert result.values["probe_failed_due_to_regex", ()] == 0
    assert result.values["probe_ip_protocol", ()] == 4
    assert result.values["probe_http_uncompressed_body_length", ()] == 19


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({}, "answers HTTP 503 instead of 2xx"),
        ({"expect_status": (200, "300-399")}, "answers HTTP 503 instead of 200, 300-399"),
        # Both sides of the boundary: it is what was expected.
        ({"expect_status": (503,)}, ""),
    ],
)
def test_the_status_is_compared(settings: dict[str, Any], sentence: str) -> None:
    with web() as page:
        page.status = 503
        result = probe(http(page.port, **settings))
        where = f"http://shop.test:{page.port}/"
    assert said(result) == (f"{where} {sentence}" if sentence else "")
    assert result.values["probe_http_status_code", ()] == 503


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"expect_body": "shop$"}, ""),
        ({"expect_body": "closed"}, "the answer of {} does not hold closed"),
        ({"reject_body": "welc"}, "the answer of {} holds welc"),
        ({"reject_body": "closed"}, ""),
    ],
)
def test_the_body_is_searched(settings: dict[str, Any], sentence: str) -> None:
    with web() as page:
        result = probe(http(page.port, **settings))
        assert said(result) == sentence.format(f"http://shop.test:{page.port}/")
    assert result.values["probe_failed_due_to_regex", ()] == bool(sentence)


def test_what_is_asked_and_secrets_from_files(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("s3cret\n")
    (tmp_path / "password").write_text("pässword".encode("ascii", "ignore").decode())
    with web() as page:
        target = http(
            page.port,
            "/login?key=1",
            method="POST",
            body="a=1",
            headers={"X-From": "tocsin", "Host": "shop.example"},
            header_files={"X-Key": str(tmp_path / "key")},
            username="ann",
            password_file=str(tmp_path / "password"),
        )
        assert said(probe(target)) == ""
        [(method, path, headers, body)] = page.asked
        assert (method, path, body) == ("POST", "/login?key=1", b"a=1")
        assert headers["x-key"] == "s3cret" and headers["x-from"] == "tocsin"
        assert headers["host"] == "shop.example"
        assert headers["authorization"] == "Basic YW5uOnBzc3dvcmQ="
        assert "key=1" not in target.instance
        (tmp_path / "key").unlink()
        assert said(probe(target)) == f"the secret's file {tmp_path / 'key'} cannot be read"
        (tmp_path / "key").write_text("two\r\nX-Evil: lines")
        assert "does not hold one line of text" in said(probe(target))


def test_redirects_stay_on_the_host_and_take_no_secret_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("s3cret")
    with web() as page, web() as other:
        page.redirects = {"/": "/next", "/away": f"http://www.shop.test:{other.port}/", "/in": "file:///etc/passwd", "/loop": "/loop"}  # fmt: skip
        assert said(probe(http(page.port))) == ""
        assert [path for _, path, _, _ in page.asked] == ["/", "/next"]
        assert "answers HTTP 302" in said(probe(http(page.port, follow_redirects=False)))
        assert "www.shop.test, which redirect_hosts does not name" in said(
            probe(http(page.port, "/away"))
        )
        assert not other.asked
        target = http(
            page.port, "/away",
            redirect_hosts=("www.shop.test",), header_files={"X-Key": str(tmp_path / "key")},
        )  # fmt: skip
        assert said(probe(target)) == ""
        assert page.asked[-1][2]["x-key"] == "s3cret" and "x-key" not in other.asked[-1][2]
        assert "redirects to what is no address" in said(probe(http(page.port, "/in")))
        assert "redirects more than 5 times" in said(probe(http(page.port, "/loop")))


def test_addresses_that_are_never_or_not_wanted_to_be_reached() -> None:
    never = probe(http(80, host="metadata.test"))
    assert said(never) == "metadata.test leads to 169.254.169.254, which may not be connected to"
    with web() as page:
        inside = ProbeTarget(
            "s", ProbeKind.HTTP, f"http://shop.test:{page.port}/", allow_private=False
        )
        assert "127.0.0.1, which may not be connected to" in said(probe(inside))
        only_six = ProbeTarget("s", ProbeKind.HTTP, f"http://shop.test:{page.port}/", ip="6")
        assert said(probe(only_six)) == "DNS: shop.test has no address of the wanted kind"
    assert page.asked == []


def test_a13_a_public_page_does_not_lead_inside() -> None:
    attempt = Attempt(http(80, host="public.test"), ProbeSettings(), Names(8, addresses), CLOCK, 0)
    assert attempt.addresses("public.test", 80) == ["93.184.215.14"]
    with pytest.raises(ProbeFault):  # where a redirect would lead
        attempt.addresses("shop.test", 80)


def test_the_next_address_is_tried_where_the_first_refuses() -> None:
    with web() as page:  # listens on 127.0.0.1 alone; both.test is 127.0.0.2 as well
        result = probe(http(page.port, host="both.test"))
    assert said(result) == "" and result.address == "127.0.0.1"


def test_refused_and_unknown_names() -> None:
    port = free_port()
    assert said(probe(http(port))) == f"http://shop.test:{port}/ refuses the connection"
    assert said(probe(http(port, host="nobody.test"))).startswith("DNS: there is no such name")


def test_a_certificate_is_read_and_https_is_spoken(authority: Authority) -> None:
    context, ends_ms = authority.context("shop.test", days=20)
    with web(context) as page:
        result = probe(https(page.port, authority))
    assert said(result) == ""
    assert [p for p, _ in result.phases] == ["resolve", "connect", "tls", "processing", "transfer"]
    assert result.expires_ms == ends_ms
    assert result.values["probe_ssl_earliest_cert_expiry", ()] == ends_ms / 1000
    assert result.values["probe_http_ssl", ()] == 1
    assert ("probe_tls_version_info", (("version", "TLSv1.3"),)) in result.values


@pytest.mark.parametrize(
    ("names", "days", "began", "tls", "sentence"),
    [
        (("shop.test",), -2.0, 90.0, {}, "the certificate of {} expired 48h ago"),
        (("shop.test",), 90.0, -3.0, {}, "the certificate of {} is valid only in 71h"),
        (("other.test",), 90.0, 1.0, {}, "the certificate of {} is not for shop.test"),
        (("other.test",), 90.0, 1.0, {"server_name": "other.test"}, ""),
        (("other.test",), -2.0, 90.0, {"insecure": True}, ""),
    ],
)
def test_bad_certificates(
    authority: Authority,
    names: tuple[str, ...],
    days: float,
    began: float,
    tls: dict[str, object],
    sentence: str,
) -> None:
    context, ends_ms = authority.context(*names, days=days, began_days=began)
    with web(context) as page:
        result = probe(https(page.port, authority, **tls))
        assert said(result) == sentence.format(f"https://shop.test:{page.port}/")
    assert result.expires_ms == ends_ms  # of what is refused, too


def test_an_authority_nobody_knows(authority: Authority, tmp_path: Path) -> None:
    context, _ = authority.context()
    (tmp_path / "strange").mkdir()
    other = Authority(tmp_path / "strange")
    with web(context) as page:
        result = probe(https(page.port, other))
        assert "is signed by no authority that is trusted here" in said(result)
        missing = probe(https(page.port, str(tmp_path / "none.pem")))
        assert said(missing) == f"a certificate file cannot be used: {tmp_path / 'none.pem'}"


def tcp(port: int, **settings: Any) -> ProbeTarget:
    return ProbeTarget("db", ProbeKind.TCP, f"127.0.0.1:{port}", tcp=TcpProbe(**settings))


def test_tcp_says_and_hears() -> None:
    with rude(sends(b"+PO", b"NG\r\n")) as port:
        assert said(probe(tcp(port))) == ""
        assert said(probe(tcp(port, send="PING\r\n", expect=r"^\+PONG"))) == ""
        wrong = probe(tcp(port, send="PING\r\n", expect="^-ERR"))
        assert said(wrong) == f"127.0.0.1:{port} answers '+PONG\\r\\n', not ^-ERR"
        assert wrong.values["probe_failed_due_to_regex", ()] == 1
    port = free_port()
    assert said(probe(tcp(port))) == f"127.0.0.1:{port} refuses the connection"
    with rude(silent) as port:
        late = probe(tcp(port, send="x", expect="y"), timeout_ms=2_000)
        assert said(late) == f"no whole answer from 127.0.0.1:{port} within 2s"


def ask(port: int, name: str = "shop.test", **settings: Any) -> ProbeTarget:
    made = DnsProbe(server=f"127.0.0.1:{port}", **settings)
    return ProbeTarget("dns", ProbeKind.DNS, name, dns=made)


@pytest.mark.parametrize(
    ("reply", "settings", "sentence"),
    [
        (answers("192.0.2.1", "192.0.2.2"), {"expect": ("192.0.2.2",)}, ""),
        (answers("192.0.2.1"), {"expect": ("192.0.2.9",)}, "DNS: shop.test is 192.0.2.1, and 192.0.2.9 is not among it"),
        (answers(rcode="NXDOMAIN"), {}, "DNS: NXDOMAIN for shop.test"),
        (answers(rcode="SERVFAIL"), {}, "DNS: SERVFAIL for shop.test"),
        (answers(rcode="NXDOMAIN"), {"rcode": "NXDOMAIN"}, ""),
        (answers("192.0.2.1"), {"rcode": "NXDOMAIN"}, "DNS: NOERROR for shop.test instead of NXDOMAIN"),
        (answers(), {}, "DNS: shop.test has no A record"),
        (answers("10 Mail.shop.test.", kind="MX"), {"type": "MX", "expect": ("10 mail.shop.test",)}, ""),
        (answers('"v=spf1 -all"', kind="TXT"), {"type": "TXT", "expect": ("v=spf1 -all",)}, ""),
        (lambda _: None, {}, "no answer from shop.test within 300ms"),
        # What is not an answer to our question is passed over: anybody can send a datagram.
        (lambda _: b"garbage", {}, "no answer from shop.test within 300ms"),
        (lambda question: answers("6.6.6.6")(dns.message.make_query(question.question[0].name, "A")), {}, "no answer from shop.test within 300ms"),
    ],
)  # fmt: skip
def test_dns(
    reply: Callable[[dns.message.Message], bytes | None], settings: dict[str, Any], sentence: str
) -> None:
    with name_server(reply) as port:
        answered = not sentence.startswith("no answer")
        result = probe(ask(port, **settings), timeout_ms=PATIENCE_MS if answered else 300)
    assert said(result) == sentence
    assert result.values["probe_dns_query_succeeded", ()] == answered


def test_a_lost_datagram_is_asked_again() -> None:
    seen: list[int] = []

    def loses_the_first(question: dns.message.Message) -> bytes | None:
        seen.append(question.id)
        return answers("192.0.2.1")(question) if len(seen) > 1 else None

    with name_server(loses_the_first) as port:
        assert said(probe(ask(port), timeout_ms=6_000)) == ""
    assert len(seen) >= 2


def test_nobody_listens_at_the_name_server() -> None:
    result = probe(ask(free_port(), transport="tcp"))
    assert said(result) == "shop.test refuses the connection"
