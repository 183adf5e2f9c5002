"""Series as people write them in a test: `promtool test rules`' notation, and `stale` and `NaN`."""

from __future__ import annotations

import re

import numpy as np

from model.batch import STALE_NAN, Floats
from model.errors import InputError
from model.labels import Labels

SAMPLES_MAX = 1_000_000

_NUMBER = r"[+-]?(?:\d+\.?\d*(?:[eE][+-]?\d+)?|Inf|NaN)"
_RUN = re.compile(
    rf"(?P<start>{_NUMBER})(?:(?P<by>[+-]\d+\.?\d*(?:[eE][+-]?\d+)?))?x(?P<count>\d+)"
)
_MISSING = re.compile(r"_(?:x(?P<count>\d+))?")
_LABEL = re.compile(
    r'\s*(?P<name>[A-Za-z_][A-Za-z0-9_.:-]*)\s*=\s*"(?P<value>(?:[^"\\]|\\.)*)"\s*(?:,|$)'
)


def parse_values(text: str) -> tuple[Floats, Floats]:
    """Read a series' samples.

    `1x4` is one sample and four more of it; `1+2x3` is 1 3 5 7; `_` is a missing scrape and `_x3`
    three of them; `NaN` is a sample without a value; `stale` ends the series.

    Returns
    -------
    values, present : float64, shape (n_samples,)
        Where `present` is 0 nothing was scraped.

    Raises
    ------
    InputError
        If an item is none of these, or there are more than `SAMPLES_MAX`.

    Examples
    --------
    >>> parse_values("1x2 5-2x1 _x2 7")[0].tolist()
    [1.0, 1.0, 1.0, 5.0, 3.0, nan, nan, 7.0]
    >>> parse_values("1x2 5-2x1 _x2 7")[1].tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 1.0]
    """
    parts, present = [], []
    total = 0
    for item in text.split():
        part, there = _parse_item(item)
        total += len(part)
        if total > SAMPLES_MAX:
            raise InputError(f"at most {SAMPLES_MAX} samples in one series")
        parts.append(part)
        present.append(np.full(len(part), float(there)))
    if not parts:
        raise InputError('needs samples, such as "1x5 0x11 1x20"')
    return np.concatenate(parts), np.concatenate(present)


def _parse_item(item: str) -> tuple[Floats, bool]:
    if item == "stale":
        return np.array([STALE_NAN]), True
    if match := _MISSING.fullmatch(item):
        return np.full(_count(match["count"] or "1"), np.nan), False
    if match := _RUN.fullmatch(item):
        count = _count(match["count"]) + 1  # as promtool counts: the first, then so many more
        steps = np.arange(count, dtype=np.float64)
        return float(match["start"]) + float(match["by"] or 0) * steps, True
    if re.fullmatch(_NUMBER, item):
        return np.array([float(item)]), True
    raise InputError(f'must be samples such as 3, 1x5, 1+2x10, _x3, stale or NaN, got "{item}"')


def _count(digits: str) -> int:
    count = int(digits) if len(digits) <= 9 else SAMPLES_MAX + 1
    if count > SAMPLES_MAX:
        raise InputError(f"at most {SAMPLES_MAX} samples in one series, got {digits}")
    return count


def parse_labels(text: str) -> Labels:
    """Read what stands between braces: `job="pg", instance="db1"`.

    Examples
    --------
    >>> str(parse_labels('job="pg", instance="db1"'))
    '{instance="db1", job="pg"}'
    """
    found: dict[str, str] = {}
    position = 0
    while text[position:].strip():
        match = _LABEL.match(text, position)
        if match is None:
            raise InputError(
                f"""must be labels such as job="pg", got {text[position:].strip()!r}"""
            )
        if match["name"] in found:
            raise InputError(f'label "{match["name"]}" is given twice')
        found[match["name"]] = re.sub(
            r"\\(.)", lambda escape: "\n" if escape[1] == "n" else escape[1], match["value"]
        )
        position = match.end()
    return Labels.of(found)
