"""`tocsin demo`: a real shop, real faults, and what Tocsin makes of them."""

from __future__ import annotations

import shutil
import signal
import threading
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from console.i18n import translator
from model.clock import Clock, SystemClock
from model.reason import Reason, because
from pipeline import logs, output
from pipeline.client import Client
from pipeline.commands.options import Language
from pipeline.demo import faults as known_faults
from pipeline.demo import scoreboard
from pipeline.demo.director import Director
from pipeline.demo.past import simulate
from pipeline.demo.shop import Shop
from pipeline.demo.witness import Witness
from pipeline.runtime import Runtime
from pipeline.server import WebServer, listen
from pipeline.settings import Settings, load
from pipeline.wiring import default_config
from store import pages as page_rows

LEARN_S = 65.0
DAY_MS = 86_400_000


def demo(
    faults: Annotated[
        str, typer.Option(help='"all", "none", or names with commas: run them, then end.')
    ] = "",
    report: Annotated[
        Path | None, typer.Option(help="Write what was found as JSON; with --faults.")
    ] = None,
    address: Annotated[str, typer.Option("--listen", help="HOST:PORT of the console.")] = "",
    data: Annotated[Path, typer.Option(help="Folder of the demo; emptied first.")] = Path(
        "data/demo"
    ),
    days: Annotated[int, typer.Option(min=0, max=400, help="Simulated days of history.")] = 30,
    seed: Annotated[int, typer.Option(help="Of everything that is drawn by lot.")] = 1,
    language: Language = "en",
) -> None:
    """Start a small shop on this machine, break it, and watch the incidents come and go.

    Without --faults every fault is shown once and the demo stays up until Ctrl-C. With --faults
    it ends by itself; exit status 1 if a fault was missed, split or blamed on the wrong service,
    or an incident was false.
    """
    unattended = bool(faults)
    wanted = _wanted(faults)
    clock = SystemClock()
    quit_ = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _n, _f: quit_.set())
    _empty(data)
    logs.set_up("warning", stream=open(data / "tocsin.log", "w", encoding="utf-8"))
    settings = _settings(data, address, language)
    bound = listen(settings.machine.console.listen)
    with Shop(data / "shop", clock, seed=seed) as shop:
        runtime = Runtime(_with_shop(settings, shop), clock)
        server = WebServer(runtime.app, bound)
        stage = _Stage(runtime, clock, quit_, language)
        server.start()
        try:
            stage.say(
                because("The console: {url}", url=f"http://{settings.machine.console.listen}")
            )
            if days:
                stage.past(days, seed)
            shop.start()
            runtime.start()
            stage.learn(LEARN_S)
            board = stage.play(wanted, shop, forever=not unattended)
        finally:
            server.stop()
            runtime.stop()
    if report is not None:
        stage.write(board, report)
    if unattended and wanted and not board.ok:
        raise typer.Exit(output.FAILED)


def _wanted(faults: str) -> tuple[known_faults.Fault, ...]:
    if faults == "none":
        return ()
    try:
        return known_faults.choose(faults or "all")
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--faults") from None


def _empty(data: Path) -> None:
    """Only a folder that a demo made is emptied."""
    mark = data / ".tocsin-demo"
    if data.exists() and any(data.iterdir()) and not mark.exists():
        raise typer.BadParameter(
            f"{data} is not empty and was not made by a demo; name another --data"
        )
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir(parents=True)
    mark.touch()


def _settings(data: Path, address: str, language: str) -> Settings:
    settings = load(default_config() / "demo")
    machine = replace(settings.machine, data=str(data))
    if address:
        console = replace(machine.console, listen=address)
        bridge = replace(machine.bridge, external_url=f"http://{address}")
        machine = replace(machine, console=console, bridge=bridge)
    return replace(
        settings, machine=replace(machine, bridge=replace(machine.bridge, language=language))
    )


def _with_shop(settings: Settings, shop: Shop) -> Settings:
    machine = settings.machine
    scrape = replace(machine.scrape, targets=(*machine.scrape.targets, *shop.scrape_targets()))
    tail = replace(machine.logs, sources=(*machine.logs.sources, shop.log_source()))
    return replace(settings, machine=replace(machine, scrape=scrape, logs=tail))


class _Stage:
    """Plays the demo on the terminal."""

    def __init__(
        self, runtime: Runtime, clock: Clock, quit_: threading.Event, language: str
    ) -> None:
        self._runtime = runtime
        self._clock = clock
        self._quit = quit_
        self._language = language
        self._translate = translator(language)
        self._shown: set[str] = set()

    def say(self, what: Reason) -> None:
        """Print a sentence with the time."""
        at = output.when(self._clock.now_ms())[11:]
        text = output.printable(what.text(self._translate))
        output.console.print(f"{at}  {text}", markup=False, soft_wrap=True)

    def past(self, days: int, seed: int) -> None:
        """Live the simulated days."""
        end_ms = self._clock.now_ms() // 300_000 * 300_000
        with _progress() as bar:
            said = self._translate("Simulating {days} days").format(days=days)
            task = bar.add_task(said, total=None)
            count = simulate(
                self._runtime.settings,
                self._runtime.store,
                start_ms=end_ms - days * DAY_MS,
                end_ms=end_ms,
                seed=seed,
                progress=lambda done, total: bar.update(task, completed=done, total=total),
            )
        self.say(because("{count} simulated incidents in {days} days", count=count, days=days))

    def learn(self, seconds: float) -> None:
        """Let the live series learn what is normal."""
        with _progress() as bar:
            task = bar.add_task(self._translate("Learning what is normal"), total=seconds)
            begun_s = self._clock.monotonic_s()
            while not self._quit.is_set() and not bar.finished:
                bar.update(task, completed=min(seconds, self._clock.monotonic_s() - begun_s))
                self._quit.wait(0.25)

    def play(
        self, wanted: tuple[known_faults.Fault, ...], shop: Shop, *, forever: bool
    ) -> scoreboard.Scoreboard:
        """Commit the faults, print what was found, and stay if wanted."""
        url = f"http://{self._runtime.settings.machine.console.listen}"
        witness = Witness(Client(url, language=self._language))
        watcher = threading.Thread(target=self._watch_pages, name="pages", daemon=True)
        watcher.start()
        director = Director(
            shop,
            witness,
            self._clock,
            tell=self.say,
            translate=self._translate,
            stopping=self._quit.is_set,
        )
        committed = director.run(wanted)
        board = scoreboard.compare(committed, witness.incidents())
        output.console.print(scoreboard.table(board, self._translate))
        if forever and not self._quit.is_set():
            self.say(because("All faults were shown; the console stays up. Ctrl-C ends it."))
            while not self._quit.wait(1.0):
                pass
        self._quit.set()
        watcher.join(timeout=5)
        return board

    def _watch_pages(self) -> None:
        """Show each page as it is sent."""
        while not self._quit.wait(0.5):
            with self._runtime.store.records.read() as conn:
                sent = page_rows.recent(conn, simulated=False, limit=20)
            for page in reversed(sent):
                if page.id not in self._shown:
                    self._shown.add(page.id)
                    people = ", ".join(page.people) or page.receiver
                    self.say(because("PAGE to {people}: {title}", people=people, title=page.title))

    def write(self, board: scoreboard.Scoreboard, path: Path) -> None:
        """The report as JSON."""
        path.write_bytes(orjson.dumps(scoreboard.report(board), option=orjson.OPT_INDENT_2))


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        console=output.console,
        transient=True,
    )
