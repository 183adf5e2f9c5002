"""`POST /api/v1/write`: what a Prometheus, or anything that writes like one, sends of its samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from collectors import remote_write1, remote_write2, snappy
from collectors.remote_series import Books
from collectors.remote_write import Reading, RemoteWrite, Version
from collectors.watermark import Watermark
from console.api_intake import problems_of
from console.call import Call, Endpoint, Kind, refuse
from console.gate import RETRY_AFTER_S
from model.account import Role
from model.errors import InputError

PATH = "/api/v1/write"
MEDIA_TYPE = "application/x-protobuf"
_READ = {Version.V1: remote_write1.read, Version.V2: remote_write2.read}


def negotiate(content_type: str, content_encoding: str) -> Version | None:
    """Which message a body holds; None where it is nothing that is understood (415).

    As Prometheus does, a sender from before there were versions may leave the headers out.

    Examples
    --------
    >>> str(negotiate("application/x-protobuf;proto=io.prometheus.write.v2.Request", "snappy"))
    'io.prometheus.write.v2.Request'
    >>> str(negotiate("application/x-protobuf", "snappy")), negotiate("application/json", "snappy")
    ('prometheus.WriteRequest', None)
    """
    if content_encoding.strip().lower() not in ("snappy", ""):
        return None
    media_type, *parameters = [part.strip() for part in content_type.split(";")]
    if media_type.lower() not in (MEDIA_TYPE, ""):
        return None
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "proto":
            known = [version for version in Version if version.value == value.strip(' "')]
            return known[0] if known else None
    return Version.V1


@dataclass(frozen=True, slots=True)
class Written:
    """What becomes of a request: how much of it goes on, and why the rest does not."""

    samples: int
    histograms: int = 0
    exemplars: int = 0
    problems: tuple[str, ...] = ()


def judge(push: RemoteWrite, reading: Reading, call: Call) -> Written:
    """Which samples will be used; those that will not are what the sender is told of.

    The pipeline decides by the same rules, and counts: here nothing is dropped yet.
    """
    bounds = call.ports.watermark
    kept = Watermark.for_samples(bounds).settle(push.times_ms, now_ms=call.now_ms).keep
    refused = push.book.refused(push.slots)
    problems = list(reading.problems)
    if reading.bad > len(problems):
        problems.append(f"timeseries: {reading.bad} samples of series that are not valid, in all")
    if out := int(np.count_nonzero(~kept)):
        problems.append(
            f"timeseries: {out} samples older than {bounds.lateness_ms // 1000} s or from the future"
            "; see watermark in tocsin.yaml, and queue_config.sample_age_limit of newer Prometheus"
        )
    if over := int(np.count_nonzero(refused & kept)):
        problems.append(
            f"timeseries: {over} samples of series beyond a limit; raise pipeline.series_per_source_max"
        )
    for bad, what in (
        (reading.histograms_bad, "native histograms"),
        (reading.exemplars_bad, "exemplars"),
    ):
        if bad:
            problems.append(f"timeseries: {bad} {what} are not taken")
    taken = kept & ~refused
    # Many series of ours are one histogram of the sender's.
    first = len(push.slots) - len(reading.slots)
    histograms = sum(bool(taken[first + at]) for at, _ in reading.natives)
    for at, length in reading.natives:
        taken[first + at : first + at + length] = False
    samples = int(np.count_nonzero(taken)) - reading.made
    return Written(max(0, samples), histograms, len(reading.exemplars), tuple(problems))


class RemoteWriteApi:
    """The endpoint, and what it remembers of each sender's series."""

    def __init__(self, books: Books | None = None) -> None:
        self.books = books or Books()

    def endpoints(self) -> tuple[Endpoint, ...]:
        """The route."""
        return (
            Endpoint("POST", PATH, Kind.PUSH, Role.RESPONDER, self.post,
                     "Prometheus remote write 1.0 and 2.0", encoded=True),
        )  # fmt: skip

    async def post(self, call: Call) -> Response:
        """Take samples up; answered once they wait for the pipeline."""
        headers = call.request.headers
        version = negotiate(headers.get("content-type", ""), headers.get("content-encoding", ""))
        if version is None:
            call.ports.counters.add("tocsin_intake_malformed_total")
            return refuse(415, f"must be {MEDIA_TYPE} of remote write 1.0 or 2.0, in snappy blocks")
        return await run_in_threadpool(self._take, call, version)

    def _take(self, call: Call, version: Version) -> Response:
        counters = call.ports.counters
        try:
            body = snappy.unpack(call.body, bytes_max=call.ports.intake.decoded_bytes_max)
            book = self.books.of(call.who.name, version)
            parts_max = 2 * call.ports.limits.series_max  # a table of symbols is about as long
            push, reading = _READ[version](body, book, call.who.name, parts_max=parts_max)
        except InputError as error:
            counters.add("tocsin_intake_malformed_total")
            status = 413 if isinstance(error, snappy.TooLarge) else 400
            problem = refuse(status, "nothing was accepted", problems_of(error))
            return _told(problem, version)
        written = judge(push, reading, call)
        if (len(push.slots) or push.kinds) and not call.ports.feed(push):
            # Not 429: until told to (retry_on_http_429), Prometheus drops what that answers.
            problem = refuse(503, "too much waits already; try again", retry_after=RETRY_AFTER_S)
            return _told(problem, version)
        forgotten = call.ports.exemplars.keep(reading.exemplars)
        counters.add("tocsin_intake_pushes_total")
        for name, amount in (
            ("tocsin_remote_write_invalid_samples_total", reading.bad),
            ("tocsin_remote_write_histograms_total", len(reading.natives)),
            ("tocsin_remote_write_histograms_refused_total", reading.histograms_bad),
            ("tocsin_remote_write_exemplars_total", len(reading.exemplars)),
            ("tocsin_remote_write_exemplars_refused_total", reading.exemplars_bad),
            ("tocsin_exemplars_forgotten_total", forgotten),
        ):
            if amount:
                counters.add(name, amount)
        if not written.problems:
            return _told(Response(status_code=204), version, written)
        said = f"{written.samples} samples accepted, the rest refused: {written.problems[0]}"
        problems = tuple(part for one in written.problems for part in problems_of(InputError(one)))
        return _told(refuse(400, said, problems), version, written)


def _told(response: Response, version: Version, written: Written | None = None) -> Response:
    """With the headers of 2.0, which say how much was written."""
    if version is Version.V2:
        done = written or Written(0)
        response.headers["X-Prometheus-Remote-Write-Samples-Written"] = str(done.samples)
        response.headers["X-Prometheus-Remote-Write-Histograms-Written"] = str(done.histograms)
        response.headers["X-Prometheus-Remote-Write-Exemplars-Written"] = str(done.exemplars)
    return response
