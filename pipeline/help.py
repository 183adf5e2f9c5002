"""`--help` and errors of use in the language of the command line; English is Typer's own, untouched."""

from __future__ import annotations

import io
import re
from typing import Any
from unicodedata import east_asian_width

import typer

from pipeline import output

# What is written behind an option's help, of which some words are Typer's.
_EXTRA = re.compile(r"^(.*?)(?:(?<=\S)  (\[.*\]))?$", re.DOTALL)
_LABELS = ("env var", "default", "required")
# A line may be broken before a run of ASCII, and before a Chinese character that is no punctuation.
_WORD = re.compile(r"\n|[ -~]+? |[ -~]+|[^ -~\n][，。；：、）？！]*")
_Formatter: Any = typer.Context.formatter_class


class HelpFormatter(_Formatter):  # type: ignore[misc]
    """Says what is Typer's (headings, `[default: …]`); `spoken` has said what is ours."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """Begin with "Usage:" in the language."""
        said = output.translate("Usage:")
        super().write_usage(prog, args, f"{said} " if said.isascii() else said)

    def write_heading(self, heading: str) -> None:
        """Head a section: Arguments, Options, Commands."""
        super().write_heading(output.translate(heading))

    def write_text(self, text: str) -> None:
        """Write a paragraph."""
        super().write_text(_folded(_paragraphs(text), self.width - self.current_indent))

    def write_dl(self, rows: Any, col_max: int = 30, col_spacing: int = 2) -> None:
        """Write options with what they mean."""
        rows = list(rows)
        width = self.width - min(max(len(name) for name, _ in rows), col_max) - col_spacing - 2
        said = [(name, _folded(_row(text), width)) for name, text in rows]
        super().write_dl(said, col_max, col_spacing)


class Context(typer.Context):
    """A command's context whose help is in the language."""

    formatter_class = HelpFormatter


def _row(text: str) -> str:
    match = _EXTRA.match(text)
    said, extra = match.groups() if match else (text, None)
    said = output.translate(said)
    if extra is None:
        return said
    for label in _LABELS:
        extra = extra.replace(label, output.translate(label))
    return f"{said}  {extra}"


def _folded(text: str, width: int) -> str:
    """Typer folds at blanks, and counts characters for cells: Chinese has no blanks, and two cells for each."""
    if all(map(str.isascii, text)):
        return text
    lines = [""]
    for word in _WORD.findall(text.replace("\n\n", "\n")):
        if word == "\n" or _cells(lines[-1] + word.rstrip()) > width:
            lines[-1] = lines[-1].rstrip()
            lines.append("")
        if lines[-1] or not word.isspace():
            lines[-1] += word
    return "\b\n" + "\n".join(lines)  # \b: this paragraph is folded already


def _cells(text: str) -> int:
    return sum(1 + (east_asian_width(one) in "WF") for one in text)


def spoken(command: Any) -> Any:
    """The command, and all below it, with its help in the language."""
    if output.language() == "en":
        return command
    command.context_class = Context
    for name in ("help", "short_help"):  # the list of commands shows them shortened
        if text := getattr(command, name, None):
            setattr(command, name, _paragraphs(text))
    for parameter in command.params:
        if getattr(parameter, "help", None):
            parameter.help = output.translate(parameter.help)
    for below in getattr(command, "commands", {}).values():
        spoken(below)
    return command


def _paragraphs(text: str) -> str:
    return "\n\n".join(output.translate(" ".join(one.split())) for one in text.split("\n\n"))


def call(app: typer.Typer) -> int:
    """Run the command line, and say what is wrong with its use in the language; its exit status."""
    try:
        return int(app(standalone_mode=False) or output.OK)
    except typer.Abort:
        output.say("Aborted.", err=True)
        return output.FAILED
    except Exception as error:
        if not hasattr(error, "show") or not hasattr(error, "exit_code"):
            raise
        said = io.StringIO()
        error.show(file=said)
        output.say(said.getvalue().rstrip("\n"), err=True)
        return int(error.exit_code)
