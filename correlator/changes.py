"""Changes that are remembered, by service."""

from __future__ import annotations

from model.change import Change


class Changes(dict[str, list[Change]]):
    """Lists by service, in the order of arrival; the oldest go first.

    Examples
    --------
    >>> changes = Changes(1)
    >>> changes.add(Change("1", 5, "deploy", "cart", "v1"))
    >>> changes.add(Change("2", 6, "deploy", "cart", "v2"))
    >>> [change.title for change in changes["cart"]]
    ['v2']
    """

    def __init__(self, per_service_max: int) -> None:
        super().__init__()
        self._per_service_max = per_service_max

    def add(self, change: Change) -> None:
        """Remember one, in place of an earlier one of its id."""
        kept = [known for known in self.get(change.service, ()) if known.id != change.id]
        self[change.service] = [*kept, change][-self._per_service_max :]
