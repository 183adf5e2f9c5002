"""The command line: `tocsin COMMAND`. One file each in `pipeline/commands/`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from model.errors import DeliveryError, InputError, TocsinError, TransientError
from pipeline import output
from pipeline.commands import (
    access,
    alerts,
    backtest,
    changes,
    check,
    demo,
    incidents,
    report,
    routes,
    run,
    silences,
    test,
)
from pipeline.problems import ConfigurationError
from pipeline.version import VERSION

app = typer.Typer(
    name="tocsin",
    help="From metrics, logs, alerts and changes to incidents, tickets and pages.",
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


app.command("run")(run.run)
app.command("demo")(demo.demo)
app.command("check")(check.check)
app.command("test")(test.test)
app.command("backtest")(backtest.backtest)
app.command("report")(report.report)
app.add_typer(incidents.app, name="incidents")
app.add_typer(alerts.app, name="alerts")
app.add_typer(silences.app, name="silences")
app.add_typer(changes.app, name="changes")
app.add_typer(routes.app, name="routes")
app.add_typer(access.users, name="users")
app.add_typer(access.tokens, name="tokens")


def main() -> None:
    """Run a command; what is expected to go wrong is said in a line, not in a traceback.

    Exit status: 0 done, 1 the answer is no (a failed scenario, a missed fault), 2 wrong use or
    configuration, 3 the server does not answer.
    """
    try:
        app()
    except ConfigurationError as error:
        for problem in error.problems:
            typer.echo(str(problem), err=True)
        sys.exit(output.USAGE)
    except TransientError as error:
        typer.echo(f"tocsin: {error}", err=True)
        sys.exit(output.UNREACHABLE)
    except InputError as error:
        typer.echo(f"tocsin: {error}", err=True)
        sys.exit(output.USAGE)
    except (DeliveryError, TocsinError) as error:
        typer.echo(f"tocsin: {error}", err=True)
        sys.exit(output.FAILED)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
