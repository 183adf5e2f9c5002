"""Read lines to a batch: masked, templated, at times that can be believed; whatever door they came through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from collectors.loglines import LogLine
from collectors.masking import Masking
from collectors.templates import TemplateMiner
from collectors.watermark import Watermark
from model.batch import Bools, Ints, LogBatch

_EPOCH_MS = 86_400_000
_FARTHEST_MS = 2**62


class LogBatches:
    """Makes `LogBatch`es of lines that were read.

    Parameters
    ----------
    masking
        Hides what must not be kept, before anything is mined or stored.
    miner
        Shared by all doors, so that the same message has the same template everywhere.
    watermark
        This door's own: a sender's clock is judged by what that door may be late.
    """

    def __init__(self, masking: Masking, miner: TemplateMiner, watermark: Watermark) -> None:
        self.masking = masking
        self._miner = miner
        self.watermark = watermark
        self.lines = 0

    def make(
        self,
        lines: Sequence[LogLine],
        *,
        source: str,
        now_ms: int,
        service: str = "",
        joined: Mapping[int, str] | None = None,
    ) -> LogBatch | None:
        """A batch of lines in the order they came; None where none is left.

        Parameters
        ----------
        service : str
            Of lines that name none.
        joined : dict of int to str
            What followed a line (by its place in `lines`), such as a stack trace, made safe already: it is
            masked and kept with the line, but not mined.
        """
        lines = [replace(line, message=self.masking.mask(line.message)) for line in lines]
        self.lines += len(lines)
        times, kept = settle(lines, self.watermark, now_ms)
        numbers = self._miner.mine([line.message for line in lines])
        picked = np.flatnonzero(kept).tolist()
        if not picked:
            return None
        # Templates may have been merged while the lines were mined.
        templates = np.array([self._miner.current(numbers[n]) for n in picked], dtype=np.int32)
        return LogBatch(
            times_ms=times[kept],
            templates=templates,
            severities=np.array([lines[n].severity for n in picked], dtype=np.int8),
            services=tuple(lines[n].service or service for n in picked),
            lines=tuple(self._whole(n, lines[n], joined or {}) for n in picked),
            template_texts={n: self._miner.text(n) for n in sorted(set(templates.tolist()))},
            arrival_ms=now_ms,
            source=source,
            merged=self._miner.drain_merged(),
            fields=tuple(lines[n].fields for n in picked),
        )

    def _whole(self, place: int, line: LogLine, joined: Mapping[int, str]) -> str:
        if place not in joined:
            return line.message
        return line.message + "\\n" + self.masking.mask(joined[place])


def settle(lines: Sequence[LogLine], watermark: Watermark, now_ms: int) -> tuple[Ints, Bools]:
    """Event times of lines, and which are kept.

    A line that claims to be from the future or from no time at all was written just now.
    """
    told = [now_ms if line.time_ms is None else line.time_ms for line in lines]
    times = np.array([max(-_FARTHEST_MS, min(_FARTHEST_MS, time)) for time in told], dtype=np.int64)
    settled = watermark.settle(times, now_ms=now_ms)
    keep, times = settled.keep.copy(), settled.times_ms.copy()
    wrong = ~keep & ((times > now_ms) | (np.abs(times) < _EPOCH_MS))
    times[wrong] = now_ms
    return times, keep | wrong
