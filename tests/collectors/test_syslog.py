"""Syslog's thread, turn by turn: real sockets on loopback, its clock turned by hand."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from collectors.pushed import Push
from collectors.syslog import SyslogIntake
from collectors.syslog_lines import SyslogPush
from collectors.syslog_settings import SyslogListener, SyslogSettings
from model.clock import ManualClock
from model.errors import InputError

NOW = 1_700_000_000_000  # 2023-11-14T22:13:20Z
HELLO = b"<13>1 - web1 cart - - - hello\n"

# --- sockets ----------------------------------------------------------------------------------


class Site:
    """An intake whose thread is the test itself."""

    def __init__(self, settings: SyslogSettings) -> None:
        self.clock = ManualClock(NOW)
        self.room = True
        self.pushes: list[SyslogPush] = []
        self.intake = SyslogIntake(settings, self.feed, self.clock)
        self.open: list[socket.socket] = []

    def feed(self, push: Push) -> bool:
        assert isinstance(push, SyslogPush)
        if self.room:
            self.pushes.append(push)
        return self.room

    def connect(self, number: int = 0) -> socket.socket:
        address = list(self.intake.addresses().values())[number]
        self.open.append(socket.create_connection(address, timeout=240))
        return self.open[-1]

    def send(self, data: bytes, number: int = 0) -> None:
        address = list(self.intake.addresses().values())[number]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(data, tuple(address))

    def until(self, seen: Callable[[], object]) -> None:
        ends_s = time.monotonic() + 240
        while not seen():
            assert time.monotonic() < ends_s, self.intake.counters()
            self.intake.step(0.01)

    def turns(self, count: int = 5) -> None:
        for _ in range(count):
            self.intake.step(0.01)

    def counted(self, name: str) -> float:
        return self.intake.counters()[f"tocsin_syslog_{name}"]

    def wrong(self) -> list[str]:
        self.intake.poll(NOW)
        return [problem.kind for problem in self.intake.problems.all()]

    @property
    def messages(self) -> list[str]:
        return [line.message for push in self.pushes for line in push.lines]


def listener(protocol: str = "tcp", **fields: object) -> SyslogListener:
    return SyslogListener("127.0.0.1:0", protocol, **fields)  # type: ignore[arg-type]


@pytest.fixture
def site() -> Iterator[Callable[..., Site]]:
    made: list[Site] = []

    def make(*listeners: SyslogListener, **fields: object) -> Site:
        made.append(Site(SyslogSettings(listeners or (listener(),), **fields)))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for one in made:
        one.intake.stop()
        for sock in one.open:
            sock.close()


def test_datagrams_and_streams_become_lines(site: Callable[..., Site]) -> None:
    one = site(listener("udp", service="router"), listener("tcp"))
    one.send(b"<13>Nov 14 22:13:20 h app: by udp\n")
    one.until(lambda: one.messages)
    sock = one.connect(1)
    sock.sendall(HELLO + b"23 <13>1 - h a - - - again" + b"<13>no newline at the end")
    sock.shutdown(socket.SHUT_WR)
    one.until(lambda: len(one.messages) == 4)
    assert one.messages == ["by udp", "hello", "again", "no newline at the end"]
    assert one.pushes[0].source == "syslog udp 127.0.0.1"
    assert [push.lines[0].service for push in one.pushes][:2] == ["router", "cart"]


def test_a_full_queue_holds_a_connection_back_and_drops_datagrams(
    site: Callable[..., Site],
) -> None:
    one = site(listener("udp"), listener("tcp"))
    one.room = False
    sock = one.connect(1)
    sock.sendall(HELLO)
    one.until(lambda: one.counted("paused_total"))
    sock.sendall(HELLO * 10)
    one.send(b"<13>dropped")
    one.until(lambda: one.counted("datagrams_dropped_total"))
    assert one.messages == [] and one.counted("messages_total") == 0
    one.room = True
    one.until(lambda: len(one.messages) == 11)
    assert set(one.messages) == {"hello"} and one.counted("datagrams_dropped_total") == 1
    assert one.wrong() == ["full"]


def test_a_sender_that_is_too_fast_is_read_later(site: Callable[..., Site]) -> None:
    one = site(listener("udp"), listener("tcp"), rate_max=1)
    sock = one.connect(1)
    sock.sendall(HELLO * 30)  # ten seconds' worth is let through at once, the rest is owed
    one.until(lambda: len(one.messages) == 30)
    sock.sendall(HELLO)
    one.turns()
    assert len(one.messages) == 30 and one.counted("paused_total") == 1
    one.clock.sleep(25)
    one.until(lambda: len(one.messages) == 31)
    for _ in range(6):  # four are left
        one.send(b"<13>of the same address")
    one.until(lambda: one.counted("datagrams_dropped_total") == 2)
    assert len(one.messages) == 35


def test_a22_slow_idle_and_too_many_connections_end(site: Callable[..., Site]) -> None:
    one = site(connections_max=3, sender_connections_max=2, idle_ms=60_000, message_ms=5_000)
    slow, idle = one.connect(), one.connect()
    slow.sendall(b"<13>never")
    one.until(lambda: one.counted("connections") == 2 and one.counted("bytes_total") == 9)
    third = one.connect()
    one.until(lambda: one.counted("connections_refused_total") == 1)
    assert third.recv(10) == b""
    one.clock.sleep(3)
    slow.sendall(b"more")  # a byte now and then is no progress
    one.until(lambda: one.counted("bytes_total") == 13)
    one.clock.sleep(3)
    one.until(lambda: one.counted("connections_timed_out_total") == 1)
    assert slow.recv(10) == b"" and one.counted("connections") == 1
    one.clock.sleep(60)
    one.until(lambda: one.counted("connections_timed_out_total") == 2)
    assert idle.recv(10) == b"" and one.messages == []


def test_a01_others_than_those_named_are_not_heard(site: Callable[..., Site]) -> None:
    one = site(listener("udp", allow=("10.0.0.0/8",)), listener("tcp", allow=("10.0.0.0/8",)))
    one.send(b"<13>forged")
    one.until(lambda: one.counted("senders_refused_total") == 1)
    sock = one.connect(1)
    one.until(lambda: one.counted("senders_refused_total") == 2)
    assert sock.recv(10) == b"" and one.messages == []


def test_a_reload_keeps_what_is_open(site: Callable[..., Site]) -> None:
    one = site()
    sock = one.connect()
    sock.sendall(HELLO)
    one.until(lambda: one.messages)
    more = SyslogSettings((listener(service="shop"), listener("udp")))
    one.intake.follow(more)
    one.until(lambda: len(one.intake.addresses()) == 2)
    sock.sendall(HELLO)
    one.until(lambda: len(one.pushes) == 2)
    assert [push.lines[0].service for push in one.pushes] == ["cart", "shop"]
    taken = one.intake.addresses()["tcp 127.0.0.1:0"]
    with pytest.raises(InputError, match="cannot listen"):
        one.intake.follow(SyslogSettings((SyslogListener(f"127.0.0.1:{taken[1]}", "tcp"),)))
    one.turns()
    assert one.intake.addresses()["tcp 127.0.0.1:0"] == taken
    one.intake.follow(SyslogSettings())
    one.until(lambda: not one.intake.addresses())
    assert sock.recv(10) == b""


def test_a_stop_takes_what_has_arrived(site: Callable[..., Site]) -> None:
    one = site(listener("udp"), listener("tcp"))
    sock = one.connect(1)
    one.until(lambda: one.counted("connections") == 1)
    sock.sendall(HELLO * 5)
    one.send(b"<13>last")
    one.intake.stop()
    assert len(one.messages) == 6 and one.counted("lost_at_stop_total") == 0


# --- TLS --------------------------------------------------------------------------------------


class Keys:
    """An authority, a server's certificate in files, and clients."""

    def __init__(self, folder: Path) -> None:
        self.ca = trustme.CA()
        self.cert, self.key, self.authority = (str(folder / name) for name in ("c.pem", "k.pem", "ca.pem"))  # fmt: skip
        self.ca.cert_pem.write_to_path(self.authority)
        self.issue()

    def issue(self) -> None:
        issued = self.ca.issue_cert("127.0.0.1")
        issued.private_key_pem.write_to_path(self.key)
        Path(self.cert).write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))

    def listener(self, **fields: str) -> SyslogListener:
        return listener("tls", cert_file=self.cert, key_file=self.key, **fields)

    def client(self, *, certificate: bool = False) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.authority)
        if certificate:
            self.ca.issue_cert("sender.test").configure_cert(context)
        return context


def shake(one: Site, context: ssl.SSLContext) -> ssl.SSLSocket:
    """A client's handshake, the server's turns between its steps."""
    plain = one.connect()
    sock = context.wrap_socket(plain, server_hostname="127.0.0.1", do_handshake_on_connect=False)
    one.open.append(sock)
    sock.setblocking(False)
    ends_s = time.monotonic() + 240
    while time.monotonic() < ends_s:
        try:
            sock.do_handshake()
            break
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            one.intake.step(0.01)
    sock.settimeout(240)
    return sock


def test_tls_and_a_renewed_certificate(site: Callable[..., Site], tmp_path: Path) -> None:
    keys = Keys(tmp_path)
    one = site(keys.listener())
    sock = shake(one, keys.client())
    first = sock.getpeercert(binary_form=True)
    sock.sendall(HELLO * 3_000)  # more than one record, and more than one turn
    one.until(lambda: len(one.messages) == 3_000)
    Path(keys.key).write_text("half written")
    one.clock.sleep(10)
    one.until(lambda: one.wrong() == ["certificate"])
    assert shake(one, keys.client()).getpeercert(binary_form=True) == first
    keys.issue()
    one.clock.sleep(10)
    one.until(lambda: one.counted("certificates_reloaded_total") == 1)
    assert shake(one, keys.client()).getpeercert(binary_form=True) != first
    sock.sendall(HELLO)  # under the old one still
    one.until(lambda: len(one.messages) == 3_001)
    assert one.wrong() == []


def test_a01_without_a_certificate_of_theirs_nobody_is_heard(
    site: Callable[..., Site], tmp_path: Path
) -> None:
    keys = Keys(tmp_path)
    one = site(keys.listener(client_ca_file=keys.authority))
    stranger = shake(one, keys.client())
    one.until(lambda: one.counted("tls_errors_total") == 1)
    with pytest.raises(OSError):
        stranger.sendall(HELLO)
        stranger.recv(1)
    one.connect().sendall(HELLO)  # not TLS at all
    one.until(lambda: one.counted("tls_errors_total") == 2)
    assert one.messages == [] and one.counted("connections") == 0
    known = shake(one, keys.client(certificate=True))
    known.sendall(HELLO)
    one.until(lambda: one.messages == ["hello"])


def test_a22_a_handshake_that_does_not_end_is_ended(
    site: Callable[..., Site], tmp_path: Path
) -> None:
    one = site(Keys(tmp_path).listener(), message_ms=5_000)
    one.connect()
    one.until(lambda: one.counted("connections") == 1)
    one.clock.sleep(6)
    one.until(lambda: one.counted("connections_timed_out_total") == 1)


# --- settings ---------------------------------------------------------------------------------

WRONG: list[tuple[dict[str, object], str]] = [
    ({"listen": "0.0.0.0:514"}, "can be reached by other machines"),
    ({"listen": "5514"}, "HOST:PORT"),
    ({"listen": "127.0.0.1:70000"}, "port"),
    ({"protocol": "sctp"}, "udp, tcp or tls"),
    ({"protocol": "tls"}, "cert_file and key_file"),
    ({"allow": ("10.0.0.0/33",)}, "networks"),
    ({"time_zone": "Mars/Olympus"}, "time_zone"),
]


@pytest.mark.parametrize(("fields", "says"), WRONG, ids=[says for _, says in WRONG])
def test_settings_that_cannot_be(fields: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        SyslogListener(**fields)  # type: ignore[arg-type]


def test_certificates_that_cannot_be_used_are_said_at_once(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    for path in (str(empty), str(tmp_path / "nowhere.pem")):
        settings = SyslogSettings((listener("tls", cert_file=path, key_file=path),))
        with pytest.raises(InputError, match="syslog tls"):
            SyslogIntake(settings, lambda _: True, ManualClock(NOW))
