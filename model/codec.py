"""Values to JSON and back, byte for byte the same each time: what the journal, the store and snapshots hold."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable
from enum import Enum
from functools import cache
from typing import Any, TypeVar

import orjson

from model.labels import Labels

T = TypeVar("T")


def encode(value: Any) -> bytes:
    """Write a value of `model` (a dataclass, or a list of them) as JSON, fields in their order.

    Labels become an object, an enum its value; NaN becomes null.

    Examples
    --------
    >>> from model.journal import Heartbeat
    >>> encode(Heartbeat("backup", 1, 2))
    b'{"name":"backup","time_ms":1,"timeout_ms":2,"service":"","source":""}'
    """
    return orjson.dumps(value, default=_default, option=orjson.OPT_SORT_KEYS)


def _default(value: Any) -> Any:
    if isinstance(value, Labels):
        return dict(value.pairs)
    raise TypeError(f"{type(value).__name__} is not a value of model")


def decode(kind: type[T], data: bytes | str) -> T:
    """Read a value that `encode` wrote. Fields that are missing take their default; unknown ones are ignored.

    Examples
    --------
    >>> from model.journal import Heartbeat
    >>> decode(Heartbeat, encode(Heartbeat("backup", 1, 2))).timeout_ms
    2
    """
    return typing.cast(T, _reader(typing.cast(Any, kind))(orjson.loads(data)))


def build(kind: type[T], data: Any) -> T:
    """Like `decode`, from data that is already parsed."""
    return typing.cast(T, _reader(typing.cast(Any, kind))(data))


@cache
def _reader(kind: Any) -> Callable[[Any], Any]:
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        return _optional_reader(kind)
    if origin is tuple:
        return _tuple_reader(typing.get_args(kind))
    if origin is list:
        item = _reader(typing.get_args(kind)[0])
        return lambda data: [item(x) for x in data]
    if kind is Labels:
        return lambda data: Labels(tuple(sorted(data.items())))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind
    if dataclasses.is_dataclass(kind):
        return _dataclass_reader(kind)
    return lambda data: data


def _optional_reader(kind: Any) -> Callable[[Any], Any]:
    inner = [arg for arg in typing.get_args(kind) if arg is not type(None)]
    assert len(inner) == 1, f"only optional unions are stored, got {kind}"
    read = _reader(inner[0])
    return lambda data: None if data is None else read(data)


def _tuple_reader(args: tuple[Any, ...]) -> Callable[[Any], Any]:
    if len(args) == 2 and args[1] is Ellipsis:
        item = _reader(args[0])
        return lambda data: tuple([item(x) for x in data])
    readers = [_reader(arg) for arg in args]
    return lambda data: tuple([read(x) for read, x in zip(readers, data, strict=True)])


def _dataclass_reader(kind: Any) -> Callable[[Any], Any]:
    hints = typing.get_type_hints(kind)
    fields = {f.name: _reader(hints[f.name]) for f in dataclasses.fields(kind) if f.init}

    def read(data: dict[str, Any]) -> Any:
        return kind(**{name: fields[name](x) for name, x in data.items() if name in fields})

    return read
