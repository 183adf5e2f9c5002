"""Matrices out of pickles that are taken apart and never run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.packs import folders
from benchmarks.smd import array
from model.errors import InputError


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_pickled_matrix_is_read(tmp_path: Path, dtype: str, order: str) -> None:
    wanted = np.random.default_rng(1).random((300, 7)).astype(dtype, order=order)  # type: ignore[call-overload]
    path = tmp_path / "m.pkl"
    path.write_bytes(wanted.dumps())
    np.testing.assert_array_equal(array(path), wanted)


def test_other_pickles_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.pkl"
    path.write_bytes(np.array([{"a": 1}], dtype=object).dumps())
    with pytest.raises(InputError, match="not a pickled matrix"):
        array(path)


def test_no_data_is_no_error(tmp_path: Path) -> None:
    assert folders(tmp_path / "nowhere", ("NAB",)) == []
