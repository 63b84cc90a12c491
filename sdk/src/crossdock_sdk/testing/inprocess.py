"""Call an ASGI application without a socket."""

from __future__ import annotations

import httpx
from starlette.types import ASGIApp, Message, Scope


class InProcess(httpx.AsyncBaseTransport):
    """A transport whose far end is `app`. `defects` are the exceptions of the application itself, answered with 500."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.defects: list[Exception] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        sent = [{"type": "http.request", "body": request.content, "more_body": False}]
        status, headers, body = 500, list[tuple[bytes, bytes]](), bytearray()

        async def receive() -> Message:
            return sent.pop() if sent else {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            nonlocal status, headers
            if message["type"] == "http.response.start":
                status, headers = message["status"], list(message.get("headers", ()))
            else:
                body.extend(message.get("body", b""))

        try:
            await self._app(_scope(request), receive, send)
        except Exception as error:
            self.defects.append(error)
            return httpx.Response(500)
        return httpx.Response(status, headers=headers, content=bytes(body))


def _scope(request: httpx.Request) -> Scope:
    url = request.url
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": url.scheme,
        "path": url.path,
        "raw_path": url.raw_path.partition(b"?")[0],
        "root_path": "",
        "query_string": url.query,
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "server": (url.host, url.port),
        "client": ("127.0.0.1", 0),
    }
