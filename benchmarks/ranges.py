"""Measures of a score against labelled ranges: events at a threshold, and volume under the PR surface."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.kpi import runs

Floats = NDArray[np.float64]
Marks = NDArray[np.bool_]


def vus_pr(labels: Marks, scores: Floats, *, buffer: int = 100, steps: int = 10) -> float:
    """Volume under the precision-recall surface, over buffers of 0 to `buffer` points about each range.

    Source
    ------
    Paparrizos et al. (2022), "Volume Under the Surface"; every threshold instead of 250 of them.

    Examples
    --------
    >>> labels = np.arange(300) // 20 == 5
    >>> perfect = vus_pr(labels, labels.astype(float))
    >>> chance = vus_pr(labels, np.random.default_rng(1).random(300))
    >>> bool(perfect > 0.6), bool(chance < 0.4)
    (True, True)
    """
    order = np.argsort(-scores, kind="stable")
    lengths = np.linspace(0, buffer, steps + 1).astype(int)
    return float(np.mean([_area(labels, scores, order, int(length)) for length in lengths]))


def _area(labels: Marks, scores: Floats, order: NDArray[np.int64], length: int) -> float:
    soft = _softened(labels, length)
    segments = runs(soft > 0)
    if not segments:
        return 0.0
    told = np.arange(1, len(order) + 1)
    true = np.cumsum(soft[order])
    positives = (labels.sum() + soft.sum()) / 2.0
    highest = np.sort([scores[begin : end + 1].max() for begin, end in segments])
    seen = 1.0 - np.searchsorted(highest, scores[order], side="left") / len(segments)
    recall = np.minimum(true / positives, 1.0) * seen
    precision = true / told
    last = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    steps = np.diff(np.maximum.accumulate(recall[last]), prepend=0.0)
    return float((steps * precision[last]).sum())


def _softened(labels: Marks, length: int) -> Floats:
    """Labels with a slope of half the buffer on either side."""
    soft = labels.astype(float)
    half = length // 2
    if half == 0:
        return soft
    slope = np.sqrt(1.0 - np.arange(1, half + 1) / (length + 1.0))
    for begin, end in runs(labels):
        left, right = soft[max(0, begin - half) : begin], soft[end + 1 : end + 1 + half]
        np.maximum(left, slope[: len(left)][::-1], out=left)
        np.maximum(right, slope[: len(right)], out=right)
    return soft


def event_f1(labels: Marks, told: Marks, *, gap: int = 10) -> float:
    """F1 of labelled ranges touched, against runs of told points (gaps closed) that touch none.

    Examples
    --------
    >>> labels, told = np.zeros(60, dtype=bool), np.zeros(60, dtype=bool)
    >>> labels[10:20] = told[[15, 40]] = True
    >>> round(event_f1(labels, told), 3)
    0.667
    """
    truth = runs(labels)
    found = sum(bool(told[begin : end + 1].any()) for begin, end in truth)
    wrong = sum(not labels[begin : end + 1].any() for begin, end in runs(told, gap=gap))
    return 2.0 * found / max(found + wrong + len(truth), 1)
