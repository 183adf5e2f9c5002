"""Who calls whom, learnt from traces: series that count the calls from one service to another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from detectors.judge import Judge
from detectors.roles import ROLE_NUMBER
from detectors.rows import Array
from detectors.watcher import Watcher
from model.batch import Floats, Ints
from model.calls import Calls

CALLS_MIN = 3
"""Fewer calls than this are no evidence: one span may have a wrong parent."""
EDGES_MAX = 10_000
_NOTED_MS = 60_000


@dataclass(slots=True)
class _Edge:
    """A series of calls: its last value, and how many calls were added while we looked."""

    caller: str
    callee: str
    value: float
    count: float = 0.0
    seen_ms: int = 0


class Edges(Watcher):
    """Keeps the edges of the service graph that traces show, each until it was not seen for `edges_keep`."""

    name = "edges"
    wants_samples = True

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._keep_ms = judge.settings.edges_keep_ms
        self._edges: dict[int, _Edge] = {}
        self._told: tuple[Calls, ...] = ()
        self._noted_ms = 0
        self.refused = 0

    def samples(self, rows: Array, times_ms: Ints, values: Floats, now_ms: int) -> None:
        """Take counts of calls out of what arrived."""
        if self._judge.past:
            return
        mine = self._judge.meta["role"][rows] == ROLE_NUMBER["edge"]
        for row, at_ms, value in zip(
            rows[mine].tolist(), times_ms[mine].tolist(), values[mine].tolist(), strict=True
        ):
            edge = self._edges.get(row) or self._meet(row)
            if edge is None:
                continue
            added = value - edge.value if value >= edge.value else value
            edge.value = value
            if added > 0:
                edge.count += added
                edge.seen_ms = max(edge.seen_ms, at_ms)

    def _meet(self, row: int) -> _Edge | None:
        labels = self._judge.index.labels(row)
        caller, callee = labels.get("client", ""), labels.get("server", "")
        # Tempo calls a caller that it knows nothing of "user".
        if not caller or not callee or caller in (callee, "user"):
            return None
        if len(self._edges) >= EDGES_MAX:
            self.refused += 1
            return None
        edge = self._edges[row] = _Edge(caller, callee, 0.0)
        return edge

    def step(self, now_ms: int) -> None:
        """What is known is told anew when there is news of it."""
        kept = [e for e in self._edges.values() if now_ms - e.seen_ms < self._keep_ms]
        pairs = {(e.caller, e.callee) for e in kept if e.count >= CALLS_MIN}
        same = pairs == {(c.caller, c.callee) for c in self._told}
        if same and now_ms - self._noted_ms < _NOTED_MS:
            return
        self._noted_ms = now_ms
        found: dict[tuple[str, str], Calls] = {}
        for edge in kept:
            pair = edge.caller, edge.callee
            if pair in pairs:
                before = found.get(pair, Calls(*pair))
                seen_ms = max(before.seen_ms, edge.seen_ms)
                found[pair] = Calls(*pair, before.count + int(edge.count), seen_ms)
        self._told = tuple(sorted(found.values()))

    def calls(self) -> tuple[Calls, ...]:
        """The edges there are evidence for; a value, which other threads may read."""
        return self._told

    def forget(self, rows: Array) -> None:
        """These rows go to other series."""
        for row in np.asarray(rows).tolist():
            self._edges.pop(row, None)

    def counters(self) -> dict[str, float]:
        """What `metrics.METRICS` names."""
        return {
            "tocsin_detector_edges": len(self._told),
            "tocsin_detector_edges_refused_total": self.refused,
        }

    def save(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Edges by row."""
        edges = [
            [row, e.caller, e.callee, e.value, e.count, e.seen_ms] for row, e in self._edges.items()
        ]
        return {}, {"edges": edges, "refused": self.refused}

    def load(self, arrays: dict[str, Array], state: dict[str, Any]) -> None:
        """Take over what `save` gave."""
        self._edges = {row: _Edge(*rest) for row, *rest in state.get("edges", ())}
        self.refused = state.get("refused", 0)
        latest_ms = max((e.seen_ms for e in self._edges.values()), default=0)
        self._noted_ms = 0
        self.step(latest_ms)
