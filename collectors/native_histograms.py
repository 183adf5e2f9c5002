"""Native histograms of remote write as classic ones: buckets by `le`, a count, a sum.

A native histogram finds its own buckets, and may change their resolution from one sample to the next. The
detectors read buckets that stay (`otlp_buckets` has the grid, and says why). Where classic buckets of the same
histogram are written as well, both say the same of one distribution, each at its own bounds.

Source: Prometheus' native histograms specification; `prompb.Histogram`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np

from collectors.otlp_buckets import STEPS, bound_text, bounds, cumulate_sparse
from collectors.remote_messages import Histogram
from collectors.remote_series import Book
from model.batch import STALE_NAN, is_stale
from model.errors import InputError
from model.labels import Labels
from model.series import NAME

SAMPLES = STEPS + 3
"""Of one histogram with buckets of its own: the grid's bounds, +Inf, count, sum."""
BUCKETS_MAX = 2_000
_CUSTOM = -53
_SCHEMA_MIN, _SCHEMA_MAX = -9, 8  # Prometheus lowers a finer resolution to 8 itself
_GAUGE = 3
_UNITS = {"_seconds": "s", "_milliseconds": "ms", "_microseconds": "us", "_nanoseconds": "ns"}


@dataclass(frozen=True, slots=True)
class Native:
    """One sample of a native histogram.

    Attributes
    ----------
    time_ms : int
    steps : tuple of float
        Upper bounds, ascending, without the infinite one.
    values : tuple of float
        Observations up to each bound, of all, of all once more (the count), and their sum; staleness
        markers where the series ended.
    """

    time_ms: int
    steps: tuple[float, ...]
    values: tuple[float, ...]


def read_native(data: bytes, family: str) -> Native:
    """Read a histogram as sent.

    Raises
    ------
    InputError
        If it contradicts itself, has too many buckets, or is of a kind that is not read.

    Examples
    --------
    >>> sent = Histogram(count_int=3, sum=2.5, timestamp=7, positive_deltas=[2, -1])
    >>> _ = sent.positive_spans.add(offset=0, length=2)
    >>> native = read_native(sent.SerializeToString(), "wait_seconds")
    >>> dict(zip(native.steps, native.values))[1.0], native.values[-3:]
    (2.0, (3.0, 3.0, 2.5))
    """
    sent = _parsed(data)
    if sent.reset_hint == _GAUGE:
        raise InputError("a gauge histogram; only such as count up are read")
    if bool(is_stale(np.array([sent.sum]))[0]):
        steps = _custom_steps(sent) if sent.schema == _CUSTOM else bounds(_unit(family))
        return Native(sent.timestamp, steps, (float(STALE_NAN),) * (len(steps) + 3))
    # Of whole and broken counts only one kind is there.
    count, zero = sent.count_float or sent.count_int, sent.zero_count_float or sent.zero_count_int
    positive = list(_buckets(sent.positive_spans, sent.positive_deltas, sent.positive_counts))
    negative = list(_buckets(sent.negative_spans, sent.negative_deltas, sent.negative_counts))
    below = sum(amount for _, amount in negative)
    _check(count, zero + below, positive, sent)
    if sent.schema == _CUSTOM:
        steps = _custom_steps(sent)
        upto = _cumulated_custom(steps, positive)
    else:
        steps = bounds(_unit(family))
        upto = _cumulated(sent.schema, family, float(zero + below), positive)
    return Native(
        sent.timestamp, steps, (*map(float, upto), float(count), float(count), float(sent.sum))
    )


def _parsed(data: bytes) -> Any:
    try:
        return Histogram.FromString(data)
    except Exception as error:  # protobuf's DecodeError, by another name in each implementation
        raise InputError(f"a histogram that is no protobuf ({type(error).__name__})") from None


def _unit(family: str) -> str:
    return next((unit for end, unit in _UNITS.items() if family.endswith(end)), "")


def _buckets(
    spans: Sequence[Any], deltas: Sequence[int], counts: Sequence[float]
) -> Iterator[tuple[int, float]]:
    """Numbers of buckets and what is in them; whole counts are sent as differences."""
    if deltas and counts:
        raise InputError("whole and broken counts in one histogram")
    amounts: list[Any] = list(accumulate(deltas)) if deltas else list(counts)
    if sum(span.length for span in spans) != len(amounts):
        raise InputError(f"spans do not fit {len(amounts)} buckets")
    if len(amounts) > BUCKETS_MAX:
        raise InputError(f"more than {BUCKETS_MAX} buckets")
    number, at = 0, 0
    for place, span in enumerate(spans):
        if place and span.offset < 0:
            raise InputError("a span begins before the one before it ends")
        number += span.offset
        for amount in amounts[at : at + span.length]:
            yield number, amount
            number += 1
        at += span.length


def _check(count: float, least: float, positive: Iterable[tuple[int, float]], sent: Any) -> None:
    total = least
    for _, amount in positive:
        if not amount >= 0:
            raise InputError(f"a bucket with {amount:g} observations")
        total += amount
    if not (least >= 0 and math.isfinite(total)):
        raise InputError("a count of observations that is negative or no number")
    # Observations that are no number are in the count and in no bucket; the sum tells that there were some.
    rounding = 1e-9 * count if sent.count_float else 0.0
    if total > count + rounding or (total < count - rounding and not math.isnan(sent.sum)):
        raise InputError(f"{total:g} observations in buckets, {count:g} in all")


def _cumulated(
    schema: int, family: str, least: float, positive: Iterable[tuple[int, float]]
) -> list[float]:
    if not _SCHEMA_MIN <= schema <= _SCHEMA_MAX:
        raise InputError(f"schema {schema}: must lie between {_SCHEMA_MIN} and {_SCHEMA_MAX}")
    return cumulate_sparse(_unit(family), scale=schema, least=least, buckets=positive)


def _custom_steps(sent: Any) -> tuple[float, ...]:
    steps = tuple(sent.custom_values)
    if len(steps) > BUCKETS_MAX:
        raise InputError(f"more than {BUCKETS_MAX} bounds")
    if any(not a < b for a, b in zip(steps, steps[1:], strict=False)) or any(
        map(math.isnan, steps)
    ):
        raise InputError("bounds must ascend")
    return steps[:-1] if steps and steps[-1] == math.inf else steps


def _cumulated_custom(
    steps: tuple[float, ...], positive: Iterable[tuple[int, float]]
) -> list[float]:
    within = [0.0] * (len(steps) + 1)
    for number, amount in positive:
        if not 0 <= number <= len(steps):
            raise InputError(f"a bucket beyond the {len(steps)} bounds")
        within[number] += amount
    return list(accumulate(within))[:-1]


def native_slots(
    key: bytes, labels: Labels, steps: tuple[float, ...], book: Book
) -> tuple[int, ...]:
    """The slots of a histogram's series, in the order of `Native.values`.

    Parameters
    ----------
    key : bytes
        What stands for `labels` in the book.
    """
    known = book.groups.setdefault("native", {})
    slots = known.get((key, steps))
    if slots is None:
        family, rest = labels[NAME], dict(labels)
        series = [
            *(
                Labels.of({**rest, NAME: f"{family}_bucket", "le": bound_text(bound)})
                for bound in steps
            ),
            Labels.of({**rest, NAME: f"{family}_bucket", "le": "+Inf"}),
            Labels.of({**rest, NAME: f"{family}_count"}),
            Labels.of({**rest, NAME: f"{family}_sum"}),
        ]
        slots = known[key, steps] = book.append(series, len(key) + 8 * len(steps))
    return slots
