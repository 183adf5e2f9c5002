"""Folders of bad configuration, each beside exactly what it must earn; and the shipped ones, which are good."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from incident_bridge.routing import build, route_test
from model.labels import Labels
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


SHIPPED = [
    "config",
    "config/demo",
    *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "config" / "examples").iterdir()),
]


@pytest.mark.parametrize("folder", SHIPPED)
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


def test_a_rules_labels_and_annotations_are_text() -> None:
    rules = load(ROOT / "config/examples/thresholds").rules
    assert rules[0].annotations["summary"] == "A filesystem is more than 95 % full"
    assert dict(rules[1].labels) == {"team": "platform"}


def test_a_label_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "tocsin.yaml").write_text("")
    (tmp_path / "rules.yaml").write_text(
        'rules:\n- alert: A\n  matchers: [__name__="up"]\n  op: "=="\n  value: 0\n'
        "  labels:\n    shard: 3\n"
    )
    with pytest.raises(ConfigurationError, match=r'rules.yaml:7:12: .*: must be text, write "3"'):
        load(tmp_path)


def test_the_examples_page_the_right_people() -> None:
    """What the comments of the examples promise, asked of the routing tree itself."""
    shop = build(load(ROOT / "config/examples/prometheus-shop").route)
    rings = {"service": "payment", "priority": "P1", "tier": "1"}
    plans, _ = route_test(shop, Labels.of(rings))
    assert [(p.receiver, p.escalate_to) for p in plans] == [("@team", ("duty-phone",))]
    desk = build(load(ROOT / "config/examples/webhook-desk").route)
    plans, _ = route_test(desk, Labels.of({"service": "staging-cms", "priority": "P3"}))
    assert [(p.desks, p.priority_min) for p in plans] == [(("builtin",), "P1")]


def test_files_named_in_a_configuration_are_beside_it(tmp_path: Path) -> None:
    (tmp_path / "tocsin.yaml").write_text(
        "scrape: {discovery: [{files: [targets/*.json]}]}\n"
        "logs: {sources: [{paths: [logs/app.log, /var/log/syslog]}]}\n"
    )
    (tmp_path / "routes.yaml").write_text(
        "receivers: [{name: hook, kind: webhook, url: 'https://example.org', secret_files: [hook.key]}]\n"
        "route: {receiver: hook}\n"
    )
    machine = load(tmp_path).machine
    assert machine.scrape.discovery[0].files == (str(tmp_path / "targets/*.json"),)
    assert machine.logs.sources[0].paths == (str(tmp_path / "logs/app.log"), "/var/log/syslog")
    assert machine.bridge.receivers[0].secret_files == (str(tmp_path / "hook.key"),)
    assert machine.data == "data"
