"""Recorded or written log lines into the batches that detectors take."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from collectors.templates import TemplateMiner
from model.batch import LogBatch
from pipeline.recording import LogLine

_SEVERITIES = {
    "trace": 1,
    "debug": 5,
    "info": 9,
    "notice": 10,
    "warn": 13,
    "warning": 13,
    "error": 17,
    "critical": 21,
    "fatal": 21,
}


def severity_number(word: str) -> int:
    """OpenTelemetry's number for a word; 0 where it is unknown.

    Examples
    --------
    >>> severity_number("ERROR"), severity_number("17"), severity_number("")
    (17, 17, 0)
    """
    if word.isascii() and word.isdigit() and len(word) <= 2:
        return min(int(word), 24)
    return _SEVERITIES.get(word.lower(), 0)


class LogReader:
    """Gives lines their templates, as the log collector does."""

    def __init__(self) -> None:
        self._miner = TemplateMiner()

    def read(self, lines: Sequence[LogLine], now_ms: int) -> list[LogBatch]:
        """One batch of lines that arrived together; none for none."""
        if not lines:
            return []
        mined = self._miner.mine([line.line for line in lines])
        numbers = [self._miner.current(number) for number in mined]
        return [
            LogBatch(
                np.array([line.time_ms for line in lines], dtype=np.int64),
                np.array(numbers, dtype=np.int32),
                np.array([severity_number(line.severity) for line in lines], dtype=np.int8),
                tuple(line.service for line in lines),
                tuple(line.line for line in lines),
                {number: self._miner.text(number) for number in sorted(set(numbers))},
                now_ms,
                lines[0].source or "recording",
                self._miner.drain_merged(),
            )
        ]
