"""Where reading of a log file stands, and how the file is known again under another name."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass, replace

HEAD_BYTES = 1024
_HEAD_MIN = 16


@dataclass(frozen=True, slots=True)
class Cursor:
    """One file's place.

    Attributes
    ----------
    path : str
        The name it was first seen under.
    device, inode : int
        Who it is, as long as it exists.
    offset : int
        Bytes that were handed over.
    head_size, head_hash : int, str
        Fingerprint of the first bytes (at most 1,024): tells a recreated or truncated file, which
        may have the same inode, and finds a copy, which has another.
    skip : bool
        Whether what follows, up to the next line feed, is the rest of a line that was cut.
    """

    path: str
    device: int
    inode: int
    offset: int = 0
    head_size: int = 0
    head_hash: str = ""
    skip: bool = False

    @property
    def identity(self) -> tuple[int, int]:
        """Device and inode."""
        return self.device, self.inode

    def fits(self, fd: int) -> bool:
        """Whether an open file begins as this one did, and reaches as far."""
        return os.fstat(fd).st_size >= self.offset and self.begins(fd)

    def begins(self, fd: int) -> bool:
        """Whether an open file begins as this one did."""
        return head_hash(fd, self.head_size) == self.head_hash

    @property
    def recognisable(self) -> bool:
        """Whether the fingerprint is long enough to find a copy by."""
        return self.head_size >= _HEAD_MIN

    def grown(self, fd: int) -> Cursor:
        """With a longer fingerprint, where the file has become longer."""
        size = min(HEAD_BYTES, os.fstat(fd).st_size)
        if size <= self.head_size:
            return self
        return replace(self, head_size=size, head_hash=head_hash(fd, size))


def head_hash(fd: int, size: int) -> str:
    """Fingerprint of the first `size` bytes; "" where `size` is 0 or the file is shorter."""
    head = os.pread(fd, size, 0) if size else b""
    return hashlib.sha256(head).hexdigest()[:32] if head and len(head) == size else ""


def siblings(path: str) -> list[str]:
    """Files of the same folder that may be what `path` was rotated to, by their names."""
    folder, name = os.path.split(path)
    stem = name.split(".")[0]
    try:
        names = sorted(os.listdir(folder or "."))
    except OSError:
        return []
    return [
        os.path.join(folder, other)
        for other in names
        if stem and other.startswith(stem) and other != name and not packed(other)
    ][:1000]


def packed(path: str) -> bool:
    """Whether a name is that of a compressed file."""
    return path.endswith((".gz", ".xz", ".zst", ".bz2", ".lz4", ".zip"))


def planted(link: os.stat_result, file: os.stat_result) -> bool:
    """Whether a path is a link that its maker may have no right to read through.

    Who can write to a log folder could lead us, who may read more, to a secret. A link is followed
    if root made it (as container runtimes do), or the owner of the file that it leads to.
    """
    return stat.S_ISLNK(link.st_mode) and link.st_uid not in (0, file.st_uid)
