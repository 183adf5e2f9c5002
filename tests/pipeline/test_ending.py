"""How a process ends: on request within seconds, by a mistake of ours loudly, and never half."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path

from benchmarks.process import Outside
from pipeline import output
from tests.pipeline.running import PACE, QUICK, QUIET, RETRY, Exporter, Running, until

SECONDS = 120
"""A few, with room for a machine that does other things; all that hangs below hangs for much longer."""


def test_it_ends_soon_though_a_target_and_a_desk_hang(
    tocsin: Running, outside: Outside, exporter: Exporter
) -> None:
    exporter.hangs = True
    tocsin.outside(outside)
    targets = f"scrape: {{timeout: 10m, interval: 10m, targets: [{{url: '{exporter.url}', interval: 10m}}]}}\n"
    tocsin.configure(tocsin=QUIET + QUICK + RETRY + PACE + targets)
    held, let_go = threading.Event(), threading.Event()

    def hang(path: str) -> None:
        held.set()
        let_go.wait(600)

    outside.before_answer = hang
    tocsin.start()
    tocsin.push("Broken", service="s")
    assert held.wait(240)
    assert tocsin.process is not None
    begun_s = time.monotonic()
    tocsin.process.send_signal(signal.SIGTERM)
    assert tocsin.wait() == output.OK
    assert time.monotonic() - begun_s < SECONDS
    assert tocsin.said("stopped")
    let_go.set()


BROKEN = """
import sys
from detectors.engine import Engine
from pipeline.cli import main

def broken(self, now_ms):
    if {when}:
        raise ZeroDivisionError("a bug in a stage")
    return []

Engine.step = broken
main()
"""


def test_a_mistake_of_ours_ends_the_process_loudly(tmp_path: Path) -> None:
    script, trigger = tmp_path / "broken.py", tmp_path / "now"
    script.write_text(BROKEN.format(when=f"__import__('os').path.exists({str(trigger)!r})"))
    tocsin = Running(tmp_path, program=[str(script)])
    try:
        tocsin.start()
        assert tocsin.push("Accepted", service="s") == 200
        until(tocsin.incidents, "the incident")
        trigger.touch()
        assert tocsin.wait() == output.CRASHED
        (critical,) = [one for one in tocsin.log() if one["log.level"] == "critical"]
        assert "pipeline died of a mistake of ours" in critical["message"]
        assert "ZeroDivisionError: a bug in a stage" in critical["error.stack_trace"]
        trigger.unlink()
        tocsin.start()  # as a supervisor would
        assert len(tocsin.incidents()) == 1
    finally:
        tocsin.close()
