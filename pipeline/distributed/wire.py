"""Messages between workers: columns that say themselves what they are about.

    TCW1 or TCW2 | length of the head (4 bytes) | head: JSON | parts, one after another

A message stands alone: whoever reads it needs no earlier one, because a partition moves and old messages
are forgotten. What is large in that, the label sets of a scrape, is one compressed part that stays the
same from scrape to scrape: its writer makes it once, and its reader knows it again by its bytes.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson

from model.alert import Alert
from model.batch import Floats, Ints
from model.calls import Calls
from model.codec import build, decode, encode
from model.errors import InputError, TocsinError
from model.journal import JournalKind
from model.labels import Labels
from model.reason import Reason
from pipeline.distributed.blocks import inflate, pack_labels, unpack_labels

MAGIC = b"TCW1"
MAGIC_NEEDED = b"TCW2"
"""Begins a kind that no stage can do without: who does not know it sets it aside, where people see it."""
SAMPLES_MAX = 100_000
LINES_MAX = 10_000
ENTRIES_MAX = 10_000
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


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """A step through the past of series that detectors meet (back-fill): learnt, and nobody is told.

    Attributes
    ----------
    samples : Samples or None
        Of about one moment.
    renew : bytes
        A block of label sets, by `pack_labels`: series whose samples come at other distances from here on.
    coarse : bool
        Whether samples are further apart than live ones.
    ends : bool
        Whether the past ends here.
    """

    samples: Samples | None = None
    renew: bytes = b""
    coarse: bool = False
    ends: bool = False


@dataclass(frozen=True, slots=True)
class Ask:
    """Somebody wants to see a series as its detectors see it; nothing is learnt or decided by it."""

    labels: Labels
    now_ms: int


@dataclass(frozen=True, slots=True)
class Called:
    """Who was seen to call whom, as one partition's detectors know it from a tick on: all of it."""

    partition: int
    now_ms: int
    calls: tuple[Calls, ...] = ()


@dataclass(frozen=True, slots=True)
class Newer:
    """A message of a kind that only a newer release knows: to be passed over and counted.

    Within one `MAGIC` a new kind is one that an older stage can do without; what it cannot do without needs
    another `MAGIC`.
    """

    kind: str


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


Message = Samples | Past | Lines | Tick | Ask | Called | Told | Entry | Entries | Dead | Newer


def write(message: Message) -> bytes:
    """A message as bytes.

    Examples
    --------
    >>> read(write(Tick(1_000)))
    Tick(now_ms=1000)
    """
    return _WRITERS[type(message)](message)


def read(data: bytes) -> Message:
    """The inverse of `write`.

    Raises
    ------
    InputError
        If it is damaged, too large, or of another version. Nothing else is raised, whatever came.
    """
    try:
        head, parts = _split(data)
        reader = _READERS.get(head["is"])
        if reader is None and data.startswith(MAGIC_NEEDED):
            raise InputError(f"of a newer release, and not to be passed over: {head['is']!r}")
        message: Message = Newer(str(head["is"])) if reader is None else reader(head, parts)
        return message
    except TocsinError:
        raise
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError) as error:
        raise InputError(f"not a message of ours: {error!r}") from None


def _samples(message: Samples) -> bytes:
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
    return _join(head, message.series, times, message.values.astype("<f8").tobytes())


def _past(message: Past) -> bytes:
    head = {"is": "past", "coarse": message.coarse, "ends": message.ends}
    samples = b"" if message.samples is None else write(message.samples)
    return _join(head, samples, message.renew)


def _told(message: Told) -> bytes:
    head = {"is": "told", "partition": message.partition, "now_ms": message.now_ms}
    head.update({"stamp": message.stamp} if message.stamp else {})
    return _join(head, zlib.compress(encode(list(message.alerts)), 1))


def _entry(message: Entry) -> bytes:
    head = {"is": "entry", "kind": message.kind.value, "source": message.source}
    return _join({**head, "arrival_ms": message.arrival_ms}, message.body)


def _dead(message: Dead) -> bytes:
    head = {"is": "dead", "topic": message.topic, "partition": message.partition}
    return _join({**head, "offset": message.offset, "reason": message.reason}, message.body)


def _entries(message: Entries) -> bytes:
    items = [[one.kind.value, one.source, one.arrival_ms] for one in message.entries]
    head = {"is": "entries", "items": items, "stamp": message.stamp}
    return _join(head, *[one.body for one in message.entries], magic=MAGIC_NEEDED)


def _plain(reason: Reason) -> Any:
    return orjson.loads(encode(reason))


def _lines(message: Lines) -> bytes:
    head = {"is": "lines", "arrival_ms": message.arrival_ms, "source": message.source}
    text = orjson.dumps([message.services, message.lines, message.fields])
    times = message.times_ms.astype("<i8").tobytes()
    severities = message.severities.astype("<i1").tobytes()
    return _join(head, times, severities, zlib.compress(text, 1))


def _join(head: dict[str, Any], *parts: bytes, magic: bytes = MAGIC) -> bytes:
    words = orjson.dumps({**head, "parts": [len(part) for part in parts]})
    return b"".join((magic, len(words).to_bytes(4, "big"), words, *parts))


def _split(data: bytes) -> tuple[dict[str, Any], list[bytes]]:
    if not data.startswith((MAGIC, MAGIC_NEEDED)):
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


def _read_past(head: dict[str, Any], parts: list[bytes]) -> Past:
    inner, renew = parts
    samples = read(inner) if inner else None
    if samples is not None and not isinstance(samples, Samples):
        raise InputError("a past of something else than samples")
    return Past(samples, renew, bool(head["coarse"]), bool(head["ends"]))


def _read_lines(head: dict[str, Any], parts: list[bytes]) -> Lines:
    times, severities, text = parts
    services, lines, fields = orjson.loads(inflate(text))
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
    alerts = decode(list[Alert], inflate(parts[0]))
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


_WRITERS: dict[type, Callable[[Any], bytes]] = {
    Samples: _samples,
    Past: _past,
    Lines: _lines,
    Tick: lambda tick: _join({"is": "tick", "now_ms": tick.now_ms}),
    Ask: lambda ask: _join({"is": "ask", "now_ms": ask.now_ms}, pack_labels([ask.labels])),
    Told: _told,
    Called: lambda called: _join({"is": "called"}, zlib.compress(encode(called), 1)),
    Entry: _entry,
    Entries: _entries,
    Dead: _dead,
    Newer: lambda newer: _join({"is": newer.kind}),
}

_READERS: dict[str, Any] = {
    "samples": _read_samples,
    "past": _read_past,
    "lines": _read_lines,
    "tick": lambda head, _parts: Tick(int(head["now_ms"])),
    "ask": lambda head, parts: Ask(unpack_labels(parts[0])[0], int(head["now_ms"])),
    "told": _read_told,
    "called": lambda _head, parts: decode(Called, inflate(parts[0])),
    "entry": _read_entry,
    "entries": _read_entries,
    "dead": _read_dead,
}
