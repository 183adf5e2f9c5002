"""How fast log lines are taken up: syslog over TCP and the tail of a file, beside a bare `readline` loop.

    python -m benchmarks.intake_lines [--lines 200000] [--json FILE]

All by CPU seconds of this process; another process sends the syslog. `intake_lines_per_s` of the file and of syslog
end at a `LogBatch`: parsed, masked, templates mined. "read" is syslog as far as log lines in the queue, "to detectors"
goes on through `Engine.take` and `step` with all methods on. The lines of twelve programs, nine kinds each, with
numbers and identifiers in them, a third of which never come twice; RFC 5424 where nothing else is said.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.report import Row, arguments, tell
from collectors.logbatches import LogBatches
from collectors.masking import Masking
from collectors.pushed import Push
from collectors.settings import LogSettings, LogSource, TemplateSettings, WatermarkSettings
from collectors.syslog import SyslogIntake
from collectors.syslog_lines import SyslogPush
from collectors.syslog_settings import SyslogListener, SyslogSettings
from collectors.tail import LogTail
from collectors.templates import TemplateMiner
from collectors.watermark import Watermark
from detectors.engine import Engine
from detectors.settings import DetectorSettings
from model.clock import SystemClock
from model.series import SeriesIndex
from pipeline.garbage import collect_seldom

_KINDS = (
    "connection from 10.0.{a}.{b} closed after {c} ms",
    "order {id} of customer {c} accepted",
    "GET /api/v1/items/{c} 200 {a}ms",
    "cache miss for key item:{id}, loading",
    "worker {a} finished job {id} in {b} s",
    "user {c} signed in from 192.168.{a}.{b}",
    "retrying payment {id}, attempt {a}",
    "slow query: {c} ms, {a} rows",
    "health check passed, {c} requests since the last",
)
_AT_ONCE = 200
_SEND = """\
import socket, sys
data = open(sys.argv[1], "rb").read()
with socket.create_connection(("127.0.0.1", int(sys.argv[2]))) as sock:
    sock.sendall(data)
"""


def write(path: Path, count: int, now_ms: int) -> None:
    """Lines of a relay."""
    rng = np.random.default_rng(5)
    numbers = rng.integers(0, 250, (count, 4)).tolist()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now_ms / 1000))
    with path.open("w", encoding="utf-8") as file:
        for n, (a, b, c, d) in enumerate(numbers):
            text = _KINDS[n % 9].format(
                a=a, b=b, c=c * 37, id=f"{d:02x}{a:02x}{b:02x}{c:02x}{n:08x}"
            )
            program = f"service-{d % 12}"
            file.write(f"<{13 + d % 2}>1 {stamp}.{c:03}Z web{a % 5} {program} {a} - - {text}\n")


def rewrite(path: Path, form: Callable[[str, str, str], str]) -> Path:
    """The same lines in another form, of time, program and message."""
    written = path.with_suffix(".other")
    with path.open(encoding="utf-8") as lines, written.open("w", encoding="utf-8") as file:
        for line in lines:
            _, stamp, _, program, _, _, _, text = line.rstrip("\n").split(" ", 7)
            file.write(form(stamp, program, text) + "\n")
    return written


def _json(stamp: str, program: str, text: str) -> str:
    fields = {"@timestamp": stamp, "level": "info", "service": program, "message": text, "ms": 7}
    return json.dumps(fields)


def _bsd(stamp: str) -> str:
    return datetime.fromisoformat(stamp).astimezone().strftime("%b %d %H:%M:%S")


_FORMS: dict[str, Callable[[str, str, str], str]] = {
    "plain": lambda stamp, program, text: f"{stamp} INFO [{program}] {text}",
    "JSON": _json,
    "logfmt": lambda stamp, program, text: (
        f'time={stamp} level=info service={program} msg="{text}"'
    ),
    "RFC 3164": lambda stamp, program, text: f"{_bsd(stamp)} web1 {program}[7]: {text}",
}


def _logs() -> LogBatches:
    watermark = Watermark.for_logs(WatermarkSettings(log_lateness_ms=10**9))
    return LogBatches(Masking(LogSettings().mask), TemplateMiner(TemplateSettings()), watermark)


def _engine() -> Engine:
    return Engine(DetectorSettings(), SeriesIndex())


def bare(path: Path) -> int:
    """What a `readline` loop does: decode each line, and nothing with it."""
    count = 0
    with path.open(encoding="utf-8") as file:
        while file.readline():
            count += 1
    return count


def tail(path: Path, now_ms: int, engine: Engine | None = None) -> int:
    """The file, to batches, and through detectors where there are any."""
    settings = LogSettings((LogSource((str(path),), from_start=True),))
    watermark = WatermarkSettings(log_lateness_ms=10**9)
    tailing = LogTail(settings, TemplateMiner(TemplateSettings()), watermark)
    count = 0
    while batches := tailing.poll(now_ms):
        count += sum(map(len, batches))
        if engine is not None:
            for batch in batches:
                engine.take(batch, now_ms=now_ms)
            engine.step(now_ms)
    tailing.close()
    return count


@contextmanager
def sending(path: Path, feed: Callable[[Push], bool]) -> Iterator[SyslogIntake]:
    """An intake whose thread is this one, and a process that sends the file."""
    settings = SyslogSettings((SyslogListener("127.0.0.1:0", "tcp"),), rate_max=10**9)
    intake = SyslogIntake(settings, feed, SystemClock())
    ((_, port),) = intake.addresses().values()
    sender = subprocess.Popen([sys.executable, "-c", _SEND, str(path), str(port)])
    try:
        yield intake
    finally:
        sender.wait(30)
        intake.stop()


def syslog(
    path: Path, count: int, now_ms: int, logs: LogBatches | None, engine: Engine | None = None
) -> int:
    """The same lines over TCP: to log lines; to batches where there are `logs`; and through detectors."""
    taken = 0

    def feed(push: Push) -> bool:
        nonlocal taken
        assert isinstance(push, SyslogPush)
        taken += len(push.rows)
        batch = logs.make(push.rows, source=push.source, now_ms=now_ms) if logs else None
        if batch is not None and engine is not None:
            engine.take(batch, now_ms=now_ms)
            engine.step(now_ms)
        return True

    with sending(path, feed) as intake:
        while taken < count:
            intake.step(0.5)
    return taken


def datagrams(path: Path, now_ms: int) -> int:
    """The same lines over UDP, to batches, in turns of as many as the socket holds."""
    taken, logs = 0, _logs()

    def feed(push: Push) -> bool:
        nonlocal taken
        assert isinstance(push, SyslogPush)
        taken += len(push.rows)
        logs.make(push.rows, source=push.source, now_ms=now_ms)
        return True

    settings = SyslogSettings((SyslogListener("127.0.0.1:0", "udp"),), rate_max=10**9)
    intake = SyslogIntake(settings, feed, SystemClock())
    ((host, port),) = intake.addresses().values()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        lines = path.read_bytes().splitlines()
        for begin in range(0, len(lines), _AT_ONCE):
            for line in lines[begin : begin + _AT_ONCE]:
                sender.sendto(line, (host, port))
            intake.step(0.0)
    while before := taken:
        intake.step(0.1)
        if taken == before:
            break
    intake.stop()
    return taken


def rate(work: Callable[[], int], times: int = 3) -> float:
    """Lines per CPU second, the median of some runs."""
    found = []
    for _ in range(times):
        began_s = time.process_time()
        count = work()
        found.append(count / (time.process_time() - began_s))
    return float(np.median(found))


def measure(count: int, now_ms: int) -> list[Row]:
    """All of it in one run."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lines.log"
        write(path, count, now_ms)
        plain = rate(lambda: bare(path))
        files = rate(lambda: tail(path, now_ms))
        read = rate(lambda: syslog(path, count, now_ms, None))
        whole = rate(lambda: syslog(path, count, now_ms, _logs()))
        judged = rate(lambda: tail(path, now_ms, _engine()))
        socket_on = rate(lambda: syslog(path, count, now_ms, _logs(), _engine()))
        found = {
            "a file's tail, to batches": files,
            "a file's tail, to detectors": judged,
            "syslog over TCP, read": read,
            "syslog over TCP, to batches": whole,
            "syslog over TCP, to detectors": socket_on,
            "syslog over UDP, sending included": rate(lambda: datagrams(path, now_ms)),
        }
        for name, form in _FORMS.items():
            found[f"a file's tail, {name}, to batches"] = rate(
                partial(tail, rewrite(path, form), now_ms)
            )
    measured, unit, peer = "intake_lines_per_s", "1/s", "bare readline loop"
    return [
        Row(measured, f"readline, {count:,} lines", plain, unit),
        *(
            Row(measured, subject, found[subject], unit, peer, found[subject] / plain)
            for subject in found
        ),
    ]


def main() -> None:
    """Measure and tell."""
    parser = arguments("log lines a second: syslog over TCP and the tail of a file")
    parser.add_argument("--lines", type=int, default=200_000, metavar="N")
    options = parser.parse_args()
    collect_seldom()  # as `tocsin run` does
    tell(measure(options.lines, time.time_ns() // 1_000_000), options.json)


if __name__ == "__main__":
    main()
