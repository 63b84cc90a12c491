"""All simulators in one application: each vendor at `/<connector>/…`, and `/_sandbox/…` to see and steer them."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from crossdock_sdk.testing import Fault, Simulator, abortable
from crossdock_sdk.testing.simulator import json_request, json_response
from pydantic import TypeAdapter, ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from crossdock.words import did_you_mean

_KEPT_REQUESTS = 10_000
_FAULTS = TypeAdapter(list[Fault])


class Sandbox:
    """An ASGI application over `simulators` (connector name → class), each seeded with its small world.

    `base_url` is where it is reached, without a trailing slash; it may be set once the port is known.
    """

    def __init__(self, simulators: Mapping[str, Callable[[], Simulator]], base_url: str = "") -> None:
        self.base_url = base_url.rstrip("/")
        self.faults: list[Fault] = []
        self.requests: deque[dict[str, Any]] = deque(maxlen=_KEPT_REQUESTS)
        self.simulators: dict[str, Simulator] = {name: make() for name, make in sorted(simulators.items())}
        for simulator in self.simulators.values():
            simulator.faults = self.faults
            simulator.requests = self.requests
            simulator.seed()
        self._app = abortable(
            Starlette(routes=self._routes(), lifespan=self._lifespan, exception_handlers={HTTPException: _refusal})
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    def settings(self, connector: str) -> dict[str, Any]:
        """Routing-file keys of a connection to this simulator. Raises `LookupError` for one it does not have."""
        return {"connector": connector} | self._named(connector).settings(f"{self.base_url}/{connector}")

    def subscribe(self, connector: str, url: str, settings: Mapping[str, Any] | None = None) -> None:
        """Register `url` for the vendor's webhooks; `settings` override those of `settings(connector)`."""
        self._named(connector).subscribe(url, self.settings(connector) | dict(settings or {}))

    def state(self) -> dict[str, Any]:
        """All that stands in every account now."""
        return {name: simulator.state() for name, simulator in self.simulators.items()}

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run what the simulators have beside HTTP, and close at the end. A server with lifespans does it by itself."""
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self.close)
            for simulator in self.simulators.values():
                await stack.enter_async_context(simulator.alongside())
            yield

    async def close(self) -> None:
        """Stop the webhook deliveries that are still on their way."""
        for simulator in self.simulators.values():
            await simulator.close()

    def _named(self, connector: str) -> Simulator:
        if connector not in self.simulators:
            hint = did_you_mean(connector, self.simulators) or f"; there are {', '.join(self.simulators)}"
            raise LookupError(f"no simulator of {connector}{hint}")
        return self.simulators[connector]

    def _routes(self) -> list[BaseRoute]:
        steering = [
            Route("/_sandbox/state", self._show_state, methods=["GET"]),
            Route("/_sandbox/requests", self._show_requests, methods=["GET"]),
            Route("/_sandbox/settings", self._show_settings, methods=["GET"]),
            Route("/_sandbox/faults", self._steer_faults, methods=["GET", "PUT", "DELETE"]),
            Route("/_sandbox/{connector}/subscribe", self._subscribe, methods=["POST"]),
            Route("/_sandbox/{connector}/{event}", self._trigger, methods=["POST"]),
        ]
        return [*steering, *(Mount(f"/{name}", app=_rooted(app)) for name, app in self.simulators.items())]

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        async with self.running():
            yield

    async def _show_state(self, _: Request) -> Response:
        return json_response(self.state())

    async def _show_requests(self, _: Request) -> Response:
        return json_response(list(self.requests))

    async def _show_settings(self, _: Request) -> Response:
        return json_response({name: self.settings(name) for name in self.simulators})

    async def _steer_faults(self, request: Request) -> Response:
        if request.method == "DELETE":
            self.faults.clear()
        elif request.method == "PUT":
            try:
                self.faults[:] = _FAULTS.validate_python(await json_request(request))
            except ValidationError as error:
                raise HTTPException(422, _first(error)) from None
            except ValueError as error:
                raise HTTPException(422, str(error)) from None
        return json_response(self.faults)

    async def _subscribe(self, request: Request) -> Response:
        async def register(body: dict[str, Any]) -> dict[str, Any]:
            url = body.pop("url", None)
            if not isinstance(url, str) or urlsplit(url).scheme not in ("http", "https"):
                raise ValueError("the body needs url, such as http://127.0.0.1:8000/webhooks/crm")
            self.subscribe(request.path_params["connector"], url, body)
            return {"url": url}

        return await _answered(request, register)

    async def _trigger(self, request: Request) -> Response:
        async def happen(body: dict[str, Any]) -> dict[str, Any]:
            simulator = self._named(request.path_params["connector"])
            return await simulator.trigger(request.path_params["event"], body)

        return await _answered(request, happen)


def _rooted(app: ASGIApp) -> ASGIApp:
    """`app` below a path, so that the addresses that it makes of itself begin with that path."""

    async def rooted(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "app_root_path": scope["root_path"]}, receive, send)

    return rooted


async def _answered(request: Request, act: Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]) -> Response:
    try:
        body = await json_request(request) if await request.body() else {}
        if not isinstance(body, dict):
            raise HTTPException(422, "the body must be a JSON object")
        return json_response(await act(body))
    except LookupError as error:
        raise HTTPException(404, _text(error)) from None
    except ValueError as error:
        raise HTTPException(422, str(error)) from None


async def _refusal(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return json_response({"error": error.detail}, error.status_code, error.headers)


def _text(error: LookupError) -> str:
    return str(error.args[0]) if error.args else "not found"


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    return f"faults.{'.'.join(map(str, first['loc']))}: {first['msg']}"
