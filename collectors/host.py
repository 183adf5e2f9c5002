"""The machine itself, under node_exporter's names."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import psutil

from collectors.base import Counters, Problems
from collectors.patience import Patience
from collectors.settings import HostSettings
from model.batch import STALE_NAN, LogBatch, MetricBatch, Rows
from model.labels import Labels
from model.reason import because
from model.series import SeriesIndex


class _Mount(Protocol):
    """What psutil says of a mount."""

    @property
    def device(self) -> str: ...
    @property
    def mountpoint(self) -> str: ...
    @property
    def fstype(self) -> str: ...


Reading = tuple[str, tuple[tuple[str, str], ...], float]
"""Metric, labels, value."""

_PSEUDO = frozenset(
    "autofs binfmt_misc bpf cgroup cgroup2 configfs debugfs devpts devtmpfs efivarfs fusectl hugetlbfs"
    " iso9660 mqueue nsfs overlay proc procfs pstore ramfs rpc_pipefs securityfs selinuxfs squashfs"
    " sysfs tmpfs tracefs".split()
)
_REMOTE = ("nfs", "cifs", "smb", "fuse", "9p", "ceph", "gluster", "afs", "lustre")
_MODES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")

KINDS = {
    "node_cpu_seconds_total": "counter",
    "node_disk_read_bytes_total": "counter",
    "node_disk_written_bytes_total": "counter",
    "node_disk_reads_completed_total": "counter",
    "node_disk_writes_completed_total": "counter",
    "node_disk_io_time_seconds_total": "counter",
    "node_network_receive_bytes_total": "counter",
    "node_network_transmit_bytes_total": "counter",
    "node_network_receive_packets_total": "counter",
    "node_network_transmit_packets_total": "counter",
    "node_network_receive_errs_total": "counter",
    "node_network_transmit_errs_total": "counter",
    "node_network_receive_drop_total": "counter",
    "node_network_transmit_drop_total": "counter",
    "node_context_switches_total": "counter",
    "node_intr_total": "counter",
}


def _real_mounts(parts: Iterable[_Mount]) -> dict[str, str]:
    """Mount point to file system type, one for each device, those that can fill up.

    Remote ones are left out: asking a server that hangs would hold up everything.
    """
    best: dict[str, _Mount] = {}
    for part in parts:
        # A root on overlay (a container's) is still the disk that fills up.
        if part.mountpoint != "/" and (
            not part.fstype or part.fstype in _PSEUDO or part.fstype.startswith(_REMOTE)
        ):
            continue
        # Bind mounts show a device several times: its shortest mount point stands for it.
        device = part.device if part.device.startswith("/dev/") else part.mountpoint
        known = best.get(device)
        if known is None or len(part.mountpoint) < len(known.mountpoint):
            best[device] = part
    return {part.mountpoint: part.fstype for part in best.values()}


class HostCollector:
    """Reads CPU, memory, disks, file systems, network, load and processes on a beat.

    What the system does not offer (another operating system, a container) is left out and reported once.

    Parameters
    ----------
    settings : HostSettings
    index : SeriesIndex
    """

    def __init__(self, settings: HostSettings, index: SeriesIndex) -> None:
        self.settings = settings
        self._index = index
        self.problems = Problems()
        self._base = {
            "job": "host",
            "instance": settings.instance or platform.node() or "localhost",
            "service": settings.service,
        }
        self._rows: dict[tuple[str, tuple[tuple[str, str], ...]], int] = {}
        self._present: set[int] = set()
        self._beat = Patience(max(1, settings.interval_ms))
        self._failed = self._left_out = 0
        index.on_evict(self._forget)

    def poll(self, now_ms: int) -> list[MetricBatch | LogBatch]:
        """One batch when the interval has passed, else nothing."""
        if not self.settings.enabled or not self._beat.due(now_ms):
            return []
        self._beat.begin(now_ms)
        rows: list[int] = []
        values: list[float] = []
        for part in self._parts():
            try:
                readings = list(part(now_ms))
            except (OSError, psutil.Error, AttributeError, NotImplementedError, RuntimeError):
                self._failed += 1
                name = part.__name__.removeprefix("_")
                why = because("{part} of the host cannot be read", part=name)
                self.problems.note("host", name, why, now_ms=now_ms)
                continue
            for metric, labels, value in readings:
                row = self._row(metric, labels, now_ms)
                if row >= 0:
                    rows.append(row)
                    values.append(value)
        ended = sorted(self._present - set(rows))  # an unmounted disk, a removed interface
        self._present = set(rows)
        batch = MetricBatch.of(
            rows + ended,
            now_ms,
            values + [float(STALE_NAN)] * len(ended),
            arrival_ms=now_ms,
            source="host",
        )
        self._index.touch(batch.rows, now_ms)
        return [batch]

    def counters(self) -> Counters:
        """Running totals."""
        return {
            "tocsin_host_errors_total": self._failed,
            "tocsin_host_devices_refused_total": self._left_out,
        }

    def _forget(self, rows: Rows) -> None:
        gone = set(rows.tolist())
        self._rows = {key: row for key, row in self._rows.items() if row not in gone}
        self._present -= gone

    def _row(self, metric: str, labels: tuple[tuple[str, str], ...], now_ms: int) -> int:
        key = (metric, labels)
        row = self._rows.get(key)
        if row is None:
            named = Labels.of({**self._base, **dict(labels), "__name__": metric})
            row = self._index.intern(named, source="host", now_ms=now_ms)
            if row >= 0:
                self._rows[key] = row
                self._index.describe(metric, KINDS.get(metric, "gauge"))
        return row

    def _parts(self) -> tuple[Callable[[int], Iterator[Reading]], ...]:
        return (
            self._cpu,
            self._load,
            self._memory,
            self._filesystems,
            self._disks,
            self._network,
            self._processes,
        )

    def _bounded(self, names: list[str]) -> list[str]:
        self._left_out += max(0, len(names) - self.settings.devices_max)
        return sorted(names)[: self.settings.devices_max]

    def _cpu(self, _now_ms: int) -> Iterator[Reading]:
        if self.settings.per_cpu:
            for number, times in enumerate(psutil.cpu_times(percpu=True)):
                for mode in _MODES:
                    if hasattr(times, mode):
                        labels = (("cpu", str(number)), ("mode", mode))
                        yield "node_cpu_seconds_total", labels, float(getattr(times, mode))
        else:
            total = psutil.cpu_times()
            for mode in _MODES:
                if hasattr(total, mode):
                    yield "node_cpu_seconds_total", (("mode", mode),), float(getattr(total, mode))
        yield "node_cpu_count", (), float(psutil.cpu_count() or 1)
        stats = psutil.cpu_stats()
        yield "node_context_switches_total", (), float(stats.ctx_switches)
        yield "node_intr_total", (), float(stats.interrupts)

    def _load(self, _now_ms: int) -> Iterator[Reading]:
        for minutes, value in zip((1, 5, 15), psutil.getloadavg(), strict=True):
            yield f"node_load{minutes}", (), value

    def _memory(self, _now_ms: int) -> Iterator[Reading]:
        memory, swap = psutil.virtual_memory(), psutil.swap_memory()
        yield "node_memory_MemTotal_bytes", (), float(memory.total)
        yield "node_memory_MemAvailable_bytes", (), float(memory.available)
        yield "node_memory_MemFree_bytes", (), float(memory.free)
        for field, name in (("buffers", "Buffers"), ("cached", "Cached")):
            if hasattr(memory, field):
                yield f"node_memory_{name}_bytes", (), float(getattr(memory, field))
        yield "node_memory_SwapTotal_bytes", (), float(swap.total)
        yield "node_memory_SwapFree_bytes", (), float(swap.free)
        yield "node_memory_SwapUsed_bytes", (), float(swap.used)

    def _filesystems(self, _now_ms: int) -> Iterator[Reading]:
        mounts = _real_mounts(psutil.disk_partitions(all=True))
        for path in self._bounded(list(mounts)):
            try:
                usage = psutil.disk_usage(path)
            except OSError:
                continue  # unmounted meanwhile, or not for us to see
            if not usage.total:
                continue
            labels = (("fstype", mounts[path]), ("mountpoint", path))
            yield "node_filesystem_size_bytes", labels, float(usage.total)
            yield "node_filesystem_avail_bytes", labels, float(usage.free)

    def _disks(self, _now_ms: int) -> Iterator[Reading]:
        disks = psutil.disk_io_counters(perdisk=True) or {}
        real = [name for name in disks if not name.startswith(("loop", "ram", "zram"))]
        for name in self._bounded(real):
            io, labels = disks[name], (("device", name),)
            yield "node_disk_read_bytes_total", labels, float(io.read_bytes)
            yield "node_disk_written_bytes_total", labels, float(io.write_bytes)
            yield "node_disk_reads_completed_total", labels, float(io.read_count)
            yield "node_disk_writes_completed_total", labels, float(io.write_count)
            if hasattr(io, "busy_time"):
                yield "node_disk_io_time_seconds_total", labels, io.busy_time / 1000

    def _network(self, _now_ms: int) -> Iterator[Reading]:
        cards = psutil.net_io_counters(pernic=True)
        real = [name for name in cards if not name.startswith("veth")]
        for name in self._bounded(real):
            io, labels = cards[name], (("device", name),)
            yield "node_network_receive_bytes_total", labels, float(io.bytes_recv)
            yield "node_network_transmit_bytes_total", labels, float(io.bytes_sent)
            yield "node_network_receive_packets_total", labels, float(io.packets_recv)
            yield "node_network_transmit_packets_total", labels, float(io.packets_sent)
            yield "node_network_receive_errs_total", labels, float(io.errin)
            yield "node_network_transmit_errs_total", labels, float(io.errout)
            yield "node_network_receive_drop_total", labels, float(io.dropin)
            yield "node_network_transmit_drop_total", labels, float(io.dropout)

    def _processes(self, now_ms: int) -> Iterator[Reading]:
        yield "node_time_seconds", (), now_ms / 1000
        yield "node_boot_time_seconds", (), float(psutil.boot_time())
        yield "node_processes_pids", (), float(len(psutil.pids()))
