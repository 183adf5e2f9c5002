"""What the commands print: tables for people, JSON for programs."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

OK, FAILED, USAGE, UNREACHABLE, CRASHED = 0, 1, 2, 3, 70
"""Exit codes: done; the answer is no; wrong use or configuration; the server does not answer; our mistake."""

PIPE_WIDTH = 2_000

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)


def language() -> str:
    """The language of the command line: TOCSIN_LANGUAGE, else English."""
    wished = os.environ.get("TOCSIN_LANGUAGE", "")
    if not wished or wished.startswith("en"):
        return "en"  # Babel and the catalogue are not even imported
    from console.i18n import choose

    return choose(wished)


def translate(text: str) -> str:
    """A finished English sentence in the language of the command line."""
    spoken = language()
    if spoken == "en":
        return text
    from console.sentences import retell

    return retell(text, spoken)


def say(text: str, *, err: bool = False) -> None:
    """Print a sentence, in the language of the command line."""
    typer.echo(translate(text), err=err)


def show(text: str) -> None:
    """Print a line as it is, in the language of the command line: no markup, no folding."""
    console.print(Text(translate(text)), soft_wrap=True)


def show_json(value: Any) -> None:
    """Print JSON, indented."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True))


def show_table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, empty: str) -> None:
    """Print a table, or a sentence where there is nothing.

    Cells are shown as they are: no markup and no control characters of a label get through.
    Only the last column is folded to fit a terminal: an id is for copying. What goes into a
    pipe is not folded at all.
    """
    if not rows:
        console.print(Text(translate(empty)))
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for number, column in enumerate(columns, start=1):
        table.add_column(translate(column), no_wrap=number < len(columns))
    for row in rows:
        table.add_row(*(Text(printable(str(cell))) for cell in row))
    wide = Console(file=console.file, width=PIPE_WIDTH, highlight=False)
    (console if console.is_terminal else wide).print(table)


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
    return _written(datetime.fromtimestamp(time_ms / 1000, UTC))


def when_iso(text: str) -> str:
    """The same for a time as Alertmanager's API writes it (RFC 3339)."""
    return _written(datetime.fromisoformat(text.replace("Z", "+00:00")))


def _written(moment: datetime) -> str:
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")
