"""What can be set about taking syslog."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from model.units import Milliseconds, SizeBytes

PROTOCOLS = ("udp", "tcp", "tls")
SERVICE_FROM = ("app", "host", "none")


@dataclass(frozen=True, slots=True)
class SyslogListener:
    """One address that takes syslog.

    Attributes
    ----------
    listen : str
        HOST:PORT. An address that others can reach needs `allow` or, with TLS, `client_ca_file`.
    protocol : str
        udp, tcp or tls.
    allow : tuple of str
        Networks that may send, such as "10.0.0.0/8"; empty: this machine alone where it listens on
        loopback, everybody whose certificate fits with TLS.
    service : str
        Service of everything that comes in here; "" goes by `syslog.services` and `syslog.service_from`.
    time_zone : str
        Of times that name none (RFC 3164), such as "Europe/Berlin"; "" is this machine's.
    cert_file, key_file : str
        TLS: certificate chain and key (PEM); taken up again when they change.
    client_ca_file : str
        TLS: senders need a certificate of one of these authorities.
    """

    listen: str = "127.0.0.1:5514"
    protocol: str = "udp"
    allow: tuple[str, ...] = ()
    service: str = ""
    time_zone: str = ""
    cert_file: str = ""
    key_file: str = ""
    client_ca_file: str = ""

    def __post_init__(self) -> None:
        if self.protocol not in PROTOCOLS:
            raise ValueError(f"protocol must be udp, tcp or tls, got {self.protocol!r}")
        host, port = self.address
        for network in self.allow:
            try:
                ipaddress.ip_network(network, strict=False)
            except ValueError:
                raise ValueError(
                    f'allow must hold networks such as "10.0.0.0/8", got {network!r}'
                ) from None
        if not 0 <= port <= 65_535:
            raise ValueError(f"listen: the port must lie between 0 and 65535, got {port}")
        if self.protocol == "tls" and not (self.cert_file and self.key_file):
            raise ValueError("a tls listener needs cert_file and key_file")
        if not is_loopback(host) and not self.allow and not self.client_ca_file:
            raise ValueError(
                f"listen: {self.listen} can be reached by other machines; name those that may send in allow"
            )
        if self.time_zone:
            try:
                ZoneInfo(self.time_zone)
            except (KeyError, ValueError, OSError):
                raise ValueError(
                    f'time_zone must be a name such as "Europe/Berlin", got {self.time_zone!r}'
                ) from None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        host, _, port = self.listen.rpartition(":")
        if not host or not (port.isascii() and port.isdigit()):
            raise ValueError(
                f'listen must be HOST:PORT such as "127.0.0.1:5514", got {self.listen!r}'
            )
        return host.strip("[]"), int(port)

    @property
    def name(self) -> str:
        """What it is called: protocol and address."""
        return f"{self.protocol} {self.listen}"


@dataclass(frozen=True, slots=True)
class SyslogService:
    """Which service a program of a host belongs to; the first entry that fits counts.

    Attributes
    ----------
    service : str
        Its name in the catalogue.
    app, host : str
        Patterns with `*` and `?` for APP-NAME (the tag) and host name.
    """

    service: str
    app: str = "*"
    host: str = "*"


@dataclass(frozen=True, slots=True)
class SyslogSettings:
    """Where syslog is taken, whose it is, and how much of it.

    Attributes
    ----------
    listeners : tuple of SyslogListener
        None by default.
    services : tuple of SyslogService
        From program and host to the service in the catalogue.
    service_from : str
        What names the service where nothing above does: app, host or none.
    services_max : int
        Different services that senders may name by `service_from`; beyond it lines belong to none.
    message_bytes_max : size
        A longer message is cut.
    connections_max, sender_connections_max : int
        Open TCP and TLS connections in all and of one address; beyond it they are closed at once.
    idle_ms : duration
        A connection that says nothing for so long is closed. Not too short: syslog over TCP has no
        acknowledgement, and a sender loses a line or two when it finds its connection closed.
    message_ms : duration
        Within so long a message that was begun must end, and a TLS handshake be done.
    rate_max : int
        Messages a second of one sender, ten seconds' worth at once. Beyond it UDP is dropped, TCP not read.
    senders_max : int
        Senders whose rate is remembered.
    receive_buffer_bytes : size
        Asked of the kernel for each UDP socket; it may grant less (net.core.rmem_max).
    """

    listeners: tuple[SyslogListener, ...] = ()
    services: tuple[SyslogService, ...] = ()
    service_from: str = "app"
    services_max: int = 1_000
    message_bytes_max: SizeBytes = 16 * 1024
    connections_max: int = 1_000
    sender_connections_max: int = 100
    idle_ms: Milliseconds = 3_600_000
    message_ms: Milliseconds = 30_000
    rate_max: int = 20_000
    senders_max: int = 10_000
    receive_buffer_bytes: SizeBytes = 8 * 2**20

    def __post_init__(self) -> None:
        if self.service_from not in SERVICE_FROM:
            raise ValueError(f"service_from must be app, host or none, got {self.service_from!r}")
        if not 480 <= self.message_bytes_max <= 2**20:
            raise ValueError("message_max must lie between 480 bytes and 1MiB")
        if self.rate_max < 1 or self.connections_max < 1 or self.sender_connections_max < 1:
            raise ValueError(
                "rate_max, connections_max and sender_connections_max must be at least 1"
            )
        names = [listener.name for listener in self.listeners]
        if len(set(names)) < len(names):
            raise ValueError("two listeners have the same protocol and address")


def is_loopback(host: str) -> bool:
    """Whether a host to listen on is this machine's own."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
