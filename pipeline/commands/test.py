"""`tocsin test`: scenarios, in virtual time."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline import output
from pipeline.scenario import run_file


def test(
    files: Annotated[
        list[Path], typer.Argument(help="Scenario files, or folders with *.scenario.", exists=True)
    ],
) -> None:
    """Run scenario files through the whole pipeline; exit 1 if an expectation is not met."""
    paths = [p for f in files for p in (sorted(f.rglob("*.scenario")) if f.is_dir() else [f])]
    failed = 0
    for path in paths:
        result = run_file(path)
        if result.good:
            output.say(f"ok    {path}  ({result.checks} checks)")
            continue
        failed += 1
        output.say(f"FAIL  {path}")
        for failure in result.failures:
            output.say(str(failure))
    output.say(f"{len(paths) - failed} passed, {failed} failed")
    if failed or not paths:
        raise typer.Exit(output.FAILED)
