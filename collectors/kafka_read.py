"""Topics of a site as a collector: telemetry to batches, alerts and changes to the journal, positions ours."""

from __future__ import annotations

from collections import deque

from collectors.accepting import Accepting, Journalling
from collectors.base import Counters, Problems
from collectors.kafka_feed import KafkaFeed, Place, Portion
from collectors.kafka_messages import Poison, Reader
from collectors.kafka_settings import KafkaSourceSettings
from collectors.pushed import Door
from collectors.snapshot import seal, unseal
from collectors.up import Up
from model.account import AuditRecord
from model.batch import LogBatch, MetricBatch
from model.clock import Clock
from model.errors import SnapshotError, StoreError
from model.reason import because
from model.series import SeriesIndex
from store import audit as audit_rows

STOP_S = 2.0
RECORDED_MAX = 20
"""Messages set aside that are kept in the audit trail, in `RECORDED_EVERY_MS`; all are counted."""
RECORDED_EVERY_MS = 3_600_000
_DETAIL_BYTES_MAX = 2_000
_VERSION = 1


class KafkaRead:
    """Hands over what a thread has read, and knows up to where it was handed over.

    A position moves on in `poll` with the batches that are handed over, so that a snapshot never claims
    what the pipeline has not; for alerts and changes once they are durable in the journal. After a crash
    what was read since the last snapshot is read again. Its own `up` says whether brokers answer.

    Parameters
    ----------
    settings : KafkaSourceSettings
    reader : Reader
        Of the source's format.
    door : Door
        This source's own.
    accepting : Accepting
    clock : Clock
        For the reading thread, which owns the connection.
    """

    def __init__(
        self,
        settings: KafkaSourceSettings,
        index: SeriesIndex,
        reader: Reader,
        door: Door,
        accepting: Accepting,
        clock: Clock,
    ) -> None:
        self.settings = settings
        self.positions: dict[Place, int] = {}
        self._reader = reader
        self._door = door
        self._accepting = accepting
        self._clock = clock
        self._journal = Journalling(accepting.submit)
        self._feed: KafkaFeed | None = None
        self._waiting: deque[Portion] = deque()  # for the journal
        self._handed: list[Portion] = []
        self._kept: dict[Place, int] = {}
        self.problems = Problems()
        self._messages = self._samples = self._lines = self._entries = self._set_aside = 0
        self._recorded: deque[int] = deque()
        self._up = Up(
            index,
            name=settings.name,
            where=settings.brokers[0],
            interval_ms=settings.interval_ms,
            source=self._source,
        )

    @property
    def _source(self) -> str:
        return f"{self.settings.name} {self.settings.brokers[0]}"

    def poll(self, now_ms: int) -> list[MetricBatch | LogBatch]:
        """Hand over what has come."""
        if self._feed is None:
            self._feed = KafkaFeed(self.settings, self._reader, self._clock, self.positions)
            self._feed.start()
        found: list[MetricBatch | LogBatch] = []
        self._settle(now_ms)
        if not self._waiting and not self._handed:
            for portion in self._feed.take(self.settings.step_bytes_max):
                found += self._take(portion, now_ms)
        self._hand_over(now_ms)
        found += self._door.spans.samples(self._door.index, now_ms)
        self._say(now_ms)
        found += self._up.samples(self._feed.state.well, now_ms)
        return found

    def counters(self) -> Counters:
        """Running totals."""
        state = None if self._feed is None else self._feed.state
        return {
            "tocsin_kafka_source_messages_total": self._messages,
            "tocsin_kafka_source_samples_total": self._samples,
            "tocsin_kafka_source_lines_total": self._lines,
            "tocsin_kafka_source_entries_total": self._entries,
            "tocsin_kafka_source_set_aside_total": self._set_aside,
            "tocsin_kafka_source_gaps_total": 0 if state is None else state.gaps,
            "tocsin_kafka_source_paused_total": 0 if state is None else state.paused,
            "tocsin_kafka_source_lag_messages": 0 if state is None else state.lag,
            "tocsin_kafka_source_waiting_bytes": 0 if self._feed is None else self._feed.waiting_bytes,
            **self._door.samples.counters(),
            **self._door.logs.watermark.counters("log"),
        }  # fmt: skip

    def close(self) -> None:
        """Stop; what was read and not handed over is read again."""
        if self._feed is not None:
            self._feed.stop(STOP_S)

    def save(self) -> bytes:
        """Where reading stands."""
        if self._feed is not None:
            # The snapshot before this one is kept by now.
            self._feed.commit(self._kept)
            self._kept = dict(self.positions)
        rows = [[topic, number, at] for (topic, number), at in sorted(self.positions.items())]
        return seal("kafka_read", _VERSION, {"positions": rows})

    def load(self, data: bytes) -> None:
        """Take over what `save` gave, and read from there.

        Raises
        ------
        SnapshotError
            If it cannot be read.
        """
        try:
            rows = unseal("kafka_read", _VERSION, data)["positions"]
            self.positions = {(str(topic), int(number)): int(at) for topic, number, at in rows}
        except (KeyError, TypeError, ValueError) as error:
            raise SnapshotError(f"kafka_read: does not read: {error!r}") from None
        if self._feed is not None:  # another worker went on meanwhile
            self._feed.stop(0.0)
            self._feed = None
        self._waiting.clear()
        self._handed = []
        self._journal = Journalling(self._accepting.submit)

    def _take(self, portion: Portion, now_ms: int) -> list[MetricBatch | LogBatch]:
        self._messages += portion.messages
        for poison in portion.read.poison:
            self._put_aside(poison, now_ms)
        if portion.read.entries:
            self._waiting.append(portion)
            return []
        found: list[MetricBatch | LogBatch] = []
        for push in portion.read.pushes:
            for batch in push.batches(self._door, now_ms):
                found.append(batch)
                if isinstance(batch, LogBatch):
                    self._lines += len(batch)
                else:
                    self._samples += len(batch)
        if self._waiting:
            self._waiting.append(portion)  # behind what is not durable yet
        else:
            self.positions[portion.place] = portion.next
        return found

    def _hand_over(self, now_ms: int) -> None:
        if not self._waiting or self._handed:
            return
        entries = [entry for portion in self._waiting for entry in portion.read.entries]
        try:
            self._journal.begin(entries)
        except StoreError:
            self._not_taken(now_ms)
            return
        self._handed = list(self._waiting)
        self._waiting.clear()

    def _settle(self, now_ms: int) -> None:
        if not self._handed or (durable := self._journal.settled()) is None:
            return
        handed, self._handed = self._handed, []
        if not durable:
            self._waiting.extendleft(reversed(handed))
            self._not_taken(now_ms)
            return
        self.problems.mend(self._source, "journal")
        for portion in handed:
            self._entries += len(portion.read.entries)
            self.positions[portion.place] = portion.next

    def _not_taken(self, now_ms: int) -> None:
        why = because("the journal does not take what came; it will be tried again")
        self.problems.note(self._source, "journal", why, now_ms=now_ms)

    def _say(self, now_ms: int) -> None:
        assert self._feed is not None
        state = self._feed.state
        if state.well is False:
            why = because("no broker answers: {error}", error=state.error or "no connection")
            self.problems.note(self._source, "broker", why, now_ms=now_ms)
        elif state.well:
            self.problems.mend(self._source, "broker")
        if state.missing:
            why = because("there is no topic {topic}", topic=", ".join(state.missing)[:200])
            self.problems.note(self._source, "topic", why, now_ms=now_ms)
        else:
            self.problems.mend(self._source, "topic")

    def _put_aside(self, poison: Poison, now_ms: int) -> None:
        """Count a message that cannot be read, say why, and keep some in the audit trail (F23)."""
        self._set_aside += 1
        message = poison.message
        where = f"{message.topic}/{message.partition}/{message.offset}"
        why = because("message {where} is set aside: {why}", where=where, why=poison.why[:300])
        self.problems.note(self._source, "poison", why, now_ms=now_ms)
        while self._recorded and self._recorded[0] <= now_ms - RECORDED_EVERY_MS:
            self._recorded.popleft()
        if len(self._recorded) >= RECORDED_MAX:
            return
        self._recorded.append(now_ms)
        detail = f"{poison.why[:500]}\n" + message.value[:_DETAIL_BYTES_MAX].decode(
            "utf-8", "replace"
        )
        record = AuditRecord(now_ms, self.settings.name, "topic.set_aside", where, detail)
        try:
            with self._accepting.store.records.write() as conn:
                audit_rows.save(conn, [record])
        except StoreError:
            return  # it is counted, and said
