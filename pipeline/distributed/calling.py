"""Edges of the service graph that detectors learnt from traces, on their way to who decides."""

from __future__ import annotations

from sqlalchemy import Connection

from model.calls import Calls
from model.codec import decode, encode
from pipeline.distributed.wire import Called
from store import snapshots as snapshot_rows


class Calling:
    """What each detecting partition said of who calls whom, from when on.

    A step knows what was said up to its own time, as in one process: what is said of later waits. Kept in the
    transaction of the decisions, beside the mark; what came after is read again.

    Examples
    --------
    >>> calling = Calling("x", None)
    >>> calling.take(Called(0, 2_000, (Calls("cart", "stock", 5),)))
    >>> calling.upto(1_000), [one.callee for one in calling.upto(2_000)]
    ((), ['stock'])
    >>> calling.upto(3_000) is calling.upto(4_000)
    True
    """

    def __init__(self, name: str, data: bytes | None) -> None:
        self._name = name
        self._said = [] if data is None else decode(list[Called], data)
        self._written = data
        self._known: tuple[Called, ...] = ()
        self._calls: tuple[Calls, ...] = ()

    @classmethod
    def of(cls, conn: Connection, name: str) -> Calling:
        """As it was kept under that name."""
        return cls(name, snapshot_rows.get(conn, name))

    def take(self, message: Called) -> None:
        """Somebody says; again, where it was read again."""
        if message not in self._said:
            self._said.append(message)

    def upto(self, now_ms: int) -> tuple[Calls, ...]:
        """All edges as they were known at a time; the same object while there is no news."""
        latest: dict[int, Called] = {}
        for one in self._said:
            known = latest.get(one.partition)
            if one.now_ms <= now_ms and (known is None or one.now_ms >= known.now_ms):
                latest[one.partition] = one
        kept = tuple(latest[partition] for partition in sorted(latest))
        if kept != self._known:
            self._known = kept
            self._calls = _merged(kept)
            self._said = [*kept, *(one for one in self._said if one.now_ms > now_ms)]
        return self._calls

    def write(self, conn: Connection, *, now_ms: int) -> None:
        """Keep it, where there is news."""
        if not self._said:
            return
        data = encode(self._said)
        if data != self._written:
            snapshot_rows.put(conn, self._name, data, now_ms=now_ms)
            self._written = data


def _merged(said: tuple[Called, ...]) -> tuple[Calls, ...]:
    found: dict[tuple[str, str], Calls] = {}
    for one in (calls for called in said for calls in called.calls):
        pair = one.caller, one.callee
        before = found.get(pair, Calls(*pair))
        seen_ms = max(before.seen_ms, one.seen_ms)
        found[pair] = Calls(*pair, before.count + one.count, seen_ms)
    return tuple(sorted(found.values()))
