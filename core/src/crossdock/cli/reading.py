"""The connections of a routing file for a command that speaks to a vendor."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime

from crossdock_sdk import Context, Redactor

from crossdock.cli import options
from crossdock.config.load import Loaded
from crossdock.connections import Connections
from crossdock.ids import owner_id
from crossdock.journal.base import Journal
from crossdock.journal.opening import open_journal
from crossdock.plugins import Registry
from crossdock.settings import Settings
from crossdock.vault import Vault, secret_key


@dataclass(frozen=True, slots=True)
class Opened:
    """Live connections, with the journal and the vault that they rest on."""

    connections: Connections
    journal: Journal
    vault: Vault


@contextlib.asynccontextmanager
async def opened(settings: Settings, loaded: Loaded, registry: Registry, redactor: Redactor) -> AsyncIterator[Opened]:
    """Live connections, closed at the end; `redactor` gets to know their tokens.

    The journal is opened (and made, if there is none) for its tokens: a refresh elsewhere would leave the
    server with one that no longer opens anything.
    """
    journal = open_journal(settings.database_url, redact=redactor.text)
    await journal.open()
    secret = settings.secret_key.get_secret_value() if settings.secret_key else None
    key = secret_key(secret, options.database(settings))
    vault = Vault(journal, key, owner_id(), lambda: datetime.now(UTC))

    def context(name: str) -> Context:
        logger = logging.getLogger(f"crossdock.connector.{name}")
        return Context(name=name, tokens=vault.store_for(name), redactor=redactor, logger=logger)

    connections = Connections(loaded.connections, registry, context)
    try:
        yield Opened(connections, journal, vault)
    finally:
        await connections.close()
        await journal.close()


@contextlib.asynccontextmanager
async def connected(
    settings: Settings, loaded: Loaded, registry: Registry, redactor: Redactor
) -> AsyncIterator[Connections]:
    """As `opened`, for who needs the connections alone."""
    async with opened(settings, loaded, registry, redactor) as parts:
        yield parts.connections
