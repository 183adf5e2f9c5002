"""Series that a sender has written before are known by the bytes of their labels: nothing of them is read again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np

from model.batch import Bools, Ints, Rows
from model.errors import InputError
from model.labels import LABELS_MAX, Labels, check_writable
from model.series import NAME, SeriesIndex

UNKNOWN, REFUSED = -1, -2
_RETRY_MS = 60_000
Pairs = Sequence[tuple[bytes, bytes]]


def read_labels(pairs: Pairs) -> Labels:
    """Check the labels of one series: unique, UTF-8 without NUL, nothing empty, a name.

    Remote write demands of senders that they are sorted. One that is not loses nothing by it here.

    Raises
    ------
    InputError
        With what is wrong.

    Examples
    --------
    >>> str(read_labels([(b"__name__", b"up"), (b"job", b"shop")]))
    '{__name__="up", job="shop"}'
    """
    if len(pairs) > LABELS_MAX:
        raise InputError(f"at most {LABELS_MAX} labels are allowed, got {len(pairs)}")
    try:
        texts = [(name.decode("utf-8"), value.decode("utf-8")) for name, value in pairs]
    except UnicodeDecodeError:
        raise InputError("labels must be UTF-8") from None
    found = dict(texts)
    if "" in found or "" in found.values():
        raise InputError("a label without a name or value; leave such labels out")
    if len(found) < len(texts):
        twice = next(name for at, (name, _) in enumerate(texts) if name in dict(texts[:at]))
        raise InputError(f"the label {twice[:40]!r} stands twice")
    labels = Labels.of(found)
    check_writable(labels)
    if NAME not in found:
        raise InputError(f"the label {NAME} is missing")
    return labels


class Book:
    """Numbers ("slots") for the series of one sender, by the bytes that stand for their labels.

    Those who decode (any thread) look up and add; the pipeline alone knows which slot is which row.

    Parameters
    ----------
    series_max, bytes_max : int
        Beyond either, `full` is true and the book should be replaced: what a sender writes once and
        never again must not be remembered for ever.
    """

    def __init__(self, series_max: int = 250_000, bytes_max: int = 64 * 2**20) -> None:
        self.series_max = series_max
        self.bytes_max = bytes_max
        self.bytes = 0
        self.lock = threading.Lock()
        self.slots: dict[bytes, int] = {}
        self.symbols: dict[bytes, int] = {}
        self.texts: list[bytes] = []
        self.described: set[str] = set()
        self.layouts: dict[tuple[bytes, int], tuple[Any, int]] = {}
        self.groups: dict[object, dict[tuple[bytes, tuple[float, ...]], tuple[int, ...]]] = {}
        self._labels: list[Labels] = []
        self._rows: Rows = np.full(1024, UNKNOWN, dtype=np.int32)
        self._index: SeriesIndex | None = None
        self._epoch = self._retry_ms = 0

    def __len__(self) -> int:
        return len(self._labels)

    @property
    def full(self) -> bool:
        """Whether it has more than it should remember."""
        many = max(len(self._labels), len(self.symbols) // 4) >= self.series_max
        return many or self.bytes >= self.bytes_max

    def add(self, key: bytes, labels: Labels) -> int:
        """The slot of a series that was read with care."""
        with self.lock:
            slot = self.slots.get(key)
            if slot is None:
                slot = len(self._labels)
                self._labels.append(labels)
                self.slots[key] = slot
                self.bytes += len(key)
            return slot

    def append(self, series: Sequence[Labels], size: int) -> tuple[int, ...]:
        """Slots for series that somebody remembers by other means (`groups`), at so many bytes."""
        with self.lock:
            first = len(self._labels)
            self._labels.extend(series)
            self.bytes += size
            return tuple(range(first, first + len(series)))

    def keep(self, key: tuple[bytes, int], layout: tuple[Any, int], size: int) -> None:
        """Remember where a sender's numbers stand, at so many bytes."""
        with self.lock:
            if key not in self.layouts:
                self.bytes += size
            self.layouts[key] = layout

    def labels(self, slot: int) -> Labels:
        """The label set of a slot."""
        return self._labels[slot]

    def number(self, symbol: bytes) -> int:
        """The number of a text of a 2.0 symbols table, the same in every request."""
        known = self.symbols.get(symbol)
        if known is not None:
            return known
        with self.lock:
            known = self.symbols.get(symbol)
            if known is None:
                known = len(self.texts)
                self.texts.append(symbol)  # before it can be looked up
                self.symbols[symbol] = known
                self.bytes += len(symbol)
            return known

    def describe(self, family: str, families_max: int = 20_000) -> bool:
        """Whether the kind of this family may be told of: at most so many of one sender."""
        if family not in self.described:
            if len(self.described) >= families_max:
                return False
            self.described.add(family)
        return True

    def refused(self, slots: Ints) -> Bools:
        """Which of these the pipeline could not take when it met them: a limit on series (A23)."""
        rows = self._rows
        known = slots < len(rows)
        return np.asarray(known & (rows[np.where(known, slots, 0)] == REFUSED))

    def rows(self, slots: Ints, index: SeriesIndex, *, source: str, now_ms: int) -> Rows:
        """Rows of slots, negative where a limit refuses the series; for the pipeline's thread alone."""
        if index is not self._index or index.epoch != self._epoch:
            self._index, self._epoch = index, index.epoch
            self._rows = np.full(len(self._rows), UNKNOWN, dtype=np.int32)
            self._retry_ms = now_ms
        elif now_ms - self._retry_ms >= _RETRY_MS:
            self._rows = np.where(self._rows == REFUSED, np.int32(UNKNOWN), self._rows)
            self._retry_ms = now_ms
        if len(slots) and (need := int(slots.max()) + 1) > len(self._rows):
            grown = np.full(2 * need, UNKNOWN, dtype=np.int32)
            grown[: len(self._rows)] = self._rows
            self._rows = grown
        rows = self._rows[slots]
        new = rows == UNKNOWN
        if new.any():
            for slot in np.unique(slots[new]).tolist():
                row = index.intern(self._labels[slot], source=source, now_ms=now_ms)
                self._rows[slot] = row if row >= 0 else REFUSED
            rows = self._rows[slots]
        return rows


class Books:
    """The books of all senders and formats; those used longest ago are forgotten where they hold too much.

    Parameters
    ----------
    series_max : int
        Series of one book.
    bytes_max : int
        Bytes of keys and texts of all books.
    """

    def __init__(self, series_max: int = 250_000, bytes_max: int = 256 * 2**20) -> None:
        self._series_max = series_max
        self._bytes_max = bytes_max
        self._lock = threading.Lock()
        self._books: OrderedDict[tuple[str, str], Book] = OrderedDict()

    def of(self, source: str, form: str) -> Book:
        """The book of a sender's series in a format; a new one where it is full."""
        key = (source, form)
        with self._lock:
            book = self._books.get(key)
            if book is None or book.full:
                book = self._books[key] = Book(self._series_max, self._bytes_max // 4)
            self._books.move_to_end(key)
            while len(self._books) > 1 and self._bytes > self._bytes_max:
                self._books.popitem(last=False)
            return book

    @property
    def _bytes(self) -> int:
        return sum(book.bytes for book in self._books.values())
