"""History through the same methods as live samples, with nobody told of what was abnormal in it."""

from __future__ import annotations

from types import TracebackType

import numpy as np

from detectors.absence import Absences
from detectors.alerting import Alerting, Entry
from detectors.judge import Judge
from detectors.rows import Array
from detectors.settings import DetectorSettings
from model.batch import Bools

ACCEPT_MS = 12 * 3_600_000
"""What lasted this long in the past was normal, or somebody would have ended it: nobody can say so now."""
ACCEPT_SAMPLES = 100
_NEVER_MS = 1 << 60


class Unheard:
    """While it is entered, alerts of `judge` go nowhere and no service counts as heard of.

    What is abnormal is pending and firing all the same, so that it is not learnt from.

    Examples
    --------
    >>> from model.series import SeriesIndex
    >>> judge = Judge(DetectorSettings(), SeriesIndex(), ())
    >>> told = judge.alerting
    >>> with Unheard(judge, Absences(60_000)):
    ...     judge.alerting is told, judge.past
    (False, True)
    >>> judge.alerting is told, judge.past
    (True, False)
    """

    def __init__(self, judge: Judge, absences: Absences) -> None:
        self._judge = judge
        self._absences = absences
        self._live = judge.alerting
        self._own = self._fresh(judge.settings)

    @staticmethod
    def _fresh(settings: DetectorSettings) -> Alerting:
        return Alerting(
            update_interval_ms=_NEVER_MS,  # nobody reads what it would say
            adopt_grace_ms=0,
            alerts_max=settings.alerts_max,
        )

    def __enter__(self) -> None:
        self._live = self._judge.alerting
        self._judge.alerting = self._own
        self._judge.past = self._absences.deaf = True

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._own.drain()
        self._judge.alerting = self._live
        self._judge.past = self._absences.deaf = False

    def abnormal(self, rows: Array) -> Bools:
        """Which rows are pending or firing now, by any method."""
        about = [row for (_, row), _ in self._own.entries()]
        return np.isin(rows, about)

    def accepted(self, method: str, entry: Entry, settings: DetectorSettings) -> bool:
        """Whether what is abnormal has lasted long enough in the past to be normal."""
        if settings.accepted_after_ms(method) is None:
            return False
        return entry.seen_ms - entry.since_ms >= ACCEPT_MS and entry.hits >= ACCEPT_SAMPLES

    def clear(self) -> None:
        """Forget what was abnormal: the past ends here, what still is will be seen live."""
        self._own = self._fresh(self._judge.settings)
