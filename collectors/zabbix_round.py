"""One round of asking a Zabbix: what is a problem now, what came and went, what people did there."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from collectors import zabbix_book
from collectors.accepting import Accepting, act_entry, alert_entry
from collectors.zabbix_api import ZabbixApi
from collectors.zabbix_book import Book, Followed, Row, Update, number
from model.alert import Alert
from model.errors import DeliveryError, StoreError, TransientError
from model.incident import Incident
from model.journal import NewEntry

log = logging.getLogger("tocsin.zabbix")

SETTLED_MS = 60_000
"""Events become visible out of order: the cursor stays so far behind."""


@dataclass(slots=True)
class Round:
    """What a round brought.

    Attributes
    ----------
    entries : list of NewEntry
        For the journal, in order; `book` is true once they are there.
    fired, ended, acts : int
        What they are.
    left_out : int
        Open problems beyond `problems_max`.
    """

    book: Book
    entries: list[NewEntry] = field(default_factory=list)
    fired: int = 0
    ended: int = 0
    acts: int = 0
    left_out: int = 0
    error: DeliveryError | None = None


class Asking:
    """Asks one round in a worker's thread. `book` is only looked at.

    Parameters
    ----------
    adopts : bool
        Whether the records are to be asked what is open.
    """

    def __init__(self, api: ZabbixApi, book: Book, accepting: Accepting, *, adopts: bool) -> None:
        self._api = api
        self._settings = api.settings
        self._accepting = accepting
        self._adopts = adopts
        self._round = Round(book.copy())
        self._groups: list[str] = []

    def run(self, now_ms: int) -> Round:
        """Ask; never raises. After an error nothing of it counts, and the next round asks it all again."""
        try:
            self._run(now_ms)
        except DeliveryError as error:
            self._round.error = error
        except StoreError as error:
            self._round.error = TransientError(f"the store cannot be read: {error}")
        except Exception as error:  # a library's surprise must not silence the source
            log.exception("asking failed")
            self._round.error = DeliveryError(f"it failed ({type(error).__name__})")
        return self._round

    def _run(self, now_ms: int) -> None:
        book, settings = self._round.book, self._settings
        if settings.host_groups:
            self._groups = self._api.group_ids(settings.host_groups)
        book.since_ms = book.since_ms or now_ms
        if self._adopts:
            known = self._accepting.firing(settings.name, settings.problems_max)
            zabbix_book.adopt(book, [status.alert for status in known])
        rows = self._open()
        over = self._over(rows, now_ms)
        fresh = [event for event in rows if event not in book.followed]
        self._end([event for event in book.followed if self._gone(event, rows)], now_ms)
        self._fire(fresh, rows, now_ms)
        self._come_and_gone(over, now_ms)
        self._look_again(rows, now_ms)
        self._heed(rows, now_ms)

    def _open(self) -> dict[str, Row]:
        most = self._settings.problems_max
        found = {
            str(row["eventid"]): row for row in self._api.open_problems(self._groups, most + 1)
        }
        if len(found) > most:
            self._round.left_out = len(found) - most
            found.popitem()
        return found

    def _gone(self, event: str, rows: Mapping[str, Row]) -> bool:
        if event in rows:
            return False
        # Of what lies beyond the limit nothing is known.
        return not self._round.left_out or number(event) <= max(map(number, rows), default=0)

    def _over(self, rows: Mapping[str, Row], now_ms: int) -> list[str]:
        """Problems that came since the cursor and are over already; moves it."""
        book = self._round.book
        since_ms = max(book.since_ms, now_ms - self._settings.behind_max_ms)
        found = []
        settled = book.cursor
        for row in self._api.new_problems(str(book.cursor), since_ms // 1_000, self._groups):
            event = str(row["eventid"])
            if zabbix_book.time_ms(row, now_ms) < now_ms - SETTLED_MS:
                settled = max(settled, number(event))
            if number(row.get("r_eventid")) and event not in rows:
                if event not in book.followed and event not in book.done:
                    found.append(event)
        book.cursor = settled
        return found

    def _take(self, alerts: Iterable[Alert], now_ms: int) -> None:
        for alert in alerts:
            self._round.entries.append(alert_entry(alert, now_ms))
            if alert.firing:
                self._round.fired += 1
            else:
                self._round.ended += 1

    def _fire(self, fresh: Sequence[str], rows: Mapping[str, Row], now_ms: int) -> dict[str, Row]:
        """Begin problems; returns their events."""
        events = self._api.events(fresh)
        triggers = self._api.triggers(str(row.get("objectid", "")) for row in events.values())
        for event in fresh:
            if (row := events.get(event)) is None:
                continue  # gone meanwhile: nobody was told
            severity = rows.get(event, row).get("severity")
            trigger = triggers.get(str(row.get("objectid", "")), {})
            told = zabbix_book.told_of(row, trigger, severity, now_ms=now_ms)
            name = self._settings.name
            self._take(zabbix_book.fire(self._round.book, event, told, source=name, now_ms=now_ms), now_ms)  # fmt: skip
        return events

    def _end(self, gone: Sequence[str], now_ms: int) -> None:
        """End problems, at the time of their recovery where there is one."""
        events = self._api.events(gone)
        closing = {event: str(row.get("r_eventid", "0")) for event, row in events.items()}
        times = self._api.events(one for one in closing.values() if number(one))
        for event in gone:
            closed = times.get(closing.get(event, ""))
            # Without one it was deleted, disabled, or is suppressed by a maintenance now.
            ends_ms = now_ms if closed is None else zabbix_book.time_ms(closed, now_ms)
            name = self._settings.name
            self._take(zabbix_book.end(self._round.book, event, ends_ms=ends_ms, source=name, now_ms=now_ms), now_ms)  # fmt: skip

    def _come_and_gone(self, over: Sequence[str], now_ms: int) -> None:
        self._fire(over, {}, now_ms)
        self._end([event for event in over if event in self._round.book.followed], now_ms)

    def _look_again(self, rows: Mapping[str, Row], now_ms: int) -> None:
        book, name = self._round.book, self._settings.name
        for event, row in rows.items():
            followed = book.followed.get(event)
            told = zabbix_book.again(followed, row.get("severity"), now_ms) if followed else None
            if told is not None:
                self._take(zabbix_book.fire(book, event, told, source=name, now_ms=now_ms), now_ms)

    def _heed(self, rows: Mapping[str, Row], now_ms: int) -> None:
        """What people did in Zabbix becomes acts; what has no incident yet waits for it."""
        book = self._round.book
        waiting = {
            event: zabbix_book.updates(row, book.followed[event].update)
            for event, row in rows.items()
            if event in book.followed
        }
        waiting = {event: found for event, found in waiting.items() if found}
        if not waiting:
            return
        keys = {event: book.followed[event].alert.key for event in waiting}
        known = self._accepting.incidents(keys.values())
        heard: list[tuple[Update, Incident]] = []
        for event, found in waiting.items():
            incident = known.get(keys[event])
            if incident is None and now_ms - found[-1].at_ms < zabbix_book.UNHEARD_MS:
                continue
            book.followed[event] = Followed(book.followed[event].alert, found[-1].id)
            if incident is not None:
                heard += [(one, incident) for one in found if not zabbix_book.is_ours(one)]
        users = self._api.users({one.user for one, _ in heard} - {""}) if heard else {}
        acts = zabbix_book.acts_of(heard, users, source=self._settings.name, now_ms=now_ms)
        self._round.acts += len(acts)
        self._round.entries += [act_entry(act, now_ms) for act in acts]
