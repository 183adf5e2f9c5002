"""Snappy blocks and the outermost protobuf fields: refused before they cost anything."""

from __future__ import annotations

import tracemalloc

import cramjam
import pytest

from collectors import protowire, snappy
from model.errors import InputError


def test_a02_a_false_or_large_length_is_refused_before_anything_is_allocated() -> None:
    tracemalloc.start()
    try:
        for length, problem in (
            (b"\xff\xff\xff\xff\x0f", "4294967295"),
            (b"\xff\xff\xff\x0f", "cannot decode to the declared"),
            (b"\xff\xff\xff\xff\x7f", "its decoded length"),
            (b"\x80" * 9, "its decoded length"),
            (b"", "its decoded length"),
            (b"\x09", "damaged"),
        ):
            with pytest.raises(InputError, match=problem):
                snappy.unpack(length + b"abc" * (len(length) > 0), bytes_max=32 * 2**20)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()
    with pytest.raises(snappy.TooLarge):
        snappy.unpack(bytes(cramjam.snappy.compress_raw(b"a" * 1_000)), bytes_max=999)


def test_fields_of_no_interest_are_skipped() -> None:
    unknown = b"\x10\x96\x01" + b"\x19" + b"8" * 8 + b"\x25" + b"4444" + b"\x82\x01\x03abc"
    assert protowire.split(unknown + b"\x0a\x01x", 0x0A, 0x2A, parts_max=9)[0] == [len(unknown) + 2]
    for broken in (b"\x0b", b"\x0a", b"\x0a\x05abc", b"\x02\x00", b"\x0a" + b"\xff" * 12):
        with pytest.raises(InputError):
            protowire.split(broken, 0x0A, 0x2A, parts_max=9)
