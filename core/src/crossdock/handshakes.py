"""The runtime's side of webhooks whose secret a handshake brings: who is believed, and what is kept.

A registration under way is a row of the journal, because the process that registers is a command and the one that
hears the vendor is the server. A handshake is taken only if it came to the URL of such a row.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Callable
from datetime import datetime

from crossdock_sdk import Handshake, Redactor, VerificationError, WebhookReply, WebhookRequest

from crossdock.journal.base import Journal
from crossdock.journal.hooks import StoredHook
from crossdock.vault import Vault, VaultError

_log = logging.getLogger("crossdock.handshakes")

QUERY = "hook"
"""The name in a delivery URL's query under which it carries its registration's nonce."""


class Handshakes:
    """Answers vendors' set-up calls, and knows what was agreed in them. `redactor` gets to know each secret."""

    def __init__(self, journal: Journal, vault: Vault, redactor: Redactor, now: Callable[[], datetime]) -> None:
        self._journal = journal
        self._vault = vault
        self._redactor = redactor
        self._now = now
        self._opened: dict[str, dict[bytes, str | None]] = {}

    async def agree(self, connection: str, request: WebhookRequest, handshake: Handshake) -> WebhookReply:
        """What the vendor wants to hear, once its secret is on disk. Raises `VerificationError`, `JournalError`."""
        nonce, now = request.query.get(QUERY, ""), self._now()
        hook = next((h for h in await self._journal.hooks.of(connection) if h.nonce == nonce), None)
        if hook is None or not hook.expects(now):
            raise VerificationError("a handshake came while no registration of ours is under way")
        sealed = None if handshake.secret is None else self._vault.seal(handshake.secret)
        taken = await self._journal.hooks.agree(connection, nonce, sealed, now)
        # The vendor says the same once more if our answer was lost.
        if not taken and not await self._is_repetition(connection, nonce, handshake):
            raise VerificationError("a second handshake came for a registration that has its secret")
        if handshake.secret is not None:
            # Not before: a stranger must not choose what is masked.
            self._redactor.add(handshake.secret)
        _log.info("a handshake for connection %s is answered", connection)
        return handshake.reply

    async def _is_repetition(self, connection: str, nonce: str, handshake: Handshake) -> bool:
        hook = next((h for h in await self._journal.hooks.of(connection) if h.nonce == nonce), None)
        if hook is None or hook.secret is None or not hook.expects(self._now()) or handshake.secret is None:
            return False
        agreed = self._open(hook)
        return agreed is not None and hmac.compare_digest(agreed.encode(), handshake.secret.encode())

    async def secrets(self, connection: str, request: WebhookRequest) -> tuple[str, ...]:
        """What was agreed for a connection, newest first, but for that of the URL that was called, which comes first.

        Raises `JournalError`. The rows are read each time, since another process adds and removes them; what is kept
        in memory is only what they say in clear.
        """
        now, nonce = self._now(), request.query.get(QUERY)
        hooks = [hook for hook in await self._journal.hooks.of(connection) if hook.live(now)]
        before = self._opened.get(connection, {})
        opened = {h.secret: before[h.secret] if h.secret in before else self._open(h) for h in hooks if h.secret}
        self._opened[connection] = opened
        hooks.sort(key=lambda hook: hook.nonce != nonce)
        found = (opened[hook.secret] for hook in hooks if hook.secret)
        return tuple(secret for secret in found if secret is not None)

    def _open(self, hook: StoredHook) -> str | None:
        try:
            secret = self._vault.unseal(hook.connection, hook.secret or b"")
        except VaultError as error:
            _log.error("%s", error)
            return None
        self._redactor.add(secret)
        return secret
