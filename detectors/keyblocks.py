"""The identifiers of a block of lines, found together: only words that can hold one are looked at.

What can be seen of an identifier is sought in the bytes of all lines at once (`keys.MAY`): a separator between
letters and digits, a sign behind "id", a dash behind eight hexadecimal digits, a run of sixteen. Each is a necessary
part of one of the forms of `keys.identifiers`, so that a word without any holds nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from detectors.keys import SPLIT, Name, Words
from model.batch import Ints

Bytes = NDArray[np.uint8]

_DIGIT, _LOW, _HEX, _LETTER, _WORD, _SPACE = 1, 2, 4, 8, 16, 32
_MARGIN = 16
_RUNS = (16, 32)


def _table() -> bytes:
    found = [0] * 256
    for signs, bits in (
        ("0123456789", _DIGIT | _LOW | _HEX | _WORD),
        ("abcdef", _LOW | _HEX),
        ("ABCDEF", _HEX),
        ("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", _LETTER | _WORD),
        ("_", _WORD),
        ("\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f ", _SPACE),
    ):
        for sign in signs:
            found[ord(sign)] |= bits
    return bytes(found)


_CLASSES = _table()


def block_names(lines: Sequence[str], words: Words) -> list[Sequence[Name]]:
    """What `words.of` gives for each line.

    Examples
    --------
    >>> block_names(["order 0123456789abcdef paid", "took 35 ms", "blk_-16089 of job_1234"], Words(100))
    [(('hex', '0123456789abcdef'),), (), [('blk_', '-16089'), ('job_', '1234')]]
    """
    block = "\n".join(("", *lines, ""))
    if block.isascii() and block.count("\n") == len(lines) + 1:
        return _names(lines, block, words)
    # Other alphabets have letters and digits of their own; of those the expressions know.
    plain = [line.isascii() and "\n" not in line for line in lines]
    found = iter(block_names(list(compress(lines, plain)), words) if any(plain) else ())
    return [next(found) if ok else words.of(line) for line, ok in zip(lines, plain, strict=True)]


def _names(lines: Sequence[str], block: str, words: Words) -> list[Sequence[Name]]:
    found: list[Sequence[Name]] = [()] * len(lines)
    padded = b" " * _MARGIN + block.encode() + b" " * _MARGIN
    signs = np.frombuffer(padded, dtype=np.uint8)
    classes = np.frombuffer(padded.translate(_CLASSES), dtype=np.uint8)
    begins, ends = _runs(classes)
    sought = np.concatenate([_numbered(signs, classes), _named(signs), _uuids(signs, classes)])
    if not len(begins) + len(sought):
        return found
    feeds = np.flatnonzero(signs == ord("\n"))
    # Where a line has more to look for than runs, its words say what of it is which.
    of, busy = np.searchsorted(feeds, begins) - 1, np.zeros(len(lines), dtype=np.bool_)
    busy[np.searchsorted(feeds, sought) - 1] = True
    alone = ~busy[of]
    several = _take(found, of[alone], _cut(block, begins[alone], ends[alone]), _of_run)
    if len(sought):
        spaces = np.flatnonzero(classes & _SPACE)
        word = np.unique(np.searchsorted(spaces, np.concatenate([sought, begins[~alone]])))
        begins, ends = spaces[word - 1] + 1, spaces[word]
        of = np.searchsorted(feeds, begins) - 1
        several |= _take(found, of, _cut(block, begins, ends), words.__getitem__)
    for line in several:
        found[line] = words.chosen(found[line], lines[line])
    return found


def _cut(block: str, begins: Ints, ends: Ints) -> list[str]:
    pairs = zip((begins - _MARGIN).tolist(), (ends - _MARGIN).tolist(), strict=True)
    return [block[begin:end] for begin, end in pairs]


def _take(
    found: list[Sequence[Name]],
    of: Ints,
    parts: list[str],
    names_of: Callable[[str], tuple[Name, ...]],
) -> set[int]:
    """Add what parts of lines hold to what was found in their lines; gives the lines that hold more than one thing."""
    several = set()
    for line, part in zip(of.tolist(), parts, strict=True):
        names = names_of(part)
        if found[line]:
            found[line] = (*found[line], *names)
            several.add(line)
        elif names:
            found[line] = names
            if len(names) > 1 or names is SPLIT:
                several.add(line)
    return several


def _of_run(run: str) -> tuple[Name, ...]:
    return () if run.isalpha() else (("hex", run),)


def _numbered(signs: Bytes, classes: Bytes) -> Ints:
    """Where `_` or `-` stands behind two letters and before four digits, which may have a minus."""
    at = np.flatnonzero((signs == ord("_")) | (signs == ord("-")))
    at = at[(classes[at - 1] & classes[at - 2] & _LETTER) > 0]
    behind = at + (signs[at + 1] == ord("-"))
    for n in range(1, 5):
        digit = (classes[behind + n] & _DIGIT) > 0
        at, behind = at[digit], behind[digit]
    return at


def _named(signs: Bytes) -> Ints:
    """Where `=` or `:` stands behind "id", however it is written."""
    at = np.flatnonzero((signs == ord("=")) | (signs == ord(":")))
    named = ((signs[at - 1] | 32) == ord("d")) & ((signs[at - 2] | 32) == ord("i"))
    return np.asarray(at[named])


def _uuids(signs: Bytes, classes: Bytes) -> Ints:
    """Where a dash stands behind eight hexadecimal digits, before four of them and another dash."""
    at = np.flatnonzero(signs == ord("-"))
    at = at[signs[at + 5] == ord("-")]
    for n in (-8, -7, -6, -5, -4, -3, -2, -1, 1, 2, 3, 4):
        at = at[(classes[at + n] & _HEX) > 0]
    return np.asarray(at)


def _runs(classes: Bytes) -> tuple[Ints, Ints]:
    """Where words of just 16 or 32 hexadecimal digits begin and end."""
    run = (classes & _LOW) > 0
    for n in (1, 2, 4, 8):
        run = run[:-n] & run[n:]
    if not run.any():
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    starts = np.flatnonzero(run[1:] & ~run[:-1]) + 1
    stops = np.flatnonzero(run[:-1] & ~run[1:]) + 16
    whole = ((classes[starts - 1] | classes[stops]) & _WORD) == 0
    whole &= np.isin(stops - starts, _RUNS)
    return starts[whole], stops[whole]
