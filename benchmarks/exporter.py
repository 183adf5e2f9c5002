"""Targets with many series, on a core of their own: what the load benchmark scrapes.

    python -m benchmarks.exporter PORT TARGETS SERIES_PER_TARGET

Bodies are made up before the first request, sixteen of each target, so that serving costs little.
"""

from __future__ import annotations

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

VARIANTS = 16


def bodies(target: int, series: int) -> list[bytes]:
    """The same series with other values: a third each of gauges, counters and quiet gauges."""
    rng = np.random.default_rng(target)
    level = rng.uniform(10, 1000, series)
    made = []
    for turn in range(VARIANTS):
        values = level * (1 + 0.05 * rng.standard_normal(series))
        counters = np.floor(level * 100) + turn * np.floor(level)
        lines = []
        for kind, name in enumerate(("pool_size", "requests_total", "temperature")):
            lines.append(f"# TYPE bench_{name} {'counter' if kind == 1 else 'gauge'}")
            for n in range(kind, series, 3):
                value = counters[n] if kind == 1 else values[n] if kind == 0 else level[n]
                lines.append(
                    f'bench_{name}{{pod="p{n % 50}",shard="{n}",zone="z{n % 3}"}} {value:.6g}'
                )
        made.append(("\n".join(lines) + "\n").encode())
    return made


def main() -> None:
    """Serve until killed."""
    port, targets, series = (int(word) for word in sys.argv[1:4])
    kept = {f"/t{n}": bodies(n, series) for n in range(targets)}
    turns = dict.fromkeys(kept, 0)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            """Quietly."""

        def do_GET(self) -> None:
            """One scrape."""
            variants = kept.get(self.path, [b""])
            turn = turns.get(self.path, 0)
            turns[self.path] = turn + 1
            body = variants[turn % len(variants)]
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    main()
