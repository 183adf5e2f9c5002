"""TLS, a certificate of our own, SCRAM and PLAIN: every client of ours gets in, others do not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
import trustme
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from benchmarks.brokers import Cluster, Process, finish
from benchmarks.ports import free_port
from model.errors import TransientError
from pipeline.distributed import topics
from pipeline.distributed.settings import KafkaSettings
from tests.integration.conftest import wait_for
from tests.integration.kafka_server import KafkaServer
from tests.pipeline.distributed.conftest import PARTITIONS, WORLD, Storm
from tests.pipeline.distributed.test_on_a_broker import until

pytestmark = pytest.mark.integration
SECRET = "a-secret-for-the-broker"
PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule"
SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule"
TLS = """\
ssl.keystore.type=PEM
ssl.keystore.location={folder}/broker.pem
ssl.truststore.type=PEM
ssl.truststore.location={folder}/ca.pem
"""
SASL = f"""\
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512
listener.name.clients.plain.sasl.jaas.config={PLAIN} required user_tocsin="{SECRET}";
listener.name.clients.scram-sha-512.sasl.jaas.config={SCRAM} required;
"""


@dataclass(frozen=True, slots=True)
class Way:
    """One way in: what the broker asks for, and what is configured here."""

    security: str
    properties: str
    settings: str
    accounts: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.security + ("-" + "SCRAM" * bool(self.accounts)).rstrip("-")


NAMED = "username: tocsin, password_file: password"
CERTIFICATE = "ca_file: ca.pem, cert_file: us.pem, key_file: us.key"
WAYS = [
    Way("SSL", TLS + "ssl.client.auth=required\n", f"security: ssl, {CERTIFICATE}"),
    Way(
        "SASL_SSL",
        TLS + SASL,
        f"security: sasl_ssl, ca_file: ca.pem, {NAMED}",
        (f"SCRAM-SHA-512=[name=tocsin,password={SECRET}]",),
    ),
    Way("SASL_PLAINTEXT", SASL, f"security: sasl_plaintext, mechanism: PLAIN, {NAMED}"),
]


def _certificates(folder: Path) -> None:
    """An authority's, the broker's (with its key, as Kafka reads PEM) and ours."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    broker = authority.issue_cert("127.0.0.1", "localhost")
    key = load_pem_private_key(broker.private_key_pem.bytes(), None)
    packed = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    chain = b"".join(one.bytes() for one in broker.cert_chain_pems)
    (folder / "broker.pem").write_bytes(packed + chain)
    us = authority.issue_cert("tocsin.example")
    us.private_key_pem.write_to_path(folder / "us.key")
    us.cert_chain_pems[0].write_to_path(folder / "us.pem")


@pytest.fixture(params=WAYS, ids=str)
def cluster(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cluster]:
    way: Way = request.param
    _certificates(tmp_path)
    (tmp_path / "password").write_text(SECRET + "\n")
    properties = way.properties.format(folder=tmp_path)
    broker = KafkaServer(
        tmp_path, security=way.security, properties=properties, accounts=way.accounts
    )
    absolute = way.settings
    for name in ("ca.pem", "us.pem", "us.key", "password"):
        absolute = absolute.replace(f": {name}", f": '{tmp_path / name}'")
    try:
        security = f", {absolute}"
        with Cluster(tmp_path, broker, WORLD, partitions=PARTITIONS, security=security) as one:
            yield one
    finally:
        broker.close()


def test_workers_console_and_topics_get_in_and_others_do_not(
    cluster: Cluster, storm: Storm
) -> None:
    """Faust joins by it, aiokafka sends, asks and creates by it."""
    kafka = cluster.settings.machine.kafka
    with pytest.raises(TransientError):
        finish(topics.look(KafkaSettings(brokers=kafka.brokers)))
    cluster.worker("detect,correlate")
    cluster.send(storm.messages[: len(storm.messages) // 2])
    assert until(lambda: set() if cluster.outcome() else {b"nothing yet"}) == set()
    config = ["--config", str(cluster.folder / "config")]
    looked = subprocess.run(
        [sys.executable, "-m", "pipeline", "topics", *config], capture_output=True, text=True
    )
    assert looked.returncode == 0, looked.stdout + looked.stderr
    address = f"127.0.0.1:{free_port()}"
    words = ["console", *config, "--data", str(cluster.data), "--listen", address]
    console = Process(words, cluster.data, cluster.folder / "console.log")
    try:
        alert = {"labels": {"alertname": "Down", "service": "service00"}}

        def accepted() -> bool:
            pushed = requests.post(f"http://{address}/api/v2/alerts", json=[alert], timeout=60)
            return pushed.status_code == 200

        wait_for(accepted, "a push to be kept by the broker")
    finally:
        console.stop()
    if kafka.sasl:
        (cluster.folder / "password").write_text("wrong")
        refused = subprocess.run(
            [sys.executable, "-m", "pipeline", "topics", *config], capture_output=True, text=True
        )
        assert refused.returncode != 0 and "Traceback" not in refused.stderr
        assert SECRET not in refused.stderr and "wrong" not in refused.stderr
