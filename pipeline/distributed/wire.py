"""Messages between workers: columns that say themselves what they are about.

    TCW1 | length of the head (4 bytes) | head: JSON | parts, one after another

A message stands alone: whoever reads it needs no earlier one, because a partition moves and old messages
are forgotten. What is large in that, the label sets of a scrape, is one compressed part that stays the
same from scrape to scrape: its writer makes it once, and its reader knows it again by its bytes.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson

from model.alert import Alert
from model.batch import Floats, Ints
from model.codec import build, decode, encode
from model.errors import InputError, TocsinError
from model.journal import JournalKind
from model.labels import Labels
from model.reason import Reason

MAGIC = b"TCW1"
SAMPLES_MAX = 100_000
LINES_MAX = 10_000
ENTRIES_MAX = 10_000
DECODED_BYTES_MAX = 64 * 2**20
MESSAGE_BYTES_MAX = 1_000_000
"""What a broker takes by default (`message.max.bytes` 1 MiB), less its own frame."""


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Samples of one arrival; `series` is a block of label sets by `pack_labels`, one for each sample."""

    series: bytes
    times_ms: Ints
    values: Floats
    arrival_ms: int
    source: str
    kinds: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[int, Reason] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """Log lines of one arrival, masked; templates are mined where they are judged."""

    times_ms: Ints
    severities: np.ndarray[Any, np.dtype[np.int8]]
    services: tuple[str, ...]
    lines: tuple[str, ...]
    fields: tuple[str, ...]
    arrival_ms: int
    source: str


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed: everything that arrived before `now_ms` stands before it in this partition."""

    now_ms: int


@dataclass(frozen=True, slots=True)
class Told:
    """What one partition's detectors told at one tick; also that they told nothing.

    `stamp` says by which placing the alerts came to this partition of the alerts topic.
    """

    partition: int
    now_ms: int
    alerts: tuple[Alert, ...] = ()
    stamp: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """An accepted push, as the journal has it: its offset is that of the message."""

    kind: JournalKind
    source: str
    arrival_ms: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Entries:
    """Accepted pushes that came together: one message costs little more with a hundred than with one.

    `stamp` says by which placing they came to this partition of the alerts topic.
    """

    entries: tuple[Entry, ...]
    stamp: str = ""


@dataclass(frozen=True, slots=True)
class Dead:
    """A message that no stage survives, or that does not read: where it stood, why, and its bytes."""

    topic: str
    partition: int
    offset: int
    reason: str
    body: bytes


Message = Samples | Lines | Tick | Told | Entry | Entries | Dead


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
        return [Labels.of(pairs) for pairs in orjson.loads(_inflate(block))]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"not a block of label sets: {error}") from None


def write(message: Message) -> bytes:
    """A message as bytes.

    Examples
    --------
    >>> read(write(Tick(1_000)))
    Tick(now_ms=1000)
    """
    if isinstance(message, Samples):
        return _join(*_samples(message))
    if isinstance(message, Lines):
        return _join(*_lines(message))
    if isinstance(message, Tick):
        return _join({"is": "tick", "now_ms": message.now_ms})
    if isinstance(message, Told):
        head = {"is": "told", "partition": message.partition, "now_ms": message.now_ms}
        head.update({"stamp": message.stamp} if message.stamp else {})
        return _join(head, zlib.compress(encode(list(message.alerts)), 1))
    if isinstance(message, Dead):
        head = {"is": "dead", "topic": message.topic, "partition": message.partition}
        return _join({**head, "offset": message.offset, "reason": message.reason}, message.body)
    if isinstance(message, Entries):
        items = [[one.kind.value, one.source, one.arrival_ms] for one in message.entries]
        head = {"is": "entries", "items": items, "stamp": message.stamp}
        return _join(head, *[one.body for one in message.entries])
    head = {"is": "entry", "kind": message.kind.value, "source": message.source}
    return _join({**head, "arrival_ms": message.arrival_ms}, message.body)


def read(data: bytes) -> Message:
    """The inverse of `write`.

    Raises
    ------
    InputError
        If it is damaged, too large, or of another version. Nothing else is raised, whatever came.
    """
    try:
        head, parts = _split(data)
        message: Message = _READERS[head["is"]](head, parts)
        return message
    except TocsinError:
        raise
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError) as error:
        raise InputError(f"not a message of ours: {error!r}") from None


def _samples(message: Samples) -> tuple[dict[str, Any], bytes, bytes, bytes]:
    times_ms, count = message.times_ms, len(message.values)
    same = count > 0 and bool((times_ms == times_ms[0]).all())  # one scrape has one time
    head = {
        "is": "samples",
        "arrival_ms": message.arrival_ms,
        "source": message.source,
        "kinds": dict(message.kinds),
        "notes": [[at, _plain(reason)] for at, reason in message.notes.items()],
    }
    times = (times_ms[:1] if same else times_ms).astype("<i8").tobytes()
    return head, message.series, times, message.values.astype("<f8").tobytes()


def _plain(reason: Reason) -> Any:
    return orjson.loads(encode(reason))


def _lines(message: Lines) -> tuple[dict[str, Any], bytes, bytes, bytes]:
    head = {"is": "lines", "arrival_ms": message.arrival_ms, "source": message.source}
    text = orjson.dumps([message.services, message.lines, message.fields])
    times = message.times_ms.astype("<i8").tobytes()
    return head, times, message.severities.astype("<i1").tobytes(), zlib.compress(text, 1)


def _join(head: dict[str, Any], *parts: bytes) -> bytes:
    words = orjson.dumps({**head, "parts": [len(part) for part in parts]})
    return b"".join((MAGIC, len(words).to_bytes(4, "big"), words, *parts))


def _split(data: bytes) -> tuple[dict[str, Any], list[bytes]]:
    if not data.startswith(MAGIC):
        raise InputError(f"a message of ours begins with {MAGIC!r}, got {data[:4]!r}")
    begin = 8 + int.from_bytes(data[4:8], "big")
    head = orjson.loads(data[8:begin])
    parts = []
    for size in head["parts"]:
        if not isinstance(size, int) or size < 0:
            raise InputError(f"the size of a part must be a number, got {size!r}")
        parts.append(data[begin : begin + size])
        begin += size
    if begin != len(data):
        raise InputError(f"{len(data)} bytes where {begin} are announced")
    return head, parts


def _read_samples(head: dict[str, Any], parts: list[bytes]) -> Samples:
    series, times, columns = parts
    values = np.frombuffer(columns, "<f8").astype(np.float64)
    found = np.frombuffer(times, "<i8").astype(np.int64)
    if len(values) > SAMPLES_MAX:
        raise InputError(f"at most {SAMPLES_MAX} samples in a message, got {len(values)}")
    if len(found) not in (1, len(values)):
        raise InputError(f"{len(values)} values, but {len(found)} times")
    times_ms = found if len(found) == len(values) else np.full(len(values), found[0])
    notes = {int(at): build(Reason, reason) for at, reason in head["notes"]}
    if any(not 0 <= at < len(values) for at in notes):
        raise InputError("a note on a sample that is not there")
    kinds = {str(name): str(kind) for name, kind in head["kinds"].items()}
    return Samples(
        series, times_ms, values, int(head["arrival_ms"]), str(head["source"]), kinds, notes
    )


def _read_lines(head: dict[str, Any], parts: list[bytes]) -> Lines:
    times, severities, text = parts
    services, lines, fields = orjson.loads(_inflate(text))
    message = Lines(
        np.frombuffer(times, "<i8").astype(np.int64),
        np.frombuffer(severities, "<i1").astype(np.int8),
        _texts(services),
        _texts(lines),
        _texts(fields),
        int(head["arrival_ms"]),
        str(head["source"]),
    )
    count = len(message.lines)
    if count > LINES_MAX:
        raise InputError(f"at most {LINES_MAX} lines in a message, got {count}")
    whole = len(message.times_ms) == len(message.severities) == len(message.services) == count
    if not whole or len(message.fields) not in (0, count):
        raise InputError("columns of log lines differ in length")
    return message


def _texts(found: Any) -> tuple[str, ...]:
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise InputError("must be a list of texts")
    return tuple(found)


def _read_told(head: dict[str, Any], parts: list[bytes]) -> Told:
    alerts = decode(list[Alert], _inflate(parts[0]))
    stamp = str(head.get("stamp", ""))
    return Told(int(head["partition"]), int(head["now_ms"]), tuple(alerts), stamp)


def _read_entry(head: dict[str, Any], parts: list[bytes]) -> Entry:
    return Entry(
        JournalKind(head["kind"]), str(head["source"]), int(head["arrival_ms"]), bytes(parts[0])
    )


def _read_entries(head: dict[str, Any], parts: list[bytes]) -> Entries:
    if len(parts) > ENTRIES_MAX:
        raise InputError(f"at most {ENTRIES_MAX} pushes in a message, got {len(parts)}")
    entries = [
        Entry(JournalKind(kind), str(source), int(arrival_ms), bytes(body))
        for (kind, source, arrival_ms), body in zip(head["items"], parts, strict=True)
    ]
    return Entries(tuple(entries), str(head["stamp"]))


def _read_dead(head: dict[str, Any], parts: list[bytes]) -> Dead:
    where = str(head["topic"]), int(head["partition"]), int(head["offset"])
    return Dead(*where, str(head["reason"]), bytes(parts[0]))


_READERS: dict[str, Any] = {
    "samples": _read_samples,
    "lines": _read_lines,
    "tick": lambda head, _parts: Tick(int(head["now_ms"])),
    "told": _read_told,
    "entry": _read_entry,
    "entries": _read_entries,
    "dead": _read_dead,
}


def _inflate(data: bytes) -> bytes:
    """Decompressed, at most `DECODED_BYTES_MAX`: a small message must not fill the memory."""
    inflating = zlib.decompressobj()
    try:
        found = inflating.decompress(data, DECODED_BYTES_MAX)
    except zlib.error as error:
        raise InputError(f"does not decompress: {error}") from None
    if not inflating.eof:
        raise InputError(f"is cut short, or larger than {DECODED_BYTES_MAX} bytes")
    return found
