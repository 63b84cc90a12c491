"""Credentials on every request, and one resend after they were renewed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from pydantic import SecretStr

from crossdock_sdk.errors import AuthError
from crossdock_sdk.http.layer import Layer, Request, Sender
from crossdock_sdk.http.reply import Reply, endpoint


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

    def __init__(self, inner: Sender, auth: Auth | None) -> None:
        super().__init__(inner)
        self._auth = auth

    async def send(self, request: Request) -> Reply:
        if self._auth is None:
            return await self._inner.send(request)
        sent = await self._auth.headers()
        _put(request, sent)
        reply = await self._inner.send(request)
        if reply.status != 401 or not await self._auth.refused(reply, sent):
            return reply
        _put(request, await self._auth.headers())
        request.resends += 1
        return await self._inner.send(request)

    async def close(self) -> None:
        if isinstance(self._auth, ClosingAuth):
            await self._auth.close()
        await super().close()


def _put(request: Request, headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        if not value.isprintable() or not value.isascii():
            raise AuthError(
                f"{request.method} {endpoint(request.shown)}: not sent, the credentials hold a character that no header"
                " may have, such as a line break at their end; mend the setting"
            )
        request.headers[name.lower()] = value
