"""Where requests may go (A13)."""

from __future__ import annotations

import socket
import threading

import pytest

from incident_bridge.outgoing import Outgoing
from model.addresses import allowed
from model.clock import ManualClock, SystemClock
from model.errors import PermanentError, TransientError
from tests.incident_bridge.desk_server import DeskServer

INSIDE = [
    "127.0.0.1",
    "127.9.9.9",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "0.0.0.0",
    "224.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:a00:1",
    "64:ff9b::a00:1",
    "2002:7f00:1::",
    "not an address",
]


@pytest.mark.parametrize("text", INSIDE)
def test_a13_addresses_inside_are_refused(text: str) -> None:
    assert not allowed(text, allow_private=False)


@pytest.mark.parametrize("text", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_a13_addresses_outside_are_allowed(text: str) -> None:
    assert allowed(text, allow_private=False)


@pytest.mark.parametrize("text", ["169.254.169.254", "fe80::1", "0.0.0.0", "::", "224.0.0.1"])
def test_a13_allow_private_does_not_open_metadata_services(text: str) -> None:
    assert not allowed(text, allow_private=True)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://2130706433/",  # decimal
        "http://0177.0.0.1/",  # octal
        "http://0x7f.1/",
        "http://localhost/",
        "http://169.254.169.254/latest/meta-data",
    ],
)
def test_a13_every_spelling_of_inside_is_refused(url: str) -> None:
    with pytest.raises((PermanentError, TransientError)) as raised:
        Outgoing(ManualClock(), timeout_ms=200).request("GET", url)
    assert isinstance(raised.value, PermanentError) or "resolved" in str(raised.value)


def test_a13_a_name_with_one_address_inside_is_refused() -> None:
    outgoing = Outgoing(ManualClock(), resolve=lambda *_: ["8.8.8.8", "10.0.0.1"])
    with pytest.raises(PermanentError, match="10.0.0.1 is not a public address"):
        outgoing.request("GET", "http://desk.example/")


def test_a13_the_name_is_resolved_once(server: DeskServer) -> None:
    answers = [["127.0.0.1"], ["169.254.169.254"]]
    asked: list[str] = []

    def rebind(host: str, port: int) -> list[str]:
        asked.append(host)
        return answers[len(asked) - 1]

    port = server.url.rpartition(":")[2].partition("/")[0]
    outgoing = Outgoing(ManualClock(), allow_private=True, resolve=rebind)
    answer = outgoing.request("GET", f"http://desk.example:{port}/desk?since_ms=0")
    assert answer.status == 200
    assert asked == ["desk.example"]
    # The server sees the name, not the address that was pinned.
    assert server.requests[0][2]["host"] == f"desk.example:{port}"


@pytest.mark.parametrize(
    "url",
    [
        "ftp://desk.example/",
        "file:///etc/passwd",
        "gopher://desk.example/",
        "//desk.example/",
        "http://user:secret@desk.example/",
        "http:///nothing",
        "http://desk.example:99999/",
        "http://desk.example/a b",
        "http://desk.example/\r\nX: y",
    ],
)
def test_a13_odd_addresses_are_refused(url: str) -> None:
    with pytest.raises(PermanentError):
        Outgoing(ManualClock(), resolve=lambda *_: ["8.8.8.8"]).request("GET", url)


def test_a_name_without_an_address_is_worth_trying_again() -> None:
    with pytest.raises(TransientError):
        Outgoing(ManualClock(), resolve=lambda *_: []).request("GET", "http://desk.example/")


@pytest.mark.parametrize(
    "begin", [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"]
)
def test_a22_an_answer_that_drips_for_ever_is_given_up(begin: bytes) -> None:
    """Each byte comes well within the timeout, of the head as of the body; the whole never does."""
    ended = threading.Event()

    def drip(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(65_536)
            connection.sendall(begin)
            while not ended.wait(0.005):
                try:
                    connection.sendall(b"H")
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=drip, args=(listening,), daemon=True)
        thread.start()
        outgoing = Outgoing(SystemClock(), allow_private=True, timeout_ms=200)
        with pytest.raises(TransientError, match="no answer within"):
            outgoing.request("GET", f"http://127.0.0.1:{listening.getsockname()[1]}/")
        ended.set()
        thread.join()
