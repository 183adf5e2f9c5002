"""Snapshots: two of each, damaged ones passed over, a refusing disk reported."""

from pathlib import Path

import pytest

from model.errors import SnapshotError, StoreError
from pipeline.checkpoints import Checkpoints, pack, unpack
from pipeline.pace import Pace
from pipeline.settings import PipelineSettings


class Kept:
    """Checkpoints in a folder, and what they said."""

    def __init__(self, folder: Path) -> None:
        self.said: list[str] = []
        self.checkpoints = Checkpoints(folder, report=self.said.append)

    def read(self) -> list[bytes]:
        return [data for _, data in self.checkpoints.read("engine")]

    def write(self, data: bytes, now_ms: int) -> None:
        self.checkpoints.write("engine", data, now_ms=now_ms)


def test_the_newest_of_two_is_read_first_and_older_ones_are_removed(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    for now_ms in (1, 2, 3):
        kept.write(f"state {now_ms}".encode(), now_ms)
    assert kept.read() == [b"state 3", b"state 2"]
    assert not kept.said


@pytest.mark.parametrize("damage", [b"", b"TOCSIN1\n" + bytes(40), b"other"], ids=repr)
def test_f20_a_damaged_snapshot_is_reported_and_the_one_before_used(
    tmp_path: Path, damage: bytes
) -> None:
    kept = Kept(tmp_path)
    kept.write(b"good", 1)
    kept.write(b"newer", 2)
    (tmp_path / "engine.000000000000002.snapshot").write_bytes(damage)
    assert kept.read() == [b"good"]
    assert len(kept.said) == 1 and "engine.000000000000002" in kept.said[0]
    assert kept.checkpoints.damaged == 1


def test_f20_a_half_written_snapshot_is_never_seen_and_does_not_stay(tmp_path: Path) -> None:
    Kept(tmp_path).write(b"good", 1)
    (tmp_path / "engine.000000000000002.partial").write_bytes(b"TOCSIN1\nhalf")
    assert Kept(tmp_path).read() == [b"good"]
    assert len(list(tmp_path.iterdir())) == 1


def test_f20_one_that_its_reader_does_not_understand_is_counted_too(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.checkpoints.unusable("engine.1.snapshot", SnapshotError("of another version"))
    assert kept.checkpoints.damaged == 1
    assert "of another version" in kept.said[0]


def test_the_last_one_written_is_the_newest_also_after_the_clock_was_put_back(
    tmp_path: Path,
) -> None:
    kept = Kept(tmp_path)
    for number, now_ms in enumerate((5_000, 1_000, 1_000)):
        kept.write(b"state %d" % number, now_ms)
    assert kept.read() == [b"state 2", b"state 1"]


def test_f19_a_folder_that_takes_no_writes_is_a_store_error(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "snapshots")
    kept.checkpoints.folder.rmdir()
    with pytest.raises(StoreError, match="could not be written"):
        kept.write(b"x", 1)


def test_a_bundle_keeps_its_parts() -> None:
    parts = {"a": b"\x00\xff" * 1000, "b": b"", "c": b"x"}
    assert unpack(pack(parts)) == parts


@pytest.mark.parametrize(
    "data", [b"", b'\x00\x00\x00\x09[["a",3]]x', b"\x00\x00\x00\x04[[1]", b"\xff" * 9]
)
def test_f20_what_is_no_bundle_is_a_snapshot_error(data: bytes) -> None:
    with pytest.raises(SnapshotError):
        unpack(data)


def test_snapshots_are_readable_to_their_owner_alone(tmp_path: Path) -> None:
    Checkpoints(tmp_path / "data" / "checkpoints")
    assert (tmp_path / "data" / "checkpoints").stat().st_mode & 0o077 == 0


def test_the_settings_are_what_the_loop_goes_by() -> None:
    # They were given in another order once, and nothing limited what snapshots write.
    pace = PipelineSettings(checkpoint_rate_bytes=2**20, series_idle_ms=7_200_000).pace()
    assert pace == Pace(checkpoint_rate_bytes=2**20, series_idle_ms=7_200_000)
    assert pace.until_checkpoint_s(300 * 2**20) == 300
