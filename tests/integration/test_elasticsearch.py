"""Log lines out of a real Elasticsearch: pages, late ones, rollover, mistakes, restarts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from collectors.elastic_api import ElasticApi
from collectors.elastic_hits import Gone
from collectors.elastic_poll import ElasticPoll
from collectors.elastic_settings import ElasticsearchSettings
from collectors.logbatches import LogBatches
from collectors.masking import Masking
from collectors.settings import WatermarkSettings
from collectors.templates import TemplateMiner
from collectors.watermark import Watermark
from model.batch import LogBatch
from model.clock import SystemClock
from model.errors import DeliveryError
from model.series import SeriesIndex
from tests.integration.elastic_server import Elastic, elastic_in

pytestmark = pytest.mark.integration

SETTINGS = """\
elasticsearch:
  - {{url: "{url}", index: "logs-*", name: logs, interval: 1s}}
"""


@pytest.fixture(scope="module")
def elastic(servers: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Elastic]:
    with elastic_in(tmp_path_factory.mktemp("elastic"), servers) as started:
        yield started


def poll_of(elastic: Elastic, index: str, **settings: Any) -> ElasticPoll:
    chosen = ElasticsearchSettings(url=elastic.url, index=index, **settings)
    watermark = Watermark.for_logs(WatermarkSettings())
    logs = LogBatches(Masking(()), TemplateMiner(), watermark)
    return ElasticPoll(chosen, SeriesIndex(), logs, SystemClock())


def asked(poll: ElasticPoll, now_ms: int) -> list[str]:
    """The lines of one round."""
    poll.poll(now_ms)
    poll.wait(60.0)
    batches = [batch for batch in poll.poll(now_ms) if isinstance(batch, LogBatch)]
    return [line for batch in batches for line in batch.lines]


def now_ms() -> int:
    return SystemClock().now_ms()


def test_pages_late_documents_rollover_and_a_restart(elastic: Elastic) -> None:
    # One maps its time in nanoseconds, one as text: the one is read, the other named.
    date = {"properties": {"@timestamp": {"type": "date_nanos"}}}
    elastic.ask("PUT", "/shop-2", {"mappings": date})
    elastic.ask("PUT", "/shop-3", {"mappings": {"properties": {"@timestamp": {"type": "keyword"}}}})
    begun = now_ms()
    poll = poll_of(elastic, "shop-*", page_size=7, query="NOT log.level:debug")
    elastic.put("shop-1", {"@timestamp": begun - 60_000, "message": "old"})
    assert asked(poll, begun) == []
    many = [
        {"@timestamp": begun + 1_000, "message": f"line {n}", "log": {"level": "info"}}
        for n in range(50)
    ]
    elastic.put("shop-1", *many[:25], {"@timestamp": begun + 1_000, "message": "no", "log.level": "debug"})  # fmt: skip
    elastic.put("shop-2", *many[25:])
    elastic.put("shop-3", {"@timestamp": str(begun), "message": "x"})
    assert sorted(asked(poll, begun + 5_000)) == sorted(str(one["message"]) for one in many)
    assert [p.reason.text() for p in poll.problems.all()] == ["shop-3 is left out: @timestamp is no date there"]  # fmt: skip
    elastic.put("shop-4", {"@timestamp": begun + 20_000, "message": "rolled over"})
    assert asked(poll, begun + 20_000) == ["rolled over"]
    again = poll_of(elastic, "shop-*", query="NOT log.level:debug")
    again.load(poll.save())
    # Late, among what was read before the restart.
    elastic.put("shop-1", {"@timestamp": begun + 1_000, "message": "late"})
    elastic.put("shop-4", {"@timestamp": begun + 25_000, "message": "meanwhile"})
    assert asked(again, begun + 30_000) == ["late", "meanwhile"]
    assert asked(again, begun + 35_000) == []


def test_what_the_server_says_of_mistakes(elastic: Elastic, tmp_path: Path) -> None:
    begun = now_ms()
    elastic.put("words-1", {"@timestamp": begun, "message": "x"})
    wrong = poll_of(elastic, "words-*", query="level:((")
    assert asked(wrong, begun) == []
    assert "answered 400" in wrong.problems.all()[0].reason.text()
    nothing = poll_of(elastic, "nothing-*")
    asked(nothing, begun)
    assert [p.kind for p in nothing.problems.all()] == ["index"]


def test_a_point_in_time_that_is_closed_is_gone(elastic: Elastic) -> None:
    elastic.put("gone-1", {"@timestamp": now_ms(), "message": "x"})
    api = ElasticApi(ElasticsearchSettings(url=elastic.url, index="gone-*"), SystemClock())
    pit = api.open()
    api.shut(pit)
    with pytest.raises(Gone):
        api.page(pit, 0, now_ms() + 1, None, 10, whole=True)
    with pytest.raises(DeliveryError):
        api.page("never", 0, now_ms() + 1, None, 10, whole=True)
    # None of ours is left open: they are few, and hold disk space.
    stats = elastic.ask("GET", "/_nodes/stats/indices/search")
    (node,) = stats["nodes"].values()
    assert node["indices"]["search"]["open_contexts"] == 0


def test_a_running_tocsin_reads_each_line_once(
    elastic: Elastic, servers: Any, tmp_path: Path
) -> None:
    settings = servers.settings + SETTINGS.format(url=elastic.url)
    elastic.put("logs-1", {"@timestamp": now_ms() - 60_000, "message": "old"})
    with servers.tocsin_in(tmp_path / "tocsin", settings) as tocsin:

        def counted(name: str) -> float:
            return float(dict(tocsin.get("/api/v1/health")["counters"])[name])

        servers.wait_for(lambda: counted("tocsin_elasticsearch_rounds_total") > 1, "a round")
        for second in range(5):
            documents = [
                {
                    "@timestamp": now_ms() + n,
                    "message": f"order {second}{n} paid",
                    "log.level": "info",
                    "service.name": "cart",
                }
                for n in range(20)
            ]
            elastic.put("logs-1", *documents)
            time.sleep(0.2)
        servers.wait_for(lambda: counted("tocsin_elasticsearch_lines_total") == 100, "100 lines")
        assert counted("tocsin_elasticsearch_failures_total") == 0
        assert counted("tocsin_log_late_total") == 0
        rounds = counted("tocsin_elasticsearch_rounds_total")
        servers.wait_for(
            lambda: counted("tocsin_elasticsearch_rounds_total") > rounds + 2, "more rounds"
        )
        assert counted("tocsin_elasticsearch_lines_total") == 100


SINK = """\
elasticsearch_sink: {{url: "{url}", interval: 1s, namespace: tests}}
"""


def test_an_incident_is_found_in_elasticsearch_with_its_alert(
    elastic: Elastic, servers: Any, tmp_path: Path
) -> None:
    settings = servers.settings + SINK.format(url=elastic.url)
    with servers.tocsin_in(tmp_path / "tocsin", settings) as tocsin:
        labels = {"alertname": "DiskFull", "service": "db", "severity": "critical"}
        tocsin.push({"labels": labels, "annotations": {"summary": "no room"}})
        incident = tocsin.incident("db")

        def found(query: str) -> list[dict[str, Any]]:
            path = "/logs-tocsin.*-tests/_search?ignore_unavailable=true&size=100"
            asked = {"query": {"query_string": {"query": query}}, "sort": [{"@timestamp": "asc"}]}
            elastic.ask("POST", "/logs-tocsin.*-tests/_refresh")
            hits = elastic.ask("POST", path, asked)["hits"]["hits"]
            return [hit["_source"] for hit in hits]

        opened = 'event.action:"incident-opened" AND tocsin.incident.id:' + incident["id"]
        (told,) = servers.wait_for(lambda: found(opened), "the incident's document")
        assert told["service"]["name"] == "db" and told["tocsin"]["incident"]["state"] == "open"
        alerts = 'event.kind:alert AND rule.name:DiskFull AND log.level:critical AND labels.service:db'  # fmt: skip
        (fired,) = servers.wait_for(lambda: found(alerts), "the alert's document")
        assert fired["message"] == "no room" and fired["event"]["action"] == "alert-firing"
        tocsin.push({"labels": labels, "endsAt": datetime.now(UTC).isoformat()})
        ended = 'event.action:"incident-resolved" AND tocsin.incident.id:' + incident["id"]
        (last,) = servers.wait_for(lambda: found(ended), "its end")
        assert last["tocsin"]["incident"]["time_to_resolve_ms"] >= 0
        health = dict(tocsin.get("/api/v1/health")["counters"])
        assert health["tocsin_elasticsearch_sink_refused_total"] == 0
    log = (tmp_path / "tocsin" / "tocsin.log").read_text()
    # This distribution of the server has neither: both are named.
    assert "left out: data streams" in log and "ILM" in log
    mapping = elastic.ask("GET", "/logs-tocsin.incident-tests/_mapping")
    (index,) = mapping.values()
    assert index["mappings"]["properties"]["service"]["properties"]["name"]["type"] == "keyword"
