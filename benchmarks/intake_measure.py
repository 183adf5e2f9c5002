"""How `benchmarks.intake` measures: CPU time of our part, and of a whole process from its socket on."""

from __future__ import annotations

import http.client
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.request import urlopen

import numpy as np
import psutil

from benchmarks.process import Tocsin

T = TypeVar("T")
_WAIT_S = 120.0


def cpu_rate(rounds: Iterable[tuple[T, Callable[[T], int]]]) -> tuple[float, float]:
    """Items per CPU second of the first round, and of those after it by the median."""
    rates = []
    for given, work in rounds:
        began = time.process_time()
        count = work(given)
        rates.append(count / (time.process_time() - began))
    return rates[0], float(np.median(rates[1:]))


@dataclass(frozen=True, slots=True)
class Pushing:
    """What is pushed: to where, and each round's bodies with so many samples; the first is not counted."""

    path: str
    headers: dict[str, str]
    rounds: Iterable[list[bytes]]
    samples: int


def end_to_end(pushing: Pushing) -> float:
    """Samples per CPU second of a real `tocsin run`, from its socket to what its detectors took.

    All of its CPU time counts: HTTP, decoding, detectors, housekeeping.
    """
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config"
        config.mkdir()
        (config / "tocsin.yaml").write_text(
            "host: {enabled: false}\nself: {enabled: false}\nlogs: {sources: []}\n"
        )
        tocsin = Tocsin(Path(folder))
        tocsin.start()
        try:
            assert tocsin.process is not None
            process = psutil.Process(tocsin.process.pid)
            sent, began_s = 0, 0.0
            connection = http.client.HTTPConnection("127.0.0.1", tocsin.port, timeout=30)
            for number, bodies in enumerate(pushing.rounds):
                for body in bodies:
                    _post(connection, pushing, body)
                sent += pushing.samples
                if number == 0:
                    _wait(tocsin, sent)
                    began_s = _cpu_s(process)
            _wait(tocsin, sent)
            return (sent - pushing.samples) / (_cpu_s(process) - began_s)
        finally:
            tocsin.stop()


def _post(connection: http.client.HTTPConnection, pushing: Pushing, body: bytes) -> None:
    while True:
        connection.request("POST", pushing.path, body, pushing.headers)
        answer = connection.getresponse()
        said = answer.read()
        if answer.status < 300:
            return
        if answer.status not in (429, 503):
            raise RuntimeError(f"{answer.status}: {said[:500]!r}")
        time.sleep(0.1)  # as every sender does: it comes again


def _wait(tocsin: Tocsin, samples: int) -> None:
    until = time.monotonic() + _WAIT_S
    taken = 0.0
    while time.monotonic() < until:
        with urlopen(f"{tocsin.url}/metrics", timeout=10) as answer:
            for line in answer.read().decode().splitlines():
                if line.startswith("tocsin_detector_samples_total "):
                    taken = float(line.split()[1])
        if taken >= samples:
            return
        time.sleep(0.2)
    raise RuntimeError(f"{taken:.0f} of {samples} samples after {_WAIT_S:.0f} s")


def _cpu_s(process: psutil.Process) -> float:
    used = process.cpu_times()
    return float(used.user + used.system)
