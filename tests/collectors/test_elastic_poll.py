"""A log source in Elasticsearch: each document once, late ones too, over failures and restarts."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from collectors.elastic_poll import ElasticPoll
from collectors.elastic_settings import ElasticsearchSettings
from collectors.logbatches import LogBatches
from collectors.masking import Masking
from collectors.settings import WatermarkSettings
from collectors.templates import TemplateMiner
from collectors.watermark import Watermark
from model.batch import LogBatch, MetricBatch
from model.clock import SystemClock
from model.errors import SnapshotError
from model.series import SeriesIndex
from tests.collectors.elastic_double import JSON, Answer, Double, serving

NOW = 1_800_000_000_000
DEEP = b'{"_shards":' + b"[" * 100_000 + b"]" * 100_000 + b"}"


@pytest.fixture
def double() -> Iterator[Double]:
    with serving(Double()) as served:
        yield served


class Site:
    """A poll driven by hand."""

    def __init__(self, double: Double, **settings: Any) -> None:
        chosen = {"url": double.url, "index": "logs-*", **settings}
        logs = LogBatches(
            Masking(("email",)), TemplateMiner(), Watermark.for_logs(WatermarkSettings())
        )
        self.index = SeriesIndex()
        self.poll = ElasticPoll(ElasticsearchSettings(**chosen), self.index, logs, SystemClock())
        self.up = float("nan")
        self.batches: list[LogBatch] = []

    def ask(self, now_ms: int) -> list[str]:
        """One round: the lines that it brought."""
        self.batches = []
        asked = self.poll.poll(now_ms)
        self.poll.wait(60.0)
        for batch in [*asked, *self.poll.poll(now_ms)]:
            if isinstance(batch, MetricBatch):
                self.up = float(batch.values[0])
            else:
                self.batches.append(batch)
        return [line for batch in self.batches for line in batch.lines]

    def counted(self, what: str) -> float:
        return self.poll.counters()[f"tocsin_elasticsearch_{what}"]

    def wrong(self) -> dict[str, str]:
        return {problem.kind: problem.reason.text() for problem in self.poll.problems.all()}


@pytest.fixture
def site(double: Double) -> Site:
    """Started at NOW, when an older document was there already."""
    double.put(NOW - 60_000, message="old")
    started = Site(double)
    assert started.ask(NOW) == []
    return started


def test_each_document_once_at_its_own_time(double: Double, site: Site) -> None:
    double.put(NOW + 1_000, message="one of ann@example.org", log={"level": "error"})
    double.put(NOW + 2_000, message="two", error={"stack_trace": "E: x\n  at y"})
    assert site.ask(NOW + 5_000) == ["one of ***", "two\\nE: x\\n  at y"]
    (batch,) = site.batches
    assert batch.times_ms.tolist() == [NOW + 1_000, NOW + 2_000]
    assert batch.severities.tolist() == [17, 0] and batch.services == ("elasticsearch",) * 2
    assert site.ask(NOW + 10_000) == []
    assert site.up == 1.0 and not site.wrong() and not double.pits


@pytest.mark.parametrize("open_search", [False, True])
def test_equal_times_are_not_lost_between_pages(double: Double, open_search: bool) -> None:
    double.open_search = open_search
    site = Site(double, page_size=2)
    site.ask(NOW)
    for n in range(7):
        double.put(NOW + 1_000, index=f"logs-{n % 2}", message=f"line {n}")
    assert sorted(site.ask(NOW + 5_000)) == [f"line {n}" for n in range(7)]


def test_what_becomes_visible_late_is_found(double: Double, site: Site) -> None:
    for second in range(1, 60):
        double.put(NOW + second * 1_000, message=f"at {second}")
    assert len(site.ask(NOW + 60_000)) == 59
    repeated = site.counted("repeated_total")
    double.put(NOW + 20_001, message="late")
    double.put(NOW + 40_000, index="logs-2", message="later")  # another index, rolled over to
    assert site.ask(NOW + 65_000) == ["late", "later"]
    # Only the two seconds were read again, and the newest.
    assert site.counted("repeated_total") - repeated == 3
    assert site.ask(NOW + 70_000) == []


def test_later_than_lateness_is_missed(double: Double) -> None:
    site = Site(double, lateness_ms=10_000)
    site.ask(NOW)
    double.put(NOW + 30_000, message="first")
    site.ask(NOW + 30_000)
    double.put(NOW + 19_000, message="too late")
    double.put(NOW + 21_000, message="in time")
    assert site.ask(NOW + 35_000) == ["in time"]


def test_f12_a_clock_that_is_ahead_passes_over_nobody(double: Double, site: Site) -> None:
    double.put(NOW + 200_000, message="from the future")
    double.put(NOW + 9_000_000, message="from afar")
    double.put(NOW + 1_000, message="now")
    assert site.ask(NOW + 5_000) == ["now", "from the future"]
    assert site.batches[0].times_ms.tolist() == [NOW + 1_000, NOW + 5_000]
    double.put(NOW + 6_000, message="after")
    assert site.ask(NOW + 10_000) == ["after"]
    assert site.ask(NOW + 300_000) == []


def test_the_cursor_outlasts_a_restart(double: Double, site: Site) -> None:
    double.put(NOW + 1_000, message="one")
    site.ask(NOW + 5_000)
    double.put(NOW + 1_500, message="meanwhile, late")
    double.put(NOW + 90_000, message="meanwhile")
    again = Site(double)
    again.poll.load(site.poll.save())
    assert again.ask(NOW + 100_000) == ["meanwhile, late", "meanwhile"]
    with pytest.raises(SnapshotError):
        again.poll.load(b"something else")


def test_after_a_long_outage_as_far_back_as_counts(double: Double, site: Site) -> None:
    double.put(NOW + 1_000, message="long ago")
    double.put(NOW + 9_000_000, message="lately")
    assert site.ask(NOW + 9_100_000) == ["lately"]


def test_more_than_a_round_takes_goes_on_at_once(double: Double) -> None:
    site = Site(double, page_size=10, lines_max=30)
    site.ask(NOW)
    for n in range(70):
        double.put(NOW + 1_000 + n, message=f"line {n}")
    rounds = [len(site.ask(NOW + 5_000 + n)) for n in range(3)]
    assert rounds == [30, 30, 10] and site.counted("lag_seconds") == 0.0


def busy(status: int, after: str = "") -> Any:
    headers = {**JSON, **({"Retry-After": after} if after else {})}

    def answer(method: str, path: str, body: Any) -> Answer | None:
        return (status, b'{"error":{"root_cause":[{"reason":"rejected execution"}]}}', headers)

    return answer


def test_f04_a_busy_server_is_left_alone_for_a_while(double: Double, site: Site) -> None:
    double.put(NOW + 1_000, message="kept")
    double.instead = busy(429, "30")
    assert site.ask(NOW + 5_000) == []
    assert 'answered 429, expected 200: "rejected execution"' in site.wrong()["ask"]
    double.instead = lambda method, path, body: None
    asked = len(double.asked)
    assert site.ask(NOW + 34_000) == [] and len(double.asked) == asked
    assert site.up == 0.0
    assert site.ask(NOW + 35_000) == ["kept"] and not site.wrong()


def test_pauses_double_up_to_a_limit(double: Double, site: Site) -> None:
    double.instead = busy(503)
    now, pauses = NOW + 5_000, list[int]()
    for _ in range(7):
        before = now
        site.ask(now)
        while site.counted("rounds_total") == len(pauses) + 2:
            now += 1_000
            site.ask(now)
        pauses.append((now - before) // 1_000)
    assert pauses == [5, 10, 20, 40, 80, 120, 120]


def test_what_was_read_before_a_failure_is_kept(double: Double) -> None:
    site = Site(double, page_size=2)
    site.ask(NOW)
    for n in range(5):
        double.put(NOW + 1_000 + n, message=f"line {n}")
    pages = []

    def second_fails(method: str, path: str, body: Any) -> Answer | None:
        pages.append(path)
        return busy(503)(method, path, body) if len(pages) == 3 else None

    double.instead = second_fails
    assert site.ask(NOW + 5_000) == ["line 0", "line 1"] and "ask" in site.wrong()
    assert site.ask(NOW + 10_000) == ["line 2", "line 3", "line 4"]


def test_a_point_in_time_that_expires_is_opened_anew(double: Double) -> None:
    site = Site(double, page_size=2)
    site.ask(NOW)
    for n in range(5):
        double.put(NOW + 1_000, message=f"line {n}")
    pages = []

    def expire(method: str, path: str, body: Any) -> Answer | None:
        pages.append(path)
        if len(pages) == 3:
            double.pits.clear()
        return None

    double.instead = expire
    assert site.ask(NOW + 5_000) == [f"line {n}" for n in range(5)]
    assert site.counted("renewed_total") == 1 and not site.wrong()

    def always(method: str, path: str, body: Any) -> Answer | None:
        if method == "POST" and path.startswith("/_search"):
            double.pits.clear()
        return None

    double.instead = always
    site.ask(NOW + 10_000)
    assert "again and again" in site.wrong()["ask"]


def test_a_huge_document_is_passed_over_and_its_neighbours_are_not(double: Double) -> None:
    site = Site(double, page_size=8, body_bytes_max=20_000)
    site.ask(NOW)
    for n in range(8):
        double.put(NOW + 1_000 + n, message="x" * 50_000 if n == 3 else f"line {n}")
    assert site.ask(NOW + 5_000) == [f"line {n}" for n in range(8) if n != 3]
    assert site.counted("skipped_total") == 1 and "longer" in site.wrong()["size"]
    assert site.ask(NOW + 10_000) == [] and site.counted("skipped_total") == 2


def test_many_large_documents_come_in_smaller_pages(double: Double) -> None:
    site = Site(double, page_size=64, body_bytes_max=20_000)
    site.ask(NOW)
    for n in range(64):
        double.put(NOW + 1_000 + n, message=f"{n} " + "x" * 3_000)
    assert len(site.ask(NOW + 5_000)) == 64 and site.counted("skipped_total") == 0


def test_indices_that_do_not_fit_are_named(double: Double, site: Site) -> None:
    reason = {"type": "query_shard_exception", "reason": "no date"}
    double.extra = {"failures": [{"index": "logs-odd", "reason": reason}]}
    double.put(NOW + 1_000, message="one")
    double.put(NOW + 1_001, labels={"a": 1})
    assert site.ask(NOW + 5_000) == ["one"]
    assert site.wrong()["fields"] == "logs-odd is left out: @timestamp is no date there"
    assert "fields.message" in site.wrong()["text"] and site.counted("empty_total") == 1


def test_a_part_of_the_shards_is_no_answer(double: Double, site: Site) -> None:
    double.put(NOW + 1_000, message="one")
    double.extra = {"failures": [{"index": "logs-1", "reason": {"type": "node_disconnected"}}]}
    assert site.ask(NOW + 5_000) == [] and "node_disconnected" in site.wrong()["ask"]
    double.extra = {}
    assert site.ask(NOW + 10_000) == ["one"]


def test_a_pattern_that_fits_nothing_is_told(double: Double) -> None:
    site = Site(double)
    site.ask(NOW)
    assert site.wrong() == {"index": "no index fits logs-*"}


def test_memory_is_bounded_and_says_so(double: Double) -> None:
    site = Site(double, page_size=100, lines_max=100, seen_max=100)
    site.ask(NOW)
    for n in range(300):
        double.put(NOW + n * 100, message=f"line {n}")
    for n in range(4):
        site.ask(NOW + 40_000 + n)
    assert site.counted("lines_total") == 300 and site.counted("seen") <= 100
    assert "seen_max" in site.wrong()["limit"]


def instead_of_pages(answer: bytes, kind: str = "application/json", **headers: Any) -> Any:
    def found(method: str, path: str, body: Any) -> Answer | None:
        if method == "POST" and path.startswith("/_search"):
            return 200, answer, {"Content-Type": kind, **headers}
        return None

    return found


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"hits":{"hits":[{}]}}',
        b'{"_shards":{},"hits":{"hits":[{"_id":"a","_index":"b","sort":[]}]}}',
        b'{"_shards":{},"hits":{"hits":[{"_id":"a","_index":"b","sort":["x"]}]}}',
        b'{"_shards":{},"hits":{"hits":{"a":1}}}',
        b'{"_shards":{},"hits":[1]}',
        b'{"_shards":{},"timed_out":true}',
        b'{"_shards":{"failures":["x"]}}',
        b'{"_shards":{"failures":null}}',
        b'{"_shards":{"total":"many"}}',
        b'{"_shards":{"total":1e999}}',
        b'{"_shards":{},"hits":{"hits":[{"sort":[1e999],"_id":"a","_index":"b"}]}}',
        b"\xff\xfe{}",
        DEEP,
    ],
)
def test_a03_what_is_no_answer_is_refused_and_survived(
    double: Double, site: Site, body: bytes
) -> None:
    double.instead = instead_of_pages(body)
    assert site.ask(NOW + 5_000) == [] and "could not be read" in site.wrong()["ask"]
    double.instead = lambda method, path, body: None
    double.put(NOW + 1_000, message="well again")
    assert site.ask(NOW + 10_000) == ["well again"]


def test_a03_hostile_texts_are_made_safe(double: Double, site: Site) -> None:
    double.put(NOW + 1_000, message="a\x1b[2Jb\u2028c\x00 \ud800", service={"name": "x\ny"})
    assert site.ask(NOW + 5_000) == ["a\\x1b[2Jb\\u2028c\\x00 \\ud800"]
    assert site.batches[0].services == ("x\\ny",)


def test_a02_a_bomb_is_met_early(double: Double, site: Site) -> None:
    bomb = gzip.compress(b"0" * 200_000_000, 9)
    double.instead = instead_of_pages(bomb, **{"Content-Encoding": "gzip"})
    assert site.ask(NOW + 5_000) == [] and "longer than" in site.wrong()["ask"]


def test_a_login_page_is_no_elasticsearch(double: Double, site: Site) -> None:
    double.instead = instead_of_pages(b"<html>Sign in</html>", "text/html")
    site.ask(NOW + 5_000)
    assert "is it an Elasticsearch?" in site.wrong()["ask"]


def test_a13_a_redirect_to_another_host_is_not_followed(double: Double, site: Site) -> None:
    double.instead = lambda method, path, body: (307, b"", {"Location": "http://127.0.0.1:1/"})
    site.ask(NOW + 5_000)
    assert "redirects to another host" in site.wrong()["ask"]


@pytest.mark.parametrize("key", ["aWQ6a2V5", "id:key"])
def test_credentials_are_sent_and_never_told(double: Double, tmp_path: Path, key: str) -> None:
    (tmp_path / "key").write_text(key + "\n")
    site = Site(double, api_key_file=str(tmp_path / "key"), query="NOT log.level:debug")
    site.ask(NOW)
    assert {headers["authorization"] for *_, headers in double.asked} == {"ApiKey aWQ6a2V5"}
    (searched,) = [b for m, p, b, _ in double.asked if p.startswith("/_search?") and "sort" in b]
    assert {"query_string": {"query": "NOT log.level:debug"}} in searched["query"]["bool"]["filter"]
    (tmp_path / "key").unlink()
    site.ask(NOW + 5_000)
    assert "cannot be read" in site.wrong()["ask"] and "aWQ6" not in site.wrong()["ask"]


def test_another_cursor_keeps_the_time_of_the_line(double: Double) -> None:
    site = Site(double, cursor_field="event.ingested")
    site.ask(NOW)
    double.put(NOW + 1_000, "logs-1", message="one", **{"@timestamp": (NOW - 90_000) / 1000})
    assert site.ask(NOW + 5_000) == ["one"]
    assert site.batches[0].times_ms.tolist() == [NOW - 90_000]


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "es:9200"},
        {"index": ""},
        {"index": "_all/_search"},
        {"fields": {"text": "m"}},
        {"query": '{"term": '},
        {"interval_ms": 10},
        {"page_size": 0},
        {"seen_max": 5},
    ],
)
def test_settings_say_what_is_wrong(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong)).removesuffix("_ms")):
        ElasticsearchSettings(**{"url": "http://es", "index": "logs-*", **wrong})
