"""How much room a resource has left, and when it is used up: a value for reports, pages and programs."""

from __future__ import annotations

from dataclasses import dataclass

from model.labels import Labels


@dataclass(frozen=True, slots=True)
class Capacity:
    """One resource as it stands and as it goes on.

    Attributes
    ----------
    service : str
        Whose it is; "" where the series does not say.
    resource : str
        "disk", "inodes", "volume", "quota", "file descriptors", "connections", "memory", "heap", "queue".
    series : Labels
        The series it was read from.
    used : float or None
        0 to 1 of what there is, or the length of a queue without a limit; None before the first sample.
    unit : str
        "ratio" or "" (a queue without a limit).
    growth_week : float or None
        How much `used` grows in a week; None where too little is known.
    full_ms, early_ms, late_ms : int or None
        When it is full: the middle and the ends of the 80 % interval. None where nothing says that it
        will be within sight; `late_ms` alone is None where it may as well never be.
    window_ms : int
        How much of the past this is drawn from; 0 where there is no forecast.
    seen_ms : int
        When the last sample came.
    spark : tuple of float or None
        `used` by the hour (younger ones: by the minute), oldest first, at most 56.
    """

    service: str
    resource: str
    series: Labels
    used: float | None
    unit: str = "ratio"
    growth_week: float | None = None
    full_ms: int | None = None
    early_ms: int | None = None
    late_ms: int | None = None
    window_ms: int = 0
    seen_ms: int = 0
    spark: tuple[float | None, ...] = ()

    @property
    def place(self) -> str:
        """Which one it is, in the words of its labels.

        Examples
        --------
        >>> labels = Labels.of({"__name__": "disk_used_ratio", "instance": "db1", "mountpoint": "/var"})
        >>> Capacity("db", "disk", labels, 0.5).place
        '/var db1'
        """
        found = [self.series[name] for name in PLACE_LABELS if name in self.series]
        return " ".join(dict.fromkeys(found)) or self.series.get("__name__", "")


PLACE_LABELS = (
    "mountpoint",
    "persistentvolumeclaim",
    "resourcequota",
    "resource",
    "topic",
    "queue",
    "consumergroup",
    "pool",
    "namespace",
    "pod",
    "instance",
)
"""Labels that say which one of its kind a resource is, the narrowest first."""


def soonest_first(found: tuple[Capacity, ...]) -> tuple[Capacity, ...]:
    """What runs out first comes first; then the fullest.

    Examples
    --------
    >>> late = Capacity("b", "disk", Labels(), 0.9)
    >>> soon = Capacity("a", "disk", Labels(), 0.2, full_ms=5)
    >>> [c.service for c in soonest_first((late, soon))]
    ['a', 'b']
    """

    def order(one: Capacity) -> tuple[float, bool, float, str, str]:
        full = float("inf") if one.full_ms is None else one.full_ms
        return full, one.unit != "ratio", -(one.used or 0.0), one.service, str(one.series)

    return tuple(sorted(found, key=order))
