"""What a user can set, type, watch or call is named in docs/, and the generated pages are current."""

from __future__ import annotations

import importlib
import importlib.util
import re
import tomllib
from pathlib import Path

import pytest

from pipeline import docs

ROOT = Path(__file__).resolve().parent.parent
PACKAGES: list[str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"][
    "build"
]["targets"]["wheel"]["packages"]
REGENERATE = "run `make docs`"


@pytest.mark.parametrize(
    "name", ["configuration.md", "commands.md", "metrics.md", "api.md", "lifecycle.md"]
)
def test_generated_pages_are_current(name: str) -> None:
    assert (ROOT / "docs" / name).read_text() == docs.pages()[name], REGENERATE


def _settings_classes() -> list[type]:
    """Every dataclass of every `<package>/settings.py` whose name says that users set it."""
    found = []
    for package in PACKAGES:
        name = f"{package}.settings"
        if importlib.util.find_spec(name) is not None:
            module = importlib.import_module(name)
            found += [
                kind
                for kind in vars(module).values()
                if isinstance(kind, type)
                and kind.__module__ == name
                and kind.__name__.endswith("Settings")
                and kind.__name__ != "Settings"  # the whole, which no file says
                and hasattr(kind, "__dataclass_fields__")
            ]
    return found


@pytest.mark.parametrize("kind", _settings_classes(), ids=lambda kind: kind.__qualname__)
def test_every_setting_can_be_reached_and_is_explained(kind: type) -> None:
    page = (ROOT / "docs" / "configuration.md").read_text()
    said = docs.attributes(kind)
    for setting in docs.settings_of(kind):
        if "." in setting.key:
            continue  # of an inner dataclass, which is checked for itself
        last = setting.key.removesuffix("[]").removesuffix(".<name>")
        assert re.search(rf"`([\w.\[\]]+\.)?{re.escape(last)}(\[\]|\.NAME)?`", page), REGENERATE
        assert setting.says or said.get(setting.key) or last in EXPLAINED_BY_THEIR_NAME, (
            f"{kind.__name__}.{setting.key} is not under Attributes in the docstring"
        )


# Said by their names wherever they stand.
EXPLAINED_BY_THEIR_NAME = {
    "name", "kind", "description", "url", "timeout", "interval", "enabled", "labels", "tier"
}  # fmt: skip


def test_metrics_are_named_as_prometheus_asks() -> None:
    listed = [item for group in docs.metrics().values() for item in group.items()]
    assert len(listed) >= 10
    for name, (kind, says) in listed:
        assert re.fullmatch(r"tocsin_[a-z0-9_]+", name), name
        assert (kind == "counter") == name.endswith("_total"), f"{name} is a {kind}"
        assert kind in ("counter", "gauge", "histogram", "summary"), name
        assert says.endswith("."), f"{name}: its help is a sentence"


def test_no_module_of_metrics_is_forgotten() -> None:
    listing = {f"{path.parent.name}.metrics" for path in ROOT.glob("*/metrics.py")}
    assert listing <= set(docs.METRIC_MODULES)


def test_every_route_of_programs_is_documented() -> None:
    page = (ROOT / "docs" / "api.md").read_text()
    listed = re.findall(r"^\| (\w+) \| `([^`]+)` \| (\w+) \|", page, re.MULTILINE)
    paths = {path for _, path, _ in listed}
    assert {"/api/v2/alerts", "/api/v1/changes", "/metrics", "/-/ready"} <= paths
    # Whatever is public is so on purpose.
    public = {path for _, path, role in listed if role == "public"}
    assert public == {"/-/healthy", "/-/ready", "/healthz", "/readyz"}


def test_every_command_has_a_help_text() -> None:
    from pipeline.cli import app

    for words, command in docs.walk(app):
        assert command.help, " ".join(words)


PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "benchmarks").glob("*.md"),
    ]
)
WRITTEN = [page for page in PAGES if page.name not in ("commands.md", "CHANGELOG.md")]
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)(?:#([^)\s]+))?")


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def _anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives headings."""
    headings = re.findall(r"^#+ +(.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_lead_somewhere(page: Path) -> None:
    found = [(page.parent / to, anchor) for to, anchor in LINK.findall(page.read_text())]
    assert not [str(to) for to, _ in found if not to.exists()]
    assert not [f"{to}#{a}" for to, a in found if a and a not in _anchors(to)]


# A word of code that looks like a file of ours: `console/gate.py`, `docs/api.md`, `config/demo/`.
OURS = "|".join([*PACKAGES, "docs", "config", "tests", "benchmarks", "requirements"])
OUR_FILE = re.compile(rf"(?<![\w/.-])((?:{OURS})/[\w./\-]*[\w/])")


@pytest.mark.parametrize("page", WRITTEN, ids=_name)
def test_files_that_are_named_exist(page: Path) -> None:
    named = {path for code in _code(page) for path in OUR_FILE.findall(code)}
    made = {path for path in named if path.startswith("docs/images/")}  # by `make pictures`
    missing = {
        p for p in named - made if not (ROOT / p).exists() and not (ROOT / f"{p}.py").exists()
    }
    assert not missing


def _code(page: Path) -> list[str]:
    """What stands in backticks, in fences, or indented."""
    text = page.read_text()
    fences = re.findall(r"^```.*?$(.*?)^```", text, re.MULTILINE | re.DOTALL)
    indented = re.findall(r"^    +(.+)$", text, re.MULTILINE)
    return [*re.findall(r"`([^`\n]+)`", text), *fences, *indented]


COMMAND = re.compile(r"(?:^|[\s;&|(\"'/])tocsin((?: +[a-z][a-z-]*(?![\w=./]))+)([^\n#;|]*)")


def _commands() -> dict[str, set[str]]:
    """Every command ("tokens add") and its options."""
    from pipeline.cli import app

    return {
        " ".join(words[1:]): {flag for p in command.params for flag in (*p.opts, *p.secondary_opts)}
        for words, command in docs.walk(app)
    }


@pytest.mark.parametrize("page", WRITTEN, ids=_name)
def test_commands_that_are_named_exist(page: Path) -> None:
    known = _commands()
    wrong = []
    for code in _code(page):
        for words, rest in COMMAND.findall(code):
            said = words.split()
            name = next(
                (n for k in (2, 1) if (n := " ".join(said[:k])) in known and len(said) >= k), None
            )
            if name is None:
                wrong.append(f"tocsin{words}")
            elif name in known:
                group = any(other.startswith(f"{name} ") for other in known)
                if group and len(said) > 1:
                    wrong.append(f"tocsin{words}")
                flags = set(re.findall(r"(?<=\s)(--[a-z-]+)", f" {words} {rest}"))
                wrong += [f"tocsin {name} {flag}" for flag in flags - known[name] - {"--help"}]
    assert not wrong


@pytest.mark.parametrize("page", WRITTEN, ids=_name)
def test_settings_and_metrics_that_are_named_exist(page: Path) -> None:
    metrics = {name for group in docs.metrics().values() for name in group}
    text = page.read_text()
    named = set(re.findall(r"`(tocsin_[a-z0-9_]+)`", text))
    assert not named - metrics
    settings = (ROOT / "docs" / "configuration.md").read_text()
    keys = set(re.findall(r"^\| `([\w.\[\]]+)`", settings, re.MULTILINE))
    heads = {key.partition(".")[0] for key in keys if "." in key}
    said = {
        key
        for key in re.findall(r"`([a-z]+(?:\.[a-z_]+)+)`", text)
        if key.partition(".")[0] in heads and not key.endswith((".py", ".md", ".yaml", ".yml"))
    }
    prefixes = {key[:end] for key in keys for end in range(len(key)) if key[end] in ".["}
    assert not {key for key in said if key not in keys | prefixes and not _is_code(key)}


def _is_code(dotted: str) -> bool:
    """Whether it is a module or a function rather than a setting (`outbox.due`, `store.journal`)."""
    head, _, tail = dotted.partition(".")
    return any((ROOT / package / f"{head}.py").exists() for package in PACKAGES) or (
        (ROOT / head / f"{tail.partition('.')[0]}.py").exists()
    )


def test_the_changelog_has_its_form() -> None:
    for line in (ROOT / "CHANGELOG.md").read_text().splitlines():
        if line.startswith("- "):
            assert re.match(r"- \[(CHANGE|FEATURE|ENHANCEMENT|BUGFIX)\] [\w ,-]+: .+\.$", line), (
                line
            )
