"""Peers for probes, real ones on loopback: web servers, TLS servers, name servers, and rude ones."""

from __future__ import annotations

import datetime
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import trustme

from collectors.probe_run import run_probe
from collectors.probe_settings import HttpProbe, ProbeKind, ProbeSettings, ProbeTarget, TlsProbe
from collectors.probing import Names, Result
from model.clock import SystemClock
from tests.collectors.http_double import Answer, answering

CLOCK = SystemClock()
PATIENCE_MS = 120_000
HEAD = b"HTTP/1.1 200 OK\r\n"


def addresses(host: str, port: int) -> list[str]:
    """Names of tests; nothing is asked of the network."""
    known = {
        "shop.test": ["127.0.0.1"],
        "www.shop.test": ["127.0.0.1"],
        "both.test": ["127.0.0.2", "127.0.0.1"],
        "metadata.test": ["169.254.169.254"],
        "public.test": ["93.184.215.14"],  # never connected to
    }
    if host not in known:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")
    return known[host]


def probe(
    target: ProbeTarget, *, names: Names | None = None, now_ms: int | None = None, **settings: Any
) -> Result:
    """One probe; unless it says otherwise, as long as a machine that does other things may need."""
    return run_probe(
        target,
        ProbeSettings(timeout_ms=settings.pop("timeout_ms", PATIENCE_MS), **settings),
        Names(8, addresses) if names is None else names,
        CLOCK,
        CLOCK.now_ms() if now_ms is None else now_ms,
    )


def said(result: Result) -> str:
    """Why it failed, in English; "" where it did not."""
    return "" if result.reason is None else result.reason.text()


@dataclass
class Page:
    """What a web server answers, by path, and what it was asked."""

    port: int = 0
    bodies: dict[str, bytes] = field(default_factory=lambda: {"/": b"welcome to the shop"})
    status: int = 200
    redirects: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)


@contextmanager
def web(context: ssl.SSLContext | None = None) -> Iterator[Page]:
    """A web server."""
    page = Page()

    def ask(method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        page.asked.append((method, path, headers, body))
        if goal := page.redirects.get(path):
            return 302, b"", {"Location": goal}
        return page.status, page.bodies.get(path, b""), {}

    with answering(ask, context) as address:
        page.port = int(address.rpartition(":")[2])
        yield page


def http(port: int, path: str = "/", host: str = "shop.test", **settings: Any) -> ProbeTarget:
    """A page to look at."""
    made = HttpProbe(**settings)
    return ProbeTarget("shop", ProbeKind.HTTP, f"http://{host}:{port}{path}", http=made)


def https(port: int, authority: Authority | str, **tls: Any) -> ProbeTarget:
    """Likewise, by TLS; an authority or the file of one."""
    file = authority if isinstance(authority, str) else authority.file
    made = TlsProbe(ca_file=file, **tls)
    return ProbeTarget("shop", ProbeKind.HTTP, f"https://shop.test:{port}/", tls=made)


@contextmanager
def rude(behave: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server that does as `behave` says with each connection; gives its port."""
    listener = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []

    def one(connection: socket.socket) -> None:
        with connection:
            try:
                behave(connection)
            except OSError:
                pass  # the probe has hung up

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threads.append(threading.Thread(target=one, args=(connection,), daemon=True))
            threads[-1].start()

    acceptor = threading.Thread(target=accept, daemon=True)
    acceptor.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        acceptor.join(5)
        for thread in threads:
            thread.join(5)


def silent(connection: socket.socket) -> None:
    """Takes what is sent and never answers."""
    while connection.recv(4_096):
        pass


def drips(first: bytes) -> Callable[[socket.socket], None]:
    """Sends something, then a byte every 20 ms for ever."""

    def behave(connection: socket.socket) -> None:
        connection.recv(4_096)
        connection.sendall(first)
        while True:
            connection.sendall(b"x")
            time.sleep(0.02)

    return behave


def sends(*parts: bytes) -> Callable[[socket.socket], None]:
    """Reads once, sends this, hangs up."""

    def behave(connection: socket.socket) -> None:
        connection.recv(4_096)
        for part in parts:
            connection.sendall(part)

    return behave


def pours(first: bytes) -> Callable[[socket.socket], None]:
    """Sends something, then bytes as fast as they go, for ever."""

    def behave(connection: socket.socket) -> None:
        connection.recv(4_096)
        connection.sendall(first)
        while True:
            connection.sendall(b"x" * 65_536)

    return behave


@contextmanager
def name_server(answer: Callable[[dns.message.Message], bytes | None]) -> Iterator[int]:
    """A name server over UDP; gives its port."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                wire, peer = server.recvfrom(4_096)
            except OSError:
                return
            if wire == b"end":
                return
            if (reply := answer(dns.message.from_wire(wire))) is not None:
                server.sendto(reply, peer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield server.getsockname()[1]
    finally:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ending:
            ending.sendto(b"end", server.getsockname())
        thread.join(5)
        server.close()


def answers(
    *records: str, kind: str = "A", rcode: str = "NOERROR"
) -> Callable[[dns.message.Message], bytes]:
    """Answers each question with these records."""

    def reply(question: dns.message.Message) -> bytes:
        response = dns.message.make_response(question)
        response.set_rcode(dns.rcode.from_text(rcode))
        if records:
            name = question.question[0].name
            response.answer.append(dns.rrset.from_text(name, 60, "IN", kind, *records))
        return response.to_wire()

    return reply


class Authority:
    """A certificate authority of a test."""

    def __init__(self, folder: Path) -> None:
        self.ca = trustme.CA()
        self.file = str(folder / "ca.pem")
        self.ca.cert_pem.write_to_path(self.file)

    def context(
        self, *names: str, days: float = 90.0, began_days: float = 10.0
    ) -> tuple[ssl.SSLContext, int]:
        """A server's context with a certificate, and when that expires in milliseconds."""
        now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
        begins = now - datetime.timedelta(days=began_days)
        ends = now + datetime.timedelta(days=days)
        issued = self.ca.issue_cert(*(names or ("shop.test",)), not_before=begins, not_after=ends)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        issued.configure_cert(context)
        return context, round(ends.timestamp() * 1000)
