"""A site that cannot be scraped: each sample once, in time, over failures and restarts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from collectors.prometheus_poll import PrometheusPoll
from collectors.prometheus_settings import PollSettings
from model.batch import MetricBatch
from model.clock import SystemClock
from model.errors import SnapshotError
from model.labels import Labels
from model.series import SeriesIndex
from tests.collectors.prometheus_double import Double, serving

NOW = 1_800_000_000_000
DEPTH = Labels.of({"__name__": "depth", "job": "shop", "instance": "a:80"})
OTHER = Labels.of({"__name__": "jobs_total", "job": "shop", "instance": "a:80"})


@pytest.fixture
def double() -> Iterator[Double]:
    with serving(Double()) as served:
        yield served


def put(double: Double, labels: Labels, *times_ms: int) -> None:
    """Let the Prometheus have samples; each value says when it was made."""
    known = double.series.get(labels, (np.zeros(0, np.int64), np.zeros(0)))[0]
    times = np.unique(np.concatenate([known, np.array(times_ms, dtype=np.int64)]))
    double.series[labels] = (times, (times - NOW) / 1000.0)


class Site:
    """A poll driven by hand."""

    def __init__(self, double: Double, **settings: Any) -> None:
        self.index = SeriesIndex()
        chosen = {"url": double.url, "selectors": ('{job="shop"}',), **settings}
        self.poll = PrometheusPoll(PollSettings(**chosen), self.index, SystemClock())

    def ask(self, now_ms: int) -> MetricBatch:
        """One round: what it brought."""
        assert not self.poll.poll(now_ms)
        self.poll.wait(60.0)
        (batch,) = self.poll.poll(now_ms)
        assert isinstance(batch, MetricBatch)
        return batch

    def times(self, batch: MetricBatch, labels: Labels = DEPTH) -> list[int]:
        row = self.index.find(labels)
        return [int(t) - NOW for t in batch.times_ms[batch.rows == row]]

    def up(self, batch: MetricBatch) -> float:
        rows = [r for r in self.index.rows() if self.index.labels(r)["__name__"] == "up"]
        (row,) = [r for r in rows if self.index.labels(r)["service"] == "prometheus"]
        return float(batch.values[batch.rows == row][0])


def test_each_sample_once_with_its_own_time(double: Double) -> None:
    site = Site(double)
    put(double, DEPTH, NOW - 20_000, NOW - 5_000)
    assert site.times(site.ask(NOW)) == [-20_000, -5_000]
    put(double, DEPTH, NOW + 10_000)
    assert site.times(site.ask(NOW + 15_000)) == [10_000]
    assert site.times(site.ask(NOW + 30_000)) == []
    assert site.up(site.ask(NOW + 45_000)) == 1.0


def test_what_came_late_is_taken_if_it_is_news_of_its_series(double: Double) -> None:
    site = Site(double)
    put(double, DEPTH, NOW - 1_000)
    site.ask(NOW)
    put(double, OTHER, NOW - 20_000)  # written after we had asked
    put(double, DEPTH, NOW - 3_000)  # older than what we have
    late = site.ask(NOW + 15_000)
    assert site.times(late, OTHER) == [-20_000] and site.times(late) == []


def test_f12_a_time_ahead_of_now_holds_nothing_back(double: Double) -> None:
    site = Site(double)
    ahead = json.dumps([(NOW + 900_000) / 1000, "1"])
    said = {"metric": dict(DEPTH), "values": [json.loads(ahead)]}
    found = {"status": "success", "data": {"resultType": "matrix", "result": [said]}}
    double.instead = lambda path, form: (200, json.dumps(found).encode(), {})
    assert site.times(site.ask(NOW)) == []
    double.instead = lambda path, form: None
    put(double, DEPTH, NOW + 10_000)
    assert site.times(site.ask(NOW + 15_000)) == [10_000]


def test_a03_series_whose_labels_do_not_fit_are_refused_alone(double: Double) -> None:
    # 64 of theirs are allowed, and one of ours; PostgreSQL takes no NUL.
    site = Site(double, labels={"site": "paris"})
    many = Labels.of({"job": "shop", **{f"l{n:02}": "x" for n in range(63)}})
    for labels in (DEPTH, many, Labels.of({"job": "shop", "instance": "a\0"})):
        put(double, labels, NOW - 5_000)
    batch = site.ask(NOW)
    assert len(batch) == 2 and site.up(batch) == 1.0
    assert site.poll.counters()["tocsin_poll_series_refused_total"] == 2


def test_an_outage_is_asked_for_afterwards_as_far_as_it_counts(double: Double) -> None:
    site = Site(double, behind_max_ms=120_000)
    put(double, DEPTH, *range(NOW - 10_000, NOW + 400_000, 10_000))
    site.ask(NOW)
    double.instead = lambda path, form: (503, b"", {})
    failed = site.ask(NOW + 15_000)
    assert site.times(failed) == [] and site.up(failed) == 0.0
    assert "answered 503" in site.poll.problems.all()[0].reason.text()
    double.instead = lambda path, form: None
    assert site.times(site.ask(NOW + 60_000)) == list(range(10_000, 60_001, 10_000))
    assert not site.poll.problems.all()
    # Five minutes later only the last two of them are asked for.
    assert site.times(site.ask(NOW + 360_000))[0] == 250_000


def test_the_cursor_outlasts_a_restart(double: Double) -> None:
    site = Site(double)
    put(double, DEPTH, NOW - 5_000)
    site.ask(NOW)
    put(double, DEPTH, NOW + 30_000, NOW + 120_000)
    again = Site(double)
    again.poll.load(site.poll.save())
    assert again.times(again.ask(NOW + 200_000)) == [-5_000, 30_000, 120_000]
    cold = Site(double)
    assert cold.times(cold.ask(NOW + 200_000)) == [120_000]
    with pytest.raises(SnapshotError):
        cold.poll.load(b"something else")


def test_labels_are_added_and_kinds_are_known(double: Double) -> None:
    def metadata(path: str, form: object) -> tuple[int, bytes, dict[str, str]] | None:
        if path.startswith("/api/v1/metadata"):
            return 200, b'{"status":"success","data":{"depth":[{"type":"gauge"}],"x":[]}}', {}
        return None

    double.instead = metadata
    put(double, DEPTH, NOW - 5_000)
    site = Site(double, labels={"site": "east", "job": "never"})
    site.ask(NOW)
    assert site.index.find(DEPTH.with_(site="east")) is not None
    assert site.index.kind("depth") == "gauge"


def test_more_series_than_allowed_are_refused(double: Double) -> None:
    put(double, DEPTH, NOW - 5_000)
    put(double, OTHER, NOW - 5_000)
    site = Site(double, series_max=1)
    assert len(site.ask(NOW)) == 2  # one of them, and `up`
    assert site.poll.counters()["tocsin_poll_series_refused_total"] == 1
    assert "limit" in site.poll.problems.all()[0].kind


@pytest.mark.parametrize("wrong", [{"url": ""}, {"selectors": ()}, {"selectors": ("up",)}])
def test_settings_say_what_is_missing(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="url|selectors"):
        PollSettings(**{"url": "http://p", "selectors": ('{a="b"}',), **wrong})
