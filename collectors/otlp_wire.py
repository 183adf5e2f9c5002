"""OTLP bodies to messages, in either encoding, refused early where they are hostile."""

from __future__ import annotations

import base64
import binascii
from typing import Any, TypeVar

from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from collectors.json_input import load
from collectors.settings import IntakeLimits
from model.errors import InputError

M = TypeVar("M", bound=Message)
Descriptor = Any
"""A message's fields; protobuf has two classes for it."""

MESSAGES_MAX = 1_000_000
"""Messages inside one body. An empty one takes two bytes as sent, and about seventy when it is decoded."""
VALUES_MAX = 2_000_000
"""Values of a body in JSON."""
_DEPTH_MAX = 16
_VALUE_DEPTH_MAX, _VALUE_ITEMS_MAX = 6, 64


def decode(body: bytes, made: type[M], *, as_json: bool, bytes_max: int) -> M:
    """Read a request.

    Parameters
    ----------
    made
        The class of message that is expected.
    as_json : bool
        Protobuf's JSON as OTLP defines it: ids in hexadecimal, enumerations as numbers.

    Raises
    ------
    InputError
        If it is not one, or is hostile: too many messages, too deep, a key twice, NUL.
    """
    if as_json:
        return _from_json(body, made, bytes_max)
    refuse_crowded(body, made)
    return parse(body, made)


def refuse_crowded(body: bytes, made: type[Message]) -> None:
    """Look at the size of what is in a body before anything is built of it.

    Raises
    ------
    InputError
        If it holds too many messages.
    """
    if len(body) > 2 * MESSAGES_MAX and crowded(body, made.DESCRIPTOR, MESSAGES_MAX):
        raise InputError(f"body: more than {MESSAGES_MAX} messages inside one")


def parse(part: bytes, made: type[M], whole: type[Message] | None = None) -> M:
    """Build a message of a body or of a part of one; `whole` is what is said to be broken then.

    Raises
    ------
    InputError
        If it is none.
    """
    try:
        return made.FromString(part)
    except (DecodeError, UnicodeDecodeError):
        raise InputError(f"body: not a {(whole or made).DESCRIPTOR.name}") from None


def crowded(body: bytes, shape: Descriptor, most: int) -> bool:
    """Whether a body holds more messages than `most`, found without building any.

    What is no protobuf at all is not crowded: decoding will refuse it.

    Examples
    --------
    >>> from opentelemetry.proto.common.v1.common_pb2 import KeyValue
    >>> shape = KeyValue.DESCRIPTOR
    >>> full = KeyValue(key="a", value=AnyValue(string_value="b")).SerializeToString()
    >>> crowded(full, shape, 0), crowded(full, shape, 1), crowded(b"no", shape, 0)
    (True, False, False)
    """
    inside = _Shapes()
    waiting: list[tuple[int, int, Descriptor]] = [(0, len(body), shape)]
    found = 0
    while waiting:
        at, end, shape = waiting.pop()
        inner = inside.of(shape)
        while at < end:
            tag, at = _varint(body, at, end)
            kind = tag & 7
            if kind == 2:
                size, at = _varint(body, at, end)
                below = inner.get(tag >> 3)
                if below is not None:
                    found += 1
                    if found > most:
                        return True
                    if size:
                        waiting.append((at, min(at + size, end), below))
                at += size
            elif kind == 0:
                _, at = _varint(body, at, end)
            elif kind in (1, 5):
                at += 8 if kind == 1 else 4
            else:
                break
    return False


class _Shapes:
    """Which fields of a message hold messages, looked up once each."""

    def __init__(self) -> None:
        self._known: dict[str, dict[int, Descriptor]] = {}

    def of(self, shape: Descriptor) -> dict[int, Descriptor]:
        found = self._known.get(shape.full_name)
        if found is None:
            found = {f.number: f.message_type for f in shape.fields if f.message_type is not None}
            self._known[shape.full_name] = found
        return found


def _varint(body: bytes, at: int, end: int) -> tuple[int, int]:
    """A number and where it ends; past the end where it is broken."""
    value = shift = 0
    while at < end and shift < 64:
        byte = body[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
    return 0, end


def _from_json(body: bytes, made: type[M], bytes_max: int) -> M:
    # A long text is a log record's: it is cut where records are read, as in protobuf.
    limits = IntakeLimits(
        body_bytes_max=bytes_max, depth_max=48, values_max=VALUES_MAX, text_chars_max=bytes_max
    )
    data = load(body, limits)
    if not isinstance(data, dict):
        raise InputError("body: must be an object")
    _ids(data)
    try:
        return ParseDict(data, made(), ignore_unknown_fields=True)
    except (ParseError, ValueError, TypeError, AttributeError, RecursionError, OverflowError) as e:
        raise InputError(f"body: not a {made.DESCRIPTOR.name}: {str(e)[:200]}") from None


_ID_FIELDS = ("traceId", "spanId", "parentSpanId", "trace_id", "span_id", "parent_span_id")


def _ids(data: dict[str, Any]) -> None:
    """Make base64, which protobuf's JSON has, of the ids that OTLP writes in hexadecimal."""
    waiting: list[Any] = [data]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            for name in _ID_FIELDS:
                if isinstance(text := value.get(name), str):
                    value[name] = _base64(name, text)
            waiting += value.values()


def _base64(name: str, text: str) -> str:
    try:
        return base64.b64encode(binascii.unhexlify(text)).decode()
    except (binascii.Error, ValueError):
        raise InputError(f"{name}: must be hexadecimal, got {text[:40]!r}") from None


def text_of(value: AnyValue, depth: int = 0) -> str:
    """An attribute's value as text; lists and maps look like JSON, cut where they are deep or long.

    Examples
    --------
    >>> text_of(AnyValue(bool_value=True)), text_of(AnyValue(double_value=1.5)), text_of(AnyValue())
    ('true', '1.5', '')
    """
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return value.string_value
    if kind == "int_value":
        return str(value.int_value)
    if kind == "bool_value":
        return "true" if value.bool_value else "false"
    if kind == "double_value":
        return f"{value.double_value:g}"
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value[:_VALUE_ITEMS_MAX]).decode()
    if kind is None:
        return ""
    if depth >= _VALUE_DEPTH_MAX:
        return "…"
    if kind == "array_value":
        items = value.array_value.values[:_VALUE_ITEMS_MAX]
        return "[" + ", ".join(text_of(item, depth + 1) for item in items) + "]"
    if kind != "kvlist_value":  # of a later version
        return ""
    pairs = value.kvlist_value.values[:_VALUE_ITEMS_MAX]
    return "{" + ", ".join(f"{p.key}: {text_of(p.value, depth + 1)}" for p in pairs) + "}"
