"""How workers find each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from model.units import Milliseconds, SizeBytes


class Security(StrEnum):
    """How the connection to a broker is made."""

    PLAINTEXT = "plaintext"
    SSL = "ssl"
    SASL_PLAINTEXT = "sasl_plaintext"
    SASL_SSL = "sasl_ssl"


class Mechanism(StrEnum):
    """How a name and a password are shown to a broker."""

    PLAIN = "PLAIN"
    SCRAM_SHA_256 = "SCRAM-SHA-256"
    SCRAM_SHA_512 = "SCRAM-SHA-512"


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """The distributed runtime (`tocsin worker`); `tocsin run` does not read it.

    Attributes
    ----------
    brokers : tuple of str
        HOST:PORT of some brokers.
    prefix : str
        Begins the names of topics and consumer groups: `tocsin.telemetry`, `tocsin.alerts`, `tocsin.dead`.
    partitions : int
        Of the telemetry topic: as many workers can detect. Not to be changed later: a service's partition,
        and what was learnt there, would be another.
    domains : int
        Partitions of the alerts topic: as many workers can decide. More than one needs
        `correlator.separate_domains`. May be raised later, not lowered.
    replication : int
        Copies of each partition, where `tocsin topics --create` makes them.
    patience_ms : duration
        How far behind the others a detecting partition may be before the correlator goes on without it.
    session_timeout_ms : duration
        A worker that is not heard of for so long is taken for dead.
    queue_bytes_max : size
        What intake keeps while no broker takes it; the oldest telemetry is dropped beyond it, and counted.
    security : Security
        plaintext, ssl, sasl_plaintext or sasl_ssl.
    ca_file, cert_file, key_file : str
        PEM files: who is believed (default: the system's), and who we are.
    mechanism : Mechanism
        PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512.
    username, password_file : str
        For SASL.
    """

    brokers: tuple[str, ...] = ("127.0.0.1:9092",)
    prefix: str = "tocsin"
    partitions: int = 8
    domains: int = 1
    replication: int = 3
    patience_ms: Milliseconds = 60_000
    session_timeout_ms: Milliseconds = 10_000
    queue_bytes_max: SizeBytes = 256 * 2**20
    security: Security = Security.PLAINTEXT
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    mechanism: Mechanism = Mechanism.SCRAM_SHA_512
    username: str = ""
    password_file: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if not self.brokers or not all(_address(one) for one in self.brokers):
            raise ValueError('brokers must be a list of "HOST:PORT"')
        if not 1 <= self.partitions <= 10_000:
            raise ValueError("partitions must lie between 1 and 10000")
        if not 1 <= self.domains <= 1_000:
            raise ValueError("domains must lie between 1 and 1000")
        if not 1 <= self.replication <= 15:
            raise ValueError("replication must lie between 1 and 15")
        if not self.prefix or not all(one.isalnum() or one in "._-" for one in self.prefix):
            raise ValueError("prefix must be of letters, digits, dots, dashes and underscores")
        if self.sasl and not (self.username and self.password_file):
            raise ValueError("SASL needs username and password_file")
        if bool(self.cert_file) != bool(self.key_file):
            raise ValueError("cert_file and key_file go together")
        if not 1_000 <= self.session_timeout_ms <= 1_800_000:
            raise ValueError("session_timeout must lie between 1s and 30m")

    @property
    def sasl(self) -> bool:
        """Whether a name and a password are shown."""
        return self.security in (Security.SASL_PLAINTEXT, Security.SASL_SSL)

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.security in (Security.SSL, Security.SASL_SSL)

    @property
    def telemetry(self) -> str:
        """The topic of samples, log lines and ticks, by service."""
        return f"{self.prefix}.telemetry"

    @property
    def alerts(self) -> str:
        """The topic of what detectors told and of accepted pushes."""
        return f"{self.prefix}.alerts"

    @property
    def dead(self) -> str:
        """The topic of messages that were set aside."""
        return f"{self.prefix}.dead"


def _address(text: str) -> bool:
    host, colon, port = text.rpartition(":")
    return bool(host and colon and port.isascii() and port.isdigit() and 0 < int(port) < 65_536)
