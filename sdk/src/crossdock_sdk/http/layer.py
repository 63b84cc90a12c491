"""What the layers of the client share: each sends a request through the next one, and adds one concern.

They pass plain objects on. httpx's own are made only where somebody has put an httpx transport underneath
(`crossdock_sdk.http.adapter`): to make and read them again took a quarter of what a call costs here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from crossdock_sdk.http.reply import Reply


@dataclass(slots=True)
class Request:
    """One request on its way. `headers` has lower-case names; `shown` is its URL as logs and errors may show it.

    `private`: its bodies hold tokens. `resends` counts how often it was sent before. The network sets `dropped` if its
    connection stood and was lost.
    """

    method: str
    url: str
    headers: dict[str, str]
    body: bytes | None
    write: bool
    shown: str
    private: bool = False
    resends: int = 0
    dropped: bool = False

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""


class Sender(Protocol):
    """Sends a request and gives the vendor's reply, whatever its status. Raises only `ConnectorError`s."""

    async def send(self, request: Request) -> Reply: ...

    async def close(self) -> None:
        """Close all sockets."""


class Layer:
    """A sender that adds one concern to `inner`."""

    def __init__(self, inner: Sender) -> None:
        self._inner = inner

    async def close(self) -> None:
        await self._inner.close()
