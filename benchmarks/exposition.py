"""How fast a scrape's text becomes rows and values, beside prometheus_client's parser.

    python -m benchmarks.exposition [--json FILE]

- `samples_per_s`: CPU time of one core, of bodies that repeat the layout of the one before with other
  values, as a target's do; `samples_per_s_first` of bodies never seen before, every line parsed.
  Made-up text: histograms by route and code, counters and gauges, about 10,000 series.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.report import Row, arguments, tell
from collectors.exposition import Format
from collectors.layout import Layout
from model.series import SeriesIndex

_ROUTES = 60
_CODES = ("200", "301", "404", "500")
_BOUNDS = ("0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf")


def _series() -> list[tuple[str, list[str]]]:
    """Families with the text of their series."""
    histogram, total, gauge = [], [], []
    for route in range(_ROUTES):
        for code in _CODES:
            labels = f'method="GET",route="/api/v1/resource{route}/items",code="{code}"'
            name = "http_request_duration_seconds"
            histogram += [f'{name}_bucket{{{labels},le="{le}"}}' for le in _BOUNDS]
            histogram += [f"{name}_sum{{{labels}}}", f"{name}_count{{{labels}}}"]
            total += [f'http_response_bytes_total{{{labels},zone="{zone}"}}' for zone in range(12)]
    for queue in range(3_700):
        gauge.append(f'queue_depth{{queue="orders-{queue}",shard="{queue % 16}"}}')
    return [
        ("# TYPE http_request_duration_seconds histogram", histogram),
        ("# TYPE http_response_bytes_total counter", total),
        ("# TYPE queue_depth gauge", gauge),
    ]


def bodies(count: int) -> list[bytes]:
    """Answers of one target, one after the other."""
    rng = np.random.default_rng(3)
    families = _series()
    made = []
    for _ in range(count):
        lines = []
        for comment, series in families:
            values = np.round(rng.lognormal(3, 2, len(series)), 3).tolist()
            lines.append(comment)
            lines += [f"{name} {value}" for name, value in zip(series, values, strict=True)]
        made.append(("\n".join(lines) + "\n").encode())
    return made


def cpu_s(work: Callable[[], object]) -> float:
    """CPU seconds of a piece of work."""
    began = time.process_time()
    work()
    return time.process_time() - began


def ours(made: list[bytes]) -> tuple[float, float]:
    """Samples a second of the first body and, by the median, of those after it."""
    layout = Layout(SeriesIndex(), source="t", target={"job": "shop", "instance": "a:80"})
    took = []
    for number, body in enumerate(made):
        began = time.process_time()
        scraped = layout.read(body, Format.TEXT, now_ms=number * 15_000)
        took.append(time.process_time() - began)
        assert scraped.bad == scraped.refused == 0
    count = len(scraped.rows)
    return count / took[0], count / float(np.median(took[1:]))


def theirs(body: bytes) -> float:
    """Samples a second of prometheus_client's parser."""

    def parse() -> int:
        return sum(len(f.samples) for f in text_string_to_metric_families(body.decode()))

    return parse() / min(cpu_s(parse) for _ in range(3))


def main() -> None:
    """Measure and tell."""
    options = arguments("exposition: text to rows and values").parse_args()
    made = bodies(40)
    first, same = ours(made)
    peer = theirs(made[0])
    subject = f"{sum(len(s) for _, s in _series()):,} series, {len(made[0]) // 1000} kB"
    name = "prometheus_client"
    tell(
        [
            Row("samples_per_s", subject, same, "1/s", name, same / peer),
            Row("samples_per_s_first", subject, first, "1/s", name, first / peer),
            Row("peer_samples_per_s", subject, peer, "1/s"),
        ],
        options.json,
    )


if __name__ == "__main__":
    main()
