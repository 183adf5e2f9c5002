"""Log files through everything that happens to log files."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest

from collectors.cursor import planted
from collectors.settings import LogSettings, LogSource
from collectors.tail import LogTail
from collectors.templates import TemplateMiner
from model.batch import LogBatch
from model.errors import SnapshotError

NOW = 1_700_000_000_000


class Reader:
    """A tail with a clock that moves by one second a poll."""

    def __init__(self, folder: Path, pattern: str = "*.log", **settings: Any) -> None:
        source = LogSource((str(folder / pattern),), from_start=True)
        self.settings = LogSettings((source,), discovery_interval_ms=0, **settings)
        self.now_ms = NOW
        self.tail = LogTail(self.settings, TemplateMiner())

    def read(self, polls: int = 2) -> list[str]:
        lines: list[str] = []
        for _ in range(polls):
            self.now_ms += 1_000
            for batch in self.tail.poll(self.now_ms):
                assert isinstance(batch, LogBatch)
                lines += batch.lines
        return lines

    def restart(self) -> None:
        state = self.tail.save()
        self.tail.close()
        self.tail = LogTail(self.settings, TemplateMiner())
        self.tail.load(state)


def append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


def test_a_partial_line_waits_for_its_end(tmp_path: Path) -> None:
    path, reader = tmp_path / "a.log", Reader(tmp_path)
    append(path, "one\ntw")
    assert reader.read() == ["one"]
    append(path, "o\n")
    assert reader.read() == ["two"]


def test_what_was_there_before_the_first_start_is_left_unless_asked(tmp_path: Path) -> None:
    append(tmp_path / "a.log", "old\nhalf")
    reader = Reader(tmp_path)
    source = LogSource((str(tmp_path / "*.log"),), from_start=False)
    reader.settings = LogSettings((source,), discovery_interval_ms=0)
    reader.tail = LogTail(reader.settings, TemplateMiner())
    assert reader.read() == []
    append(tmp_path / "a.log", " a line\nnew\n")
    append(tmp_path / "b.log", "appeared\n")
    assert sorted(reader.read()) == ["appeared", "new"]


def test_renamed_file_is_read_to_its_end(tmp_path: Path) -> None:
    path, reader = tmp_path / "a.log", Reader(tmp_path)
    append(path, "first line of the file\n")
    assert reader.read() == ["first line of the file"]
    os.rename(path, tmp_path / "a.log.1")
    append(tmp_path / "a.log.1", "late\n")
    append(path, "new\n")
    assert sorted(reader.read()) == ["late", "new"]


def test_deleted_and_recreated_file(tmp_path: Path) -> None:
    path, reader = tmp_path / "a.log", Reader(tmp_path, rotated_wait_ms=1_000)
    append(path, "one\nno line feed")
    assert reader.read() == ["one"]
    path.unlink()
    append(path, "two\n")
    assert sorted(reader.read(4)) == ["no line feed", "two"]
    assert reader.tail.counters()["tocsin_log_files"] == 1


def test_copytruncate_loses_and_repeats_nothing(tmp_path: Path) -> None:
    path, reader = tmp_path / "a.log", Reader(tmp_path, pattern="*.log*")
    append(path, "the first line, long enough to know\n")
    assert len(reader.read()) == 1
    append(path, "unread\n")
    shutil.copy(path, tmp_path / "a.log.1")
    os.truncate(path, 0)
    append(path, "after\n")
    assert sorted(reader.read(4)) == ["after", "unread"]
    assert reader.tail.counters()["tocsin_log_truncations_total"] == 1


def test_copy_seen_before_the_truncation_is_not_read_twice(tmp_path: Path) -> None:
    path, reader = tmp_path / "a.log", Reader(tmp_path, pattern="*.log*")
    append(path, "the first line, long enough to know\n")
    reader.read()
    shutil.copy(path, tmp_path / "a.log.1")
    assert reader.read() == []
    os.truncate(path, 0)
    assert reader.read(3) == []


@pytest.mark.parametrize("rotation", ["none", "rename", "copytruncate"])
def test_restart_loses_and_repeats_nothing(tmp_path: Path, rotation: str) -> None:
    path, reader = tmp_path / "a.log", Reader(tmp_path)
    append(path, "the first line, long enough to know\n")
    assert len(reader.read()) == 1
    state = reader.tail.save()
    reader.tail.close()
    append(path, "while down\n")
    if rotation == "rename":
        os.rename(path, tmp_path / "a.log.1")
    elif rotation == "copytruncate":
        shutil.copy(path, tmp_path / "a.log.1")
        os.truncate(path, 0)
    append(path, "newest\n")
    reader.tail = LogTail(reader.settings, TemplateMiner())
    reader.tail.load(state)
    assert sorted(reader.read(3)) == ["newest", "while down"]


def test_rotated_twice_while_down(tmp_path: Path) -> None:
    path, reader = tmp_path / "a.log", Reader(tmp_path)
    append(path, "the first line, long enough to know\n")
    assert len(reader.read()) == 1
    append(tmp_path / "a.log.old", "from long ago\n")
    os.utime(tmp_path / "a.log.old", (1, 1))
    state = reader.tail.save()
    reader.tail.close()
    append(path, "unread\n")
    os.rename(path, tmp_path / "a.log.2")
    os.utime(tmp_path / "a.log.2", (2, 2))
    append(tmp_path / "a.log.1", "came and went\n")
    append(path, "newest\n")
    reader.tail = LogTail(reader.settings, TemplateMiner())
    reader.tail.load(state)
    assert sorted(reader.read(3)) == ["came and went", "newest", "unread"]


def test_restart_in_the_middle_of_everything(tmp_path: Path) -> None:
    path, reader = tmp_path / "a.log", Reader(tmp_path)
    lines: list[str] = []
    for number in range(30):
        append(path, f"line number {number} of many\n" if number % 3 else f"line {number} be")
        if number % 3 == 0:
            append(path, "gins\n")
        lines += reader.read(1)
        if number % 4 == 0:
            reader.restart()
        if number % 7 == 6:
            os.rename(path, tmp_path / f"a.log.{number}")
    lines += reader.read(3)
    assert len(lines) == 30
    assert len(set(lines)) == 30


def test_stack_trace_is_joined_also_when_it_comes_later(tmp_path: Path) -> None:
    path, reader = tmp_path / "a.log", Reader(tmp_path)
    append(path, "ERROR it broke\n")
    assert reader.read(1) == []
    append(path, 'Traceback (most recent call last):\n  File "x"\nValueError: y\nnext\n')
    first, second = reader.read(2)
    assert first.startswith("ERROR it broke\\nTraceback") and first.endswith("ValueError: y")
    assert second == "next"


def test_a16_one_line_of_a_megabyte_is_cut_and_the_rest_skipped(tmp_path: Path) -> None:
    path, reader = tmp_path / "a.log", Reader(tmp_path)
    append(path, "x" * 2**20)
    append(path, "=y\nnext\n")
    first, second = reader.read(30)
    assert len(first) == reader.settings.message_chars_max
    assert second == "next"
    assert reader.tail.counters()["tocsin_log_lines_cut_total"] >= 1


def test_binary_junk_is_a_line_like_any_other(tmp_path: Path) -> None:
    path, reader = tmp_path / "a.log", Reader(tmp_path)
    path.write_bytes(bytes(range(256)) * 20 + b"\n\0\0\0after\n")
    lines = reader.read()
    assert lines[-1] == "after"
    assert all(ord(char) >= 32 for line in lines for char in line)


def test_unreadable_file_is_reported_once_and_counted(tmp_path: Path) -> None:
    # A name with a file where a folder should be fails for root too, as a refused permission would.
    append(tmp_path / "a.log", "x\n")
    reader = Reader(tmp_path, pattern="a.log/b.log")
    reader.read(3)
    assert len(reader.tail.problems.fresh()) == 1
    assert reader.tail.problems.all()[0].count == 3
    assert reader.tail.problems.fresh() == []


def test_f20_damaged_cursors_are_refused(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    state = reader.tail.save()
    with pytest.raises(SnapshotError):
        reader.tail.load(state[:-3] + b"x}]")


def test_f12_times_of_lines(tmp_path: Path) -> None:
    path, reader = tmp_path / "a.log", Reader(tmp_path)
    for time in (1_700_000_000, 1_700_000_000_000, 0, 4_000_000_000, 1_000_000_000):
        append(path, f'{{"ts": {time}, "msg": "at {time}"}}\n')
    (batch,) = reader.tail.poll(NOW)
    assert isinstance(batch, LogBatch)
    # Seconds and milliseconds are told apart; no clock and the future take the arrival; late is dropped.
    assert batch.times_ms.tolist() == [NOW] * 4
    counters = reader.tail.counters()
    assert counters["tocsin_log_late_total"] == 1
    assert counters["tocsin_log_future_total"] == 1
    assert reader.tail.watermark.high_ms == NOW


def test_service_comes_from_the_line_the_setting_or_the_file(tmp_path: Path) -> None:
    append(tmp_path / "cart.log", 'plain\n{"msg": "x", "service": "shop"}\n')
    reader = Reader(tmp_path)
    (batch,) = reader.tail.poll(NOW)
    assert isinstance(batch, LogBatch)
    assert batch.services == ("cart", "shop")


def test_a_busy_file_is_read_in_bounded_pieces(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("".join(f"line {n} is here\n" for n in range(50_000)), encoding="utf-8")
    reader = Reader(tmp_path, file_bytes_max=100_000, read_bytes_max=150_000)
    first = reader.read(1)
    assert 0 < len(first) < 10_000
    assert len(first) + len(reader.read(30)) == 50_000


def test_cursors_can_be_saved_after_closing(tmp_path: Path) -> None:
    append(tmp_path / "a.log", "the first line, long enough to know\n")
    reader = Reader(tmp_path)
    assert len(reader.read()) == 1
    before = reader.tail.save()
    reader.tail.close()
    assert reader.tail.save() == before
    reader.tail.load(before)
    append(tmp_path / "a.log", "more\n")
    assert reader.read() == ["more"]


def test_reload_with_another_pattern(tmp_path: Path) -> None:
    append(tmp_path / "a.log", "one\n")
    append(tmp_path / "b.txt", "old\n")
    reader = Reader(tmp_path)
    assert reader.read() == ["one"]
    both = LogSource((str(tmp_path / "*.log"), str(tmp_path / "*.txt")))
    reader.tail.reload(LogSettings((both,), discovery_interval_ms=0))
    assert reader.read() == []
    append(tmp_path / "a.log", "two\n")
    append(tmp_path / "b.txt", "new\n")
    assert sorted(reader.read()) == ["new", "two"]


def owned(mode: int, owner: int) -> os.stat_result:
    return os.stat_result((mode, 1, 1, 1, owner, 0, 0, 0, 0, 0))


@pytest.mark.parametrize(
    ("mode", "linker", "owner", "refused"),
    [
        # A plain file may be anybody's.
        (stat.S_IFREG, 1000, 0, False),
        # Root and the file's own owner may link it;
        (stat.S_IFLNK, 0, 1000, False),
        (stat.S_IFLNK, 1000, 1000, False),
        # nobody else may lead us to it, be it root's or another's.
        (stat.S_IFLNK, 1000, 0, True),
        (stat.S_IFLNK, 1000, 1001, True),
    ],
)
def test_a15_a_link_to_somebody_else_s_file_is_not_followed(
    mode: int, linker: int, owner: int, refused: bool
) -> None:
    assert planted(owned(mode, linker), owned(stat.S_IFREG, owner)) is refused


def test_a15_a_link_of_one_s_own_is_followed(tmp_path: Path) -> None:
    (tmp_path / "today").write_text("one\n", encoding="utf-8")
    (tmp_path / "app.log").symlink_to(tmp_path / "today")
    assert Reader(tmp_path).read() == ["one"]


def test_a07_too_many_files_are_said_once(tmp_path: Path) -> None:
    for number in range(5):
        append(tmp_path / f"{number}.log", "one\n")
    reader = Reader(tmp_path, files_max=2)
    reader.read()
    assert len(reader.tail.problems.fresh()) == 1
    for number in range(5):
        (tmp_path / f"{number}.log").unlink()
    reader.read(20)
    assert reader.tail.problems.all() == []
