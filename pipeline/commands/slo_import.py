"""`tocsin slo-import`: objectives written for others become slo.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from model.errors import InputError
from pipeline import output
from pipeline.objectives import ObjectivesFile
from pipeline.openslo import Imported, convert
from pipeline.positions import parse
from pipeline.reading import read

FILE_BYTES_MAX = 4 * 1024 * 1024


def slo_import(
    files: Annotated[
        list[Path],
        typer.Argument(help="Files of OpenSLO v1 or Sloth.", exists=True, dir_okay=False),
    ],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write to a file.")] = None,
) -> None:
    """Turn objectives of OpenSLO v1 or Sloth into slo.yaml; what cannot be taken over is named."""
    found = Imported()
    for path in files:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise InputError(f"{path}: is larger than 4 MiB")
        try:
            one = convert(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise InputError(f"{path}: {error}") from None
        found.entries += one.entries
        found.problems += [f"{path}: {problem}" for problem in one.problems]
    text = found.text()
    document = parse(text, str(out or "slo.yaml"))
    read(ObjectivesFile, document)
    found.problems += [str(problem) for problem in document.problems]
    if out is not None:
        out.write_text(text, encoding="utf-8")
    else:
        typer.echo(text, nl=False)
    for problem in found.problems:
        output.say(f"left out: {problem}", err=True)
    if found.problems:
        raise typer.Exit(output.FAILED)
