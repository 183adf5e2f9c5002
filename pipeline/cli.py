"""The command line: `tocsin COMMAND`. One file each in `pipeline/commands/`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, MutableMapping
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group_from_info
from typer.models import TyperInfo

from model.errors import DeliveryError, InputError, TocsinError, TransientError
from model.reason import gettext
from pipeline import help, output
from pipeline.problems import ConfigurationError
from pipeline.version import VERSION

COMMANDS = {
    "run": (
        "run:run",
        gettext("Collect, detect, correlate, open tickets, page; with the console."),
    ),
    "demo": ("demo:demo", gettext("Start a small shop on this machine, break it, and watch.")),
    "worker": ("worker:worker", gettext("Join a distributed Tocsin on Kafka.")),
    "console": ("console:console", gettext("Serve pages, API and intake of a distributed Tocsin.")),
    "topics": (
        "topics:topics",
        gettext("Show the Kafka topics of a configuration, or create them."),
    ),
    "check": ("check:check", gettext("Check a configuration folder.")),
    "probe": (
        "probe:probe",
        gettext("Try an address, or all configured probes, once and by hand."),
    ),
    "test": ("test:test", gettext("Run scenario files through the whole pipeline.")),
    "backfill": (
        "backfill:backfill",
        gettext("With --check: what would be learnt from, and how long it takes."),
    ),
    "backtest": ("backtest:backtest", gettext("Play recorded telemetry through the same stages.")),
    "report": (
        "report:report",
        gettext(
            "MTTD, MTTA, MTTR, SLA attainment and availability, by service and team; or capacity."
        ),
    ),
    "slo": (
        "slo:slo",
        gettext("Objectives: attained, error budget left, how fast it burns, when it is spent."),
    ),
    "slo-import": (
        "slo_import:slo_import",
        gettext("Turn objectives of OpenSLO v1 or Sloth into slo.yaml"),
    ),
    "incidents": ("incidents:app", gettext("List incidents, show one, act on it.")),
    "alerts": ("alerts:app", gettext("List alerts, push one by hand.")),
    "feedback": ("feedback:app", gettext("Say what an alert was, list verdicts, take one back.")),
    "silences": ("silences:app", gettext("List, add and expire silences.")),
    "changes": ("changes:app", gettext("List changes, announce one.")),
    "routes": ("routes:app", gettext("Try the routing tree.")),
    "users": ("access:users", gettext("Local accounts: add, list, disable.")),
    "tokens": ("access:tokens", gettext("API tokens: add, list, revoke.")),
}
"""Name to where it is, and what `tocsin --help` says of it without looking there."""

_PLAIN: dict[str, Any] = {
    "add_completion": False,
    "rich_markup_mode": None,
    "pretty_exceptions_enable": False,
}


class _Commands(MutableMapping[str, Any]):
    """Imports a command when it is asked for: `tocsin incidents` must not wait for the detectors."""

    def __getitem__(self, name: str) -> Any:
        module, _, attribute = COMMANDS[name][0].partition(":")
        found = getattr(import_module(f"pipeline.commands.{module}"), attribute)
        if not isinstance(found, typer.Typer):
            alone = typer.Typer(**_PLAIN)
            alone.command(name)(found)
            return help.spoken(get_command(alone))
        group = get_group_from_info(
            TyperInfo(found, name=name),
            pretty_exceptions_short=False,
            rich_markup_mode=None,
            suggest_commands=True,
        )
        return help.spoken(group)

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)

    def __setitem__(self, name: str, command: Any) -> None:
        raise TypeError("commands are listed in COMMANDS")

    def __delitem__(self, name: str) -> None:
        raise TypeError("commands are listed in COMMANDS")


class LazyGroup(TyperGroup):
    """A group whose help needs no import of what is in it."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = _Commands()

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the list of commands."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    @property
    def context_class(self) -> Any:  # type: ignore[override]
        """The context that writes help in the language."""
        return typer.Context if output.language() == "en" else help.Context


app = typer.Typer(
    name="tocsin",
    cls=LazyGroup,
    help="From metrics, logs, alerts and changes to incidents, tickets and pages.",
    epilog=gettext(
        "Exit status: 0 done; 1 the answer is no; 2 wrong use or configuration; "
        "3 nothing answers; 70 a mistake of ours."
    ),
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tocsin {VERSION}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    pass


def _complain(error: Exception, status: int) -> int:
    typer.echo(f"tocsin: {output.translate(str(error))}", err=True)
    return status


def main() -> None:
    """Run a command; what is expected to go wrong is said in a line, not in a traceback.

    Exit status: 0 done, 1 the answer is no (a failed scenario, a missed fault), 2 wrong use or
    configuration, 3 the server does not answer, 70 a mistake of ours ended `tocsin run`.
    """
    try:
        sys.exit(help.call(app))
    except ConfigurationError as error:
        for problem in error.problems:
            typer.echo(problem.said(output.translate), err=True)
        sys.exit(output.USAGE)
    except TransientError as error:
        sys.exit(_complain(error, output.UNREACHABLE))
    except InputError as error:
        sys.exit(_complain(error, output.USAGE))
    except (DeliveryError, TocsinError) as error:
        sys.exit(_complain(error, output.FAILED))
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
