"""A JSON Schema of the configuration, from the same dataclasses that read it: for editors."""

from __future__ import annotations

import dataclasses
import types
import typing
from enum import Enum
from typing import Any

from incident_bridge.settings import SlaSettings
from model.labels import Labels, Matcher
from pipeline.objectives import ObjectivesFile
from pipeline.reading import setting_fields, unit_of
from pipeline.settings import CatalogueFile, Machine, RoutesFile, RulesFile

FILES: dict[str, Any] = {
    "tocsin.yaml": Machine,
    "catalogue.yaml": CatalogueFile,
    "routes.yaml": RoutesFile,
    "sla.yaml": SlaSettings,
    "rules.yaml": RulesFile,
    "slo.yaml": ObjectivesFile,
}
_PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean"}


def json_schema() -> dict[str, Any]:
    """One schema with a definition per file; point an editor at `#/$defs/tocsin.yaml`.

    Examples
    --------
    >>> json_schema()["$defs"]["sla.yaml"]["$ref"]
    '#/$defs/SlaSettings'
    """
    defs: dict[str, Any] = {}
    for name, kind in FILES.items():
        defs[name] = _schema(kind, defs)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$defs": defs}


def _schema(hint: Any, defs: dict[str, Any]) -> dict[str, Any]:
    unit = unit_of(hint)
    if unit:
        return {"type": "string", "description": f"a {unit}"}
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [_schema(arg, defs) for arg in args]}
    if hint is type(None):
        return {"type": "null"}
    if hint is Labels:
        return {"type": "object", "additionalProperties": {"type": "string"}}
    if hint is Matcher:
        return {"type": "string", "description": 'a matcher such as service="cart"'}
    if origin in (tuple, list):
        return {"type": "array", "items": _schema(args[0], defs)}
    if origin is not None and len(args) == 2:
        return {"type": "object", "additionalProperties": _schema(args[1], defs)}
    if isinstance(hint, type) and issubclass(hint, Enum):
        return {"enum": [member.value for member in hint]}
    if dataclasses.is_dataclass(hint):
        return _reference(hint, defs)
    return {"type": _PLAIN.get(hint, "string")}


def _reference(kind: Any, defs: dict[str, Any]) -> dict[str, Any]:
    name = kind.__name__
    if name not in defs:
        defs[name] = {}  # stands while it is built: routes contain routes
        fields = setting_fields(kind)
        defs[name] = {
            "type": "object",
            "additionalProperties": False,
            "description": (kind.__doc__ or "").partition("\n")[0],
            "properties": {key: _schema(hint, defs) for key, (_, hint) in fields.items()},
        }
    return {"$ref": f"#/$defs/{name}"}
