"""F27: what an older release has learnt is taken over, and what is new since then learns beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from model.alert import Alert
from tests.detectors.older_release import MINUTES, Site, site_of

SNAPSHOT = Path(__file__).with_name("snapshots") / "688a909.zip"


@pytest.fixture
def site() -> Site:
    return site_of(SNAPSHOT)


def names(told: list[Alert]) -> set[tuple[str, bool]]:
    return {(alert.name, alert.firing) for alert in told}


def test_f27_an_alert_of_the_older_release_goes_on_and_is_resolved_once(site: Site) -> None:
    assert site.engine.counters()["tocsin_detector_alerts_firing"] == 1
    told = site.run(15)
    assert [(alert.name, alert.firing) for alert in told] == [("ServiceDown", False)]


def test_f27_what_the_older_release_learnt_judges_at_once(site: Site) -> None:
    """A load that doubles is told within a quarter of an hour; to who begins anew it is nothing yet."""
    cold = Site(minute=MINUTES)
    for one in (site, cold):
        one.run(15)
    assert ("MetricUnusual", True) in names(site.run(15, load=20.0))
    assert names(cold.run(15, load=20.0)) == set()


def test_f27_what_is_new_since_learns_on_and_is_kept(site: Site) -> None:
    """Rhythms are found after it, and missed; the next snapshot is one like any other."""
    assert site.engine.counters()["tocsin_detector_rhythms"] == 0
    assert names(site.run(6 * 60)) == {("ServiceDown", False)}
    assert site.engine.counters()["tocsin_detector_rhythms"] == 1
    after = Site(site.index, site.minute)
    after.engine.load(site.engine.save())
    after.rng = np.random.default_rng(2)
    assert after.engine.save() == site.engine.save()
    assert ("RhythmLost", True) in names(after.run(40, beats=False))
