"""slack-sdk over the transport that a `Context` gives in place of the network."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

import aiohttp
import httpx


class TransportSession:
    """As much of an `aiohttp.ClientSession` as slack-sdk uses."""

    closed = False

    def __init__(self, factory: Callable[[], httpx.AsyncBaseTransport]) -> None:
        self._factory = factory
        self._transport: httpx.AsyncBaseTransport | None = None

    @asynccontextmanager
    async def request(self, method: str, url: str, **given: Any) -> AsyncIterator[_Reply]:
        if self._transport is None:
            self._transport = self._factory()
        data = given.get("data")
        body: dict[str, Any] = {"data": data} if isinstance(data, Mapping) else {"content": data}
        if given.get("json") is not None:
            body = {"json": given["json"]}
        request = httpx.Request(method, url, headers=given.get("headers"), params=given.get("params"), **body)
        response = await self._transport.handle_async_request(request)
        try:
            await response.aread()
            yield _Reply(response)
        finally:
            await response.aclose()

    async def close(self) -> None:
        self.closed = True
        if self._transport is not None:
            await self._transport.aclose()


class _Reply:
    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self.status = response.status_code
        self.headers = response.headers
        self.content_type = response.headers.get("content-type", "application/octet-stream").partition(";")[0]

    async def read(self) -> bytes:
        return self._response.content

    async def text(self) -> str:
        return self._response.text

    async def json(self) -> Any:
        """Raises as aiohttp does: `ContentTypeError` if the reply does not call itself JSON."""
        if self.content_type != "application/json":
            # slack-sdk takes it as a sign and asks nothing of it.
            raise aiohttp.ContentTypeError(cast(Any, None), (), message=f"unexpected mimetype: {self.content_type}")
        return json.loads(self._response.content) if self._response.content.strip() else None
