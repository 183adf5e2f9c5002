"""How workers find each other."""

from __future__ import annotations

from dataclasses import dataclass

from collectors.kafka_settings import BrokerSettings, Mechanism, Security
from model.units import Milliseconds, SizeBytes


@dataclass(frozen=True, slots=True)
class KafkaSettings(BrokerSettings):
    """The distributed runtime (`tocsin worker`); `tocsin run` does not read it.

    Attributes
    ----------
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
    """

    prefix: str = "tocsin"
    partitions: int = 8
    domains: int = 1
    replication: int = 3
    patience_ms: Milliseconds = 60_000
    session_timeout_ms: Milliseconds = 10_000
    queue_bytes_max: SizeBytes = 256 * 2**20

    def __post_init__(self) -> None:
        BrokerSettings.__post_init__(self)
        if not 1 <= self.partitions <= 10_000:
            raise ValueError("partitions must lie between 1 and 10000")
        if not 1 <= self.domains <= 1_000:
            raise ValueError("domains must lie between 1 and 1000")
        if not 1 <= self.replication <= 15:
            raise ValueError("replication must lie between 1 and 15")
        if not self.prefix or not all(one.isalnum() or one in "._-" for one in self.prefix):
            raise ValueError("prefix must be of letters, digits, dots, dashes and underscores")
        if not 1_000 <= self.session_timeout_ms <= 1_800_000:
            raise ValueError("session_timeout must lie between 1s and 30m")

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


__all__ = ["KafkaSettings", "Mechanism", "Security"]
