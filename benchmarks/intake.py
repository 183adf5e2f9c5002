"""How fast each intake takes up what is pushed, beside a plain decoder in the same run.

    python -m benchmarks.intake [--series 20000] [--only lines] [--no-process] [--json FILE]

- `intake_samples_per_s`: per CPU second of one core, from the body as sent to a `MetricBatch` whose series
  were seen before; `intake_first_samples_per_s` the same when every series is new.
- `intake_end_to_end_samples_per_s`: per CPU second of a whole `tocsin run` that is pushed to over loopback,
  from its socket to samples judged by its detectors.

An intake is a module with `measure(series)` and `measure_end_to_end(series, now_ms)` in `INTAKES`. Log lines
(`intake_lines`) and Elasticsearch (`intake_elasticsearch`) are measured by the line and the document.
"""

from __future__ import annotations

import time

from benchmarks import intake_elasticsearch, intake_lines, intake_otlp, intake_remote_write
from benchmarks.report import Row, arguments, tell

LINES, DOCUMENTS = 100_000, 50_000
BY_THE_LINE = ("lines", "elasticsearch")
INTAKES = {"otlp": intake_otlp, "remote_write": intake_remote_write}


def main() -> None:
    """Measure and tell."""
    parser = arguments("intake: samples a second from body to batch, and from socket to detectors")
    parser.add_argument("--series", type=int, default=20_000, metavar="N")
    parser.add_argument("--only", choices=[*sorted(INTAKES), *BY_THE_LINE], help="one intake")
    parser.add_argument("--no-process", action="store_true", help="leave the real process out")
    options = parser.parse_args()
    rows = []
    for name, intake in INTAKES.items():
        if options.only in (None, name):
            rows += intake.measure(options.series)
            if not options.no_process:
                rows += intake.measure_end_to_end(options.series, time.time_ns() // 1_000_000)
    for name in BY_THE_LINE:
        if options.only in (None, name):
            rows += _lines() if name == "lines" else _documents()
    tell(rows, options.json)


def _lines() -> list[Row]:
    return intake_lines.measure(LINES, time.time_ns() // 1_000_000)


def _documents() -> list[Row]:
    if not intake_elasticsearch.there():
        print(intake_elasticsearch.ABSENT)
        return []
    with intake_elasticsearch.server(None) as elastic:
        return intake_elasticsearch.rows(elastic, DOCUMENTS)


if __name__ == "__main__":
    main()
