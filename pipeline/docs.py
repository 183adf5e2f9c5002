"""Writes the pages of docs/ that the code knows best: `make docs`.

tests/test_docs.py fails while a page says something else than the code.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import inspect
import re
import sys
import types
import typing
from collections.abc import Iterable, Iterator
from enum import Enum
from pathlib import Path
from typing import Any, cast

import typer
import typer.main
from fastapi import FastAPI

from console.accounts import Accounts
from console.call import Endpoint, Kind
from model.labels import Labels, Matcher
from model.units import format_duration
from pipeline.reading import yaml_key

NOTE = "<!-- Written by `make docs` from the code; edit the docstrings instead. -->"


def attributes(kind: type) -> dict[str, str]:
    """What a dataclass' docstring says of each field (NumPy style; `a, b : int` speaks of both).

    What it does not say of a field that it inherits, the docstring there says.

    Examples
    --------
    >>> from model.catalogue import Service
    >>> attributes(Service)["owner"]
    'The team that is told.'
    """
    said: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        said.update(_own_attributes(base))
    return said


def _own_attributes(kind: type) -> dict[str, str]:
    text = inspect.cleandoc(kind.__dict__.get("__doc__") or "")
    _, found, section = text.partition("Attributes\n----------\n")
    said: dict[str, str] = {}
    names: list[str] = []
    for line in section.splitlines() if found else []:
        if match := re.fullmatch(r"([a-z_0-9]+(?:, [a-z_0-9]+)*)(?: : .*)?", line):
            names = match[1].split(", ")
            said.update(dict.fromkeys(names, ""))
        elif line.startswith("    "):
            for name in names:
                said[name] = f"{said[name]} {line.strip()}".strip()
        elif line.strip():
            break  # the next section
    return said


@dataclasses.dataclass(frozen=True, slots=True)
class Setting:
    """One key that a user may write.

    Attributes
    ----------
    key : str
        Dotted, with `[]` for an item of a list and `<name>` for a free name.
    kind : str
        What it takes, in words.
    default : str
        As it would be written; "" where there is none.
    says : str
        From the docstring.
    """

    key: str
    kind: str
    default: str
    says: str


def settings_of(kind: Any, prefix: str = "", seen: tuple[Any, ...] = ()) -> Iterator[Setting]:
    """Every key under a settings dataclass, in the order of its fields.

    Parameters
    ----------
    kind : a dataclass
    prefix : str
        Dotted key of the dataclass itself.
    seen : tuple
        Dataclasses around it: a route in a route is not described again.
    """
    hints = typing.get_type_hints(kind, include_extras=True)
    said = attributes(kind)
    for f in dataclasses.fields(kind):
        if not f.init or f.name.startswith("_"):
            continue
        hint = hints[f.name]
        key = prefix + yaml_key(f.name, hint)
        inner, suffix = _inner(hint)
        described = said.get(f.name, "")
        if inner is None:
            yield Setting(key, _kind(hint), _default(f, hint), described)
        elif inner in (*seen, kind):
            yield Setting(key + suffix, f"{inner.__name__} again", "", described)
        else:
            if suffix:
                yield Setting(key, _kind(hint), "", described)
            yield from settings_of(inner, f"{key}{suffix}.", (*seen, kind))


def _inner(hint: Any) -> tuple[Any, str]:
    """The dataclass inside a hint, and what its key gets: a field, a list's item, a map's value."""
    args = [a for a in typing.get_args(hint) if a not in (type(None), Ellipsis)]
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType) and len(args) == 1:
        return _inner(args[0])
    if origin in (tuple, list) and args and dataclasses.is_dataclass(args[0]):
        return (args[0], "[]") if args[0] is not Matcher else (None, "")
    if origin is dict and dataclasses.is_dataclass(args[1]):
        return args[1], ".<name>"
    return (hint, "") if dataclasses.is_dataclass(hint) and hint is not Matcher else (None, "")


_PLAIN = {int: "integer", float: "number", str: "text", bool: "true or false", Matcher: "matcher", Labels: "labels"}  # fmt: skip


def _kind(hint: Any) -> str:
    """A type hint in words.

    Examples
    --------
    >>> from model.units import Milliseconds
    >>> _kind(Milliseconds), _kind(tuple[str, ...]), _kind(dict[str, int])
    ('duration', 'list of text', 'map of integer')
    """
    args = [a for a in typing.get_args(hint) if a not in (type(None), Ellipsis)]
    origin = typing.get_origin(hint)
    if origin is typing.Annotated:
        return next((a for a in args[1:] if isinstance(a, str)), _kind(args[0]))
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_kind(arg) for arg in args)
    if origin in (tuple, list):
        return f"list of {_kind(args[0])}"
    if origin is dict:
        return f"map of {_kind(args[1])}"
    if isinstance(hint, type) and issubclass(hint, Enum):
        return ", ".join(str(member.value) for member in hint)
    return _PLAIN.get(hint, getattr(hint, "__name__", str(hint)))


def _default(f: dataclasses.Field[Any], hint: Any) -> str:
    """The default as it would be written in YAML."""
    if f.default is not dataclasses.MISSING:
        value: Any = f.default
    elif f.default_factory is not dataclasses.MISSING:
        value = f.default_factory()
    else:
        return "(needed)"
    unit = _kind(hint)
    if isinstance(value, int) and not isinstance(value, bool):
        if unit.startswith("duration"):
            return format_duration(value)
        if unit.startswith("size"):
            return _size(value)
    return _written(value)


def _written(value: Any) -> str:
    if value is None:
        return "unset"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, tuple | list):
        return "[" + ", ".join(_written(item) for item in value) + "]"
    if isinstance(value, str):
        return value or '""'
    return "{}" if value == {} else str(value)


def _size(value: int) -> str:
    for unit, factor in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if value and value % factor == 0:
            return f"{value // factor}{unit}"
    return f"{value}B"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<name>", "NAME")


def configuration_page(files: dict[str, Any]) -> str:
    """docs/configuration.md: a table of every key, file by file.

    Parameters
    ----------
    files : dict of file name to dataclass
    """
    lines = [NOTE, "", "# Configuration", "", _CONFIGURATION.strip()]
    for name, kind in files.items():
        lines += ["", f"## {name}", ""]
        summary = (inspect.getdoc(kind) or "").partition("\n\n")[0]
        lines += [" ".join(summary.split()), "", "| key | takes | default | |", "|---|---|---|---|"]
        for setting in settings_of(kind):
            cells = (
                f"`{setting.key}`",
                setting.kind,
                f"`{setting.default}`" * bool(setting.default),
            )
            lines.append("| " + " | ".join(map(_cell, (*cells, setting.says))) + " |")
    return "\n".join(lines) + "\n"


_CONFIGURATION = """
A configuration is a folder of YAML files; every key has a default, and a missing file is an empty one.
`tocsin check --config FOLDER` prints every mistake with its file, line and column. Durations are written
as in Prometheus (`90s`, `1h30m`), sizes as `64MiB`; `[]` stands for each item of a list, NAME for a name
of yours.
"""


def commands_page(app: typer.Typer) -> str:
    """docs/commands.md: the `--help` of every command."""
    lines = [NOTE, "", "# Commands", ""]
    for path, command in walk(app):
        context = typer.Context(command, info_name=" ".join(path), terminal_width=100)
        context.help_option_names = ["-h", "--help"]
        text = "\n".join(line.rstrip() for line in command.get_help(context).splitlines())
        lines += [f"## {' '.join(path)}", "", "```text", text.strip(), "```", ""]
    return "\n".join(lines).rstrip() + "\n"


def walk(app: typer.Typer) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command with its words, in the order they were added, groups before what is in them.

    Commands are Click's, of the copy that Typer brings or of Click itself: hence no type.
    """
    waiting: list[tuple[tuple[str, ...], Any]] = [(("tocsin",), typer.main.get_command(app))]
    while waiting:
        path, command = waiting.pop(0)
        yield path, command
        inner = getattr(command, "commands", {})
        waiting[:0] = [((*path, name), c) for name, c in inner.items() if not c.hidden]


# In the order of the data's way.
METRIC_MODULES = (
    "collectors.metrics",
    "detectors.metrics",
    "correlator.metrics",
    "incident_bridge.metrics",
    "runbooks.metrics",
    "store.metrics",
    "console.metrics",
    "pipeline.telemetry",
)


def metrics() -> dict[str, dict[str, tuple[str, str]]]:
    """Our own metrics by package: name to (kind, help)."""
    found = {}
    for name in METRIC_MODULES:
        if importlib.util.find_spec(name) is not None:
            listed = getattr(importlib.import_module(name), "METRICS", {})
            found[name.partition(".")[0]] = dict(listed)
    return found


def metrics_page() -> str:
    """docs/metrics.md: what `/metrics` tells."""
    lines = [NOTE, "", "# Metrics", "", _METRICS.strip()]
    for package, listed in metrics().items():
        lines += ["", f"## {package}", "", "| metric | kind | |", "|---|---|---|"]
        lines += [f"| `{name}` | {kind} | {_cell(says)} |" for name, (kind, says) in listed.items()]
    return "\n".join(lines) + "\n"


_METRICS = """
What Tocsin tells of itself at `/metrics`, beside the process metrics of every Python program. Seconds,
bytes, and ratios from 0 to 1; a name that ends in `_total` only grows.
"""


def api_page(endpoints: Iterable[Endpoint]) -> str:
    """docs/api.md: every route that programs call."""
    lines = [NOTE, "", "# HTTP API", "", _API.strip(), "", "| | | role | |", "|---|---|---|---|"]
    for endpoint in endpoints:
        if endpoint.kind in (Kind.API, Kind.PUSH) and not endpoint.path.startswith("/static"):
            role = endpoint.role.value if endpoint.role else "public"
            cells = f"{endpoint.method} | `{endpoint.path}` | {role} | {endpoint.summary}."
            lines.append(f"| {cells} |")
    return "\n".join(lines) + "\n"


_API = """
What programs call; people have the console. `/api/v2` speaks as an Alertmanager does. A credential is a
token (`tocsin tokens add`) as `Authorization: Bearer TOKEN`; its role must be at least the one of the
route. A refusal is JSON, `{"error": "…", "problems": [{"where": "…", "problem": "…", "hint": "…"}]}`.
The running server describes all of it at `/api/openapi.json`.
"""


def pages() -> dict[str, str]:
    """Every generated page by its file name."""
    # Here, so that the tables can be tested without the whole program.
    from console.api_intake import HOT
    from console.app import endpoints
    from incident_bridge import lifecycle
    from incident_bridge.settings import SlaSettings
    from pipeline.cli import app
    from pipeline.objectives import ObjectivesFile
    from pipeline.settings import CatalogueFile, Machine, RoutesFile, RulesFile

    files = {
        "tocsin.yaml": Machine,
        "catalogue.yaml": CatalogueFile,
        "routes.yaml": RoutesFile,
        "sla.yaml": SlaSettings,
        "rules.yaml": RulesFile,
        "slo.yaml": ObjectivesFile,
    }
    return {
        "configuration.md": configuration_page(files),
        "commands.md": commands_page(app),
        "metrics.md": metrics_page(),
        # Only listed here, never served: no application and no accounts are needed.
        "api.md": api_page((HOT, *endpoints(FastAPI(), cast(Accounts, None)))),
        "lifecycle.md": lifecycle.to_markdown(),
    }


def main(folder: str) -> None:
    """Write the pages."""
    for name, text in pages().items():
        Path(folder, name).write_text(text)


if __name__ == "__main__":
    main(sys.argv[1])
