"""Messages that brokers take: what would be larger is cut, because one that no broker takes would hold up all behind it.

How large a message becomes is known only once it is packed: log lines and label sets compress as they like.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from model.alert import Alert
from pipeline.distributed.blocks import pack_labels, unpack_labels
from pipeline.distributed.wire import MESSAGE_BYTES_MAX, Lines, Past, Samples, Told, write

TEXT_MAX = 8 * 2**20
"""Characters of log lines in one message: whoever unpacks it must not need more memory than is allowed there."""

Cut = Samples | Lines | Past


def fitting(message: Cut) -> Iterator[bytes]:
    """A message as one or, where that would be too large, as several that say the same in the same order."""
    data = b"" if _long(message) else write(message)
    halves = () if data and len(data) <= MESSAGE_BYTES_MAX else _halves(message)
    if not halves:
        yield data or write(message)
    for half in halves:
        yield from fitting(half)


def _long(message: Cut) -> bool:
    return isinstance(message, Lines) and len(message.lines) > 1 and _text(message) > TEXT_MAX


def _text(message: Lines) -> int:
    return sum(map(len, message.lines)) + sum(map(len, message.fields))


def _halves(message: Cut) -> Sequence[Cut]:
    """Two that say the same; nothing where it is of one piece."""
    if isinstance(message, Lines):
        return _lines(message)
    if isinstance(message, Samples):
        return _samples(message)
    if message.samples is not None:
        samples = _samples(message.samples) or [message.samples]
        rest = replace(message, samples=None)
        parts = [Past(one, coarse=message.coarse) for one in samples]
        parts += [rest] if rest.renew or rest.ends else []
        return parts if len(parts) > 1 else ()
    labels = unpack_labels(message.renew) if message.renew else []
    if len(labels) < 2:
        return ()
    first, second = _middle(len(labels))
    return (
        Past(renew=pack_labels(labels[first])),
        replace(message, renew=pack_labels(labels[second])),
    )


def _middle(count: int) -> tuple[slice, slice]:
    return slice(0, count // 2), slice(count // 2, count)


def _lines(message: Lines) -> Sequence[Lines]:
    if len(message.lines) < 2:
        return ()
    return [
        Lines(
            message.times_ms[at],
            message.severities[at],
            message.services[at],
            message.lines[at],
            message.fields[at],
            message.arrival_ms,
            message.source,
        )
        for at in _middle(len(message.lines))
    ]


def _samples(message: Samples) -> Sequence[Samples]:
    if len(message.values) < 2:
        return ()
    labels = unpack_labels(message.series)
    return [
        Samples(
            pack_labels(labels[at]),
            message.times_ms[at],
            message.values[at],
            message.arrival_ms,
            message.source,
            message.kinds,
            {n - at.start: why for n, why in message.notes.items() if at.start <= n < at.stop},
        )
        for at in _middle(len(message.values))
    ]


def told(message: Told) -> list[bytes]:
    """What was told at a tick, as one message or as several, each a millisecond after the one before it.

    Who decides knows what it was told by its time: two parts of one time would be one message said twice.

    Examples
    --------
    >>> told(Told(0, 5_000)) == [write(Told(0, 5_000))]
    True
    """
    parts = list(_parts(message))
    if len(parts) == 1:
        return [write(parts[0])]
    first_ms = message.now_ms - len(parts) + 1
    return [write(replace(one, now_ms=first_ms + n)) for n, one in enumerate(parts)]


def _parts(message: Told) -> Iterator[Told]:
    alerts = message.alerts
    if len(write(message)) <= MESSAGE_BYTES_MAX or not alerts:
        yield message
    elif len(alerts) == 1:
        yield replace(message, alerts=(_bare(alerts[0]),))
    else:
        for at in _middle(len(alerts)):
            yield from _parts(replace(message, alerts=alerts[at]))


def _bare(alert: Alert) -> Alert:
    return replace(alert, evidence=None)


__all__ = ["TEXT_MAX", "fitting", "told"]
