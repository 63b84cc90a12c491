"""Presses: done once, on the run as it stood, by whoever may."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from crossdock.config.telling import Telling
from crossdock.intake import RefusedError
from crossdock.offers import state_of
from crossdock.presses import Presses
from crossdock.tokens import Tokens
from crossdock_sdk import (
    Alert,
    Interaction,
    Interactive,
    PayloadError,
    Posted,
    Press,
    RejectedError,
    VerificationError,
    WebhookReply,
    WebhookRequest,
)
from scripted import leg

REFUSED = RejectedError("no such thing")


class Chat(Interactive):
    """Hands over the presses that a test says; `answers` are what people were told."""

    takes_presses = True
    press_setup = "connection chat needs a secret"

    def __init__(self) -> None:
        super().__init__(None)
        self.next: Interaction | Exception = Interaction()
        self.answers: list[str] = []

    async def post(self, alert: Alert, reply_to: Posted | None) -> Posted:
        return {}

    async def update(self, posted: Posted, alert: Alert) -> None:
        return

    def interactions(self, request: WebhookRequest) -> Interaction:
        if isinstance(self.next, Exception):
            raise self.next
        return self.next

    async def answer(self, press: Press, text: str) -> None:
        self.answers.append(text)


@dataclass
class Desk:
    """Presses over the journal of a house."""

    house: Any
    chat: Chat = field(default_factory=Chat)
    settings: Telling = field(default_factory=Telling)

    def __post_init__(self) -> None:
        app = self.house.app
        self.tokens = Tokens([b"key"], app.now)
        connections: Any = self
        self.presses = Presses(app.journal, connections, self.tokens, lambda: app.loaded.flows, app.now, app.rng)

    def notifier(self, name: str) -> Chat:
        return self.chat

    def telling(self, name: str) -> Telling:
        return self.settings

    async def token(self, run: str, action: str) -> str:
        row, steps = await self.house.app.journal.history(run)
        return self.tokens.issue(action, run, state_of(row, steps), "chat")

    async def press(self, *tokens: str, user: str = "U1", name: str = "ann") -> WebhookReply:
        self.chat.next = Interaction(tuple(Press(token, "x", user, name) for token in tokens))
        reply = await self.presses.receive("chat", WebhookRequest("POST", "/interactions/chat", {}, b""))
        await self.presses.stop()
        return reply

    async def acts(self) -> list[tuple[str, str]]:
        return [(act.action, act.actor) for act in (await self.house.app.journal.audit.page()).items]


async def test_one_press_is_one_act_however_often_it_comes(house: Callable[..., Any], vendor: Any) -> None:
    vendor.script["key.create.before"] = [REFUSED] * 10
    async with house({"a": leg("key.create")}, on_failure="hold") as h:
        run = await h.win()
        await h.rests(run, "held")
        desk = Desk(h)
        token = await desk.token(run, "replay")
        await desk.press(*[token] * 6)
        assert await desk.acts() == [("replay", "ann (chat)")]
        assert len(desk.chat.answers) == 5


async def test_a_run_that_has_moved_is_left_alone(house: Callable[..., Any], vendor: Any) -> None:
    vendor.script["key.create.before"] = [REFUSED]
    async with house({"a": leg("key.create")}, on_failure="hold") as h:
        run = await h.win()
        await h.rests(run, "held")
        desk = Desk(h)
        cancel = await desk.token(run, "cancel")
        await h.operations.replay(run)
        await desk.press(cancel)
        assert "has moved on: now " in desk.chat.answers[0]
        h.app.runner.wake()
        await h.rests(run, "succeeded")
        await desk.press(cancel)
        assert desk.chat.answers[1] == f"Nothing was done: run {run} has moved on: now succeeded."
        assert [action for action, _ in await desk.acts()] == ["replay"]


async def test_who_is_no_operator_does_nothing_and_is_seen(house: Callable[..., Any], vendor: Any) -> None:
    vendor.script["key.create.before"] = [REFUSED]
    async with house({"a": leg("key.create")}) as h:
        run = await h.win()
        await h.rests(run, "rolled_back")
        desk = Desk(h, settings=Telling(operators=("U2",)))
        token = await desk.token(run, "replay")
        await desk.press(token, name="mal\nlory")
        assert "You (U1) are not among the operators" in desk.chat.answers[0]
        assert await desk.acts() == [("press refused", "mal lory (chat)")]
        await desk.press(token, user="U2", name="bob")
        assert (await desk.acts())[0] == ("replay", "bob (chat)")


async def test_an_empty_list_of_operators_lets_nobody_in(house: Callable[..., Any], vendor: Any) -> None:
    vendor.script["key.create.before"] = [REFUSED]
    async with house({"a": leg("key.create")}) as h:
        run = await h.win()
        await h.rests(run, "rolled_back")
        desk = Desk(h, settings=Telling(operators=()))
        await desk.press(await desk.token(run, "replay"))
        assert [action for action, _ in await desk.acts()] == ["press refused"]


@pytest.mark.parametrize(
    ("told", "status"), [(VerificationError("no"), 401), (PayloadError("no"), 422), (RuntimeError("a bug"), 500)]
)
async def test_what_is_no_press_is_refused(
    house: Callable[..., Any], vendor: Any, told: Exception, status: int
) -> None:
    async with house({"a": leg("key.create")}) as h:
        desk = Desk(h)
        desk.chat.next = told
        with pytest.raises(RefusedError) as refused:
            await desk.presses.receive("chat", WebhookRequest("POST", "/", {}, b""))
        assert refused.value.status == status


async def test_a_press_that_takes_long_is_answered_in_time_and_goes_on(
    house: Callable[..., Any], vendor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crossdock.presses.PATIENCE", 0.05)
    vendor.script["key.create.before"] = [REFUSED]
    async with house({"a": leg("key.create")}) as h:
        run = await h.win()
        await h.rests(run, "rolled_back")
        desk, free, history = Desk(h), asyncio.Event(), h.app.journal.history
        token = await desk.token(run, "replay")

        async def slow(run_id: str) -> Any:
            await free.wait()
            return await history(run_id)

        monkeypatch.setattr(h.app.journal, "history", slow)
        desk.chat.next = Interaction((Press(token, "replay", "U1", "ann"),), WebhookReply(body=b"taken"))
        reply = await desk.presses.receive("chat", WebhookRequest("POST", "/", {}, b""))
        assert reply.body == b"taken"
        assert await desk.acts() == []
        free.set()
        monkeypatch.setattr("crossdock.presses.PATIENCE", 20)
        await desk.presses.stop()
        assert await desk.acts() == [("replay", "ann (chat)")]
