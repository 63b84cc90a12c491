"""Alerts in Slack that can be acted on: pressed over real HTTP, done once, and told where they were told of."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from crossdock.journal.opening import open_journal
from crossdock_sdk import jsonio
from crossdock_slack.simulated_presses import SIGNING_SECRET, buttons, signed

BAD = ({"code": "NOPE-1", "name": "Unknown", "quantity": 1, "unit_price": "5.00"},)
PATIENCE = 60.0


async def until(holds: Callable[[], Any]) -> Any:
    async with asyncio.timeout(PATIENCE):
        while not (found := holds()):
            await asyncio.sleep(0.02)
    return found


@pytest.fixture
async def pressed(firm: Any) -> Any:
    """A firm whose Slack messages have buttons, and whose server is up."""
    firm.routing["connections"]["alerts"]["signing_secret"] = SIGNING_SECRET
    firm.sandbox.subscribe("slack", f"{firm.server.url}/interactions/alerts")
    firm.server.env["CROSSDOCK_PUBLIC_URL"] = firm.server.url
    firm.write()
    await firm.server.start()
    return firm


async def press(firm: Any, **body: Any) -> dict[str, Any]:
    told: dict[str, Any] = await firm.sandbox.simulators["slack"].trigger("press", body)
    return told


def names(message: dict[str, Any]) -> list[str]:
    return [button["action_id"] for button in buttons(message)]


def answers(firm: Any) -> list[str]:
    return [answer["text"] for answer in firm.sandbox.state()["slack"]["answers"]]


async def dead(firm: Any, title: str = "Bad") -> dict[str, Any]:
    """A deal that cannot be invoiced, and the message that tells of it."""
    await firm.win(title, lines=BAD)
    await firm.ended()
    (message,) = await firm.told()
    await until(lambda: names(message))
    return dict(message)


async def acts(firm: Any) -> list[Any]:
    journal = open_journal(f"sqlite:///{firm.server.folder / 'crossdock.db'}", redact=str)
    await journal.open()
    try:
        return list((await journal.audit.page()).items)
    finally:
        await journal.close()


async def test_a_press_replays_the_run_and_the_message_tells_the_way_it_went(pressed: Any) -> None:
    firm = pressed
    message = await dead(firm)
    assert names(message) == ["replay", "open"]
    (run,) = await firm.runs()
    assert buttons(message)[-1]["url"] == f"{firm.server.url}/runs/{run['id']}"
    await firm.sandbox.simulators["quickbooks"].trigger("item.create", {"Sku": "NOPE-1", "Name": "Now known"})
    firm.by_hand()
    assert await press(firm, action="replay", user_name="ann") == {"status": 200, "body": ""}
    newest, _ = await firm.ended(2)
    assert (newest["status"], newest["replay_of"]) == ("succeeded", run["id"])
    parent, reply = await until(lambda: len(firm.messages) == 2 and firm.messages)
    assert reply["thread_ts"] == parent["ts"]
    assert f"has succeeded, as replay of {run['id']}" in reply["text"]
    await until(lambda: ":large_green_circle:" in str(parent["blocks"]))
    assert "replayed by ann (alerts) → succeeded" in parent["text"]
    assert names(parent) == ["open"]
    assert names(reply) == ["open"]
    (act,) = await acts(firm)
    assert (act.actor, act.via, act.action, act.subject) == ("ann (alerts)", "chat", "replay", run["id"])


async def test_a_button_is_good_once_and_only_while_the_run_stands_where_it_stood(pressed: Any) -> None:
    firm = pressed
    message = await dead(firm)
    token = next(button["value"] for button in buttons(message) if button["action_id"] == "replay")
    replies = await asyncio.gather(*(press(firm, action="replay") for _ in range(4)))
    assert {reply["status"] for reply in replies} == {200}
    await firm.ended(2)
    assert len(await firm.runs()) == 2
    await until(lambda: len(answers(firm)) == 3)
    old = {"action_id": "replay", "text": {"type": "plain_text", "text": "Replay"}, "value": token}
    assert (await send(firm, old))["status"] == 200
    await until(lambda: len(answers(firm)) == 4)
    assert all(text.startswith("Nothing was done: ") for text in answers(firm))
    newest, first = await firm.runs()
    assert answers(firm)[-1] == (
        f"Nothing was done: run {first['id']} has moved on, replayed as run {newest['id']}: now rolled_back."
    )


async def send(firm: Any, button: dict[str, Any], stamp: str | None = None, **headers: str) -> dict[str, Any]:
    """A press as Slack signs it, with what a test changes of it."""
    slack = firm.sandbox.simulators["slack"]
    payload = slack.presses.payload(firm.messages[0], button, {})
    content = urlencode({"payload": jsonio.dumps(payload).decode()}).encode()
    named = signed(content, stamp or str(int(slack.clock().timestamp()))) | headers
    reply = await firm.client.post(slack.presses.request_url, content=content, headers=named)
    return {"status": reply.status_code, "body": reply.text}


async def test_what_slack_has_not_signed_does_nothing(pressed: Any) -> None:
    firm = pressed
    message = await dead(firm)
    button = buttons(message)[0]
    for wrong in ({"x-slack-signature": "v0=00"}, {"x-slack-request-timestamp": "soon"}):
        assert (await send(firm, button, **wrong))["status"] == 401
    assert (await press(firm, action="replay", age=301))["status"] == 401
    forged = button | {"value": button["value"][:-4] + "AAAA"}
    assert (await send(firm, forged))["status"] == 200
    await until(lambda: answers(firm))
    assert "was not made by this installation" in answers(firm)[0]
    assert len(await firm.runs()) == 1
    assert await acts(firm) == []


async def test_only_operators_may_press_where_they_are_named(pressed: Any) -> None:
    firm = pressed
    firm.routing["connections"]["alerts"]["operators"] = ["U0BOSS"]
    firm.write()
    await until(lambda: "is reloaded" in firm.server.log)
    await dead(firm)
    await press(firm, action="replay", user_id="U0ANN", user_name="ann")
    await until(lambda: answers(firm))
    assert "You (U0ANN) are not among the operators" in answers(firm)[0]
    assert [(act.action, act.actor) for act in await acts(firm)] == [("press refused", "ann (alerts)")]
    await press(firm, action="replay", user_id="U0BOSS", user_name="boss")
    await firm.ended(2)


async def test_a_run_that_waits_for_a_yes_is_approved_by_a_press(pressed: Any) -> None:
    firm = pressed
    firm.flow["supervise"] = {"first": 5}
    firm.write()
    await until(lambda: "is reloaded" in firm.server.log)
    await firm.win("Watched")
    (message,) = await firm.told()
    assert names(message) == ["approve", "reject", "open"]
    assert "confirm" in buttons(message)[1]
    await press(firm, action="approve", user_name="ann")
    (run,) = await firm.ended()
    assert run["status"] == "succeeded"
    await until(lambda: "approved by ann (alerts) → succeeded" in firm.messages[0]["text"])
    assert len(firm.messages) == 1


async def test_a_run_that_waits_for_a_yes_is_rejected_by_a_press(pressed: Any) -> None:
    firm = pressed
    firm.flow["supervise"] = {"first": 5}
    firm.write()
    await until(lambda: "is reloaded" in firm.server.log)
    await firm.win("Watched")
    await firm.told()
    await press(firm, action="reject", user_name="ann")
    (run,) = await firm.ended()
    assert run["status"] == "cancelled"
    await until(lambda: "rejected by ann (alerts) → cancelled" in firm.messages[0]["text"])
    assert names(firm.messages[0]) == ["open"]


async def test_runs_that_fail_alike_are_one_message(pressed: Any) -> None:
    firm = pressed
    await dead(firm, "Bad 0")
    for number in range(1, 4):
        await firm.win(f"Bad {number}", customer=f"Customer {number}", lines=BAD)
    await firm.ended(4)
    await until(lambda: "4 runs of deal-to-invoice alike" in firm.messages[0]["text"])
    assert len(firm.messages) == 1
    assert names(firm.messages[0]) == []
    assert f"{firm.server.url}/runs?flow=deal-to-invoice&amp;error=" in str(firm.messages[0]["blocks"])


async def test_without_a_signing_secret_presses_have_nowhere_to_go(firm: Any) -> None:
    await firm.server.start()
    for name, status, said in (
        ("alerts", 404, "give it bot_token, channel and signing_secret"),
        ("crm", 404, "no such connection takes presses"),
        ("nobody", 404, "no such connection takes presses"),
    ):
        reply = await firm.client.post(f"{firm.server.url}/interactions/{name}", content=b"payload={}")
        assert (reply.status_code, said in reply.text) == (status, True)
    await firm.win("Bad", lines=BAD)
    await firm.ended()
    (message,) = await firm.told()
    assert names(message) == []
