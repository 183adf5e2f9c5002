"""History into an Elasticsearch, from the store and beside the pipeline: it waits for nobody, nobody waits for it.

What is to be written is read from the timelines, behind a number that the store keeps and that moves only
after the server took it: at least once, over any crash and any outage, with no queue of its own. Names are
derived, so that what is written again is the same document.
"""

from __future__ import annotations

from collections.abc import Callable

from incident_bridge.elastic_bulk import ElasticBulk, ElasticWriter
from incident_bridge.elastic_documents import Translate, alert_document, incident_document
from incident_bridge.elastic_settings import ElasticSinkSettings
from incident_bridge.elastic_setup import history_plan
from model.clock import Clock
from model.incident import EntryKind
from store import alerts as alert_rows
from store import incidents as incident_rows
from store import offsets as offset_rows
from store import timeline as timeline_rows
from store.store import Store

_ALERTS_MOVE = (EntryKind.OPENED, EntryKind.JOINED, EntryKind.RESOLVED, EntryKind.REOPENED)


class ElasticSink(ElasticWriter):
    """Writes what is new, round by round, in a thread of its own.

    Parameters
    ----------
    settings : ElasticSinkSettings
    store : Store
    clock : Clock
    translate
        To the language of messages.
    report
        Told once of each new trouble, of what was left out, and when it is over.
    """

    def __init__(
        self,
        settings: ElasticSinkSettings,
        store: Store,
        clock: Clock,
        *,
        translate: Translate = str,
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        bulk = ElasticBulk(settings, history_plan(settings), clock, report)
        super().__init__("elasticsearch-sink", bulk, settings.interval_ms)
        self.settings = settings
        self.waiting = 0
        self._store = store
        self._translate = translate

    def counters(self) -> dict[str, float]:
        """Running totals."""
        return {
            "tocsin_elasticsearch_sink_documents_total": self.bulk.documents,
            "tocsin_elasticsearch_sink_refused_total": self.bulk.refused,
            "tocsin_elasticsearch_sink_failures_total": self.bulk.failures,
            "tocsin_elasticsearch_sink_waiting": self.waiting,
        }

    def round(self) -> bool:
        """Write the next lines of timelines; True if more wait.

        Raises
        ------
        DeliveryError
            If the server does not take them: nothing has moved.
        StoreError
            If the store does not say or keep where we are.
        """
        with self._store.records.write() as conn:
            last = timeline_rows.settled(conn)
        with self._store.records.read() as conn:
            # Numbers begin anew where everything was pruned.
            begun = min(offset_rows.get(conn, offset_rows.ELASTICSEARCH), last)
            rows = timeline_rows.after(conn, begun, limit=self.settings.batch_max, upto=last)
            incidents = incident_rows.get_many(conn, sorted({e.incident_id for _, e in rows}))
            moved = sorted({e.incident_id for _, e in rows if e.kind in _ALERTS_MOVE})
            alerts = [status for key in moved for status in alert_rows.by_incident(conn, key)]
        space, say = self.settings.namespace, self._translate
        documents = [
            incident_document(entry, incidents[entry.incident_id], namespace=space, translate=say)
            for _, entry in rows
            if entry.incident_id in incidents
        ]
        documents += [alert_document(one, namespace=space, translate=say) for one in alerts]
        self.bulk.send(documents)
        if rows:
            with self._store.records.write() as conn:
                offset_rows.put(conn, offset_rows.ELASTICSEARCH, rows[-1][0])
        self.waiting = max(0, last - (rows[-1][0] if rows else last))
        return len(rows) == self.settings.batch_max
