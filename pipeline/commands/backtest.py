"""`tocsin backtest`: what would it have found?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from model.clock import SystemClock
from model.codec import encode
from pipeline import output
from pipeline.backtest import run
from pipeline.commands.options import DEFAULT_CONFIG, AsJson, Config
from pipeline.settings import load


def backtest(
    recording: Annotated[
        Path, typer.Argument(help="Folder of recorded telemetry (docs/backtest.md).", exists=True)
    ],
    config: Config = DEFAULT_CONFIG,
    json: AsJson = False,
) -> None:
    """Play recorded telemetry through the same stages in virtual time, and list the incidents."""
    settings = load(config)
    clock = SystemClock()
    begun_s = clock.monotonic_s()
    with output.errors.status(output.translate("Playing the recording")):
        found = run(recording, settings)
    took_s = max(clock.monotonic_s() - begun_s, 1e-9)
    if json:
        typer.echo(encode(list(found.incidents)).decode())
        return
    output.show_table(
        ["BEGAN", "DETECTED", "RESOLVED", "PRIORITY", "SERVICE", "TITLE"],
        [
            (
                output.when(i.began_ms),
                output.when(i.opened_ms),
                output.when(i.resolved_ms),
                i.priority,
                i.service,
                i.title.text(),
            )
            for i in found.incidents
        ],
        empty="No incidents.",
    )
    output.say(
        f"{len(found.incidents)} incidents; {found.samples} samples of {found.series} series, "
        f"{found.recorded_s:.0f} s recorded, played in {took_s:.1f} s "
        f"({found.recorded_s / took_s:.0f} times as fast)",
        err=True,
    )
