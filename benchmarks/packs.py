"""Finds evaluation data by layout: in a folder as it is, or packed, unpacked once to a cache."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path


def cache() -> Path:
    """Where packs are unpacked: `TOCSIN_CACHE`, or `~/.cache/tocsin`."""
    named = os.environ.get("TOCSIN_CACHE")
    return Path(named) if named else Path.home() / ".cache" / "tocsin"


def folders(data: Path | None, hints: tuple[str, ...]) -> list[Path]:
    """Where to look for files of a kind: `data`, and packs in it whose name has one of the hints.

    Parameters
    ----------
    data : Path or None
        The option `--data`; None takes `TOCSIN_DATA`.
    """
    if data is None and "TOCSIN_DATA" in os.environ:
        data = Path(os.environ["TOCSIN_DATA"])
    if data is None or not data.is_dir():
        return []
    packs = [p for p in sorted(data.glob("*.tar.zst")) if any(h in p.name for h in hints)]
    return [data, *[unpacked(pack) for pack in packs]]


def unpacked(pack: Path) -> Path:
    """The folder a pack was unpacked to; done once, and again when the pack has changed."""
    stamp = pack.stat()
    name = f"{pack.name.removesuffix('.tar.zst')}-{stamp.st_size}-{int(stamp.st_mtime)}"
    folder = cache() / name
    if folder.is_dir():
        return folder
    half = folder.with_name(f"{name}.part{os.getpid()}")
    half.mkdir(parents=True)
    program = shutil.which("zstd")
    if program is None:
        raise SystemExit(f"{pack}: unpacking needs the program zstd, which is not installed")
    command = [program, "-dc", "--long=27", str(pack)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        with tarfile.open(fileobj=process.stdout, mode="r|") as tar:
            tar.extractall(half, filter="data")
    half.rename(folder)
    return folder


def absent(what: str, data: Path | None) -> None:
    """Say plainly that there is nothing to measure on, and end without failing."""
    where = data or os.environ.get("TOCSIN_DATA") or "(no --data)"
    print(f"no {what} in {where}: nothing measured")
    sys.exit(0)
