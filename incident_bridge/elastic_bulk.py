"""Documents into an Elasticsearch, many in a request; what it will never take is set aside there as text."""

from __future__ import annotations

import json
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence

import orjson

from collectors.elastic_http import ElasticHttp, printable
from incident_bridge.elastic_documents import Document, refused_document
from incident_bridge.elastic_settings import ElasticSinkSettings
from incident_bridge.elastic_setup import Plan, prepare
from model.clock import Clock
from model.errors import DeliveryError, PermanentError, StoreError, TransientError

PAUSE_MS_MAX = 300_000
_PATH = "/_bulk?filter_path=errors,items.*.status,items.*.error.type,items.*.error.reason"


class ElasticBulk:
    """Sets up its streams, then writes; for one thread.

    Attributes
    ----------
    documents, refused : int
        Those that the server took (what it had already is not counted again), and those it never will.
    """

    def __init__(
        self,
        settings: ElasticSinkSettings,
        plan: Plan,
        clock: Clock,
        report: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._plan = plan
        self._http = ElasticHttp(settings, clock)
        self._report = report
        self._prepared = False
        self._trouble = ""
        self._failed = 0
        self.documents = self.refused = self.failures = 0

    def close(self) -> None:
        """Give the connection back."""
        self._http.close()

    def send(self, documents: Sequence[Document]) -> None:
        """Write all of them.

        Raises
        ------
        DeliveryError
            If the server does not take them. Send all of them again: what was taken is known by its name.
        """
        if not self._prepared:
            if left := prepare(self._http, self._plan):
                self._report("elasticsearch_sink: left out: " + "; ".join(left))
            self._prepared = True
        aside = [one for part in self._parts(documents) for one in self._send(part)]
        for part in self._parts(aside):
            self._send(part)

    def failed(self, error: Exception) -> int:
        """Say it once; how long to wait before the next attempt, milliseconds."""
        self.failures += 1
        wait_ms: int = min(PAUSE_MS_MAX, self._settings.interval_ms * 2 ** min(self._failed, 10))
        self._failed += 1
        self._say(f"elasticsearch_sink: {error}; it is tried again")
        asked_ms: int = getattr(error, "retry_after_ms", 0)
        return max(wait_ms, asked_ms)

    def well(self) -> None:
        """The last attempt succeeded."""
        self._failed = 0
        self._say("")

    def _say(self, trouble: str) -> None:
        if self._trouble and not trouble:
            self._report("elasticsearch_sink: well again")
        elif trouble and not self._trouble:
            self._report(trouble)
        self._trouble = trouble

    def _parts(self, documents: Sequence[Document]) -> Iterator[list[tuple[Document, bytes]]]:
        """Of about half of `body_bytes_max`: an answer repeats what it refuses."""
        part, size = list[tuple[Document, bytes]](), 0
        for one in documents:
            body = _packed(one)
            if part and size + len(body) > self._settings.body_bytes_max // 2:
                yield part
                part, size = [], 0
            part.append((one, body))
            size += len(body)
        if part:
            yield part

    def _send(self, part: Sequence[tuple[Document, bytes]]) -> list[Document]:
        """Write some; what is to be set aside."""
        lines = []
        for one, body in part:
            stream = f"logs-{one.dataset}-{self._settings.namespace}"
            # `create` is the one operation a data stream takes; a name that is there already is ours.
            lines += [orjson.dumps({"create": {"_index": stream, "_id": one.id}}), body]
        answer = self._http.ask("POST", _PATH, b"\n".join(lines) + b"\n")
        try:
            outcomes = [item["create"] for item in answer["items"]]
            codes = [int(one["status"]) for one in outcomes]
        except (LookupError, TypeError, ValueError):
            raise PermanentError("answered a bulk request without its items") from None
        busy = [code for code in codes if code == 429 or code >= 500]
        if busy:
            # All of it again: what was taken is known by its name.
            raise TransientError(f"took {len(codes) - len(busy)} of {len(codes)} documents")
        self.documents += sum(
            code in (200, 201) and one.dataset != "tocsin.refused"
            for (one, _), code in zip(part, codes, strict=False)
        )
        return [
            refused_document(one, why, namespace=self._settings.namespace)
            for (one, _), outcome, code in zip(part, outcomes, codes, strict=False)
            if code >= 400 and code != 409 and (why := self._refused(one, outcome))
        ]

    def _refused(self, one: Document, outcome: dict[str, object]) -> str:
        """Count it, and say the first of them; "" for what was set aside already."""
        if one.dataset == "tocsin.refused":
            return ""
        reason = printable(str(outcome.get("error")))
        if not self.refused:
            self._report(f"elasticsearch_sink: a document was refused: {reason}")
        self.refused += 1
        return reason


class ElasticWriter(ABC):
    """Something that is written round by round, in a thread of its own: it waits for nobody, nobody waits for it."""

    def __init__(self, name: str, bulk: ElasticBulk, interval_ms: int) -> None:
        self.bulk = bulk
        self._name = name
        self._interval_ms = interval_ms
        self._stopping = threading.Event()
        self._given_up = threading.Event()
        self._thread: threading.Thread | None = None

    @abstractmethod
    def round(self) -> bool:
        """Write what is next; True if more waits.

        Raises
        ------
        DeliveryError
            If the server does not take it: it is tried again by the next round.
        StoreError
            If the store does not say or keep where we are.
        """

    def start(self) -> None:
        """Write in a thread of its own."""
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def stop(self, wait_s: float) -> None:
        """Write what waits in one last attempt of so long; a request under way may be repeated."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(wait_s)
        self._given_up.set()
        self.bulk.close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._stopping.wait(self._turn() / 1000)
        self._turn()

    def _turn(self) -> int:
        """Write what waits; milliseconds until the next attempt."""
        try:
            while self.round() and not self._given_up.is_set():
                pass
            self.bulk.well()
        except (DeliveryError, StoreError) as error:
            return self.bulk.failed(error)
        return self._interval_ms


def _packed(one: Document) -> bytes:
    try:
        return orjson.dumps(one.body)
    except TypeError:  # half of a surrogate pair, which is no text
        return json.dumps(one.body).encode()
