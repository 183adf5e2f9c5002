"""Apache Kafka itself, one node of KRaft, on free ports of loopback; from Maven's artifacts (install.sh)."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.ports import free_port
from tests.integration.conftest import missing

ROOT = Path(__file__).parents[2]
LIBRARY = Path(os.environ.get("TOCSIN_KAFKA_LIB", ROOT / "build" / "servers" / "kafka" / "lib"))
READY_S = 600.0
READY = b"Kafka Server started"
# Sixteen bytes in URL-safe base64. One drawn by lot begins with "-" once in 64, which is then read as an option.
IDENTITY = "dG9jc2luLXVuZGVydGVzdA"


class KafkaServer:
    """A broker that can be stopped and started again with what it holds.

    Parameters
    ----------
    security : str
        Kafka's name of what clients speak: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL.
    properties : str
        More lines of server.properties.
    accounts : sequence of str
        SCRAM accounts, as StorageTool's --add-scram takes them.
    """

    def __init__(
        self,
        folder: Path,
        *,
        security: str = "PLAINTEXT",
        properties: str = "",
        accounts: Sequence[str] = (),
    ) -> None:
        if not (shutil.which("java") and LIBRARY.is_dir()):
            missing(f"no Java, or no Kafka in {LIBRARY} (tests/integration/install.sh)")
        self._folder = folder
        port, inner, control = free_port(), free_port(), free_port()
        self.address = f"127.0.0.1:{port}"
        self._properties = folder / "server.properties"
        self._properties.write_text(
            "process.roles=broker,controller\nnode.id=1\n"
            f"controller.quorum.voters=1@127.0.0.1:{control}\n"
            f"listeners=CLIENTS://{self.address},INNER://127.0.0.1:{inner},"
            f"CONTROLLER://127.0.0.1:{control}\n"
            f"advertised.listeners=CLIENTS://{self.address},INNER://127.0.0.1:{inner}\n"
            f"listener.security.protocol.map=CLIENTS:{security},INNER:PLAINTEXT,CONTROLLER:PLAINTEXT\n"
            "inter.broker.listener.name=INNER\ncontroller.listener.names=CONTROLLER\n"
            f"log.dirs={folder / 'kafka'}\noffsets.topic.replication.factor=1\n"
            "transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n"
            "offsets.topic.num.partitions=4\ngroup.initial.rebalance.delay.ms=0\n"
            "group.min.session.timeout.ms=1000\nauto.create.topics.enable=false\n" + properties
        )
        words = ["format", "-t", IDENTITY, "-c", self._properties]
        for account in accounts:
            words += ["--add-scram", account]
        self._java("kafka.tools.StorageTool", *words)
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def _java(self, *words: object) -> None:
        done = subprocess.run(self._command("-Xmx256m", *words), capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    def _command(self, *words: object) -> list[str]:
        return ["java", "-cp", f"{LIBRARY}/*", *map(str, words)]

    def start(self) -> None:
        """Run, with what was kept."""
        path = self._folder / "kafka.log"
        with path.open("ab") as log:
            before = log.tell()
            self._process = subprocess.Popen(
                self._command("-Xmx512m", "kafka.Kafka", self._properties), stdout=log, stderr=log
            )
        until_s = time.monotonic() + READY_S
        while time.monotonic() < until_s:
            # It takes connections before that, and then has no leader of any partition.
            if READY in path.read_bytes()[before:]:
                return
            assert self._process.poll() is None, path.read_text()[-4000:]
            time.sleep(0.2)
        raise AssertionError("Kafka did not start: " + path.read_text()[-4000:])

    def kill(self) -> None:
        """With -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Stand still: connections stay, nobody answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def proceed(self) -> None:
        """Go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End it."""
        self.kill()
