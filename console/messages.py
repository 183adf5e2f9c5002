"""Every message that is ever shown to a person, found in the code and in the templates.

`python -m console.messages` prints those that a language still lacks, ready for its catalogue.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from enum import StrEnum
from functools import cache
from pathlib import Path

from jinja2 import nodes

from console.i18n import LANGUAGES, catalogue
from console.pages import HERE, NAV, environment
from console.raised import FOR_MACHINES, documented, within
from model.account import Role
from model.action import ActionKind
from model.alert import Severity
from model.feedback import Verdict
from model.incident import ActKind, IncidentState
from model.ticket import TicketState

ROOT = HERE.parent
PACKAGES = ("collectors", "detectors", "correlator", "incident_bridge", "runbooks", "console", "pipeline")  # fmt: skip
CALLS = {
    "because": 0,
    "translate": 0,
    "_": 0,
    "say": 0,
    "_translate": 0,
    "gettext": 0,
    "ProbeFault": 0,
    "Rule": 1,
}
"""Functions whose argument at this place is a message id."""

WORDS: tuple[str, ...] = (
    "auto", "light", "dark", "ok", "firing", "pending", "active", "expired",
    "deploy", "rollback", "config", "flag", "schema", "infrastructure",
    "opened", "repeat", "escalated", "reopened", "sla", "priority", "dead_letter",
    "baseline", "levelshift", "growth", "flatline", "absence", "threshold", "lograte", "newtemplate", "collective", "unusual", "probe", "certificate", "expiry",
    "scrape", "log", "host", "collector", "intake", "store", "detectors", "correlator", "bridge",
    "pipeline", "outbox", "series",
    "slo", "spent", "unknown", "signed_in", "token_made", "token_revoked", "user_saved", "user_disabled", "silenced",
    "silence_ended", "revived", "reload", "feedback_withdrawn",
)  # fmt: skip
"""Values that records hold and pages show in words, besides the enumerations."""

ENUMERATIONS: tuple[type[StrEnum], ...] = (
    Severity,
    IncidentState,
    TicketState,
    ActKind,
    ActionKind,
    Role,
    Verdict,
)


def in_code(source: str) -> Iterator[str]:
    """Message ids in Python: literal arguments of the functions in `CALLS`.

    Examples
    --------
    >>> list(in_code('because("a {x}", x=1); because(name); print("b")'))
    ['a {x}']
    """
    tree = ast.parse(source)
    constants = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        place = CALLS.get(name)
        if place is not None and len(node.args) > place:
            argument = node.args[place]
            if isinstance(argument, ast.Name):  # a constant of the module
                argument = constants.get(argument.id, argument)
            yield from _texts(argument)


def _texts(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from _texts(node.body)
        yield from _texts(node.orelse)


def in_template(source: str) -> Iterator[str]:
    """Message ids in a template: literal arguments of `_`."""
    for call in environment().parse(source).find_all(nodes.Call):
        if isinstance(call.node, nodes.Name) and call.node.name == "_" and call.args:
            if isinstance(call.args[0], nodes.Const):
                yield str(call.args[0].value)


THEIRS: tuple[str, ...] = (
    # Typer: help and errors of use
    "Usage:", "Arguments", "Options", "Commands", "env var", "default", "required", "Aborted.",
    "Show this message and exit.", "Install completion for the current shell.",
    "Show completion for the current shell, to copy it or customize the installation.",
    "Try '{0}' for help.", "Error: {0}", "Missing command.",
    "No such command {0}.", "No such command {0}. Did you mean {1}?", "No such option: {0}", "No such option: {0} Did you mean {1}?",
    "No such option: {0} (Possible options: {1})", "Missing argument {0}.", "Missing option {0}.", "Missing argument {0}. {1}",
    "Invalid value for {0}: {1}", "Invalid value: {0}", "{0} is not one of {1}.", "{0} is not a valid {1}.", "{0} is not a valid integer.",
    "Directory {0} is a file.", "Directory {0} does not exist.", "File {0} does not exist.", "Path {0} does not exist.",
    "Got unexpected extra argument ({0})", "Got unexpected extra arguments ({0})", "Option {0} requires an argument.",
    "Option {0} does not take a value.", "Error: The two entered values do not match.",
    # pydantic: after "must be", before "got"
    "a valid integer, unable to parse string as an integer", "a valid integer", "a valid string", "a valid number, unable to parse string as a number",
    "a valid number", "true or false", "a valid dictionary", "a list",
    "keys and values", "less than or equal to {0}", "greater than or equal to {0}", "greater than {0}", "less than {0}",
    # PyYAML, and the system's own
    "mapping values are not allowed here", "could not find expected ':'", "found unexpected end of stream", "expected {0}, but found {1}", "expected {0}, but got {1}",
    "found character {0} that cannot start any token", "found undefined alias {0}", "must be one of {0}, got {1}", "the node content",
    "No such file or directory", "Permission denied", "Address already in use", "Is a directory", "Connection refused",
    "No space left on device", "Cannot assign requested address", "[Errno {0}] {1}",
)  # fmt: skip
"""Sentences that libraries put into ours."""


def in_errors(source: str, path: str) -> Iterator[str]:
    """Message ids in what a module raises and what a command prints; see `console.raised`."""
    if not path.startswith(FOR_MACHINES):
        yield from within(source).templates
    if path.startswith("pipeline/commands/"):
        yield from documented(source, Path(path).stem)


@cache
def collect(packages: tuple[str, ...] = PACKAGES, root: Path = ROOT) -> Mapping[str, str]:
    """Every message id with the file it was first found in, in the order of the packages."""
    found: dict[str, str] = {}
    for package in packages:
        for path in sorted((root / package).rglob("*.py")):
            for message in in_code(path.read_text(encoding="utf-8")):
                found.setdefault(message, str(path.relative_to(root)))
    for package in ("model", "store", *packages):
        for path in sorted((root / package).rglob("*.py")):
            place = str(path.relative_to(root))
            for message in in_errors(path.read_text(encoding="utf-8"), place):
                found.setdefault(message, place)
    for path in sorted((HERE / "templates").glob("*.html")):
        for message in in_template(path.read_text(encoding="utf-8")):
            found.setdefault(message, str(path.relative_to(root)))
    for message in (
        *(name for _, name, _ in NAV),
        *WORDS,
        *THEIRS,
        *(w for e in ENUMERATIONS for w in e),
    ):
        found.setdefault(str(message), "console/messages.py")
    return {message: place for message, place in found.items() if any(map(str.isalpha, message))}


def missing(language: str) -> dict[str, str]:
    """Messages that a language does not have."""
    known = catalogue(language)
    return {message: place for message, place in collect().items() if message not in known}


def as_po(messages: dict[str, str]) -> str:
    """Untranslated entries in the form of a gettext catalogue."""
    lines: list[str] = []
    for message, place in messages.items():
        escaped = message.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        lines += [f"#: {place}", f'msgid "{escaped}"', 'msgstr ""', ""]
    return "\n".join(lines)


if __name__ == "__main__":
    for language in LANGUAGES:
        if language != "en":
            sys.stdout.write(as_po(missing(language)))
