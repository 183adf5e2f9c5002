"""One YAML document into one frozen dataclass, with every problem at its line and column.

Each component declares its settings as a stdlib dataclass beside its code; here, and only
here, pydantic checks them. A `Milliseconds` field `wait_ms` is written `wait: 30s`, a
`SizeBytes` field `body_bytes_max` is written `body_max: 4MiB`.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import types
import typing
from collections.abc import Callable
from functools import cache
from typing import Annotated, Any, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from model.errors import LabelError, UnitError
from model.labels import Labels, Matcher
from model.units import parse_duration, parse_size
from pipeline.positions import Document, Path

T = TypeVar("T")


def yaml_key(field_name: str, hint: Any) -> str:
    """The key a field has in YAML: its name without the unit.

    Examples
    --------
    >>> from model.units import Milliseconds
    >>> yaml_key("group_wait_ms", Milliseconds), yaml_key("window", int)
    ('group_wait', 'window')
    """
    field_name = field_name.rstrip("_")  # `continue_` is a word of Python
    unit = unit_of(hint)
    if unit == "duration":
        return re.sub(r"_ms(?=_|$)", "", field_name)
    if unit == "size":
        return re.sub(r"_bytes(?=_|$)", "", field_name)
    return field_name


def unit_of(hint: Any) -> str | None:
    if typing.get_origin(hint) is Annotated:
        return next((m for m in typing.get_args(hint)[1:] if isinstance(m, str)), None)
    for arg in typing.get_args(hint):
        if typing.get_origin(arg) is Annotated and (unit := unit_of(arg)):
            return unit
    return None


@cache
def setting_fields(kind: Any) -> dict[str, tuple[str, Any]]:
    """YAML key → (field name, type hint)."""
    hints = typing.get_type_hints(kind, include_extras=True)
    found = {}
    for f in dataclasses.fields(kind):
        if f.init and not f.name.startswith("_"):
            found[yaml_key(f.name, hints[f.name])] = (f.name, hints[f.name])
    return found


@cache
def _checker(kind: Any) -> TypeAdapter[Any]:
    config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)
    holder = dataclasses.make_dataclass("Holder", [("value", kind)])
    holder.__pydantic_config__ = config  # type: ignore[attr-defined]
    return TypeAdapter(holder)


def read(kind: type[T], document: Document) -> T | None:
    """Build `kind` from a document; None (and problems in the document) where it cannot be."""
    before = len(document.problems)
    data = {} if document.data is None else document.data
    prepared = _prepare(data, kind, (), document)
    try:
        value = _checker(typing.cast(Any, kind)).validate_python({"value": prepared})
    except ValidationError as error:
        taken = {(p.line, p.column) for p in document.problems}
        for item in error.errors(include_url=False):
            path = _yaml_path(item["loc"][1:], kind)
            path = _name_in_message(path, item, document)
            if document.position(path) not in taken:
                document.problem(path, _say(item), key=item["type"] == "missing")
        return None
    if len(document.problems) > before:
        return None
    return typing.cast(T, value.value)


def _prepare(data: Any, hint: Any, path: Path, document: Document) -> Any:
    """Rename keys to fields, read units and matchers, and note unknown keys."""
    hint = _bare(hint, data)
    if dataclasses.is_dataclass(hint) and isinstance(data, dict) and hint is not Matcher:
        return _prepare_fields(data, hint, path, document)
    unit = unit_of(hint)
    if unit and not isinstance(data, bool):
        return _convert(data, parse_duration if unit == "duration" else parse_size, path, document)
    if hint is Matcher and isinstance(data, str):
        return _convert(data, Matcher.parse, path, document)
    if hint is Labels and isinstance(data, dict):
        return _labels(data, path, document)
    args = typing.get_args(hint)
    origin = typing.get_origin(hint)
    if origin in (tuple, list) and isinstance(data, list) and args:
        if origin is tuple and len(args) > 1 and args[1] is not Ellipsis:
            return data
        return tuple(_prepare(x, args[0], (*path, i), document) for i, x in enumerate(data))
    if origin is dict and isinstance(data, dict):
        return {k: _prepare(x, args[1], (*path, k), document) for k, x in data.items()}
    return data


def _bare(hint: Any, data: Any) -> Any:
    """The one alternative of an optional."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType) and data is not None:
        inner = [arg for arg in typing.get_args(hint) if arg is not type(None)]
        if len(inner) == 1:
            return inner[0]
    return hint


def _prepare_fields(data: dict[str, Any], kind: Any, path: Path, document: Document) -> Any:
    known = setting_fields(kind)
    prepared = {}
    for key, value in data.items():
        if key not in known:
            document.problem((*path, key), "unknown key" + _did_you_mean(key, known), key=True)
            continue
        name, hint = known[key]
        if value is None and dataclasses.is_dataclass(hint):
            continue  # `scrape:` with everything under it commented out
        prepared[name] = _prepare(value, hint, (*path, key), document)
    return prepared


def _did_you_mean(key: str, known: dict[str, Any]) -> str:
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    if close:
        return f'; did you mean "{close[0]}"?'
    return f"; known here: {', '.join(sorted(known))}"


def _labels(data: dict[Any, Any], path: Path, document: Document) -> Labels:
    for name, value in data.items():
        if not isinstance(value, str):
            document.problem((*path, name), f'must be text, write "{value}"')
    try:
        return Labels.of({str(name): str(value) for name, value in data.items()})
    except LabelError as error:
        document.problem(path, str(error))
        return Labels()


def _convert(data: Any, parse: Callable[[str], Any], path: Path, document: Document) -> Any:
    try:
        return parse(str(data) if data == 0 else data if isinstance(data, str) else repr(data))
    except (UnitError, LabelError) as error:
        document.problem(path, str(error))
        return data


def _yaml_path(loc: tuple[int | str, ...], kind: Any) -> Path:
    """Translate pydantic's location (field names, union tags) into the file's keys."""
    path: Path = ()
    hint: Any = kind
    for part in loc:
        hint = _bare(hint, 0)
        if dataclasses.is_dataclass(hint):
            fields = setting_fields(typing.cast(Any, hint))
            named = [(key, inner) for key, (name, inner) in fields.items() if name == part]
            if named:  # else a union tag, which is not in the file
                path, hint = (*path, named[0][0]), named[0][1]
        elif args := typing.get_args(hint):
            path = (*path, part)
            hint = args[1] if typing.get_origin(hint) is dict else args[0]
    return path


def _name_in_message(path: Path, item: Any, document: Document) -> Path:
    """A dataclass' own check ("group_wait must be …") speaks of one of its keys: point there."""
    word = str(item["msg"]).removeprefix("Value error, ").partition(" ")[0].strip('":')
    return (*path, word) if (*path, word) in document.keys else path


# What pydantic calls by a class of ours, or of Python's.
_IN_YAML = {
    "dataclass_type": "keys and values",
    "tuple_type": "a list",
    "list_type": "a list",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
}


def _say(item: Any) -> str:
    """pydantic's message in our words: what was expected, what came."""
    kind, came = item["type"], item.get("input")
    if kind == "missing":
        missing = item["loc"][-1]
        return f'needs the key "{missing}"'
    what = str(item["msg"]).removeprefix("Value error, ")
    what = what.removeprefix("Input should be ").removeprefix("Input ")
    if kind in ("value_error", "assertion_error"):
        return what
    if kind in ("enum", "literal_error"):
        what = "one of " + str(item["ctx"]["expected"]).replace(" or ", ", ")
    what = _IN_YAML.get(kind, what)
    shown = repr(came) if not isinstance(came, dict | list | tuple) else type(came).__name__
    return f"must be {what}, got {shown[:80]}"
