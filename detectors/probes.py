"""Probes that fail: each in its own words, and together where it is rather our own network."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np

from detectors.alerting import Describe, Entry, Lasting
from detectors.judge import Judge
from detectors.roles import ROLE_NUMBER, service_of
from detectors.rows import Array
from detectors.tell import SOURCE
from detectors.watcher import Watcher
from model import codec
from model.alert import Alert, Evidence, Severity
from model.batch import Floats, Ints
from model.labels import Labels
from model.reason import Reason, because
from model.series import NAME

SERVICES_MIN = 3
"""Probes of fewer services than this that fail together are told one by one."""
SHARE_MIN = 0.8
"""Of the probes that were made meanwhile, so many must fail for all to be told as one."""
_NAMED_MAX = 10
_NEVER = Lasting(0, 1 << 60, 0)
_ALL = ("probes", 0)


@dataclass(slots=True)
class _Probe:
    """A probe's last result, and since when it has failed without a success between."""

    at_ms: int
    interval_ms: int = 0
    failing_since_ms: int = 0
    fails: int = 0
    reason: Reason | None = None

    def fresh(self, now_ms: int) -> bool:
        """Whether it still reports."""
        return now_ms - self.at_ms <= max(60_000, 5 * self.interval_ms)


class _Votes:
    """Of probes by their last result: how many fail of those that were made since some time."""

    def __init__(self, results: Iterable[tuple[int, str]]) -> None:
        newest_first = sorted(results, reverse=True)
        self._ages = [-at_ms for at_ms, _ in newest_first]
        self._failing = list(accumulate(bool(place) for _, place in newest_first))
        seen, self._places = set[str](), list[int]()
        for _, place in newest_first:
            if place:
                seen.add(place)
                self._places.append(len(seen))

    def together(self, since_ms: int) -> bool:
        """Whether nearly all fail, and of several services."""
        count = bisect_right(self._ages, -since_ms)
        failing = self._failing[count - 1] if count else 0
        if not failing or failing < SHARE_MIN * count:
            return False
        return self._places[failing - 1] >= SERVICES_MIN


class Probes(Watcher):
    """Tells of probes (`probe_success`, ours or blackbox_exporter's) that fail several times running.

    Where nearly all probes of several services fail at once, one alert tells of that and the others wait:
    more likely it is the network between us and them. What still fails afterwards is told by itself.

    How long a probe takes is judged as latency is, by what is usual for it, but only of probes that
    succeed: how fast a connection is refused says nothing.

    Parameters
    ----------
    judge : Judge
    """

    name = "probes"
    methods = frozenset({"probe", "probes"})
    wants_samples = True

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._seen: dict[int, _Probe] = {}
        self._durations: dict[int, tuple[int, float]] = {}
        self._notes: Mapping[int, Reason] = {}

    def noted(self, notes: Mapping[int, Reason]) -> None:
        """Why probes failed whose results come next."""
        self._notes = notes

    def samples(self, rows: Array, times_ms: Ints, values: Floats, now_ms: int) -> None:
        """Take results and durations out of what arrived."""
        if self._judge.past:
            return
        roles = self._judge.meta["role"][rows]
        for at in np.flatnonzero(roles == ROLE_NUMBER["probe_duration"]).tolist():
            self._durations[int(rows[at])] = int(times_ms[at]), float(values[at])
        results = roles == ROLE_NUMBER["probe"]
        if not results.any():
            return
        rows, times_ms, values = rows[results], times_ms[results], values[results]
        ones = np.ones(len(rows))
        self._judge.history.add(rows, times_ms, values, ones, ones)
        for row, at_ms, value in zip(
            rows.tolist(), times_ms.tolist(), values.tolist(), strict=True
        ):
            if row not in self._seen or at_ms > self._seen[row].at_ms:
                self._note(row, at_ms, value > 0)
                self._tell(row, at_ms, now_ms)

    def _note(self, row: int, at_ms: int, succeeded: bool) -> None:
        probe = self._seen.get(row)
        if probe is None:
            probe = self._seen[row] = _Probe(at_ms)
        elif at_ms > probe.at_ms:
            probe.interval_ms = at_ms - probe.at_ms
        probe.at_ms = at_ms
        if succeeded:
            probe.failing_since_ms = probe.fails = 0
            probe.reason = None
            return
        probe.failing_since_ms = probe.failing_since_ms or at_ms
        probe.fails += 1
        probe.reason = self._notes.get(row, probe.reason)

    def _tell(self, row: int, at_ms: int, now_ms: int) -> None:
        probe, key = self._seen[row], ("probe", row)
        alerting = self._judge.alerting
        describe = self._describe(row)
        lasting = self._lasting(row)
        if not probe.fails:
            alerting.normal(key, at_ms, now_ms=now_ms, lasting=lasting, describe=describe)
            return
        entry = alerting.entry(key)
        if entry is None or not entry.firing:
            if self._votes(now_ms).together(probe.failing_since_ms):
                lasting = _NEVER  # told as one, by `step`
        alerting.abnormal(key, at_ms, now_ms=now_ms, lasting=lasting, peak=0.0, describe=describe)

    def _lasting(self, row: int) -> Lasting:
        settings = self._judge.settings
        lasting = Lasting(0, settings.probe_failures, settings.keep_firing_ms)
        return lasting.longer(self._judge.leniency(row).patience)

    def _votes(self, now_ms: int) -> _Votes:
        return _Votes(
            (probe.at_ms, self._place(row) if probe.fails else "")
            for row, probe in self._seen.items()
            if probe.fresh(now_ms)
        )

    def _place(self, row: int) -> str:
        labels = self._judge.index.labels(row)
        return labels.get("service", "") or labels.get("instance", "")

    def step(self, now_ms: int) -> None:
        """Judge durations; tell, or end telling, that all fail."""
        self._judge_durations(now_ms)
        alerting = self._judge.alerting
        known, waiting = alerting.entry(_ALL), self._withheld()
        if waiting:
            votes = self._votes(now_ms)
            waiting = [r for r in waiting if votes.together(self._seen[r].failing_since_ms)]
        if len({self._place(row) for row in waiting}) >= (1 if known else SERVICES_MIN):
            alerting.abnormal(
                _ALL,
                now_ms,
                now_ms=now_ms,
                lasting=Lasting(0, 1, 0, 1),
                peak=0.0,
                describe=lambda entry: self._all_alert(waiting, entry, now_ms),
            )
        elif known is not None:
            alerting.resolve(_ALL, now_ms, now_ms=now_ms, why=because("not all probes fail any more"))  # fmt: skip

    def _withheld(self) -> list[int]:
        """Probes that have failed long enough to be told and were not."""
        found = []
        for (method, row), entry in self._judge.alerting.entries():
            if method == "probe" and not entry.firing and row in self._seen:
                if self._seen[row].fails >= self._lasting(row).for_samples:
                    found.append(row)
        return found

    def _judge_durations(self, now_ms: int) -> None:
        """Those of probes that succeeded, by the twin of the same time."""
        index, found = self._judge.index, []
        for row, (at_ms, value) in self._durations.items():
            if not index.in_use(row):
                continue
            twin = index.find(index.labels(row).with_(**{NAME: "probe_success"}))
            probe = self._seen.get(-1 if twin is None else twin)
            if probe is not None and probe.at_ms == at_ms and not probe.fails:
                found.append((row, at_ms, value))
        self._durations = {}
        if found:
            rows, times_ms, values = (np.array(column) for column in zip(*found, strict=True))
            roles = np.full(len(rows), ROLE_NUMBER["probe_duration"], dtype=np.int8)
            enough = np.ones(len(rows), dtype=np.bool_)
            self._judge.signal(
                rows, times_ms, values.astype(np.float64), enough, roles, now_ms, ruled=True
            )

    def _describe(self, row: int) -> Describe:
        def describe(entry: Entry) -> Alert:
            series, probe = self._judge.index.labels(row), self._seen[row]
            target = series.get("instance", "") or series.get("probe", "")
            fails = because("the probe of {target} fails", target=target)
            reason = probe.reason or fails
            times_ms, values, lows, highs = self._judge.history.of(row)
            kept = {name: series[name] for name in ("instance", "probe") if name in series}
            return Alert(
                labels=Labels.of(
                    {
                        **kept,
                        "alertname": "ProbeFailed",
                        "service": service_of(series),
                        "severity": Severity.CRITICAL.value,
                        "signal": "availability",
                    }
                ),
                source=SOURCE,
                starts_ms=entry.since_ms,
                arrival_ms=probe.at_ms,
                summary=reason,
                evidence=Evidence(
                    series, "probe", "", 0.0 if probe.fails else 1.0, 1.0, 1.0,
                    times_ms=times_ms, values=values, lows=lows, highs=highs,
                ),
                simulated=series.get("simulated") == "true",
            )  # fmt: skip

        return describe

    def _all_alert(self, waiting: list[int], entry: Entry, now_ms: int) -> Alert:
        """That nearly all probes fail, with some of their reasons as lines."""
        failing = [row for row, probe in self._seen.items() if probe.fails and probe.fresh(now_ms)]
        fresh = sum(probe.fresh(now_ms) for probe in self._seen.values())
        since_ms = min(self._seen[row].failing_since_ms for row in waiting)
        reasons = [probe.reason for row in failing if (probe := self._seen[row]).reason is not None]
        said = sorted({reason.text() for reason in reasons if reason is not None})
        return Alert(
            labels=Labels.of(
                {
                    "alertname": "AllProbesFail",
                    "service": "tocsin",
                    "severity": Severity.CRITICAL.value,
                    "signal": "availability",
                }
            ),
            source=SOURCE,
            starts_ms=since_ms,
            arrival_ms=now_ms,
            summary=because(
                "{failing} of {probes} probes fail at once: look first at the network between Tocsin and them",
                failing=len(failing),
                probes=fresh,
            ),
            evidence=Evidence(
                Labels.of({NAME: "probe_success", "job": "probe"}),
                "probe",
                value=float(fresh - len(failing)),
                low=float(fresh),
                high=float(fresh),
                lines=tuple(said[:_NAMED_MAX]),
            ),
        )

    def housekeep(self, key: tuple[str, int], entry: Entry, now_ms: int) -> None:
        """A probe that is made no more has nothing to say."""
        method, row = key
        if method != "probe":
            return
        probe = self._seen.get(row)
        quiet_ms = self._judge.settings.stale_after_ms
        if probe is None or now_ms - probe.at_ms > max(quiet_ms, 5 * probe.interval_ms):
            why = because("its series no longer reports")
            self._judge.alerting.resolve(key, entry.seen_ms, now_ms=now_ms, why=why)

    def forget(self, rows: Array) -> None:
        """Rows go to other series."""
        for row in rows.tolist():
            self._durations.pop(row, None)
            if (probe := self._seen.pop(row, None)) is not None:
                key = ("probe", row)
                self._judge.alerting.resolve(key, probe.at_ms, now_ms=probe.at_ms)

    def counters(self) -> dict[str, float]:
        """What `metrics.METRICS` names."""
        return {
            "tocsin_detector_probes": len(self._seen),
            "tocsin_detector_probes_failing": sum(p.fails > 0 for p in self._seen.values()),
        }

    def save(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Every probe, as plain values."""
        return {}, {"seen": [[row, *_plain(probe)] for row, probe in self._seen.items()]}

    def load(self, arrays: dict[str, Array], state: dict[str, Any]) -> None:
        """Take over what `save` gave."""
        self._seen, self._durations = {}, {}
        for row, at_ms, interval_ms, since_ms, fails, reason in state.get("seen", []):
            why = None if reason is None else codec.decode(Reason, reason)
            self._seen[int(row)] = _Probe(at_ms, interval_ms, since_ms, fails, why)


def _plain(probe: _Probe) -> list[Any]:
    reason = None if probe.reason is None else codec.encode(probe.reason).decode()
    return [probe.at_ms, probe.interval_ms, probe.failing_since_ms, probe.fails, reason]
