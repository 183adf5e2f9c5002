"""Certificates before they expire: how long is left, by the clock, and what their renewal changes."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from detectors.alerting import Entry, Lasting
from detectors.judge import Judge
from detectors.roles import ROLE_NUMBER, service_of
from detectors.rows import Array
from detectors.tell import SOURCE
from detectors.watcher import Watcher
from model.alert import Alert, Evidence, Severity
from model.batch import Floats, Ints
from model.labels import Labels
from model.reason import Reason, because
from model.series import NAME
from model.units import format_span

_EARLIEST_S, _LATEST_S = 1e9, 1.6e10
"""Times that can be meant: 2001 to 2477. Zero is no certificate yet, the year 9999 one that never ends."""
_STEP_MS = 10_000
_RECENT_MS, _RECENT_MAX = 300_000, 50
"""Of what was shown in these minutes the earliest counts: behind one address some may be renewed, some not."""
_TELL_AGAIN_MS = 3_600_000
_POINTS, _RENEWALS_MAX = 100, 12
_DAY_MS, _HOUR_MS = 86_400_000, 3_600_000
_AT_ONCE = Lasting(0, 1, 0, 1)
_PLOTTED_MS = 90 * _DAY_MS
STAGES = ("certificate", "certificate_critical", "certificate_expired")


@dataclass(slots=True)
class _Certificate:
    """What is known of a series: when it ends, when it began (0: not known), and how that was before."""

    expires_ms: int
    first_ms: int
    begins_ms: int = 0
    lifetime_ms: int = 0
    renewals: list[list[int]] = field(default_factory=list)
    recent: list[list[int]] = field(default_factory=list)

    def left_ms(self, now_ms: int) -> int:
        """How long it is still good."""
        return self.expires_ms - now_ms


class Certificates(Watcher):
    """Tells that a certificate will expire, while there is time: by a warning, then critically, then that it has.

    Any series that holds a moment of expiry counts: our own probes', blackbox_exporter's,
    x509-certificate-exporter's, cert-manager's. A certificate that only lives for days is told of
    later: a quarter of its life before the end as a warning, a twelfth critically, so that what is
    renewed in time is never told of. How long it lives is known from a series that says when it
    began, or from the renewals that were seen.

    Parameters
    ----------
    judge : Judge
    """

    name = "certificates"
    methods = frozenset(STAGES)
    wants_samples = True

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._known: dict[int, _Certificate] = {}
        self._stepped_ms = 0

    def samples(self, rows: Array, times_ms: Ints, values: Floats, now_ms: int) -> None:
        """Take moments of expiry out of what arrived."""
        if self._judge.past:
            return
        mine = self._judge.meta["role"][rows] == ROLE_NUMBER["certificate"]
        if not mine.any():
            return
        for row, at_ms, value in zip(
            rows[mine].tolist(), times_ms[mine].tolist(), values[mine].tolist(), strict=True
        ):
            if _EARLIEST_S < value < _LATEST_S:
                self._note(row, at_ms, round(value * 1000))

    def _note(self, row: int, at_ms: int, moment_ms: int) -> None:
        labels = self._judge.index.labels(row)
        begun = _twin(labels)
        if begun is not None:  # this series says when a certificate began
            twin = self._judge.index.find(begun)
            if twin is not None and (known := self._known.get(twin)) is not None:
                known.begins_ms = moment_ms
            return
        known = self._known.get(row)
        if known is None:
            known = self._known[row] = _Certificate(moment_ms, at_ms)
            self._stepped_ms = 0
        recent = [[t, ends_ms] for t, ends_ms in known.recent if t > at_ms - _RECENT_MS]
        known.recent = [*recent, [at_ms, moment_ms]][-_RECENT_MAX:]
        expires_ms = min(ends_ms for _, ends_ms in known.recent)
        if expires_ms != known.expires_ms:
            if expires_ms > known.expires_ms:
                known.lifetime_ms = expires_ms - at_ms
            known.renewals = [*known.renewals, [at_ms, known.expires_ms]][-_RENEWALS_MAX:]
            known.expires_ms, known.begins_ms = expires_ms, 0
            self._stepped_ms = 0

    def step(self, now_ms: int) -> None:
        """Time passes, and with it certificates."""
        if 0 <= now_ms - self._stepped_ms < _STEP_MS:
            return
        self._stepped_ms = now_ms
        for row in list(self._known):
            if not self._judge.index.in_use(row):
                del self._known[row]
            else:
                self._judge_one(row, now_ms)

    def bounds(self, known: _Certificate) -> tuple[float, float]:
        """How long before the end a certificate is told of: as a warning, and critically."""
        settings = self._judge.settings
        lived_ms = known.expires_ms - known.begins_ms if known.begins_ms else known.lifetime_ms
        life_ms = lived_ms if lived_ms > 0 else math.inf
        return (
            min(settings.certificate_warning_ms, life_ms / 4),
            min(settings.certificate_critical_ms, life_ms / 12),
        )

    def _judge_one(self, row: int, now_ms: int) -> None:
        known = self._known[row]
        left_ms = known.left_ms(now_ms)
        warning_ms, critical_ms = self.bounds(known)
        stage = ""
        if left_ms <= 0:
            stage = STAGES[2]
        elif left_ms <= critical_ms:
            stage = STAGES[1]
        elif left_ms <= warning_ms:
            stage = STAGES[0]
        if stage:
            self._tell(stage, row, now_ms)
        for other in STAGES:
            if other != stage and self._judge.alerting.entry((other, row)) is not None:
                why = self._ending(row, stage, left_ms)
                self._judge.alerting.resolve((other, row), now_ms, now_ms=now_ms, why=why)

    def _ending(self, row: int, stage: str, left_ms: int) -> Reason:
        """Why a stage is over: another has come, or the certificate is a new one."""
        target = _target(self._judge.index.labels(row))
        if stage:
            return because("told more urgently now")
        return because(
            "the certificate of {target} was renewed: {left} left",
            target=target,
            left=format_span(left_ms),
        )

    def _tell(self, stage: str, row: int, now_ms: int) -> None:
        entry = self._judge.alerting.entry((stage, row))
        if entry is not None and entry.firing:
            # Hours pass slowly; the sentence need not be told anew with each.
            if now_ms - entry.told_ms < _TELL_AGAIN_MS:
                return
        self._judge.alerting.abnormal(
            (stage, row), now_ms, now_ms=now_ms, lasting=_AT_ONCE, peak=0.0,
            describe=lambda entry: self._alert(stage, row, entry, now_ms),
        )  # fmt: skip

    def _alert(self, stage: str, row: int, entry: Entry, now_ms: int) -> Alert:
        series, known = self._judge.index.labels(row), self._known[row]
        expired = stage == STAGES[2]
        severity = Severity.WARNING if stage == STAGES[0] else Severity.CRITICAL
        left_ms = known.left_ms(now_ms)
        words = {"target": _target(series), "service": service_of(series)}
        said = (
            because(
                "the certificate of {target} expired {ago} ago", ago=format_span(-left_ms), **words
            )
            if expired
            else because(
                "the certificate of {target} expires in {left}", left=format_span(left_ms), **words
            )
        )
        kept = {name: series[name] for name in _KEPT if name in series}
        return Alert(
            labels=Labels.of(
                {
                    **kept,
                    "alertname": "CertificateExpired" if expired else "CertificateExpiring",
                    "service": service_of(series),
                    "severity": severity.value,
                    # What has expired is trouble of the service now; what will is a matter of its own.
                    "signal": "availability" if expired else "expiry",
                }
            ),
            source=SOURCE,
            starts_ms=entry.since_ms,
            arrival_ms=now_ms,
            summary=said,
            evidence=self._evidence(series, known, now_ms),
            simulated=series.get("simulated") == "true",
        )

    def _evidence(self, series: Labels, known: _Certificate, now_ms: int) -> Evidence:
        """What was left at each time: a saw, whose teeth are the renewals, above what is told of."""
        begins_ms = known.first_ms if known.renewals or not known.begins_ms else known.begins_ms
        begins_ms = max(min(begins_ms, now_ms - _HOUR_MS), now_ms - _PLOTTED_MS)
        times = np.linspace(begins_ms, now_ms, _POINTS).astype(np.int64)
        ends = np.full(_POINTS, known.expires_ms, dtype=np.int64)
        for until_ms, expires_ms in reversed(known.renewals):
            ends[times < until_ms] = expires_ms
        warning_s = self.bounds(known)[0] / 1000
        left = ((ends - times) / 1000).tolist()
        return Evidence(
            series,
            "certificate",
            "seconds",
            value=known.left_ms(now_ms) / 1000,
            low=warning_s,
            high=max(warning_s, *left),
            times_ms=tuple(times.tolist()),
            values=tuple(left),
            lows=(warning_s,) * _POINTS,
            highs=(max(warning_s, *left),) * _POINTS,
            component="expiry",
        )

    def forget(self, rows: Array) -> None:
        """Rows go to other series."""
        for row in rows.tolist():
            if self._known.pop(row, None) is not None:
                for stage in STAGES:
                    if (entry := self._judge.alerting.entry((stage, row))) is not None:
                        why = because("its series no longer reports")
                        at_ms = max(entry.seen_ms, self._stepped_ms)
                        self._judge.alerting.resolve((stage, row), at_ms, now_ms=at_ms, why=why)

    def counters(self) -> dict[str, float]:
        """What `metrics.METRICS` names."""
        return {"tocsin_detector_certificates": len(self._known)}

    def save(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Every certificate, as plain values."""
        return {}, {"known": [[row, asdict(known)] for row, known in self._known.items()]}

    def load(self, arrays: dict[str, Array], state: dict[str, Any]) -> None:
        """Take over what `save` gave."""
        self._known = {int(row): _Certificate(**plain) for row, plain in state.get("known", [])}
        self._stepped_ms = 0


_KEPT = (
    "instance", "probe", "namespace", "name", "secret_name", "secret_namespace", "filepath",
    "subject_CN", "serial_number", "host", "cn",
)  # fmt: skip
_NAMED = ("instance", "probe", "subject_CN", "filepath", "secret_name", "name", "cn", "host")


def _target(series: Labels) -> str:
    """Whose certificate it is, in a few words."""
    own = [series[name] for name in ("subject_CN", "filepath", "secret_name") if name in series]
    if series.get(NAME, "").startswith("certmanager_"):
        own = [f"{series.get('namespace', '')}/{series.get('name', '')}".strip("/")]
    return next((x for x in [*own, *(series.get(n, "") for n in _NAMED)] if x), service_of(series))


def _twin(series: Labels) -> Labels | None:
    """For a series that says when a certificate began: the one that says when it ends."""
    name = series.get(NAME, "")
    ends = {"probe_ssl_earliest_cert_not_before": "probe_ssl_earliest_cert_expiry"}.get(name)
    if ends is None and name.endswith("_not_before"):
        ends = name.removesuffix("_not_before") + "_not_after"
    return None if ends is None else series.with_(**{NAME: ends})
