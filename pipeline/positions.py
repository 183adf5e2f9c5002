"""YAML with positions: plain data, and the line and column of each key and value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml

from pipeline.problems import Problem

Path = tuple[str | int, ...]

FILE_BYTES_MAX = 4 * 1024 * 1024
DEPTH_MAX = 32
_TAGS = {
    f"tag:yaml.org,2002:{name}"
    for name in ("map", "seq", "str", "int", "float", "bool", "null", "timestamp")
}


@dataclass(slots=True)
class Document:
    """A parsed file.

    Attributes
    ----------
    data : plain dicts, lists, strings, numbers, booleans, None
    keys, values : dict of path to (line, column)
        Where each key and each value stands, from 1.
    problems : list of Problem
        Duplicate keys, aliases, tags and syntax.
    """

    path: str
    data: Any = None
    keys: dict[Path, tuple[int, int]] = field(default_factory=dict)
    values: dict[Path, tuple[int, int]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def position(self, path: Path, *, key: bool = False) -> tuple[int, int]:
        """Where `path` stands, or the nearest thing around it."""
        while path:
            if key and path in self.keys:
                return self.keys[path]
            if path in self.values:
                return self.values[path]
            path, key = path[:-1], True
        return (1, 1)

    def problem(self, path: Path, what: str, *, key: bool = False) -> None:
        """Note a problem at a path."""
        line, column = self.position(path, key=key)
        self.problems.append(Problem(self.path, line, column, dotted(path), what))


def dotted(path: Path) -> str:
    """Write a path as people do.

    Examples
    --------
    >>> dotted(("routes", 0, "receiver"))
    'routes[0].receiver'
    """
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def parse(text: str, path: str) -> Document:
    """Read YAML; never raises, problems are in the document.

    Aliases (billion laughs) and tags (`!!python/object`) are refused: a configuration needs neither.
    """
    document = Document(path)
    if len(text) > FILE_BYTES_MAX:
        document.problems.append(Problem(path, 0, 0, "", f"larger than {FILE_BYTES_MAX} bytes"))
        return document
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                at = event.start_mark
                line, column = (at.line + 1, at.column + 1) if at else (1, 1)
                document.problems.append(Problem(path, line, column, "", "aliases are not allowed"))
                return document
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        what = f"not YAML: {error.problem or error.context}"
        document.problems.append(Problem(path, line, column, "", what))
        return document
    except (yaml.YAMLError, RecursionError) as error:
        document.problems.append(Problem(path, 1, 1, "", f"not YAML: {type(error).__name__}"))
        return document
    if node is not None:
        document.data = _build(node, (), document)
    return document


def _build(node: yaml.Node, path: Path, document: Document) -> Any:
    mark = node.start_mark
    document.values[path] = (mark.line + 1, mark.column + 1)
    if node.tag not in _TAGS:
        document.problem(path, f"tag {node.tag} is not allowed")
        return None
    if len(path) > DEPTH_MAX:
        document.problem(path, f"nested deeper than {DEPTH_MAX}")
        return None
    if isinstance(node, yaml.MappingNode):
        return _build_mapping(node, path, document)
    if isinstance(node, yaml.SequenceNode):
        return [_build(item, (*path, i), document) for i, item in enumerate(node.value)]
    if node.tag.endswith(":timestamp"):
        return node.value
    try:
        return yaml.SafeLoader("").construct_object(node)
    except (yaml.YAMLError, ValueError) as error:
        document.problem(path, f"cannot be read: {error}")
        return None


def _build_mapping(node: yaml.MappingNode, path: Path, document: Document) -> dict[str, Any]:
    built: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = str(key_node.value)
        at = (*path, key)
        if key in built:
            mark = key_node.start_mark
            what = f"the key stands twice (first on line {document.keys[at][0]})"
            document.problems.append(
                Problem(document.path, mark.line + 1, mark.column + 1, dotted(at), what)
            )
            continue
        document.keys[at] = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
        built[key] = _build(value_node, at, document)
    return built
