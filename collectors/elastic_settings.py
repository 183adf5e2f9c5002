"""What can be set about reading log lines from an Elasticsearch or an OpenSearch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson

from model.units import Milliseconds, SizeBytes

OURS = ("message", "level", "service", "host", "logger", "trace", "stack")
"""What a line is made of; `fields` may say where a site keeps it."""

OWN = "logs-tocsin."
"""How the streams begin that Tocsin writes (incident_bridge/elastic_documents.py)."""


@dataclass(frozen=True, slots=True)
class ElasticsearchSettings:
    """Indices whose new documents are read as log lines, again and again.

    Attributes
    ----------
    url : str
        The address of a node or of what stands before the cluster, such as "https://es.example:9200".
    index : str
        Indices, aliases, data streams or patterns, by commas, such as "logs-*,filebeat-*".
    name : str
        `job` and `service` of its own `up` series, and its name in messages.
    query : str
        Which documents: a query string such as `NOT log.level:debug`, or the JSON of a query.
    service : str
        Service of documents that name none; "" takes their host's name, else `name`.
    fields : mapping of str to str
        Where this site keeps message, level, service, host, logger, trace or stack; looked at before the
        names of ECS and OpenTelemetry, such as `service: kubernetes.labels.app`.
    numbers : tuple of str
        Fields whose numbers are kept beside the line.
    cursor_field : str
        The date that says what is new. With "event.ingested", where an ingest pipeline sets it, a document
        is found whatever its own clock says.
    api_key_file, username, password_file : str
        Credentials; files are read anew for each request. A key is `id:key`, or encoded as Kibana shows it.
    ca_file : str
        Certificates to trust instead of the system's.
    compress : bool
        Whether answers are packed on their way: slower for both sides, right for a server that is far away.
    interval_ms : duration
        How often new documents are asked for.
    timeout_ms : duration
        For a whole answer.
    since_ms : duration
        How far back the very first start reads.
    lateness_ms : duration
        Documents are still found that become visible so long after newer ones.
    ahead_ms : duration
        Documents that claim to be later than now by more than this wait until then.
    behind_max_ms : duration
        After an outage, how far back is read; older is lost. At most `watermark.log_lateness`.
    page_size : int
        Documents of one answer; halved where an answer would be longer than `body_bytes_max`.
    lines_max : int
        New documents taken in one round; with more waiting, the next round follows at once.
    seen_max : int
        Documents remembered so that none is handed over twice; beyond it `lateness_ms` shrinks, which is told.
    body_bytes_max : size
        Decoded bytes of one answer; a single longer document is passed over and counted.
    message_chars_max : int
        Characters of a message, and of a stack trace, that are kept.
    """

    url: str = ""
    index: str = ""
    name: str = "elasticsearch"
    query: str = ""
    service: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    numbers: tuple[str, ...] = ("http.response.status_code", "event.duration")
    cursor_field: str = "@timestamp"
    api_key_file: str = ""
    username: str = ""
    password_file: str = ""
    ca_file: str = ""
    compress: bool = False
    interval_ms: Milliseconds = 5_000
    timeout_ms: Milliseconds = 30_000
    since_ms: Milliseconds = 0
    lateness_ms: Milliseconds = 300_000
    ahead_ms: Milliseconds = 300_000
    behind_max_ms: Milliseconds = 3_600_000
    page_size: int = 1_000
    lines_max: int = 10_000
    seen_max: int = 300_000
    body_bytes_max: SizeBytes = 32 * 2**20
    message_chars_max: int = 4_096

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise ValueError(f'url must begin with http:// or https://, got "{self.url[:60]}"')
        if not self.index or self.index.startswith(("_", "/")) or "/" in self.index:
            raise ValueError(f'index must name indices such as "logs-*", got "{self.index[:60]}"')
        if unknown := [ours for ours in self.fields if ours not in OURS]:
            raise ValueError(f'fields has no "{unknown[0]}"; there are {", ".join(OURS)}')
        if self.query.lstrip().startswith("{"):
            try:
                orjson.loads(self.query)
            except orjson.JSONDecodeError as error:
                raise ValueError(f"query is no JSON (at character {error.pos})") from None
        if self.interval_ms < 1_000:
            raise ValueError("interval must be at least 1s")
        if not 1 <= self.page_size <= 10_000:
            raise ValueError("page_size must lie between 1 and 10000")
        if self.lines_max < 1 or self.seen_max < self.lines_max:
            raise ValueError("seen_max must be at least lines_max, and both at least 1")

    @property
    def asked(self) -> str:
        """The indices that are asked for: what Tocsin itself writes is not read as somebody's log.

        Examples
        --------
        >>> ElasticsearchSettings("http://es:9200", "logs-*-prod").asked
        'logs-*-prod,-logs-tocsin.*'
        >>> ElasticsearchSettings("http://es:9200", "filebeat-*").asked
        'filebeat-*'
        """
        fronts = [part.partition("*")[0] for part in self.index.split(",") if "*" in part]
        own = any(OWN.startswith(front) for front in fronts)
        return f"{self.index},-{OWN}*" if own else self.index
