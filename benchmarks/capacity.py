"""The sizing model of docs/capacity.md: its tables, and the model beside what was measured.

    python -m benchmarks.capacity [--check FILE SERIES ALERTS]

FILE is what `benchmarks.scale --series SERIES --alerts ALERTS --json FILE` wrote. A test compares the tables with
the page.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

SCRAPE_S = 15
BUSY = 0.6
"""The share of a core that a process is planned for: the rest is for what comes at once, and for taking over."""


PARTITION_BYTES = 64e6
"""What of a partition is kept as one row: more would be slow to take over."""

WORKER_BYTES = 2e9
"""What one detecting worker is to hold: more would be slow to read again."""


@dataclass(frozen=True, slots=True)
class Costs:
    """Measured (docs/capacity.md says by which command): processor seconds and bytes on this machine's core."""

    intake_sample_s: float = 3.6e-6
    plain_sample_s: float = 0.14e-6
    signal_sample_s: float = 1.7e-6
    full_sample_s: float = 8.0e-6  # more of a signal, once the full tier looks at it
    tick_s: float = 0.15e-3  # of a partition, each second
    tick_signal_s: float = 0.34e-6  # more for each of its signal series
    message_s: float = 0.15e-3  # a message's way through Faust
    send_s: float = 0.10e-3
    told_s: float = 0.06e-3  # a tick at which a partition had nothing to tell
    alert_s: float = 130e-6
    plain_bytes: float = 440.0
    signal_bytes: float = 8_100.0  # the full tier among it
    worker_bytes: float = 250e6  # code, and messages that were read ahead
    plain_kept_bytes: float = 315.0
    signal_kept_bytes: float = 7_500.0
    sample_network_bytes: float = 12.1
    samples_per_message: int = 5_000
    alert_network_bytes: float = 317.0
    alert_record_bytes: float = 1_150.0


@dataclass(frozen=True, slots=True)
class Site:
    """What is watched: series, how many of them are signals, alerts a second; how it is cut."""

    series: float
    signals: float
    alerts_per_s: float
    partitions: int
    domains: int
    scrape_s: float = SCRAPE_S
    ticks_per_s: float = 1.0
    copies: int = 3

    @property
    def samples_per_s(self) -> float:
        """Of all series."""
        return self.series / self.scrape_s


def intake_cores(site: Site, costs: Costs) -> float:
    """Scraping and sending."""
    return site.samples_per_s * costs.intake_sample_s


def detect_cores(site: Site, costs: Costs) -> float:
    """Detectors: samples, the ticks of each partition, messages in, and what is told to each who decides."""
    signal = site.signals / site.series if site.series else 0.0
    signal_s = costs.signal_sample_s + costs.full_sample_s
    sample_s = signal * signal_s + (1 - signal) * costs.plain_sample_s
    full = max(site.samples_per_s / costs.samples_per_message, site.partitions / site.scrape_s)
    ticks = site.ticks_per_s * site.partitions
    return (
        site.samples_per_s * sample_s
        + ticks * (costs.tick_s + costs.message_s + site.domains * costs.send_s)
        + site.ticks_per_s * site.signals * costs.tick_signal_s
        + full * costs.message_s
    )


def decide_cores(site: Site, costs: Costs) -> float:
    """Correlators: pushed alerts in pushes of a hundred, and what each partition told each of them."""
    told = site.ticks_per_s * site.partitions * site.domains
    return site.alerts_per_s * costs.alert_s + told * (costs.told_s + costs.message_s)


def workers(cores: float, most: int) -> int:
    """Processes of one core."""
    return min(max(1, math.ceil(cores / BUSY)), most)


def cut(series: float, signal_share: float, alerts_per_min: float, costs: Costs) -> Site:
    """A site with as many partitions and domains as it needs: twice as many as workers, so that they share out."""
    signals, alerts_per_s = series * signal_share, alerts_per_min / 60
    partitions, domains = 4, 1
    kept = signals * costs.signal_kept_bytes + (series - signals) * costs.plain_kept_bytes
    while True:
        site = Site(series, signals, alerts_per_s, partitions, domains)
        if partitions * PARTITION_BYTES < kept:
            partitions *= 2
        elif domains * BUSY < decide_cores(site, costs):
            domains *= 2
        elif partitions * BUSY / 2 < detect_cores(site, costs):
            partitions *= 2
        else:
            return site
        if partitions > 4_096 or domains > 4_096:
            raise ValueError("no cut serves so much")


def series_table(costs: Costs) -> Iterator[str]:
    """Sites by series, a tenth of them signals, a thousand alerts a minute."""
    yield "| series | samples/s | partitions | cores intake / detect / decide | workers detect | memory of detecting | network in | Kafka a day, one copy | kept | kept again after |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for series in (1e4, 1e5, 1e6, 1e7, 1e8):
        site = cut(series, 0.1, 1_000, costs)
        detect = detect_cores(site, costs)
        plain = series - site.signals
        held = plain * costs.plain_bytes + site.signals * costs.signal_bytes
        count = max(workers(detect, site.partitions), math.ceil(held / WORKER_BYTES))
        kept = plain * costs.plain_kept_bytes + site.signals * costs.signal_kept_bytes
        network = site.samples_per_s * costs.sample_network_bytes
        again_s = max(30.0, kept / count / (2 * 2**20))
        yield (
            f"| {_count(series)} | {_count(site.samples_per_s)} | {site.partitions} "
            f"| {intake_cores(site, costs):.2f} / {detect:.2f} / {decide_cores(site, costs):.2f} | {count} "
            f"| {_size(held + count * costs.worker_bytes)} | {_size(network)}/s | {_size(network * 86_400)} "
            f"| {_size(kept)} | {again_s:.0f} s |"
        )


def alerts_table(costs: Costs) -> Iterator[str]:
    """Sites by alerts, a hundred thousand series."""
    yield "| alerts a minute | partitions × domains | cores to decide | workers decide | Kafka a day, one copy | records a day, all of them new |"
    yield "|---|---|---|---|---|---|"
    for alerts in (1e3, 1e4, 1e5, 1e6):
        site = cut(1e5, 0.1, alerts, costs)
        decide = decide_cores(site, costs)
        day = alerts * 60 * 24
        yield (
            f"| {_count(alerts)} | {site.partitions} × {site.domains} | {decide:.2f} "
            f"| {workers(decide, site.domains)} | {_size(day * costs.alert_network_bytes)} "
            f"| {_size(day * costs.alert_record_bytes)} |"
        )


def _count(number: float) -> str:
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number:.0f}"


def _size(number: float) -> str:
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number:.0f} B"


def check(path: Path, series: int, alerts: int, costs: Costs) -> Iterator[str]:
    """What the model says beside what a run of `benchmarks.scale` found."""
    rows = json.loads(path.read_text())["rows"]
    measured = {(row["measure"], row["subject"]): row["value"] for row in rows}
    yield f"| {series} signal series, {alerts} alerts in a minute | model | measured | ratio |"
    yield "|---|---|---|---|"
    for count in (1, 2, 4):
        said = f"{count} worker{'s' if count > 1 else ''}"
        site = Site(series, series, 0.0, 4, 4)
        each_msample = 1e6 / site.samples_per_s
        told_s = 120 * decide_cores(Site(0, 0, 0.0, 4, 4), costs)
        pairs = (
            ("cpu_s_per_msample", f"{said}, detect", detect_cores(site, costs) * each_msample),
            ("cpu_s_per_msample", f"{said}, correlate", decide_cores(site, costs) * each_msample),
            (
                "cpu_s_per_1000_alerts",
                f"{said}, correlate",
                1_000 * (costs.alert_s + told_s / alerts),
            ),
        )
        for measure, subject, predicted in pairs:
            if (value := measured.get((measure, subject))) is not None:
                yield f"| {measure}, {subject} | {predicted:.3g} | {value:.3g} | {predicted / value:.2f} |"


def main(words: Sequence[str] | None = None) -> None:
    """Print tables and checks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", nargs=3, action="append", default=[])
    given = parser.parse_args(words)
    costs = Costs()
    print(*series_table(costs), "", *alerts_table(costs), sep="\n")
    for path, series, alerts in given.check:
        print("", *check(Path(path), int(series), int(alerts), costs), sep="\n")


if __name__ == "__main__":
    main()
