"""Files that a configuration names: relative ones are beside it, as in Prometheus."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


def anchor(value: T, folder: Path) -> T:
    """The same settings with every file name relative to `folder` made absolute.

    File names are the fields `files`, `paths`, and those that end in `_file` or `_files`, however
    deep they are nested.

    Examples
    --------
    >>> from collectors.settings import FileTargets
    >>> anchor(FileTargets(files=("targets/*.json", "/etc/t.json")), Path("/srv/config")).files
    ('/srv/config/targets/*.json', '/etc/t.json')
    """
    return _anchor(value, folder.absolute())  # type: ignore[no-any-return]


def _anchor(value: Any, folder: Path) -> Any:
    if isinstance(value, tuple):
        return tuple(_anchor(item, folder) for item in value)
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return value
    changed = {}
    for f in dataclasses.fields(value):
        if not f.init:
            continue
        old = getattr(value, f.name)
        new = _joined(old, folder) if _names_files(f.name) else _anchor(old, folder)
        if new != old:
            changed[f.name] = new
    return dataclasses.replace(value, **changed) if changed else value


def _names_files(name: str) -> bool:
    return name in ("files", "paths") or name.endswith(("_file", "_files"))


def _joined(names: Any, folder: Path) -> Any:
    if isinstance(names, tuple):
        return tuple(_joined(name, folder) for name in names)
    if isinstance(names, dict):  # such as header names to files
        return {key: _joined(name, folder) for key, name in names.items()}
    return str(folder / names) if isinstance(names, str) and names else names
