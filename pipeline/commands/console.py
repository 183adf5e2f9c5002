"""`tocsin console`: pages, API and intake by HTTP of a distributed Tocsin."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from model.clock import SystemClock
from pipeline import logs
from pipeline.commands.options import DEFAULT_CONFIG, Config
from pipeline.commands.run import leave, override, serve
from pipeline.server import WebServer, listen
from pipeline.settings import load


def console(
    config: Config = DEFAULT_CONFIG,
    data: Annotated[
        Path | None, typer.Option(help="Folder for local files; wins over the file.")
    ] = None,
    address: Annotated[
        str, typer.Option("--listen", help="HOST:PORT of the console; wins over the file.")
    ] = "",
) -> None:
    """Serve pages, API and intake of a distributed Tocsin; workers do the rest."""
    from pipeline.distributed.console import DistributedConsole

    settings = override(load(config), data=data, address=address)
    logs.set_up(settings.machine.pipeline.log_level)
    with ExitStack() as undo:
        bound = undo.enter_context(listen(settings.machine.console.listen))
        runtime = DistributedConsole(settings, SystemClock())
        undo.pop_all()
    trusted = settings.machine.console.trusted_proxies
    leave(serve(runtime, WebServer(runtime.app, bound, trusted_proxies=trusted)))
