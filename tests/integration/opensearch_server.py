"""A real OpenSearch on loopback, whole: data streams and templates; from Maven's artifacts (install.sh)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.ports import free_port
from tests.integration.elastic_server import STORED, Elastic, served

LIBRARY = STORED / "opensearch" / "lib"
RUNNER = "org.codelibs.opensearch.runner.OpenSearchRunner"


@contextmanager
def opensearch_in(folder: Path, servers: Any) -> Iterator[Elastic]:
    """OpenSearch with nothing in it, until the block ends."""
    java = servers.program("java")
    if not LIBRARY.is_dir():
        servers.missing("OpenSearch is not there (tests/integration/install.sh fetches it)")
    port = free_port(9201, 9299)  # the runner takes none above
    command = [java, "-Xms512m", "-Xmx512m", "-cp", f"{LIBRARY}/*", RUNNER]
    command += ["-basePath", str(folder / "opensearch"), "-numOfNode", "1"]
    # The runner adds 1 for its first node.
    command += ["-baseHttpPort", str(port - 1), "-clusterName", "tests"]
    url = f"http://127.0.0.1:{port}"
    with served(command, folder / "opensearch.log", url, servers) as started:
        yield started
