"""New targets wait for their past; it is fetched once, in order, and belongs to their rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from collectors.backfill import OWN_SERIES, Backfill
from collectors.backfill_run import Lesson
from collectors.origins import Origins
from collectors.past import FINE_POINTS_MAX, Goal, Identities, plan, queries
from collectors.prometheus_api import POINTS_MAX
from collectors.prometheus_settings import DAY_MS, BackfillSettings
from collectors.settings import ScrapeTarget
from model.batch import LogBatch, MetricBatch
from model.clock import SystemClock
from model.labels import Labels
from model.series import SeriesIndex
from tests.collectors.prometheus_double import Double, serving

NOW = 1_800_000_000_000
SOURCE = "shop http://a:80/metrics"
SENDER = "paris"
TARGET = ScrapeTarget("http://a:80/metrics", job="shop", service="shop")
NAMES = ("up", "depth", "http_requests_total", "process_cpu_seconds_total", "x_created")


def labels(name: str, **more: str) -> Labels:
    return Labels.of({"__name__": name, "job": "shop", "instance": "a:80", **more})


@pytest.fixture
def double() -> Iterator[Double]:
    with serving(Double()) as served:
        times = np.arange(NOW - 2 * DAY_MS, NOW, 15_000, dtype=np.int64)
        for number, name in enumerate(NAMES):
            served.series[labels(name, cluster="east")] = (times, np.arange(float(len(times))) + number * 1e6)  # fmt: skip
        yield served


class Site:
    """A back-fill with one target, driven by hand."""

    def __init__(self, double: Double, **settings: Any) -> None:
        self.index = SeriesIndex()
        self.rows = {
            name: self.index.intern(labels(name, service="shop"), source=SOURCE) for name in NAMES
        }
        self.known: set[int] = set()
        chosen = BackfillSettings(
            **{"url": double.url, "days": 2, "tries_max": 1, "pause_ratio": 0.0, **settings}
        )
        self.backfill = Backfill(
            chosen,
            self.index,
            SystemClock(),
            target_of={SOURCE: (TARGET, 15_000)}.get,
            sends=lambda source: source == SENDER,
            cold=lambda rows: ~np.isin(rows, list(self.known)),
            worth=lambda rows: rows != self.rows["x_created"],
        )

    def scrape(self, now_ms: int) -> MetricBatch:
        rows = list(self.rows.values())
        return MetricBatch.of(rows, now_ms, [1.0] * len(rows), arrival_ms=now_ms, source=SOURCE)

    def lessons(self, now_ms: int) -> list[Lesson]:
        found = []
        while self.backfill.learning:
            lesson = self.backfill.next_lesson(now_ms)
            if lesson is None:
                self.backfill.wait(5.0)
            else:
                found.append(lesson)
        return found

    def begin(self) -> None:
        """The target's first scrape comes, and a while passes."""
        assert self.backfill.hold([self.scrape(NOW)], NOW) == [[]]
        assert self.backfill.hold([], NOW + 16_999) == [[]] and not self.backfill.learning
        assert self.backfill.hold([], NOW + 17_000) == [[]] and self.backfill.learning


def counted(site: Site, name: str) -> float:
    return site.backfill.counters()[f"tocsin_backfill_{name}"]


def test_samples_wait_for_the_past_and_follow_it_one_by_one(double: Double) -> None:
    site = Site(double)
    site.begin()
    later = [site.scrape(NOW + t) for t in (15_000, 30_000)]
    for batch in later:
        assert site.backfill.hold([batch], int(batch.times_ms[0])) == [[]]
    lessons = site.lessons(NOW + 31_000)
    times = np.concatenate([x.batch.times_ms for x in lessons if x.batch is not None])
    assert (np.diff(times) >= 0).all() and times[0] >= NOW - 2 * DAY_MS and times[-1] < NOW
    assert lessons[-1].ends
    rounds = site.backfill.hold([site.scrape(NOW + 45_000)], NOW + 45_000)
    assert [int(b.times_ms[0]) - NOW for (b,) in rounds] == [0, 15_000, 30_000, 45_000]
    # From now on nothing waits.
    assert len(site.backfill.hold([site.scrape(NOW + 60_000)], NOW + 60_000)[0]) == 1
    assert counted(site, "targets_waiting") == counted(site, "held_samples") == 0


def test_what_is_learnt_belongs_to_the_targets_own_rows(double: Double) -> None:
    site = Site(double)
    site.begin()
    lessons = site.lessons(NOW)
    rows = np.unique(np.concatenate([x.batch.rows for x in lessons if x.batch is not None]))
    assert rows.tolist() == [site.rows[n] for n in NAMES if n != "x_created"]
    asked = double.asked[0][1]["query"]
    assert 'instance="a:80"' in asked and "x_created" not in asked
    assert counted(site, "series_total") == 4 and counted(site, "unmatched_total") == 0


def test_the_near_past_comes_as_it_was_and_is_announced(double: Double) -> None:
    site = Site(double)
    site.begin()
    lessons = site.lessons(NOW)
    (renewed,) = [at for at, lesson in enumerate(lessons) if lesson.renew is not None]
    before = [x.batch.times_ms[0] for x in lessons[:renewed] if x.batch is not None]
    after = [x.batch.times_ms[0] for x in lessons[renewed:] if x.batch is not None]
    assert np.unique(np.diff(before)).tolist() == [300_000]
    assert np.unique(np.diff(after)).tolist() == [15_000] and len(after) == 719


def test_a_target_that_learnt_does_not_learn_again(double: Double) -> None:
    site = Site(double)
    site.begin()
    site.lessons(NOW)
    again = Site(double)
    again.backfill.load(site.backfill.save())
    assert len(again.backfill.hold([again.scrape(NOW)], NOW)[0]) == 1
    # One that was interrupted does, though something is known of its rows.
    site = Site(double)
    site.begin()
    again = Site(double)
    again.known = set(again.rows.values())
    again.backfill.load(site.backfill.save())
    again.begin()
    site.backfill.close()
    again.backfill.close()


def test_who_is_known_by_other_means_does_not_wait(double: Double) -> None:
    site = Site(double)
    site.known = set(site.rows.values())
    assert len(site.backfill.hold([site.scrape(NOW)], NOW)[0]) == 1
    assert not double.asked


def test_a_target_that_is_down_is_told_at_once_and_learns_later(double: Double) -> None:
    site = Site(double)
    down = MetricBatch.of(list(range(OWN_SERIES)), NOW, [0.0] * 3, arrival_ms=NOW, source=SOURCE)
    assert site.backfill.hold([down], NOW) == [[down]]
    site.begin()
    site.backfill.close()


class Paris(Site):
    """A Prometheus that pushes what it scrapes of two targets, with an external label, in pieces."""

    def __init__(self, double: Double, **settings: Any) -> None:
        super().__init__(double, **settings)
        times = np.arange(NOW - 2 * DAY_MS, NOW, 15_000, dtype=np.int64)
        self.pushed: dict[tuple[str, str], int] = {}
        for name in NAMES:
            for instance in ("b:80", "c:80"):
                own = {"__name__": name, "job": "shop", "instance": instance}
                double.series[Labels.of(own)] = (times, np.arange(1.0, len(times) + 1.0))
                external = Labels.of({**own, "cluster": "east"})
                self.pushed[instance, name] = self.index.intern(external, source=SENDER)

    def push(self, now_ms: int, instance: str, *names: str) -> MetricBatch:
        rows = [self.pushed[instance, name] for name in names]
        return MetricBatch.of(rows, now_ms, [1.0] * len(rows), arrival_ms=now_ms, source=SENDER)


def test_what_a_prometheus_pushes_learns_target_by_target(double: Double) -> None:
    site = Paris(double)
    kept = site.backfill.hold([site.push(NOW, "b:80", "up", "depth")], NOW)[0][0]
    assert isinstance(kept, MetricBatch) and kept.values.tolist() == [1.0]
    for after_ms in (0, 15_000):  # the rest of the same scrape comes in other requests
        some = [site.push(NOW + after_ms, "b:80", NAMES[2]), site.push(NOW + after_ms, "c:80", *NAMES[1:4])]  # fmt: skip
        assert site.backfill.hold(some, NOW + after_ms) == [[]]
    assert site.backfill.hold([], NOW + 19_999) == [[]] and not site.backfill.learning
    site.backfill.hold([], NOW + 20_000)
    lessons = [x.batch for x in site.lessons(NOW + 20_000) if x.batch is not None]
    learnt = set(np.concatenate([batch.rows for batch in lessons]).tolist())
    assert learnt == {site.pushed["b:80", n] for n in NAMES[1:3]} | {site.pushed["c:80", n] for n in NAMES[1:4]}  # fmt: skip
    assert counted(site, "unmatched_total") == 0
    # As noisy as what will be judged: the interval was seen in what waited.
    fine = [int(batch.times_ms[0]) for batch in lessons][-50:]
    assert np.unique(np.diff(fine)).tolist() == [15_000]
    rounds = site.backfill.hold([], NOW + 21_000)
    assert [(len(r), len(r[0])) for r in rounds] == [(1, 4), (1, 4), (1, 1)]
    assert [np.unique(r[0].times_ms - NOW).tolist() for r in rounds] == [[0], [0, 15_000], [15_000]]
    # A target that has learnt passes, with what is new of it.
    late = site.push(NOW + 30_000, "b:80", *NAMES)
    assert site.backfill.hold([late], NOW + 30_000) == [[late]]


def test_a_pushed_target_that_is_known_does_not_wait(double: Double) -> None:
    site = Paris(double)
    site.known = set(site.pushed.values())
    batch = site.push(NOW, "b:80", *NAMES)
    assert site.backfill.hold([batch], NOW) == [[batch]]
    assert counted(site, "targets_waiting") == 0 and not double.asked


def test_of_very_many_origins_the_names_are_forgotten_not_the_samples(double: Double) -> None:
    site = Site(double)
    origins = Origins(site.index, origins_max=10)
    for n in range(45):
        row = site.index.intern(labels("depth", instance=f"pod{n}"), source=SENDER)
        batch = MetricBatch.of([row], NOW, [1.0], arrival_ms=NOW, source=SENDER)
        parts, rest = origins.split(batch, settled=lambda _: False, wanted=lambda _, r: r >= 0)
        assert rest is None and [len(part) for _, part in parts] == [1]
        assert 0 < len(origins) <= 10


def test_other_sources_and_lines_pass(double: Double) -> None:
    site = Site(double)
    other = MetricBatch.of(range(9), NOW, [0.0] * 9, arrival_ms=NOW, source="host")
    lines = LogBatch(
        np.zeros(0, np.int64), np.zeros(0, np.int32), np.zeros(0, np.int8), (), (), {}, NOW, SOURCE
    )
    assert site.backfill.hold([other, lines], NOW) == [[other, lines]]


@pytest.mark.parametrize("status", [422, 503])
def test_a_past_that_cannot_be_had_is_said_and_nobody_waits_for_it(double: Double, status: int) -> None:  # fmt: skip
    double.instead = lambda path, form: (status, b'{"error":"too many samples"}', {})
    site = Site(double)
    site.begin()
    (lesson,) = site.lessons(NOW)
    assert lesson.ends and len(site.backfill.hold([], NOW)[0]) == 1
    assert counted(site, "failures_total") == 2
    assert "too many samples" in site.backfill.problems.all()[0].reason.text()


def test_a_past_that_takes_too_long_is_left(double: Double) -> None:
    site = Site(double, hold_ms=60_000, samples_max=11_000)
    site.begin()
    began = NOW + 17_000
    assert site.backfill.next_lesson(began) is not None or site.backfill.learning
    site.backfill.hold([], began + 60_000)  # the distant past is skipped
    site.backfill.hold([], began + 120_000)
    site.lessons(began + 120_000)
    assert len(site.backfill.hold([], began + 121_000)[0]) == 1
    assert "took longer than 120 s" in site.backfill.problems.all()[0].reason.text()


def test_a_prometheus_that_knows_none_of_it_is_a_problem(double: Double) -> None:
    double.series.clear()
    site = Site(double)
    site.begin()
    site.lessons(NOW)
    assert "do job and instance agree" in site.backfill.problems.all()[0].reason.text()
    assert counted(site, "unmatched_total") == 4


def test_series_beyond_the_limit_start_cold(double: Double) -> None:
    site = Site(double, series_max=3)
    site.begin()
    site.lessons(NOW)
    assert (counted(site, "series_total"), counted(site, "refused_total")) == (3, 1)


def test_every_window_fits_an_answer_and_all_of_them_cover_the_past() -> None:
    for series in (1, 50, 3_000, 50_000, 1_000_000):
        for interval_ms in (1_000, 15_000, 60_000):
            settings = BackfillSettings(url="http://p")
            made = plan(settings, series=series, interval_ms=interval_ms, now_ms=NOW)
            for window in made.coarse:
                points = (window.end_ms - window.start_ms) // window.step_ms + 1
                assert points < POINTS_MAX
                assert points * series <= max(settings.samples_max, series)
            steps = [w.start_ms for w in made.coarse] + [made.fine[0].start_ms]
            for window, follows in zip(made.coarse, steps[1:], strict=True):
                assert 0 < follows - window.end_ms <= window.step_ms
            for one, other in zip(made.fine, made.fine[1:], strict=False):
                assert one.end_ms == other.start_ms
            assert made.fine[-1].end_ms == NOW
            assert NOW - made.fine[0].start_ms <= FINE_POINTS_MAX * max(interval_ms, 1_000)


def test_days_zero_is_the_near_past_alone() -> None:
    made = plan(BackfillSettings(url="http://p", days=0), series=1, interval_ms=15_000, now_ms=NOW)
    assert made.coarse == () and made.points == 720


def goal(own: dict[str, str], *live: Labels, honor: bool = False) -> Goal:
    names = frozenset(name for one in live for name in one)
    return Goal("s", own, {one: at for at, one in enumerate(live)}, names, NOW, 15_000, honor)


def test_a_series_is_found_whatever_prometheus_calls_it() -> None:
    own = {"job": "shop", "instance": "a:80", "service": "cart"}
    plain = Labels.of({**own, "__name__": "x"})
    named = Labels.of({**own, "__name__": "y", "exported_service": "app"})
    known = Identities([goal(own, plain, named)])
    assert known.row(labels("x")) == 0
    assert known.row(labels("x", service="cart", replica="1")) == 0
    # The target's own `service`, which Prometheus has no label of its own against.
    assert known.row(labels("y", service="app")) == 1
    # Another job there, and nobody else with this instance here.
    assert (
        known.row(Labels.of({"__name__": "x", "job": "kubernetes-pods", "instance": "a:80"})) == 0
    )
    assert known.row(Labels.of({"__name__": "x"})) == known.row(labels("z")) == -1
    kept = Labels.of({**own, "__name__": "y", "service": "app"})
    assert Identities([goal(own, kept, honor=True)]).row(labels("y", service="app")) == 0


def test_names_are_quoted_for_prometheus() -> None:
    own = {"job": 'a"b', "instance": "a.b:80"}
    other = {"job": 'a"b', "instance": "c|d:80"}
    goals = [goal(own, Labels.of({"__name__": "up", **own})), goal(other, Labels.of({"__name__": "up", **other}))]  # fmt: skip
    (query,) = queries(goals, (), targets_per_query=50)
    assert query == r'{job="a\"b",instance=~"a\\.b:80|c\\|d:80",__name__="up"}'
    assert len(queries(goals, (), targets_per_query=1)) == 2
