"""The vendor that `beacon` and `buoy` speak to over HTTP: it keeps webhooks, shakes hands, and signs deliveries."""

from __future__ import annotations

import asyncio
import json
import secrets
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import beacon
import httpx
from beacon import SECRET, SIGNATURE, signature
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


@dataclass
class Hook:
    """One webhook as the vendor has it."""

    id: str
    topic: str
    url: str
    secret: str = ""
    trouble: str | None = None

    @property
    def shown(self) -> dict[str, Any]:
        return {"id": self.id, "topic": self.topic, "url": self.url, "trouble": self.trouble}


@dataclass
class Lighthouse:
    """`before` is awaited ahead of a handshake, `after` once a webhook stands and its reply is not sent."""

    client: httpx.AsyncClient
    shakes: bool = True
    url: str = ""
    hooks: list[Hook] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    """The statuses with which a handshake was refused."""
    removed: list[str] = field(default_factory=list)
    before: Callable[[str], Awaitable[None]] | None = None
    after: Callable[[str], Awaitable[None]] | None = None
    refuses: bool = False
    busy: int = 0
    numbers: Any = field(default_factory=lambda: count(1))

    @property
    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/hooks", self._list),
                Route("/hooks", self._create, methods=["POST"]),
                Route("/hooks/{id}", self._delete, methods=["DELETE"]),
            ]
        )

    async def _list(self, _: Request) -> Response:
        return JSONResponse([hook.shown for hook in self.hooks])

    async def _create(self, request: Request) -> Response:
        self.busy += 1
        try:
            return await self._made(request)
        finally:
            self.busy -= 1

    async def _made(self, request: Request) -> Response:
        body = await request.json()
        hook = Hook(f"h{next(self.numbers)}", body["topic"], body["url"], f"agreed-{secrets.token_hex(8)}")
        if self.before is not None:
            await self.before(hook.url)
        if self.refuses:
            return JSONResponse({"error": "no more webhooks"}, 422)
        if self.shakes and not await self.shake(hook.url, hook.secret):
            return JSONResponse({"error": "the target did not answer the handshake"}, 400)
        self.hooks.append(hook)
        if self.after is not None:
            await self.after(hook.url)
        return JSONResponse(hook.shown, 201)

    async def _delete(self, request: Request) -> Response:
        id_ = request.path_params["id"]
        self.hooks = [hook for hook in self.hooks if hook.id != id_]
        self.removed.append(id_)
        return Response(status_code=204)

    async def shake(self, url: str, secret: str) -> bool:
        """A handshake of the vendor, or of who says to be it."""
        try:
            reply = await self.client.post(url, headers={SECRET: secret})
        except httpx.HTTPError:
            self.refused.append(0)
            return False
        if reply.status_code == 200 and reply.headers.get(SECRET) == secret:
            return True
        self.refused.append(reply.status_code)
        return False

    async def deliver(self, hook: Hook, event: str, light: str = "7") -> httpx.Response:
        """Tell of a light."""
        body = json.dumps({"topic": hook.topic, "id": event, "light": light}).encode()
        return await self.client.post(hook.url, content=body, headers={SIGNATURE: signature(hook.secret, body)})


@dataclass
class Gate:
    """Where a test holds the vendor: it waits for `reached`, acts, and sets `opened`."""

    reached: asyncio.Event = field(default_factory=asyncio.Event)
    opened: asyncio.Event = field(default_factory=asyncio.Event)
    urls: list[str] = field(default_factory=list)

    async def __call__(self, url: str) -> None:
        self.urls.append(url)
        self.reached.set()
        await self.opened.wait()


def install(folder: Path) -> Path:
    """The connector as pip leaves it behind, in a folder to put on the path."""
    site = folder / "site"
    facts = site / "crossdock_beacon-0.1.0.dist-info"
    facts.mkdir(parents=True)
    shutil.copy(beacon.__file__, site / "crossdock_beacon.py")
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: crossdock-beacon\nVersion: 0.1.0\n")
    (facts / "entry_points.txt").write_text("[crossdock]\nbeacon = crossdock_beacon\n")
    return site


def routing(url: str, connector: str = "beacon", *events: str) -> dict[str, Any]:
    """A routing file with one flow for each event; without any, for `light.on`."""
    connections = {"lamp": {"connector": connector, "base_url": url}, "book": {"connector": "beacon", "base_url": url}}
    legs = {"note": {"do": "book.light.note", "with": {"id": "{{ light.id }}"}}}
    waits = events or ("light.on",)
    flows = {event.replace(".", "-"): {"when": f"lamp.{event}", "legs": legs} for event in waits}
    return {"version": 1, "connections": connections, "flows": flows}
