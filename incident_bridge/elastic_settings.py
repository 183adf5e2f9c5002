"""What can be set about keeping history in an Elasticsearch or OpenSearch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from model.units import Milliseconds, SizeBytes


class LogKeeping(StrEnum):
    """Which log lines are written."""

    NONE = "none"
    EXAMPLES = "examples"  # some of each template in an hour
    ALL = "all"


@dataclass(frozen=True, slots=True)
class ElasticSinkSettings:
    """Where incidents, alerts and log lines are written as ECS documents, for Kibana, Grafana and others.

    Attributes
    ----------
    url : str
        The address of a node or of what stands before the cluster. "": nothing is written.
    namespace : str
        The last part of the streams' names: logs-tocsin.incident-NAMESPACE, logs-tocsin.alert-NAMESPACE,
        logs-tocsin.log-NAMESPACE.
    api_key_file, username, password_file : str
        Credentials; files are read anew for each request. A key is `id:key`, or encoded as Kibana shows it.
    ca_file : str
        Certificates to trust instead of the system's.
    compress : bool
        Whether answers are packed on their way.
    interval_ms : duration
        How often what is new is written.
    timeout_ms : duration
        For a whole answer.
    body_bytes_max : size
        Decoded bytes of one answer, and about the size of one request.
    batch_max : int
        Lines of timelines, and of logs, taken at once.
    keep_ms : duration
        How long the server keeps incidents and alerts, where it has ILM; 0 leaves that to you.
    logs : LogKeeping
        Log lines that are written, masked as everywhere: none, examples or all. Lines that came out of an
        Elasticsearch are in it already, and never written.
    logs_examples : int
        Lines of each template that are written in an hour, where `logs` is examples.
    logs_keep_ms : duration
        How long the server keeps log lines, where it has ILM; 0 leaves that to you.
    logs_queue_bytes_max : size
        Log lines that wait for the server; beyond it the oldest are dropped and counted.
    """

    url: str = ""
    namespace: str = "default"
    api_key_file: str = ""
    username: str = ""
    password_file: str = ""
    ca_file: str = ""
    compress: bool = False
    interval_ms: Milliseconds = 2_000
    timeout_ms: Milliseconds = 30_000
    body_bytes_max: SizeBytes = 8 * 2**20
    batch_max: int = 500
    keep_ms: Milliseconds = 400 * 86_400_000
    logs: LogKeeping = LogKeeping.EXAMPLES
    logs_examples: int = 5
    logs_keep_ms: Milliseconds = 30 * 86_400_000
    logs_queue_bytes_max: SizeBytes = 64 * 2**20

    def __post_init__(self) -> None:
        if self.url and not self.url.startswith(("http://", "https://")):
            raise ValueError(f'url must begin with http:// or https://, got "{self.url[:60]}"')
        if not re.fullmatch(r"[a-z0-9_.]{1,100}", self.namespace):
            raise ValueError("namespace must be of a-z, 0-9, _ and . only")
        if self.interval_ms < 1_000:
            raise ValueError("interval must be at least 1s")
        if not 1 <= self.batch_max <= 10_000:
            raise ValueError("batch_max must lie between 1 and 10000")
        if self.logs_examples < 1:
            raise ValueError("logs_examples must be at least 1")
