"""Recorded data: packs are unpacked once into a cache, and what they hold is found by its layout."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path


class NoData(Exception):
    """There is nothing to measure on; says what was looked for, and where."""


def data_dir(given: Path | None) -> Path:
    """Where the data lies: as given, else `TOCSIN_DATA`, else `../shared/data`.

    Raises
    ------
    NoData
        If there is no such directory.
    """
    path = given or Path(os.environ.get("TOCSIN_DATA") or "../shared/data")
    if not path.is_dir():
        raise NoData(f"no directory {path}: name one with --data or TOCSIN_DATA")
    return path


def cache_dir() -> Path:
    """Where packs are unpacked: `TOCSIN_CACHE`, else `~/.cache/tocsin`."""
    return Path(os.environ.get("TOCSIN_CACHE") or Path.home() / ".cache" / "tocsin")


def roots(data: Path, prefix: str) -> Iterator[Path]:
    """Directories to search: the data itself, then each of its packs `PREFIX*.tar.zst`, unpacked.

    Raises
    ------
    NoData
        If a pack cannot be unpacked.
    """
    yield data
    for pack in sorted(data.rglob(f"{prefix}*.tar.zst")):
        yield _unpacked(pack)


def folders(data: Path | None, hints: tuple[str, ...]) -> list[Path]:
    """Where to look for files of a kind: the data itself, and its packs whose name has a hint.

    Empty where there is no data, or a pack cannot be unpacked (which is said).
    """
    try:
        given = data_dir(data)
        packs = [p for p in sorted(given.glob("*.tar.zst")) if any(h in p.name for h in hints)]
        return [given, *[_unpacked(pack) for pack in packs]]
    except NoData as why:
        print(why)
        return []


def _unpacked(pack: Path) -> Path:
    # Name, size and time of change: a pack that was replaced is unpacked anew.
    status = pack.stat()
    name = f"{pack.name.removesuffix('.tar.zst')}-{status.st_size}-{int(status.st_mtime)}"
    target = cache_dir() / "packs" / name
    if target.is_dir():
        return target
    if not shutil.which("zstd"):
        raise NoData(f"{pack} is packed: install zstd, or unpack it and name that with --data")
    partial = target.with_name(f"{target.name}.{os.getpid()}")
    partial.mkdir(parents=True)
    unpacker = subprocess.Popen(
        ["zstd", "-dc", "--long=27", os.fspath(pack)], stdout=subprocess.PIPE
    )
    tar = subprocess.run(["tar", "x", "-C", os.fspath(partial)], stdin=unpacker.stdout)
    if unpacker.wait() or tar.returncode:
        shutil.rmtree(partial)
        raise NoData(f"{pack} could not be unpacked")
    partial.rename(target)
    return target


def absent(what: str) -> None:
    """Say plainly that there is nothing to measure, and end; nothing has failed."""
    print(f"nothing measured: {what}")
    raise SystemExit(0)
