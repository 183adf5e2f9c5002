"""Snapshots of learned state: written beside the old one and renamed; a damaged one is reported, the one before is used."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from model.errors import SnapshotError, StoreError

_MAGIC = b"TOCSIN1\n"
KEEP = 2


class Checkpoints:
    """A folder of snapshots, two of each name.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.written = 0
        self.damaged = 0
        self.last_ms = 0

    def write(self, name: str, data: bytes, *, now_ms: int) -> None:
        """Keep `data` as the newest snapshot of `name`.

        Raises
        ------
        StoreError
            If the disk does not take it; the snapshots before are untouched.
        """
        target = self.folder / f"{name}.{now_ms:015d}.snapshot"
        beside = target.with_suffix(".partial")
        try:
            with open(beside, "wb") as file:
                file.write(_MAGIC + hashlib.sha256(data).digest() + data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, target)
        except OSError as error:
            raise StoreError(f"the snapshot {target.name} could not be written: {error}") from error
        self.written += 1
        self.last_ms = now_ms
        for old in self._files(name)[KEEP:]:
            old.unlink(missing_ok=True)

    def read(self, name: str, load: Callable[[bytes], None], report: Callable[[str], None]) -> bool:
        """Give the newest snapshot that is whole to `load`; damaged ones are reported and passed over.

        Returns
        -------
        bool
            Whether one was loaded; without one the stage starts cold.
        """
        for path in self._files(name):
            try:
                load(_checked(path.read_bytes()))
                return True
            except (SnapshotError, OSError) as error:
                self.damaged += 1
                report(f"snapshot {path.name} is not usable ({error}); trying the one before")
        return False

    def listed(self) -> list[tuple[Path, int, int]]:
        """Every snapshot with when it was made (ms) and its size (bytes), newest first."""
        found = []
        for path in sorted(self.folder.glob("*.snapshot"), reverse=True):
            try:
                found.append((path, int(path.name.split(".")[-2]), path.stat().st_size))
            except (OSError, ValueError):
                continue  # removed just now, or not ours
        return found

    def _files(self, name: str) -> list[Path]:
        return sorted(self.folder.glob(f"{name}.*.snapshot"), reverse=True)


def _checked(data: bytes) -> bytes:
    head = len(_MAGIC)
    if not data.startswith(_MAGIC):
        raise SnapshotError("it does not begin as a snapshot does")
    body = data[head + 32 :]
    if hashlib.sha256(body).digest() != data[head : head + 32]:
        raise SnapshotError("its checksum does not fit: half written or damaged")
    return body


def pack(parts: Mapping[str, bytes]) -> bytes:
    """Several stages' states in one snapshot, so that they are always of one moment.

    Examples
    --------
    >>> unpack(pack({"index": b"abc", "engine": b""}))
    {'index': b'abc', 'engine': b''}
    """
    head = json.dumps([[name, len(data)] for name, data in parts.items()]).encode()
    return len(head).to_bytes(4, "big") + head + b"".join(parts.values())


def unpack(data: bytes) -> dict[str, bytes]:
    """The inverse of `pack`.

    Raises
    ------
    SnapshotError
        If it was not made by `pack`.
    """
    try:
        begin = 4 + int.from_bytes(data[:4], "big")
        parts = {}
        for name, length in json.loads(data[4:begin]):
            parts[name] = data[begin : begin + length]
            begin += length
    except (ValueError, TypeError) as error:
        raise SnapshotError(f"it is not a bundle of stages: {error}") from None
    return parts
