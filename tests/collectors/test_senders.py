"""Senders that write all the time, and when one of them has stopped."""

from __future__ import annotations

import pytest

from collectors.senders import Senders, SenderSettings
from model.batch import is_stale
from model.errors import SnapshotError
from model.series import SENDER, SeriesIndex

HOUR_MS, MINUTE_MS = 3_600_000, 60_000


def run(senders: Senders, index: SeriesIndex, until_ms: int, *, begin_ms: int = 0, write_ms: int = 0) -> list[float]:  # fmt: skip
    """The values of `up` a second apart; it writes every `write_ms`, or not at all."""
    found: list[float] = []
    for now_ms in range(begin_ms, until_ms, 1_000):
        if write_ms and now_ms % write_ms == 0:
            senders.heard("paris", now_ms)
        for batch in senders.samples(index, now_ms):
            found += batch.values.tolist()
    return found


def test_who_wrote_for_an_hour_is_missed_half_a_minute_after() -> None:
    senders, index = Senders(), SeriesIndex()
    assert run(senders, index, HOUR_MS, write_ms=5_000) == []
    assert set(run(senders, index, HOUR_MS + MINUTE_MS, begin_ms=HOUR_MS, write_ms=5_000)) == {1.0}
    begin_ms = HOUR_MS + MINUTE_MS
    assert 0.0 not in run(senders, index, begin_ms + 25_000, begin_ms=begin_ms)
    assert 0.0 in run(senders, index, begin_ms + 40_000, begin_ms=begin_ms + 25_000)
    assert run(senders, index, begin_ms + 70_000, begin_ms=begin_ms + 60_000, write_ms=5_000)[-1] == 1.0  # fmt: skip
    assert index.source(0) == SENDER + "paris"
    assert dict(index.labels(0)) == {
        "__name__": "up", "job": "remote_write", "instance": "paris", "service": "paris",
    }  # fmt: skip


def test_a_test_by_hand_may_end() -> None:
    senders, index = Senders(), SeriesIndex()
    run(senders, index, 50 * MINUTE_MS, write_ms=1_000)
    assert run(senders, index, 2 * HOUR_MS, begin_ms=50 * MINUTE_MS) == []
    # Now and then is not all the time, however long.
    assert run(senders, index, 9 * HOUR_MS, begin_ms=3 * HOUR_MS, write_ms=5 * MINUTE_MS) == []


def test_one_that_writes_seldom_has_longer() -> None:
    senders, index = Senders(SenderSettings(silent_after_ms=MINUTE_MS)), SeriesIndex()
    run(senders, index, 2 * HOUR_MS, write_ms=50_000)
    last_ms = (2 * HOUR_MS - 1) // 50_000 * 50_000
    begin_ms = 2 * HOUR_MS
    assert 0.0 not in run(senders, index, last_ms + 150_000, begin_ms=begin_ms)
    assert 0.0 in run(senders, index, last_ms + 160_000, begin_ms=last_ms + 150_000)


def test_our_own_pause_counts_against_nobody() -> None:
    senders, index = Senders(), SeriesIndex()
    run(senders, index, 2 * HOUR_MS, write_ms=5_000)
    again = Senders()
    again.load(senders.save())
    begin_ms = 3 * HOUR_MS
    assert 0.0 not in run(again, SeriesIndex(), begin_ms + 30_000, begin_ms=begin_ms)
    assert 0.0 in run(again, SeriesIndex(), begin_ms + 60_000, begin_ms=begin_ms + 30_000)
    with pytest.raises(SnapshotError):
        again.load(b"nonsense")


def test_one_silent_for_a_day_is_forgotten_and_its_series_ends() -> None:
    senders, index = Senders(), SeriesIndex()
    run(senders, index, 2 * HOUR_MS, write_ms=5_000)
    (batch,) = senders.samples(index, 26 * HOUR_MS)
    assert is_stale(batch.values).all()
    assert senders.samples(index, 26 * HOUR_MS + 5_000) == []


def test_a23_only_so_many_are_remembered() -> None:
    senders = Senders()
    for number in range(2_000):
        senders.heard(f"s{number}", 0)
    assert len(senders.save()) < 60_000
