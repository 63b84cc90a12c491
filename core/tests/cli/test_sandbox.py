from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, ClassVar

import httpx
import pytest
from crossdock.sandbox import Sandbox
from crossdock_sdk.testing import Fault, Simulator, serve
from crossdock_sdk.testing.simulator import json_response
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route


class Acme(Simulator):
    connector: ClassVar[str] = "acme"

    def __init__(self) -> None:
        super().__init__()
        self.things: list[str] = []
        self.hooks: list[tuple[str, Mapping[str, Any]]] = []

    def routes(self) -> Sequence[BaseRoute]:
        return [Route("/things/{name}", self._make, methods=["POST"])]

    async def _make(self, request: Request) -> Response:
        self.things.append(request.path_params["name"])
        return json_response({"here": str(request.base_url)})

    def state(self) -> dict[str, Any]:
        return {"things": self.things}

    def seed(self) -> None:
        self.things.append("seeded")

    def settings(self, url: str) -> dict[str, Any]:
        return {"connector": self.connector, "base_url": url, "api_token": "made-up"}

    def subscribe(self, url: str, settings: Mapping[str, Any]) -> None:
        self.hooks.append((url, settings))

    async def trigger(self, event: str, body: dict[str, Any]) -> dict[str, Any]:
        if event != "thing.made":
            raise LookupError(f"no event {event}")
        if "name" not in body:
            raise ValueError("a thing needs a name")
        self.things.append(body["name"])
        return {"thing": body["name"]}


class Other(Acme):
    connector: ClassVar[str] = "other"


class Post(Acme):
    """Is spoken to by something else than HTTP."""

    connector: ClassVar[str] = "post"

    @contextlib.asynccontextmanager
    async def alongside(self) -> AsyncIterator[None]:
        self.things.append("opened")
        yield
        self.things.append("closed")


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    made = Sandbox({"acme": Acme, "other": Other})
    async with serve(made) as made.base_url:
        yield made


@pytest.fixture
async def client(sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=sandbox.base_url, trust_env=False) as client:
        yield client


async def test_each_simulator_is_seeded_and_served_below_its_name(client: httpx.AsyncClient) -> None:
    await client.post("/other/things/x")
    state = (await client.get("/_sandbox/state")).json()
    assert state == {"acme": {"things": ["seeded"]}, "other": {"things": ["seeded", "x"]}}


async def test_a_simulator_knows_its_own_address(client: httpx.AsyncClient, sandbox: Sandbox) -> None:
    assert (await client.post("/acme/things/x")).json() == {"here": f"{sandbox.base_url}/acme/"}


async def test_requests_to_all_simulators_are_kept_in_order(client: httpx.AsyncClient) -> None:
    await client.post("/other/things/x", content=b"hello")
    await client.post("/acme/things/y?q=1")
    kept = (await client.get("/_sandbox/requests")).json()
    assert [(r["connector"], r["method"], r["path"], r["query"], r["status"]) for r in kept] == [
        ("other", "POST", "/things/x", "", 200),
        ("acme", "POST", "/things/y", "q=1", 200),
    ]


async def test_faults_strike_the_simulator_that_they_name_until_they_are_taken_away(client: httpx.AsyncClient) -> None:
    put = await client.put(
        "/_sandbox/faults", json=[{"kind": "status", "status": 418, "connector": "acme", "times": None}]
    )
    assert put.json()[0]["connector"] == "acme"
    assert (await client.post("/other/things/x")).status_code == 200
    assert (await client.post("/acme/things/x")).status_code == 418
    assert (await client.get("/_sandbox/faults")).json()[0]["struck"] == 1
    assert (await client.delete("/_sandbox/faults")).json() == []
    assert (await client.post("/acme/things/x")).status_code == 200


async def test_a_dropped_reply_has_taken_effect(client: httpx.AsyncClient, sandbox: Sandbox) -> None:
    await client.put("/_sandbox/faults", json=[{"kind": "drop_after"}])
    with pytest.raises(httpx.TransportError):
        await client.post("/acme/things/x")
    assert sandbox.state()["acme"]["things"] == ["seeded", "x"]


@pytest.mark.parametrize("body", [b"{", b'{"kind": "status"}', b'[{"kind": "nothing"}]', b'[{"kindd": "status"}]'])
async def test_unusable_faults_are_refused_and_change_nothing(client: httpx.AsyncClient, body: bytes) -> None:
    await client.put("/_sandbox/faults", json=[{"kind": "latency"}])
    reply = await client.put("/_sandbox/faults", content=body)
    assert reply.status_code == 422
    assert reply.json()["error"]
    assert len((await client.get("/_sandbox/faults")).json()) == 1


async def test_things_are_made_to_happen(client: httpx.AsyncClient, sandbox: Sandbox) -> None:
    reply = await client.post("/_sandbox/acme/thing.made", json={"name": "x"})
    assert (reply.status_code, reply.json()) == (200, {"thing": "x"})
    assert sandbox.state()["acme"]["things"] == ["seeded", "x"]


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("acme/thing.lost", b"{}", 404, "no event thing.lost"),
        ("acmee/thing.made", b"{}", 404, "did you mean acme?"),
        ("acme/thing.made", b"", 422, "needs a name"),
        ("acme/thing.made", b"[]", 422, "JSON object"),
        ("acme/thing.made", b"{", 422, ""),
        ("acme/subscribe", b'{"url": "ftp://x"}', 422, "url"),
    ],
)
async def test_what_cannot_happen_is_refused_with_the_reason(
    client: httpx.AsyncClient, path: str, body: bytes, status: int, said: str
) -> None:
    reply = await client.post(f"/_sandbox/{path}", content=body)
    assert reply.status_code == status
    assert said in reply.json()["error"]


async def test_a_subscription_gets_the_connections_settings_and_what_overrides_them(
    client: httpx.AsyncClient, sandbox: Sandbox
) -> None:
    await client.post("/_sandbox/acme/subscribe", json={"url": "http://127.0.0.1:1/webhooks/crm", "api_token": "mine"})
    acme = sandbox.simulators["acme"]
    assert isinstance(acme, Acme)
    url, settings = acme.hooks[0]
    assert url == "http://127.0.0.1:1/webhooks/crm"
    assert settings == {"connector": "acme", "base_url": f"{sandbox.base_url}/acme", "api_token": "mine"}


async def test_settings_point_at_the_sandbox(client: httpx.AsyncClient, sandbox: Sandbox) -> None:
    settings = (await client.get("/_sandbox/settings")).json()
    assert settings["other"] == {"connector": "other", "base_url": f"{sandbox.base_url}/other", "api_token": "made-up"}


async def test_an_unknown_address_is_a_json_404(client: httpx.AsyncClient) -> None:
    reply = await client.get("/nothing")
    assert (reply.status_code, reply.json()) == (404, {"error": "Not Found"})


async def test_what_a_simulator_has_beside_http_runs_as_long_as_it_is_served() -> None:
    alone, sandbox = Post(), Sandbox({"post": Post})
    async with serve(alone):
        assert alone.things == ["opened"]
    async with serve(sandbox):
        assert sandbox.state() == {"post": {"things": ["seeded", "opened"]}}
    assert alone.things == ["opened", "closed"]
    assert sandbox.state() == {"post": {"things": ["seeded", "opened", "closed"]}}


async def test_a_server_without_lifespans_runs_it_itself() -> None:
    sandbox = Sandbox({"post": Post})
    async with sandbox.running():
        assert sandbox.state()["post"]["things"] == ["seeded", "opened"]
    assert sandbox.state()["post"]["things"][-1] == "closed"


async def test_what_is_asked_beside_http_is_kept_and_struck_like_any_request(sandbox: Sandbox) -> None:
    acme = sandbox.simulators["acme"]
    sandbox.faults.append(Fault(kind="status", connector="acme", method="MAIL", after=1))
    assert [acme.asked("MAIL", "/x", body="b")[1] is None for _ in range(3)] == [True, False, True]
    assert [(r["connector"], r["method"], r["body"], r.get("fault")) for r in sandbox.requests] == [
        ("acme", "MAIL", "b", None),
        ("acme", "MAIL", "b", "status"),
        ("acme", "MAIL", "b", None),
    ]
