"""JSON from outside, refused early where it is hostile, and read with every problem at once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

import orjson

from collectors.settings import IntakeLimits
from model.errors import InputError, UnitError
from model.labels import LABEL_BYTES_MAX, LABELS_MAX, Labels
from model.units import parse_duration

T = TypeVar("T")

Json = Any
"""What `load` returns: None, bool, int, float, str, list or dict of these."""

_PROBLEMS_MAX = 50
_DEFAULT_LIMITS = IntakeLimits()


class RefusedItems(InputError, Generic[T]):
    """Some items of a body are malformed; the others were read and are `accepted`.

    The message has one line for each problem. A caller may keep `accepted` and answer 400, as
    Alertmanager does.
    """

    def __init__(self, message: str, accepted: Iterable[T] = ()) -> None:
        super().__init__(message)
        self.accepted: tuple[T, ...] = tuple(accepted)


def load(body: bytes, limits: IntakeLimits = _DEFAULT_LIMITS) -> Json:
    """Parse a body.

    Raises
    ------
    InputError
        If it is too long or too deep, has too many values, a key twice, NaN or Infinity, lone
        surrogates or NUL, or is not JSON; the message says where. Takes well below 100 ms.

    Examples
    --------
    >>> load(b'{"a": [1]}')
    {'a': [1]}
    >>> load(b'{"a": 1, "a": 2}')
    Traceback (most recent call last):
    model.errors.InputError: key "a" is given twice in one object
    """
    if len(body) > limits.body_bytes_max:
        raise InputError(f"body: at most {limits.body_bytes_max} bytes, got {len(body)}")
    # Millions of empty arrays take seconds to build: count brackets before anything is built. Those in
    # strings count too; a body that is mostly brackets in strings is no alert either.
    if body.count(b"[") + body.count(b"{") > limits.values_max // 2:
        raise InputError(
            f"body: more than {limits.values_max // 2} objects and arrays; too many values"
        )
    try:
        # orjson first: it knows no NaN and no lone surrogates, and does not recurse far.
        data = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InputError(
            f"{error.lineno}:{error.colno}: not JSON: {error.msg.partition(': line')[0]}"
        ) from None
    _check(data, limits)
    # orjson keeps the last of two equal keys; the standard library shows both.
    json.loads(body, object_pairs_hook=_once)
    return data


def _once(pairs: list[tuple[str, Json]]) -> None:
    if len({name for name, _ in pairs}) == len(pairs):
        return
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise InputError(f"key {json.dumps(name[:80])} is given twice in one object")
        seen.add(name)


def _check(data: Json, limits: IntakeLimits) -> None:
    """Walk all values, level by level: no recursion, and no further than a limit."""
    level: list[tuple[str, Json]] = [("", data)]
    values = depth = 0
    while level:
        depth += 1
        following: list[tuple[str, Json]] = []
        for path, value in level:
            if isinstance(value, str):
                _check_text(path, value, limits)
                continue
            if not isinstance(value, dict | list):
                continue
            values += len(value) * (2 if isinstance(value, dict) else 1)
            if values > limits.values_max:
                raise InputError(f"{path or '/'}: more than {limits.values_max} values in one body")
            if depth > limits.depth_max:
                raise InputError(f"{path[:200]}: deeper than {limits.depth_max} levels")
            if isinstance(value, dict):
                for name, item in value.items():
                    _check_text(f"{path}/{name[:80]}", name, limits)
                    following.append((f"{path}/{name[:80]}", item))
            else:
                following += [(f"{path}/{n}", item) for n, item in enumerate(value)]
        level = following


def _check_text(path: str, text: str, limits: IntakeLimits) -> None:
    if len(text) > limits.text_chars_max:
        raise InputError(f"{path[:200]}: text longer than {limits.text_chars_max} characters")
    if "\0" in text:
        raise InputError(f"{path[:200]!r}: text must not hold NUL")


class Reader:
    """Reads fields out of parsed JSON and collects every problem with its path.

    Examples
    --------
    >>> reader = Reader({"title": 5, "time": "yesterday"})
    >>> reader.text("title"), reader.time_ms("time")
    ('', None)
    >>> reader.problems
    ['/title: must be text, got 5', '/time: must be a time such as "2026-01-31T12:00:00Z", got "yesterday"']
    """

    def __init__(self, data: Json, path: str = "", problems: list[str] | None = None) -> None:
        self.path = path
        self.problems: list[str] = [] if problems is None else problems
        self.data: Mapping[str, Json] = data if isinstance(data, dict) else {}
        if not isinstance(data, dict):
            self.problem("", "must be an object", data)

    def problem(self, name: str, expected: str, *came: Json) -> None:
        """Write down what was expected at a field, and what came."""
        if len(self.problems) >= _PROBLEMS_MAX:
            return
        where = f"{self.path}/{name}" if name else self.path or "/"
        got = f", got {json.dumps(came[0])[:80]}" if came else ""
        self.problems.append(f"{where}: {expected}{got}")

    def text(self, *names: str, default: str = "") -> str:
        """The first of these fields that is set, as text."""
        for name in names:
            value = self.data.get(name)
            if isinstance(value, str):
                if value:
                    return value
            elif value is not None:
                self.problem(name, "must be text", value)
        return default

    def short(self, *names: str, default: str = "", cut: bool = False) -> str:
        """The same of at most as many characters as a label has; longer ones refused or cut."""
        text = self.text(*names, default=default)
        if len(text) > LABEL_BYTES_MAX and not cut:
            name = next(name for name in names if self.data.get(name) == text)
            self.problem(name, f"longer than {LABEL_BYTES_MAX} characters")
        return text[:LABEL_BYTES_MAX]

    def flag(self, name: str, *, default: bool) -> bool:
        """A field that is true or false."""
        value = self.data.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.problem(name, "must be true or false", value)
        return value is True

    def items(self, name: str) -> list[Json]:
        """A field that is a list; empty where it is missing."""
        value = self.data.get(name)
        if value is not None and not isinstance(value, list):
            self.problem(name, "must be a list", value)
        return value if isinstance(value, list) else []

    def labels(self, name: str, *, cut: bool = False) -> Labels:
        """A field that is an object of texts; empty values are dropped, long ones refused or cut."""
        value = self.data.get(name)
        if value is None:
            return Labels()
        if not isinstance(value, dict):
            self.problem(name, "must be an object of names and texts", value)
            return Labels()
        problems = len(self.problems)
        if len(value) > LABELS_MAX:
            self.problem(name, f"at most {LABELS_MAX} are allowed, got {len(value)}")
            return Labels()
        for label, text in value.items():
            where = f"{name}/{label[:80]}"
            if not isinstance(text, str):
                self.problem(where, "must be text", text)
            elif not label:
                self.problem(where, "a name must not be empty")
            elif len(label) > LABEL_BYTES_MAX or (len(text) > LABEL_BYTES_MAX and not cut):
                self.problem(where, f"longer than {LABEL_BYTES_MAX} characters")
        if len(self.problems) > problems:
            return Labels()
        return Labels.of({label: text[:LABEL_BYTES_MAX] for label, text in value.items()})

    def time_ms(self, *names: str) -> int | None:
        """The first of these fields that is set, as a time; None where missing or Go's zero time.

        RFC 3339 text, or a number of seconds or milliseconds since the epoch.
        """
        for name in names:
            value = self.data.get(name)
            if value is None or value == "":
                continue
            time_ms = read_time_ms(value)
            if time_ms is None:
                self.problem(name, 'must be a time such as "2026-01-31T12:00:00Z"', value)
                return None
            return time_ms if time_ms > _ZERO_MS else None
        return None

    def duration_ms(self, name: str) -> int | None:
        """A field that is a duration: text such as "5m", or a number of seconds."""
        value = self.data.get(name)
        if value is None:
            return None
        if isinstance(value, str):
            try:
                return parse_duration(value)
            except UnitError as error:
                self.problem(name, str(error))
        elif isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e9:
            return round(value * 1000)
        else:
            self.problem(name, 'must be a duration such as "5m"', value)
        return None

    def check(self) -> None:
        """Raise what was collected.

        Raises
        ------
        InputError
            If there was any problem; one line each.
        """
        if self.problems:
            raise InputError("\n".join(self.problems))


_ZERO_MS = -62_135_596_800_000 + 86_400_000
_TIME_MAX_MS = 253_402_300_799_000
"""The last second of the year 9999: what is later (or as far before 1970) cannot be written as a date,
and one such alert or change would take down every page that shows it (F12)."""
_SECONDS_MAX = 100_000_000_000  # as seconds the year 5138, as milliseconds March 1973


def read_time_ms(value: Json) -> int | None:
    """RFC 3339 text or a number since the epoch as milliseconds; None where it is neither.

    Text without a zone is UTC.

    Examples
    --------
    >>> read_time_ms("1970-01-01T00:00:01.5Z"), read_time_ms(1_700_000_000), read_time_ms("soon")
    (1500, 1700000000000, None)
    """
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        since = moment - _EPOCH
        time_ms = (since.days * 86_400 + since.seconds) * 1_000 + since.microseconds // 1_000
        return min(time_ms, _TIME_MAX_MS)
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15:
        time_ms = round(value * 1000) if abs(value) < _SECONDS_MAX else round(value)
        return time_ms if abs(time_ms) < _TIME_MAX_MS else None
    return None


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read_items(
    items: list[Json],
    path: str,
    read: Callable[[Reader], T],
    limits: IntakeLimits = _DEFAULT_LIMITS,
) -> list[T]:
    """Read each item of a list.

    Raises
    ------
    RefusedItems
        If any has a problem: the message has them all, `accepted` the items that have none.
    """
    if len(items) > limits.items_max:
        raise InputError(f"{path or '/'}: at most {limits.items_max} items, got {len(items)}")
    problems: list[str] = []
    accepted: list[T] = []
    for position, item in enumerate(items):
        reader = Reader(item, f"{path}/{position}")
        value = read(reader)
        if reader.problems:
            problems += reader.problems
        else:
            accepted.append(value)
    if problems:
        raise RefusedItems("\n".join(problems[:_PROBLEMS_MAX]), accepted)
    return accepted
