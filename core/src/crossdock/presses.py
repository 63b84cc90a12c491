"""Presses of buttons in a chat: verified, taken once, done as any other act, and answered."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

from crossdock_sdk import (
    ConfigError,
    ConnectorError,
    Interactive,
    PayloadError,
    Press,
    VerificationError,
    WebhookReply,
    WebhookRequest,
)

from crossdock.actors import Actor, Role
from crossdock.config.compiled import CompiledFlow
from crossdock.connections import Connections
from crossdock.intake import RefusedError
from crossdock.journal.base import Act, Journal, JournalError, RunRow
from crossdock.offers import state_of
from crossdock.operations import NotPossibleError, Operations, UnknownRunError
from crossdock.tokens import Grant, TokenError, Tokens

_log = logging.getLogger("crossdock.presses")

PATIENCE = 2.0
"""Seconds that a press may take before it is answered and goes on by itself: vendors give up after three."""

_NAME = 80

Doing = Callable[[Operations, RunRow, "Grant", str | None, str | None], Awaitable[RunRow]]

_DOES: Mapping[str, Doing] = {
    "replay": lambda act, row, grant, plan_hash, why: act.replay(row.id, plan_hash, why=why),
    "cancel": lambda act, row, grant, plan_hash, why: act.cancel(row.id, why=why),
    "approve": lambda act, row, grant, plan_hash, why: act.approve(row.id, grant.state.rpartition(":")[2], why=why),
    "reject": lambda act, row, grant, plan_hash, why: act.reject(row.id, grant.state.rpartition(":")[2], why=why),
}
"""What each button does, with the operations, the run, what its token allows, the plan now in force, and the words."""


class Presses:
    """Takes calls from vendors at `POST /interactions/<connection>`. `flows` gives the flows in force."""

    def __init__(
        self,
        journal: Journal,
        connections: Connections,
        tokens: Tokens,
        flows: Callable[[], Mapping[str, CompiledFlow]],
        now: Callable[[], datetime],
        rng: random.Random,
        *,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self._journal = journal
        self._connections = connections
        self._tokens = tokens
        self._flows = flows
        self._now = now
        self._rng = rng
        self._wake = wake
        self._working: set[asyncio.Task[None]] = set()

    async def receive(self, connection: str, request: WebhookRequest) -> WebhookReply:
        """Take a call; what the vendor must hear, within `PATIENCE` and a little. Raises `RefusedError`."""
        notifier = self._notifier(connection)
        try:
            called = notifier.interactions(request)
        except VerificationError as error:
            _log.warning("a press at %s is refused: %s", connection, error)
            raise RefusedError(401, "the call is not authenticated") from None
        except PayloadError as error:
            _log.warning("a press at %s cannot be read: %s", connection, error)
            raise RefusedError(422, "the body is not what the vendor documents") from None
        except Exception:
            _log.exception("the connector of %s failed over a press", connection)
            raise RefusedError(500, "the connector failed over the press") from None
        tasks = [asyncio.create_task(self._take(connection, notifier, press)) for press in called.presses]
        for task in tasks:
            self._working.add(task)
            task.add_done_callback(self._working.discard)
        if tasks:
            await asyncio.wait(tasks, timeout=PATIENCE)
        return called.reply

    async def stop(self) -> None:
        """Let presses that were taken be finished for a moment."""
        if self._working:
            await asyncio.wait(self._working, timeout=PATIENCE)
        for task in tuple(self._working):
            task.cancel()

    def _notifier(self, connection: str) -> Interactive:
        try:
            notifier = self._connections.notifier(connection)
        except ConfigError as error:
            if connection in self._connections.names():
                _log.error("a press at %s cannot be taken: %s", connection, error)
            raise RefusedError(404, "no such connection takes presses") from None
        if not isinstance(notifier, Interactive):
            raise RefusedError(404, "no such connection takes presses")
        if not notifier.takes_presses:
            raise RefusedError(404, notifier.press_setup)
        return notifier

    async def _take(self, connection: str, notifier: Interactive, press: Press) -> None:
        """Do what a press asks for, and answer where it comes to nothing."""
        try:
            refused = await self._refusal(connection, press)
        except JournalError as error:
            _log.error("a press at %s could not be taken: %s", connection, error)
            refused = "The journal took no writes: nothing was done. Press again in a moment."
        except Exception:
            _log.exception("a press at %s met an error of the runtime", connection)
            refused = "Crossdock failed over this; its log says why. Look at the run before you press again."
        self._wake()
        if refused is not None:
            answering = asyncio.create_task(self._answer(connection, notifier, press, refused))
            self._working.add(answering)
            answering.add_done_callback(self._working.discard)

    async def _answer(self, connection: str, notifier: Interactive, press: Press, text: str) -> None:
        try:
            await notifier.answer(press, text)
        except ConnectorError as error:
            _log.warning("%s was not told at %s what became of a press: %s", press.user_name, connection, error)
        except Exception:
            _log.exception("the connector of %s failed over an answer", connection)

    async def _refusal(self, connection: str, press: Press) -> str | None:
        """Do it; or why it is not done, in words for whoever pressed."""
        name = " ".join(press.user_name.split())[:_NAME] or press.user_id
        by = Actor(f"{name} ({connection})", Role.OPERATOR, "chat")
        operators = self._connections.telling(connection).operators
        if operators is not None and press.user_id not in operators:
            await self._note(by, press, connection)
            return f"You ({press.user_id}) are not among the operators of connection {connection}; nothing was done."
        try:
            grant = self._tokens.read(press.token, connection)
        except TokenError as error:
            return f"Nothing was done: {error}."
        does = _DOES.get(grant.action)
        history = await self._journal.history(grant.run)
        if history is None or does is None:
            return f"Nothing was done: run {grant.run} is not in the journal any more."
        row, steps = history
        later = (await self._journal.talks.chain(row.root))[-1]
        if state_of(row, steps) != grant.state or later.id != row.id:
            replay = f", replayed as run {later.id}" if later.id != row.id else ""
            return f"Nothing was done: run {row.id} has moved on{replay}: now {later.status}."
        if not await self._journal.talks.spend(grant.nonce, grant.until):
            return f"Nothing was done: this button has been pressed already. Run {row.id} is {row.status}."
        flow = self._flows().get(row.flow)
        operations = Operations(self._journal, by, self._now, self._rng)
        try:
            await does(operations, row, grant, flow.plan_hash if flow else None, press.text)
        except (NotPossibleError, UnknownRunError) as error:
            return f"Nothing was done: {error}."
        return None

    async def _note(self, by: Actor, press: Press, connection: str) -> None:
        """Who tries what they may not do is to be seen."""
        told = {"user": press.user_id, "action": press.action}
        _log.warning("%s (%s) may not press buttons at %s", press.user_name, press.user_id, connection)
        await self._journal.audit.note(
            Act(self._now(), by, "press refused", "connection", connection, None, None, told)
        )
