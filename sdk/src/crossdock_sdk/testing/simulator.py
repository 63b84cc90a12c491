"""The base of each connector's simulator: a stateful stand-in for the vendor, over real HTTP.

A simulator enforces what the vendor enforces (auth, required fields, unknown fields, versions, uniqueness,
paging, limits) and answers with the vendor's own error bodies. It serves tests, `crossdock sandbox` and
`crossdock demo`.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import httpx
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from crossdock_sdk import jsonio
from crossdock_sdk.testing.faults import Fault, Refusal, play, remember_abort
from crossdock_sdk.testing.standing import Standing

_KEPT_REQUESTS = 10_000


class Simulator(ABC):
    """One simulated vendor account. It is an ASGI application; `faults` may be shared with others.

    `requests` keeps the newest 10,000 requests as `{connector, method, path, query, body, status}`, plus
    `fault` where one struck; without headers, for they carry credentials. `status` is what the vendor
    answered: under `drop_after` and `truncate` the client never saw it, and 499 means that the client hung up
    before its request was read. `clock` gives the instant; tests replace it.
    """

    connector: ClassVar[str]
    lags: ClassVar[bool] = False
    """Whether its searches can lag behind its writes, by `search_lag`."""

    def __init__(self, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.clock = clock
        self.search_lag = timedelta()
        """How long searches do not show what is made from now on."""
        self._unseen: dict[str, datetime] = {}
        self.faults: list[Fault] = []
        self.requests: deque[dict[str, Any]] = deque(maxlen=_KEPT_REQUESTS)
        self._deliveries: set[asyncio.Task[None]] = set()
        self._app = Starlette(routes=list(self.routes()), exception_handlers={ClientDisconnect: _hung_up})

    @abstractmethod
    def routes(self) -> Sequence[BaseRoute]:
        """The vendor's endpoints, below the simulator's own root."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """All that stands in the account now, as JSON-ready data: `{"customers": [...], ...}`."""

    def standing(self) -> dict[str, list[Standing]]:
        """What stands of what actions make or write, by the action's name: `{"invoice.create": [...]}`.

        Reliability tests compare it with the receipts of the runs. An action that is left out is not looked at.
        """
        return {}

    @abstractmethod
    def seed(self) -> None:
        """Fill the account with the small world that `crossdock demo` plays in."""

    @abstractmethod
    def settings(self, url: str) -> dict[str, Any]:
        """Routing-file keys that point a connection at this simulator at `url` (no trailing slash)."""

    def refusals(self) -> Mapping[str, Refusal]:
        """The vendor's own replies for faults that every vendor words in its own way; what is missing is made up.

        Names that `FaultTransport` asks for: `error_200`, `unauthorized`, `conflict`, `throttled`, and `stale` (the
        record was changed since it was read), which is never made up.
        """
        return {}

    def made(self, name: str) -> None:
        """For subclasses that lag: something of this name has been made."""
        if self.search_lag:
            self._unseen[name] = self.clock() + self.search_lag

    def searchable(self, name: str) -> bool:
        """For subclasses that lag: whether searches show it by now."""
        return self.clock() >= self._unseen.get(name, datetime.min.replace(tzinfo=UTC))

    async def trigger(self, event: str, body: dict[str, Any]) -> dict[str, Any]:
        """Make something happen in the account (`POST /_sandbox/<connector>/<event>`); returns what happened.

        Raises `LookupError` for an event it does not know, `ValueError` for a body it cannot use.
        """
        raise LookupError(f"the {self.connector} simulator knows no event {event!r}")

    def subscribe(self, url: str, settings: Mapping[str, Any]) -> None:  # noqa: B027 — optional to override
        """Register `url` for webhooks, as a person would in the vendor's UI.

        `settings` are the connection's own keys. A vendor without webhooks does nothing here.
        """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"].removeprefix(scope.get("root_path", "")) or "/"
        entry: dict[str, Any] = {"connector": self.connector, "method": scope["method"], "path": path}
        entry |= {"query": scope.get("query_string", b"").decode("latin-1"), "body": None, "status": None}
        self.requests.append(entry)
        remember_abort(scope, send)
        app, receive = _noting_status(self._app, entry), _noting_body(receive, entry)
        fault = next((f for f in self.faults if f.strikes(self.connector, scope["method"], path)), None)
        if fault is None:
            await app(scope, receive, send)
            return
        entry["fault"] = fault.kind
        if fault.kind in ("status", "garbage"):
            send = _noting_send(send, entry)
        await play(fault, app, scope, receive, send)

    def deliver(
        self,
        url: str,
        payload: Any,
        *,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        delays: Sequence[float] = (3, 30, 150),
        retried: Callable[[Any, int], Any] | None = None,
        accepted: Callable[[bytes], bool] = lambda answer: True,
    ) -> None:
        """POST `payload` to `url` in the background, again after each of `delays` seconds until a 2xx.

        `retried(payload, attempt)` gives the body of attempt 2, 3, … where the vendor changes it; `accepted(answer)` is
        whether the vendor takes the body of a 2xx for a yes, where it reads it.
        """
        delivery = self._deliver(url, payload, headers or {}, auth, delays, retried, accepted)
        task = asyncio.get_running_loop().create_task(delivery)
        self._deliveries.add(task)
        task.add_done_callback(self._deliveries.discard)

    async def _deliver(
        self,
        url: str,
        payload: Any,
        headers: Mapping[str, str],
        auth: tuple[str, str] | None,
        delays: Sequence[float],
        retried: Callable[[Any, int], Any] | None,
        accepted: Callable[[bytes], bool],
    ) -> None:
        async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
            basic = httpx.BasicAuth(*auth) if auth else httpx.USE_CLIENT_DEFAULT
            for attempt, delay in enumerate((0.0, *delays), 1):
                await asyncio.sleep(delay)
                body = retried(payload, attempt) if retried and attempt > 1 else payload
                raw = body if isinstance(body, bytes) else jsonio.dumps(body)
                try:
                    named = {"content-type": "application/json", **headers}
                    reply = await client.post(url, content=raw, headers=named, auth=basic)
                except httpx.HTTPError:
                    continue
                if reply.is_success and accepted(reply.content):
                    return

    async def settle(self) -> None:
        """Wait until no delivery is on its way."""
        while self._deliveries:
            await asyncio.gather(*self._deliveries, return_exceptions=True)

    async def close(self) -> None:
        """Stop deliveries that still wait for a retry."""
        for task in tuple(self._deliveries):
            task.cancel()
        await asyncio.gather(*self._deliveries, return_exceptions=True)


def json_response(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON reply that keeps `Decimal` exact."""
    return Response(jsonio.dumps(body), status, dict(headers or {}), media_type="application/json")


async def json_request(request: Request) -> Any:
    """The request's JSON body, numbers exact; raises `ValueError` if it is not JSON."""
    return jsonio.loads(await request.body())


async def _hung_up(request: Request, error: Exception) -> Response:
    return Response(status_code=499)


def _noting_body(receive: Receive, entry: dict[str, Any]) -> Receive:
    chunks: list[bytes] = []

    async def noting() -> Message:
        message = await receive()
        if message["type"] == "http.request":
            chunks.append(message.get("body", b""))
            entry["body"] = b"".join(chunks).decode("utf-8", "replace") or None
        return message

    return noting


def _noting_status(app: ASGIApp, entry: dict[str, Any]) -> ASGIApp:
    async def noting(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope, receive, _noting_send(send, entry))

    return noting


def _noting_send(send: Send, entry: dict[str, Any]) -> Send:
    async def noting(message: Message) -> None:
        if message["type"] == "http.response.start":
            entry["status"] = message["status"]
        await send(message)

    return noting
