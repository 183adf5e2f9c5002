"""What every detector must keep to, whatever it detects: shown on a shop with every fault in it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.engine import Engine
from detectors.knowledge import Knowledge
from detectors.settings import DetectorSettings, ThresholdRule
from model import codec
from model.alert import Alert
from model.batch import STALE_NAN, LogBatch, MetricBatch
from model.errors import SnapshotError
from model.labels import Labels, Matcher
from model.series import SeriesIndex
from model.slo import DAY_MS, Objective, ObjectiveKind
from tests.detectors.synthetic_shop import START_MS, Fault, Shop

FAULTS = (
    Fault("latency", "search", 70, 95),
    Fault("errors", "catalog", 70, 95),
    Fault("kill", "inventory", 70, 95),
    Fault("leak", "cart", 70, 95),
    Fault("cpu", "checkout", 70, 95),
    Fault("logs", "search", 70, 95),
)
RULES = (ThresholdRule("Busy", (Matcher.parse("__name__=cpu_cores"),), ">", 0.3, 2_000, 2_000),)
KNOWLEDGE = Knowledge(
    slos=(
        Objective("catalog", window_ms=DAY_MS),
        Objective("search", kind=ObjectiveKind.LATENCY, threshold_ms=250),
        Objective(
            "cart", total='http_requests_total{job="cart"}', bad='http_requests_total{code="500"}'
        ),
    )
)
SECONDS = 130


def told(alerts: list[Alert]) -> list[bytes]:
    return [codec.encode(alert) for alert in alerts]


def ordered(alerts: list[list[bytes]]) -> list[list[bytes]]:
    """Within one second, rows may be met in another order."""
    return [sorted(second) for second in alerts]


def play(engine: Engine, shop: Shop, seconds: int, cut: int = 0) -> list[list[bytes]]:
    """Run on; `cut` > 0 cuts each batch into pieces of so many samples, < 0 joins a second's to one."""
    out = []
    for _ in range(seconds):
        metrics, logs = shop.second()
        now_ms = START_MS + shop.t * 1000
        if cut < 0:
            metrics = [_join(metrics)]
        elif cut:
            metrics = [piece for batch in metrics for piece in _cut(batch, cut)]
        batches: list[MetricBatch | LogBatch] = [*metrics, logs]
        found = [alert for batch in batches for alert in engine.take(batch, now_ms=now_ms)]
        found += engine.step(now_ms)
        out.append(told(found))
    return out


def _join(batches: list[MetricBatch]) -> MetricBatch:
    return MetricBatch.of(
        np.concatenate([b.rows for b in batches]),
        np.concatenate([b.times_ms for b in batches]),
        np.concatenate([b.values for b in batches]),
        arrival_ms=batches[0].arrival_ms,
    )


def _cut(batch: MetricBatch, size: int) -> list[MetricBatch]:
    return [
        MetricBatch.of(
            batch.rows[at : at + size],
            batch.times_ms[at : at + size],
            batch.values[at : at + size],
            arrival_ms=batch.arrival_ms,
        )
        for at in range(0, len(batch), size)
    ]


def fresh() -> tuple[Engine, SeriesIndex]:
    index = SeriesIndex()
    return Engine(DetectorSettings(), index, RULES, KNOWLEDGE), index


@pytest.fixture(scope="module")
def reference() -> tuple[list[list[bytes]], bytes]:
    engine, index = fresh()
    out = play(engine, Shop(1, index, FAULTS), SECONDS)
    return out, engine.save()


def test_the_reference_tells_of_every_method(reference: tuple[list[list[bytes]], bytes]) -> None:
    found = b"".join(x for second in reference[0] for x in second)
    methods = ("baseline", "growth", "absence", "lograte", "newtemplate", "threshold", "slo")
    assert [m for m in methods if f'"method":"{m}"'.encode() not in found] == []


def test_same_input_same_output(reference: tuple[list[list[bytes]], bytes]) -> None:
    engine, index = fresh()
    assert play(engine, Shop(1, index, FAULTS), SECONDS) == reference[0]
    assert engine.save() == reference[1]


@pytest.mark.parametrize("cut", [1, 7, -1])
def test_how_a_scrape_is_cut_does_not_matter(
    reference: tuple[list[list[bytes]], bytes], cut: int
) -> None:
    engine, index = fresh()
    seconds = SECONDS if cut != 1 else 100
    out = play(engine, Shop(1, index, FAULTS), seconds, cut)
    assert ordered(out) == ordered(reference[0][:seconds])


def test_one_batch_of_a_hundred_equals_a_hundred_of_one() -> None:
    rng = np.random.default_rng(5)
    rows = rng.integers(0, 4, 100)
    times = START_MS + np.arange(100) * 1000
    values = rng.normal(10, 1, 100).cumsum()
    saved = []
    for size in (100, 1):
        index = SeriesIndex()
        names = ("a_total", "b", "http_requests_total", "process_resident_memory_bytes")
        for name in names:
            index.intern(Labels.of({"__name__": name, "job": "x"}), now_ms=START_MS)
        engine = Engine(DetectorSettings(), index)
        batch = MetricBatch.of(rows, times, values, arrival_ms=0)
        for piece in _cut(batch, size):
            engine.take(piece, now_ms=int(times[-1]))
        engine.step(int(times[-1]))
        saved.append(engine.save())
    assert saved[0] == saved[1]


@pytest.mark.parametrize("at", [40, 76, 84, 100])
def test_restored_state_equals_uninterrupted(
    reference: tuple[list[list[bytes]], bytes], at: int
) -> None:
    engine, index = fresh()
    shop = Shop(1, index, FAULTS)
    out = play(engine, shop, at)
    second = SeriesIndex()
    second.load(index.save())
    restored = Engine(DetectorSettings(), second, RULES, KNOWLEDGE)
    restored.load(engine.save())
    shop.index = second
    out += play(restored, shop, SECONDS - at)
    assert out == reference[0]
    assert restored.save() == reference[1]


def test_a14_a_damaged_or_foreign_snapshot_is_refused(
    reference: tuple[list[list[bytes]], bytes],
) -> None:
    data = reference[1]
    broken = bytearray(data)
    broken[len(broken) // 2] ^= 1
    for bad in (bytes(broken), data[:-1], b"", b"\x80\x04pickle", data[:40]):
        with pytest.raises(SnapshotError):
            fresh()[0].load(bad)
    # Whole, but of another index: its rows would mean other series.
    engine, index = fresh()
    index.intern(Labels.of({"__name__": "other"}))
    with pytest.raises(SnapshotError, match="series index"):
        engine.load(data)


def test_a14_nothing_in_a_snapshot_is_unpickled() -> None:
    from detectors.snapshot import pack

    with pytest.raises(SnapshotError, match="object"):
        fresh()[0].load(_with_type(pack({"x": np.arange(2)}, {}), b'"<i8"', b'"|O8"'))


def _with_type(data: bytes, old: bytes, new: bytes) -> bytes:
    import hashlib

    magic = data.index(b"\n") + 1
    body = data[magic + 32 :].replace(old, new)
    return data[:magic] + hashlib.sha256(body).digest() + body


def test_inputs_are_not_written() -> None:
    engine, index = fresh()
    shop = Shop(2, index, ())
    for _ in range(3):
        metrics, logs = shop.second()
        before = [(b.rows.copy(), b.times_ms.copy(), b.values.copy()) for b in metrics]
        batches: list[MetricBatch | LogBatch] = [*metrics, logs]
        for batch in batches:
            engine.take(batch, now_ms=START_MS + shop.t * 1000)
        engine.step(START_MS + shop.t * 1000)
        for batch, (rows, times, values) in zip(metrics, before, strict=True):
            np.testing.assert_array_equal(batch.rows, rows)
            np.testing.assert_array_equal(batch.times_ms, times)
            np.testing.assert_array_equal(batch.values, values)


_VALUES = st.sampled_from(
    [0.0, 1.0, -1.0, 1e-300, 1e308, -1e308, 5.0, np.nan, STALE_NAN, np.inf, -np.inf]
)
_NAMES = (
    "up",
    "http_requests_total",
    "http_request_duration_seconds_bucket",
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "node_memory_MemTotal_bytes",
    "node_cpu_seconds_total",
    "queue_depth",
    "things_total",
)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(st.integers(-1, len(_NAMES)), st.integers(-3, 400), _VALUES),
        min_size=1,
        max_size=120,
    )
)
def test_f26_take_never_raises(samples: list[tuple[int, int, float]]) -> None:
    """NaN, infinities, huge numbers, ties, times that go back, rows that are refused or unknown."""
    index = SeriesIndex()
    for name in _NAMES:
        index.intern(Labels.of({"__name__": name, "job": "x", "le": "nonsense", "mode": "idle"}))
    engine = Engine(DetectorSettings(warm_up_ms=0, warm_up_samples=1), index)
    for at in range(0, len(samples), 10):
        piece = samples[at : at + 10]
        now_ms = START_MS + 400_000
        batch = MetricBatch.of(
            [row for row, _, _ in piece],
            [START_MS + t * 1000 for _, t, _ in piece],
            [value for _, _, value in piece],
            arrival_ms=now_ms,
        )
        for alert in engine.take(batch, now_ms=now_ms) + engine.step(now_ms):
            codec.encode(alert)
    restored_index = SeriesIndex()
    restored_index.load(index.save())
    Engine(DetectorSettings(), restored_index).load(engine.save())


def test_f26_churn_leaves_nothing_behind() -> None:
    index = SeriesIndex(series_max=2_000)
    engine = Engine(DetectorSettings(), index)
    sizes = []
    for generation in range(12):
        now_ms = START_MS + generation * 3_600_000
        rows = [
            index.intern(
                Labels.of({"__name__": name, "job": "x", "instance": f"{generation}-{i}"}),
                source=f"{generation}",
                now_ms=now_ms,
            )
            for i in range(60)
            for name in ("http_requests_total", "process_resident_memory_bytes", "depth", "up")
        ]
        assert min(rows) >= 0
        for second in range(1, 4):
            at_ms = now_ms + second * 1000
            index.touch(np.array(rows), at_ms)
            engine.take(
                MetricBatch.of(rows, at_ms, np.full(len(rows), second), arrival_ms=at_ms),
                now_ms=at_ms,
            )
            engine.step(at_ms)
        index.evict_stale(now_ms)
        sizes.append(engine.nbytes)
    assert sizes[-1] == sizes[2]
    assert engine.counters()["tocsin_detector_watched_series"] <= 300


def test_a_row_given_to_another_series_begins_anew() -> None:
    index = SeriesIndex()
    engine = Engine(DetectorSettings(), index)
    row = index.intern(Labels.of({"__name__": "depth", "job": "a"}), now_ms=START_MS)
    for second in range(100):
        at = START_MS + second * 1000
        engine.take(MetricBatch.of([row], at, [5.0 + second % 3], arrival_ms=at), now_ms=at)
    index.evict_stale(START_MS + 1)
    new = Labels.of({"__name__": "process_resident_memory_bytes", "job": "b"})
    assert index.intern(new, now_ms=START_MS + 200_000) == row
    assert engine.band(new) is None
    at = START_MS + 200_000
    engine.take(MetricBatch.of([row], at, [7.0], arrival_ms=at), now_ms=at)
    found = engine.band(new)
    assert found is not None and found.values == (7.0,)


def test_log_lines_of_one_batch_or_many() -> None:
    def lines(texts: list[str], at_ms: int) -> LogBatch:
        return LogBatch(
            np.full(len(texts), at_ms, dtype=np.int64),
            np.array([ord(text[-1]) for text in texts], dtype=np.int32),
            np.full(len(texts), 17, dtype=np.int8),
            ("a",) * len(texts),
            tuple(texts),
            {ord(text[-1]): text for text in texts},
            at_ms,
            "f",
        )

    saved = []
    for size in (20, 1):
        engine = Engine(DetectorSettings(), SeriesIndex())
        for second in range(5):
            at = START_MS + second * 1000
            texts = [f"failure of kind {chr(97 + n % 4)}" for n in range(20)]
            for start in range(0, 20, size):
                engine.take(lines(texts[start : start + size], at), now_ms=at)
            engine.step(at)
        saved.append(engine.save())
    assert saved[0] == saved[1]
