"""Summaries: what their sums, counts and quantiles say of a service that has nothing better."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.classify import classify
from detectors.derive import Family
from detectors.engine import Engine
from detectors.families import SUMMED
from detectors.roles import Kind
from detectors.settings import DetectorSettings
from detectors.snapshot import pack, unpack
from detectors.summaries import mean_signal
from model.alert import Alert
from model.batch import Floats, MetricBatch
from model.labels import Labels
from model.reason import Reason
from model.series import SeriesIndex

START_MS = 1_800_000_000_000
CART = {"service": "cart", "instance": "cart:80"}


@pytest.mark.parametrize(
    "name, kind, more, wanted",
    [
        # A tail between one request in ten and one in a hundred is the service's latency.
        ("http_request_duration_seconds", "summary", {"quantile": "0.99"}, (Kind.INPUT, "quantile")),
        ("http_request_duration_seconds", "unknown", {"quantile": "0.9"}, (Kind.INPUT, "quantile")),
        ("rpc_latency_ms", "summary", {"quantile": "0.95"}, (Kind.INPUT, "quantile")),
        # The middle says what the mean says, and beyond are single requests.
        ("http_request_duration_seconds", "summary", {"quantile": "0.5"}, (Kind.IGNORED, "")),
        ("http_request_duration_seconds", "summary", {"quantile": "0.999"}, (Kind.IGNORED, "")),
        ("http_request_duration_seconds", "summary", {"quantile": "1"}, (Kind.IGNORED, "")),
        ("http_request_duration_seconds", "summary", {"quantile": "?"}, (Kind.IGNORED, "")),
        # What a service calls is measured by what it calls.
        ("http_client_request_seconds", "summary", {"quantile": "0.99"}, (Kind.IGNORED, "")),
        # Of others the middle is a gauge; pauses of a collector are nobody's business.
        ("batch_rows", "summary", {"quantile": "0.5"}, (Kind.GAUGE, "")),
        ("batch_rows", "summary", {"quantile": "0.99"}, (Kind.IGNORED, "")),
        ("go_gc_duration_seconds", "summary", {"quantile": "0.5"}, (Kind.IGNORED, "")),
        ("go_gc_duration_seconds", "summary", {"quantile": "1"}, (Kind.IGNORED, "")),
        # Sums and counts of a summary; those of a histogram are in its buckets.
        ("http_request_duration_seconds_sum", "summary", {}, (Kind.INPUT, "summary")),
        ("http_request_duration_seconds_count", "summary", {}, (Kind.INPUT, "summary")),
        ("http_server_requests_seconds_count", "summary", {}, (Kind.INPUT, "requests")),
        ("http_server_requests_seconds_sum", "summary", {}, (Kind.INPUT, "summary")),
        ("http_request_duration_seconds_sum", "histogram", {}, (Kind.IGNORED, "")),
        ("http_request_duration_seconds_count", "unknown", {}, (Kind.IGNORED, "")),
        ("go_gc_duration_seconds_sum", "summary", {}, (Kind.IGNORED, "")),
    ],
)  # fmt: skip
def test_what_parts_of_summaries_are_for(
    name: str, kind: str, more: dict[str, str], wanted: tuple[Kind, str]
) -> None:
    found = classify(Labels.of({"__name__": name, **CART, **more}), kind)
    assert (found.kind, found.family) == wanted


class Shop:
    """A service of summaries, scraped every second."""

    def __init__(self, metric: str = "http_request_duration_seconds", known: bool = True) -> None:
        self.index = SeriesIndex()
        self.engine = Engine(DetectorSettings(), self.index)
        self.metric, self.now_ms = metric, START_MS
        self.totals: dict[str, float] = {}
        if known:
            self.index.describe(metric, "summary")

    def row(self, name: str, **more: str) -> int:
        return self.index.intern(Labels.of({"__name__": name, **CART, **more}))

    def run(
        self, seconds: int, *, rate: float = 20.0, mean: float = 0.05, tail: float = 0.2,
        share: str = "0.99", failed: float = 0.0, also: dict[int, float] | None = None,
    ) -> list[Alert]:  # fmt: skip
        told: list[Alert] = []
        for _ in range(seconds):
            self.now_ms += 1_000
            added = {"200": rate * (1 - failed), "500": rate * failed}
            rows = [self.row(self.metric, quantile=share, code="200")]
            values = [tail if rate else np.nan]
            for code, count in added.items():
                for part, more in (("_count", count), ("_sum", count * mean)):
                    key = part + code
                    self.totals[key] = self.totals.get(key, 100.0) + more
                    rows.append(self.row(self.metric + part, code=code))
                    values.append(self.totals[key])
            for row, value in (also or {}).items():
                rows.append(row)
                values.append(value)
            batch = MetricBatch.of(rows, self.now_ms, values, arrival_ms=self.now_ms)
            told += self.engine.take(batch, now_ms=self.now_ms)
            told += self.engine.step(self.now_ms)
        return told


def firing(told: list[Alert]) -> list[tuple[str, str]]:
    return sorted({(a.name, a.labels.get("metric", "")) for a in told if a.firing})


@pytest.mark.parametrize("metric, unit", [("http_request_duration_seconds", 1.0), ("rpc_handling_ms", 1_000.0)])  # fmt: skip
def test_a_mean_that_rises_is_told_in_seconds(metric: str, unit: float) -> None:
    shop = Shop(metric)
    assert shop.run(120, mean=0.05 * unit, tail=0.2 * unit) == []
    told = shop.run(40, mean=0.5 * unit, tail=0.2 * unit)
    assert firing(told) == [("LatencyHigh", "latency_mean_seconds")]
    summary = told[0].summary
    assert isinstance(summary, Reason)
    assert summary.text() == "mean latency of cart is 500 ms, expected at most 150 ms"


def test_requests_that_fail_and_stay_away_are_told_where_nothing_else_counts_them() -> None:
    shop = Shop()
    assert shop.run(120) == []
    assert firing(shop.run(40, failed=0.4)) == [("ErrorRatioHigh", "error_ratio")]
    shop = Shop()
    assert shop.run(120) == []
    assert ("TrafficDrop", "request_rate") in firing(shop.run(90, rate=0.0))


def test_a_tail_is_told_when_it_lasts_and_enough_requests_lie_in_it() -> None:
    shop = Shop()
    assert shop.run(400) == []
    told = shop.run(100, tail=3.0)
    assert firing(told) == [("LatencyHigh", "latency_tail_seconds")]
    summary = told[0].summary
    assert isinstance(summary, Reason)
    assert summary.text().startswith("the 0.99 quantile of the latency of cart is 3 s, expected")
    few = (
        Shop()
    )  # 2 requests a second: of the 80 that are remembered less than one lies in the tail
    assert few.run(400, rate=2.0) == few.run(100, rate=2.0, tail=3.0) == []


def test_one_request_that_hung_is_nothing() -> None:
    shop = Shop()
    assert shop.run(120, rate=4.0) == []
    assert shop.run(1, rate=4.0, mean=8.0) + shop.run(60, rate=4.0) == []


def test_no_request_in_the_window_is_no_latency() -> None:
    shop = Shop()
    shop.run(400, tail=0.2)
    series = Labels.of({"__name__": "latency_tail_seconds", **CART, "quantile": "0.99", "unit": "seconds"})  # fmt: skip
    drawn = shop.engine.band(series)
    assert drawn is not None and drawn.value == pytest.approx(0.2)
    shop.run(50, rate=0.0)
    after = shop.engine.band(series)
    assert after is not None and max(after.times_ms) == START_MS + 400_000


def test_a_histogram_and_a_counter_go_before_summaries() -> None:
    shop = Shop()
    more = {
        shop.row("http_request_duration_seconds_bucket", le="+Inf"): 5.0,
        shop.row("http_requests_total", code="200"): 5.0,
    }
    shop.run(60, also=more)
    for name in ("latency_mean_seconds", "latency_tail_seconds"):
        assert not any(shop.index.labels(row)["__name__"] == name for row in shop.index.rows())
    assert shop.run(60, mean=2.0, failed=0.5, also=more) == []


def test_of_several_quantiles_the_one_nearest_to_95_is_judged() -> None:
    shop = Shop()
    shop.run(60, also={shop.row(shop.metric, quantile=q): 9.0 for q in ("0.9", "0.95", "0.5")})
    derived = [shop.index.labels(row) for row in shop.index.rows()]
    judged = [ls["quantile"] for ls in derived if ls["__name__"] == "latency_tail_seconds"]
    assert judged == ["0.95"]


def test_parts_of_an_unknown_type_are_met_again_when_a_quantile_shows_what_they_are() -> None:
    shop = Shop(known=False)
    part = shop.row(shop.metric + "_sum", code="200")
    shop.engine.take(MetricBatch.of([part], START_MS, [1.0], arrival_ms=START_MS), now_ms=START_MS)
    shop.row(shop.metric + "_count", code="200")
    shop.run(120)
    assert firing(shop.run(40, mean=0.5)) == [("LatencyHigh", "latency_mean_seconds")]


def test_state_is_restored_and_an_older_release_s_is_taken_over() -> None:
    shop = Shop()
    shop.run(120)
    saved, index, totals = shop.engine.save(), shop.index.save(), dict(shop.totals)
    plain = firing(shop.run(40, mean=0.5))
    assert plain
    arrays, state = unpack(saved)
    del state["metrics"]["families"]["summary"], state["metrics"]["families"]["quantile"]
    kinds, ignored = arrays["meta.kind"], int(Kind.IGNORED)
    kinds[kinds == Kind.INPUT] = ignored  # as it passed over them
    for data, learns in ((saved, 0), (pack(arrays, state), 120)):
        after = Shop()
        after.index.load(index)
        after.engine = Engine(DetectorSettings(), after.index)
        after.engine.load(data)
        after.now_ms, after.totals = (
            START_MS + 120_000,
            dict(totals),
        )
        assert firing(after.run(learns)) == []
        assert firing(after.run(40, mean=0.5)) == plain


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.floats(0, 5), st.floats(0, 900), st.integers(1, 20)),
        min_size=2, max_size=60,
    )
)  # fmt: skip
def test_the_mean_as_the_obvious_loop_has_it(steps: list[tuple[int, float, float, int]]) -> None:
    family = Family(SUMMED, counters=True)
    family.add(0, Labels.of(CART), ("requests",))
    family.add(1, Labels.of(CART), ("seconds",))
    family.add(2, Labels.of(CART), ("milliseconds",))
    rows, now_ms = np.arange(3), START_MS
    totals = np.zeros(3)
    history: list[Floats] = []
    for count, seconds, millis, _ in steps:
        now_ms += 1_000
        added = np.array([count, seconds, millis]) if history else np.zeros(3)
        totals = totals + added
        history.append(added)
        family.touch(rows, np.full(3, now_ms))
        groups, times_ms, _ = family.gather(totals)
        found = mean_signal(family, groups, times_ms)
        last = history[1:][-10:]
        means = [(s + ms / 1000) / n for n, s, ms in last if n > 0]
        if len(means) < 3:
            assert np.isnan(found.values[0])
        else:
            assert found.values[0] == pytest.approx(np.median(means), rel=1e-6, abs=1e-9)
        assert found.enough[0] == (sum(n for n, _, _ in last) >= 12)
        assert family.lately(0, 5_000) == pytest.approx(sum(n for n, _, _ in history[1:][-5:]))
