"""What is wrong with a configuration: all of it, each with its place and how to mend it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from model.errors import InputError


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake in one file.

    Attributes
    ----------
    path : str
        The file, as the user named its folder.
    line, column : int
        From 1; 0 where the file as a whole is meant.
    where : str
        Dotted setting (`correlator.group_wait`), "" for the file.
    what : str
        What was expected, what came, how to mend it.

    Examples
    --------
    >>> print(Problem("config/tocsin.yaml", 3, 15, "correlator.group_wait", "must be a duration"))
    config/tocsin.yaml:3:15: correlator.group_wait: must be a duration
    """

    path: str
    line: int
    column: int
    where: str
    what: str

    def __str__(self) -> str:
        return self.said()

    def said(self, translate: Callable[[str], str] = str) -> str:
        """The problem in a line: its place as it is, what is wrong through `translate`."""
        place = f"{self.path}:{self.line}:{self.column}" if self.line else self.path
        what = translate(self.what)
        return f"{place}: {self.where}: {what}" if self.where else f"{place}: {what}"


class ConfigurationError(InputError):
    """Every problem of a configuration folder, sorted by file and position."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(map(str, self.problems)))
