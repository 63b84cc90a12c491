"""OAuth tokens, encrypted, one row per connection, refreshed by one process at a time."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import hashlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from crossdock_sdk import AuthError, Token, TransientError
from crossdock_sdk.jsonio import dumps, loads
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from crossdock.journal.base import Journal, StoredToken

LEASE = timedelta(seconds=90)
"""How long a refresh may take before another process may try: longer than a token endpoint can make it take."""
POLL = timedelta(milliseconds=100)
_KEY_BYTES = 32
_CONTEXT = b"crossdock token vault 1\0"


class VaultError(AuthError):
    """Tokens cannot be read or written; one line that says of which connection, and what to do.

    To a run this is what refused credentials are: its connection pauses until a person acts.
    """


class Vault:
    """Encrypts what it stores with the first of `keys`, and reads what any of them encrypted.

    `keys` are Fernet keys (`parse_keys`). `owner` names this process. `sleep` takes seconds.
    """

    def __init__(
        self,
        journal: Journal,
        keys: Sequence[bytes],
        owner: str,
        now: Callable[[], datetime],
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        if not keys:
            raise VaultError("the vault has no key; set CROSSDOCK_SECRET_KEY")
        self._journal = journal
        self._fernet = MultiFernet([Fernet(key) for key in keys])
        self._owner = owner
        self._now = now
        self._sleep = sleep
        self._locks: dict[str, asyncio.Lock] = {}

    def store_for(self, connection: str) -> VaultTokens:
        """The token store of one connection. All stores of a connection share one in-process lock."""
        return VaultTokens(self, connection)

    async def load(self, connection: str) -> Token | None:
        """The newest tokens. Raises `VaultError` if none of the keys opens them."""
        stored = await self._journal.load_token(connection)
        return None if stored is None else self._opened(connection, stored)

    async def expiries(self, connection: str) -> dict[str, datetime]:
        """When the stored `access` and `refresh` token end, as far as the vendor tells. Raises as `load`."""
        token = await self.load(connection)
        ends = {"access": token.expires_at, "refresh": token.refresh_expires_at} if token else {}
        return {name: at for name, at in ends.items() if at is not None}

    async def swap(self, connection: str, token: Token, expected: int) -> bool:
        """Store `token` if the stored version is `expected` (0: none)."""
        plain = {
            "access_token": token.access_token,
            "refresh_token": token.refresh_token,
            "expires_at": _text(token.expires_at),
            "refresh_expires_at": _text(token.refresh_expires_at),
        }
        return await self._journal.swap_token(connection, self._fernet.encrypt(dumps(plain)), expected)

    async def rotate(self, connection: str) -> bool:
        """Encrypt the stored tokens with the first key; False if there are none, or they just changed."""
        stored = await self._journal.load_token(connection)
        if stored is None:
            return False
        return await self.swap(connection, self._opened(connection, stored), stored.version)

    def seal(self, text: str) -> bytes:
        """Another secret, as it may be stored."""
        return self._fernet.encrypt(text.encode())

    def unseal(self, connection: str, sealed: bytes) -> str:
        """What `seal` was given. Raises `VaultError` if none of the keys opens it."""
        try:
            return self._fernet.decrypt(sealed).decode()
        except InvalidToken:
            raise VaultError(
                f"the secret of a webhook of connection {connection} was encrypted with another key; put that key back"
                f" into CROSSDOCK_SECRET_KEY, after the new one and a comma, or run crossdock hooks sync {connection}"
            ) from None

    def _opened(self, connection: str, stored: StoredToken) -> Token:
        try:
            plain: dict[str, Any] = loads(self._fernet.decrypt(stored.ciphertext))
        except InvalidToken:
            raise VaultError(
                f"the stored tokens of connection {connection} were encrypted with another key; put that key"
                " back into CROSSDOCK_SECRET_KEY, after the new one and a comma; if it is lost, connect the account"
                " anew under another connection name"
            ) from None
        return Token(
            access_token=plain["access_token"],
            refresh_token=plain["refresh_token"],
            expires_at=_instant(plain["expires_at"]),
            version=stored.version,
            # Not in what earlier versions stored.
            refresh_expires_at=_instant(plain.get("refresh_expires_at")),
        )

    @contextlib.asynccontextmanager
    async def exclusive(self, connection: str) -> AsyncIterator[None]:
        """Hold the right to refresh. Raises `TransientError` if another process keeps it for too long."""
        lock = self._locks.setdefault(connection, asyncio.Lock())
        async with lock:
            await self._lease(connection)
            try:
                yield
            finally:
                await asyncio.shield(self._journal.release_token(connection, self._owner))

    async def _lease(self, connection: str) -> None:
        patience = LEASE + POLL
        waited = timedelta(0)
        while not await self._try_lease(connection):
            if waited > patience:
                raise TransientError(
                    f"another process has been refreshing the tokens of connection {connection} for"
                    f" {patience.total_seconds():.0f} s; the next try comes by itself"
                )
            await self._sleep(POLL.total_seconds())
            waited += POLL

    async def _try_lease(self, connection: str) -> bool:
        now = self._now()
        return await self._journal.lease_token(connection, self._owner, now + LEASE, now)


class VaultTokens:
    """The vault as one connection sees it (the SDK's `TokenStore`)."""

    def __init__(self, vault: Vault, connection: str) -> None:
        self._vault = vault
        self._connection = connection

    async def load(self) -> Token | None:
        return await self._vault.load(self._connection)

    async def swap(self, token: Token, *, expected: int) -> bool:
        return await self._vault.swap(self._connection, token, expected)

    def exclusive(self) -> AbstractAsyncContextManager[None]:
        return self._vault.exclusive(self._connection)


def parse_keys(text: str) -> list[bytes]:
    """Fernet keys from a comma-separated setting, newest first. Any other text is hashed to a key."""
    return [_fernet_key(part.strip()) for part in text.split(",") if part.strip()]


def _text(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _fernet_key(text: str) -> bytes:
    with contextlib.suppress(ValueError, binascii.Error):
        if len(base64.urlsafe_b64decode(text.encode())) == _KEY_BYTES:
            return text.encode()
    return base64.urlsafe_b64encode(hashlib.sha256(_CONTEXT + text.encode()).digest())


def secret_key(setting: str | None, database: Path) -> list[bytes]:
    """The vault's keys: from CROSSDOCK_SECRET_KEY, or else from `<database>.key` beside the database.

    That file is made, readable by its owner only, if it is not there. Keep it with the backups of the
    database, but not beside them: who has both can read the tokens.
    """
    if setting and parse_keys(setting):
        return parse_keys(setting)
    path = database.with_name(database.name + ".key")
    try:
        _make(path)
        keys = parse_keys(path.read_text("ascii"))
    except (OSError, UnicodeDecodeError) as error:
        raise VaultError(f"cannot use the key file {path}: {error}; set CROSSDOCK_SECRET_KEY instead") from error
    if not keys:
        raise VaultError(f"the key file {path} is empty; restore it, or set CROSSDOCK_SECRET_KEY")
    return keys


def _make(path: Path) -> None:
    """Write a new key unless there is one; two processes that start at once end up with the same key."""
    if path.exists():
        return
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(Fernet.generate_key())
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
