"""Probes, each on its own beat: what is due is started, what has finished is handed over."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from collectors.base import Counters, Problems
from collectors.probe_run import run_probe
from collectors.probe_settings import ProbeSettings, ProbeTarget
from collectors.probing import AddressInfo, Names, Result, Series, system_addresses
from model.batch import STALE_NAN, LogBatch, MetricBatch
from model.clock import Clock
from model.identity import derive_id
from model.labels import Labels
from model.reason import Reason
from model.series import NAME, SeriesIndex


@dataclass(frozen=True, slots=True)
class ProbeState:
    """A probe as it stands.

    Attributes
    ----------
    target : ProbeTarget
    result : Result or None
        What was seen last; None before the first one has finished.
    at_ms : int
        When that probe began.
    failing_since_ms : int or None
        The first failure without a success after it.
    """

    target: ProbeTarget
    result: Result | None = None
    at_ms: int = 0
    failing_since_ms: int | None = None

    @property
    def service(self) -> str:
        """Whom it is about."""
        return self.target.service or self.target.name


def probe_labels(target: ProbeTarget) -> dict[str, str]:
    """The labels every series of a probe carries.

    Examples
    --------
    >>> from collectors.probe_settings import ProbeKind
    >>> target = ProbeTarget("shop", ProbeKind.HTTP, "https://shop.example/?key=1")
    >>> list(probe_labels(target).values())
    ['probe', 'shop', 'https://shop.example/', 'shop']
    """
    return {
        **target.labels,
        "job": "probe",
        "service": target.service or target.name,
        "instance": target.instance,
        "probe": target.name,
    }


@dataclass(slots=True, eq=False)
class _Lane:
    """What is kept of one probe between two runs."""

    state: ProbeState
    labels: dict[str, str]
    interval_ms: int
    offset_ms: int
    due_ms: int = 0
    started_ms: int = 0
    running: Future[Result] | None = None
    given: dict[Series, None] = field(default_factory=dict)

    def next_due_ms(self, after_ms: int) -> int:
        """The first time after `after_ms` that is on this probe's beat."""
        beats = (after_ms - self.offset_ms) // self.interval_ms + 1
        return beats * self.interval_ms + self.offset_ms

    def row_labels(self, series: Series) -> Labels:
        """All labels of one of its series."""
        return Labels.of({**self.labels, **dict(series[1]), NAME: series[0]})


class Prober:
    """Tries what is configured, and hands over what it saw as blackbox_exporter names it.

    Probes wait in threads, each no longer than its timeout; rows are numbered in `poll`, because
    the series index belongs to the loop's thread. Why a probe failed goes with the batch, as a note
    on its `probe_success`: a label would make a new series of every reason.

    Parameters
    ----------
    settings : ProbeSettings
    index : SeriesIndex
    clock : Clock
        Only to keep deadlines and to measure.
    addresses : callable
        Looks a name up; another one in tests.
    """

    def __init__(
        self,
        settings: ProbeSettings,
        index: SeriesIndex,
        clock: Clock,
        addresses: AddressInfo = system_addresses,
    ) -> None:
        self.settings = settings
        self._index = index
        self._clock = clock
        self._names = Names(settings.lookups_max, addresses)
        self.problems = Problems()
        self._pool = ThreadPoolExecutor(settings.workers, thread_name_prefix="probe")
        self._lanes = [self._lane(target) for target in settings.targets]
        self._probes = self._failed = self._skipped = 0
        self.states: tuple[ProbeState, ...] = tuple(lane.state for lane in self._lanes)

    def _lane(self, target: ProbeTarget) -> _Lane:
        interval_ms = self.settings.interval_of(target)
        offset_ms = int(derive_id("probe", target.name), 16) % interval_ms
        return _Lane(ProbeState(target), probe_labels(target), interval_ms, offset_ms)

    def poll(self, now_ms: int) -> list[MetricBatch | LogBatch]:
        """Hand over the probes that have finished, and start those that are due."""
        batches: list[MetricBatch | LogBatch] = []
        for lane in self._lanes:
            if lane.running is not None and lane.running.done():
                result, lane.running = lane.running.result(), None
                batches.append(self._finish(lane, result, now_ms))
            lane.due_ms = lane.due_ms or lane.next_due_ms(now_ms - 1)
            if now_ms >= lane.due_ms:
                self._start(lane, now_ms)
        if batches:
            self.states = tuple(lane.state for lane in self._lanes)
        return [batch for batch in batches if len(batch)]

    @property
    def waiting(self) -> bool:
        """Whether a probe is under way, or finished but not yet handed over."""
        return any(lane.running is not None for lane in self._lanes)

    def wait(self, timeout_s: float) -> None:
        """Wait until the probes under way have finished, for tests."""
        wait([lane.running for lane in self._lanes if lane.running], timeout=timeout_s)

    def close(self) -> None:
        """Stop; probes under way are left to their timeout."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def counters(self) -> Counters:
        """Running totals."""
        return {
            "tocsin_probes_total": self._probes,
            "tocsin_probe_failures_total": self._failed,
            "tocsin_probes_skipped_total": self._skipped,
            "tocsin_probe_targets": len(self._lanes),
            "tocsin_probe_lookups": len(self._names),
        }

    def _start(self, lane: _Lane, now_ms: int) -> None:
        lane.due_ms = lane.next_due_ms(now_ms)
        if lane.running is not None:
            self._skipped += 1
            return
        lane.started_ms = now_ms
        lane.running = self._pool.submit(
            run_probe, lane.state.target, self.settings, self._names, self._clock, now_ms
        )

    def _finish(self, lane: _Lane, result: Result, now_ms: int) -> MetricBatch:
        state, name = lane.state, f"probe {lane.state.target.name}"
        self._probes += 1
        since_ms = state.failing_since_ms
        if result.reason is None:
            since_ms = None
            self.problems.mend(name, "probe")
        else:
            self._failed += 1
            since_ms = lane.started_ms if since_ms is None else since_ms
            if state.result is not None and state.result.reason != result.reason:
                self.problems.mend(name, "probe")  # it fails in another way now
            self.problems.note(name, "probe", result.reason, now_ms=now_ms)
        lane.state = ProbeState(state.target, result, lane.started_ms, since_ms)
        return self._batch(lane, result, name, now_ms)

    def _batch(self, lane: _Lane, result: Result, source: str, now_ms: int) -> MetricBatch:
        values: dict[Series, float] = {
            ("probe_success", ()): float(result.ok),
            ("probe_duration_seconds", ()): result.seconds,
            **result.values,
        }
        rows, seen = list[int](), list[float]()
        notes: dict[int, Reason] = {}
        # What was given before and is not now has ended.
        for series in {**lane.given, **values}:
            value = values.get(series, STALE_NAN)
            row = self._index.intern(lane.row_labels(series), source=source, now_ms=now_ms)
            if row < 0:
                continue
            rows.append(row)
            seen.append(value)
            if series[0] == "probe_success" and result.reason is not None:
                notes[row] = result.reason
        lane.given = dict.fromkeys(values)
        made = MetricBatch.of(rows, lane.started_ms, seen, arrival_ms=now_ms, source=source)
        self._index.touch(made.rows, now_ms)
        return MetricBatch(made.rows, made.times_ms, made.values, now_ms, source, notes)
