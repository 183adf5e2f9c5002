"""History into an Elasticsearch, from the store and beside the pipeline: it waits for nobody, nobody waits for it.

What is to be written is read from the timelines, behind a number that the store keeps and that moves only
after the server took it: at least once, over any crash and any outage, with no queue of its own. Names are
derived, so that what is written again is the same document.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence

import orjson

from collectors.elastic_http import ElasticHttp, printable
from incident_bridge.elastic_documents import Document, Translate, alert_document, incident_document
from incident_bridge.elastic_settings import ElasticSinkSettings
from incident_bridge.elastic_setup import prepare
from model.clock import Clock
from model.errors import DeliveryError, PermanentError, StoreError, TransientError
from model.incident import EntryKind
from store import alerts as alert_rows
from store import incidents as incident_rows
from store import offsets as offset_rows
from store import timeline as timeline_rows
from store.store import Store

PAUSE_MS_MAX = 300_000
_ALERTS_MOVE = (EntryKind.OPENED, EntryKind.JOINED, EntryKind.RESOLVED, EntryKind.REOPENED)


class ElasticSink:
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
        self.settings = settings
        self.documents = self.refused = self.failures = self.waiting = 0
        self._store = store
        self._http = ElasticHttp(settings, clock)
        self._translate = translate
        self._report = report
        self._prepared = False
        self._trouble = ""
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Write in a thread of its own."""
        self._thread = threading.Thread(target=self._run, name="elasticsearch-sink", daemon=True)
        self._thread.start()

    def stop(self, wait_s: float) -> None:
        """Write nothing more; a request under way is waited for so long: it may be repeated."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(wait_s)
        self._http.close()

    def counters(self) -> dict[str, float]:
        """Running totals."""
        return {
            "tocsin_elasticsearch_sink_documents_total": self.documents,
            "tocsin_elasticsearch_sink_refused_total": self.refused,
            "tocsin_elasticsearch_sink_failures_total": self.failures,
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
        if not self._prepared:
            if left := prepare(self._http, self.settings):
                self._report("elasticsearch_sink: left out: " + "; ".join(left))
            self._prepared = True
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
        for body in self._bodies(documents):
            self._send(body)
        if rows:
            with self._store.records.write() as conn:
                offset_rows.put(conn, offset_rows.ELASTICSEARCH, rows[-1][0])
        self.waiting = max(0, last - (rows[-1][0] if rows else last))
        return len(rows) == self.settings.batch_max

    def _run(self) -> None:
        failed = 0
        while not self._stopping.is_set():
            wait_ms = self.settings.interval_ms
            try:
                while self.round() and not self._stopping.is_set():
                    pass
                failed = 0
                self._say("")
            except (DeliveryError, StoreError) as error:
                self.failures += 1
                wait_ms = min(PAUSE_MS_MAX, wait_ms * 2 ** min(failed, 10))
                wait_ms = max(wait_ms, getattr(error, "retry_after_ms", 0))
                failed += 1
                self._say(f"elasticsearch_sink: {error}; it is tried again")
            self._stopping.wait(wait_ms / 1000)

    def _say(self, trouble: str) -> None:
        if self._trouble and not trouble:
            self._report("elasticsearch_sink: well again")
        elif trouble and not self._trouble:
            self._report(trouble)
        self._trouble = trouble

    def _bodies(self, documents: Sequence[Document]) -> Iterator[bytes]:
        """Requests of about half of `body_bytes_max`: an answer repeats what it refuses."""
        lines, size = list[bytes](), 0
        for one in documents:
            stream = f"logs-{one.dataset}-{self.settings.namespace}"
            # `create` is the one operation a data stream takes; a name that is there already is ours.
            head = orjson.dumps({"create": {"_index": stream, "_id": one.id}})
            body = _packed(one)
            if lines and size + len(body) > self.settings.body_bytes_max // 2:
                yield b"\n".join(lines) + b"\n"
                lines, size = [], 0
            lines += [head, body]
            size += len(head) + len(body)
        if lines:
            yield b"\n".join(lines) + b"\n"

    def _send(self, body: bytes) -> None:
        path = "/_bulk?filter_path=errors,items.*.status,items.*.error.type,items.*.error.reason"
        answer = self._http.ask("POST", path, body)
        try:
            outcomes = [item["create"] for item in answer["items"]]
            codes = [int(one["status"]) for one in outcomes]
        except (LookupError, TypeError, ValueError):
            raise PermanentError("answered a bulk request without its items") from None
        busy = [code for code in codes if code == 429 or code >= 500]
        if busy:
            # All of it again: what was taken is known by its name.
            raise TransientError(f"took {len(codes) - len(busy)} of {len(codes)} documents")
        self.documents += sum(code in (200, 201) for code in codes)
        for one, code in zip(outcomes, codes, strict=True):
            if code >= 400 and code != 409:
                if not self.refused:
                    reason = printable(str(one.get("error")))
                    self._report(f"elasticsearch_sink: a document was refused: {reason}")
                self.refused += 1


def _packed(one: Document) -> bytes:
    try:
        return orjson.dumps(one.body)
    except TypeError:  # half of a surrogate pair, which is no text
        return json.dumps(one.body).encode()
