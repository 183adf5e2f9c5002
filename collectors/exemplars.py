"""Exemplars: one observation of many, with the trace it was seen in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from model.errors import InputError
from model.labels import Labels

CHARACTERS_MAX = 1_024
"""Of all names and values of one exemplar; OpenMetrics 1.0 allows 128."""


@dataclass(frozen=True, slots=True)
class Exemplar:
    """An observation that a sender chose as an example.

    Attributes
    ----------
    series : Labels
        What it was counted in.
    labels : Labels
        What is said of it: usually `trace_id`.
    time_ms : int
    value : float
        In the series' unit.
    """

    series: Labels
    labels: Labels
    time_ms: int
    value: float

    @property
    def trace_id(self) -> str:
        """The trace it was seen in, or ""."""
        return self.labels.get("trace_id", "") or self.labels.get("traceID", "")


def exemplar_labels(pairs: Sequence[tuple[bytes, bytes]]) -> Labels:
    """Labels of an exemplar; there may be none.

    Raises
    ------
    InputError
        If they are not valid.

    Examples
    --------
    >>> str(exemplar_labels([(b"trace_id", b"4bf92f35")]))
    '{trace_id="4bf92f35"}'
    """
    try:
        texts = [(name.decode("utf-8"), value.decode("utf-8")) for name, value in pairs]
    except UnicodeDecodeError:
        raise InputError("labels of an exemplar must be UTF-8") from None
    if any(not name for name, _ in texts) or len(dict(texts)) < len(texts):
        raise InputError("labels of an exemplar must have names, each once")
    if sum(len(name) + len(value) for name, value in texts) > CHARACTERS_MAX:
        raise InputError(f"labels of an exemplar must have at most {CHARACTERS_MAX} characters")
    return Labels.of([(name, value) for name, value in texts if value])
