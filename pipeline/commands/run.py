"""`tocsin run`: the whole pipeline in this process."""

from __future__ import annotations

import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from incident_bridge.settings import BridgeSettings
from model.clock import SystemClock
from pipeline import logs
from pipeline.commands.options import DEFAULT_CONFIG, Config
from pipeline.runtime import Runtime
from pipeline.server import WebServer, listen
from pipeline.settings import Settings, load

SWITCH_S = 0.001  # the console's threads get a turn while a step computes


def run(
    config: Config = DEFAULT_CONFIG,
    data: Annotated[
        Path | None, typer.Option(help="Folder for databases and snapshots; wins over the file.")
    ] = None,
    address: Annotated[
        str, typer.Option("--listen", help="HOST:PORT of the console; wins over the file.")
    ] = "",
) -> None:
    """Collect, detect, correlate, open tickets, page; with the console. SIGHUP reloads the configuration."""

    def read() -> Settings:
        return override(load(config), data=data, address=address)

    settings = read()
    logs.set_up(settings.machine.pipeline.log_level)
    bound = listen(settings.machine.console.listen)
    runtime = Runtime(settings, SystemClock(), read=read)
    serve(runtime, WebServer(runtime.app, bound))


def override(settings: Settings, *, data: Path | None, address: str) -> Settings:
    """Options of the command line win over the file."""
    machine = settings.machine
    if data is not None:
        machine = replace(machine, data=str(data))
    if address:
        machine = replace(machine, console=replace(machine.console, listen=address))
        if machine.bridge.external_url == BridgeSettings().external_url:  # nobody said another
            bridge = replace(machine.bridge, external_url=f"http://{address}")
            machine = replace(machine, bridge=bridge)
    return replace(settings, machine=machine)


def serve(runtime: Runtime, server: WebServer) -> None:
    """Run until SIGINT or SIGTERM, then end everything in order."""
    sys.setswitchinterval(SWITCH_S)

    def reload(_signal: int, _frame: FrameType | None) -> None:
        threading.Thread(target=runtime.reload, name="reload", daemon=True).start()

    signal.signal(signal.SIGHUP, reload)
    # uvicorn stops on SIGTERM and then raises it again: end by an exception, so that all is stopped.
    signal.signal(signal.SIGTERM, lambda _signal, _frame: sys.exit(0))
    runtime.start()
    typer.echo(f"Tocsin listens at http://{runtime.settings.machine.console.listen}", err=True)
    try:
        server.serve()
    finally:
        runtime.stop()
