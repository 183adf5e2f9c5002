"""A real rsyslog that forwards over UDP, TCP and TLS, also while Tocsin restarts."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme

pytestmark = pytest.mark.integration

LINES = 500
AT_ONCE = 100
"""So many fit into the buffer of a UDP socket, however long its reader stands still."""
LONG = 2_048
"""Characters of a line that is told apart: Tocsin cuts it at its limit, and counts that."""
TARGET = {
    "udp": 'protocol="udp"',
    "tcp": 'protocol="tcp" TCP_Framing="octet-counted"',
    "tls": 'protocol="tcp" TCP_Framing="octet-counted" StreamDriver="ossl" StreamDriverMode="1"'
    ' StreamDriverAuthMode="x509/name" StreamDriverPermittedPeers="tocsin.test"',
}
FORWARDING = """\
global(workDirectory="{folder}" {tls})
module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" Socket="{folder}/log" RateLimit.Interval="0")
action(type="omfwd" target="127.0.0.1" port="{port}" {target} template="RSYSLOG_SyslogProtocol23Format"
       action.resumeRetryCount="-1" action.resumeInterval="1"
       queue.type="LinkedList" queue.filename="tocsin" queue.maxDiskSpace="100m" queue.saveOnShutdown="on")
"""


@contextmanager
def rsyslog(servers: Any, folder: Path, protocol: str, port: int) -> Iterator[socket.socket]:
    """rsyslog with a socket such as /dev/log, and that socket's other end."""
    folder.mkdir()
    tls = ""
    if protocol == "tls":
        authority, mine = folder.parent / "ca.pem", folder.parent / "sender.pem"
        tls = f'DefaultNetstreamDriverCAFile="{authority}" DefaultNetstreamDriverCertFile="{mine}" '
        tls += f'DefaultNetstreamDriverKeyFile="{mine}"'
    config = folder / "rsyslog.conf"
    config.write_text(FORWARDING.format(folder=folder, tls=tls, port=port, target=TARGET[protocol]))
    command = [servers.program("rsyslogd"), "-n", "-f", str(config), "-i", str(folder / "pid")]
    with servers.running(command, folder / "rsyslog.log"):
        servers.wait_for((folder / "log").exists, "rsyslog's socket")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            servers.wait_for(lambda: sock.connect_ex(str(folder / "log")) == 0, "rsyslog to listen")
            yield sock


def certificates(folder: Path) -> str:
    """An authority, a certificate for each side; what Tocsin's listener needs of them."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    for name in ("tocsin", "sender"):
        issued = authority.issue_cert(f"{name}.test", common_name=f"{name}.test")
        issued.private_key_and_cert_chain_pem.write_to_path(str(folder / f"{name}.pem"))
    mine = folder / "tocsin.pem"
    return f"cert_file: {mine}, key_file: {mine}, client_ca_file: {folder / 'ca.pem'}"


def send(sock: socket.socket, first: int, count: int = LINES) -> None:
    for number in range(first, first + count):
        sock.send(b"<11>cart[7]: order %d failed" % number)


def counted(tocsin: Any, name: str) -> int:
    text = requests.get(f"{tocsin.url}/metrics", timeout=60).text
    found = re.search(rf"^{name} (\S+)", text, re.MULTILINE)
    return int(float(found[1])) if found else 0


def taken(tocsin: Any) -> int:
    """Lines that have come as far as the detectors."""
    return counted(tocsin, "tocsin_pushed_lines_total")


def ordinary(tocsin: Any) -> int:
    """Those of them that are not long."""
    return taken(tocsin) - counted(tocsin, "tocsin_syslog_cut_total")


def connected(port: int) -> bool:
    """Whether a sender holds a connection to a port, also one whose other end is gone (CLOSE_WAIT)."""
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(
        int(row[2].rpartition(":")[2], 16) == port and row[3] in ("01", "08") for row in rows
    )


def try_the_connection(sock: socket.socket, port: int) -> int:
    """Send a long line again and again until the sender has noticed that nobody reads; returns how many.

    These are what may be lost: whoever writes to a connection learns that its other end is gone by the
    write after, and what it wrote before is nowhere. What it is given from then on it must keep.
    """
    ends_s = time.monotonic() + 300
    count = 0
    while connected(port):
        assert time.monotonic() < ends_s, "rsyslog does not notice that Tocsin is gone"
        sock.send(b"<14>cart[7]: " + b"x" * LONG)
        count += 1
        time.sleep(0.2)
    return count


@pytest.mark.parametrize("protocol", ["udp", "tcp", "tls"])
def test_rsyslog_forwards_and_keeps_what_it_must(
    servers: Any, tmp_path: Path, protocol: str
) -> None:
    port = servers.free_port()
    more = certificates(tmp_path) if protocol == "tls" else ""
    listener = f"{{listen: '127.0.0.1:{port}', protocol: {protocol}, {more}}}"
    settings = servers.settings + f"syslog: {{listeners: [{listener}], message_max: 1KiB}}\n"
    with rsyslog(servers, tmp_path / "rsyslog", protocol, port) as log:
        with servers.tocsin_in(tmp_path / "tocsin", settings) as tocsin:
            for first in range(0, LINES, AT_ONCE):
                send(log, first, AT_ONCE)
                come = first + AT_ONCE
                servers.wait_for(lambda come=come: taken(tocsin) == come, f"{come} lines")
            assert counted(tocsin, "tocsin_syslog_malformed_total") == 0
        if protocol == "udp":
            return
        tries = try_the_connection(log, port)
        send(log, LINES)  # nobody listens, and the sender knows
        with servers.tocsin_in(tmp_path / "tocsin", settings) as tocsin:
            servers.wait_for(lambda: ordinary(tocsin) == LINES, "every line that was kept")
            send(log, 2 * LINES)
            servers.wait_for(lambda: ordinary(tocsin) == 2 * LINES, "every line sent since")
            lost = tries - counted(tocsin, "tocsin_syslog_cut_total")
            assert 0 <= lost <= tries
            print(f"{protocol}: {lost} lost of {tries} lines written to a connection that was gone")
