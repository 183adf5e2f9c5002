"""Snapshots: two of each, damaged ones passed over, a refusing disk reported."""

from pathlib import Path

import pytest

from model.errors import StoreError
from pipeline.checkpoints import Checkpoints, pack, unpack


def _read(checkpoints: Checkpoints) -> tuple[list[bytes], list[str]]:
    loaded: list[bytes] = []
    said: list[str] = []
    checkpoints.read("engine", loaded.append, said.append)
    return loaded, said


def test_the_newest_of_two_is_read_and_older_ones_are_removed(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    for now_ms in (1, 2, 3):
        checkpoints.write("engine", f"state {now_ms}".encode(), now_ms=now_ms)
    assert _read(checkpoints) == ([b"state 3"], [])
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("damage", [b"", b"TOCSIN1\n" + bytes(40), b"other"])
def test_f20_a_damaged_snapshot_is_reported_and_the_one_before_used(
    tmp_path: Path, damage: bytes
) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.write("engine", b"good", now_ms=1)
    checkpoints.write("engine", b"newer", now_ms=2)
    (tmp_path / "engine.000000000000002.snapshot").write_bytes(damage)
    loaded, said = _read(checkpoints)
    assert loaded == [b"good"]
    assert len(said) == 1 and "engine.000000000000002" in said[0]
    assert checkpoints.damaged == 1


def test_f20_a_half_written_snapshot_is_never_seen(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.write("engine", b"good", now_ms=1)
    (tmp_path / "engine.000000000000002.partial").write_bytes(b"TOCSIN1\nhalf")
    assert _read(checkpoints) == ([b"good"], [])


def test_f19_a_folder_that_takes_no_writes_is_a_store_error(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "snapshots")
    checkpoints.folder.rmdir()
    with pytest.raises(StoreError, match="could not be written"):
        checkpoints.write("engine", b"x", now_ms=1)


def test_a_bundle_keeps_its_parts() -> None:
    parts = {"a": b"\x00\xff" * 1000, "b": b"", "c": b"x"}
    assert unpack(pack(parts)) == parts
