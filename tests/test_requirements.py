"""Every dependency is pinned with hashes, and no file says where packages come from."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent.parent / "requirements"
PIN = re.compile(r"([A-Za-z0-9._-]+(\[[\w,-]+\])?)==([^\s;]+)(\s*;[^\\]*)?")


def _requirements(path: Path) -> list[str]:
    """Logical lines: a requirement with its hashes, comments and blank lines left out."""
    text = path.read_text().replace("\\\n", " ")
    return [line.strip() for line in text.splitlines() if line.strip() and line[0] != "#"]


@pytest.mark.parametrize("name", ["base", "build", "dev", "peers"])
def test_every_requirement_is_pinned_with_a_hash(name: str) -> None:
    lines = _requirements(FOLDER / f"{name}.txt")
    assert lines
    for line in lines:
        pin, *hashes = re.split(r"\s+--hash=", line)
        assert PIN.fullmatch(pin.strip()), f"not pinned: {pin}"
        assert hashes, f"without a hash: {pin}"
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", digest.strip()) for digest in hashes)


@pytest.mark.parametrize("path", sorted(FOLDER.iterdir()), ids=lambda path: path.name)
def test_no_address(path: Path) -> None:
    assert "://" not in path.read_text()


def test_dev_agrees_with_base() -> None:
    pinned: dict[str, str] = {}
    for name in ("base", "build", "dev", "peers"):
        for line in _requirements(FOLDER / f"{name}.txt"):
            package, _, version = line.split()[0].partition("==")
            assert pinned.setdefault(package, version) == version, f"{package} is pinned twice"


@pytest.mark.parametrize("name", ["base", "build", "dev", "peers"])
def test_everything_asked_for_is_pinned(name: str) -> None:
    asked = {
        re.split(r"[<>=\[; ]", line)[0].lower().replace("_", "-")
        for line in _requirements(FOLDER / f"{name}.in")
        if not line.startswith("-")
    }
    pinned = {re.split(r"[=\[]", line)[0].lower() for line in _requirements(FOLDER / f"{name}.txt")}
    assert asked <= pinned
