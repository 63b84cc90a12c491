"""Credentials on every request, and one resend after they were renewed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import httpx
from pydantic import SecretStr

from crossdock_sdk.http.layer import Layer, count_resend
from crossdock_sdk.http.reply import Reply, reply_of
from crossdock_sdk.redaction import Redactor


class Auth(Protocol):
    """How a connection proves who it is. Methods raise only `ConnectorError`s."""

    async def headers(self) -> Mapping[str, str]:
        """The headers that carry the credentials, fresh enough to be used now."""
        ...

    async def refused(self, reply: Reply, sent: Mapping[str, str]) -> bool:
        """Told of a 401 to a request that carried `sent`; True if other credentials now stand ready."""
        ...


@runtime_checkable
class ClosingAuth(Protocol):
    """An `Auth` with something to finish before the client goes."""

    async def close(self) -> None: ...


class HeaderAuth:
    """A fixed secret in a header, as `prefix` + secret."""

    def __init__(self, name: str, secret: SecretStr, prefix: str = "") -> None:
        self._name = name
        self._secret = secret
        self._prefix = prefix

    async def headers(self) -> Mapping[str, str]:
        return {self._name: self._prefix + self._secret.get_secret_value()}

    async def refused(self, reply: Reply, sent: Mapping[str, str]) -> bool:
        return False


class BearerAuth(HeaderAuth):
    """`Authorization: Bearer <secret>`."""

    def __init__(self, secret: SecretStr) -> None:
        super().__init__("Authorization", secret, "Bearer ")


class Authorised(Layer):
    """Puts credentials on requests. A 401 took no effect: after a renewal a write too is sent once more."""

    def __init__(self, inner: httpx.AsyncBaseTransport, auth: Auth | None, redactor: Redactor) -> None:
        super().__init__(inner)
        self._auth = auth
        self._redactor = redactor

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._auth is None:
            return await self._inner.handle_async_request(request)
        sent = await self._auth.headers()
        request.headers.update(sent)
        response = await self._inner.handle_async_request(request)
        if response.status_code != 401:
            return response
        if not await self._auth.refused(reply_of(request, response, self._redactor), sent):
            return response
        request.headers.update(await self._auth.headers())
        count_resend(request)
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        if isinstance(self._auth, ClosingAuth):
            await self._auth.close()
        await super().aclose()
