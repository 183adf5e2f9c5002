"""How Kafka's brokers are reached, and which topics of a site are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from collectors.elastic_settings import OURS
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
class BrokerSettings:
    """How brokers are reached.

    Attributes
    ----------
    brokers : tuple of str
        HOST:PORT of some brokers.
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
        if self.sasl and not (self.username and self.password_file):
            raise ValueError("SASL needs username and password_file")
        if bool(self.cert_file) != bool(self.key_file):
            raise ValueError("cert_file and key_file go together")

    @property
    def sasl(self) -> bool:
        """Whether a name and a password are shown."""
        return self.security in (Security.SASL_PLAINTEXT, Security.SASL_SSL)

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.security in (Security.SSL, Security.SASL_SSL)


class KafkaFormat(StrEnum):
    """What a message of a topic holds."""

    LINES = "lines"  # log lines: plain, JSON, logfmt, syslog
    DOCUMENTS = "documents"  # a JSON document with ECS fields, as Filebeat writes it
    PROMETHEUS_JSON = "prometheus_json"  # a sample, as prometheus-kafka-adapter writes it
    REMOTE_WRITE = "remote_write"  # a request of remote write 1.0 or 2.0
    OTLP_METRICS = "otlp_metrics"  # protobuf or JSON, as the Collector's kafka exporter writes it
    OTLP_LOGS = "otlp_logs"
    OTLP_TRACES = "otlp_traces"
    ALERTMANAGER = "alertmanager"  # alerts, as Alertmanager's webhook
    CLOUDEVENTS = "cloudevents"  # alerts and changes as CloudEvents 1.0, structured or binary

    @property
    def journalled(self) -> bool:
        """Whether it brings alerts and changes, not telemetry."""
        return self in (KafkaFormat.ALERTMANAGER, KafkaFormat.CLOUDEVENTS)


class KafkaStart(StrEnum):
    """Where the very first start begins to read a topic."""

    LATEST = "latest"
    EARLIEST = "earliest"


@dataclass(frozen=True, slots=True)
class KafkaSourceSettings(BrokerSettings):
    """Topics of a site whose messages are read as samples, log lines, spans, alerts or changes.

    Attributes
    ----------
    name : str
        Source of what is read, `job` and `service` of its own `up` series, and its name in messages.
    topics : tuple of str
        Which; all in one format.
    format : KafkaFormat
        What a message holds: lines, documents, prometheus_json, remote_write, otlp_metrics, otlp_logs,
        otlp_traces, alertmanager or cloudevents.
    group : str
        A consumer group that positions are also committed to, so that its lag can be watched, and where a
        first start goes on. Positions are otherwise ours: they are kept in the snapshot. "": none.
    start : KafkaStart
        Where a topic is read from that is read for the first time: latest or earliest.
    service : str
        Of lines and documents that name none; "" takes the topic's name.
    fields : mapping of str to str
        documents: where message, level, service, host, logger, trace or stack are kept, as for an Elasticsearch.
    numbers : tuple of str
        documents: fields whose numbers are kept beside the line.
    interval_ms : duration
        How often `up`, the partitions and the lag are looked at.
    timeout_ms : duration
        A broker that does not answer for so long is taken for gone.
    queue_bytes_max : size
        What was read and waits for the pipeline; beyond it nothing more is read (back-pressure).
    step_bytes_max : size
        What one step takes of it.
    message_bytes_max : size
        A message that is longer, also once it is decoded, is set aside.
    message_chars_max : int
        Characters of a log message that are kept.
    """

    name: str = "kafka"
    topics: tuple[str, ...] = ()
    format: KafkaFormat = KafkaFormat.LINES
    group: str = ""
    start: KafkaStart = KafkaStart.LATEST
    service: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    numbers: tuple[str, ...] = ("http.response.status_code", "event.duration")
    interval_ms: Milliseconds = 15_000
    timeout_ms: Milliseconds = 20_000
    queue_bytes_max: SizeBytes = 32 * 2**20
    step_bytes_max: SizeBytes = 8 * 2**20
    message_bytes_max: SizeBytes = 16 * 2**20
    message_chars_max: int = 4_096

    def __post_init__(self) -> None:
        BrokerSettings.__post_init__(self)
        if not self.name:
            raise ValueError("name must not be empty")
        if not self.topics or not all(self.topics):
            raise ValueError("topics must name at least one topic")
        if unknown := [ours for ours in self.fields if ours not in OURS]:
            raise ValueError(f'fields has no "{unknown[0]}"; there are {", ".join(OURS)}')
        if self.interval_ms < 1_000:
            raise ValueError("interval must be at least 1s")
        if self.timeout_ms < 1_000:
            raise ValueError("timeout must be at least 1s")


def _address(text: str) -> bool:
    host, colon, port = text.rpartition(":")
    return bool(host and colon and port.isascii() and port.isdigit() and 0 < int(port) < 65_536)
