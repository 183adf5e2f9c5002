"""Scraping a real server on loopback."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from collectors.scrape import Scraper
from collectors.settings import FileTargets, ScrapeSettings, ScrapeTarget
from model.batch import MetricBatch, is_stale
from model.clock import SystemClock
from model.series import SeriesIndex
from tests.collectors.http_double import Answer, answering

NOW = 1_700_000_000_000
EVERY_MS = 120_000
"""A beat of the scraper; as its timeout far more than a busy machine needs."""


@dataclass
class Page:
    """What the server answers."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[dict[str, str]] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def page() -> Iterator[Page]:
    page = Page()

    def ask(method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        page.asked.append(headers)
        return page.status, page.body, page.headers

    with answering(ask) as address:
        page.url = f"{address}/metrics"
        yield page


class Bench:
    """A scraper, and its series by name."""

    def __init__(self, settings: ScrapeSettings) -> None:
        self.index = SeriesIndex()
        self.scraper = Scraper(replace(settings, timeout_ms=EVERY_MS), self.index, SystemClock())
        self.now_ms = NOW
        # The first beat may lie on this very millisecond or later in the interval: be past it.
        self.scraper.poll(NOW)
        self.scraper.wait(60.0)
        self.scraper.poll(NOW)

    def scrape(self) -> dict[str, float]:
        """One round; the last value by name."""
        self.now_ms += EVERY_MS
        batches = self.scraper.poll(self.now_ms)
        self.scraper.wait(60.0)
        values: dict[str, float] = {}
        for batch in [*batches, *self.scraper.poll(self.now_ms)]:
            assert isinstance(batch, MetricBatch)
            assert not batch.values.flags.writeable
            for row, value in zip(batch.rows.tolist(), batch.values, strict=True):
                values[self.index.labels(row)["__name__"]] = value
        return values


@pytest.fixture
def bench(page: Page) -> Iterator[Bench]:
    target = ScrapeTarget(page.url, job="shop", service="cart", labels={"zone": "a"})
    bench = Bench(ScrapeSettings((target,), interval_ms=EVERY_MS, body_bytes_max=10_000))
    yield bench
    bench.scraper.close()


def test_up_samples_and_labels(page: Page, bench: Bench) -> None:
    page.body = b'# TYPE a counter\na_total{job="mine"} 3\n'
    values = bench.scrape()
    assert (values["a_total"], values["up"], values["scrape_samples_scraped"]) == (3.0, 1.0, 1.0)
    assert 0 < values["scrape_duration_seconds"] < EVERY_MS / 1000
    (series,) = [
        bench.index.labels(r)
        for r in bench.index.rows()
        if bench.index.labels(r)["__name__"] == "a_total"
    ]
    assert series.get("exported_job") == "mine"
    assert (series["job"], series["service"], series["zone"]) == ("shop", "cart", "a")


def test_vanished_series_and_failed_targets_get_stale_markers(page: Page, bench: Bench) -> None:
    page.body = b"a 1\nb 2\n"
    assert set(bench.scrape()) >= {"a", "b", "up"}
    page.body = b"a 1\n"
    values = bench.scrape()
    assert is_stale(np.array([values["b"], values["a"]])).tolist() == [True, False]
    page.status = 500
    values = bench.scrape()
    assert is_stale(np.array([values["a"]])).all()
    assert values["up"] == 0.0
    bench.scrape()
    assert len(bench.scraper.problems.fresh()) == 1
    assert bench.scraper.problems.all()[0].count == 2
    page.status = 200
    assert bench.scrape()["up"] == 1.0
    assert bench.scraper.problems.all() == []


def test_a02_gzip_bomb_is_met_early(page: Page, bench: Bench) -> None:
    page.headers = {"Content-Encoding": "gzip"}
    page.body = gzip.compress(b"a 1\n")
    assert bench.scrape()["a"] == 1.0
    page.body = gzip.compress(bytes(100 * 2**20))
    assert bench.scrape()["up"] == 0.0
    assert "longer than 10000 bytes" in bench.scraper.problems.all()[0].reason.text()
    page.body = gzip.compress(b"a 1\n")[:-4]
    assert bench.scrape()["up"] == 0.0


def test_plain_body_beyond_the_limit(page: Page, bench: Bench) -> None:
    page.body = b"a 1\n" * 3_000
    assert bench.scrape()["up"] == 0.0


def test_redirect_elsewhere_is_refused(page: Page, bench: Bench) -> None:
    page.status, page.headers = 302, {"Location": "http://169.254.169.254/latest"}
    page.asked.clear()
    assert bench.scrape()["up"] == 0.0
    assert len(page.asked) == 1


def test_cut_off_openmetrics_is_a_failure(page: Page, bench: Bench) -> None:
    page.headers = {"Content-Type": "application/openmetrics-text; version=1.0.0"}
    page.body = b"a 1\n# EOF\n"
    assert bench.scrape()["a"] == 1.0
    page.body = b"a 1\n"
    values = bench.scrape()
    assert values["up"] == 0.0
    assert is_stale(np.array([values["a"]])).all()


def test_f12_timestamps_of_a_target(page: Page, bench: Bench) -> None:
    page.body = f"late 1 {NOW - 10**9}\nfuture 1 {NOW + 10**9}\nseconds 1 {NOW // 1000}\nzero 1 0\n".encode()
    values = bench.scrape()
    assert set(values) & {"late", "future", "seconds", "zero"} == {"seconds"}
    counters = bench.scraper.counters()
    assert counters["tocsin_samples_late_total"] == counters["tocsin_samples_future_total"] == 1
    assert counters["tocsin_samples_without_clock_total"] == 1
    assert bench.scraper.watermark.high_ms <= bench.now_ms


def test_secrets_come_from_files_and_stay_out_of_problems(page: Page, tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("s3cret\n", encoding="utf-8")
    page.body = b"a 1\n"
    url = page.url.replace("http://", "http://ann:hidden@")
    targets = (
        ScrapeTarget(page.url, job="bearer", bearer_token_file=str(secret)),
        ScrapeTarget(url, job="inside"),
        ScrapeTarget(page.url, job="basic", username="u", password_file=str(secret)),
    )
    bench = Bench(ScrapeSettings(targets, interval_ms=EVERY_MS))
    bench.scrape()
    sent = {asked["authorization"] for asked in page.asked}
    assert sent == {"Bearer s3cret", "Basic YW5uOmhpZGRlbg==", "Basic dTpzM2NyZXQ="}
    secret.unlink()
    bench.scrape()
    assert [p.kind for p in bench.scraper.problems.all()] == ["scrape", "scrape"]
    said = str(bench.scraper.problems.all()) + str(bench.index.labels(0))
    assert "hidden" not in said and "s3cret" not in said
    bench.scraper.close()


def test_dead_target_and_own_series_after_removal(tmp_path: Path) -> None:
    listed = tmp_path / "targets.json"
    listed.write_text('[{"targets": ["127.0.0.1:1"], "labels": {"env": "x"}}]', encoding="utf-8")
    settings = ScrapeSettings(
        discovery=(FileTargets((str(tmp_path / "*.json"),), job="j"),),
        interval_ms=EVERY_MS,
        discovery_interval_ms=1,
    )
    bench = Bench(settings)
    assert bench.scrape()["up"] == 0.0
    listed.write_text("[{targets: 5}]", encoding="utf-8")
    bench.scrape()
    assert [p.kind for p in bench.scraper.problems.all()] == ["scrape", "discovery"]
    assert len(bench.scraper.targets) == 1
    listed.write_text("[]", encoding="utf-8")
    values = bench.scrape()
    assert is_stale(np.array([values["up"]])).all()
    assert bench.scraper.problems.all() == []
    bench.scraper.close()


def test_beats_are_spread_and_the_same_every_time() -> None:
    targets = tuple(ScrapeTarget(f"http://127.0.0.1:1/{n}", job=f"j{n}") for n in range(20))
    offsets = []
    for _ in range(2):
        scraper = Scraper(ScrapeSettings(targets), SeriesIndex(), SystemClock())
        scraper.poll(NOW // 15_000 * 15_000 - 1)
        offsets.append([lane.offset_ms for lane in scraper._lanes.values()])
        scraper.close()
    assert offsets[0] == offsets[1]
    assert len(set(offsets[0])) > 15


def test_reload_keeps_unchanged_targets(page: Page, bench: Bench) -> None:
    page.body = b"a 1\n"
    bench.scrape()
    kept = bench.scraper.settings.targets
    more = ScrapeSettings((*kept, ScrapeTarget(page.url, job="new")), interval_ms=EVERY_MS)
    bench.scraper.reload(more)
    bench.scrape()
    values = bench.scrape()
    assert values["a"] == 1.0
    assert len(bench.scraper.targets) == 2
    bench.scraper.reload(ScrapeSettings(kept, interval_ms=EVERY_MS))
    bench.scrape()
    assert bench.scraper.targets == kept
    assert bench.scrape()["up"] == 1.0
