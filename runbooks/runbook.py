"""A Markdown file with front matter becomes a Runbook. Pure: text in, value out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import yaml

from model.alert import Severity
from model.errors import InputError, LabelError
from model.labels import Matcher

HEAD_CHARACTERS_MAX = 16_384
TEXT_CHARACTERS_MAX = 262_144
SIGNALS = ("availability", "errors", "latency", "traffic", "saturation", "logs", "level", "expiry")
_KEYS = ("title", "services", "tags", "match", "signals", "severity")
_FENCE = re.compile(r"^(```+|~~~+)", re.M)


class RunbookError(InputError):
    """A runbook that cannot be used; `line` counts from 1."""

    def __init__(self, path: str, line: int, message: str) -> None:
        super().__init__(f"{path}:{line}: {message}")
        self.path = path
        self.line = line


@dataclass(frozen=True, slots=True)
class Section:
    """A part under a second-level heading; `commands` are its fenced code blocks."""

    title: str
    body: str
    commands: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Runbook:
    """One runbook.

    Attributes
    ----------
    name : str
        File name without its ending: what the catalogue's `runbooks` name.
    services : tuple of str
        Services it is about; empty for any.
    all_of, any_of : tuple of Matcher
        Label matchers: one alert of the incident must pass all of the first, and one of the second.
    signals : tuple of str
        Kinds of trouble it is about (`SIGNALS`).
    severities : tuple of Severity
        Severities it is for; empty for any.
    body : str
        The Markdown after the front matter.
    """

    name: str
    path: str
    title: str
    body: str
    services: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    all_of: tuple[Matcher, ...] = ()
    any_of: tuple[Matcher, ...] = ()
    signals: tuple[str, ...] = ()
    severities: tuple[Severity, ...] = ()
    sections: tuple[Section, ...] = ()


def parse(text: str, path: str) -> Runbook:
    """Read a runbook.

    Parameters
    ----------
    text : str
        Front matter between two lines of `---`, then Markdown.
    path : str
        For messages; its last part gives the name.

    Raises
    ------
    RunbookError
        Where it is not a runbook, as `path:line: what was expected`.

    Examples
    --------
    >>> book = parse("---\\ntitle: Disk full\\nsignals: [saturation]\\n---\\n## Look\\nat it\\n", "a/disk.md")
    >>> book.name, book.title, [section.title for section in book.sections]
    ('disk', 'Disk full', ['Look'])
    """
    if len(text) > TEXT_CHARACTERS_MAX:
        raise RunbookError(path, 1, f"at most {TEXT_CHARACTERS_MAX} characters, got {len(text)}")
    head, body, body_line = _split(text.replace("\r\n", "\n"), path)
    fields = _Fields(path, _read_head(head, path))
    name = re.split(r"[\\/]", path)[-1].removesuffix(".md")
    all_of, any_of = fields.matchers()
    sections = _sections(body)
    if not sections:
        raise RunbookError(path, body_line, 'must have at least one section ("## Check first")')
    return Runbook(
        name=name,
        path=path,
        title=fields.title(),
        body=body,
        services=fields.texts("services"),
        tags=fields.texts("tags"),
        all_of=all_of,
        any_of=any_of,
        signals=fields.choices("signals", SIGNALS),
        severities=tuple(
            Severity(s) for s in fields.choices("severity", tuple(s.value for s in Severity))
        ),
        sections=sections,
    )


def _split(text: str, path: str) -> tuple[str, str, int]:
    lines = text.removeprefix("\ufeff").split("\n")
    if lines[0].rstrip() != "---":
        raise RunbookError(path, 1, 'must begin with front matter between two lines of "---"')
    for number, line in enumerate(lines[1:], 1):
        if line.rstrip() == "---":
            return (
                "\n".join(lines[1:number]),
                "\n".join(lines[number + 1 :]).strip() + "\n",
                number + 2,
            )
    raise RunbookError(path, 1, 'the front matter has no end: a line of "---" is missing')


_Nodes = list[tuple[str, int, yaml.Node]]


def _read_head(head: str, path: str) -> _Nodes:
    """Keys of the front matter with their lines. No aliases: nothing may grow beyond what is written."""
    if len(head) > HEAD_CHARACTERS_MAX:
        raise RunbookError(path, 1, f"front matter of at most {HEAD_CHARACTERS_MAX} characters")
    try:
        for event in yaml.parse(head, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                line = event.start_mark.line + 2 if event.start_mark else 2
                raise RunbookError(path, line, "anchors are not used here")
        node = yaml.compose(head, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 2 if error.problem_mark else 2
        raise RunbookError(path, line, f"not YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise RunbookError(path, 2, f"not YAML: {error}") from None
    if not isinstance(node, yaml.MappingNode):
        raise RunbookError(path, 2, f"front matter must be keys and values: {', '.join(_KEYS)}")
    return [(str(key.value), key.start_mark.line + 2, value) for key, value in node.value]


class _Fields:
    """The front matter's keys, read with their lines at hand."""

    def __init__(self, path: str, nodes: _Nodes) -> None:
        self._path = path
        self._nodes: dict[str, tuple[int, yaml.Node]] = {}
        for key, line, node in nodes:
            if key not in _KEYS:
                raise RunbookError(path, line, f"{key}: unknown key; known are {', '.join(_KEYS)}")
            if key in self._nodes:
                raise RunbookError(path, line, f"{key}: given twice")
            self._nodes[key] = (line, node)

    def _value(self, key: str) -> tuple[int, Any]:
        if key not in self._nodes:
            return 2, None
        line, node = self._nodes[key]
        try:
            return line, yaml.SafeLoader("").construct_document(node)
        except yaml.YAMLError:
            raise RunbookError(self._path, line, f"{key}: YAML tags are not used here") from None

    def title(self) -> str:
        line, value = self._value("title")
        if not isinstance(value, str) or not value.strip():
            raise RunbookError(self._path, line, f"title: must be a line of text, got {value!r}")
        return value.strip()

    def texts(self, key: str) -> tuple[str, ...]:
        line, value = self._value(key)
        return self._list(key, line, value)

    def _list(self, key: str, line: int, value: Any) -> tuple[str, ...]:
        if value is None:
            return ()
        items = value if isinstance(value, list) else [value]
        for item in items:
            if not isinstance(item, str):
                raise RunbookError(
                    self._path, line, f"{key}: must be a list of texts, got {item!r}"
                )
        return tuple(items)

    def choices(self, key: str, allowed: tuple[str, ...]) -> tuple[str, ...]:
        line, value = self._value(key)
        found = self._list(key, line, value)
        for item in found:
            if item not in allowed:
                expected = ", ".join(allowed)
                raise RunbookError(self._path, line, f"{key}: must be of {expected}; got {item!r}")
        return found

    def matchers(self) -> tuple[tuple[Matcher, ...], tuple[Matcher, ...]]:
        """(all of, any of); a plain list means all."""
        line, value = self._value("match")
        if not isinstance(value, dict):
            return self._parsed("match", line, value), ()
        for key in value:
            if key not in ("all", "any"):
                raise RunbookError(
                    self._path, line, f'match: must have "all" or "any", got {key!r}'
                )
        return (
            self._parsed("match.all", line, value.get("all")),
            self._parsed("match.any", line, value.get("any")),
        )

    def _parsed(self, key: str, line: int, value: Any) -> tuple[Matcher, ...]:
        try:
            return tuple(Matcher.parse(text) for text in self._list(key, line, value))
        except LabelError as error:
            raise RunbookError(self._path, line, f"{key}: {error}") from None


def _sections(body: str) -> tuple[Section, ...]:
    """Split at second-level headings that are not inside a code block."""
    parts: list[tuple[str, list[str], list[str]]] = []
    fence = ""
    block: list[str] = []
    for line in body.split("\n"):
        mark = _FENCE.match(line)
        if fence:
            if mark and line.strip() == fence:
                fence = ""
                if parts:
                    parts[-1][2].append("\n".join(block))
            else:
                block.append(line)
        elif mark:
            fence, block = mark[1], []
        elif line.startswith("## "):
            parts.append((line[3:].strip(), [], []))
            continue
        if parts:
            parts[-1][1].append(line)
    return tuple(
        Section(title, "\n".join(lines).strip(), tuple(commands))
        for title, lines, commands in parts
    )
