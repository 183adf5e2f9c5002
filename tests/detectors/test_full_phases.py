"""Holidays and daylight saving: the profile is read as another day, or an hour off, where that fits."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.full.profiles import Profiles
from detectors.full.tier import FullTier

HOUR_MS = 3_600_000
STEP_MS = 300_000
DAY = 288
MONDAY_MS = 1_767_571_200_000  # 2026-01-05 00:00 UTC


def shop(days: int, *, hour_off: int = 0, off_from: int = 10**9, holiday: int = -1) -> np.ndarray:
    """Requests a second, every five minutes: office hours on weekdays, half as many at the weekend."""
    step = np.arange(days * DAY)
    hour = (step * STEP_MS / HOUR_MS - np.where(step >= off_from * DAY, hour_off, 0)) % 24.0
    day = step // DAY
    weekend = (day % 7 >= 5) | (day == holiday)
    office = 100.0 / (1.0 + np.exp(-3.0 * (hour - 8.0))) / (1.0 + np.exp(3.0 * (hour - 18.0)))
    rng = np.random.default_rng(7)
    return 20.0 + office * np.where(weekend, 0.3, 1.0) + rng.normal(0.0, 1.0, len(step))


def errors(values: np.ndarray, *, plain: bool = False) -> np.ndarray:
    """What a profile of the week is wrong by; a plain one is never read as another time but one 100 hours off."""
    profile = FullTier(1)._week
    if plain:
        profile = Profiles(1, period_ms=168 * HOUR_MS, slots=168, shifts=(-100,), other_day=168)
    row, at = np.array([0]), slice(0, 1)
    out = []
    for step, value in enumerate(values.astype(np.float32)):
        times_ms = np.array([MONDAY_MS + step * STEP_MS])
        sample, age = np.array([value]), np.array([step], dtype=np.float32)
        out.append(profile.look(at, row, times_ms, sample, np.zeros(1, np.float32), age)[0])
    return np.abs(np.array(out))


def office_hours(day: int) -> slice:
    """From three hours after the day's rise, when it may be known what day it is, to its fall."""
    return slice(day * DAY + 11 * 12, day * DAY + 17 * 12)


def test_a_holiday_is_read_as_a_day_of_the_weekend() -> None:
    holiday = 30  # a Wednesday
    found, plain = (errors(shop(40, holiday=holiday), plain=plain) for plain in (False, True))
    usual = found[office_hours(29)].mean()
    assert found[office_hours(holiday)].mean() < 0.2 * plain[office_hours(holiday)].mean()
    assert found[office_hours(holiday + 7)].mean() < 0.2 * plain[office_hours(holiday + 7)].mean()
    assert found[office_hours(holiday)].mean() < 3.0 * usual + 1.0
    # The next day is a weekday again, and so is the same weekday of the next week.
    assert found[office_hours(holiday + 1)].mean() < 3.0 * usual + 1.0
    assert found[office_hours(holiday + 7)].mean() < 3.0 * usual + 1.0


@pytest.mark.parametrize("hour_off", [1, -1])
def test_f13_after_daylight_saving_began_or_ended_the_profile_is_read_an_hour_off(
    hour_off: int,
) -> None:
    off_from = 30
    moved = errors(shop(32, hour_off=hour_off, off_from=off_from))
    # The fall in the evening, an hour off as well, is expected where it comes.
    evening = slice(off_from * DAY + 16 * 12, off_from * DAY + 21 * 12)
    usual = errors(shop(32))[evening].mean()
    plain = errors(shop(32, hour_off=hour_off, off_from=off_from), plain=True)
    assert moved[evening].mean() < 0.6 * plain[evening].mean()
    assert moved[evening].mean() < usual + 6.0


def test_an_outage_is_no_holiday() -> None:
    values = shop(32)
    down = slice(30 * DAY + 10 * 12, 30 * DAY + 16 * 12)
    values[down] = 0.0
    assert errors(values)[down].min() > 15.0


def test_a_quiet_series_is_read_plainly() -> None:
    tier, rows = FullTier(20), np.arange(20)
    values = np.random.default_rng(3).normal(10.0, 1.0, (15 * DAY, 20))
    read = 0
    for step, sample in enumerate(values):
        tier.score(rows, np.full(20, MONDAY_MS + step * STEP_MS), sample)
        read += int((tier._week.phases.choice > 0).sum() + (tier._day.phases.choice > 0).sum())
    assert read < 0.01 * values.size
