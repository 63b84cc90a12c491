"""Threads, changes and buttons, held against the SDK's contract and against what Slack refuses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import pytest
from crossdock_sdk import (
    Alert,
    AlertAction,
    NotFoundError,
    PayloadError,
    Press,
    RejectedError,
    TransientError,
    VerificationError,
    WebhookRequest,
    jsonio,
)
from crossdock_sdk.testing import REPLAY, hold_conversation, hold_gone, hold_presses
from crossdock_slack.blocks import render
from crossdock_slack.simulated_presses import SIGNING_SECRET, buttons, signed
from crossdock_slack.simulated_rules import RefusedError, check_message

NOW_STAMP = "1795435200"
HEADERS = ("x-slack-signature", "x-slack-request-timestamp")


@pytest.fixture
async def pressed(open_channel: Any) -> AsyncIterator[Any]:
    async with open_channel(signing_secret=SIGNING_SECRET) as opened:
        yield opened


def request(payload: Any, *, stamp: str = NOW_STAMP, secret: str = SIGNING_SECRET) -> WebhookRequest:
    content = payload if isinstance(payload, bytes) else urlencode({"payload": jsonio.dumps(payload).decode()}).encode()
    return WebhookRequest("POST", "/interactions/alerts", signed(content, stamp, secret), content)


async def test_it_holds_a_conversation(bot: Any, alert: Alert) -> None:
    await hold_conversation(bot.notifier, alert, lambda: bot.messages)
    parent, reply = bot.messages
    assert (parent["thread_ts"], reply["thread_ts"]) == (None, parent["ts"])
    assert parent["edits"] == 2


async def test_a_message_that_is_gone_is_told_as_gone(bot: Any, alert: Alert) -> None:
    posted = await bot.notifier.post(alert, None)
    await bot.simulator.trigger("message.delete", {"ts": posted["ts"]})
    await hold_gone(bot.notifier, alert, posted)
    with pytest.raises(NotFoundError, match="thread_not_found"):
        await bot.notifier.post(alert.model_copy(update={"id": "other"}), posted)


async def test_a_webhook_tells_and_does_not_converse(hook: Any, alert: Alert) -> None:
    assert not hook.notifier.converses
    assert not hook.notifier.takes_presses
    await hook.notifier.notify(alert)
    assert [button["action_id"] for button in buttons(hook.messages[0])] == ["open"]


async def test_the_whole_payload_goes_into_the_thread_that_it_belongs_to(bot: Any, alert: Alert) -> None:
    posted = await bot.notifier.post(alert, None)
    long = alert.model_copy(update={"id": "second", "payload": {"text": "x" * 9000}})
    await bot.notifier.post(long, posted)
    assert [file["thread_ts"] for file in bot.files] == [posted["ts"]]


async def test_presses_are_verified_before_they_are_read(pressed: Any, alert: Alert) -> None:
    await pressed.notifier.post(alert.model_copy(update={"actions": (REPLAY,)}), None)
    message = pressed.messages[0]
    payload = pressed.simulator.presses.payload(message, buttons(message)[0], {"user_id": "U7", "user_name": "jo"})
    hold_presses(pressed.notifier, request(payload), signed=HEADERS)
    (press,) = pressed.notifier.interactions(request(payload)).presses
    assert (press.user_id, press.user_name) == ("U7", "jo")
    assert press.answer_to["url"].startswith(f"{pressed.url}/actions/")
    for forged in (request(payload, secret="another"), request(payload, stamp="x" + NOW_STAMP[1:])):
        with pytest.raises(VerificationError):
            pressed.notifier.interactions(forged)


@pytest.mark.parametrize(("seconds", "taken"), [(-300, True), (-301, False), (300, True), (301, False)])
async def test_a_press_is_taken_within_five_minutes(pressed: Any, seconds: int, taken: bool) -> None:
    called = request({"type": "view_submission"}, stamp=str(int(NOW_STAMP) + seconds))
    if taken:
        assert pressed.notifier.interactions(called).presses == ()
    else:
        with pytest.raises(VerificationError, match="signed more than"):
            pressed.notifier.interactions(called)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"payload",
        b"payload={",
        b"payload=[]",
        b"\xff",
        {"type": "block_actions"},
        {"type": "block_actions", "user": {}},
    ],
)
async def test_what_slack_does_not_document_is_refused(pressed: Any, body: Any) -> None:
    with pytest.raises(PayloadError):
        pressed.notifier.interactions(request(body))


async def test_a_link_that_is_pressed_asks_for_nothing(pressed: Any) -> None:
    link = {"type": "button", "action_id": "open", "text": {}}
    payload = {"type": "block_actions", "user": {"id": "U7"}, "actions": [link]}
    assert pressed.notifier.interactions(request(payload)).presses == ()


@pytest.mark.parametrize("place", ["https://evil.example/actions/P1", "http://hooks.slack.com/actions/x", ""])
async def test_answers_go_to_slack_and_nowhere_else(pressed: Any, place: str) -> None:
    asked = len(pressed.simulator.requests)
    await pressed.notifier.answer(Press("t", "replay", "U7", "jo", answer_to={"url": place}), "no")
    assert len(pressed.simulator.requests) == asked


async def test_an_answer_is_for_one_person_and_good_five_times(pressed: Any, alert: Alert) -> None:
    await pressed.notifier.post(alert.model_copy(update={"actions": (REPLAY,)}), None)
    message = pressed.messages[0]
    payload = pressed.simulator.presses.payload(message, buttons(message)[0], {})
    press = Press("t", "replay", "U7", "jo", answer_to={"url": payload["response_url"]})
    for _ in range(5):
        await pressed.notifier.answer(press, "Nothing was done, <!channel>.")
    answers = pressed.simulator.state()["answers"]
    assert {(answer["text"], answer["alone"]) for answer in answers} == {
        ("Nothing was done, &lt;!channel&gt;.", "ephemeral")
    }
    with pytest.raises(RejectedError, match="used_url"):
        await pressed.notifier.answer(press, "Nothing was done.")


async def test_a_channel_takes_one_message_a_second(open_channel: Any, alert: Alert) -> None:
    async with open_channel() as channel:
        channel.simulator.paced = True
        await channel.notifier.post(alert, None)
        with pytest.raises(TransientError, match="ratelimited") as caught:
            await channel.notifier.post(alert.model_copy(update={"id": "second"}), None)
    assert caught.value.retry_after == 1


def test_buttons_stay_within_limits(alert: Alert) -> None:
    actions = tuple(AlertAction(name=f"a{n}", label="L" * 200, token="t" * 2000, style="danger") for n in range(9))
    message = render(alert.model_copy(update={"actions": actions, "story": ("<!channel>" * 99,) * 99}), attaches=True)
    check_message({"text": message.text, "blocks": message.blocks})
    assert "<!channel>" not in str(message.blocks)


@pytest.mark.parametrize(
    "spoilt",
    [
        {"text": {"type": "plain_text", "text": "x" * 76}},
        {"text": {"type": "mrkdwn", "text": "x"}},
        {"value": "x" * 2001},
        {"style": "green"},
        {"colour": "green"},
        {"confirm": {}},
    ],
)
def test_buttons_that_slack_refuses_are_refused(spoilt: dict[str, Any]) -> None:
    button = {"type": "button", "action_id": "a", "text": {"type": "plain_text", "text": "x"}, "value": "x"}
    check_message({"blocks": [{"type": "actions", "elements": [button]}]})
    for elements in ([button | spoilt], [button, button], []):
        with pytest.raises(RefusedError, match="invalid_blocks"):
            check_message({"blocks": [{"type": "actions", "elements": elements}]})
