"""`tocsin run`: the whole pipeline in this process."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn, Protocol

import typer

from incident_bridge.settings import BridgeSettings
from model.clock import SystemClock
from pipeline import garbage, logs, output
from pipeline.commands.options import DEFAULT_CONFIG, Config
from pipeline.runtime import Runtime
from pipeline.server import WebServer, listen
from pipeline.settings import Settings, load

log = logging.getLogger("tocsin.run")

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
    garbage.collect_seldom()
    with ExitStack() as undo:
        bound = undo.enter_context(listen(settings.machine.console.listen))
        runtime = Runtime(settings, SystemClock(), read=read)
        undo.pop_all()
    trusted = settings.machine.console.trusted_proxies
    leave(serve(runtime, WebServer(runtime.app, bound, trusted_proxies=trusted)))


def leave(status: int) -> NoReturn:
    """End now: the interpreter would wait for threads that wait for a target, up to that target's timeout."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


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


class Served(Protocol):
    """A pipeline, or what stands for one, with a console."""

    on_crash: Callable[[], None]

    @property
    def settings(self) -> Settings:
        """By which it runs."""
        ...

    def start(self) -> None:
        """Begin."""
        ...

    def stop(self) -> None:
        """End in order."""
        ...

    def reload(self) -> object:
        """Read the configuration again."""
        ...


def serve(runtime: Served, server: WebServer) -> int:
    """Run until SIGINT or SIGTERM, then end everything in order; returns the exit status.

    A thread that dies of a mistake of ours ends the process, loudly (`output.CRASHED`): half a
    pipeline that looks alive is worse than none, which a supervisor starts again.
    """
    sys.setswitchinterval(SWITCH_S)
    status = [output.OK]

    def crash() -> None:
        status[0] = output.CRASHED
        server.stop()

    def died(what: threading.ExceptHookArgs) -> None:
        name = what.thread.name if what.thread else "a thread"
        log.critical("%s died of a mistake of ours; everything ends", name, exc_info=what.exc_value)
        crash()

    def end(_signal: int, _frame: FrameType | None) -> None:
        # uvicorn stops on SIGTERM and raises it again; also before and after uvicorn all is to be stopped.
        sys.exit(output.OK)

    def reload(_signal: int, _frame: FrameType | None) -> None:
        threading.Thread(target=runtime.reload, name="reload", daemon=True).start()

    threading.excepthook = died
    runtime.on_crash = crash
    signal.signal(signal.SIGHUP, reload)
    signal.signal(signal.SIGTERM, end)
    with suppress(SystemExit, KeyboardInterrupt):
        try:
            runtime.start()
            address = runtime.settings.machine.console.listen
            output.say(f"Tocsin listens at http://{address}", err=True)
            server.serve()
        finally:
            runtime.stop()
    return status[0]
