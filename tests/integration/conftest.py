"""Real servers on loopback: a program that is missing fails in CI, and is named elsewhere."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
import requests

T = TypeVar("T")

WAIT_S = 60.0


def program(*names: str) -> str:
    """The path of the first of these programs that is installed."""
    for name in names:
        if path := shutil.which(name):
            return path
    message = f"{names[0]} is not installed (tests/integration/install.sh)"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


def free_port() -> int:
    """A loopback port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(ask: Callable[[], T], what: str, wait_s: float = WAIT_S) -> T:
    """Ask until the answer is true; connection errors are "not yet"."""
    ends_s = time.monotonic() + wait_s
    last: object = None
    while time.monotonic() < ends_s:
        try:
            if found := ask():
                return found
            last = found
        except (requests.RequestException, OSError) as error:
            last = error
        time.sleep(0.1)
    pytest.fail(f"waited {wait_s:.0f} s for {what}; last: {last}")


@contextmanager
def running(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process, ended by SIGTERM; its output is in `log`, and shown if the test fails."""
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        print(f"--- {log.name}\n{log.read_text(errors='replace')[-4000:]}")


@dataclass(frozen=True, slots=True)
class Tocsin:
    """A running `tocsin run`."""

    address: str
    folder: Path

    def get(self, path: str, **params: Any) -> Any:
        """Ask its API."""
        answer = requests.get(f"http://{self.address}{path}", params=params, timeout=10)
        answer.raise_for_status()
        return answer.json()


@pytest.fixture
def tocsin(tmp_path: Path) -> Iterator[Tocsin]:
    """Tocsin with nothing to watch, that decides quickly."""
    config = tmp_path / "config"
    config.mkdir()
    (config / "tocsin.yaml").write_text(
        "host: {enabled: false}\n"
        "self: {enabled: false}\n"
        "correlator: {group_wait: 1s, group_wait_critical: 1s, resolve_window: 2s}\n"
    )
    address = f"127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "pipeline", "run", "--config", str(config)]
    command += ["--data", str(tmp_path / "data"), "--listen", address]
    with running(command, tmp_path / "tocsin.log"):
        ready = f"http://{address}/-/ready"
        wait_for(lambda: requests.get(ready, timeout=5).status_code == 200, "tocsin to be ready")
        yield Tocsin(address, tmp_path)


@dataclass(frozen=True, slots=True)
class Servers:
    """The helpers above, as a fixture."""

    program = staticmethod(program)
    free_port = staticmethod(free_port)
    wait_for = staticmethod(wait_for)
    running = staticmethod(running)


@pytest.fixture
def servers() -> Servers:
    """Start, find and wait for servers."""
    return Servers()
