"""Faults that a simulator plays at the HTTP boundary, as `PUT /_sandbox/faults` takes them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

import httpx
from pydantic import BaseModel, ConfigDict, Field
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from crossdock_sdk import jsonio

_ABORT = "crossdock.abort"
_FRAMING = (b"content-length", b"transfer-encoding")


class Fault(BaseModel):
    """One fault. It strikes requests that match, after the first `after`, `times` times (None: always).

    `kind`: `status` answers at once with `status`, `headers` and `body`; `latency` waits `seconds` first;
    `drop_before` closes the connection before the vendor does anything; `drop_after` lets the vendor apply
    the request and closes the connection without a reply; `truncate` applies it and cuts the reply in half;
    `garbage` applies it and replies 200 with an HTML page; `applied_503` applies it and replies 503, as a proxy may.
    """

    model_config = ConfigDict(extra="forbid")

    kind: Literal["status", "latency", "drop_before", "drop_after", "truncate", "garbage", "applied_503"]
    connector: str = "*"
    method: str = "*"
    path: str = Field(default="*", description="glob on the path below the connector")
    times: int | None = 1
    after: int = 0
    status: int = 503
    headers: dict[str, str] = Field(default_factory=dict)
    body: Any = None
    seconds: Annotated[float, Field(ge=0, le=600)] = 0.0
    struck: int = 0
    seen: int = 0

    def strikes(self, connector: str, method: str, path: str) -> bool:
        """Whether this fault hits this request; counts it."""
        matches = (
            fnmatchcase(connector, self.connector)
            and fnmatchcase(method, self.method.upper())
            and fnmatchcase(path, self.path)
        )
        if not matches:
            return False
        self.seen += 1
        if self.seen <= self.after or (self.times is not None and self.struck >= self.times):
            return False
        self.struck += 1
        return True


@dataclass(frozen=True, slots=True)
class Refusal:
    """One of a vendor's own replies that do nothing. `body` goes as JSON unless it is a string.

    `method`, `path` and `content` are globs: which requests the vendor could answer so.
    """

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "*"
    path: str = "*"
    content: str = "*"

    def answers(self, request: httpx.Request) -> bool:
        """Whether this could be the answer to a request."""
        pairs = ((request.method, self.method), (request.url.path, self.path))
        if not all(fnmatchcase(given, glob) for given, glob in pairs):
            return False
        return self.content == "*" or fnmatchcase(request.content.decode("utf-8", "replace"), self.content)


def remember_abort(scope: Scope, send: Send) -> None:
    """Keep in `scope` how to close the connection: only the server's own `send` knows, not one that wraps it.

    Uvicorn's `send` is a method of its request cycle, which has the socket's transport.
    """
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is not None:
        scope.setdefault("extensions", {}).setdefault(_ABORT, transport.abort)


def abortable(app: ASGIApp) -> ASGIApp:
    """`app`, so that faults can close connections also where a simulator is mounted below middleware."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            remember_abort(scope, send)
        await app(scope, receive, send)

    return wrapped


async def play(fault: Fault, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one request through `app` the way `fault` says; `scope` has been through `remember_abort`."""
    if fault.kind == "latency":
        await asyncio.sleep(fault.seconds)
        await app(scope, receive, send)
    elif fault.kind == "status":
        await _drain(receive)
        await answer(send, fault.status, fault.headers, fault.body)
    elif fault.kind == "drop_before":
        await _drain(receive)
        await _abort(scope)
    elif fault.kind == "garbage":
        await app(scope, receive, _swallow)
        await answer(send, 200, {"content-type": "text/html"}, "<html><body>It works!</body></html>")
    elif fault.kind == "applied_503":
        await app(scope, receive, _swallow)
        await answer(send, 503, fault.headers, fault.body)
    else:
        held: list[Message] = []

        async def hold(message: Message) -> None:
            held.append(message)

        await app(scope, receive, hold)
        if fault.kind == "truncate":
            await _half(held, send)
        await _abort(scope)


async def answer(send: Send, status: int, headers: dict[str, str], body: Any) -> None:
    """Send one whole reply; a `body` that is not a string goes as JSON, None as nothing."""
    raw = body.encode() if isinstance(body, str) else b"" if body is None else jsonio.dumps(body)
    named = {"content-type": "application/json"} | {k.lower(): v for k, v in headers.items()}
    encoded = [(k.encode(), v.encode()) for k, v in (named | {"content-length": str(len(raw))}).items()]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": raw})


async def _half(held: list[Message], send: Send) -> None:
    """The head, under the length of the whole, and half the body. A reply without a body is lost whole."""
    body = b"".join(m.get("body", b"") for m in held)
    if not body:
        return
    kept = [(k, v) for k, v in held[0].get("headers", []) if k.lower() not in _FRAMING]
    await send({**held[0], "headers": [*kept, (b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})


async def _drain(receive: Receive) -> None:
    while True:
        message = await receive()
        if message["type"] != "http.request" or not message.get("more_body", False):
            return


async def _swallow(message: Message) -> None:
    """Takes the reply that the client must never see."""


async def _abort(scope: Scope) -> None:
    abort = scope.get("extensions", {}).get(_ABORT)
    if abort is None:
        raise RuntimeError("a fault cannot close this connection: run the simulator on uvicorn in `abortable`")
    abort()
    # Lets the server learn of it before it looks for the reply that this request never sends.
    await asyncio.sleep(0)
