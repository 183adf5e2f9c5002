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


LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")


@pytest.mark.parametrize(
    "page",
    [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "benchmarks").glob("*.md"))],
    ids=lambda page: str(page.relative_to(ROOT)),
)  # fmt: skip
def test_links_lead_somewhere(page: Path) -> None:
    dead = [to for to in LINK.findall(page.read_text()) if not (page.parent / to).exists()]
    assert not dead


def test_the_changelog_has_its_form() -> None:
    for line in (ROOT / "CHANGELOG.md").read_text().splitlines():
        if line.startswith("- "):
            assert re.match(r"- \[(CHANGE|FEATURE|ENHANCEMENT|BUGFIX)\] [\w ,-]+: .+\.$", line), (
                line
            )
