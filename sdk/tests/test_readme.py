"""The connector in the README is complete and right: it runs here as it stands."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pluggy
import pytest
from crossdock_sdk import AmbiguousError, Context, Customer, RejectedError
from crossdock_sdk.testing import Fault, FaultTransport, Injection, Simulator, perform, serve
from crossdock_sdk.testing.simulator import json_request, json_response
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

README = (Path(__file__).parents[1] / "README.md").read_text()


class Hooks:
    @pluggy.HookspecMarker("crossdock")
    def crossdock_sinks(self) -> list[type[Any]]:
        raise AssertionError


class Acme(Simulator):
    connector = "acme"

    def __init__(self) -> None:
        super().__init__()
        self.contacts: dict[str, dict[str, Any]] = {}

    def routes(self) -> Sequence[BaseRoute]:
        return [
            Route("/contacts", self.create, methods=["POST"]),
            Route("/contacts", self.find, methods=["GET"]),
            Route("/contacts/{id}", self.delete, methods=["DELETE"]),
        ]

    async def create(self, request: Request) -> Response:
        body = await json_request(request)
        if request.headers["authorization"] != "Bearer acme-token":
            return Response(status_code=401)
        if "@" not in (body["email"] or "@"):
            return json_response({"error": {"message": "no address", "field": "email"}}, 422)
        contact = {"id": str(len(self.contacts) + 1)} | body
        self.contacts[contact["id"]] = contact
        return json_response({"contact": contact}, 201)

    async def find(self, request: Request) -> Response:
        key = request.query_params["external_id"]
        return json_response({"contacts": [c for c in self.contacts.values() if c["external_id"] == key]})

    async def delete(self, request: Request) -> Response:
        return Response(status_code=204 if self.contacts.pop(request.path_params["id"], None) else 404)

    def state(self) -> dict[str, Any]:
        return {"contacts": list(self.contacts.values())}

    def seed(self) -> None:
        self.contacts.clear()

    def settings(self, url: str) -> dict[str, Any]:
        return {"base_url": url, "api_token": "acme-token"}


def loaded() -> ModuleType:
    """The README's module."""
    (code,) = re.findall(r"```python\n(from pydantic.*?)```", README, re.DOTALL)
    module = ModuleType("crossdock_acme")
    exec(compile(code, "README.md", "exec", dont_inherit=True), vars(module))
    return module


def registered() -> type[Any]:
    """Its sink, found the way the runtime finds it."""
    module = loaded()
    manager = pluggy.PluginManager("crossdock")
    manager.add_hookspecs(Hooks)
    manager.register(module)
    manager.check_pending()
    ((sink,),) = manager.hook.crossdock_sinks()
    return sink  # type: ignore[no-any-return] # the module is only known at run time


async def test_the_connector_creates_finds_again_and_undoes() -> None:
    sink, simulator = registered(), Acme()
    async with serve(simulator) as url:
        settings = sink.connection_class.Config.model_validate(simulator.settings(url))
        connection = sink.connection_class(settings, Context("crm"))
        action = sink.actions[0](connection)
        assert action.input_model() is Customer
        simulator.faults.append(Fault(kind="drop_after", method="POST"))
        with pytest.raises(AmbiguousError):
            await action.apply(Customer(name="Acme"), "key-1")
        receipt = await action.recover(Customer(name="Acme"), "key-1")
        assert receipt.id == "1"
        assert await action.recover(Customer(name="Acme"), "key-2") is None
        await action.undo(receipt)
        await action.undo(receipt)
        with pytest.raises(RejectedError, match="no address") as caught:
            await action.apply(Customer(name="Acme", email="nobody"), "key-3")
        assert caught.value.field == "email"
        assert (await action.apply(Customer(name="Acme"), "key-4")).id == "1"
        await connection.close()


async def test_the_connector_survives_the_chaos_that_the_readme_shows() -> None:
    (code,) = re.findall(r"```python\n(async def survives.*?)```", README, re.DOTALL)
    struck: list[Injection] = []

    class Watched(FaultTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            try:
                return await super().handle_async_request(request)
            finally:
                struck.extend(self.plan()[-1:])

    names = vars(loaded()) | {"AcmeSimulator": Acme, "FaultTransport": Watched, "perform": perform}
    exec(compile(code, "README.md", "exec", dont_inherit=True), names)
    for seed in range(100):
        await names["survives"](seed)
    assert {injection.kind for injection in struck} == {"timeout_applied", "reset", "503_applied", "truncated"}


def test_the_package_names_its_entry_point() -> None:
    (text,) = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    assert tomllib.loads(text)["project"]["entry-points"]["crossdock"] == {"acme": "crossdock_acme"}
