"""The scenario language: what a file may say, and its text into values with every problem's place.

A file is configuration blocks (`settings`, `catalogue`, `routes`, `sla`, `rules`, `slo`: YAML), `load` blocks
(series in promtool's notation) and `at` blocks (what happens, then what is expected). docs/scenarios.md
describes it for those who write one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from model.batch import Floats
from model.errors import InputError
from model.labels import Labels
from model.units import parse_duration
from pipeline.notation import parse_labels, parse_values
from pipeline.problems import ConfigurationError, Problem
from pipeline.scenario_words import Check, Input, Words, parse_statement

T = TypeVar("T")

CONFIG_BLOCKS = ("settings", "catalogue", "routes", "sla", "rules", "slo")
FILE_CHARACTERS_MAX = 4 * 1024 * 1024
DURATION_MAX_MS = 400 * 86_400_000


@dataclass(frozen=True, slots=True)
class Block:
    """YAML of one configuration file, and the scenario's line on which it starts."""

    name: str
    line: int
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """One row of a `load` block; `present` is 0 where nothing was scraped."""

    labels: Labels
    every_ms: int
    values: Floats
    present: Floats


@dataclass(frozen=True, slots=True)
class Moment:
    """One `at` block: what happens at a time (from the scenario's start), then what is expected."""

    at_ms: int
    line: int
    inputs: tuple[Input, ...]
    checks: tuple[Check, ...]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A parsed file. `title` is its first comment."""

    path: str
    title: str
    blocks: tuple[Block, ...]
    series: tuple[Series, ...]
    moments: tuple[Moment, ...]

    @property
    def ends_ms(self) -> int:
        """The last moment: what was loaded beyond it does not matter."""
        return max((moment.at_ms for moment in self.moments), default=0)


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    indent: int
    text: str


@dataclass(slots=True)
class _Reading:
    """What has been read so far, and what was wrong."""

    path: str
    problems: list[Problem] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    series: list[Series] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)

    def problem(self, line: int, column: int, what: str) -> None:
        self.problems.append(Problem(self.path, line, column, "", what))


def parse(text: str, path: str) -> Scenario:
    """Read a scenario.

    Raises
    ------
    ConfigurationError
        With every problem as file:line:column.

    Examples
    --------
    >>> scenario = parse("# Nothing happens.\\nat 1m\\n    incident none\\n", "quiet.scenario")
    >>> scenario.title, scenario.ends_ms, len(scenario.moments[0].checks)
    ('Nothing happens.', 60000, 1)
    """
    reading = _Reading(path)
    if len(text) > FILE_CHARACTERS_MAX:
        reading.problem(1, 1, f"larger than {FILE_CHARACTERS_MAX} characters")
        raise ConfigurationError(reading.problems)
    raw = text.splitlines()
    title = next((line[1:].strip() for line in raw if line.startswith("#")), "")
    position = 0
    while position < len(raw):
        head, start = _strip(raw[position], position + 1), position + 1
        position = start
        if head.text:
            while position < len(raw) and raw[position][:1] in ("", " ", "\t", "#"):
                position += 1
            _read_block(head, raw, start, position, reading)
    _check_order(reading)
    if reading.problems:
        raise ConfigurationError(reading.problems)
    return Scenario(
        path, title, tuple(reading.blocks), tuple(reading.series), tuple(reading.moments)
    )


def _strip(line: str, number: int) -> _Line:
    """Without the comment (a `#` at the start or after a space, outside quotes) and the indent."""
    quoted = False
    for position, character in enumerate(line):
        if character == '"' and line[position - 1 : position] != "\\":
            quoted = not quoted
        elif character == "#" and not quoted and (position == 0 or line[position - 1] in " \t"):
            line = line[:position]
            break
    text = line.strip()
    return _Line(number, len(line) - len(line.lstrip()) if text else 0, text)


def _read_block(head: _Line, raw: list[str], start: int, end: int, reading: _Reading) -> None:
    word, _, rest = head.text.partition(" ")
    if head.indent:
        reading.problem(head.number, head.indent + 1, "indented, but under no block")
        return
    if word in CONFIG_BLOCKS:
        if rest.strip():
            reading.problem(head.number, len(word) + 2, f'"{word}" stands alone on its line')
        if any(block.name == word for block in reading.blocks):
            reading.problem(head.number, 1, f'a second block "{word}"')
        reading.blocks.append(_config_block(word, head.number + 1, raw[start:end]))
        return
    if word not in ("load", "at"):
        known = ", ".join(f'"{name}"' for name in (*CONFIG_BLOCKS, "load 10s", "at 1m"))
        reading.problem(head.number, 1, f'must be one of the blocks {known}, got "{word}"')
        return
    try:
        duration_ms = parse_duration(rest.strip())
        if duration_ms > DURATION_MAX_MS or (word == "load" and duration_ms < 1):
            raise InputError("out of range: from 1ms to 400d")
    except InputError as error:
        reading.problem(head.number, len(word) + 2, str(error))
        duration_ms = 1000
    lines = [_strip(raw[n], n + 1) for n in range(start, end)]
    lines = [line for line in lines if line.text]
    if not lines:
        reading.problem(head.number, 1, f'nothing under "{head.text}"')
    elif word == "load":
        reading.series += _each(lines, lambda line: _series(line, duration_ms), reading)
    else:
        reading.moments.append(_moment(head, duration_ms, lines, reading))


def _config_block(name: str, line: int, lines: list[str]) -> Block:
    # Keep the indent out of the YAML, and every line where it was, for its problems' places.
    lines = ["" if x.strip()[:1] in ("", "#") else x for x in lines]
    indent = min((len(x) - len(x.lstrip()) for x in lines if x), default=0)
    return Block(name, line, "".join(x[indent:] + "\n" for x in lines))


def _each(lines: list[_Line], read: Callable[[_Line], T], reading: _Reading) -> list[T]:
    done: list[T] = []
    for line in lines:
        try:
            done.append(read(line))
        except InputError as error:
            column = getattr(error, "column", 0)
            reading.problem(line.number, line.indent + 1 + column, str(error))
    return done


_SERIES = re.compile(
    r'(?P<name>[A-Za-z_:][A-Za-z0-9_:]*)?\s*(?:\{(?P<labels>(?:[^}"]|"(?:[^"\\]|\\.)*")*)\})?\s+(?P<values>\S.*)'
)


def _series(line: _Line, every_ms: int) -> Series:
    match = _SERIES.fullmatch(line.text)
    if match is None or not (match["name"] or match["labels"]):
        raise InputError(
            f'must be a series and its samples, such as up{{job="pg"}} 1x5, got {line.text!r}'
        )
    labels = parse_labels(match["labels"] or "")
    values, present = parse_values(match["values"])
    named = labels.with_(__name__=match["name"]) if match["name"] else labels
    return Series(named, every_ms, values, present)


def _moment(head: _Line, at_ms: int, lines: list[_Line], reading: _Reading) -> Moment:
    def read(line: _Line) -> Input | Check:
        return parse_statement(Words(line.text, line.number))

    inputs: list[Input] = []
    checks: list[Check] = []
    for statement in _each(lines, read, reading):
        if isinstance(statement, Check):
            checks.append(statement)
        elif checks:
            # One order only, so that nobody has to guess what a check in between would see.
            reading.problem(statement.line, 1, "what happens stands before what is expected")
        else:
            inputs.append(statement)
    return Moment(at_ms, head.number, tuple(inputs), tuple(checks))


def _check_order(reading: _Reading) -> None:
    for before, after in zip(reading.moments, reading.moments[1:], strict=False):
        if after.at_ms < before.at_ms:
            reading.problem(
                after.line, 1, f'"at" blocks stand in order of time (line {before.line})'
            )
    if not any(moment.checks for moment in reading.moments) and not reading.problems:
        reading.problem(1, 1, "expects nothing: a scenario needs an `at` block with an expectation")
