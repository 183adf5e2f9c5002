"""The rules about Tocsin itself, by Prometheus' own promtool."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.integration.conftest import program

MIXIN = Path(__file__).resolve().parent.parent.parent / "deploy" / "mixin"

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(("verb", "name"), [("check", "rules.yaml"), ("test", "rules_test.yaml")])
def test_promtool_agrees(verb: str, name: str) -> None:
    done = subprocess.run(
        [program("promtool"), verb, "rules", MIXIN / name], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
