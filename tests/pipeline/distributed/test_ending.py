"""The end of a worker's process, whatever hangs in it: real processes that hang, and a real SIGTERM."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys

import pytest

from benchmarks.brokers import ROOT
from model.clock import SystemClock
from pipeline import output
from pipeline.distributed.worker import StageName, Tended

PROGRAM = """\
import asyncio, sys, threading
from pipeline.distributed.ending import Ending

async def main():
    ending = Ending(within_s={within_s})
    ending.listen()
    print("ready", flush=True)
    {body}

asyncio.run(main())
"""
HANGS = {
    "its loop stands still": "threading.Event().wait()",
    "a thread that it waits for does not end": (
        "await ending.stopping.wait(); await asyncio.to_thread(threading.Event().wait)"
    ),
    "the interpreter waits for a thread": (
        "threading.Thread(target=threading.Event().wait).start(); await ending.stopping.wait()"
    ),
}


def run(body: str, *, tell: bool, within_s: float = 3_600.0) -> tuple[int, str]:
    """The exit status of a program that does so, and what it said; told to end once it is ready, if at all."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(body=body, within_s=within_s)],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    if tell:
        process.send_signal(signal.SIGTERM)
    _, said = process.communicate()
    return process.returncode, said


@pytest.mark.parametrize("what", HANGS)
def test_a_process_that_hangs_ends_and_says_where(what: str) -> None:
    status, said = run(HANGS[what], tell=True, within_s=0.5)
    assert status == output.FAILED
    assert "Timeout (0:00:00.5" in said and "most recent call first" in said


def test_one_that_ends_in_order_is_left_alone() -> None:
    assert run("await ending.stopping.wait()", tell=True) == (output.OK, "")


def test_a_thread_that_dies_ends_all_of_it() -> None:
    """It may be the one that pages, and its worker would hold the lease for ever."""
    status, said = run(
        "threading.Thread(target=lambda: 1 / 0, name='perform-0').start()"
        "; await ending.stopping.wait(); sys.exit(70 if ending.crashed else 0)",
        tell=False,
    )
    assert status == output.CRASHED
    assert "perform-0 died of a mistake of ours" in said and "ZeroDivisionError" in said


def test_a_stage_that_does_not_end_ends_its_worker() -> None:
    """It stays in its group, and keeps partitions that nobody works on."""

    class Hangs:
        name = "detect"
        crashed = True

        def __init__(self) -> None:
            self.failed = asyncio.Event()

        async def start(self) -> None:
            return

        async def stop(self) -> None:
            await asyncio.Event().wait()

    async def play() -> tuple[bool, bool]:
        stopping = asyncio.Event()
        one = Tended(StageName.DETECT, Hangs, SystemClock(), end_within_s=0.05)  # type: ignore[arg-type]
        await one.run(stopping)
        return stopping.is_set(), one.in_order

    assert asyncio.run(play()) == (True, False)
