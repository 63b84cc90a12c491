from __future__ import annotations

from typing import Any

import httpx
import pytest
from crossdock_slack.simulator import BOT_TOKEN, HOOK

AUTH = {"authorization": f"Bearer {BOT_TOKEN}"}


async def call(channel: Any, method: str, headers: dict[str, str] | None = None, **kwargs: Any) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.post(f"{channel.url}{method}", headers=AUTH if headers is None else headers, **kwargs)


async def test_errors_of_the_web_api_come_with_http_200(bot: Any) -> None:
    for headers, body, error in (
        ({}, {}, "not_authed"),
        ({"authorization": "Bearer wrong"}, {}, "invalid_auth"),
        (AUTH, {"text": "x"}, "channel_not_found"),
        (AUTH, {"channel": "C0ALERTS"}, "no_text"),
        (AUTH, {"channel": "C0ALERTS", "blocks": [{"type": "nope"}]}, "invalid_blocks"),
    ):
        reply = await call(bot, "/api/chat.postMessage", headers, json=body)
        assert reply.status_code == 200
        assert (reply.json()["ok"], reply.json()["error"]) == (False, error)
    assert (await call(bot, "/api/chat.nothing", json={})).json()["error"] == "unknown_method"
    assert bot.messages == []


async def test_forms_and_json_say_the_same(bot: Any) -> None:
    await call(bot, "/api/chat.postMessage", json={"channel": "C0ALERTS", "text": "one"})
    await call(bot, "/api/chat.postMessage", data={"channel": "C0ALERTS", "text": "two"})
    assert [m["text"] for m in bot.messages] == ["one", "two"]
    assert bot.messages[0]["ts"] != bot.messages[1]["ts"]
    assert (await call(bot, "/api/auth.test")).json()["ok"] is True
    assert (await call(bot, "/api/chat.postMessage", AUTH | {"content-type": "application/json"}, content="{")).json()[
        "error"
    ] == "channel_not_found"


async def test_a_file_needs_all_three_steps(bot: Any) -> None:
    asked = await call(bot, "/api/files.getUploadURLExternal", data={"filename": "a.txt", "length": "3"})
    upload = asked.json()
    done = {"files": f'[{{"id": "{upload["file_id"]}"}}]', "channel_id": "C0ALERTS"}
    assert (await call(bot, "/api/files.completeUploadExternal", data=done)).json()["error"] == "file_not_found"
    path = upload["upload_url"].removeprefix(bot.url)
    assert (await call(bot, path, {}, content=b"four")).status_code == 400
    assert (await call(bot, "/upload/v1/F0", {}, content=b"abc")).status_code == 404
    assert (await call(bot, path, {}, content=b"abc")).text == "OK - 3"
    by_name = await call(bot, "/api/files.completeUploadExternal", data=done | {"channel_id": "alerts"})
    assert by_name.json()["error"] == "channel_not_found"
    assert (await call(bot, "/api/files.completeUploadExternal", data=done)).json()["ok"] is True
    assert [(f["name"], f["content"], f["channel"]) for f in bot.files] == [("a.txt", "abc", "C0ALERTS")]
    nothing = await call(bot, "/api/files.completeUploadExternal", data={"files": "[]"})
    assert nothing.json()["error"] == "invalid_arguments"
    empty = await call(bot, "/api/files.getUploadURLExternal", data={"filename": "a.txt", "length": "0"})
    assert empty.json()["error"] == "invalid_arguments"


async def test_webhooks_answer_in_plain_text(hook: Any) -> None:
    path = f"/services/{HOOK}"
    for url, content, status, text in (
        (path, b'{"text": "x"}', 200, "ok"),
        (path, b"{", 400, "invalid_payload"),
        (path, b"[]", 400, "invalid_payload"),
        (path, b"{}", 400, "no_text"),
        (path, b'{"text": "x", "blocks": [{"type": "nope"}]}', 400, "invalid_blocks"),
        ("/services/T/B/x", b'{"text": "x"}', 404, "no_service"),
    ):
        reply = await call(hook, url, {}, content=content)
        assert (reply.status_code, reply.text) == (status, text)
    assert len(hook.messages) == 1


async def test_triggers_that_make_no_sense_are_refused(bot: Any) -> None:
    with pytest.raises(LookupError, match=r"slack\.explode"):
        await bot.simulator.trigger("slack.explode", {})
    with pytest.raises(ValueError, match="no channel 'C9'"):
        await bot.simulator.trigger("channel.archive", {"id": "C9"})


async def test_messages_need_their_scope(bot: Any) -> None:
    bot.simulator.scopes.remove("chat:write")
    reply = await call(bot, "/api/chat.postMessage", json={"channel": "C0ALERTS", "text": "x"})
    assert (reply.json()["error"], reply.json()["needed"]) == ("missing_scope", "chat:write")
