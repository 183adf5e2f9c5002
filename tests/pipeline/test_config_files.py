"""Folders of bad configuration, each beside exactly what it must earn; and the shipped ones, which are good."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.problems import ConfigurationError
from pipeline.settings import load

ROOT = Path(__file__).resolve().parents[2]
BAD = ROOT / "tests" / "config" / "bad"


@pytest.mark.parametrize("name", sorted(path.name for path in BAD.iterdir()))
def test_bad_files_earn_exactly_these_lines(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(BAD)
    with pytest.raises(ConfigurationError) as caught:
        load(Path(name))
    assert str(caught.value) + "\n" == (BAD / name / "expected.txt").read_text()


@pytest.mark.parametrize("folder", ["config", "config/demo"])
def test_the_shipped_configuration_is_good(folder: str) -> None:
    settings = load(ROOT / folder)
    assert settings.catalogue.services


def test_f25_check_gives_the_same_verdict_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(BAD)
    result = CliRunner().invoke(app, ["check", "--config", "five_mistakes", "--json"])
    assert result.exit_code == 2
    assert result.stdout.count('"line"') == 5


def test_a_folder_without_configuration_says_how_to_name_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is not there; name its folder with --config"):
        load(tmp_path)
