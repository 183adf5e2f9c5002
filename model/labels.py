"""Label sets and matchers, with Prometheus' and Alertmanager's meaning."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar, overload

import re2

from model.errors import LabelError

T = TypeVar("T")

LABELS_MAX = 64
LABEL_BYTES_MAX = 4096

_FNV_OFFSET = 14695981039346656037
_FNV_PRIME = 1099511628211


_HALF = re.compile("[\ud800-\udfff]")
_SHARED_MAX = 100_000
# One object for equal pairs: `job="shop"` stands on thousands of series.
_shared_pairs: dict[tuple[str, str], tuple[str, str]] = {}


def _check(items: Mapping[str, str]) -> None:
    for name, value in items.items():
        if not isinstance(name, str) or not name:
            raise LabelError(f"a label name must be non-empty text, got {name!r}")
        if not isinstance(value, str):
            raise LabelError(f"label {name!r}: the value must be text, got {value!r}")
        if len(name) > LABEL_BYTES_MAX or len(value) > LABEL_BYTES_MAX:
            raise LabelError(f"label {name[:40]!r}: longer than {LABEL_BYTES_MAX} characters")


def check_writable(labels: Mapping[str, str]) -> None:
    r"""Refuse what no database takes, before a series is made of it: NUL, and half of a surrogate pair.

    For the doors through which a label's bytes come from outside. What is stored already is not asked again.

    Raises
    ------
    LabelError
        If a name or a value holds either.

    Examples
    --------
    >>> check_writable({"job": "größer"})
    >>> check_writable({"job": "a\0"})
    Traceback (most recent call last):
    model.errors.LabelError: label 'job': NUL is not allowed
    """
    for name, value in labels.items():
        if "\0" in name or "\0" in value:
            raise LabelError(f"label {name[:40]!r}: NUL is not allowed")
        if not (name + value).isascii() and _HALF.search(name + value):
            raise LabelError(f"label {name[:40]!r}: half of a surrogate pair is not allowed")


class Labels(Mapping[str, str]):
    """A sorted, hashable set of label names and values; an empty value means no label.

    Examples
    --------
    >>> labels = Labels.of({"job": "shop", "instance": "a"})
    >>> str(labels), labels["job"], labels.get("zone", "")
    ('{instance="a", job="shop"}', 'shop', '')
    >>> labels == Labels.of({"instance": "a", "job": "shop"})
    True
    """

    # No dictionary inside: a million of these are held, and a handful of pairs is scanned as fast.
    __slots__ = ("_hash", "pairs")

    pairs: tuple[tuple[str, str], ...]

    def __init__(self, pairs: tuple[tuple[str, str], ...] = ()) -> None:
        """Take pairs that are already sorted and unique; `Labels.of` sorts and checks."""
        self.pairs = pairs
        self._hash = hash(pairs)

    @classmethod
    def of(cls, labels: Mapping[str, str] | Iterable[tuple[str, str]]) -> Labels:
        """Sort a mapping (or pairs) into a label set.

        Raises
        ------
        LabelError
            If a name is empty or not text, a value is not text, or a limit is passed.
        """
        items = labels if isinstance(labels, dict) else dict(labels)
        if len(items) > LABELS_MAX:
            raise LabelError(f"at most {LABELS_MAX} labels are allowed, got {len(items)}")
        try:  # whether all is as it should be, in a few calls: churn brings thousands a second
            chars = len("".join(items)) + len("".join(items.values()))
        except TypeError:
            chars = LABEL_BYTES_MAX + 1
        if chars > LABEL_BYTES_MAX or "" in items:
            _check(items)
        if len(_shared_pairs) >= _SHARED_MAX:
            _shared_pairs.clear()
        shared = _shared_pairs.setdefault
        return cls(tuple(sorted([shared(pair, pair) for pair in items.items() if pair[1]])))

    def __getitem__(self, name: str) -> str:
        for known, value in self.pairs:
            if known == name:
                return value
        raise KeyError(name)

    @overload
    def get(self, key: str, /) -> str | None: ...
    @overload
    def get(self, key: str, /, default: str | T) -> str | T: ...
    def get(self, key: str, /, default: str | T | None = None) -> str | T | None:
        """The value of a label, or `default`."""
        for known, value in self.pairs:
            if known == key:
                return value
        return default

    def __contains__(self, name: object) -> bool:
        return any(known == name for known, _ in self.pairs)

    def __iter__(self) -> Iterator[str]:
        return iter([name for name, _ in self.pairs])

    def __len__(self) -> int:
        return len(self.pairs)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Labels):
            return self.pairs == other.pairs
        return NotImplemented

    def __lt__(self, other: Labels) -> bool:
        return self.pairs < other.pairs

    def __repr__(self) -> str:
        return f"Labels({self.pairs!r})"

    def __str__(self) -> str:
        return "{" + ", ".join(f'{n}="{_escape(v)}"' for n, v in self.pairs) + "}"

    def with_(self, **more: str) -> Labels:
        """The same labels with some set (or, by an empty value, removed)."""
        kept = [pair for pair in self.pairs if pair[0] not in more]
        if len(kept) + len(more) > LABELS_MAX:
            raise LabelError(
                f"at most {LABELS_MAX} labels are allowed, got {len(kept) + len(more)}"
            )
        return Labels(tuple(sorted([*kept, *Labels.of(more).pairs])))

    def without(self, *names: str) -> Labels:
        """The same labels with some left out."""
        return Labels(tuple(pair for pair in self.pairs if pair[0] not in names))

    def only(self, *names: str) -> Labels:
        """Just these labels, where they are set."""
        return Labels(tuple(pair for pair in self.pairs if pair[0] in names))

    def fingerprint(self) -> str:
        """Sixteen hex digits, the same as Prometheus' and Alertmanager's (FNV-1a, 64 bits).

        Examples
        --------
        >>> Labels().fingerprint()
        'cbf29ce484222325'
        """
        value = _FNV_OFFSET
        for name, text in self.pairs:
            for byte in name.encode("utf-8", "surrogatepass") + b"\xff":
                value = ((value ^ byte) * _FNV_PRIME) & 0xFFFFFFFFFFFFFFFF
            for byte in text.encode("utf-8", "surrogatepass") + b"\xff":
                value = ((value ^ byte) * _FNV_PRIME) & 0xFFFFFFFFFFFFFFFF
        return f"{value:016x}"


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


class MatchOp(StrEnum):
    """How a matcher compares."""

    EQUAL = "="
    NOT_EQUAL = "!="
    REGEX = "=~"
    NOT_REGEX = "!~"


@dataclass(frozen=True, slots=True)
class Matcher:
    """One comparison of a label; regular expressions are anchored and run in linear time (RE2).

    Examples
    --------
    >>> Matcher.parse('severity=~"warning|critical"').matches(Labels.of({"severity": "critical"}))
    True
    """

    name: str
    op: MatchOp
    value: str
    _regex: object = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        if not self.name:
            raise LabelError("a matcher needs a label name")
        if self.op in (MatchOp.REGEX, MatchOp.NOT_REGEX):
            try:
                options = re2.Options()
                options.log_errors = False
                compiled = re2.compile(self.value, options)
            except re2.error as error:
                detail = error.args[0] if error.args else error
                if isinstance(detail, bytes):
                    detail = detail.decode("utf-8", "replace")
                raise LabelError(f"not a regular expression: {self.value!r}: {detail}") from None
            object.__setattr__(self, "_regex", compiled)

    @classmethod
    def parse(cls, text: str) -> Matcher:
        """Read one matcher in Alertmanager's grammar: `name="value"`, quotes optional.

        Raises
        ------
        LabelError
            If `text` is not a name, an operator and a value.
        """
        match = _MATCHER.fullmatch(text.strip())
        if match is None:
            raise LabelError(
                f"""must be a matcher such as team="db" or tier=~"1|2", got {text!r}"""
            )
        name = match["name"] or _unescape(match["qname"])
        value = match["value"] or _unescape(match["qvalue"] or "")
        return cls(name, MatchOp(match["op"]), value)

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether the label set passes; a missing label counts as an empty value."""
        value = labels.get(self.name, "")
        if self.op is MatchOp.EQUAL:
            return value == self.value
        if self.op is MatchOp.NOT_EQUAL:
            return value != self.value
        found = self._regex.fullmatch(value) is not None  # type: ignore[attr-defined]
        return found is (self.op is MatchOp.REGEX)

    def __str__(self) -> str:
        plain = _PLAIN_NAME.fullmatch(self.name) is not None
        name = self.name if plain else f'"{_escape(self.name)}"'
        return f'{name}{self.op}"{_escape(self.value)}"'


_MATCHER = re.compile(
    r'(?:"(?P<qname>(?:[^"\\]|\\.)+)"|(?P<name>[^\s"=!~{},]+))\s*(?P<op>=~|!~|!=|=)\s*'
    r'(?:"(?P<qvalue>(?:[^"\\]|\\.)*)"|(?P<value>[^\s"{},]*))',
    re.DOTALL,
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_PLAIN_NAME = re.compile(r'[^\s"=!~{},]+')


def _unescape(text: str) -> str:
    return _ESCAPED.sub(lambda found: "\n" if found[1] == "n" else found[1], text)


def matches_all(matchers: Iterable[Matcher], labels: Mapping[str, str]) -> bool:
    """Whether every matcher passes.

    Examples
    --------
    >>> matches_all([Matcher.parse("a=1"), Matcher.parse("b!=2")], {"a": "1"})
    True
    """
    return all(matcher.matches(labels) for matcher in matchers)
