"""What can be set about telling a Kafka topic what happens to incidents."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from collectors.kafka_settings import BrokerSettings
from model.units import Milliseconds


class EventMode(StrEnum):
    """How a CloudEvent is written into a message."""

    STRUCTURED = "structured"  # the value is the whole event
    BINARY = "binary"  # attributes are headers ce_…, the value is the data


@dataclass(frozen=True, slots=True)
class KafkaEventsSettings(BrokerSettings):
    """A topic that gets what happens to incidents as CloudEvents 1.0.

    Attributes
    ----------
    topic : str
        Where; it must be there. "": nothing is sent. The key of a message is the incident's id.
    mode : EventMode
        structured or binary.
    interval_ms : duration
        How often what is new is sent.
    timeout_ms : duration
        A broker that does not answer for so long is taken for gone.
    batch_max : int
        Lines of timelines taken at once.
    """

    topic: str = ""
    mode: EventMode = EventMode.STRUCTURED
    interval_ms: Milliseconds = 1_000
    timeout_ms: Milliseconds = 20_000
    batch_max: int = 500

    def __post_init__(self) -> None:
        BrokerSettings.__post_init__(self)
        if self.interval_ms < 100:
            raise ValueError("interval must be at least 100ms")
        if self.timeout_ms < 1_000:
            raise ValueError("timeout must be at least 1s")
        if not 1 <= self.batch_max <= 10_000:
            raise ValueError("batch_max must lie between 1 and 10000")
