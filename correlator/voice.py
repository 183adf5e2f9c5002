"""What was said of incidents, and whether there is anything new to say: once per step and incident."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from correlator import lifecycle
from correlator.case import Case
from correlator.changes import Changes
from correlator.settings import CorrelatorSettings
from model.alert import AlertStatus
from model.incident import Grouping, Signal
from model.reason import Reason, because


class Voice:
    """Says each incident whole when it has changed, and collects what was said for the step.

    Parameters
    ----------
    rows, changes
        Read whenever an incident is looked at.
    """

    def __init__(
        self,
        rows: Mapping[str, AlertStatus],
        changes: Changes,
        settings: CorrelatorSettings,
    ) -> None:
        self._rows = rows
        self._changes = changes
        self._settings = settings
        # True: look at it; False: looked at, its numbers wait for `group_interval`.
        self._dirty: dict[str, bool] = {}
        self._said: dict[str, Grouping] = {}

    def note(self, case: Case) -> None:
        """Something about it may have changed."""
        self._dirty[case.id] = True

    def forget(self, case: Case) -> None:
        """It is gone."""
        self._dirty.pop(case.id, None)

    def view(self, case: Case, now_ms: int) -> Grouping:
        """The incident as it is seen now."""
        return case.view(self._rows, self._changes, now_ms)

    def said(self, now_ms: int) -> tuple[Grouping, ...]:
        """Everything said since this was asked last, by incident."""
        said = tuple(replace(self._said[name], at_ms=now_ms) for name in sorted(self._said))
        self._said.clear()
        return said

    def say(self, case: Case, signal: Signal, reason: Reason, now_ms: int) -> None:
        """Say it now."""
        view = self.view(case, now_ms)
        quiet_ms = self._latest_end(case) if signal is Signal.QUIET else None
        case.said = replace(view, signal=signal, reason=reason, at_ms=now_ms, quiet_ms=quiet_ms)
        self._said[case.id] = case.said
        self._dirty.pop(case.id, None)

    def say_merged(self, younger: Case, older: Case) -> None:
        """Say that one has become part of another."""
        reason = because("the same trouble as {other}", other=older.id)
        self._said[younger.id] = replace(
            younger.said, signal=Signal.MERGED, reason=reason, merged_into=older.id
        )

    def say_kept(self, case: Case, reason: Reason, now_ms: int) -> None:
        """Say that one which is quiet is remembered anew: what fires belongs to it for as long again."""
        case.said = replace(case.said, signal=Signal.CHANGED, reason=reason, at_ms=now_ms)
        self._said[case.id] = case.said

    def _latest_end(self, case: Case) -> int:
        ends = [self._rows[key].alert.ends_ms for key in case.members]
        return max((end for end in ends if end is not None), default=case.latest_ms)

    def review(self, case: Case, now_ms: int) -> None:
        """Say what is new of an incident, or that it is over."""
        if case.quiet:
            if case.said.closed_ms != case.closed_ms:
                case.said = replace(case.said, closed_ms=case.closed_ms, at_ms=now_ms)
                self._said[case.id] = case.said
            return
        flapping = case.flapping(now_ms)
        if case.closed_ms is None and lifecycle.is_quiet(
            firing=case.firing,
            latest_ms=case.latest_ms,
            flapping=flapping,
            now_ms=now_ms,
            settings=self._settings,
        ):
            reason = lifecycle.quiet(len(case.members), case.said.flapping, self._settings)
            self.say(case, Signal.QUIET, reason, now_ms)
        elif case.closed_ms is not None and case.said.closed_ms is not None:
            self._dirty.pop(case.id, None)
            if case.firing and now_ms >= case.said.at_ms + self._settings.remember_ms // 2:
                # The row must stay recent: after a restart it is what holds these alerts back.
                reason = because("its alerts still fire; a person closed it")
                self.say(case, Signal.CHANGED, reason, now_ms)
        elif self._due(case, now_ms) or case.said.flapping != flapping:
            self._say_news(case, now_ms)

    def _due(self, case: Case, now_ms: int) -> bool:
        look = self._dirty.get(case.id)
        if look is False:
            return now_ms >= case.said.at_ms + self._settings.group_interval_ms
        return look is True

    def _say_news(self, case: Case, now_ms: int) -> None:
        view = self.view(case, now_ms)
        news = lifecycle.news(case.said, view, now_ms=now_ms, settings=self._settings)
        if news is not None:
            self.say(case, news.signal, news.reason, now_ms)
        elif lifecycle.waits(case.said, view):
            self._dirty[case.id] = False
        else:
            self._dirty.pop(case.id, None)
