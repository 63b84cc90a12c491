"""The JSON Schema of the routing file, for editors that complete and underline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crossdock.config.models import LEG_NAME, NAME, RoutingFile
from crossdock.config.telling import Telling
from crossdock.plugins import Registry


def routing_schema(registry: Registry | None = None) -> dict[str, Any]:
    """Draft 2020-12. With a registry, it knows each installed connector's settings."""
    schema = RoutingFile.model_json_schema(by_alias=True)
    definitions = schema["$defs"]
    flow, leg = definitions["Flow"], definitions["Leg"]
    for model in (flow, leg):
        del model["properties"]["name"]
        model["required"].remove("name")
    about = flow["properties"]["legs"]["description"]
    flow["properties"]["legs"] = _named(LEG_NAME, "#/$defs/Leg") | {"minProperties": 1, "description": about}
    definitions["ConnectionEntry"] = _connection(registry)
    schema["properties"]["connections"] = _named(NAME, "#/$defs/ConnectionEntry")
    schema["properties"]["flows"] = _named(NAME, "#/$defs/Flow")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Crossdock routing file"}


def _named(pattern: str, reference: str) -> dict[str, Any]:
    return {
        "type": "object",
        "propertyNames": {"pattern": pattern},
        "additionalProperties": {"$ref": reference},
    }


def _connection(registry: Registry | None) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "type": "object",
        "description": "one configured account of a connector",
        "properties": {"connector": {"type": "string", "description": "the connector's name"}},
        "required": ["connector"],
    }
    if registry is None:
        return entry
    entry["properties"]["connector"]["enum"] = sorted(registry.connections)
    entry["allOf"] = [
        {
            "if": {"properties": {"connector": {"const": name}}},
            "then": _settings(kind.Config.model_fields, _ours(registry, name)),
        }
        for name, kind in sorted(registry.connections.items())
    ]
    return entry


def _ours(registry: Registry, connector: str) -> dict[str, str]:
    """The keys of a connection that are the runtime's, whatever its connector: name → description."""
    source = registry.sources.get(connector)
    polled = {"poll": "how often its vendor is asked what happened; off: never"} if source and source.polling else {}
    told = Telling.model_fields.items() if connector in registry.notifiers else ()
    return polled | {name: info.description or "" for name, info in told}


def _settings(fields: dict[str, Any], ours: Mapping[str, str]) -> dict[str, Any]:
    """Names and descriptions only: a value may be a `${VARIABLE}` whatever its type."""
    named = {info.alias or name: info for name, info in fields.items()}
    properties = {name: {"description": info.description or ""} for name, info in named.items()}
    return {
        "properties": {"connector": True, **properties, **{name: {"description": said} for name, said in ours.items()}},
        "required": [name for name, info in named.items() if info.is_required()],
        "additionalProperties": False,
    }
