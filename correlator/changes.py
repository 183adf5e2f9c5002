"""Changes that are remembered, by service."""

from __future__ import annotations

from collections.abc import Collection

from correlator.settings import CorrelatorSettings
from model.change import Change


class Changes(dict[str, list[Change]]):
    """Lists by service, in the order of arrival, bounded by number and age.

    Examples
    --------
    >>> changes = Changes(CorrelatorSettings())
    >>> changes.add(Change("1", 5, "deploy", "cart", "v2"), now_ms=6)
    >>> [change.title for change in changes["cart"]]
    ['v2']
    """

    def __init__(self, settings: CorrelatorSettings) -> None:
        super().__init__()
        self._settings = settings

    def add(self, change: Change, *, now_ms: int, named: Collection[str] = ()) -> None:
        """Remember one, in place of an earlier one of its id.

        Old ones of the service are forgotten, but not those `named` by an incident.
        """
        since_ms = now_ms - self._settings.remember_ms
        kept = [
            known
            for known in self.get(change.service, ())
            if known.id != change.id and (known.time_ms >= since_ms or known.id in named)
        ]
        self[change.service] = [*kept, change][-self._settings.changes_per_service_max :]
