"""A method that looks on: it is shown what the judge settles, and tells of it in its own words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from detectors.rows import Array
from model.batch import Bools, Floats, Ints, LogBatch
from model.calls import Calls
from model.capacity import Capacity
from model.reason import Reason
from model.slo import SloState

if TYPE_CHECKING:
    from detectors.alerting import Entry
    from detectors.derive import Family


@dataclass(frozen=True, slots=True, eq=False)
class Settled:
    """Samples that were compared with their bands, raw (a gauge, a counter's rate) or derived; shape (n,).

    Every derived one is shown. Of plain series ("levelshift") a watcher sees the first sample, and the others
    only if it asks for them by `judge.want(its name, rows)`: a site has a million of them, and one that is
    shown costs twenty times as much as one that is not. What was asked for is saved with the judge, and
    forgotten when the row goes to another series.

    Attributes
    ----------
    method : str
        "levelshift" (meaning unknown), "baseline", "growth" (memory) or "lograte".
    rows, times_ms, values
        Each row once.
    roles : int8
        Numbers of `roles.ROLES`.
    low, high : float64
        The band.
    outside : bool
        Left the band, in a direction that matters, on enough events.
    firing : bool
        The method's own alert on the row is pending or firing: not to be learnt from.
    """

    method: str
    rows: Array
    times_ms: Ints
    values: Floats
    roles: NDArray[np.int8]
    low: Floats
    high: Floats
    outside: Bools
    firing: Bools

    def only(self, those: Bools) -> Settled:
        """Some of the samples."""
        return Settled(
            self.method,
            *(
                getattr(self, name)[those]
                for name in (
                    "rows",
                    "times_ms",
                    "values",
                    "roles",
                    "low",
                    "high",
                    "outside",
                    "firing",
                )
            ),
        )


class Watcher:
    """Base of the methods that stand beside the baselines; each overrides what it needs.

    While `judge.past` holds, what is shown is history that is being learnt (back-fill): `now_ms` is of that
    time, `learn` is called in place of `step`, and `judge.alerting` is another one that nobody hears. So a watcher asks the
    judge for it each time, and its clock may go back.

    A watcher tells through `judge.alerting`, with keys `(one of its methods, number)`. It never raises
    for what the world sends, reads no clock, and keeps nothing that `save` does not give.

    Attributes
    ----------
    name : str
        Under which its state is saved.
    methods : frozenset of str
        First halves of its keys in `Alerting`. The engine ends an alert of a row that stopped
        reporting, and accepts what lasts, only for methods not listed here: a watcher ends its own.
    wants_samples : bool
        Whether `samples` is to be called at all.
    wants_plain : bool
        Whether it is to be called with gauges and counters of unknown meaning, too: most samples of a site.
    """

    name = ""
    methods: frozenset[str] = frozenset()
    wants_samples = False
    wants_plain = False

    def samples(self, rows: Array, times_ms: Ints, values: Floats, now_ms: int) -> None:
        """Raw samples that can be used arrived, each row once: counters as they are, parts of histograms too."""

    def noted(self, notes: Mapping[int, Reason]) -> None:
        """Why rows have the values that are shown next, where their collector said so."""

    def settled(self, seen: Settled, now_ms: int) -> None:
        """Samples were judged."""

    def sums(
        self, family: str, groups: Family, of: Ints, times_ms: Ints, sums: Floats, now_ms: int
    ) -> None:
        """Groups of a family ("requests", "latency", "disk", …) were summed up.

        Parameters
        ----------
        groups : Family
            `groups.labels(g)` and `groups.bounds(of)` say what group and field are.
        of, times_ms, sums : shapes (n_groups,), (n_groups,), (n_groups, n_fields)
            Group numbers, times and running totals (counters: never falling) or last values.
        """

    def lines(self, batch: LogBatch, now_ms: int) -> None:
        """Log lines arrived."""

    def step(self, now_ms: int) -> None:
        """Time has passed; called about once a second."""

    def upholds(self, rows: Array, times_ms: Ints, values: Floats, roles: Array) -> Bools:
        """Of signals whose alert has fired for long and that are back in their band: which are no better."""
        return np.zeros(len(rows), dtype=np.bool_)

    def rarity(self, row: int, at_ms: int, value: float) -> tuple[str, int] | None:
        """A component's name, and by chance once in how many ms a sample as odd comes; None if not known."""
        return None

    def learn(self, at_ms: int) -> None:
        """A moment of the past was shown; see `judge.past` and `judge.coarse`."""

    def housekeep(self, key: tuple[str, int], entry: Entry, now_ms: int) -> None:
        """One of its alerts is pending or firing: end it if it is over. Called about once a second."""

    def forget(self, rows: Array) -> None:
        """These rows go to other series; alerts on them are to be resolved."""

    def capacity(self) -> tuple[Capacity, ...]:
        """What it knows of when things run out: a value, which other threads may read."""
        return ()

    def calls(self) -> tuple[Calls, ...]:
        """Who calls whom, as far as it has seen: a value, which other threads may read."""
        return ()

    def counters(self) -> dict[str, float]:
        """What `metrics.METRICS` names."""
        return {}

    def slos(self) -> tuple[SloState, ...]:
        """Objectives as they stand; asked from other threads."""
        return ()

    @property
    def nbytes(self) -> int:
        """Bytes held in arrays."""
        return 0

    def save(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Arrays by name, and the rest as plain JSON values."""
        return {}, {}

    def load(self, arrays: dict[str, Array], state: dict[str, Any]) -> None:
        """Take over what `save` gave; both are empty where an older version saved nothing."""
