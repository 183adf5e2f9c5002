"""A worker's beginning before anything is there, and its end whatever it is in the middle of."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from benchmarks.brokers import Process, finish
from model.errors import TransientError
from pipeline import output
from pipeline import settings as reading
from pipeline.distributed import topics
from pipeline.distributed.settings import KafkaSettings
from store import snapshots as snapshot_rows
from store.store import Store
from tests.integration.kafka_server import KafkaServer
from tests.integration.postgres_server import Postgres
from tests.integration.postgres_server import postgres as a_server
from tests.pipeline.distributed.test_on_a_broker import until

pytestmark = pytest.mark.integration
ENDS = (output.OK, output.FAILED)
"""By itself: in order, or with the last resort where something hangs. Else it is ended with SIGABRT here."""
SETTINGS = """\
kafka: {{brokers: ['{broker}'], partitions: 2, replication: 1, session_timeout: 6s, prefix: {prefix}}}
host: {{enabled: false}}
logs: {{sources: []}}
pipeline: {{checkpoint_interval: 1s}}
store: {{url: '{records}'}}
"""


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with a_server() as server:
        yield server


class Case:
    """Workers beside each other, and their records."""

    def __init__(self, folder: Path, broker: str, records: str, prefix: str) -> None:
        self.config = folder / "config"
        self.config.mkdir()
        text = SETTINGS.format(broker=broker, records=records, prefix=prefix)
        (self.config / "tocsin.yaml").write_text(text)
        (self.config / "catalogue.yaml").write_text("services: [{name: pg}]\n")
        self.records, self._folder = records, folder
        self.kafka = reading.load(self.config).machine.kafka
        self.workers: list[Process] = []

    def start(self, *more: str) -> Process:
        """One more."""
        name = f"worker{len(self.workers)}"
        data = self._folder / name
        data.mkdir()
        words = ["worker", "--config", str(self.config), "--data", str(data), *more]
        self.workers.append(Process(words, data, self._folder / f"{name}.log"))
        return self.workers[-1]

    def decides(self) -> None:
        """Wait until something was: ticks come, and somebody detects and correlates."""
        store = Store.open(self.records, now_ms=0)

        def nothing() -> set[bytes]:
            with store.records.read() as conn:
                return {b"x"} if snapshot_rows.get(conn, "correlate.0") is None else set()

        assert until(nothing) == set()
        store.close()

    def close(self) -> None:
        """End all that still run."""
        for one in self.workers:
            one.stop()


def says(worker: Process, *words: str) -> None:
    """Wait until it has said all of it."""
    assert until(lambda: {w.encode() for w in words if w not in worker.log.read_text()}) == set()


def end(*workers: Process) -> list[int]:
    """SIGTERM to all at once; their exit statuses."""
    with ThreadPoolExecutor(len(workers)) as pool:
        return list(pool.map(Process.stop, workers))


def made(kafka: KafkaSettings) -> set[bytes]:
    """Make the topics; what is still missing."""
    try:
        finish(topics.create(kafka))
    except TransientError as error:
        return {str(error).encode()}
    return set()


def test_it_waits_for_a_broker_and_for_its_topics_and_has_none_made_by_asking(
    postgres: Postgres, tmp_path: Path
) -> None:
    """Most brokers make a topic that somebody asks for, of one partition; a worker that comes first must not ask."""
    broker = KafkaServer(tmp_path, properties="auto.create.topics.enable=true\n")
    broker.kill()
    case = Case(tmp_path, broker.address, postgres.database("first"), "first")
    try:
        impatient, patient = case.start(), case.start()
        for one in (impatient, patient):
            says(one, "detect: could not start", "correlate: could not start")
        assert impatient.stop() == output.OK
        broker.start()
        says(patient, "first.telemetry is not there")
        assert until(lambda: made(case.kafka)) == set()
        says(patient, "detect: partitions [0, 1]", "correlate: partitions [0]")
        case.decides()
        assert [topic.problem for topic in finish(topics.look(case.kafka))] == ["", "", ""]
        assert patient.stop() == output.OK  # in the middle of its work
    finally:
        case.close()
        broker.close()


def test_sigterm_while_the_brokers_stand_still_or_are_away(
    postgres: Postgres, tmp_path: Path
) -> None:
    broker = KafkaServer(tmp_path)
    case = Case(tmp_path, broker.address, postgres.database("brokers"), "brokers")
    try:
        assert until(lambda: made(case.kafka)) == set()
        first, second = case.start(), case.start()
        for one in (first, second):
            says(one, "detect: partitions [", "correlate: partitions [")
        case.decides()
        broker.pause()
        assert first.stop() in ENDS, first.log.read_text()
        broker.kill()
        assert second.stop() in ENDS, second.log.read_text()
    finally:
        case.close()
        broker.close()


def test_sigterm_while_the_database_stands_still_or_is_away(
    postgres: Postgres, tmp_path: Path
) -> None:
    """Nothing that asks it comes back: stages are given up, and the watchdog says where all stand and ends the process."""
    broker = KafkaServer(tmp_path)
    case = Case(tmp_path, broker.address, postgres.database("records"), "records")
    try:
        assert until(lambda: made(case.kafka)) == set()
        detects, performs = (
            case.start("--stages", "detect"),
            case.start("--stages", "intake,correlate,act"),
        )
        says(detects, "detect: partitions [0, 1]")
        says(performs, "this worker performs now")
        case.decides()
        postgres.pause()
        try:
            assert end(detects, performs) == [output.FAILED, output.FAILED]
        finally:
            postgres.proceed()
        for one in (detects, performs):
            said = one.log.read_text()
            assert "did not end within 20 s" in said or "Timeout (0:00:27)" in said
        last = case.start()
        says(last, "detect: partitions [0, 1]", "correlate: partitions [0]")
        postgres.do("stop", "-m", "immediate")
        try:
            assert last.stop() in ENDS, last.log.read_text()
        finally:
            postgres.do("start")
    finally:
        case.close()
        broker.close()
