"""Anomalies that last become alerts: pending, firing, told again, resolved; with reasons and no arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from detectors.rows import Array
from model.alert import Alert
from model.batch import Bools
from model.labels import Labels
from model.reason import Reason, because

Key = tuple[str, int]
"""A method and what it judges: a row, or the number of a rule's series, template or service."""


@dataclass(frozen=True, slots=True)
class Lasting:
    """How long something must last to be told, and be gone to be over."""

    for_ms: int
    for_samples: int
    keep_ms: int
    keep_samples: int = 2

    def longer(self, times: float) -> Lasting:
        """The same, but for lasting so many times as long."""
        if times == 1.0:
            return self
        return replace(
            self,
            for_ms=round(self.for_ms * times),
            for_samples=max(1, round(self.for_samples * times)),
        )


@dataclass(slots=True)
class Entry:
    """What has been abnormal since when; firing once `alert` is set. Times are event times."""

    since_ms: int
    seen_ms: int
    hits: int = 0
    clear_ms: int = 0
    clear_hits: int = 0
    peak: float = 0.0
    told_ms: int = 0
    alert: Alert | None = None
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def firing(self) -> bool:
        """Whether it has been told."""
        return self.alert is not None


Describe = Callable[[Entry], Alert]


class Alerting:
    """The alerts of all methods.

    Labels are chosen when an alert begins to fire and stay for its life: nothing that changes,
    such as a value, is in them, and `severity` is what it was by then.
    """

    def __init__(
        self,
        *,
        update_interval_ms: int,
        adopt_grace_ms: int,
        alerts_max: int,
    ) -> None:
        self._update_interval_ms = update_interval_ms
        self._adopt_grace_ms = adopt_grace_ms
        self._alerts_max = alerts_max
        self._entries: dict[Key, Entry] = {}
        self._marks: dict[str, Bools] = {}
        self._adopted: dict[tuple[str, Labels], Alert] = {}
        self._adopted_until_ms = 0
        self._out: list[Alert] = []
        self.fired = self.resolved = self.refused = 0

    def drain(self) -> list[Alert]:
        """What there is to tell since the last call."""
        out, self._out = self._out, []
        return out

    @property
    def firing(self) -> int:
        """Alerts firing."""
        return sum(entry.firing for entry in self._entries.values())

    @property
    def pending(self) -> int:
        """Anomalies that have not lasted long enough."""
        return len(self._entries) - self.firing

    def marked(self, method: str, rows: Array) -> Bools:
        """Which rows are pending or firing by a method: those are not learnt from."""
        marks = self._marks.get(method)
        if marks is None:
            return np.zeros(len(rows), dtype=np.bool_)
        known = rows < len(marks)
        return known & marks[np.where(known, rows, 0)]

    def entry(self, key: Key) -> Entry | None:
        """The entry of a key, if it is pending or firing."""
        return self._entries.get(key)

    def entries(self) -> list[tuple[Key, Entry]]:
        """All entries, in the order they began."""
        return list(self._entries.items())

    def let_go(self, methods: Collection[str], rows: Collection[int]) -> None:
        """These rows go to other series: end what these methods tell of them, when it was seen last."""
        for key, entry in self.entries():
            if key[0] in methods and key[1] in rows:
                self.resolve(key, entry.seen_ms, now_ms=entry.seen_ms)

    def abnormal(
        self,
        key: Key,
        at_ms: int,
        *,
        now_ms: int,
        lasting: Lasting,
        peak: float,
        describe: Describe,
    ) -> None:
        """Something was abnormal at `at_ms`: begin to wait, fire, or tell again."""
        entry = self._entries.get(key)
        if entry is None:
            if len(self._entries) >= self._alerts_max:
                self.refused += 1
                return
            entry = self._entries[key] = Entry(since_ms=at_ms, seen_ms=at_ms)
            self._mark(key, True)
        entry.hits += 1
        entry.seen_ms = at_ms
        entry.clear_ms = entry.clear_hits = 0
        entry.peak = max(entry.peak, peak)
        if entry.firing:
            if now_ms - entry.told_ms >= self._update_interval_ms:
                self._tell(entry, describe(entry), now_ms)
        elif entry.hits >= lasting.for_samples and at_ms - entry.since_ms >= lasting.for_ms:
            self.fired += 1
            self._tell(entry, self._take_over(describe(entry)), now_ms)

    def normal(
        self, key: Key, at_ms: int, *, now_ms: int, lasting: Lasting, describe: Describe
    ) -> None:
        """It was normal at `at_ms`: stop waiting, or resolve once it has stayed so."""
        entry = self._entries.get(key)
        if entry is None:
            return
        if not entry.firing:
            self._drop(key)
            return
        entry.clear_ms = entry.clear_ms or at_ms
        entry.clear_hits += 1
        entry.seen_ms = at_ms
        if entry.clear_hits >= lasting.keep_samples and at_ms - entry.clear_ms >= lasting.keep_ms:
            self.resolve(key, entry.clear_ms, now_ms=now_ms, fresh=describe(entry))

    def resolve(
        self,
        key: Key,
        ends_ms: int,
        *,
        now_ms: int,
        why: Reason | None = None,
        fresh: Alert | None = None,
    ) -> None:
        """End an entry; tell it if it was firing. `why` replaces the summary."""
        entry = self._entries.get(key)
        if entry is not None and entry.alert is not None:
            evidence = fresh.evidence if fresh is not None else entry.alert.evidence
            self._out.append(
                replace(
                    entry.alert,
                    ends_ms=max(ends_ms, entry.alert.starts_ms),
                    arrival_ms=now_ms,
                    summary=why or entry.alert.summary,
                    evidence=evidence,
                )
            )
            self.resolved += 1
        self._drop(key)

    def _tell(self, entry: Entry, alert: Alert, now_ms: int) -> None:
        if entry.alert is not None:  # labels and beginning stay
            alert = replace(alert, labels=entry.alert.labels, starts_ms=entry.alert.starts_ms)
        entry.alert = replace(alert, arrival_ms=now_ms)
        entry.told_ms = now_ms
        self._out.append(entry.alert)

    def _take_over(self, alert: Alert) -> Alert:
        known = self._adopted.pop(_about(alert), None)
        if known is None:
            return alert
        return replace(alert, labels=known.labels, starts_ms=known.starts_ms)

    def adopt(self, alerts: Iterable[Alert]) -> None:
        """Alerts that the store holds as firing: to be seen again within the grace, or resolved."""
        mine = {_about(e.alert): e for e in self._entries.values() if e.alert is not None}
        for alert in alerts:
            entry = mine.get(_about(alert))
            if entry is not None:
                entry.alert = alert
            else:
                self._adopted[_about(alert)] = alert
        self._adopted_until_ms = 0

    def step(self, now_ms: int) -> None:
        """Let the grace of adopted alerts run out."""
        if not self._adopted:
            return
        if self._adopted_until_ms == 0:
            self._adopted_until_ms = now_ms + self._adopt_grace_ms
        elif now_ms >= self._adopted_until_ms:
            why = because("not seen again after the restart")
            for alert in self._adopted.values():
                ended = replace(alert, ends_ms=now_ms, arrival_ms=now_ms, summary=why)
                self._out.append(ended)
                self.resolved += 1
            self._adopted.clear()

    def _mark(self, key: Key, on: bool) -> None:
        method, row = key
        marks = self._marks.get(method)
        if marks is None or row >= len(marks):
            grown = np.zeros(max(64, 2 * row + 2), dtype=np.bool_)
            if marks is not None:
                grown[: len(marks)] = marks
            marks = self._marks[method] = grown
        marks[row] = on

    def _drop(self, key: Key) -> None:
        if self._entries.pop(key, None) is not None:
            self._mark(key, False)

    def save(self, encode: Callable[[Alert], Any]) -> dict[str, Any]:
        """Entries and adopted alerts as plain JSON values."""
        entries = []
        for key, entry in self._entries.items():
            plain = {name: getattr(entry, name) for name in _PLAIN}
            alert = None if entry.alert is None else encode(entry.alert)
            entries.append([list(key), plain, alert])
        return {
            "entries": entries,
            "adopted": [encode(alert) for alert in self._adopted.values()],
            "adopted_until_ms": self._adopted_until_ms,
            "counts": [self.fired, self.resolved, self.refused],
        }

    def load(self, saved: dict[str, Any], decode: Callable[[Any], Alert]) -> None:
        """Take over what `save` gave."""
        self._entries, self._marks, self._out = {}, {}, []
        for (method, row), plain, alert in saved["entries"]:
            entry = Entry(**plain, alert=None if alert is None else decode(alert))
            self._entries[(method, row)] = entry
            self._mark((method, row), True)
        adopted = [decode(alert) for alert in saved["adopted"]]
        self._adopted = {_about(alert): alert for alert in adopted}
        self._adopted_until_ms = saved["adopted_until_ms"]
        self.fired, self.resolved, self.refused = saved["counts"]


_PLAIN = ("since_ms", "seen_ms", "hits", "clear_ms", "clear_hits", "peak", "told_ms", "extra")
assert set(_PLAIN) | {"alert"} == set(asdict(Entry(0, 0)))


def _about(alert: Alert) -> tuple[str, Labels]:
    """What an alert is about, however bad it is."""
    return alert.source, alert.labels.without("severity")
