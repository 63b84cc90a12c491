"""From what stands at a vendor to what should: webhooks registered, removed, and the journal's rows with them."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from crossdock_sdk import ConnectorError, Subscribable, Subscription

from crossdock.handshakes import QUERY
from crossdock.hooks import Known, Line, compare, same_place
from crossdock.ids import owner_alive
from crossdock.journal.base import Journal
from crossdock.journal.hooks import StoredHook
from crossdock.vault import Vault, VaultError

PENDING = timedelta(minutes=5)
"""How long a registration may take, with the vendor's handshake."""
LEASE = timedelta(minutes=10)
"""How long a connection's webhooks are one process's to change, from its last change on."""


class BusyError(Exception):
    """Another process changes the connection's webhooks; one line."""


@dataclass(frozen=True, slots=True)
class Deed:
    """One thing to do, or done: `keep`, `register`, `finish` or `remove`. `error` says why it could not be."""

    do: str
    subscription: Subscription
    why: str = ""
    error: str | None = None


class Subscriber:
    """The webhooks of one connection, sent to `url`. `nonce` makes what tells one registration from another."""

    def __init__(
        self,
        connection: str,
        source: Subscribable,
        url: str,
        journal: Journal,
        vault: Vault,
        owner: str,
        now: Callable[[], datetime],
        *,
        nonce: Callable[[], str] = lambda: secrets.token_urlsafe(16),
    ) -> None:
        self._connection = connection
        self._source = source
        self._url = url
        self._journal = journal
        self._vault = vault
        self._owner = owner
        self._now = now
        self._nonce = nonce

    async def lines(self, events: Sequence[str]) -> list[Line]:
        """What should stand for these events, and what stands. Raises `ConnectorError`, `JournalError`."""
        wanted = await self._source.wanted(self._url, events) if events else []
        known = await self._known()
        return compare(wanted, await self._source.subscriptions(), self._url, known)

    async def sync(self, events: Sequence[str], *, dry_run: bool = False) -> list[Deed]:
        """Make it so, or say what that would take. What fails is in its deed, and the rest is done.

        Raises `BusyError`, `ConnectorError` if the vendor does not even say what stands, `JournalError`.
        """
        if dry_run:
            return _deeds(await self.lines(events))
        async with self._alone():
            lines = await self.lines(events)
            deeds = _deeds(lines)
            done = [await self._remove(deed.subscription, deed.why) for deed in deeds if deed.do == "remove"]
            await self._forget([line.subscription for line in lines if line.stands], done)
            return done + [await self._perform(deed) for deed in deeds if deed.do != "remove"]

    async def remove(self, *, dry_run: bool = False) -> list[Deed]:
        """Remove all of ours. Raises as `sync`."""
        async with contextlib.AsyncExitStack() as alone:
            if not dry_run:
                await alone.enter_async_context(self._alone())
            standing = await self._source.subscriptions()
            ours = [each for each in standing if same_place(each.url, self._url)]
            if dry_run:
                return [Deed("remove", each) for each in ours]
            done = [await self._remove(each) for each in ours]
            await self._forget(standing, done)
            return done

    async def _perform(self, deed: Deed) -> Deed:
        if deed.do == "register":
            return await self._register(deed)
        if deed.do == "finish":
            return await self._finish(deed)
        return deed

    async def _register(self, deed: Deed) -> Deed:
        await self._lease()
        nonce, now = self._nonce(), self._now()
        wanted = deed.subscription
        hooks = self._journal.hooks
        await hooks.begin(self._connection, nonce, wanted.topic, self._url, now + PENDING, now)
        try:
            made = await self._source.subscribe(wanted, f"{self._url}?{QUERY}={nonce}")
        except Exception as error:
            hint = await self._unheard(nonce)
            await hooks.drop([nonce])
            return replace(deed, error=_said(error) + hint)
        except BaseException:
            # Somebody has lost patience; the vendor may yet say yes, and then the next sync removes what it made.
            await asyncio.shield(hooks.drop([nonce]))
            raise
        needs_secret = self._source.agrees_secrets
        if await hooks.finish(nonce, made.id, self._now(), needs_secret=needs_secret):
            return replace(deed, subscription=made)
        hint = await self._unheard(nonce)
        await hooks.drop([nonce])
        removed = await self._remove(made)
        kept = "" if removed.error is None else f"; it could not be removed either: {removed.error}"
        return replace(deed, error=f"the vendor accepted it without a handshake{hint}{kept}")

    async def _unheard(self, nonce: str) -> str:
        """What to look at if the vendor's handshake has not come; nothing where it has, or where none is made."""
        if not self._source.agrees_secrets or any(h.nonce == nonce and h.secret for h in await self._rows()):
            return ""
        at = f"{self._url} must lead to a running `crossdock serve` on the same database"
        return f"; no handshake came: {at}, while this command runs"

    async def _finish(self, deed: Deed) -> Deed:
        row = (await self._known()).row(deed.subscription)
        if row is not None:
            needs_secret = self._source.agrees_secrets
            await self._journal.hooks.finish(row.nonce, deed.subscription.id, self._now(), needs_secret=needs_secret)
        return deed

    async def _remove(self, subscription: Subscription, why: str = "") -> Deed:
        await self._lease()
        deed = Deed("remove", subscription, why)
        try:
            await self._source.unsubscribe(subscription)
        except Exception as error:
            return replace(deed, error=_said(error))
        return deed

    async def _forget(self, stood: Sequence[Subscription], done: Sequence[Deed]) -> None:
        """Delete the rows of all that does not stand (any more), with their secrets."""
        known = await self._known()
        removed = [deed.subscription for deed in done if deed.error is None]
        kept = {row.nonce for each in stood if each not in removed and (row := known.row(each))}
        gone = [row.nonce for row in known.rows if row.nonce not in kept]
        if gone:
            await self._journal.hooks.drop(gone)

    async def _rows(self) -> list[StoredHook]:
        return await self._journal.hooks.of(self._connection)

    async def _known(self) -> Known:
        return Known(await self._rows(), needs_secret=self._source.agrees_secrets, opens=self._opens)

    def _opens(self, row: StoredHook) -> bool:
        try:
            self._vault.unseal(self._connection, row.secret or b"")
        except VaultError:
            return False
        return True

    @contextlib.asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """Let no other process change the same webhooks meanwhile: it would take ours for remains of a crash."""
        await self._journal.release_dead(owner_alive)
        await self._lease()
        try:
            yield
        finally:
            await asyncio.shield(self._journal.release_token(self._lock, self._owner))

    async def _lease(self) -> None:
        now = self._now()
        if not await self._journal.lease_token(self._lock, self._owner, now + LEASE, now):
            raise BusyError(f"another process changes the webhooks of {self._connection}; try again when it is done")

    @property
    def _lock(self) -> str:
        # No connection has a colon in its name, so this is nobody's lease on tokens.
        return f"hooks:{self._connection}"


def _deeds(lines: Sequence[Line]) -> list[Deed]:
    deeds: list[Deed] = []
    for line in lines:
        if line.state in {"off", "unknown", "unwanted"}:
            deeds.append(Deed("remove", line.subscription, line.note))
        if line.state in {"off", "unknown", "missing", "wrong url"} and line.wanted:
            deeds.append(Deed("register", line.wanted, "in its place" if line.stands else ""))
        if line.state in {"unfinished", "ok"}:
            deeds.append(Deed("keep" if line.state == "ok" else "finish", line.subscription, line.note))
    return deeds


def _said(error: Exception) -> str:
    if isinstance(error, ConnectorError):
        return " ".join(str(error).split())
    return f"the connector failed: {type(error).__name__}: {error}"
