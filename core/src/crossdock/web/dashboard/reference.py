"""`/docs`: the API as its own description tells it, without a file from anywhere else."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from crossdock.web.dashboard.desk import Sitting
from crossdock.web.problems import describe

router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def show_reference(desk: Sitting) -> Response:
    described = describe(desk.request.app)
    return await desk.show("reference.html", groups=_groups(described), version=described["info"]["version"])


def _groups(described: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The operations by their first tag, in the order of the description."""
    schemas = described.get("components", {}).get("schemas", {})
    found: dict[str, list[dict[str, Any]]] = {}
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            tag = (operation.get("tags") or ["other"])[0]
            found.setdefault(tag, []).append(_operation(path, method, operation, schemas))
    return found


def _operation(path: str, method: str, told: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    body = told.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    replies = told["responses"].items()
    good = next((_schema(reply) for status, reply in replies if status.startswith("2")), None)
    return {
        "path": path,
        "method": method.upper(),
        "summary": told.get("summary", ""),
        "description": told.get("description", ""),
        "parameters": told.get("parameters", []),
        "body": _example(body, schemas) if body else None,
        "reply": _example(good, schemas) if good else None,
        "answers": {status: reply.get("description", "") for status, reply in replies},
    }


def _schema(reply: dict[str, Any]) -> dict[str, Any] | None:
    found: dict[str, Any] | None = reply.get("content", {}).get("application/json", {}).get("schema")
    return found


def _example(schema: Any, schemas: dict[str, Any], depth: int = 0) -> Any:
    """An example of what a schema describes, from the examples of its fields."""
    if not isinstance(schema, dict) or depth > 6:
        return None
    if "$ref" in schema:
        return _example(schemas.get(schema["$ref"].rpartition("/")[2]), schemas, depth + 1)
    if schema.get("examples"):
        return schema["examples"][0]
    if "default" in schema and schema["default"] is not None:
        return schema["default"]
    for choice in schema.get("anyOf", ()):
        if choice.get("type") != "null":
            return _example(choice, schemas, depth + 1)
    if schema.get("type") == "object" and "properties" in schema:
        return {name: _example(one, schemas, depth + 1) for name, one in schema["properties"].items()}
    if schema.get("type") == "array":
        return [_example(schema.get("items"), schemas, depth + 1)]
    if schema.get("enum"):
        return schema["enum"][0]
    return {"string": "…", "integer": 1, "number": 1, "boolean": True, "object": {}}.get(str(schema.get("type")))
