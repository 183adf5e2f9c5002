"""How fast log lines come out of an Elasticsearch, beside the scan helper of Elastic's client.

    python -m benchmarks.intake_elasticsearch [--url http://127.0.0.1:9200] [--documents N] [--json FILE]

- `documents_per_cpu_s`: of one core of the reader, from the answer's bytes to log lines; the peer stops at dicts.
- `documents_per_s`: by the clock; the server, on the same machine, is most of it.
- `documents_per_cpu_s_batched`: the same with masking and templates, as the pipeline takes them.

Documents as Filebeat ships them, about 1.2 KB each. Without `--url` it starts the server of the integration tests
(`tests/integration/install.sh` fetches it).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.report import Row, arguments, tell
from collectors.elastic_poll import ElasticPoll
from collectors.elastic_round import Reading
from collectors.elastic_seen import Seen
from collectors.elastic_settings import ElasticsearchSettings
from collectors.logbatches import LogBatches
from collectors.masking import DEFAULT, Masking
from collectors.settings import WatermarkSettings
from collectors.templates import TemplateMiner
from collectors.watermark import Watermark
from model.clock import SystemClock
from model.series import SeriesIndex
from tests.integration.conftest import Servers
from tests.integration.elastic_server import STORED, Elastic, elastic_in

INDEX = "bench-intake"
_WORDS = (
    "order paid cart item stock user session token cache miss retry queue worker timeout".split()
)
_REPEATS = 3


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds, and how many documents came."""

    cpu_s: float
    wall_s: float
    count: int


@contextmanager
def server(url: str | None) -> Iterator[Elastic]:
    """The one that is named, or one of our own."""
    if url:
        yield Elastic(url.rstrip("/"))
        return
    with TemporaryDirectory() as folder, elastic_in(Path(folder), Servers()) as started:
        yield started


def fill(elastic: Elastic, count: int, now_ms: int) -> None:
    """Index documents of the last half hour."""
    rng = np.random.default_rng(7)
    elastic.ask(
        "PUT",
        f"/{INDEX}",
        {
            "settings": {"number_of_replicas": 0},
            "mappings": {"dynamic": False, "properties": {"@timestamp": {"type": "date"}}},
        },
    )
    for begin in range(0, count, 2_000):
        made = [_document(rng, n, count, now_ms) for n in range(begin, min(count, begin + 2_000))]
        elastic.put(INDEX, *made)


def _document(rng: np.random.Generator, n: int, count: int, now_ms: int) -> dict[str, Any]:
    words = " ".join(rng.choice(_WORDS, 6))
    host = f"web-{n % 20:02d}.eu.example"
    return {
        "@timestamp": now_ms - 1_800_000 + n * 1_700_000 // count,
        "message": f"{words} id={int(rng.integers(10**9))} took {int(rng.integers(900))} ms",
        "log": {
            "level": str(rng.choice(["info", "info", "warn", "error"])),
            "file": {"path": f"/var/log/shop/cart-{n % 7}.log", "inode": str(n % 7 + 41_000)},
            "offset": n * 180,
        },
        "service": {"name": f"service-{n % 12}", "environment": "production"},
        "host": {
            "name": host,
            "hostname": host,
            "architecture": "x86_64",
            "ip": [f"10.1.{n % 20}.7", "fe80::1"],
            "mac": ["00-16-3E-11-22-33"],
            "os": {"family": "debian", "kernel": "6.1.0-18-amd64", "version": "12 (bookworm)"},
        },
        "agent": {"type": "filebeat", "version": "8.15.3", "id": f"{n % 20:032x}", "name": host},
        "cloud": {"provider": "aws", "region": "eu-central-1", "instance": {"id": f"i-{n % 20}"}},
        "event": {"dataset": "cart.log", "ingested": now_ms, "duration": int(rng.integers(10**9))},
        "trace": {"id": f"{int(rng.integers(2**62)):032x}"},
        "ecs": {"version": "8.0.0"},
        "input": {"type": "filestream"},
        "tags": ["beats_input_raw_event", "shop"],
    }


def timed(work: Callable[[], int]) -> Took:
    """The quickest of some runs, by CPU."""
    runs = []
    for _ in range(_REPEATS):
        cpu_s, wall_s = time.process_time(), time.perf_counter()
        count = work()
        runs.append(Took(time.process_time() - cpu_s, time.perf_counter() - wall_s, count))
    return min(runs, key=lambda run: run.cpu_s)


def poll_of(elastic: Elastic, count: int) -> ElasticPoll:
    """Ours, from half an hour ago."""
    settings = ElasticsearchSettings(
        url=elastic.url, index=INDEX, since_ms=1_900_000, lines_max=2 * count, seen_max=4 * count
    )
    watermark = Watermark.for_logs(WatermarkSettings())
    logs = LogBatches(Masking(DEFAULT), TemplateMiner(), watermark)
    return ElasticPoll(settings, SeriesIndex(), logs, SystemClock())


def lines_of(elastic: Elastic, count: int, now_ms: int) -> int:
    """Ours, up to log lines."""
    poll = poll_of(elastic, count)
    seen = Seen(4 * count)
    seen.begin(now_ms - 1_900_000)
    found = Reading(poll.api, seen).run(now_ms)
    poll.close()
    assert found.error is None, found.error
    return sum(hit.read is not None for hit in found.hits)


def batched(elastic: Elastic, count: int, now_ms: int) -> int:
    """Ours, up to batches."""
    poll = poll_of(elastic, count)
    poll.poll(now_ms)
    poll.wait(600.0)
    lines = sum(len(batch) for batch in poll.poll(now_ms) if hasattr(batch, "lines"))
    poll.close()
    return lines


def scanned(elastic: Elastic, now_ms: int, *, ordered: bool) -> int:
    """The client's helper, up to dicts."""
    client = import_module("elasticsearch").Elasticsearch(elastic.url, request_timeout=60)
    query = {
        "query": {"range": {"@timestamp": {"gte": now_ms - 1_900_000, "format": "epoch_millis"}}}
    }
    if ordered:
        query["sort"] = [{"@timestamp": "asc"}]  # type: ignore[assignment]
    helpers = import_module("elasticsearch.helpers")
    found = helpers.scan(client, query=query, index=INDEX, size=1_000, preserve_order=ordered)
    count = sum("message" in hit["_source"] for hit in found)
    client.close()
    return count


def rows(elastic: Elastic, count: int) -> list[Row]:
    """Fill, read in each way, compare."""
    now_ms = SystemClock().now_ms()
    fill(elastic, count, now_ms)
    ours = timed(lambda: lines_of(elastic, count, now_ms))
    batches = timed(lambda: batched(elastic, count, now_ms))
    assert ours.count == batches.count == count, (ours.count, batches.count, count)
    subject = f"{count:,} documents"
    peers: dict[str, Took] = {}
    if find_spec("elasticsearch") is not None:
        peers["elasticsearch scan"] = timed(lambda: scanned(elastic, now_ms, ordered=False))
        peers["elasticsearch scan, in order"] = timed(
            lambda: scanned(elastic, now_ms, ordered=True)
        )
        assert all(took.count == count for took in peers.values())
    else:
        print("elasticsearch is not installed (requirements/peers.txt): nothing to compare with")
    found = []
    for peer, theirs in (dict[str, Took | None](peers) or {"": None}).items():
        cpu = None if theirs is None else theirs.cpu_s / ours.cpu_s
        wall = None if theirs is None else theirs.wall_s / ours.wall_s
        found += [
            Row("documents_per_cpu_s", subject, count / ours.cpu_s, "1/s", peer, cpu),
            Row("documents_per_s", subject, count / ours.wall_s, "1/s", peer, wall),
        ]
    found.append(Row("documents_per_cpu_s_batched", subject, count / batches.cpu_s, "1/s"))
    return found


ABSENT = "no Elasticsearch here: tests/integration/install.sh fetches it, or name one by --url"


def there() -> bool:
    """Whether a server of our own can be started."""
    return bool(list(STORED.glob("elasticsearch-8.*.zip")) and which("java"))


def main() -> None:
    """Run it."""
    parser = arguments("log lines out of an Elasticsearch")
    parser.add_argument("--url", help="a running server; an index is made in it and removed")
    parser.add_argument("--documents", type=int, default=50_000)
    given = parser.parse_args()
    if not given.url and not there():
        print(ABSENT)
        return
    with server(given.url) as elastic:
        try:
            tell(rows(elastic, given.documents), given.json)
        finally:
            elastic.ask("DELETE", f"/{INDEX}")


if __name__ == "__main__":
    main()
