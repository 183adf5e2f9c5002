"""Snapshots of learned state: written beside the old one and renamed; a damaged one is reported, the one before is used."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
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
    report
        Told of each snapshot that is damaged.
    """

    def __init__(self, folder: Path, *, report: Callable[[str], None] = lambda _: None) -> None:
        # Log templates and labels are not for everybody's eyes.
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in folder.glob("*.partial"):  # killed while it wrote
            left.unlink(missing_ok=True)
        self.folder = folder
        self._report = report
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
        # The newest by name, also where the machine's clock was put back since the last one.
        made_ms = max([now_ms, *(_made_ms(path) + 1 for path in self._files(name)[:1])])
        target = self.folder / f"{name}.{made_ms:015d}.snapshot"
        beside = target.with_suffix(".partial")
        try:
            with open(beside, "wb") as file:
                for piece in (_MAGIC, hashlib.sha256(data).digest(), data):
                    file.write(piece)  # not joined: it is large, and others wait while it is copied
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, target)
        except OSError as error:
            with suppress(OSError):
                beside.unlink(missing_ok=True)  # where the disk is full its room is wanted
            raise StoreError(f"the snapshot {target.name} could not be written: {error}") from error
        self.written += 1
        self.last_ms = now_ms
        for old in self._files(name)[KEEP:]:
            with suppress(OSError):
                old.unlink(missing_ok=True)

    def read(self, name: str) -> Iterator[tuple[str, bytes]]:
        """The file name and content of each snapshot that is whole, newest first.

        Damaged ones are passed over, counted and reported; so is one that its reader calls
        `unusable` because it does not understand it.
        """
        for path in self._files(name):
            try:
                data = _checked(path.read_bytes())
            except (SnapshotError, OSError) as error:
                self.unusable(path.name, error)
            else:
                yield path.name, data

    def unusable(self, name: str, error: Exception) -> None:
        """Count and report a snapshot that cannot be taken up."""
        self.damaged += 1
        self._report(f"snapshot {name} is not usable ({error}); trying the one before")

    def listed(self) -> list[tuple[Path, int, int]]:
        """Every snapshot with when it was made (ms) and its size (bytes), newest first."""
        found = []
        for path in sorted(self.folder.glob("*.snapshot"), reverse=True):
            try:
                found.append((path, _made_ms(path), path.stat().st_size))
            except (OSError, ValueError):
                continue  # removed just now, or not ours
        return found

    def _files(self, name: str) -> list[Path]:
        return sorted(self.folder.glob(f"{name}.{'[0-9]' * 15}.snapshot"), reverse=True)


def _made_ms(path: Path) -> int:
    return int(path.name.split(".")[-2])


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
        if begin != len(data):
            raise ValueError(f"{len(data)} bytes where {begin} are announced")
    except (ValueError, TypeError) as error:
        raise SnapshotError(f"it is not a bundle of stages: {error}") from None
    return parts
