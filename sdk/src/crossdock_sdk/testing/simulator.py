"""The base of each connector's simulator: a stateful stand-in for the vendor, over real HTTP.

A simulator enforces what the vendor enforces (auth, required fields, unknown fields, versions, uniqueness,
paging, limits) and answers with the vendor's own error bodies. It serves tests, `crossdock sandbox` and
`crossdock demo`.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
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
        self.accepted: deque[tuple[str, Any]] = deque(maxlen=_KEPT_REQUESTS)
        """The newest 10,000 webhooks that were answered with 2xx, each as (url, payload): they must not be lost."""
        self._deliveries: set[asyncio.Task[None]] = set()
        self._app = Starlette(
            routes=list(self.routes()), lifespan=self._lifespan, exception_handlers={ClientDisconnect: _hung_up}
        )

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

    @contextlib.asynccontextmanager
    async def alongside(self) -> AsyncIterator[None]:
        """Run what the vendor is spoken to by beside HTTP, such as an SMTP listener on a free port.

        Whatever serves the simulator enters it before it asks for `settings`. Requests that come that way go through
        `asked`, so that they are kept and faults strike them like any other.
        """
        yield

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
        query = scope.get("query_string", b"").decode("latin-1")
        entry, fault = self.asked(scope["method"], path, query=query)
        remember_abort(scope, send)
        app, receive = _noting_status(self._app, entry), _noting_body(receive, entry)
        if fault is None:
            await app(scope, receive, send)
            return
        if fault.kind in ("status", "garbage"):
            send = _noting_send(send, entry)
        await play(fault, app, scope, receive, send)

    def asked(
        self, method: str, path: str, *, query: str = "", body: str | None = None
    ) -> tuple[dict[str, Any], Fault | None]:
        """Keep a request; its entry in `requests`, whose `status` is still to be set, and the fault that strikes it."""
        entry: dict[str, Any] = {"connector": self.connector, "method": method, "path": path}
        entry |= {"query": query, "body": body, "status": None}
        self.requests.append(entry)
        fault = next((f for f in self.faults if f.strikes(self.connector, method, path)), None)
        if fault is not None:
            entry["fault"] = fault.kind
        return entry, fault

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        async with self.alongside():
            yield

    def deliver(
        self,
        url: str,
        payload: Any,
        *,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        delays: Sequence[float] = (3, 30, 150),
        retried: Callable[[Any, int], Any] | None = None,
        acknowledged: Callable[[int], bool] = lambda status: 200 <= status < 300,
        noted: Callable[[int, int | None, str], None] | None = None,
        reads: Callable[[bytes], bool] = lambda answer: True,
    ) -> None:
        """POST `payload` to `url` in the background, again after each of `delays` seconds until it is `acknowledged`.

        `retried(payload, attempt)` gives the body of attempt 2, 3, … where the vendor changes it;
        `acknowledged(status)` says which statuses the vendor takes for a yes, `reads(answer)` which bodies, where it
        looks at those. `noted(attempt, status, text)` hears of each attempt; the status is None where no answer came.
        """
        sending = self._deliver(url, payload, headers or {}, auth, delays, retried, acknowledged, noted, reads)
        task = asyncio.get_running_loop().create_task(sending)
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
        acknowledged: Callable[[int], bool],
        noted: Callable[[int, int | None, str], None] | None,
        reads: Callable[[bytes], bool],
    ) -> None:
        async with httpx.AsyncClient(timeout=10, trust_env=False, verify=_trusted()) as client:
            basic = httpx.BasicAuth(*auth) if auth else httpx.USE_CLIENT_DEFAULT
            for attempt, delay in enumerate((0.0, *delays), 1):
                await asyncio.sleep(delay)
                body = retried(payload, attempt) if retried and attempt > 1 else payload
                raw = body if isinstance(body, bytes) else jsonio.dumps(body)
                try:
                    named = {"content-type": "application/json", **headers}
                    reply = await client.post(url, content=raw, headers=named, auth=basic)
                except httpx.HTTPError as error:
                    if noted:
                        noted(attempt, None, type(error).__name__)
                    continue
                if noted:
                    noted(attempt, reply.status_code, reply.text)
                if acknowledged(reply.status_code) and reads(reply.content):
                    self.accepted.append((url, body))
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


@cache
def _trusted() -> ssl.SSLContext:
    """To read the certificates anew for each delivery takes longer than to deliver."""
    return httpx.create_ssl_context()


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
