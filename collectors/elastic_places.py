"""Where the fields of a document stand, worked out once for all documents with the same names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

Json = object
"""None, bool, int, float, str, list or dict of these."""

DEPTH_MAX = 12
_SHAPES_MAX, _KEYS_MAX, _KEY_MAX = 500, 64, 64


class Place(NamedTuple):
    """Where a field stands: in the document's `key`, and there in `rest` ("" where it is the value itself)."""

    key: str
    rest: str
    deep: bool = False  # whether `rest` can be nested in ways of its own

    def value(self, source: Mapping[str, Json]) -> Json:
        """The field's value; None where there is none. Of a list it is the first."""
        found = source[self.key]
        if isinstance(found, list):
            found = found[0] if found else None
        if self.rest:
            if not isinstance(found, dict):
                return None
            if self.deep:
                flat: dict[str, Json] = {}
                flatten(found, "", flat, DEPTH_MAX - 1)
                return flat.get(self.rest)
            found = found.get(self.rest)
            if isinstance(found, list):
                found = found[0] if found else None
        return None if isinstance(found, dict | list) else found


class Places:
    """Finds the fields that some names mean, in documents however nested.

    A document in which a name can stand in two ways (`{"a.b": 1, "a": {"b": 2}}`) is looked through whole.

    Parameters
    ----------
    names : mapping of str to sequence of str
        Field names in their order, by what they are.
    """

    def __init__(self, names: Mapping[str, Sequence[str]]) -> None:
        self._names = names
        self._shapes: dict[tuple[str, ...], dict[str, tuple[Place, ...]] | None] = {}

    def of(
        self, source: Mapping[str, Json]
    ) -> tuple[Mapping[str, Json], dict[str, tuple[Place, ...]]]:
        """Where to look, by what it is, and the document to look in."""
        keys = tuple(source)
        places = self._shapes.get(keys, {})
        if places == {}:
            places = self._find(keys)
            if len(keys) <= _KEYS_MAX and max(map(len, keys), default=0) <= _KEY_MAX:
                if len(self._shapes) >= _SHAPES_MAX:
                    self._shapes.clear()
                self._shapes[keys] = places
        if places is not None:
            return source, places
        flat: dict[str, Json] = {}
        flatten(source, "", flat, DEPTH_MAX)
        return flat, {
            what: tuple(Place(name, "") for name in names if name in flat)
            for what, names in self._names.items()
        }

    def _find(self, keys: tuple[str, ...]) -> dict[str, tuple[Place, ...]] | None:
        """None where a name can stand in two ways."""
        found = {}
        for what, names in self._names.items():
            places = []
            for name in names:
                fit = [key for key in keys if name == key or name.startswith(key + ".")]
                if len(fit) > 1:
                    return None
                places += [_place(key, name[len(key) + 1 :]) for key in fit]
            found[what] = tuple(places)
        return found


def _place(key: str, rest: str) -> Place:
    return Place(key, rest, "." in rest)


def flatten(data: Mapping[str, Json], front: str, flat: dict[str, Json], depth: int) -> None:
    """Names with dots, however they were nested; of a list its first value."""
    for name, value in data.items():
        if isinstance(value, list):
            value = value[0] if value else None
        if isinstance(value, dict):
            if depth:
                flatten(value, f"{front}{name}.", flat, depth - 1)
        elif value is not None and not isinstance(value, list):
            name = front + name
            if name not in flat:
                flat[name] = value
