"""What people said of alerts: who is moved by it, how far, and that it can be taken back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.engine import Engine
from detectors.feedback import NEUTRAL, Heeded
from detectors.settings import DetectorSettings
from model.alert import Alert
from model.batch import MetricBatch
from model.feedback import Feedback, Verdict, feedback_on
from model.labels import Labels
from model.series import SeriesIndex

START_MS = 1_700_000_000_000


def series(service: str = "cart", instance: str = "a", metric: str = "request_rate") -> Labels:
    return Labels.of({"__name__": metric, "service": service, "instance": instance})


def said(about: Labels, verdict: Verdict = Verdict.NOISE, actor: str = "ann") -> Feedback:
    ident = f"{about}{actor}"
    return Feedback(ident, verdict, ident, "A", about.get("service", ""), about, actor, 1)


@pytest.mark.parametrize(
    ("verdicts", "asked", "votes"),
    [
        # Nothing was said.
        ([], series(), 0.0),
        # Of the series itself.
        ([said(series())], series(), 1.0),
        ([said(series(), Verdict.GOOD_CATCH)], series(), -1.0),
        # Two people of two minds.
        ([said(series()), said(series(), Verdict.GOOD_CATCH, "bob")], series(), 0.0),
        # Of another instance: half.
        ([said(series(instance="b"))], series(), 0.5),
        # Siblings have two votes between them at most.
        ([said(series(instance=x)) for x in "bcdefg"], series(), 1.0),
        # Of the same metric elsewhere: not before three services agree.
        ([said(series(s)) for s in ("x", "y")], series(), 0.0),
        ([said(series(s)) for s in ("x", "y", "z")], series(), 0.75),
        ([*[said(series(s)) for s in ("x", "y", "z")], said(series("w"), Verdict.GOOD_CATCH)], series(), 0.0),
        # Of another metric: nothing.
        ([said(series(metric="error_ratio"))], series(), 0.0),
        # Taken back.
        ([replace(said(series()), withdrawn_ms=2, withdrawn_by="ann")], series(), 0.0),
        # It never mutes.
        ([said(series(), actor=f"p{n}") for n in range(99)], series(), 5.0),
        ([said(series(), Verdict.GOOD_CATCH, f"p{n}") for n in range(99)], series(), -3.0),
    ],
)  # fmt: skip
def test_votes(verdicts: list[Feedback], asked: Labels, votes: float) -> None:
    assert Heeded(verdicts).votes(asked) == votes


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"), st.booleans())))
def test_taking_everything_back_leaves_nothing(spoken: list[tuple[str, str, bool]]) -> None:
    verdicts = [
        said(series(service, instance), Verdict.NOISE if noise else Verdict.GOOD_CATCH, f"p{n}")
        for n, (service, instance, noise) in enumerate(spoken)
    ]
    for leniency in (Heeded(verdicts).of(series(s, i)) for s in "abc" for i in "xyz"):
        assert 0.4 < leniency.width < 3.8 and -1.5 <= leniency.decades <= 2.5
    back = Heeded(replace(verdict, withdrawn_ms=9) for verdict in verdicts)
    assert all(back.of(series(s, i)) == NEUTRAL for s in "abc" for i in "xyz")


class Watched:
    """A service whose error counter is fed by the second."""

    def __init__(self) -> None:
        self.index = SeriesIndex()
        self.engine = Engine(DetectorSettings(warm_up_ms=0), self.index)
        self.now_ms = START_MS
        self.total = {"200": 0.0, "500": 0.0}

    def second(self, errors: float) -> list[Alert]:
        self.now_ms += 1_000
        self.total["200"] += 100.0 - errors
        self.total["500"] += errors
        rows = [
            self.index.intern(
                Labels.of({"__name__": "http_requests_total", "service": "cart", "code": code}),
                source="t",
                now_ms=self.now_ms,
            )
            for code in self.total
        ]
        batch = MetricBatch.of(rows, self.now_ms, list(self.total.values()), arrival_ms=self.now_ms)
        return self.engine.take(batch, now_ms=self.now_ms) + self.engine.step(self.now_ms)

    def after(self, errors: float, seconds: int) -> int | None:
        """Seconds until it is told."""
        for second in range(seconds):
            if any(alert.firing for alert in self.second(errors)):
                return second
        return None


def learnt() -> Watched:
    watched = Watched()
    noise = np.random.default_rng(1).poisson(0.5, 400)
    for errors in noise.tolist():
        assert not watched.second(float(errors))
    return watched


def test_noise_makes_it_wait_longer_and_demand_more_and_taking_it_back_undoes_it() -> None:
    found = Labels.of({"__name__": "error_ratio", "service": "cart"})
    plain = learnt().after(9.0, 60)
    assert plain is not None
    verdicts = [said(found, actor=f"p{n}") for n in range(5)]
    lenient = learnt()
    lenient.engine.heed(verdicts)
    assert lenient.after(9.0, 60) is None  # its band is 3.7 times as wide: 9 % is inside
    assert lenient.after(60.0, 60) is not None  # a real outage still is told
    back = learnt()
    back.engine.heed(verdicts)
    back.engine.heed([replace(verdict, withdrawn_ms=5) for verdict in verdicts])
    assert back.after(9.0, 60) == plain


def test_a_good_catch_is_told_sooner() -> None:
    found = Labels.of({"__name__": "error_ratio", "service": "cart"})
    plain, keen = learnt().after(9.0, 60), learnt()
    keen.engine.heed([said(found, Verdict.GOOD_CATCH, f"p{n}") for n in range(3)])
    sooner = keen.after(9.0, 60)
    assert plain is not None and sooner is not None and sooner < plain


def test_it_is_heeded_after_a_restart_and_by_rows_met_later() -> None:
    found = Labels.of({"__name__": "error_ratio", "service": "cart"})
    late = Watched()
    late.engine.heed([said(found, actor=f"p{n}") for n in range(5)])  # before any row is known
    for errors in np.random.default_rng(1).poisson(0.5, 400).tolist():
        assert not late.second(float(errors))
    assert late.after(9.0, 60) is None


def test_a_verdict_is_on_the_series_of_the_evidence() -> None:
    watched = learnt()
    (alert,) = [a for _ in range(30) for a in watched.second(30.0) if a.firing][:1]
    verdict = feedback_on(alert, Verdict.NOISE, "ann", 5, "")
    assert verdict.series == Labels.of({"__name__": "error_ratio", "service": "cart"})
