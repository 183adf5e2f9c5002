"""A worker's beginning before anything is there, and its end whatever it is in the middle of."""

from __future__ import annotations

from collections.abc import Iterator
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
from tests.integration.conftest import free_port
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


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    server = KafkaServer(tmp_path_factory.mktemp("kafka"))
    yield server
    server.close()


class Case:
    """A worker with all stages, and its records."""

    def __init__(self, folder: Path, broker: str, records: str, prefix: str) -> None:
        self.config = folder / "config"
        self.config.mkdir()
        text = SETTINGS.format(broker=broker, records=records, prefix=prefix)
        (self.config / "tocsin.yaml").write_text(text)
        (self.config / "catalogue.yaml").write_text("services: [{name: pg}]\n")
        self.records, self._folder = records, folder
        self.kafka = reading.load(self.config).machine.kafka
        self.worker: Process | None = None

    def start(self) -> Process:
        data = self._folder / "data"
        data.mkdir(exist_ok=True)
        words = ["worker", "--config", str(self.config), "--data", str(data)]
        self.worker = Process(words, data, self._folder / "worker.log")
        return self.worker

    def says(self, *words: str) -> None:
        """Wait until the worker has said all of it."""
        assert self.worker is not None
        log = self.worker.log
        assert until(lambda: {w.encode() for w in words if w not in log.read_text()}) == set()

    def works(self) -> None:
        """Wait until it has all partitions, performs, and has decided something."""
        self.says("detect: partitions [0, 1]", "correlate: partitions [0]", "performs now")
        store = Store.open(self.records, now_ms=0)

        def nothing() -> set[bytes]:
            with store.records.read() as conn:
                return {b"x"} if snapshot_rows.get(conn, "correlate.0") is None else set()

        assert until(nothing) == set()
        store.close()


def made(kafka: KafkaSettings) -> set[bytes]:
    """Make the topics; what is still missing."""
    try:
        finish(topics.create(kafka))
    except TransientError as error:
        return {str(error).encode()}
    return set()


@pytest.fixture
def case(
    broker: KafkaServer, postgres: Postgres, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Case]:
    name = "".join(c if c.isalnum() else "_" for c in request.node.name)[5:50]
    one = Case(tmp_path, broker.address, postgres.database(name), name)
    assert until(lambda: made(one.kafka)) == set()  # the test before may have stopped the broker
    yield one
    if one.worker is not None:
        one.worker.stop()


def test_sigterm_in_the_middle_of_its_work(case: Case) -> None:
    worker = case.start()
    case.works()
    assert worker.stop() == 0


def test_sigterm_before_there_is_a_broker(postgres: Postgres, tmp_path: Path) -> None:
    case = Case(tmp_path, f"127.0.0.1:{free_port()}", postgres.database("nobroker"), "none")
    worker = case.start()
    case.says("detect: could not start", "correlate: could not start")
    assert worker.stop() == 0


def test_sigterm_while_the_brokers_are_away(case: Case, broker: KafkaServer) -> None:
    worker = case.start()
    case.works()
    broker.kill()
    try:
        status = worker.stop()
    finally:
        broker.start()
    assert status in ENDS, worker.log.read_text()


def test_sigterm_while_the_brokers_stand_still(case: Case, broker: KafkaServer) -> None:
    worker = case.start()
    case.works()
    broker.pause()
    try:
        status = worker.stop()
    finally:
        broker.proceed()
    assert status in ENDS, worker.log.read_text()


def test_sigterm_while_the_database_stands_still(case: Case, postgres: Postgres) -> None:
    """Nothing that asks it comes back: the watchdog says where all stand, and ends the process."""
    worker = case.start()
    case.works()
    postgres.pause()
    try:
        status = worker.stop()
    finally:
        postgres.proceed()
    assert status == output.FAILED, worker.log.read_text()


def test_sigterm_while_the_database_is_away(case: Case, postgres: Postgres) -> None:
    worker = case.start()
    case.works()
    postgres.do("stop", "-m", "immediate")
    try:
        case.says("begins again")
        status = worker.stop()
    finally:
        postgres.do("start")
    assert status in ENDS, worker.log.read_text()


def test_it_waits_for_a_broker_and_for_its_topics_and_has_none_made_by_asking(
    postgres: Postgres, tmp_path: Path
) -> None:
    """Most brokers make a topic that somebody asks for, of one partition; a worker that comes first must not ask."""
    broker = KafkaServer(tmp_path, properties="auto.create.topics.enable=true\n")
    broker.kill()
    case = Case(tmp_path, broker.address, postgres.database("first"), "first")
    try:
        worker = case.start()
        case.says("detect: could not start", "correlate: could not start", "performs now")
        broker.start()
        case.says("first.telemetry is not there")
        assert until(lambda: made(case.kafka)) == set()
        case.works()
        assert [topic.problem for topic in finish(topics.look(case.kafka))] == ["", "", ""]
        assert worker.stop() == 0
    finally:
        if case.worker is not None:
            case.worker.stop()
        broker.close()
