"""Real servers on loopback: a program that is missing fails in CI, and is named elsewhere."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
import requests

from benchmarks.ports import free_port
from tests.pipeline.distributed.conftest import Storm, storm

if TYPE_CHECKING:
    from tests.integration.outage import Experiment

__all__ = ["storm"]

T = TypeVar("T")

WAIT_S = 300.0
"""Only a failure waits this long: everything here is done as soon as it is seen."""

SETTINGS = """\
host: {enabled: false}
self: {enabled: false}
correlator: {group_wait: 1s, group_wait_critical: 1s, resolve_window: 2s}
"""
"""Nothing to watch, and quick to decide."""


def missing(what: str) -> None:
    """Skip, saying what this machine lacks; CI has everything."""
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)


def program(*names: str) -> str:
    """The path of the first of these programs that is installed."""
    for name in names:
        if path := shutil.which(name):
            return path
    missing(f"{names[0]} is not installed (tests/integration/install.sh)")
    raise AssertionError


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
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        print(f"--- {log.name}\n{log.read_text(errors='replace')[-4000:]}")


@dataclass(frozen=True, slots=True)
class Tocsin:
    """A running `tocsin run`."""

    address: str
    folder: Path
    token: str = ""

    @property
    def url(self) -> str:
        """Where a browser goes."""
        return f"http://{self.address}"

    def get(self, path: str, **params: Any) -> Any:
        """Ask its API."""
        answer = requests.get(self.url + path, params=params, headers=self._headers(), timeout=120)
        answer.raise_for_status()
        return answer.json()

    def post(self, path: str, body: object) -> Any:
        """Tell its API."""
        answer = requests.post(self.url + path, json=body, headers=self._headers(), timeout=120)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def push(self, *alerts: dict[str, Any]) -> None:
        """Push alerts as Prometheus does."""
        self.post("/api/v2/alerts", list(alerts))

    def incidents(self, service: str, state: str) -> list[dict[str, Any]]:
        """A service's incidents in a state."""
        found = self.get("/api/v1/incidents", state=state)["incidents"]
        return [incident for incident in found if incident["service"] == service]

    def incident(self, service: str, state: str = "open") -> dict[str, Any]:
        """The one incident of a service, as soon as it is in that state."""
        found = wait_for(lambda: self.incidents(service, state), f"{service} to be {state}")
        assert len(found) == 1
        return found[0]

    def ticket(self, incident_id: str) -> dict[str, Any]:
        """The one ticket of an incident, as soon as it is there."""

        def tickets() -> list[dict[str, Any]]:
            known = self.get("/api/v1/tickets")["tickets"]
            return [ticket for ticket in known if ticket["key"] == incident_id]

        found = wait_for(tickets, f"the ticket of {incident_id}")
        assert len(found) == 1
        return found[0]

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}


@contextmanager
def tocsin_in(
    folder: Path, settings: str = SETTINGS, catalogue: str = "", address: str = ""
) -> Iterator[Tocsin]:
    """`tocsin run` with this configuration, until the block ends; once more in the same folder, it goes on."""
    config = folder / "config"
    config.mkdir(parents=True, exist_ok=True)
    (config / "tocsin.yaml").write_text(settings)
    if catalogue:
        (config / "catalogue.yaml").write_text(catalogue)
    address = address or f"127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "pipeline", "run", "--config", str(config)]
    command += ["--data", str(folder / "data"), "--listen", address]
    with running(command, folder / "tocsin.log") as process:

        def ready() -> bool:
            assert process.poll() is None, "tocsin has ended"
            return requests.get(f"http://{address}/-/ready", timeout=60).status_code == 200

        wait_for(ready, "tocsin to be ready")
        yield Tocsin(address, folder)


@pytest.fixture
def tocsin(tmp_path: Path) -> Iterator[Tocsin]:
    """Tocsin with nothing to watch, that decides quickly."""
    with tocsin_in(tmp_path) as started:
        yield started


@dataclass(frozen=True, slots=True)
class Servers:
    """The helpers above, as a fixture."""

    settings = SETTINGS
    missing = staticmethod(missing)
    program = staticmethod(program)
    free_port = staticmethod(free_port)
    wait_for = staticmethod(wait_for)
    running = staticmethod(running)
    tocsin_in = staticmethod(tocsin_in)


@pytest.fixture(scope="session")
def servers() -> Servers:
    """Start, find and wait for servers."""
    return Servers()


@pytest.fixture(scope="session")
def the_outage(storm: Storm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Experiment]:
    """Ten minutes without a broker, under way."""
    from tests.integration.outage import Experiment

    experiment = Experiment(tmp_path_factory.mktemp("outage"), storm)
    experiment.start()
    yield experiment
    experiment.end()


def _looks_at_the_outage(item: pytest.Item) -> bool:
    return "the_outage" in getattr(item, "fixturenames", ())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whoever looks at the outage does so at the end."""
    items.sort(key=_looks_at_the_outage)


@pytest.fixture(scope="session", autouse=True)
def _begin_the_outage(request: pytest.FixtureRequest) -> None:
    """Ten minutes cost none if they go by beside the other tests."""
    if any(map(_looks_at_the_outage, request.session.items)):
        request.getfixturevalue("the_outage")
