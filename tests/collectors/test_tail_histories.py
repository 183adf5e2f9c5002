"""Any history of a log file: every line is read once, whatever was done to the file meanwhile."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.settings import LogSettings, LogSource
from collectors.tail import LogTail
from collectors.templates import TemplateMiner
from model.batch import LogBatch

NOW = 1_700_000_000_000
STEPS = st.lists(
    st.sampled_from(
        ["write", "write", "half", "rename", "copytruncate", "poll", "poll", "restart"]
    ),
    max_size=25,
)


class History:
    """A folder, a writer and a reader."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "a.log"
        source = LogSource((str(folder / "a.log*"),), from_start=True)
        self.settings = LogSettings((source,), discovery_interval_ms=0)
        self.tail = LogTail(self.settings, TemplateMiner())
        self.now_ms, self.rotations, self.open = NOW, 0, False
        self.written: list[str] = []
        self.read: list[str] = []

    def write(self) -> None:
        self.written.append(f"line number {len(self.written)} of the history")
        with self.path.open("a") as file:
            file.write(self.written[-1] + "\n")

    def half(self) -> None:
        # A writer is seen in the middle of a line.
        line = f"line number {len(self.written)} in two halves"
        self.written.append(line)
        with self.path.open("a") as file:
            file.write(line[:9])
            file.flush()
            self.poll()
            file.write(line[9:] + "\n")

    def rename(self) -> None:
        if self.path.exists():
            self.rotations += 1
            os.rename(self.path, f"{self.path}.{self.rotations}")

    def copytruncate(self) -> None:
        if self.path.exists() and self.path.stat().st_size:
            self.rotations += 1
            shutil.copy(self.path, f"{self.path}.{self.rotations}")
            os.truncate(self.path, 0)

    def poll(self) -> None:
        self.now_ms += 1_000
        for batch in self.tail.poll(self.now_ms):
            assert isinstance(batch, LogBatch)
            self.read += batch.lines

    def restart(self) -> None:
        state = self.tail.save()
        self.tail.close()
        self.tail = LogTail(self.settings, TemplateMiner())
        self.tail.load(state)


@settings(deadline=None, max_examples=150)
@given(STEPS)
def test_every_line_is_read_once(steps: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        history = History(Path(folder))
        history.poll()
        for step in steps:
            getattr(history, step)()
        for _ in range(5):
            history.poll()
        history.tail.close()
        assert sorted(history.read) == sorted(history.written)
