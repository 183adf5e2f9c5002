"""The errand: alerts, changes, silences and acts in; alert rows and groupings out.

`take` notes what came; `step` decides, and says everything once. What is kept in memory follows from
the rows that were said, so that `restore` goes on exactly where the last step ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from correlator import lifecycle
from correlator.book import Book
from correlator.case import Case, blank
from correlator.changes import Changes
from correlator.deduplicate import Verdict, absorb, expire, is_flapping, mend_times
from correlator.inhibit import Inhibitor
from correlator.join import best_target, merge_targets, returns_to
from correlator.metrics import METRICS
from correlator.rows import Rows
from correlator.settings import CorrelatorSettings
from correlator.silence import Silences
from correlator.snapshot import Snapshot, pack, unpack
from correlator.topology import Topology
from correlator.voice import Voice
from correlator.waiting import Seat, Waiting
from model.alert import Alert, AlertStatus
from model.calls import Calls
from model.catalogue import Catalogue
from model.change import Change
from model.identity import derive_id
from model.incident import Act, ActKind, Grouping, Signal
from model.silence import Silence


@dataclass(frozen=True, slots=True)
class Correlated:
    """What one call decided: rows to store, and what happened to incidents."""

    alerts: tuple[AlertStatus, ...] = ()
    groupings: tuple[Grouping, ...] = ()


class Correlator:
    """Groups alerts into incidents and names the likely cause of each; `silences` are those that are not over.

    Parameters
    ----------
    settings : CorrelatorSettings
    catalogue : Catalogue
        Services and who calls whom.

    Examples
    --------
    >>> from model.labels import Labels
    >>> correlator = Correlator(CorrelatorSettings(group_wait_ms=0), Catalogue())
    >>> alert = Alert(Labels.of({"alertname": "Down", "service": "pg"}), "am", 1_000, 1_000)
    >>> _ = correlator.take([alert], now_ms=1_000)
    >>> [g.title.text() for g in correlator.step(1_000).groupings]
    ['pg: Down']
    """

    def __init__(self, settings: CorrelatorSettings, catalogue: Catalogue) -> None:
        self._settings = settings
        self._counts = dict.fromkeys(METRICS, 0)
        self._topology = Topology(catalogue, settings)
        self._set_up()

    def _set_up(self) -> None:
        settings = self._settings
        self._rows = Rows(remember_ms=settings.remember_ms)
        self._cases = Book(self._topology, settings)
        self._waiting = Waiting(self._topology)
        self.silences = Silences()
        self._inhibitor = Inhibitor(settings.inhibit, self._topology.domain)
        self._changes = Changes(settings.changes_per_service_max)
        self._look_again: dict[str, None] = {}
        self._voice = Voice(self._rows, self._changes, settings)

    def take(self, items: Sequence[Alert | Change | Silence | Act], *, now_ms: int) -> Correlated:
        """Note what came. Decisions are made, and everything is said, by the next `step`."""
        self._tidy(now_ms)
        for item in items:
            if isinstance(item, Alert):
                self._take_alert(item, now_ms)
            elif isinstance(item, Change):
                self._take_change(item)
            elif isinstance(item, Silence):
                self.silences.put(item)
            else:
                self._take_act(item, now_ms)
        return Correlated()

    def learn(self, calls: Iterable[Calls]) -> None:
        """Take calls between services that were seen as edges beside the catalogue's."""
        self._topology.learn(calls)

    def _take_alert(self, alert: Alert, now_ms: int) -> None:
        self._count("alerts_total")
        mended = mend_times(alert, now_ms, self._settings.start_age_max_ms)
        if mended is not alert:
            self._count("times_mended_total")
        key = alert.key
        known = self._rows.get(key)
        full = known is None and len(self._rows) >= self._settings.alerts_max
        if full and not self._rows.make_room(self._cases, now_ms):
            self._count("refused_total")
            return
        status, verdict = absorb(known, mended, now_ms=now_ms, settings=self._settings)
        if verdict is Verdict.STALE:
            self._count("stale_total")
            return
        if verdict is Verdict.UPDATED:
            self._count("repeats_total")
        self._apply(key, known, status, verdict, now_ms)

    def _apply(
        self,
        key: str,
        known: AlertStatus | None,
        status: AlertStatus,
        verdict: Verdict,
        now_ms: int,
    ) -> None:
        if verdict is not Verdict.UPDATED:
            labels, firing = status.alert.labels, status.alert.firing
            for other in self._inhibitor.note(key, labels, firing):
                self._look_again[other] = None
            if firing and (muting := self._muting(status, now_ms)) != status.silenced_by:
                status = replace(status, silenced_by=muting)
        self._rows.write(key, status)
        case = self._cases.get(status.incident_id)
        if case is not None and not case.quiet:
            case.put(key, known, status)
            self._voice.note(case)
        elif verdict is Verdict.FIRED:
            self._find_place(key, status)
        elif verdict is Verdict.RESOLVED:
            self._waiting.drop(self._seat(status), key)

    def _muting(self, status: AlertStatus, now_ms: int) -> tuple[str, ...]:
        labels = status.alert.labels
        return self.silences.muting(labels, now_ms) + self._inhibitor.muting(labels)

    def _seat(self, status: AlertStatus) -> Seat:
        return self._topology.place(status.alert), status.alert.simulated

    def _take_change(self, change: Change) -> None:
        self._changes.add(change)
        for case in self._cases.values():
            if change.service in case.said.services:
                self._voice.note(case)

    def _take_act(self, act: Act, now_ms: int) -> None:
        case = self._cases.get(act.incident_id)
        if case is None:
            return
        closing = act.kind is ActKind.CLOSE or (act.kind is ActKind.RESOLVE and case.firing > 0)
        if closing and case.closed_ms is None:
            case.closed_ms = min(act.time_ms, now_ms)
            self._voice.note(case)
        elif act.kind is ActKind.RESOLVE and not case.quiet and case.closed_ms is None:
            self._voice.say(case, Signal.QUIET, lifecycle.resolved_by_person(), now_ms)
        elif act.kind is ActKind.REOPEN and case.closed_ms is not None:
            case.reopen(self._rows)
            self._voice.note(case)
        elif act.kind is ActKind.REOPEN and case.quiet:
            self._voice.say_kept(case, lifecycle.reopened_by_person(), now_ms)

    def _find_place(self, key: str, status: AlertStatus, *, waited: bool = False) -> None:
        """Join an open incident, or wait for companions."""
        place = self._topology.place(status.alert)
        candidates = self._cases.candidates(status)
        target = best_target(status, place, candidates, self._topology, self._settings)
        if target is not None:
            for younger in merge_targets(
                status, place, target, candidates, self._topology, self._settings
            ):
                target = self._merge(target, younger)
            self._count("joined_total")
            self._join(target, key, status)
        elif lifecycle.may_open(status.alert):
            self._wait(key, status, waited)

    def _wait(self, key: str, status: AlertStatus, waited: bool = False) -> None:
        hurry = waited or is_flapping(status.changes_ms, self._settings)
        due_ms = status.seen_ms + lifecycle.wait_ms(status, hurry, self._settings)
        self._waiting.put(self._seat(status), key, due_ms)

    def _join(self, case: Case, key: str, status: AlertStatus) -> None:
        joined = replace(status, incident_id=case.id)
        self._rows.write(key, joined)
        self._cases.enter(case, key, status)
        case.put(key, None, joined)
        self._voice.note(case)

    def _merge(self, one: Case, other: Case) -> Case:
        """Move the younger incident's alerts to the older, which is returned."""
        older, younger = sorted(
            (one, other), key=lambda c: (c.said.detected_ms, c.said.began_ms, c.id)
        )
        self._count("merged_total")
        self._drop(younger)
        for key in sorted(younger.members):
            self._join(older, key, self._rows[key])
        self._voice.say_merged(younger, older)
        return older

    def _drop(self, case: Case) -> None:
        self._cases.drop(case)
        self._voice.forget(case)

    def step(self, now_ms: int) -> Correlated:
        """Let time pass: expire, mute, open, grow quiet, forget; say all that is new."""
        self._tidy(now_ms)
        self._mute(now_ms)
        for case in self._cases.in_order():
            if case.closed_ms is not None and not case.quiet:
                self._let_return(case, now_ms)
        for keys in self._waiting.due(now_ms):
            self._open(keys, now_ms)
        for case in self._cases.in_order():
            self._voice.review(case, now_ms)
        return Correlated(self._rows.written(), self._voice.said(now_ms))

    def _tidy(self, now_ms: int) -> None:
        """Forget what is over, resolve what has expired.

        Before anything else at a new time, so that rows which a restart brings back although they
        had been forgotten are forgotten again before they matter.
        """
        window_ms = self._settings.reopen_window_ms
        for case in self._cases.in_order():
            if case.quiet:
                over_ms: int | None = case.said.at_ms
            else:
                over_ms = None if case.firing else case.closed_ms
            if over_ms is not None and now_ms >= over_ms + window_ms:
                self._forget(case)
        for key in self._rows.due(now_ms):
            status = self._rows[key]
            if status.alert.firing:
                self._count("expired_total")
                self._apply(key, status, expire(status, self._settings), Verdict.RESOLVED, now_ms)
            elif status.incident_id not in self._cases:
                del self._rows[key]

    def _mute(self, now_ms: int) -> None:
        keys = self._look_again
        if self.silences.due(now_ms):
            keys = dict.fromkeys(key for key, status in self._rows.items() if status.alert.firing)
        for key in keys:
            status = self._rows.get(key)
            if status is None or not status.alert.firing:
                continue
            muting = self._muting(status, now_ms)
            if muting != status.silenced_by:
                changed = replace(status, silenced_by=muting)
                self._apply(key, status, changed, Verdict.UPDATED, now_ms)
        self._look_again = {}

    def _let_return(self, case: Case, now_ms: int) -> None:
        """Alerts of an incident that a person closed: those that may act again do."""
        assert case.closed_ms is not None
        passed = now_ms >= case.closed_ms + self._settings.reopen_window_ms
        if case.touched or passed and case.firing:
            case.touched = False
            for key in sorted(case.members):
                status = self._rows[key]
                if not (status.alert.firing and lifecycle.may_open(status.alert)):
                    continue
                decision = lifecycle.return_of(
                    status, case.closed_ms, now_ms=now_ms, settings=self._settings
                )
                if decision is lifecycle.Return.FREE:
                    self._find_place(key, status, waited=True)
                else:
                    self._count("declined_total")

    def _forget(self, case: Case) -> None:
        self._drop(case)
        for key in case.members:
            if key in self._rows:
                self._rows.watch(key)

    def _open(self, keys: list[str], now_ms: int) -> None:
        """Open an incident with these alerts, or bring one back."""
        members = [(key, self._rows[key]) for key in keys]
        _, first_key, first = min((s.alert.starts_ms, key, s) for key, s in members)
        earlier = (s.incident_id for s in (first, *(s for _, s in members)) if s.incident_id)
        previous_id = next(earlier, "")
        incident_id = derive_id("incident", first_key, first.alert.starts_ms, previous_id)
        fresh = blank(incident_id, first.alert, now_ms=now_ms, previous_id=previous_id)
        case = Case(fresh, self._topology, self._settings)
        for key, status in members:
            case.put(key, None, status)
        view = self._voice.view(case, now_ms)
        old = returns_to(
            view, [s for _, s in members], self._cases.at(case.places), now_ms, self._settings
        )
        service = self._topology.service(first.alert)
        if old is None:
            self._count("opened_total")
            reason = lifecycle.opened(first.alert, service, len(members))
            self._start(Case(fresh, self._topology, self._settings), members)
            self._voice.say(self._cases[incident_id], Signal.OPENED, reason, now_ms)
            return
        self._bring_back(old, first.alert, members, now_ms)

    def _bring_back(
        self, old: Case, first: Alert, members: Sequence[tuple[str, AlertStatus]], now_ms: int
    ) -> None:
        """Reopen a quiet incident with these alerts; what was over before tells nothing now."""
        self._count("refired_total")
        ago_ms = first.starts_ms - (old.said.quiet_ms or 0)
        firing = {key for key, _ in members}
        kept = [(key, self._rows[key]) for key in sorted(old.members) if key not in firing]
        self._drop(old)
        back = replace(old.said, quiet_ms=None, active_since_ms=first.starts_ms)
        case = Case(back, self._topology, self._settings)
        self._start(case, [*kept, *members])
        reason = lifecycle.refired(first, self._topology.service(first), ago_ms)
        self._voice.say(case, Signal.REFIRED, reason, now_ms)

    def _start(self, case: Case, members: Sequence[tuple[str, AlertStatus]]) -> None:
        self._cases[case.id] = case
        for key, status in members:
            self._join(case, key, status)

    def restore(
        self,
        statuses: Iterable[AlertStatus],
        groupings: Iterable[Grouping],
        silences: Iterable[Silence],
        changes: Iterable[Change],
    ) -> None:
        """Go on from the rows that were said last; what was here is gone."""
        self._set_up()
        for silence in silences:
            self.silences.put(silence)
        for change in sorted(changes, key=lambda c: (c.arrival_ms, c.time_ms, c.id)):
            self._changes.add(change)
        for grouping in groupings:
            if not grouping.merged_into:
                self._cases[grouping.id] = Case(grouping, self._topology, self._settings)
        rows = {status.alert.key: status for status in statuses}
        for key in sorted(rows):
            self._restore_row(key, rows[key])
        self.silences.look_again()
        for case in self._cases.values():
            self._voice.note(case)

    def _restore_row(self, key: str, status: AlertStatus) -> None:
        self._rows[key] = status
        self._rows.watch(key)
        alert = status.alert
        if alert.firing:
            self._inhibitor.note(key, alert.labels, True)
        case = self._cases.get(status.incident_id)
        if case is not None:
            self._cases.enter(case, key, status)
            case.put(key, None, status)
        if alert.firing and (case is None or case.quiet) and lifecycle.may_open(alert):
            self._wait(key, status)

    def save(self) -> bytes:
        """Everything, as one checksummed snapshot; call it between steps."""
        return pack(
            Snapshot(
                tuple(self._rows[key] for key in sorted(self._rows)),
                tuple(self._cases[name].said for name in sorted(self._cases)),
                tuple(self.silences),
                tuple(c for name in sorted(self._changes) for c in self._changes[name]),
            )
        )

    def load(self, data: bytes) -> None:
        """Take over a snapshot made by `save`.

        Raises
        ------
        SnapshotError
            If it is damaged or of another version.
        """
        saved = unpack(data)
        self.restore(saved.statuses, saved.groupings, saved.silences, saved.changes)

    def counters(self) -> dict[str, float]:
        """Our own metrics (`metrics.py` says what they mean)."""
        now = {
            "tocsin_correlator_alerts": len(self._rows),
            "tocsin_correlator_alerts_max": self._settings.alerts_max,
            "tocsin_correlator_incidents": len(self._cases),
            "tocsin_correlator_waiting": len(self._waiting),
            "tocsin_correlator_edges_apart": self._topology.edges_apart,
        }
        return {name: float(value) for name, value in {**self._counts, **now}.items()}

    def _count(self, name: str) -> None:
        self._counts["tocsin_correlator_" + name] += 1
