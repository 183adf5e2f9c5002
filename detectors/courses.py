"""Identifiers whose lines are unusual, live: `sequences.py` finds them, here they are told in groups.

A group is a kind of identifier and the template that is rare or missing. One identifier is information;
a warning is a group that grows far faster than it ever did, and that is no mere change of wording.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from detectors.alerting import Entry, Lasting
from detectors.bare import Bare
from detectors.judge import Judge
from detectors.keyblocks import block_names
from detectors.logkinds import LogKinds
from detectors.logsettings import LogLineSettings
from detectors.logtell import OddCourses, courses_alert
from detectors.rows import Array
from detectors.sequences import Odd, Sequences, SequenceSettings
from detectors.watcher import Watcher
from model.alert import Alert, Severity
from model.batch import Ints, LogBatch

METHOD = "sequences"
_WINDOW_MS = 600_000
_STALLED_MS = 60_000
_LINES_MAX = 5
_DIVERSE_MIN, _DIVERSE = 50, 0.1
_OFTEN, _SURPRISE_SMALL = 5, 3.0
_RECENT_MAX = 2_000
_WARN_MIN, _WARN_FACTOR = 10, 5.0
_SURPRISE = 20.0  # of the Poisson tail's exponent: once in e^20 windows
_PRIOR_RESTS, _PRIOR_SHARE = 100.0, 0.01
_WARN_SEVERITY = 13
_YEAR_MS = 31_536_000_000
_AT_ONCE = Lasting(0, 1, 0, 1)


@dataclass(slots=True)
class _Group:
    """Odd identifiers of a kind that are odd in the same way."""

    number: int
    total: int = 0  # before those of the window
    share: float = 0.0
    recent: deque[int] = field(default_factory=lambda: deque(maxlen=_RECENT_MAX))  # times
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=_LINES_MAX))

    def fade(self, before_ms: int) -> None:
        """What left the window becomes history."""
        while self.recent and self.recent[0] <= before_ms:
            self.recent.popleft()
            self.total += 1


def surprise(count: int, expected: float) -> float:
    """How unlikely so many are where `expected` were: the exponent of Chernoff's bound of the Poisson tail.

    Examples
    --------
    >>> round(surprise(10, 10.0), 1), round(surprise(30, 3.0), 1)
    (0.0, 42.1)
    """
    if count <= expected:
        return 0.0
    return count * math.log(count / expected) - count + expected


class Courses(Watcher):
    """Follows identifiers through the lines of all services."""

    name = METHOD
    methods = frozenset({METHOD})

    def __init__(
        self,
        judge: Judge,
        kinds: LogKinds,
        settings: LogLineSettings,
        sequences: SequenceSettings | None = None,
    ) -> None:
        self._judge, self._kinds = judge, kinds
        limits = SequenceSettings(open_max=settings.open_max, resting_max=settings.resting_max)
        self._follow = Sequences(sequences or limits)
        self._groups_max = settings.groups_max
        self._groups: dict[tuple[str, int, bool], _Group] = {}
        self._rare: dict[str, int] = {}  # by kind: those that met what few do
        self._rests: dict[str, deque[tuple[int, int]]] = {}  # by kind: times, and rests until then
        self._clock_ms = self._heard_ms = self._numbered = 0
        self._bare = Bare()
        self.refused = 0

    def lines(self, batch: LogBatch, now_ms: int) -> None:
        """Follow the identifiers of a batch."""
        if batch.merged:
            self._follow.merge(batch.merged)
            self._regroup(batch.merged)
            for old in batch.merged:
                self._bare.forget(old)
        if not len(batch):
            return
        times_ms = self._kinds.times_ms
        odd = self._read(batch, times_ms)
        self._clock_ms = max(self._clock_ms, int(times_ms.max()))
        self._heard_ms = now_ms
        self._take(odd, now_ms)

    def _read(self, batch: LogBatch, times_ms: Ints) -> list[Odd]:
        names = block_names(batch.lines, self._follow.words)
        named = np.fromiter(map(bool, names), dtype=np.bool_, count=len(names))
        looked = self._bare.looked(batch.templates, named)
        times, templates = times_ms[looked].tolist(), batch.templates[looked].tolist()
        at, lines = looked.tolist(), batch.lines
        if len(at) == len(lines):
            return self._follow.take(zip(names, times, templates, lines, strict=True))
        picked = ([names[n] for n in at], times, templates, [lines[n] for n in at])
        return self._follow.take(zip(*picked, strict=True))

    def step(self, now_ms: int) -> None:
        """Where no lines come any more, what waits comes to rest all the same."""
        silent_ms = now_ms - self._heard_ms
        if self._clock_ms and silent_ms > _STALLED_MS:
            self._take(self._follow.step(self._clock_ms + silent_ms - _STALLED_MS), now_ms)
        minute = self._clock_ms // _STALLED_MS
        for kind in {key[0] for key in self._groups}:
            rests = self._rests.setdefault(kind, deque())
            if not rests or rests[-1][0] < minute:
                rests.append((minute, self._follow.known(kind)[1]))
            while len(rests) > 1 and (minute - rests[1][0]) * _STALLED_MS >= _WINDOW_MS:
                rests.popleft()

    def _take(self, odd: list[Odd], now_ms: int) -> None:
        touched: dict[tuple[str, int, bool], int] = {}
        for one in odd:
            template = one.rare if one.rare is not None else one.missing
            assert template is not None
            key = one.kind, template, one.rare is None
            group = self._groups.get(key)
            if group is None:
                if len(self._groups) >= self._groups_max and not self._make_room():
                    self.refused += 1
                    continue
                self._numbered += 1
                group = self._groups[key] = _Group(self._numbered)
            group.share = one.share
            group.recent.append(max(one.time_ms, self._clock_ms))
            self._rare[one.kind] = self._rare.get(one.kind, 0) + (one.rare is not None)
            if one.line:
                group.lines.append(one.line)
            touched[key] = min(one.time_ms, touched.get(key, one.time_ms))
        for key, at_ms in touched.items():
            self._tell(key, self._groups[key], at_ms, now_ms)

    def _make_room(self) -> bool:
        """Give up the groups of which nothing came in the window."""
        for key, group in list(self._groups.items()):
            group.fade(self._clock_ms - _WINDOW_MS)
            if not group.recent:
                del self._groups[key]
        return len(self._groups) < self._groups_max

    def _tell(self, key: tuple[str, int, bool], group: _Group, at_ms: int, now_ms: int) -> None:
        group.fade(self._clock_ms - _WINDOW_MS)
        count, rests = len(group.recent), self._rested(key[0])
        known, total = self._follow.known(key[0])
        before = max(0.0, total - rests)
        usual = (group.total + _PRIOR_RESTS * _PRIOR_SHARE) / (before + _PRIOR_RESTS)
        expected = max(usual * max(rests, count), 0.1)
        rarity = surprise(count, expected)
        many = count >= max(_WARN_MIN, _WARN_FACTOR * expected) and rarity >= _SURPRISE
        serious = many and self._serious(key, count)
        kind, template, missing = key
        number, alerting = 2 * group.number, self._judge.alerting
        told = any(alerting.entry((METHOD, n)) is not None for n in (number, number + 1))
        if not serious and not told and self._chatter(key, group, total, rarity):
            return
        service = self._kinds.writer(template)
        found = OddCourses(
            service=service,
            kind=kind,
            text=self._kinds.texts.get(template, ""),
            missing=missing,
            count=count,
            of=int(known),
            share=1.0 - group.share if missing else group.share,
            window_ms=_WINDOW_MS,
            once_in_ms=int(min(_YEAR_MS, _WINDOW_MS * math.exp(min(rarity, 50.0)))),
            severity=Severity.WARNING if serious else Severity.INFO,
            lines=tuple(group.lines),
        )

        def describe(entry: Entry) -> Alert:
            return courses_alert(found, entry, now_ms)

        if serious or alerting.entry((METHOD, number + 1)) is not None:
            alerting.resolve((METHOD, number), at_ms, now_ms=now_ms)
            number += 1
        alerting.abnormal(
            (METHOD, number), at_ms, now_ms=now_ms, lasting=_AT_ONCE, peak=rarity, describe=describe
        )

    def _chatter(
        self, key: tuple[str, int, bool], group: _Group, rests: int, rarity: float
    ) -> bool:
        """Whether it is not worth telling even as information.

        Identifiers of a kind may have little in common, so that each meets something rare; and what
        was told some times already is told again only when it comes more often than it used to.
        """
        diverse = self._rare.get(key[0], 0) > max(_DIVERSE_MIN, _DIVERSE * rests)
        return (diverse and not key[2]) or (group.total >= _OFTEN and rarity < _SURPRISE_SMALL)

    def _rested(self, kind: str) -> int:
        """How many of a kind came to rest in the window."""
        rests = self._rests.get(kind)
        return self._follow.known(kind)[1] - rests[0][1] if rests else 0

    def _serious(self, key: tuple[str, int, bool], count: int) -> bool:
        """Whether it may be trouble, rather than a new release that words its lines otherwise.

        A line that few used to meet must be a warning or worse. Where one is missing, no kind of line
        of its service may have begun meanwhile.
        """
        _, template, missing = key
        if not missing:
            return self._kinds.worst(template) >= _WARN_SEVERITY
        return not self._kinds.began(template, self._clock_ms - 2 * _WINDOW_MS)

    def _regroup(self, merged: dict[int, int]) -> None:
        for key in [key for key in self._groups if key[1] in merged]:
            group = self._groups.pop(key)
            into = self._groups.setdefault((key[0], merged[key[1]], key[2]), group)
            if into is not group:
                into.total += group.total + len(group.recent)
                for number in (2 * group.number, 2 * group.number + 1):
                    at_ms = self._clock_ms
                    self._judge.alerting.resolve((METHOD, number), at_ms, now_ms=at_ms)

    def housekeep(self, key: tuple[str, int], entry: Entry, now_ms: int) -> None:
        """No more of them for a window: over. The line's clock counts, or ours where lines have ended."""
        clock_ms = self._clock_ms + max(0, now_ms - self._heard_ms - _STALLED_MS)
        last_ms = [
            g.recent[-1] for g in self._groups.values() if g.number == key[1] // 2 and g.recent
        ]
        if not last_ms or clock_ms - last_ms[0] >= _WINDOW_MS:
            self._judge.alerting.resolve(key, entry.seen_ms, now_ms=now_ms)

    def counters(self) -> dict[str, float]:
        """What `metrics.METRICS` names."""
        return {
            "tocsin_detector_odd_sequences_total": self._follow.odd_total,
            "tocsin_detector_sequences_refused_total": self._follow.refused + self.refused,
        }

    def save(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Arrays by name, and the rest as plain JSON values."""
        return {}, {
            "follow": self._follow.save(),
            "groups": [
                [*key, g.number, g.total, g.share, list(g.recent), list(g.lines)]
                for key, g in self._groups.items()
            ],
            "rests": [[kind, [list(at) for at in rests]] for kind, rests in self._rests.items()],
            "rare": list(self._rare.items()),
            "bare": self._bare.items(),
            "clocks": [self._clock_ms, self._heard_ms, self._numbered, self.refused],
        }

    def load(self, arrays: dict[str, Array], state: dict[str, Any]) -> None:
        """Take over what `save` gave."""
        if not state:
            return
        self._follow.load(state["follow"])
        for kind, template, missing, number, total, share, recent, lines in state["groups"]:
            group = self._groups[(kind, template, missing)] = _Group(number, total, share)
            group.recent.extend(recent)
            group.lines.extend(lines)
        self._rests = {
            kind: deque((minute, count) for minute, count in rests)
            for kind, rests in state["rests"]
        }
        self._bare, self._rare = Bare(state["bare"]), dict(state["rare"])
        self._clock_ms, self._heard_ms, self._numbered, self.refused = state["clocks"]
