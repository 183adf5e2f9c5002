"""`up` of a source that is asked or listened to: one series of its own."""

from __future__ import annotations

from urllib.parse import urlsplit

import numpy as np

from collectors.patience import Patience
from model.batch import MetricBatch
from model.labels import Labels
from model.series import SeriesIndex


def up_labels(name: str, where: str) -> dict[str, str]:
    """The labels of `up` of a source; of its address only host and port are told.

    Examples
    --------
    >>> up_labels("site", "https://me:secret@mimir:9009/prometheus")
    {'__name__': 'up', 'job': 'site', 'instance': 'mimir:9009', 'service': 'site'}
    """
    instance = urlsplit(where).netloc.rpartition("@")[2] or where
    return {"__name__": "up", "job": name, "instance": instance, "service": name}


class Up:
    """Says at each beat of an interval whether a source answers.

    Parameters
    ----------
    name : str
        Its `job` and `service`.
    where : str
        Its `instance`: an address, of which only host and port are told.
    interval_ms : int
        A beat.
    source : str
        Its name in batches.
    """

    def __init__(
        self, index: SeriesIndex, *, name: str, where: str, interval_ms: int, source: str
    ) -> None:
        self._labels = Labels.of(up_labels(name, where))
        self._index = index
        self._source = source
        self._beat = Patience(interval_ms)

    def samples(self, well: bool | None, now_ms: int) -> list[MetricBatch]:
        """The sample of this beat; none before the next, and none while nothing is known."""
        if well is None or not self._beat.due(now_ms):
            return []
        self._beat.begin(now_ms)
        row = self._index.intern(self._labels, source=self._source, now_ms=now_ms)
        if row < 0:
            return []
        self._index.touch(np.array([row], dtype=np.int32), now_ms)
        value = float(well)
        return [MetricBatch.of([row], now_ms, [value], arrival_ms=now_ms, source=self._source)]
