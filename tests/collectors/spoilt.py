"""Good input that was spoilt, at every byte or every value; the seeds are given, so that a run is like the one before."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from model.errors import InputError

EDITS = 200


def spoilt(good: bytes, seed: int) -> Iterator[bytes]:
    """Cut off at each byte, each byte changed, and some with several pieces changed, doubled or taken out."""
    chance = random.Random(seed)
    for at in range(len(good)):
        yield good[:at]
        for byte in (0, 0xFF, good[at] ^ 1, good[at] ^ 0x80):
            yield good[:at] + bytes([byte]) + good[at + 1 :]
    for _ in range(EDITS):
        made = bytearray(good)
        for _ in range(chance.randint(1, 5)):
            at, other = chance.randrange(len(made) + 1), chance.randrange(len(made) + 1)
            match chance.randrange(4):
                case 0:
                    made[at : at + 1] = bytes([chance.randrange(256)])
                case 1:
                    made[at:at] = chance.randbytes(chance.randint(1, 8))
                case 2:
                    del made[at : at + chance.randint(1, 6)]
                case _:
                    made[at:at] = made[other : other + chance.randint(1, 30)]
        yield bytes(made)


ODD: tuple[Any, ...] = (
    *(
        None,
        True,
        0,
        -1,
        2**63,
        2**64,
        1e308,
        -0.5,
        "",
        "\0",
        "\n",
        "\ud800",
        "a" * 60_000,
        "a" * 70_000,
    ),
    *("NaN", "1e999", "-1", "99999999999999999999", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"),
    *("2026-10-25T02:30:00+99:99", [], {}, [[]], [None], {"": ""}, {"a": {"a": [{"a": None}]}}),
)
HOSTILE = (
    *(b"", b"null", b"[]", b"{}", b"[1e400]", b'{"a":NaN}', b"\xef\xbb\xbf{}", b'"\\ud800"'),
    *(b"[" * 100_000, b'{"a":' * 100_000),
)


def spoilt_json(good: Any) -> Iterator[bytes]:
    """Something odd in the place of each value, each value left out, and what is hostile as a whole."""
    text = json.dumps(good)
    for path in paths_of(good):
        for odd in ODD:
            yield json.dumps(put(json.loads(text), path, odd)).encode()
        if path:
            yield json.dumps(put(json.loads(text), path, _LEFT_OUT)).encode()
    for at in range(0, len(text), max(1, len(text) // 40)):
        yield text[:at].encode()
        yield text[:at].encode() + b"\xff" + text[at:].encode()
    yield from HOSTILE


_LEFT_OUT = object()


def paths_of(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where each value stands, the whole first."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()  # fmt: skip
    for name, one in inner:
        yield from paths_of(one, (*path, name))


def put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """The same with another value in a place."""
    if not path:
        return new
    inner = value
    for name in path[:-1]:
        inner = inner[name]
    if new is _LEFT_OUT:
        del inner[path[-1]]
    else:
        inner[path[-1]] = new
    return value


def read_all(bodies: Iterable[bytes], read: Callable[[bytes], object]) -> None:
    """Read them all: each is read or refused, and something of both happens."""
    outcomes = {True: 0, False: 0}
    for body in bodies:
        try:
            read(body)
        except InputError as error:
            assert str(error).strip(), body
            outcomes[False] += 1
        except Exception as error:
            raise AssertionError(f"{error!r} for {body[:2_000]!r}") from error
        else:
            outcomes[True] += 1
    assert all(outcomes.values()), outcomes
