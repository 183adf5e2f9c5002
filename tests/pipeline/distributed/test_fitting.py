"""Whatever is to be sent fits into what a broker takes by default, and says the same."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from model.alert import Alert, Evidence
from model.labels import Labels
from model.reason import because
from pipeline.distributed import fitting
from pipeline.distributed.aligning import Alignment, Mark
from pipeline.distributed.blocks import pack_labels, unpack_labels
from pipeline.distributed.wire import MESSAGE_BYTES_MAX, Lines, Past, Samples, Told, read, write


def noise(rng: random.Random, length: int) -> str:
    """Text that does not compress."""
    return "".join(rng.choices("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", k=length))  # fmt: skip


def lines(count: int, length: int, *, fields: bool = False) -> Lines:
    rng = random.Random(7)
    return Lines(
        np.arange(count, dtype=np.int64),
        np.full(count, 3, dtype=np.int8),
        tuple(f"service{n % 3}" for n in range(count)),
        tuple(noise(rng, length) for _ in range(count)),
        tuple(f'{{"n": {n}}}' for n in range(count)) if fields else (),
        5,
        "syslog",
    )


def samples(count: int, length: int) -> Samples:
    rng = random.Random(8)
    labels = [Labels.of({"__name__": f"m{n}", "sql": noise(rng, length)}) for n in range(count)]
    notes = {n: because("note {count}", count=n) for n in range(0, count, 7)}
    return Samples(
        pack_labels(labels),
        np.arange(count, dtype=np.int64),
        np.arange(count, dtype=np.float64),
        5,
        "app:9090",
        {"m0": "gauge"},
        notes,
    )


def test_log_lines_as_long_as_they_may_be() -> None:
    """Anybody who may write a log line could hold up all telemetry with five hundred of them."""
    message = lines(500, 16_000, fields=True)
    assert len(write(message)) > MESSAGE_BYTES_MAX
    parts = list(fitting.fitting(message))
    assert max(map(len, parts)) <= MESSAGE_BYTES_MAX
    found = [one for part in parts if isinstance(one := read(part), Lines)]
    assert tuple(line for one in found for line in one.lines) == message.lines
    assert tuple(field for one in found for field in one.fields) == message.fields
    assert tuple(name for one in found for name in one.services) == message.services
    assert np.concatenate([one.times_ms for one in found]).tolist() == message.times_ms.tolist()
    assert np.concatenate([one.severities for one in found]).tolist() == [3] * 500


def test_lines_that_compress_well_do_not_unpack_to_more_than_is_taken() -> None:
    whole = replace(lines(500, 1), lines=("\x01" * 65_536,) * 500)  # six bytes each, as JSON
    parts = list(fitting.fitting(whole))
    assert sum(len(one.lines) for part in parts if isinstance(one := read(part), Lines)) == 500


def test_samples_with_long_labels_and_their_notes() -> None:
    message = samples(1_000, 2_000)
    assert len(write(message)) > MESSAGE_BYTES_MAX
    parts = list(fitting.fitting(message))
    assert max(map(len, parts)) <= MESSAGE_BYTES_MAX
    found = [one for part in parts if isinstance(one := read(part), Samples)]
    labels = [label for one in found for label in unpack_labels(one.series)]
    assert labels == unpack_labels(message.series)
    assert np.concatenate([one.values for one in found]).tolist() == list(range(1_000))
    begins = np.cumsum([0, *(len(one.values) for one in found)]).tolist()
    notes = {
        begin + at: why
        for begin, one in zip(begins, found, strict=False)
        for at, why in one.notes.items()
    }
    assert notes == dict(message.notes)
    assert {tuple(one.kinds.items()) for one in found} == {(("m0", "gauge"),)}


def test_a_past_says_what_it_said_and_ends_once_at_its_end() -> None:
    inner = samples(1_000, 2_000)
    message = Past(inner, coarse=True, renew=inner.series, ends=True)
    parts = [read(one) for one in fitting.fitting(message)]
    assert all(len(write(one)) <= MESSAGE_BYTES_MAX for one in parts)
    pasts = [one for one in parts if isinstance(one, Past)]
    assert [one.ends for one in pasts] == [False] * (len(pasts) - 1) + [True]
    values = [one.samples.values for one in pasts if one.samples is not None]
    assert np.concatenate(values).tolist() == list(range(1_000))
    assert all(one.coarse for one in pasts if one.samples is not None)
    renewed = [label for one in pasts if one.renew for label in unpack_labels(one.renew)]
    assert renewed == unpack_labels(inner.series)


@pytest.mark.parametrize(
    "message", [lines(3, 5), samples(3, 5), Past(ends=True), Past(samples(3, 5))]
)
def test_what_fits_is_one_message(message: fitting.Cut) -> None:
    assert list(fitting.fitting(message)) == [write(message)]


def alerts(count: int, length: int) -> tuple[Alert, ...]:
    rng = random.Random(9)
    one = partial(Alert, source="detector", starts_ms=1, arrival_ms=1)
    return tuple(
        one(Labels.of({"alertname": "Flat", "instance": f"i{n}", "noise": noise(rng, length)}))
        for n in range(count)
    )


def test_what_is_told_of_a_mass_outage_is_told_in_parts_and_taken_whole() -> None:
    """Thousands of series that fall silent at one tick: they must not end the detecting stage."""
    message = Told(0, 60_000, alerts(1_000, 2_000), "stamp")
    assert len(write(message)) > MESSAGE_BYTES_MAX
    parts = fitting.told(message)
    assert max(map(len, parts)) <= MESSAGE_BYTES_MAX
    assert parts == fitting.told(message)  # read again after a crash it is known
    told = [one for part in parts if isinstance(one := read(part), Told)]
    assert {one.stamp for one in told} == {"stamp"}
    alignment = Alignment(1, patience_ms=60_000, mark=Mark())
    before = alignment.take(Told(0, 59_000), 0)
    rounds = [taken for n, one in enumerate(told, start=1) for taken in alignment.take(one, n)]
    assert [one.now_ms for one in before] == [59_000]
    assert tuple(alert for one in rounds for alert in one.alerts) == message.alerts
    assert rounds[-1].now_ms == 60_000
    assert alignment.repeated == 0


def test_an_alert_that_does_not_fit_alone_goes_without_its_evidence() -> None:
    rng = random.Random(10)
    evidence = Evidence(Labels(), "lograte", lines=(noise(rng, 2_000_000),))
    large = replace(alerts(1, 5)[0], evidence=evidence)
    (part,) = fitting.told(Told(0, 1_000, (large,)))
    assert read(part) == Told(0, 1_000, (replace(large, evidence=None),))
