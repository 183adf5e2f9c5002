"""The rules of the house that a program can check."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import subprocess
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES: list[str] = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
FUNCTION_LINES_MAX = 60
FILE_LINES_MAX = 400
TEXT_SUFFIXES = {".py", ".md", ".toml", ".yaml", ".yml", ".txt", ".in", ".sh", ".css", ".js", ".html", ".po", ".scenario", ".jsonl", ".om"}  # fmt: skip
# Spelt in pieces, so that this file passes its own check.
INDEX_ADDRESS = re.compile("|".join(["--(extra-)?index" + "-url", "--find" + "-links", r"pypi\." + "org", "files.python" + "hosted"]))  # fmt: skip
MACHINE_PATH = re.compile(r"(?<![\w./-])/" + r"work/(main|shared)")


def _tracked() -> list[Path]:
    """Files that git tracks or would track (a source archive without .git: every file)."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listing.returncode != 0:
        hidden = re.compile(r"/(\.venv|\.[a-z]+_cache|\.hypothesis|__pycache__|data|build|dist)/")
        return [p for p in ROOT.rglob("*") if p.is_file() and not hidden.search(str(p))]
    return [ROOT / name for name in listing.stdout.split("\0") if name and (ROOT / name).is_file()]


TRACKED = _tracked()
SOURCES = [path for path in TRACKED if path.suffix == ".py"]
TEXTS = [
    p for p in TRACKED if p.suffix in TEXT_SUFFIXES or p.name in ("Makefile", "run", "LICENSE")
]


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.lineno, node.module


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_point_left(package: str) -> None:
    right = set(PACKAGES[PACKAGES.index(package) + 1 :]) | {"tests", "benchmarks"}
    wrong = [
        f"{_name(path)}:{line}: {package} must not import {module}"
        for path in SOURCES
        if path.is_relative_to(ROOT / package)
        for line, module in _imports(_tree(path))
        if module.partition(".")[0] in right
    ]
    assert not wrong, "\n".join(wrong)


def _length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from `def` to the end, docstring aside."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def test_functions_are_short() -> None:
    long = [
        f"{_name(path)}:{node.lineno}: {node.name} has {_length(node)} lines"
        for path in SOURCES
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and _length(node) > FUNCTION_LINES_MAX
    ]
    assert not long, "\n".join(long)


def test_files_are_short() -> None:
    long = [
        f"{_name(path)}: {count} lines"
        for path in SOURCES
        if (count := len(path.read_text().splitlines())) > FILE_LINES_MAX
    ]
    assert not long, "\n".join(long)


def test_no_other_package_provides_our_names() -> None:
    """Our import names are plain words: whoever else brought one would be imported in our place."""
    ours = PYPROJECT["project"]["name"]
    others = {
        package: sorted(set(providers) - {ours})
        for package, providers in importlib.metadata.packages_distributions().items()
        if package in PACKAGES and set(providers) - {ours}
    }
    assert not others


TIME_READERS = {"time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "sleep"}  # fmt: skip


def _clock_readings(tree: ast.AST) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "time":
            if {alias.name for alias in node.names} & TIME_READERS:
                yield node.lineno
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id == "time" and node.attr in TIME_READERS:
                yield node.lineno
            if node.value.id in ("datetime", "date") and node.attr in ("now", "utcnow", "today"):
                yield node.lineno


def test_only_the_clock_reads_the_clock() -> None:
    packages = [ROOT / package for package in PACKAGES]
    wrong = [
        f"{_name(path)}:{line}: take now_ms as an argument"
        for path in SOURCES
        if any(path.is_relative_to(package) for package in packages)
        and path != ROOT / "model" / "clock.py"
        for line in _clock_readings(_tree(path))
    ]
    assert not wrong, "\n".join(wrong)


def _dangers(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for line, module in _imports(tree):
        if module.partition(".")[0] in ("pickle", "shelve", "marshal", "dill"):
            yield line, f"{module} runs what it reads"
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name) and node.func.id in ("eval", "exec"):
            yield node.lineno, f"{node.func.id} runs what it is given"
        for keyword in node.keywords:
            if keyword.arg in ("shell", "allow_pickle") and not (
                isinstance(keyword.value, ast.Constant) and keyword.value.value is False
            ):
                yield node.lineno, f"{keyword.arg}= is refused here"


def test_nothing_runs_what_it_reads() -> None:
    wrong = [
        f"{_name(path)}:{line}: {what}" for path in SOURCES for line, what in _dangers(_tree(path))
    ]
    assert not wrong, "\n".join(wrong)


_STARTS = re.compile(r"system|popen|exec[lv]\w*|spawn[lv]\w*|posix_spawnp?|forkp?t?y?")


def _starting(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for line, module in _imports(tree):
        if module.partition(".")[0] in ("subprocess", "multiprocessing", "pty"):
            yield line, module
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            of_os = isinstance(node.value, ast.Name) and node.value.id == "os"
            if (of_os and _STARTS.fullmatch(node.attr)) or node.attr.startswith("create_subproc"):
                yield node.lineno, node.attr


def test_a11_nothing_but_the_demo_starts_a_program() -> None:
    """A12 as well: runbooks, what they name, and what alerts say are text, shown and never run."""
    found = {
        f"{_name(path)}: {what}"
        for path in SOURCES
        if any(path.is_relative_to(ROOT / package) for package in PACKAGES)
        for _, what in _starting(_tree(path))
    }
    assert found == {"pipeline/demo/shop.py: subprocess"}


def test_no_package_index_and_no_path_of_one_machine() -> None:
    wrong = [
        f"{_name(path)}:{number}: {line.strip()[:80]}"
        for path in TEXTS
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if INDEX_ADDRESS.search(line.replace("--no-emit", "")) or MACHINE_PATH.search(line)
    ]
    assert not wrong, "\n".join(wrong)


def test_texts_end_in_one_newline() -> None:
    wrong = [
        _name(path)
        for path in TEXTS
        if (text := path.read_text()) and (not text.endswith("\n") or text.endswith("\n\n"))
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("import time\nx = time.time()", 2),
        ("from time import sleep", 1),
        ("import datetime as d\nfrom datetime import datetime\ndatetime.now()", 3),
    ],
)
def test_clock_readings_are_found(code: str, line: int) -> None:
    assert list(_clock_readings(ast.parse(code))) == [line]


@pytest.mark.parametrize("code", ["import pickle", "eval('1')", "run('x', shell=True)", "load(f, allow_pickle=flag)"])  # fmt: skip
def test_dangers_are_found(code: str) -> None:
    assert list(_dangers(ast.parse(code)))
