"""Parts of messages that are compressed: they are small on their way, and must not fill the memory."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import orjson

from model.errors import InputError
from model.labels import Labels

DECODED_BYTES_MAX = 64 * 2**20


def pack_labels(labels: Sequence[Labels]) -> bytes:
    """Label sets as one compressed block.

    Examples
    --------
    >>> up = Labels.of({"__name__": "up", "job": "a"})
    >>> unpack_labels(pack_labels([up])) == [up]
    True
    """
    return zlib.compress(orjson.dumps([one.pairs for one in labels]), 1)


def unpack_labels(block: bytes) -> list[Labels]:
    """The inverse of `pack_labels`.

    Raises
    ------
    InputError
        If it is damaged, or larger than is allowed.
    """
    try:
        return [Labels.of(pairs) for pairs in orjson.loads(inflate(block))]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"not a block of label sets: {error}") from None


def inflate(data: bytes) -> bytes:
    """Decompressed, at most `DECODED_BYTES_MAX`: a small message must not fill the memory."""
    inflating = zlib.decompressobj()
    try:
        found = inflating.decompress(data, DECODED_BYTES_MAX)
    except zlib.error as error:
        raise InputError(f"does not decompress: {error}") from None
    if not inflating.eof:
        raise InputError(f"is cut short, or larger than {DECODED_BYTES_MAX} bytes")
    return found
