"""F16, F24: of two schedulers one acts; when it stands still the other takes over; nobody compares clocks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.distributed.lease import Lease
from store.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(f"sqlite:///{tmp_path / 'records.db'}", now_ms=0)
    yield opened
    opened.close()


def test_f16_one_of_two_has_it_for_as_long_as_it_renews(store: Store) -> None:
    # Their clocks differ by a year.
    first, second = Lease(store, "act", "a", lease_s=15), Lease(store, "act", "b", lease_s=15)
    for second_number in range(100):
        assert first.hold(second_number, now_ms=0)
        assert not second.hold(31_536_000 + second_number, now_ms=31_536_000_000)


def test_f16_who_stands_still_is_followed_and_knows_it_afterwards(store: Store) -> None:
    first, second = Lease(store, "act", "a", lease_s=15), Lease(store, "act", "b", lease_s=15)
    assert first.hold(0, now_ms=0)
    assert not second.hold(0, now_ms=0)
    assert not second.hold(14.9, now_ms=0)  # just not yet
    assert second.hold(15, now_ms=0)
    assert not first.hold(15, now_ms=0)
    assert not first.held


def test_f24_who_cannot_renew_gives_up_before_another_takes_over(store: Store) -> None:
    first = Lease(store, "act", "a", lease_s=15)
    assert first.hold(0, now_ms=0)
    assert not first.expired(9.9)
    assert first.expired(10)
    assert not first.held


def test_released_it_is_free_at_once(store: Store) -> None:
    first, second = Lease(store, "act", "a"), Lease(store, "act", "b")
    assert first.hold(0, now_ms=0)
    first.release(now_ms=0)
    assert second.hold(0, now_ms=0)
