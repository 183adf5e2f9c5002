"""A small double of Prometheus' HTTP API on loopback: arrays in, answers as the real one gives them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import numpy as np

from model.batch import Floats, Ints
from model.labels import Labels, Matcher
from tests.collectors.http_double import Answer, answering

LOOK_BACK_MS = 300_000


@dataclass
class Double:
    """What it knows, and what it was asked."""

    series: dict[Labels, tuple[Ints, Floats]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str], dict[str, str]]] = field(default_factory=list)
    url: str = ""
    instead: Callable[[str, Mapping[str, str]], tuple[int, bytes, dict[str, str]] | None] = (
        lambda path, form: None
    )

    def answer(self, path: str, form: Mapping[str, str]) -> tuple[int, bytes, dict[str, str]]:
        """Status, body and headers."""
        if (other := self.instead(path, form)) is not None:
            return other
        if path.startswith("/api/v1/metadata"):
            return 404, b"", {}
        if path.endswith("/series"):
            data: Any = [dict(labels) for labels, _ in self._selected(form["match[]"])]
        else:
            data = self._queried(path, form)
        body = json.dumps({"status": "success", "data": data}).encode()
        return 200, body, {"Content-Type": "application/json"}

    def _queried(self, path: str, form: Mapping[str, str]) -> Any:
        selector, _, window = form["query"].partition("[")
        result = []
        for labels, (times, values) in self._selected(selector):
            if path.endswith("/query_range"):
                start, end, step = (round(float(form[k]) * 1000) for k in ("start", "end", "step"))
                assert (end - start) // step < 11_000
                times, values = _at(times, values, np.arange(start, end + 1, step))
            elif window:
                end, length = round(float(form["time"]) * 1000), int(window.removesuffix("ms]"))
                near = (times > end - length) & (times <= end)
                times, values = times[near], values[near]
            else:
                at = np.array([round(float(form["time"]) * 1000)])
                times, values = _at(times, values, at)
            points = [
                [t / 1000, _said(v)] for t, v in zip(times.tolist(), values.tolist(), strict=True)
            ]
            if not points:
                continue
            metric = dict(labels)
            plain = "/query_range" in path or window
            result.append({"metric": metric, "values": points} if plain else {"metric": metric, "value": points[0]})  # fmt: skip
        kind = "matrix" if path.endswith("/query_range") or window else "vector"
        return {"resultType": kind, "result": result}

    def _selected(self, selector: str) -> list[tuple[Labels, tuple[Ints, Floats]]]:
        inner = selector.strip().removeprefix("{").removesuffix("}")
        parts = re.findall(r'[a-zA-Z_]+(?:=~|!~|!=|=)"(?:[^"\\]|\\.)*"', inner)
        matchers = [Matcher.parse(part) for part in parts]
        assert matchers, f"no matcher in {selector}"
        return [
            (labels, columns)
            for labels, columns in self.series.items()
            if all(matcher.matches(labels) for matcher in matchers)
        ]


def _at(times: Ints, values: Floats, grid: Ints) -> tuple[Ints, Floats]:
    at = np.searchsorted(times, grid, side="right") - 1
    seen = (at >= 0) & (grid - times[np.maximum(at, 0)] < LOOK_BACK_MS)
    return grid[seen], values[at[seen]]


def _said(value: float) -> str:
    if np.isnan(value):
        return "NaN"
    return repr(value) if np.isfinite(value) else ("+Inf" if value > 0 else "-Inf")


@contextmanager
def serving(double: Double) -> Iterator[Double]:
    """Serve it on loopback for a while."""

    def ask(method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        double.asked.append((path, form, headers))
        return double.answer(path, form)

    with answering(ask) as double.url:
        yield double
