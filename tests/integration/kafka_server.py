"""Apache Kafka itself, one node of KRaft, on free ports of loopback; from Maven's artifacts (install.sh)."""

from __future__ import annotations

import base64
import os
import shutil
import socket
import subprocess
import time
import uuid
from pathlib import Path

from benchmarks.brokers import free_port
from tests.integration.conftest import missing

ROOT = Path(__file__).parents[2]
LIBRARY = Path(os.environ.get("TOCSIN_KAFKA_LIB", ROOT / "build" / "servers" / "kafka" / "lib"))
READY_S = 60.0


class KafkaServer:
    """A broker that can be stopped and started again with what it holds."""

    def __init__(self, folder: Path) -> None:
        if not (shutil.which("java") and LIBRARY.is_dir()):
            missing(f"no Java, or no Kafka in {LIBRARY} (tests/integration/install.sh)")
        self._folder = folder
        port, control = free_port(), free_port()
        self.address = f"127.0.0.1:{port}"
        self._properties = folder / "server.properties"
        self._properties.write_text(
            "process.roles=broker,controller\nnode.id=1\n"
            f"controller.quorum.voters=1@127.0.0.1:{control}\n"
            f"listeners=PLAINTEXT://{self.address},CONTROLLER://127.0.0.1:{control}\n"
            f"advertised.listeners=PLAINTEXT://{self.address}\ncontroller.listener.names=CONTROLLER\n"
            f"log.dirs={folder / 'kafka'}\noffsets.topic.replication.factor=1\n"
            "transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n"
            "offsets.topic.num.partitions=4\ngroup.initial.rebalance.delay.ms=0\n"
            "group.min.session.timeout.ms=1000\nauto.create.topics.enable=false\n"
        )
        self._java("kafka.tools.StorageTool", "format", "-t", _identity(), "-c", self._properties)
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def _java(self, *words: object) -> None:
        subprocess.run(self._command("-Xmx256m", *words), check=True, capture_output=True)

    def _command(self, *words: object) -> list[str]:
        return ["java", "-cp", f"{LIBRARY}/*", *map(str, words)]

    def start(self) -> None:
        """Run, with what was kept."""
        with (self._folder / "kafka.log").open("a") as log:
            self._process = subprocess.Popen(
                self._command("-Xmx512m", "kafka.Kafka", self._properties), stdout=log, stderr=log
            )
        host, port = self.address.split(":")
        until_s = time.monotonic() + READY_S
        while time.monotonic() < until_s:
            try:
                socket.create_connection((host, int(port)), 1).close()
                return
            except OSError:
                time.sleep(0.2)
        raise AssertionError("Kafka did not start")

    def kill(self) -> None:
        """With -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def close(self) -> None:
        """End it."""
        self.kill()


def _identity() -> str:
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
