"""What the Prometheus project tests receivers and parsers with, on ours."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from collectors.exposition import Format, read_line

pytestmark = pytest.mark.integration

FOLDER = Path(__file__).parents[2] / "build" / "servers" / "compliance"
CONFIG = "remote_write: [{{name: tocsin, url: http://{address}/api/v1/write}}]\n"
# A time of 20 digits: Prometheus refuses it as well, since it fits no 64 bits of milliseconds.
BEYOND_64_BITS = {"timestamps"}


def fetched(servers: Any, name: str) -> Path:
    """A part of the suites."""
    path = FOLDER / name
    if not path.exists():
        servers.missing(f"{name} is not here: run tests/integration/install.sh where go is")
    return path


def test_the_remote_write_receiver_suite_passes(tocsin: Any, servers: Any, tmp_path: Path) -> None:
    suite = fetched(servers, "remotewrite.test")
    config = tmp_path / "config.yml"
    config.write_text(CONFIG.format(address=tocsin.address))
    done = subprocess.run(
        [str(suite), "-test.v"],
        cwd=tmp_path,
        env={**os.environ, "PROMETHEUS_RW2_COMPLIANCE_CONFIG_FILE": str(config)},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    lines = done.stdout.splitlines()
    passed = [line for line in lines if line.startswith("--- PASS")]
    failed = [line.strip() for line in lines if line.strip().startswith("--- FAIL")]
    assert not failed, done.stdout[-8_000:]
    assert done.returncode == 0 and len(passed) > 30


def documents(servers: Any) -> Iterator[tuple[str, bool, str]]:
    """Name, whether it is valid, and the text of each document of OpenMetrics' parser tests."""
    for told in sorted(fetched(servers, "openmetrics").glob("*/test.json")):
        test = json.loads(told.read_text())
        yield told.parent.name, test["shouldParse"], (told.parent / test["file"]).read_text()


def read(text: str) -> int:
    """How many samples a document has."""
    lines = [line for line in text.split("\n") if line.strip() and not line.startswith("#")]
    return len([read_line(line, Format.OPENMETRICS) for line in lines])


def test_openmetrics_documents_that_are_valid_are_read(servers: Any) -> None:
    valid = [(name, text) for name, fine, text in documents(servers) if fine]
    assert len(valid) > 30
    for name, text in valid:
        if name in BEYOND_64_BITS:
            continue
        read(text)
