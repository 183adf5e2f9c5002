"""History in a real OpenSearch: data streams by our templates, each document once, found by the names of ECS."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.integration.elastic_server import Elastic
from tests.integration.opensearch_server import opensearch_in

pytestmark = pytest.mark.integration
SINK = """\
logs: {{sources: [{{paths: ["{folder}/*.log"], service: cart, from_start: true}}]}}
elasticsearch_sink: {{url: "{url}", interval: 1s, namespace: tests, logs: all}}
elasticsearch: [{{url: "{url}", index: "logs-*", interval: 1s, since: 1h}}]
"""


@pytest.fixture(scope="module")
def opensearch(servers: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Elastic]:
    with opensearch_in(tmp_path_factory.mktemp("opensearch"), servers) as started:
        yield started


def found(server: Elastic, query: str, stream: str = "*") -> list[dict[str, Any]]:
    """Documents, as Kibana's search line finds them."""
    server.ask("POST", "/logs-tocsin.*-tests/_refresh")
    asked = {"query": {"query_string": {"query": query}}, "sort": [{"@timestamp": "asc"}]}
    path = f"/logs-tocsin.{stream}-tests/_search?ignore_unavailable=true&size=1000"
    return [hit["_source"] for hit in server.ask("POST", path, asked)["hits"]["hits"]]


def test_log_lines_alerts_and_incidents_in_data_streams(
    opensearch: Elastic, servers: Any, tmp_path: Path
) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    now = datetime.now(UTC).isoformat()
    lines = [f"{now} ERROR no stock of article {n}\n" for n in range(200)]
    (logs / "cart.log").write_text("".join([*lines, f"{now} INFO password=hunter2 given\n"]))
    settings = servers.settings + SINK.format(url=opensearch.url, folder=logs)
    with servers.tocsin_in(tmp_path / "tocsin", settings) as tocsin:
        tocsin.push({"labels": {"alertname": "Down", "service": "cart", "severity": "critical"}})
        incident = tocsin.incident("cart")["id"]
        told = f'event.action:"incident-opened" AND tocsin.incident.id:{incident}'
        servers.wait_for(lambda: found(opensearch, told), "the incident's document")
        errors = "service.name:cart AND log.level:error AND event.dataset:tocsin.log"
        servers.wait_for(lambda: len(found(opensearch, errors)) == 200, "all lines")
        servers.wait_for(lambda: found(opensearch, "message:given", "log"), "the line after them")
        fired = "event.kind:alert AND rule.name:Down"
        servers.wait_for(lambda: found(opensearch, fired), "the alert's document")

        def counted(name: str) -> float:
            return float(dict(tocsin.get("/api/v1/health")["counters"])[name])

        assert counted("tocsin_elasticsearch_logs_refused_total") == 0
        assert counted("tocsin_elasticsearch_sink_refused_total") == 0
        # What it writes is not read as somebody's log, though logs-* would fit.
        begun = counted("tocsin_elasticsearch_rounds_total")
        servers.wait_for(
            lambda: counted("tocsin_elasticsearch_rounds_total") > begun + 1, "a round after that"
        )
        assert counted("tocsin_elasticsearch_lines_total") == 0
    masked = found(opensearch, "message:given", "log")
    assert len(masked) == 1 and "hunter2" not in masked[0]["message"]
    one = found(opensearch, errors)[0]
    assert one["log"]["file"]["path"].endswith("cart.log") and one["tocsin"]["template"]["text"]
    streams = opensearch.ask("GET", "/_data_stream/logs-tocsin.*")["data_streams"]
    names = {f"logs-tocsin.{name}-tests" for name in ("log", "incident", "alert")}
    assert {stream["name"] for stream in streams} == names
    said = (tmp_path / "tocsin" / "tocsin.log").read_text()
    assert "left out: ILM" in said and "data streams" not in said
    # Read again from the start, by a Tocsin that knows nothing: the same documents.
    opensearch.ask("POST", "/logs-tocsin.log-tests/_refresh")
    with servers.tocsin_in(tmp_path / "again", settings) as tocsin:

        def sent() -> bool:
            counted = dict(tocsin.get("/api/v1/health")["counters"])
            waits = counted["tocsin_elasticsearch_logs_waiting"]
            return bool(counted["tocsin_log_lines_total"] >= 201 and not waits)

        servers.wait_for(sent, "the lines to be sent again")
    assert len(found(opensearch, "event.dataset:tocsin.log")) == 201
