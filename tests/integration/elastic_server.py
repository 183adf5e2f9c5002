"""A real Elasticsearch on loopback: fetched by Maven (install.sh), run by Java as somebody without rights."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import requests

NOBODY = 65_534
STORED = Path(__file__).resolve().parents[2] / "build" / "servers"
OPTIONS = {
    "discovery.type": "single-node",
    "xpack.security.enabled": "false",
    "network.host": "127.0.0.1",
    "node.store.allow_mmap": "false",
    "cluster.routing.allocation.disk.threshold_enabled": "false",
}


@dataclass(frozen=True, slots=True)
class Elastic:
    """A running server."""

    url: str

    def put(self, index: str, *documents: dict[str, Any]) -> None:
        """Index documents, to be found at once."""
        create: dict[str, object] = {"create": {}}
        lines = [part for one in documents for part in (create, one)]
        body = "".join(json.dumps(line) + "\n" for line in lines)
        kind = {"Content-Type": "application/x-ndjson"}
        url = f"{self.url}/{index}/_bulk?refresh=true"
        answer = requests.post(url, data=body.encode(), headers=kind, timeout=180)
        assert answer.ok and not answer.json()["errors"], answer.text[:1_000]

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """Any request."""
        answer = requests.request(method, self.url + path, json=body, timeout=180)
        answer.raise_for_status()
        return answer.json()


@contextmanager
def elastic_in(folder: Path, servers: Any) -> Iterator[Elastic]:
    """Elasticsearch with nothing in it, until the block ends; its log goes to `folder`."""
    java = Path(servers.program("java")).resolve()
    packed = sorted(STORED.glob("elasticsearch-8.*.zip"))
    if not packed:
        servers.missing("Elasticsearch is not there (tests/integration/install.sh fetches it)")
    # Not below `folder`, which is for us alone: who has no rights must be able to go there.
    with TemporaryDirectory(prefix="tocsin-elastic-") as place:
        with zipfile.ZipFile(packed[-1]) as archive:
            archive.extractall(place)
        (home,) = Path(place).glob("elasticsearch-8.*")
        ports = {"http.port": servers.free_port(), "transport.port": servers.free_port()}
        command = ["env", f"ES_JAVA_HOME={java.parent.parent}", "ES_JAVA_OPTS=-Xms512m -Xmx512m"]
        command += ["/bin/bash", str(home / "bin" / "elasticsearch")]
        command += [f"-E{key}={value}" for key, value in (OPTIONS | ports).items()]
        if os.getuid() == 0:  # it refuses root
            for path in (Path(place), *Path(place).rglob("*")):
                os.chown(path, NOBODY, NOBODY)
            ids = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
            command = [servers.program("setpriv"), *ids, *command]
        for script in (home / "bin").iterdir():
            script.chmod(0o755)
        url = f"http://127.0.0.1:{ports['http.port']}"
        with served(command, folder / "elasticsearch.log", url, servers) as started:
            yield started


@contextmanager
def served(command: list[str], log: Path, url: str, servers: Any) -> Iterator[Elastic]:
    """A server that was started by a command, as soon as it is ready."""
    with servers.running(command, log) as process:

        def ready() -> bool:
            assert process.poll() is None, f"{log.stem} has ended"
            health = requests.get(f"{url}/_cluster/health", timeout=60)
            return bool(health.ok and health.json()["status"] in ("green", "yellow"))

        servers.wait_for(ready, f"{log.stem} to be ready", 600)
        yield Elastic(url)
