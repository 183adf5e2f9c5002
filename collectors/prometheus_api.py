"""Ask a Prometheus HTTP API (Prometheus, Thanos, Mimir, VictoriaMetrics) for the past of series."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any
from urllib.parse import urlencode

import numpy as np
import orjson

from collectors.fetch import Request, basic, secret
from collectors.http_client import HttpClient, printable
from collectors.prometheus_settings import ApiSettings
from model.batch import Floats, Ints
from model.clock import Clock
from model.errors import LabelError, PermanentError, TransientError
from model.labels import Labels
from model.reason import gettext

POINTS_MAX = 11_000
"""Points of one series in one answer: Prometheus refuses more."""
KINDS_MAX = 50_000
_PAUSE_S = 1.0
_RETRY_AFTER_S_MAX = 60.0
_MENDS = {
    401: gettext("check bearer_token_file, or username and password_file"),
    403: gettext("check bearer_token_file, or username and password_file, and org_id"),
    404: gettext("is url the address of a Prometheus, without /api/v1?"),
    422: gettext("ask for less: fewer days, a longer coarse_step, narrower selectors"),
}


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """One series' samples: `times_ms` int64 and `values` float64, both (n_samples,), oldest first."""

    labels: Labels
    times_ms: Ints
    values: Floats


class PrometheusApi:
    """A client that is polite: one request at a time, bounded in time and size, patient with what passes.

    Parameters
    ----------
    settings : ApiSettings
    clock : Clock
        Only to measure how long an answer takes.
    """

    def __init__(self, settings: ApiSettings, clock: Clock) -> None:
        self.settings = settings
        self.requests = 0
        self._http = HttpClient(settings, clock, reason=_reason, mends=_MENDS)
        self._ended = threading.Event()

    @property
    def name(self) -> str:
        """The address as it may be shown."""
        return self._http.name

    def close(self) -> None:
        """Ask nothing more; who waits in `pause` goes on."""
        self._ended.set()
        self._http.close()

    @property
    def ended(self) -> bool:
        """Whether `close` was called."""
        return self._ended.is_set()

    def pause(self, seconds: float) -> None:
        """Wait, but not past `close`."""
        self._ended.wait(seconds)

    def query_range(self, query: str, start_ms: int, end_ms: int, step_ms: int) -> list[Track]:
        """Samples of a selector at the times start, start + step, … up to `end_ms` (inclusive).

        Each is the newest of the five minutes before: right for a distant past, wrong for the near one.

        Raises
        ------
        DeliveryError
            If it cannot be had; see `ask`.
        """
        assert (end_ms - start_ms) // step_ms < POINTS_MAX, "the caller cuts it into pieces"
        data = self.ask(
            "query_range",
            {
                "query": query,
                "start": _seconds(start_ms),
                "end": _seconds(end_ms),
                "step": _seconds(step_ms),
            },
        )
        return list(_tracks(data, "values"))

    def raw(self, query: str, start_ms: int, end_ms: int) -> list[Track]:
        """Samples of a selector as they were stored, with their own times, in (start, end].

        A range selector in an instant query: nothing is repeated, no gap is bridged.

        Raises
        ------
        DeliveryError
            If it cannot be had; see `ask`.
        """
        window = f"{query}[{end_ms - start_ms}ms]"
        return list(
            _tracks(self.ask("query", {"query": window, "time": _seconds(end_ms)}), "values")
        )

    def instant(self, query: str, time_ms: int) -> list[Track]:
        """The value of each series of an expression at a time, one sample each.

        Raises
        ------
        DeliveryError
            If it cannot be had; see `ask`.
        """
        return list(
            _tracks(self.ask("query", {"query": query, "time": _seconds(time_ms)}), "value")
        )

    def series(self, selector: str, start_ms: int, end_ms: int, *, limit: int) -> list[Labels]:
        """The label sets that a selector has had in a while; at most `limit` of them.

        Raises
        ------
        DeliveryError
            If they cannot be had; see `ask`.
        """
        asked = {"match[]": selector, "start": _seconds(start_ms), "end": _seconds(end_ms)}
        found = self.ask("series", {**asked, "limit": str(limit)})
        if not isinstance(found, list):
            raise PermanentError(_unexpected("a list of label sets", found))
        return [_labels(pairs) for pairs in found[:limit]]

    def kinds(self) -> dict[str, str]:
        """What each metric family is: counter, gauge, histogram, summary.

        Raises
        ------
        DeliveryError
            If it cannot be had; see `ask`.
        """
        found = self.ask(
            "metadata", {"limit": str(KINDS_MAX), "limit_per_metric": "1"}, method="GET"
        )
        if not isinstance(found, dict):
            raise PermanentError(_unexpected("an object of metrics", found))
        return {
            str(metric): str(entries[0].get("type", "unknown"))
            for metric, entries in islice(found.items(), KINDS_MAX)
            if isinstance(entries, list) and entries and isinstance(entries[0], dict)
        }

    def ask(self, what: str, form: Mapping[str, str], *, method: str = "POST") -> Any:
        """The `data` of one answer of the API; tried again where that may help.

        Raises
        ------
        TransientError
            If it is unreachable, slow, busy (429, 5xx), or cuts its answer off, again and again.
        PermanentError
            If it refuses (4xx), redirects elsewhere, or says what is no answer of this API.
        """
        for attempt in range(1, max(1, self.settings.tries_max) + 1):
            try:
                return self._ask_once(what, form, method)
            except TransientError as error:
                if attempt >= self.settings.tries_max or self.ended:
                    raise
                wait_s = max(_PAUSE_S * 2 ** (attempt - 1), error.retry_after_ms / 1000)
                self.pause(min(wait_s, _RETRY_AFTER_S_MAX))
        raise AssertionError("unreachable")

    def _ask_once(self, what: str, form: Mapping[str, str], method: str) -> Any:
        self.requests += 1
        return _data(self._http.ask(self._request(what, urlencode(form), method)).body)

    def _request(self, what: str, form: str, method: str) -> Request:
        settings = self.settings
        url = f"{settings.url.rstrip('/')}/api/v1/{what}"
        headers = {"Accept": "application/json", "Accept-Encoding": "gzip"}
        if settings.org_id:
            headers["X-Scope-OrgID"] = settings.org_id
        if settings.bearer_token_file:
            headers["Authorization"] = "Bearer " + secret(settings.bearer_token_file)
        auth = basic(settings.username, settings.password_file)
        if method == "GET":
            return Request(method, f"{url}?{form}", headers, auth=auth)
        # A form where it may be one, because selectors can be longer than an address.
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        return Request(method, url, headers, form.encode(), auth)


def _seconds(time_ms: int) -> str:
    return f"{time_ms / 1000:.3f}"


def _reason(body: bytes) -> str:
    """What the API says of an error, printable and short; "" where it says nothing readable."""
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""
    text = told.get("error", "") if isinstance(told, dict) else ""
    return printable(str(text))


def _unexpected(wanted: str, came: object) -> str:
    return f"said {type(came).__name__} where {wanted} was expected; is it a Prometheus HTTP API?"


def _data(body: bytes) -> Any:
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        where = f"at character {error.pos}"
        raise PermanentError(f"answered what is not JSON ({where}); is it a Prometheus?") from None
    if not isinstance(answer, dict) or answer.get("status") != "success":
        reason = _reason(body)
        raise PermanentError(
            f'answered without success: "{reason}"' if reason else _unexpected("success", answer)
        )
    return answer.get("data")


def _tracks(data: Any, key: str) -> Iterator[Track]:
    wanted = {"values": "matrix", "value": "vector"}[key]
    found = data.get("result") if isinstance(data, dict) else None
    if not isinstance(found, list) or data.get("resultType") != wanted:
        raise PermanentError(_unexpected(f"a {wanted}", data))
    for item in found:
        if not isinstance(item, dict):
            raise PermanentError(_unexpected("a series", item))
        points = item.get(key)
        if points is None:
            continue  # a native histogram
        yield _track(_labels(item.get("metric")), points if key == "values" else [points])


def _track(labels: Labels, points: Any) -> Track:
    try:
        times = np.array([point[0] for point in points], dtype=np.float64)
        values = np.array([float(point[1]) for point in points], dtype=np.float64)
    except (TypeError, ValueError, LookupError, OverflowError):
        raise PermanentError("said a sample that is no pair of time and number") from None
    if len(times) and not (np.isfinite(times).all() and abs(times).max() < 1e12):
        raise PermanentError("said a sample whose time is no time")
    times_ms = np.round(times * 1000.0).astype(np.int64)
    order = np.argsort(times_ms, kind="stable")
    return Track(labels, times_ms[order], values[order])


def _labels(pairs: Any) -> Labels:
    if not isinstance(pairs, dict):
        raise PermanentError(_unexpected("a label set", pairs))
    try:
        return Labels.of({str(name): str(value) for name, value in pairs.items() if value})
    except LabelError as error:
        raise PermanentError(f"said a label set that is none: {error}") from None
