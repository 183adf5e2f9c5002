"""A Zabbix' problems as alerts, asked for again and again; what people do to them there as acts."""

from __future__ import annotations

from collectors.accepting import Accepting, Journalling
from collectors.base import Counters, Problems
from collectors.rounds import Rounds
from collectors.up import Up
from collectors.zabbix_api import ZabbixApi
from collectors.zabbix_book import Book
from collectors.zabbix_round import Asking, Round
from collectors.zabbix_settings import ZabbixSettings
from model.batch import LogBatch, MetricBatch
from model.clock import Clock
from model.errors import StoreError
from model.reason import because
from model.series import SeriesIndex


class ZabbixPoll:
    """Asks in a thread; in `poll` it hands what came to the journal, and moves on once it is durable.

    After a crash what was journalled since the last snapshot is told again: the same alerts, the same acts.
    Its own `up` says whether the API answers.

    Parameters
    ----------
    settings : ZabbixSettings
    index : SeriesIndex
        For `up`.
    accepting : Accepting
    clock : Clock
        Only to measure how long answers take.
    """

    def __init__(
        self, settings: ZabbixSettings, index: SeriesIndex, accepting: Accepting, clock: Clock
    ) -> None:
        self.settings = settings
        self.api = ZabbixApi(settings, clock)
        self.book = Book()
        self._accepting = accepting
        self._journal = Journalling(accepting.submit)
        self.problems = Problems()
        self._asked: Rounds[Round] = Rounds("zabbix", settings.interval_ms)
        self._handed: Round | None = None
        self._adopted = False
        self._well: bool | None = None
        self._rounds = self._failed = self._fired = self._ended = self._acts = self._left_out = 0
        self._up = Up(
            index,
            name=settings.name,
            where=settings.url,
            interval_ms=settings.interval_ms,
            source=self._source,
        )

    def poll(self, now_ms: int) -> list[MetricBatch | LogBatch]:
        """Hand over what has come, and ask again when it is time."""
        if self._handed is not None and (durable := self._journal.settled()) is not None:
            self._settle(self._handed, durable, now_ms)
        if (got := self._asked.came()) is not None:
            self._finish(got, now_ms)
        waits = self._asked.under_way or self._handed is not None
        if not waits and self._asked.patience.due(now_ms):
            asking = Asking(self.api, self.book, self._accepting, adopts=not self._adopted)
            self._asked.begin(now_ms, asking.run, now_ms)
        return list(self._up.samples(self._well, now_ms))

    def wait(self, timeout_s: float) -> None:
        """Wait until the answers under way have come and the journal has said what it took, for tests."""
        self._asked.wait(timeout_s)
        self._journal.wait(timeout_s)

    def counters(self) -> Counters:
        """Running totals."""
        return {
            "tocsin_zabbix_rounds_total": self._rounds,
            "tocsin_zabbix_failures_total": self._failed,
            "tocsin_zabbix_problems_total": self._fired,
            "tocsin_zabbix_recoveries_total": self._ended,
            "tocsin_zabbix_acts_total": self._acts,
            "tocsin_zabbix_problems": len(self.book.followed),
            "tocsin_zabbix_problems_left_out": self._left_out,
        }

    def close(self) -> None:
        """Stop; a request under way is left to its timeout."""
        self._asked.close()
        self.api.close()

    def save(self) -> bytes:
        """Where reading stands: what is durable, and no more."""
        return self.book.save()

    def load(self, data: bytes) -> None:
        """Take over what `save` gave.

        Raises
        ------
        SnapshotError
            If it cannot be read.
        """
        self.book = Book.load(data)

    def _finish(self, got: Round, now_ms: int) -> None:
        self._rounds += 1
        self._well = got.error is None
        if got.error is not None:
            self._failed += 1
            self._asked.patience.failed(got.error, now_ms)
            why = because("problems could not be asked for: {error}", error=got.error)
            self.problems.note(self._source, "ask", why, now_ms=now_ms)
            return
        self._asked.patience.well()
        self.problems.mend(self._source, "ask")
        self._left_out = got.left_out
        if got.left_out:
            limit = because("more problems are open than problems_max; the newest are left out")
            self.problems.note(self._source, "limit", limit, now_ms=now_ms)
        else:
            self.problems.mend(self._source, "limit")
        self._hand_over(got, now_ms)

    def _hand_over(self, got: Round, now_ms: int) -> None:
        if not got.entries:
            self.book, self._adopted = got.book, True
            return
        try:
            self._journal.begin(got.entries)
        except StoreError:
            self._settle(got, False, now_ms)
            return
        self._handed = got

    def _settle(self, got: Round, durable: bool, now_ms: int) -> None:
        """What is durable is done; what is not will be asked for again."""
        self._handed = None
        if not durable:
            why = because("the journal does not take what came; it will be tried again")
            self.problems.note(self._source, "journal", why, now_ms=now_ms)
            return
        self.problems.mend(self._source, "journal")
        self.book, self._adopted = got.book, True
        self._fired += got.fired
        self._ended += got.ended
        self._acts += got.acts

    @property
    def _source(self) -> str:
        return f"{self.settings.name} {self.api.name}"
