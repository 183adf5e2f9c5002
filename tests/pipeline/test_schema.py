"""`tocsin check --schema` describes the configuration that is shipped, and refuses what `check` refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.schema import FILES, json_schema

ROOT = Path(__file__).resolve().parents[2]
TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


def faults(value: Any, schema: dict[str, Any], root: dict[str, Any], at: str = "") -> list[str]:
    """The part of JSON Schema that we write, checked the plain way."""
    if "$ref" in schema:
        return faults(value, root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root, at)
    if "anyOf" in schema:
        tried = [faults(value, one, root, at) for one in schema["anyOf"]]
        return [] if [] in tried else tried[0]
    if "enum" in schema:
        return [] if value in schema["enum"] else [f"{at}: {value!r} is none of {schema['enum']}"]
    known = TYPES[schema["type"]]
    if not isinstance(value, known) or (isinstance(value, bool) and bool not in known):
        return [f"{at}: {value!r} is no {schema['type']}"]
    found: list[str] = []
    if isinstance(value, list):
        for number, item in enumerate(value):
            found += faults(item, schema["items"], root, f"{at}[{number}]")
    if isinstance(value, dict):
        for key, item in value.items():
            inner = schema.get("properties", {}).get(key, schema["additionalProperties"])
            if inner is False:
                found.append(f"{at}.{key}: unknown")
            else:
                found += faults(item, inner, root, f"{at}.{key}")
    return found


@pytest.mark.parametrize("folder", ["config", "config/demo"])
@pytest.mark.parametrize("name", FILES)
def test_the_shipped_configuration_fits_the_schema(folder: str, name: str) -> None:
    path = ROOT / folder / name
    value = yaml.safe_load(path.read_text()) if path.exists() else {}
    schema = json_schema()
    assert faults(value or {}, schema["$defs"][name], schema, name) == []


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("tocsin.yaml", "scrap: {}", "tocsin.yaml.scrap: unknown"),
        ("tocsin.yaml", "pipeline: {series_max: many}", "series_max: 'many' is no integer"),
        ("tocsin.yaml", "host: {enabled: 1}", "enabled: 1 is no boolean"),
        ("routes.yaml", "desks: [{kind: fax}]", "'fax' is none of"),
        ("routes.yaml", "route: {routes: [{routes: [{reciever: x}]}]}", "reciever: unknown"),
    ],
)
def test_a_mistake_does_not_fit_the_schema(name: str, text: str, said: str) -> None:
    schema = json_schema()
    found = faults(yaml.safe_load(text), schema["$defs"][name], schema, name)
    assert len(found) == 1 and said in found[0]
