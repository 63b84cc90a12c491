"""The description of the API is whole: what each operation takes, what it answers, and how it fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from crossdock.actors import Scope
from crossdock.plugins import load_plugins
from crossdock.runtime import Crossdock
from crossdock.settings import Settings
from crossdock.web.app import create_app


@pytest.fixture(scope="module")
def described() -> Any:
    settings = Settings(config=Path("crossdock.yaml"), database_url="sqlite:///x.db")
    runtime = Crossdock(settings, env={}, registry=load_plugins(entry_points=()))
    return create_app(runtime=runtime).openapi()


def operations(described: Any) -> list[tuple[str, str, Any]]:
    return [
        (method, path, operation)
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    ]


def test_every_operation_says_what_it_does_and_answers(described: Any) -> None:
    for method, path, operation in operations(described):
        assert operation.get("summary"), (method, path)
        good = [reply for status, reply in operation["responses"].items() if status.startswith("2")]
        assert good, (method, path)
        if path.startswith("/api/"):
            [content] = [reply["content"]["application/json"]["schema"] for reply in good]
            assert "$ref" in content, (method, path)


def test_every_failure_is_a_problem(described: Any) -> None:
    for method, path, operation in operations(described):
        for status, reply in operation["responses"].items():
            if status[0] in "45":
                assert list(reply["content"]) == ["application/problem+json"], (method, path, status)
        if path.startswith("/api/"):
            assert {"401", "403"} <= operation["responses"].keys(), (method, path)


def test_what_is_not_open_says_which_scope_and_role_it_takes(described: Any) -> None:
    assert described["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    for method, path, operation in operations(described):
        if not path.startswith("/api/"):
            continue
        [[told]] = [one.values() for one in operation["security"]]
        assert len([one for one in told if one in set(Scope)]) == (path.split("/")[3] not in {"people", "tokens", "me"})
        if method != "get" and not path.endswith(("/forecast", "/runs/{run}/preview")):
            assert {"role:operator", "role:admin"} & set(told), (method, path)


def test_what_is_taken_and_answered_has_examples(described: Any) -> None:
    for name, schema in described["components"]["schemas"].items():
        if schema.get("type") == "object" and schema.get("properties"):
            told = [one for one in schema["properties"].values() if one.get("examples") or "$ref" in str(one)]
            assert told or name in {"Wanted", "Reason"}, name
