"""Do the reports say of a help desk's log what the log says of itself?

    python -m benchmarks.reports [--data DIR] [--json FILE]

DIR (else `$TOCSIN_DATA`, else `../shared/data`) is searched for event logs of incidents by their layout: CSV files,
plain or in `.zip` and `.tar.zst` (with the `zstd` tool), whose header names `number`, `incident_state`, `opened_at`,
`resolved_at`, `closed_at`, `made_sla`, `priority` and `assignment_group`, as ServiceNow exports them. The last row of
each number counts; a number that does not end closed was cut off by the end of the file and is left out. What is
unpacked goes to the user's cache folder. Each incident is stored as ours, the report is built from
the store, and beside each measure stands the same computed from the rows by the obvious loop; `ratio` is to be 1.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from benchmarks.report import ROOT, Row, arguments, tell
from incident_bridge import reports
from incident_bridge.settings import ReportSettings
from model.alert import Severity
from model.incident import ClockKind, Incident, IncidentState, Priority, SlaClock
from model.reason import because
from store import clocks, incidents
from store.store import Store

COLUMNS = frozenset(
    "number incident_state opened_at resolved_at closed_at made_sla priority assignment_group".split()
)
HOUR_MS = 3_600_000
HEADER_BYTES_MAX = 65_536
SAVED_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True)
class Logged:
    """What the last row of one incident says; a missing time is None."""

    number: str
    opened_ms: int
    resolved_ms: int | None
    closed_ms: int
    kept: bool
    priority: str
    group: str
    category: str
    reopened: int


def time_ms(text: str) -> int | None:
    """A time as these logs write it, taken as UTC.

    Examples
    --------
    >>> time_ms("29/2/2016 01:16"), time_ms("?")
    (1456708560000, None)
    """
    if text in ("", "?"):
        return None
    moment = datetime.strptime(text, "%d/%m/%Y %H:%M").replace(tzinfo=UTC)
    return round(moment.timestamp()) * 1000


def read_log(path: Path) -> list[Logged]:
    """The incidents of a log that are whole, in the order of their numbers."""
    last: dict[str, dict[str, str]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            last[row["number"]] = row
    return [_logged(last[number]) for number in sorted(last) if _is_whole(last[number])]


def _is_whole(row: dict[str, str]) -> bool:
    known = time_ms(row["opened_at"]) is not None and time_ms(row["closed_at"]) is not None
    return known and row["incident_state"] == "Closed"


def _logged(row: dict[str, str]) -> Logged:
    opened_ms, closed_ms = time_ms(row["opened_at"]), time_ms(row["closed_at"])
    assert opened_ms is not None and closed_ms is not None, "it is whole"
    return Logged(
        number=row["number"],
        opened_ms=opened_ms,
        resolved_ms=time_ms(row["resolved_at"]),
        closed_ms=closed_ms,
        kept=row["made_sla"] == "true",
        priority=row["priority"][:1],
        group=row["assignment_group"],
        category=row.get("category", "?"),
        reopened=int(row.get("reopen_count") or 0),
    )


def incident_of(one: Logged) -> Incident:
    """The same as a record of ours."""
    digit = min(max(int(one.priority), 1), 4) if one.priority.isdigit() else 4
    return Incident(
        id=one.number,
        state=IncidentState.CLOSED,
        state_since_ms=one.closed_ms,
        title=because("{category}", category=one.category),
        service=one.category,
        services=(one.category,),
        severity=Severity.WARNING,
        priority=Priority(f"P{digit}"),
        impact=2,
        urgency=2,
        team=one.group,
        began_ms=one.opened_ms,
        opened_ms=one.opened_ms,
        updated_ms=one.closed_ms,
        resolved_ms=one.resolved_ms,
        closed_ms=one.closed_ms,
        reopened=one.reopened,
    )


def clock_of(one: Logged) -> SlaClock:
    """Its promise as the log judges it: what was promised, by which calendar, is not in it."""
    ended_ms = one.closed_ms if one.resolved_ms is None else one.resolved_ms
    return SlaClock(
        incident_id=one.number,
        kind=ClockKind.RESOLUTION,
        target_ms=1,
        started_ms=one.opened_ms,
        counted_ms=ended_ms,
        running=False,
        breached_ms=None if one.kept else ended_ms,
        stopped_ms=ended_ms,
    )


def build(found: list[Logged], folder: Path) -> tuple[reports.Report, float]:
    """Store them and build the report; also how long building took, in seconds."""
    store = Store.open(f"sqlite:///{folder}/tocsin.db", now_ms=0)
    try:
        for start in range(0, len(found), SAVED_AT_ONCE):
            some = found[start : start + SAVED_AT_ONCE]
            with store.records.write() as conn:
                incidents.save(conn, [incident_of(one) for one in some])
                clocks.save(conn, [clock_of(one) for one in some])
        since_ms = min(one.opened_ms for one in found)
        until_ms = max(one.closed_ms for one in found) + 1
        began_s = time.perf_counter()
        with store.records.read() as conn:
            settings = ReportSettings(incidents_max=len(found) + 1)
            report = reports.build(conn, since_ms, until_ms, settings=settings)
        return report, time.perf_counter() - began_s
    finally:
        store.close()


def measure(path: Path, subject: str) -> list[Row]:
    """The report's numbers beside the log's own."""
    found = read_log(path)
    if not found:
        return [Row("incidents", subject, 0, "", "log", None)]
    with tempfile.TemporaryDirectory(prefix="tocsin-reports-") as name:
        report, took_s = build(found, Path(name))
    total = report.total
    hours = [
        max(one.resolved_ms - one.opened_ms, 0) / HOUR_MS
        for one in found
        if one.resolved_ms is not None
    ]
    teams = {row.name: row for row in report.teams}
    largest = statistics.mode(one.group for one in found)
    own = [one for one in found if one.group == largest]
    pairs = [
        ("incidents", subject, total.incidents, len(found), ""),
        ("sla_met", subject, total.resolution.kept, sum(one.kept for one in found), "incidents"),
        ("sla_met_ratio", subject, total.resolution.ratio,
         sum(one.kept for one in found) / len(found), "ratio"),
        ("resolved", subject, total.resolve.count, len(hours), "incidents"),
        ("mttr_mean_hours", subject, _hours(total.resolve.mean_ms), statistics.fmean(hours), "h"),
        ("mttr_median_hours", subject, _hours(total.resolve.p50_ms), statistics.median(hours), "h"),
        ("reopened", subject, report.noise.reopened, sum(one.reopened for one in found), ""),
        ("teams", subject, len(teams), len({one.group for one in found}), ""),
        ("incidents", f"{subject}, {largest}", teams[largest].incidents, len(own), ""),
        ("sla_met", f"{subject}, {largest}", teams[largest].resolution.kept,
         sum(one.kept for one in own), "incidents"),
    ]  # fmt: skip
    rows = [_beside(*pair) for pair in pairs]
    return [*rows, Row("report_seconds", subject, took_s, "s")]


def _hours(duration_ms: int | None) -> float:
    return float("nan") if duration_ms is None else duration_ms / HOUR_MS


def _beside(measure: str, subject: str, ours: float | None, theirs: float, unit: str) -> Row:
    value = float("nan") if ours is None else float(ours)
    ratio = value / theirs if theirs else float(value == theirs)
    return Row(measure, subject, value, unit, f"log: {theirs:.6g}", ratio)


def find(folder: Path, cache: Path) -> Iterator[tuple[str, Path]]:
    """Logs of incidents below a folder, as (name, file); what is packed is unpacked into `cache`."""
    for path in sorted(folder.rglob("*")):
        if path.suffix == ".csv":
            with path.open("rb") as file:
                if _is_log(file):
                    yield path.stem, path
        elif path.suffix == ".zip":
            with path.open("rb") as file:
                yield from _in_zip(file, cache / _key(path))
        elif path.name.endswith(".tar.zst"):
            yield from _in_pack(path, cache / _key(path))


def _key(path: Path) -> str:
    """A name for what is unpacked: another file, or a newer one, has another."""
    stat = path.stat()
    text = f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _in_pack(path: Path, cache: Path) -> Iterator[tuple[str, Path]]:
    done = cache / "searched"
    if not done.exists():
        tool = shutil.which("zstd")
        if tool is None:
            print(f"{path.name}: passed over, because there is no zstd tool", file=sys.stderr)
            return
        command = [tool, "-dc", "--long=27", str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as unpacking:
            assert unpacking.stdout is not None
            with tarfile.open(fileobj=unpacking.stdout, mode="r|") as pack:
                for member in pack:
                    file = pack.extractfile(member) if member.isfile() else None
                    if file is not None:
                        _keep(member.name, file, cache)
        cache.mkdir(parents=True, exist_ok=True)
        done.touch()
    yield from ((found.stem, found) for found in sorted(cache.glob("*.csv")))


def _keep(name: str, file: IO[bytes], cache: Path) -> None:
    """Unpack a member if it is a log, or holds some."""
    if name.endswith(".zip"):
        list(_in_zip(io.BytesIO(file.read()), cache))
    elif name.endswith(".csv"):
        text = io.BytesIO(file.read())
        if _is_log(text):
            cache.mkdir(parents=True, exist_ok=True)
            (cache / Path(name).name).write_bytes(text.getvalue())


def _in_zip(file: IO[bytes], cache: Path) -> Iterator[tuple[str, Path]]:
    with zipfile.ZipFile(file) as pack:
        for info in pack.infolist():
            if not info.filename.endswith(".csv"):
                continue
            with pack.open(info) as member:
                if not _is_log(member):
                    continue
            found = cache / Path(info.filename).name
            if not found.exists():
                cache.mkdir(parents=True, exist_ok=True)
                part = found.with_suffix(".part")
                with pack.open(info) as member, part.open("wb") as out:
                    shutil.copyfileobj(member, out)
                part.replace(found)
            yield found.stem, found


def _is_log(file: IO[bytes]) -> bool:
    header = file.readline(HEADER_BYTES_MAX).decode("utf-8", "replace")
    return set(next(csv.reader([header.strip("\ufeff\r\n")]), [])) >= COLUMNS


def main() -> None:
    """Measure and tell."""
    options = arguments("reports against a help desk's log", data=True).parse_args()
    folder = options.data or Path(os.environ.get("TOCSIN_DATA") or ROOT.parent / "shared" / "data")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    cache = Path(base) / "tocsin-benchmarks"
    rows = [row for name, path in find(folder, cache) for row in measure(path, name)]
    if not rows:
        print(f"no log of incidents below {folder}; name a folder with --data", file=sys.stderr)
    tell(rows, options.json)


if __name__ == "__main__":
    main()
