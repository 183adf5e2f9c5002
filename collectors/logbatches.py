"""Read lines to a batch: masked, templated, at times that can be believed; whatever door they came through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import compress

import numpy as np

from collectors.logformats import Row
from collectors.masking import Masking
from collectors.templates import TemplateMiner
from collectors.watermark import Watermark
from model.batch import Bools, Ints, LogBatch, Rows

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
        lines: Sequence[Row],
        *,
        source: str,
        now_ms: int,
        service: str = "",
        joined: Mapping[int, str] | None = None,
    ) -> LogBatch | None:
        """A batch of lines in the order they came; None where none is left.

        Parameters
        ----------
        lines : sequence of `LogLine`, or of rows that have its attributes
        service : str
            Of lines that name none.
        joined : dict of int to str
            What followed a line (by its place in `lines`), such as a stack trace, made safe already: it is
            masked and kept with the line, but not mined.
        """
        if not lines:
            return None
        self.lines += len(lines)
        said, told, severities, services, _, _, fields = zip(*lines, strict=True)
        messages = self.masking.mask_all(said)
        times, kept = settle(told, self.watermark, now_ms)
        picked: list[bool] = kept.tolist()
        numbers = np.array(self._miner.mine(messages), dtype=np.int32)[kept]
        if not len(numbers):
            return None
        for place, text in (joined or {}).items():
            if picked[place]:
                messages[place] += "\\n" + self.masking.mask(text)
        templates, texts = self._named(numbers)
        return LogBatch(
            times_ms=times[kept],
            templates=templates,
            severities=np.array(severities, dtype=np.int8)[kept],
            services=tuple(compress([name or service for name in services], picked)),
            lines=tuple(compress(messages, picked)),
            template_texts=texts,
            arrival_ms=now_ms,
            source=source,
            merged=self._miner.drain_merged(),
            fields=tuple(compress(fields, picked)),
        )

    def _named(self, numbers: Rows) -> tuple[Rows, dict[int, str]]:
        """Numbers as they are now, and their texts: templates may have been merged while lines were mined."""
        known, place = np.unique(numbers, return_inverse=True)
        current = [self._miner.current(number) for number in known.tolist()]
        texts = {number: self._miner.text(number) for number in sorted(set(current))}
        return np.array(current, dtype=np.int32)[place], texts


def settle(told: Sequence[int | None], watermark: Watermark, now_ms: int) -> tuple[Ints, Bools]:
    """Event times of lines, and which are kept.

    A line that claims to be from the future or from no time at all was written just now.
    """
    known = [now_ms if time is None else time for time in told]
    try:
        times = np.array(known, dtype=np.int64)
    except OverflowError:
        times = np.array([max(-_FARTHEST_MS, min(_FARTHEST_MS, time)) for time in known])
    settled = watermark.settle(times.clip(-_FARTHEST_MS, _FARTHEST_MS), now_ms=now_ms)
    keep, times = settled.keep.copy(), settled.times_ms.copy()
    wrong = ~keep & ((times > now_ms) | (np.abs(times) < _EPOCH_MS))
    times[wrong] = now_ms
    return times, keep | wrong
