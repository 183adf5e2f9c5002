"""What the commands print: tables for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

OK, FAILED, USAGE, UNREACHABLE = 0, 1, 2, 3
"""Exit codes: done; the answer is no; wrong use or configuration; the server does not answer."""

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)


def show_json(value: Any) -> None:
    """Print JSON, indented."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True))


def show_table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, empty: str) -> None:
    """Print a table, or a sentence where there is nothing.

    Cells are shown as they are: no markup and no control characters of a label get through.
    """
    if not rows:
        console.print(Text(empty))
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*(Text(printable(str(cell))) for cell in row))
    console.print(table)


def printable(text: str) -> str:
    """Control characters as escapes.

    Examples
    --------
    >>> printable("a\\x1b[31m\\nb")
    'a\\\\x1b[31m\\\\x0ab'
    """
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def when(time_ms: int | None) -> str:
    """A time for a table, local zone, to the second."""
    if time_ms is None:
        return "-"
    return datetime.fromtimestamp(time_ms / 1000, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
