"""What is in deploy/ fits the program, and is as locked down as docs/deploy.md says.

Helm's templates are only checked for names here; tests/integration/test_chart.py renders them.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline import telemetry, wiring
from pipeline.commands.worker import _named

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "helm" / "tocsin"
TEMPLATES = sorted((CHART / "templates").iterdir())
UNIT = DEPLOY / "systemd" / "tocsin.service"


def _yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def test_every_metric_exists() -> None:
    for path in (DEPLOY / "mixin").iterdir():
        named = set(re.findall(r"\btocsin_[a-z_]+\b", path.read_text()))
        assert named, path.name
        assert named <= {*wiring.METRICS, *telemetry.METRICS}, path.name


def test_every_alert_says_what_to_do() -> None:
    rules = [rule for g in _yaml(DEPLOY / "mixin" / "rules.yaml")["groups"] for rule in g["rules"]]
    assert len({rule["alert"] for rule in rules}) == len(rules)
    for rule in rules:
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["annotations"].keys() == {"summary", "action"}
    tests = (DEPLOY / "mixin" / "rules_test.yaml").read_text()
    assert [rule["alert"] for rule in rules if rule["alert"] not in tests] == []


def test_dashboard_holds_together() -> None:
    board = json.loads((DEPLOY / "mixin" / "dashboard.json").read_text())
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert {v["name"] for v in board["templating"]["list"]} == {"datasource", "instance"}
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
        if panel["type"] != "row":
            assert all('instance=~"$instance"' in target["expr"] for target in panel["targets"])


def test_image_holds_what_the_wheel_needs_and_runs_as_nobody() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    allowed = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    wheel = build["targets"]["wheel"]
    for folder in [*wheel["packages"], *wheel["force-include"]]:
        assert f"COPY {folder} {folder}\n" in text
        assert f"!{folder}" in allowed
    for name in re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE):
        for source in [word for word in name.split()[:-1] if not word.startswith("--")]:
            assert (ROOT / source).exists(), source
            assert f"!{source}" in allowed, source
    assert text.count("--require-hashes") == 2
    assert "USER 10001:10001" in text and "/-/ready" in text
    images = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    assert images and not [image for image in images if "/" in image]


def test_compose_services_are_locked_down() -> None:
    compose = _yaml(DEPLOY / "compose.yaml")
    assert compose.keys() <= {"name", "x-hardened", "services", "volumes", "secrets"}
    for name, service in compose["services"].items():
        assert service["read_only"] is True, name
        assert service["user"] == "10001:10001", name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["tmpfs"] and "privileged" not in service, name
    tocsin = compose["services"]["tocsin"]
    assert "/-/ready" in tocsin["healthcheck"]["test"][-1]
    assert all(port.startswith("127.0.0.1:") for port in tocsin["ports"])


def test_first_account_is_made_once(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("a long enough phrase\n")
    command = [DEPLOY / "first-account", ROOT / "config", tmp_path / "data", password]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"

    def run() -> str:
        done = subprocess.run(
            command,
            env={"PATH": path, "LOGNAME": "tocsin"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
            start_new_session=True,  # no terminal, as in a container
        )
        return done.stdout

    assert "admin: admin" in run()
    assert "nothing to do" in run()


def test_unit_is_locked_down(tmp_path: Path) -> None:
    text = UNIT.read_text()
    for setting in (
        "DynamicUser=true",
        "NoNewPrivileges=true",
        "CapabilityBoundingSet=",
        "ProtectSystem=strict",
        "StateDirectory=tocsin",
        "SystemCallFilter=@system-service",
    ):
        assert f"\n{setting}\n" in text
    if (analyze := shutil.which("systemd-analyze")) is None:
        pytest.skip("systemd-analyze is not installed")
    unit = tmp_path / UNIT.name
    unit.write_text(re.sub(r"(?m)^ExecStart=\S+", "ExecStart=/bin/true", text))
    done = subprocess.run([analyze, "verify", unit], capture_output=True, text=True)
    if "Failed to" in done.stderr and "manager" in done.stderr:
        pytest.skip(done.stderr)
    assert (done.returncode, done.stderr) == (0, "")  # an unknown key is told there


def _wrong(value: Any, schema: dict[str, Any], at: str = "values") -> list[str]:
    """Where a value does not fit: the part of JSON Schema that values.schema.json uses."""
    kinds = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool}
    unknown = schema.keys() - {
        "$schema", "type", "additionalProperties", "required", "properties", "enum", "items",
        "minLength", "minimum", "maximum", "pattern",
    }  # fmt: skip
    assert not unknown, unknown
    if "type" in schema and type(value) is not kinds[schema["type"]]:
        return [f"{at}: not {schema['type']}"]
    found = [at] if "enum" in schema and value not in schema["enum"] else []
    if isinstance(value, str):
        short = len(value) < schema.get("minLength", 0)
        found += [at] if short or not re.search(schema.get("pattern", ""), value) else []
    if isinstance(value, int):
        found += [at] if not schema.get("minimum", value) <= value <= schema.get("maximum", value) else []  # fmt: skip
    if isinstance(value, list):
        for item in value:
            found += _wrong(item, schema.get("items", {}), f"{at}[]")
    if isinstance(value, dict):
        found += [f"{at}.{key}: missing" for key in schema.get("required", []) if key not in value]
        rest = schema.get("additionalProperties", True)
        for key, inner in value.items():
            known = schema.get("properties", {}).get(key, rest)
            if known is False:
                found.append(f"{at}.{key}: unknown")
            elif known is not True:
                found += _wrong(inner, known, f"{at}.{key}")
    return found


def test_values_fit_their_schema_and_wrong_ones_do_not() -> None:
    values = _yaml(CHART / "values.yaml")
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert _wrong(values, schema) == []
    assert schema["properties"].keys() - {"global"} == values.keys()
    assert _wrong({**values, "mode": "both"}, schema)
    assert _wrong({**values, "replicas": 3}, schema)
    assert _wrong({**values, "workers": [{"name": "a", "stages": "all", "replicas": 1}]}, schema)


def test_workers_name_stages_that_exist() -> None:
    workers = _yaml(CHART / "values.yaml")["workers"]
    stages = [stage for worker in workers for stage in _named(worker["stages"])]
    assert sorted(stages) == ["act", "correlate", "detect", "intake"]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_templates_name_values_and_parts_that_exist(path: Path) -> None:
    text = path.read_text()
    values = _yaml(CHART / "values.yaml")
    for name in re.findall(r"\.Values\.([A-Za-z.]+)", text):
        reduce(lambda inner, key: inner[key], name.split("."), values)
    parts = set(re.findall(r'define "([^"]+)"', (CHART / "templates" / "_helpers.tpl").read_text()))
    assert set(re.findall(r'include "([^"]+)"', text)) <= parts
    opened = re.findall(r"\{\{-? *(?:if|range|with|define)\b", text)
    assert len(opened) == len(re.findall(r"\{\{-? *end\b", text))
