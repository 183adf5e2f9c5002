"""`tocsin worker`: some stages of a distributed Tocsin, in this process."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Annotated

import typer

from model.clock import SystemClock
from model.errors import InputError
from pipeline import garbage, logs, output, wiring
from pipeline.commands.options import DEFAULT_CONFIG, Config
from pipeline.commands.run import leave, override
from pipeline.settings import Settings, load


def worker(
    config: Config = DEFAULT_CONFIG,
    stages: Annotated[
        str, typer.Option(help="Any of intake, detect, correlate, act, with commas between.")
    ] = "intake,detect,correlate,act",
    data: Annotated[
        Path | None, typer.Option(help="Folder for local files; wins over the file.")
    ] = None,
    metrics: Annotated[
        str, typer.Option(help="HOST:PORT to answer GET /metrics on; none by default.")
    ] = "",
) -> None:
    """Join a distributed Tocsin on Kafka: any number of workers, each with any of the stages."""
    settings = override(load(config), data=data, address="")
    logs.set_up(settings.machine.pipeline.log_level)
    garbage.collect_seldom()
    asyncio.run(_work(settings, _named(stages), metrics))


def _named(text: str) -> list[str]:
    known = ("intake", "detect", "correlate", "act")
    named = [name.strip() for name in text.split(",") if name.strip()]
    wrong = [name for name in named if name not in known]
    if wrong or not named:
        raise InputError(f"--stages: must be any of {', '.join(known)}; got {text!r}")
    return named


def _check(address: str) -> None:
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise InputError(f'--metrics: must be HOST:PORT such as "127.0.0.1:9111", got {address!r}')


async def _work(settings: Settings, names: list[str], metrics: str) -> None:
    from pipeline.distributed.ending import Ending
    from pipeline.distributed.worker import StageName, Worker

    clock = SystemClock()
    store = wiring.open_store(settings, clock)
    ending = Ending()
    ending.listen()
    try:
        worker = Worker(settings, store, clock, [StageName(name) for name in names])
        if metrics:
            _check(metrics)
            worker.serve_metrics(metrics)
        await worker.run(ending.stopping)
    except BaseException:
        ending.ask()  # whatever is left of it must not hang, either
        raise
    finally:
        store.close()
    # Here, not behind the loop: its end waits for whatever hangs. All that matters is kept by now.
    logging.shutdown()
    in_order = output.OK if worker.in_order else output.FAILED
    leave(output.CRASHED if ending.crashed else in_order)
