"""Snappy's block format, refused before it costs memory."""

from __future__ import annotations

import cramjam

from model.errors import InputError

_EXPANSION_MAX = 24
"""No block grows more: a copy of three bytes stands for at most 64 (format_description.txt of Snappy)."""
_LENGTH_BYTES = 5


class TooLarge(InputError):
    """What was sent would decode to more than is allowed (413)."""


def declared_length(data: bytes) -> int:
    """How long the block says it is once decoded: the varint that it begins with.

    Raises
    ------
    InputError
        If it does not begin with one of at most 32 bits.

    Examples
    --------
    >>> declared_length(bytes([0x80, 0x01]))
    128
    """
    length = 0
    for position, byte in enumerate(data[:_LENGTH_BYTES]):
        length |= (byte & 0x7F) << (7 * position)
        if byte < 0x80:
            if length >= 2**32:
                break
            return length
    raise InputError("body: must be a snappy block; it does not begin with its decoded length")


def unpack(data: bytes, *, bytes_max: int) -> bytes:
    """Decode a block.

    The declared length is checked before any of it is allocated, against the limit and against what
    so many bytes could decode to at best.

    Raises
    ------
    TooLarge
        If it says that it is longer than `bytes_max`.
    InputError
        If it is damaged, or its length cannot be true.

    Examples
    --------
    >>> unpack(bytes([5, 4 << 2]) + b"hello", bytes_max=100)
    b'hello'
    """
    length = declared_length(data)
    if length > bytes_max:
        raise TooLarge(
            f"body: decodes to {length} bytes, at most {bytes_max} are allowed; send less at a time"
        )
    if length > _EXPANSION_MAX * len(data):
        raise InputError(f"body: {len(data)} bytes cannot decode to the declared {length}")
    try:
        return bytes(cramjam.snappy.decompress_raw(data))
    except cramjam.DecompressionError:
        raise InputError("body: must be a snappy block (not framed); it is damaged") from None
