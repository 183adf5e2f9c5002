"""Messages that crash a stage must not do so for ever (F23): what is known of them outlives the stage, in the records."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from model.account import AuditRecord
from pipeline.distributed.correlating import Care
from store import audit as audit_rows
from store import snapshots as snapshot_rows
from store.store import Store

TRIES_MAX = 3
KNOWN_MAX = 200
"""Offsets that are remembered of a partition: of what lies between two snapshots."""
_DETAIL_MAX = 2_000


@dataclass(slots=True)
class _Known:
    """What is known of a partition: how often a message crashed its stage alone, and which are past."""

    tries: dict[int, int] = field(default_factory=dict)
    past: set[int] = field(default_factory=set)
    care: Care = Care()


class Suspects:
    """After `TRIES_MAX` crashes a message is set aside, and its partition goes on.

    What follows it is read again with it until the next snapshot: so all that crashed are remembered, not the
    last one alone, and what was set aside once is passed over from then on.
    """

    def __init__(self, store: Store, stage: str) -> None:
        self._store = store
        self._stage = stage

    def crashed(self, partition: int, offsets: Sequence[int], now_ms: int) -> None:
        """Note that one of these messages ended a stage; of several it is sought which."""
        with self._store.records.write() as conn:
            known = self._read(conn, partition)
            if len(offsets) == 1:
                known.tries[offsets[0]] = known.tries.get(offsets[0], 0) + 1
            else:
                last, care = max(offsets), known.care
                if last <= care.upto:  # none of them alone, but all together
                    known.care = Care(care.upto, max(last, care.apart_upto))
                else:
                    known.care = Care(last, care.apart_upto)
            self._write(conn, partition, known, now_ms)

    def poisonous(self, partition: int) -> dict[int, bool]:
        """The offsets that are not to be taken, and whether each is past: nothing is to be done about it any more."""
        known = self._known(partition)
        return {at: at in known.past for at, tries in known.tries.items() if tries >= TRIES_MAX}

    def care(self, partition: int) -> Care:
        """How carefully its messages are to be taken."""
        return self._known(partition).care

    def past(self, partition: int, offset: int, now_ms: int) -> None:
        """What was in a message comes again in others."""
        with self._store.records.write() as conn:
            self._past(conn, partition, offset, now_ms)

    def set_aside(self, partition: int, offset: int, why: str, now_ms: int) -> None:
        """Leave a record that people can find."""
        where = f"{self._stage}/{partition}/{offset}"
        record = AuditRecord(now_ms, "tocsin", "kafka.set_aside", where, why[:_DETAIL_MAX])
        with self._store.records.write() as conn:
            audit_rows.save(conn, [record])
            self._past(conn, partition, offset, now_ms)

    def forget(self, partition: int) -> None:
        """Offsets mean other messages from now on."""
        with self._store.records.write() as conn:
            snapshot_rows.remove(conn, self._name(partition))

    def _past(self, conn: Connection, partition: int, offset: int, now_ms: int) -> None:
        known = self._read(conn, partition)
        known.tries.setdefault(
            offset, TRIES_MAX
        )  # what does not read crashes nothing, and comes again all the same
        known.past.add(offset)
        self._write(conn, partition, known, now_ms)

    def _known(self, partition: int) -> _Known:
        with self._store.records.read() as conn:
            return self._read(conn, partition)

    def _read(self, conn: Connection, partition: int) -> _Known:
        data = snapshot_rows.get(conn, self._name(partition))
        if data is None:
            return _Known()
        tries, past, care = json.loads(data)
        return _Known({int(at): n for at, n in tries.items()}, set(past), Care(*care))

    def _write(self, conn: Connection, partition: int, known: _Known, now_ms: int) -> None:
        kept = {at: known.tries[at] for at in sorted(known.tries)[-KNOWN_MAX:]}
        care = [known.care.upto, known.care.apart_upto]
        data = json.dumps([kept, sorted(known.past & set(kept)), care]).encode()
        snapshot_rows.put(conn, self._name(partition), data, now_ms=now_ms)

    def _name(self, partition: int) -> str:
        # Not "suspect.": that is the release before's, which knew one message of a partition.
        return f"suspects.{self._stage}.{partition}"
