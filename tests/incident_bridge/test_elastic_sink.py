"""History into an Elasticsearch: everything at least once, nothing twice, and never in anybody's way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from incident_bridge.elastic_settings import ElasticSinkSettings
from incident_bridge.elastic_sink import ElasticSink
from model.alert import Alert, AlertStatus, Evidence
from model.clock import SystemClock
from model.errors import DeliveryError, PermanentError, TransientError
from model.identity import derive_id
from model.incident import EntryKind, Incident, IncidentState, TimelineEntry
from model.labels import Labels
from model.reason import because
from store import alerts as alert_rows
from store import incidents as incident_rows
from store import timeline as timeline_rows
from store.store import Store
from tests.incident_bridge.bulk_double import Double, serving
from tests.store import slow_cart

NOW = 1_800_000_000_000


@pytest.fixture
def double() -> Iterator[Double]:
    with serving(Double()) as served:
        yield served


def incident(ident: str, **more: Any) -> Incident:
    return slow_cart.incident(ident, NOW, **{"began_ms": NOW - 10_000, **more})


def entry(ident: str, kind: EntryKind = EntryKind.OPENED, at_ms: int = NOW) -> TimelineEntry:
    name = derive_id(ident, kind.value, at_ms)
    return TimelineEntry(name, ident, at_ms, kind, "tocsin", because("it was {kind}", kind=kind))


def alert(ident: str, **more: Any) -> AlertStatus:
    labels = {"alertname": "LogFlood", "service": "cart", "severity": "critical", "k8s.pod": "a"}
    evidence = Evidence(Labels.of({"__name__": "log_rate"}), "lograte", lines=("ERROR no stock",))
    made = Alert(Labels.of(labels), "detector", NOW - 10_000, NOW, evidence=evidence)
    return AlertStatus(replace(made, **more), ident)


def put(store: Store, *items: Incident | TimelineEntry | AlertStatus) -> None:
    with store.records.write() as conn:
        incident_rows.save(conn, [one for one in items if isinstance(one, Incident)])
        timeline_rows.save(conn, [one for one in items if isinstance(one, TimelineEntry)])
        alert_rows.save(conn, [one for one in items if isinstance(one, AlertStatus)])


class Sink(ElasticSink):
    """One whose reports are kept."""

    def __init__(self, double: Double, store: Store, **settings: Any) -> None:
        self.said: list[str] = []
        chosen = ElasticSinkSettings(url=double.url, **settings)
        super().__init__(chosen, store, SystemClock(), report=self.said.append)


def test_an_incident_and_its_alerts_in_names_that_kibana_knows(
    double: Double, store: Store
) -> None:
    put(store, incident("i1"), entry("i1"), alert("i1"))
    sink = Sink(double, store)
    assert not sink.round() and not sink.said and sink.waiting == 0
    (told,), (fired,) = double.of("tocsin.incident"), double.of("tocsin.alert")
    assert told["@timestamp"] == "2027-01-15T08:00:00.000Z" and told["service"]["name"] == "cart"
    assert told["event"]["action"] == "incident-opened" and told["message"] == "it was opened"
    assert told["tocsin"]["incident"]["title"] == "cart is slow"
    assert told["data_stream"] == {"type": "logs", "dataset": "tocsin.incident", "namespace": "default"}  # fmt: skip
    assert fired["event"]["kind"] == "alert" and fired["event"]["action"] == "alert-firing"
    assert fired["rule"]["name"] == "LogFlood" and fired["labels"]["k8s_pod"] == "a"
    assert fired["tocsin"]["alert"]["log_examples"] == ["ERROR no stock"]
    put(
        store,
        incident("i1", state=IncidentState.RESOLVED, resolved_ms=NOW + 60_000),
        entry("i1", EntryKind.RESOLVED, NOW + 60_000),
        alert("i1", ends_ms=NOW + 50_000),
    )
    sink.round()
    assert [d["event"]["action"] for d in double.of("tocsin.alert")] == ["alert-firing", "alert-resolved"]  # fmt: skip
    assert double.of("tocsin.incident")[1]["tocsin"]["incident"]["time_to_resolve_ms"] == 60_000


def test_f01_each_line_of_history_once_over_failures_and_restarts(
    double: Double, store: Store
) -> None:
    put(store, *(incident(f"i{n}") for n in range(10)), *(entry(f"i{n}") for n in range(10)))
    # The first takes half, then is busy; the second breaks off after all was taken.
    taken = []

    def busy_after_five(document: dict[str, Any]) -> int:
        taken.append(document)
        return 201 if len(taken) <= 5 else 429

    double.item = busy_after_five
    with pytest.raises(TransientError, match="took 5 of 10 documents"):
        Sink(double, store).round()
    double.item = lambda document: 201
    double.instead = lambda m, path: (503, {}) if path.startswith("/_bulk") and len(double.documents) == 10 else None  # fmt: skip
    sink = Sink(double, store, batch_max=4)
    assert sink.round() and sink.round() and not sink.round()
    assert len(double.of("tocsin.incident")) == 10
    again = Sink(double, store)
    assert not again.round() and again.bulk.documents == 0


def test_nothing_moves_while_it_is_down(double: Double, store: Store) -> None:
    put(store, incident("i1"), entry("i1"))
    double.instead = lambda method, path: (503, {})
    sink = Sink(double, store)
    for _ in range(3):
        with pytest.raises(DeliveryError):
            sink.round()
    double.instead = lambda method, path: None
    sink.round()
    assert len(double.of("tocsin.incident")) == 1


def test_what_it_will_never_take_is_counted_and_passed(double: Double, store: Store) -> None:
    put(store, incident("i1"), entry("i1"), entry("i1", EntryKind.NOTE, NOW + 1))
    double.item = lambda document: (
        400 if document["event"].get("action", "").endswith("note") else 201
    )
    sink = Sink(double, store)
    sink.round()
    assert (sink.bulk.documents, sink.bulk.refused) == (1, 1)
    assert len(sink.said) == 1 and "a document was refused: {'type': 'x', 'reason': 'mapping'}" in sink.said[0]  # fmt: skip
    sink.round()
    assert sink.bulk.refused == 1
    # As text, which every mapping takes, it can be found.
    (aside,) = double.of("tocsin.refused")
    assert "it was note" in aside["message"] and "mapping" in aside["error"]["message"]
    assert aside["event"]["kind"] == "pipeline_error" and aside["@timestamp"]


@pytest.mark.parametrize("body", [{}, {"items": 5}, {"items": [{}]}, {"items": [{"create": 1}]}])
def test_a03_what_is_no_answer_is_refused(double: Double, store: Store, body: Any) -> None:
    put(store, incident("i1"), entry("i1"))
    double.instead = lambda method, path: (200, body) if path.startswith("/_bulk") else None
    with pytest.raises(PermanentError, match="without its items"):
        Sink(double, store).round()


def test_it_sets_up_what_the_server_can(double: Double, store: Store) -> None:
    Sink(double, store, keep_ms=90 * 86_400_000).round()
    policy = double.made("/_ilm/policy/tocsin-history")["policy"]["phases"]
    assert policy["delete"]["min_age"] == "90d"
    template = double.made("/_index_template/tocsin-history")
    assert template["data_stream"] == {}
    assert template["template"]["settings"] == {"index.lifecycle.name": "tocsin-history"}


def test_it_says_what_it_leaves_out(double: Double, store: Store) -> None:
    double.lacks = ("/_ilm", "/_data_stream")
    sink = Sink(double, store)
    sink.round()
    template = double.made("/_index_template/tocsin-history")
    assert "data_stream" not in template and template["template"]["settings"] == {}
    (said,) = sink.said
    assert "left out: data streams (" in said and "ILM (" in said


def test_large_batches_are_cut(double: Double, store: Store) -> None:
    put(store, incident("i1"), *(entry("i1", EntryKind.NOTE, NOW + n) for n in range(30)))
    Sink(double, store, body_bytes_max=8_000).round()
    bulks = [lines for _, path, lines in double.asked if path.startswith("/_bulk")]
    assert len(bulks) > 5 and len(double.of("tocsin.incident")) == 30


def test_a_simulated_past_stays_here(double: Double, store: Store) -> None:
    put(store, incident("i1", simulated=True), replace(entry("i1"), simulated=True))
    Sink(double, store).round()
    assert not double.documents


@pytest.mark.parametrize("wrong", [{"url": "es"}, {"namespace": "A/b"}, {"interval_ms": 1}, {"batch_max": 0}])  # fmt: skip
def test_settings_say_what_is_wrong(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong)).removesuffix("_ms")):
        ElasticSinkSettings(**wrong)
