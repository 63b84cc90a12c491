"""A connection: one configured account of a connector, and what the runtime lends it."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from pydantic import BaseModel, ConfigDict, SecretStr

from crossdock_sdk.contracts.account import Checked, Headroom
from crossdock_sdk.redaction import Redactor

if TYPE_CHECKING:
    import httpx


class ConnectionConfig(BaseModel):
    """Base of each connector's settings: the routing file's keys but `connector`. Secrets are `SecretStr`."""

    # A rejected value may be a secret in the wrong place: the error does not show it.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    base_url: str


@dataclass(frozen=True, slots=True)
class Token:
    """OAuth tokens as the vault keeps them; `version` rises with each swap.

    `expires_at` and `refresh_expires_at` are instants, None where the vendor does not tell.
    """

    access_token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    expires_at: datetime | None = None
    version: int = 0
    refresh_expires_at: datetime | None = None


class TokenStore(Protocol):
    """The vault as a connection sees it: its own tokens, nobody else's."""

    async def load(self) -> Token | None:
        """The newest stored token, or None before the first."""

    async def swap(self, token: Token, *, expected: int) -> bool:
        """Store `token` if the stored version is still `expected` (0: none); False if another was faster."""

    def exclusive(self) -> AbstractAsyncContextManager[None]:
        """Hold the right to refresh: one holder over all processes that share the database."""
        ...


class MemoryTokens:
    """A token store that forgets at exit: for tests and for tools that read once."""

    def __init__(self, token: Token | None = None) -> None:
        self._token = token
        self._lock = asyncio.Lock()

    async def load(self) -> Token | None:
        return self._token

    async def swap(self, token: Token, *, expected: int) -> bool:
        if (self._token.version if self._token else 0) != expected:
            return False
        self._token = replace(token, version=expected + 1)
        return True

    def exclusive(self) -> AbstractAsyncContextManager[None]:
        return self._lock


@dataclass(frozen=True, slots=True)
class Context:
    """Everything with a side effect that a connection may use; nothing in a connector is global."""

    name: str
    """The connection's name in the routing file."""
    tokens: TokenStore = field(default_factory=MemoryTokens)
    redactor: Redactor = field(default_factory=Redactor)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    """For waits of a second or two, in seconds; longer ones are the runtime's."""
    random: random.Random = field(default_factory=random.Random)
    transport: Callable[[], httpx.AsyncBaseTransport] | None = None
    """Replaces the network transport (tests, fault injection); None is the real one."""
    logger: logging.Logger = field(default_factory=lambda: logging.getLogger("crossdock.connector"))
    tracer_provider: Any = None
    """The OpenTelemetry tracer provider of the application; None is the global one."""


class Connection:
    """Base of each connector's connection.

    A subclass sets `connector` (the name in the routing file), `Config`, and builds its clients in
    `__init__`; it does no I/O there. `close` releases them. The runtime makes one instance per connection
    and shares it between the source, the sink and the notifier of that connector.
    """

    connector: ClassVar[str]
    Config: ClassVar[type[ConnectionConfig]]

    def __init__(self, config: Any, context: Context) -> None:
        self.config = config
        self.context = context
        context.redactor.add(*secrets_of(config))

    @property
    def account(self) -> str:
        """What tells this account from another one of the same vendor; no secret, and no I/O.

        Writes made under one account are never looked for, repeated or undone in another: override it where the
        address does not tell accounts apart, or may change while the account stays.
        """
        return f"{self.connector}:{self.config.base_url.rstrip('/')}"

    @property
    def headroom(self) -> Headroom:
        """How far the account is from the vendor's limits; no I/O. `ApiClient.headroom` has it for its calls."""
        return Headroom()

    async def check(self) -> Checked | None:
        """Ask the vendor's cheapest authenticated question, which changes nothing and which nobody notices.

        None if the vendor has none. Raises `ConnectorError`: `AuthError` if the credentials are refused.
        """
        return None

    async def close(self) -> None:
        """Release sockets. Called once; nothing is called after it."""


def secrets_of(config: BaseModel) -> list[str]:
    """All `SecretStr` values in a settings model, nested ones too."""
    return list(named_secrets(config).values())


def named_secrets(config: BaseModel) -> dict[str, str]:
    """The same by their dotted keys in the routing file, such as `webhook.password`."""
    found: dict[str, str] = {}
    for name, value in dict(config).items():
        info = type(config).model_fields.get(name)
        key = info.alias if info and info.alias else name
        if isinstance(value, SecretStr):
            found[key] = value.get_secret_value()
        elif isinstance(value, BaseModel):
            found |= {f"{key}.{inner}": secret for inner, secret in named_secrets(value).items()}
    return found
