"""The sockets of the syslog intake: what listens, what is connected, certificates that are renewed."""

from __future__ import annotations

import ipaddress
import os
import socket
import ssl
from dataclasses import dataclass, field
from pathlib import Path

from collectors.syslog_framing import Framer
from collectors.syslog_lines import SyslogPush, SyslogReader
from collectors.syslog_settings import SyslogListener, SyslogSettings, is_loopback
from model.errors import InputError

BACKLOG = 256
CERTIFICATES_EVERY_S = 5.0
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Certificates:
    """A TLS context that is made again when its files change.

    Raises
    ------
    InputError
        If the files cannot be used at the beginning. Later the old context is kept.
    """

    def __init__(self, listener: SyslogListener) -> None:
        files = (listener.cert_file, listener.key_file, listener.client_ca_file)
        self._files = tuple(path for path in files if path)
        self._listener = listener
        self._seen = self._look()
        self._next_s = 0.0
        try:
            self.context = self._load()
        except (OSError, ValueError) as error:
            raise InputError(f"syslog {listener.name}: {_say(error)}") from None
        self.reloads = 0

    def refresh(self, now_s: float) -> str:
        """Look for other files, at most every few seconds; what is wrong with them, or ""."""
        if now_s < self._next_s:
            return ""
        self._next_s = now_s + CERTIFICATES_EVERY_S
        seen = self._look()
        if seen == self._seen:
            return ""
        try:
            self.context = self._load()
        except (OSError, ValueError) as error:  # half written, or not belonging together yet
            return _say(error)
        self._seen = seen
        self.reloads += 1
        return ""

    def _look(self) -> tuple[tuple[int, int, int], ...]:
        found = []
        for path in self._files:
            try:
                at = os.stat(path)
                found.append((at.st_ino, at.st_mtime_ns, at.st_size))
            except OSError:
                found.append((0, 0, 0))
        return tuple(found)

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self._listener.cert_file, self._listener.key_file, password=_nobody)
        if self._listener.client_ca_file:
            context.load_verify_locations(self._listener.client_ca_file)
            context.verify_mode = ssl.CERT_REQUIRED
        return context


def _nobody() -> str:
    """OpenSSL would ask for a passphrase at the terminal."""
    raise ValueError("the key has a passphrase; store it without one, readable for Tocsin alone")


def _say(error: Exception) -> str:
    name = getattr(error, "filename", None)
    return f"{name}: {getattr(error, 'strerror', None) or error}" if name else str(error)


@dataclass(slots=True, eq=False)
class Listening:
    """A bound socket, and how what comes in there is read."""

    listener: SyslogListener
    bound: socket.socket
    reader: SyslogReader
    networks: tuple[Network, ...]
    certificates: Certificates | None = None

    @property
    def udp(self) -> bool:
        """Whether datagrams come in here."""
        return self.listener.protocol == "udp"

    def source(self, sender: str) -> str:
        """What a sender's lines are attributed to."""
        return f"syslog {self.listener.protocol} {sender}"

    def allows(self, sender: str) -> bool:
        """Whether an address may send."""
        if not self.networks:  # TLS with client certificates, or loopback
            return True
        address = ipaddress.ip_address(sender)
        return any(address in network for network in self.networks)


def listen(listener: SyslogListener, settings: SyslogSettings, reader: SyslogReader) -> Listening:
    """Bind.

    Raises
    ------
    InputError
        If the address cannot be had, or the certificate cannot be used.
    """
    certificates = Certificates(listener) if listener.protocol == "tls" else None
    host, port = listener.address
    udp = listener.protocol == "udp"
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM)
    try:
        if udp:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, settings.receive_buffer_bytes)
        else:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        if not udp:
            bound.listen(BACKLOG)
    except OSError as error:
        bound.close()
        raise InputError(
            f"syslog: cannot listen on {listener.name}: {error.strerror or error}"
        ) from None
    bound.setblocking(False)
    return Listening(listener, bound, reader, networks(listener), certificates)


def networks(listener: SyslogListener) -> tuple[Network, ...]:
    """The networks that may send; on loopback this machine alone where none is named."""
    named = listener.allow or (("127.0.0.0/8", "::1") if is_loopback(listener.address[0]) else ())
    return tuple(ipaddress.ip_network(network, strict=False) for network in named)


def sender_of(address: tuple[object, ...]) -> str:
    """The sender's address, an IPv4 one in IPv6 clothes undressed, without a zone.

    Examples
    --------
    >>> sender_of(("::ffff:10.0.0.7", 514, 0, 0)), sender_of(("fe80::1%eth0", 514, 0, 2))
    ('10.0.0.7', 'fe80::1')
    """
    text = str(address[0]).partition("%")[0]
    return text.removeprefix("::ffff:") if "." in text else text


@dataclass(slots=True, eq=False)
class Stream:
    """A TCP or TLS connection.

    Attributes
    ----------
    heard_s : float
        When something was read last.
    begun_s : float or None
        Since when a message, or the TLS handshake, is unfinished.
    held : SyslogPush or None
        What found no room in the queue: until it has, nothing more is read.
    not_before_s : float
        Not read until then: it sent more than it may.
    """

    sock: socket.socket
    sender: str
    at: Listening
    framer: Framer
    heard_s: float
    begun_s: float | None
    shaking: bool
    held: SyslogPush | None = None
    not_before_s: float = 0.0
    events: int = 0
    ended: bool = False


@dataclass(slots=True)
class KernelDrops:
    """Datagrams that the kernel dropped because a socket's buffer was full (Linux: /proc/net/udp)."""

    total: int = 0
    _last: dict[int, int] = field(default_factory=dict)

    def look(self, bound: list[socket.socket]) -> int:
        """Add what was dropped since the last look; returns that."""
        wanted = {os.fstat(sock.fileno()).st_ino for sock in bound}
        fresh = 0
        for path in ("/proc/net/udp", "/proc/net/udp6"):
            try:
                rows = Path(path).read_text(encoding="ascii").splitlines()[1:]
            except OSError:
                continue
            for row in rows:
                cells = row.split()
                if len(cells) >= 13 and int(cells[9]) in wanted:
                    inode, drops = int(cells[9]), int(cells[12])
                    fresh += max(0, drops - self._last.get(inode, 0))
                    self._last[inode] = drops
        self._last = {inode: drops for inode, drops in self._last.items() if inode in wanted}
        self.total += fresh
        return fresh
