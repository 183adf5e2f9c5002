"""Log lines out of an Elasticsearch or OpenSearch: each document once, late ones too, over restarts."""

from __future__ import annotations

from collectors.base import Counters, Problems
from collectors.elastic_api import ElasticApi
from collectors.elastic_hits import Hit
from collectors.elastic_round import Reading, Round
from collectors.elastic_seen import Seen
from collectors.elastic_settings import ElasticsearchSettings
from collectors.logbatches import LogBatches
from collectors.loglines import LogLine
from collectors.rounds import Rounds
from collectors.up import Up
from model.batch import LogBatch, MetricBatch
from model.clock import Clock
from model.reason import Reason, because
from model.series import SeriesIndex


class ElasticPoll:
    """Asks for new documents in a thread; hands lines over in `poll`.

    The cursor moves in `poll`, so that a snapshot never claims what was not handed over; after a crash
    what was read since the last snapshot is read again, as from log files. Its own `up` says whether the
    server answers.

    Parameters
    ----------
    settings : ElasticsearchSettings
    index : SeriesIndex
        For `up`.
    logs : LogBatches
        This source's own: it knows what may be late.
    clock : Clock
        Only to measure how long answers take.
    """

    def __init__(
        self, settings: ElasticsearchSettings, index: SeriesIndex, logs: LogBatches, clock: Clock
    ) -> None:
        self.settings = settings
        self.api = ElasticApi(settings, clock)
        self.seen = Seen(settings.seen_max)
        self._logs = logs
        self._up = Up(
            index,
            name=settings.name,
            where=settings.url,
            interval_ms=settings.interval_ms,
            source=self._source,
        )
        self._behind_max_ms = min(settings.behind_max_ms, logs.watermark.lateness_ms)
        self.problems = Problems()
        self._asked: Rounds[Round] = Rounds("elasticsearch", settings.interval_ms)
        self._well: bool | None = None
        self._lag_ms = 0
        self._rounds = self._failed = self._lines = self._repeated = 0
        self._skipped = self._empty = self._renewed = 0

    def poll(self, now_ms: int) -> list[MetricBatch | LogBatch]:
        """Hand over what has come, and ask again when it is time."""
        found: list[MetricBatch | LogBatch] = []
        if (got := self._asked.came()) is not None:
            found += self._finish(got, now_ms)
        if not self._asked.under_way and self._asked.patience.due(now_ms):
            self._start(now_ms)
        found += self._up.samples(self._well, now_ms)
        return found

    def wait(self, timeout_s: float) -> None:
        """Wait until the answers under way have come, for tests."""
        self._asked.wait(timeout_s)

    def counters(self) -> Counters:
        """Running totals."""
        return {
            "tocsin_elasticsearch_rounds_total": self._rounds,
            "tocsin_elasticsearch_failures_total": self._failed,
            "tocsin_elasticsearch_lines_total": self._lines,
            "tocsin_elasticsearch_repeated_total": self._repeated,
            "tocsin_elasticsearch_skipped_total": self._skipped,
            "tocsin_elasticsearch_empty_total": self._empty,
            "tocsin_elasticsearch_renewed_total": self._renewed,
            "tocsin_elasticsearch_seen": len(self.seen),
            "tocsin_elasticsearch_lag_seconds": self._lag_ms / 1000,
            **self._logs.watermark.counters("log"),
        }

    def close(self) -> None:
        """Stop; a request under way is left to its timeout."""
        self._asked.close()
        self.api.close()

    def save(self) -> bytes:
        """Where reading stands."""
        return self.seen.save()

    def load(self, data: bytes) -> None:
        """Take over what `save` gave.

        Raises
        ------
        SnapshotError
            If it cannot be read.
        """
        self.seen.load(data)

    def _start(self, now_ms: int) -> None:
        settings, seen = self.settings, self.seen
        if not seen.cursor_ms:
            seen.begin(now_ms - min(settings.since_ms, self._behind_max_ms))
        elif seen.cursor_ms < now_ms - self._behind_max_ms:
            seen.begin(now_ms - self._behind_max_ms)
        reading = Reading(self.api, seen)
        self._asked.begin(now_ms, reading.run, now_ms + settings.ahead_ms)

    def _finish(self, got: Round, now_ms: int) -> list[LogBatch]:
        """Move the cursor; batch what is new."""
        self._rounds += 1
        self._renewed += got.renewed
        self._repeated += got.repeated
        self._skipped += got.skipped
        seen = self.seen
        seen.add((hit.key, hit.at_ms) for hit in got.hits)
        # A sender's clock that is ahead must not make us pass over what others write meanwhile.
        seen.cursor_ms = max(seen.cursor_ms, min(got.cursor_ms, now_ms))
        seen.trim(seen.cursor_ms - self.settings.lateness_ms)
        self._lag_ms = max(0, now_ms - seen.cursor_ms) if got.more else 0
        if got.error is not None:
            self._failed += 1
            self._asked.patience.failed(got.error, now_ms)
        else:
            self._asked.patience.well()
            if got.more:
                self._asked.patience.at_once(now_ms)
        self._say(got, now_ms)
        batch = self._batch(got.hits, now_ms)
        return [] if batch is None else [batch]

    def _say(self, got: Round, now_ms: int) -> None:
        """Note what is wrong, and what is no more."""
        self._well = got.error is None
        empty = max(0, sum(hit.read is None for hit in got.hits) - got.skipped)
        self._empty += empty
        wrong = _complaints(got, self.settings, empty)
        if self.seen.cut:
            wrong["limit"] = because(
                "more documents than seen_max: of the late ones some are missed"
            )
        for kind in ("ask", "index", "fields", "text", "size", "limit"):
            if kind in wrong:
                self.problems.note(self._source, kind, wrong[kind], now_ms=now_ms)
            elif kind in ("ask", "index") or got.hits:
                self.problems.mend(self._source, kind)

    def _batch(self, hits: list[Hit], now_ms: int) -> LogBatch | None:
        """Lines in the order they were written, late ones among them."""
        settings = self.settings
        lines: list[LogLine] = []
        stacks: dict[int, str] = {}
        for hit in sorted(hits, key=lambda hit: hit.at_ms):
            if (read := hit.read) is None:
                continue
            if read.stack:
                stacks[len(lines)] = read.stack
            lines.append(read.line_of(settings.service or read.host or settings.name))
        self._lines += len(lines)
        if not lines:
            return None
        return self._logs.make(lines, source=self._source, now_ms=now_ms, joined=stacks)

    @property
    def _source(self) -> str:
        return f"{self.settings.name} {self.api.name}"


def _complaints(got: Round, settings: ElasticsearchSettings, empty: int) -> dict[str, Reason]:
    """What is wrong with a round, by kind."""
    wrong: dict[str, Reason] = {}
    if got.error is not None:
        wrong["ask"] = because(
            "{index} could not be read: {error}", index=settings.index, error=got.error
        )
    elif got.shards == 0:
        wrong["index"] = because("no index fits {index}", index=settings.index)
    if got.unfit:
        wrong["fields"] = because(
            "{index} is left out: {field} is no date there",
            index=", ".join(sorted(got.unfit))[:200],
            field=settings.cursor_field,
        )
    if empty:
        wrong["text"] = because("documents without a text that is known: set fields.message")
    if got.skipped:
        wrong["size"] = because("a document is longer than an answer may be, or unreadable")
    return wrong
