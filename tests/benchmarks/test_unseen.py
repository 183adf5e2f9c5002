"""Data for measuring what nothing was tuned on: raw slices as they come, and made-up trouble where it should be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.kinds import services
from benchmarks.kinds_data import DAY, FAMILIES, TROUBLES, counted, troubled
from benchmarks.kpi import sliced, sliced_in


def test_a_slice_with_blanks_is_read_as_what_came(tmp_path: Path) -> None:
    path = tmp_path / "7.csv"
    path.write_text(
        "timestamp,value,label\n60,1.5,0\n120,,\n180,2.5,\n240,9,1.0\n300,x,0.0\n360,3,0.0\n"
    )
    found = sliced(path)
    assert found is not None
    assert found.times_ms.tolist() == [60_000, 180_000, 240_000, 360_000]
    assert found.values.tolist() == [1.5, 2.5, 9.0, 3.0]
    assert found.labels.tolist() == [False, False, True, False]
    assert found.trained == 2
    (tmp_path / "other.csv").write_text("timestamp,value\n1,2\n")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "bare.csv").write_text("timestamp,value,label\n")
    assert [kpi.name for kpi in sliced_in([tmp_path])] == ["7"]


@pytest.mark.parametrize("kind", TROUBLES)
def test_trouble_is_where_it_should_be_and_nowhere_else(kind: str) -> None:
    at, where = np.arange(3.0 * DAY), slice(2 * DAY, 2 * DAY + 60)
    for name, family in FAMILIES.items():
        if name in TROUBLES[kind].without:
            continue
        calm = family(at, np.random.default_rng(1)).values()
        odd = troubled(kind, family(at, np.random.default_rng(1)), where)
        changed = np.flatnonzero(~((odd == calm) | (np.isnan(odd) & np.isnan(calm))))
        assert len(changed) > 4, name
        assert changed[0] >= where.start and changed[-1] < where.stop, name


def test_counters_begin_anew_and_grow_by_their_rates() -> None:
    total = counted(np.full(1_000, 2.0), np.random.default_rng(3), resets=4)
    steps = np.diff(total)
    assert np.count_nonzero(steps < 0) == 4
    assert set(steps[steps > 0].tolist()) == {120.0}
    gap = counted(np.array([1.0, np.nan, 1.0]), np.random.default_rng(3))
    assert gap[[0, 2]].tolist() == [60.0, 120.0] and np.isnan(gap[1])


def test_the_same_seed_makes_the_same_services() -> None:
    one, other = (services(4, 1, ["steady", "counter"]) for _ in range(2))
    assert [s.name for s in one] == [s.name for s in other]
    assert all(
        np.array_equal(a.values, b.values, equal_nan=True) for a, b in zip(one, other, strict=True)
    )
    troubles = [s for s in one if s.trouble]
    assert len(troubles) == len({s.service for s in one}) and all(
        s.end > s.begin >= DAY for s in troubles
    )
