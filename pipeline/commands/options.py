"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Url = Annotated[
    str,
    typer.Option("--url", envvar="TOCSIN_URL", help="Where Tocsin listens.", show_default=False),
]
Token = Annotated[
    str,
    typer.Option(
        "--token", envvar="TOCSIN_TOKEN", help="API token, where one is needed.", show_default=False
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Config = Annotated[
    Path,
    typer.Option(
        "--config", "-c", help="Folder with tocsin.yaml and its companions.", file_okay=False
    ),
]
Language = Annotated[
    str,
    typer.Option("--language", "-l", envvar="TOCSIN_LANGUAGE", help="en or zh_CN."),
]
DEFAULT_CONFIG = Path("config")
