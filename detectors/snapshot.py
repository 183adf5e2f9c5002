"""Arrays and JSON to bytes and back, checked; never pickle, so that a planted file can only be refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.errors import SnapshotError

_MAGIC = b"tocsin-detectors 3\n"
_DIGEST = hashlib.sha256().digest_size
_PLAIN_KINDS = "biuf"


def pack(arrays: Mapping[str, NDArray[Any]], state: Mapping[str, Any]) -> bytes:
    """Write magic, SHA-256 of the rest, header length, JSON header, raw arrays.

    Examples
    --------
    >>> data = pack({"a": np.arange(3)}, {"b": 1})
    >>> arrays, state = unpack(data)
    >>> arrays["a"].tolist(), state
    ([0, 1, 2], {'b': 1})
    """
    names = sorted(arrays)
    header = json.dumps(
        {
            "arrays": [[n, arrays[n].dtype.str, list(arrays[n].shape)] for n in names],
            "state": state,
        },
        separators=(",", ":"),
    ).encode()
    pieces: list[Any] = [len(header).to_bytes(8, "big"), header]
    pieces += [np.ascontiguousarray(arrays[n]).reshape(-1).view(np.uint8).data for n in names]
    digest = hashlib.sha256()
    for piece in pieces:  # one by one, and copied once: other threads wait while memory is copied
        digest.update(piece)
    return b"".join([_MAGIC, digest.digest(), *pieces])


def unpack(data: bytes) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Read what `pack` wrote; the arrays are fresh and writable.

    Raises
    ------
    SnapshotError
        If it is of another version, damaged, cut short or names a type that is not a plain number.
    """
    start = len(_MAGIC) + _DIGEST
    if not data.startswith(_MAGIC):
        raise SnapshotError("detector snapshot: not one, or of another version")
    body = memoryview(data)[start:]
    if hashlib.sha256(body).digest() != data[len(_MAGIC) : start]:
        raise SnapshotError("detector snapshot: the checksum does not match")
    try:
        length = int.from_bytes(body[:8], "big")
        header = json.loads(bytes(body[8 : 8 + length]))
        arrays: dict[str, NDArray[Any]] = {}
        offset = 8 + length
        for name, type_text, shape in header["arrays"]:
            dtype = np.dtype(type_text)
            if dtype.kind not in _PLAIN_KINDS:
                raise SnapshotError(f"detector snapshot: array {name!r} holds {dtype}")
            count = int(np.prod(shape, dtype=np.int64))
            arrays[name] = (
                np.frombuffer(body, dtype=dtype, count=count, offset=offset).reshape(shape).copy()
            )
            offset += count * dtype.itemsize
        return arrays, header["state"]
    except (ValueError, KeyError, TypeError) as error:
        raise SnapshotError(f"detector snapshot: cannot be read: {error}") from None
