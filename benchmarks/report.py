"""What every benchmark says, and how: a table for people, JSON for comparing."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement.

    Attributes
    ----------
    measure, subject : str
        What was measured, and of what.
    value : float
        In `unit`.
    peer : str
        Who else did the same work, "" where nobody did; `ratio` is our value by theirs.
    """

    measure: str
    subject: str
    value: float
    unit: str
    peer: str = ""
    ratio: float | None = None


def arguments(description: str, *, data: bool = False) -> argparse.ArgumentParser:
    """The options that every benchmark takes; `data` adds `--data DIR`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows there")
    if data:
        parser.add_argument(
            "--data", type=Path, metavar="DIR", help="recorded telemetry instead of made-up"
        )
    return parser


def machine() -> dict[str, object]:
    """What it ran on: usable cores, Python, commit ("+" where something is not committed)."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "commit": _git("rev-parse", "--short", "HEAD") + ("+" if _git("status", "-s") else ""),
    }


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip()


def tell(rows: list[Row], path: Path | None = None) -> None:
    """Print the table; write the JSON where a file is named."""
    print(table(rows))
    if path is not None:
        text = json.dumps({"machine": machine(), "rows": [asdict(row) for row in rows]}, indent=1)
        path.write_text(text + "\n", encoding="utf-8")


def table(rows: list[Row]) -> str:
    """Rows in columns.

    Examples
    --------
    >>> print(table([Row("replay_speed", "a day", 1234.6, "s/s"), Row("lost", "alerts", 0, "")]))
    measure       subject  value  unit
    replay_speed  a day    1,235  s/s
    lost          alerts       0
    """
    peers = any(row.peer for row in rows)
    lines = [["measure", "subject", "value", "unit"] + ["peer", "ratio"] * peers]
    for row in rows:
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        lines.append(
            [row.measure, row.subject, number(row.value), row.unit] + [row.peer, ratio] * peers
        )
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join(
        "  ".join(
            text.rjust(width) if i in (2, 5) else text.ljust(width)
            for i, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def number(value: float) -> str:
    """Four significant digits, thousands apart.

    Examples
    --------
    >>> number(1234.56), number(0.012346), number(3), number(1234567.0)
    ('1,235', '0.01235', '3', '1,234,567')
    """
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
