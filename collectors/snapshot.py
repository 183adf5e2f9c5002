"""A saved state: a line with name, version and checksum, then JSON."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from model.errors import SnapshotError


def seal(name: str, version: int, state: dict[str, Any]) -> bytes:
    """Write a state.

    Examples
    --------
    >>> unseal("x", 1, seal("x", 1, {"a": 1}))
    {'a': 1}
    """
    body = json.dumps(state, separators=(",", ":")).encode()
    return _head(name, version, body) + b"\n" + body


def unseal(name: str, version: int, data: bytes) -> dict[str, Any]:
    """Read a state that `seal` wrote.

    Raises
    ------
    SnapshotError
        If it is damaged, or of another name or version.
    """
    head, _, body = data.partition(b"\n")
    if head != _head(name, version, body):
        raise SnapshotError(f"the snapshot of {name} is damaged or of another version")
    state = json.loads(body)
    assert isinstance(state, dict)
    return state


def _head(name: str, version: int, body: bytes) -> bytes:
    return f"tocsin {name} {version} {hashlib.sha256(body).hexdigest()}".encode()
