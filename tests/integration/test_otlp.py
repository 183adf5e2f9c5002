"""The OpenTelemetry SDK as the peer: what it sends of metrics, logs and traces becomes incidents."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode, set_span_in_context

pytestmark = pytest.mark.integration

QUICK = "detectors: {warm_up: 10s, warm_up_samples: 8}\n"
DELTA: dict[type, AggregationTemporality] = {
    Counter: AggregationTemporality.DELTA,
    Histogram: AggregationTemporality.DELTA,
}
PAUSE_S = 0.02
STOOD_STILL = {"TrafficDrop", "MetricUnusual", "MetricUnsteady", "MetricFlat"}
"""What is rightly told of a sender that this machine has let stand still for a while."""


class Sender:
    """A program with the SDK in it, and what it does until it is told otherwise."""

    def __init__(self, url: str, service: str) -> None:
        self.url = url
        self.resource = Resource.create({"service.name": service, "service.namespace": "shop"})
        self.seconds = 0.02
        self.failing = False
        self._ends = threading.Event()

    @contextmanager
    def working(self, work: Any) -> Iterator[None]:
        """Do it again and again, in a thread, until the block ends."""

        def loop() -> None:
            while not self._ends.wait(PAUSE_S):
                work()

        thread = threading.Thread(target=loop)
        thread.start()
        try:
            yield
        finally:
            self._ends.set()
            thread.join()


def told(tocsin: Any) -> set[str]:
    """Names of what fires, but for a pause of the machine's."""
    names = {alert["labels"]["alertname"] for alert in tocsin.get("/api/v2/alerts")}
    return names - STOOD_STILL


def counted(tocsin: Any, name: str) -> float:
    return float(dict(tocsin.get("/api/v1/health")["counters"]).get(name, 0.0))


@pytest.mark.parametrize("temporality", ["cumulative", "delta"])
def test_a_slow_service_by_its_metrics(servers: Any, tmp_path: Path, temporality: str) -> None:
    with servers.tocsin_in(tmp_path, servers.settings + QUICK) as tocsin:
        sender = Sender(tocsin.url, "cart")
        exporter = OTLPMetricExporter(
            f"{tocsin.url}/v1/metrics",
            compression=Compression.Gzip,
            preferred_temporality=DELTA if temporality == "delta" else None,
        )
        reader = PeriodicExportingMetricReader(exporter, export_interval_millis=500)
        provider = MeterProvider([reader], resource=sender.resource)
        duration = provider.get_meter("test").create_histogram(
            "http.server.request.duration",
            unit="s",
            explicit_bucket_boundaries_advisory=[
                0.005,
                0.01,
                0.025,
                0.05,
                0.1,
                0.25,
                0.5,
                1,
                2.5,
                5,
            ],
        )

        def serve() -> None:
            duration.record(sender.seconds, {"http.route": "/", "http.response.status_code": 200})

        with sender.working(serve):
            servers.wait_for(lambda: counted(tocsin, "tocsin_pushed_pushes_total") > 60, "pushes")
            assert told(tocsin) == set()
            sender.seconds = 2.0
            servers.wait_for(lambda: told(tocsin) == {"LatencyHigh"}, "it to be told slow")
            incident = tocsin.incident("cart")
        provider.shutdown()
        alerts = tocsin.get(f"/api/v1/incidents/{incident['id']}")["alerts"]
        names = {status["alert"]["labels"]["alertname"] for status in alerts}
        assert names - STOOD_STILL == {"LatencyHigh"}


def test_an_error_in_the_logs(servers: Any, tmp_path: Path) -> None:
    with servers.tocsin_in(tmp_path, servers.settings) as tocsin:
        sender = Sender(tocsin.url, "mail")
        provider = LoggerProvider(sender.resource)
        exporter = OTLPLogExporter(f"{tocsin.url}/v1/logs")
        provider.add_log_record_processor(BatchLogRecordProcessor(exporter, schedule_delay_millis=500))  # fmt: skip
        handler = _handler(provider)
        mailer = logging.getLogger("mailer")
        mailer.propagate = False
        mailer.addHandler(handler)
        mailer.setLevel("INFO")

        def work() -> None:
            mailer.info("a letter was sent in %d ms", 12)
            if sender.failing:
                mailer.error("the relay refuses us, password=hunter2")

        with sender.working(work):
            servers.wait_for(lambda: counted(tocsin, "tocsin_pushed_lines_total") > 2_500, "lines")
            sender.failing = True
            incident = tocsin.incident("mail")
        mailer.removeHandler(handler)
        provider.shutdown()
        told = tocsin.get(f"/api/v1/incidents/{incident['id']}")
        assert "refuses us" in str(told) and "hunter2" not in str(told)


def _handler(provider: LoggerProvider) -> Any:
    """What hands records of Python's logging to the SDK."""
    numbers = {"INFO": SeverityNumber.INFO, "ERROR": SeverityNumber.ERROR}
    logger = provider.get_logger("mailer")

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            logger.emit(
                timestamp=int(record.created * 1e9),
                severity_number=numbers[record.levelname],
                body=record.getMessage(),
            )

    return Handler()


def test_a_slow_callee_by_traces_alone(servers: Any, tmp_path: Path) -> None:
    settings = servers.settings + QUICK + "otlp: {spans_interval: 1s}\n"
    with servers.tocsin_in(tmp_path, settings) as tocsin:
        sender = Sender(tocsin.url, "front")
        tracers = []
        providers = []
        for service in ("front", "stock"):
            provider = TracerProvider(resource=Sender(tocsin.url, service).resource)
            exporter = OTLPSpanExporter(f"{tocsin.url}/v1/traces", compression=Compression.Gzip)
            provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=500))
            tracers.append(provider.get_tracer("test"))
            providers.append(provider)
        front, stock = tracers

        def call() -> None:
            began = time.time_ns()
            ended = began + int(sender.seconds * 1e9)
            served = front.start_span("GET /", kind=SpanKind.SERVER, start_time=began)
            inside = set_span_in_context(served)
            called = front.start_span("GET", inside, kind=SpanKind.CLIENT, start_time=began)
            inner = set_span_in_context(called)
            answered = stock.start_span("GET /s", inner, kind=SpanKind.SERVER, start_time=began)
            if sender.failing:
                answered.set_status(StatusCode.ERROR)
            for span in (answered, called, served):
                span.end(ended)

        with sender.working(call):
            servers.wait_for(lambda: counted(tocsin, "tocsin_spans_total") > 5_000, "spans")
            servers.wait_for(lambda: counted(tocsin, "tocsin_detector_edges") == 1, "the edge")
            assert told(tocsin) == set()
            sender.seconds, sender.failing = 1.5, True
            incident = tocsin.incident("stock")

            def blamed() -> bool:
                """Both ends in one incident, the callee first, and the reason why."""
                found = tocsin.get("/api/v1/incidents", state="open")["incidents"]
                why = "front calls stock, as its traces show"
                ids = [one["id"] for one in found]
                return ids == [incident["id"]] and why in str(found[0]["causes"])

            servers.wait_for(blamed, "the caller to join")
            assert len(tocsin.incidents("stock", "open")) == 1
        for provider in providers:
            provider.shutdown()
