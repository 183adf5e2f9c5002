"""Every message that is ever shown to a person, found in the code and in the templates.

`python -m console.messages` prints those that a language still lacks, ready for its catalogue.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path

from jinja2 import nodes

from console.i18n import LANGUAGES, catalogue
from console.pages import HERE, NAV, environment
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


def collect(packages: Iterable[str] = PACKAGES, root: Path = ROOT) -> dict[str, str]:
    """Every message id with the file it was first found in, in the order of the packages."""
    found: dict[str, str] = {}
    for package in packages:
        for path in sorted((root / package).rglob("*.py")):
            for message in in_code(path.read_text(encoding="utf-8")):
                found.setdefault(message, str(path.relative_to(root)))
    for path in sorted((HERE / "templates").glob("*.html")):
        for message in in_template(path.read_text(encoding="utf-8")):
            found.setdefault(message, str(path.relative_to(root)))
    for message in (*(name for _, name, _ in NAV), *WORDS, *(w for e in ENUMERATIONS for w in e)):
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
