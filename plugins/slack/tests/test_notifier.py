from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
from crossdock_sdk import (
    Alert,
    AmbiguousError,
    AuthError,
    ConfigError,
    ConnectorError,
    Context,
    RejectedError,
    TransientError,
    jsonio,
)
from crossdock_sdk.testing import serve
from crossdock_slack import SlackConfig, SlackConnection, SlackNotifier
from crossdock_slack.simulator import BOT_TOKEN, HOOK, SlackSimulator
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route


@pytest.fixture
def long_alert(alert: Alert) -> Alert:
    return alert.model_copy(update={"payload": {"notes": ["ünïcode 😀"] * 1000}})


async def test_an_alert_arrives_in_the_channel(channel: Any, alert: Alert) -> None:
    await channel.notifier.notify(alert)
    [message] = channel.messages
    assert message["channel"] == "C0ALERTS"
    assert message["via"] == ("bot" if channel.connection.attaches else "webhook")
    assert message["text"].startswith("Acme Ltd: invoice was refused")
    assert message["blocks"][0]["type"] == "header"


async def test_a_bot_finds_its_channel_by_name_too(open_channel: Any, alert: Alert) -> None:
    async with open_channel(channel="#alerts") as channel:
        await channel.notifier.notify(alert.model_copy(update={"payload": "x" * 9000}))
        assert channel.messages[0]["channel"] == channel.files[0]["channel"] == "C0ALERTS"


async def test_a_bot_attaches_a_long_payload_in_the_thread(bot: Any, long_alert: Alert) -> None:
    await bot.notifier.notify(long_alert)
    [message], [file] = bot.messages, bot.files
    assert file["name"] == "payload-run-7.json"
    assert file["thread_ts"] == message["ts"]
    assert jsonio.loads(file["content"]) == long_alert.payload


async def test_a_webhook_cuts_a_long_payload_and_says_so(hook: Any, long_alert: Alert) -> None:
    await hook.notifier.notify(long_alert)
    assert hook.files == []
    assert "behind the links above" in str(hook.messages[0]["blocks"])


async def test_the_same_alert_is_posted_once(channel: Any, alert: Alert) -> None:
    await channel.notifier.notify(alert)
    await channel.notifier.notify(alert)
    await channel.notifier.notify(alert.model_copy(update={"id": "alert-2"}))
    assert len(channel.messages) == 2


@pytest.mark.parametrize(
    ("kind", "media", "error"),
    [
        ("status", "text/plain", TransientError),
        ("status", "application/json", AmbiguousError),
        ("drop_before", "", AmbiguousError),
    ],
)
async def test_a_file_that_failed_is_tried_again_without_a_second_message(
    bot: Any, long_alert: Alert, kind: str, media: str, error: type[ConnectorError]
) -> None:
    bot.fault(kind, "/upload/v1/*", status=503, body="busy", headers={"content-type": media})
    with pytest.raises(error, match="file upload"):
        await bot.notifier.notify(long_alert)
    await bot.notifier.notify(long_alert)
    await bot.notifier.notify(long_alert)
    assert (len(bot.messages), len(bot.files)) == (1, 1)


async def test_a_bot_without_the_file_scope_still_tells_people(
    bot: Any, long_alert: Alert, caplog: pytest.LogCaptureFixture
) -> None:
    bot.simulator.scopes.remove("files:write")
    await bot.notifier.notify(long_alert)
    assert len(bot.messages) == 1
    assert "missing_scope (needed: files:write)" in caplog.text


async def test_a_lost_reply_is_ambiguous_and_slack_sdk_does_not_post_again(channel: Any, alert: Alert) -> None:
    channel.fault("drop_after")
    with pytest.raises(AmbiguousError):
        await channel.notifier.notify(alert)
    assert len(channel.messages) == 1
    assert len(channel.simulator.requests) == 1


@pytest.mark.parametrize("kind", ["truncate", "garbage", "drop_before"])
async def test_a_reply_that_is_not_slacks_is_never_success(channel: Any, alert: Alert, kind: str) -> None:
    channel.fault(kind)
    with pytest.raises(AmbiguousError):
        await channel.notifier.notify(alert)
    assert len(channel.simulator.requests) == 1


@pytest.mark.parametrize("status", [500, 503])
async def test_a_server_error_is_ambiguous(channel: Any, alert: Alert, status: int) -> None:
    channel.fault("status", status=status, headers={"Retry-After": "7"}, body="upstream")
    with pytest.raises(AmbiguousError) as caught:
        await channel.notifier.notify(alert)
    assert caught.value.status == status
    assert caught.value.retry_after == 7


async def test_too_many_requests_is_transient_and_says_when(open_channel: Any, alert: Alert) -> None:
    for webhook in (False, True):
        async with open_channel(webhook=webhook, requests_per_minute=1) as channel:
            await channel.notifier.notify(alert)
            with pytest.raises(TransientError) as caught:
                await channel.notifier.notify(alert.model_copy(update={"id": "alert-2"}))
            assert caught.value.retry_after == 60
            assert len(channel.messages) == 1


async def test_no_connection_is_transient(alert: Alert) -> None:
    async with serve(SlackSimulator()) as url:
        pass
    for settings in (
        {"webhook_url": f"{url}/services/{HOOK}"},
        {"base_url": f"{url}/api", "bot_token": BOT_TOKEN, "channel": "C0ALERTS"},
    ):
        connection = SlackConnection(SlackConfig.model_validate(settings), Context(name="alerts"))
        with pytest.raises(TransientError, match="not sent"):
            await SlackNotifier(connection).notify(alert)
        await connection.close()


@pytest.mark.parametrize(
    ("event", "error", "said"),
    [
        ("channel.archive", ConfigError, "is_archived; name another channel"),
        ("bot.leave", ConfigError, "not_in_channel; invite the bot"),
        ("token.revoke", AuthError, "token_revoked"),
    ],
)
async def test_what_slack_says_to_a_bot(
    bot: Any, alert: Alert, event: str, error: type[ConnectorError], said: str
) -> None:
    await bot.simulator.trigger(event, {})
    with pytest.raises(error, match=said):
        await bot.notifier.notify(alert)
    assert bot.messages == []


@pytest.mark.parametrize(
    ("event", "error", "said"),
    [
        ("channel.archive", ConfigError, "channel_is_archived; name another"),
        ("webhook.remove", AuthError, "no_service; make a new incoming webhook"),
    ],
)
async def test_what_slack_says_to_a_webhook(
    hook: Any, alert: Alert, event: str, error: type[ConnectorError], said: str
) -> None:
    await hook.simulator.trigger(event, {})
    with pytest.raises(error, match=said):
        await hook.notifier.notify(alert)
    assert hook.messages == []


async def test_an_unknown_channel_or_token_is_told_apart(open_channel: Any, alert: Alert) -> None:
    async with open_channel(channel="C0NOWHERE") as channel:
        with pytest.raises(ConfigError, match="channel_not_found"):
            await channel.notifier.notify(alert)
    async with open_channel(bot_token="xoxb-wrong-token") as channel:
        with pytest.raises(AuthError, match="invalid_auth"):
            await channel.notifier.notify(alert)


class Fake:
    """Slack with as little in its replies as its documentation lets it have."""

    def __init__(self) -> None:
        self.answer: Response = JSONResponse({"ok": True, "channel": "C1", "ts": "1.1"})
        self.bodies: list[Any] = []

    async def __call__(self, request: Request) -> Response:
        self.bodies.append(jsonio.loads(await request.body()))
        return self.answer


@contextlib.asynccontextmanager
async def fake(webhook: bool) -> AsyncIterator[tuple[Fake, SlackNotifier]]:
    slack = Fake()
    routes = [Route(path, slack.__call__, methods=["POST"]) for path in ("/api/chat.postMessage", "/services/T/B/x")]
    async with serve(Starlette(routes=routes)) as url:
        bot = {"base_url": f"{url}/api/", "bot_token": BOT_TOKEN, "channel": "C1"}
        settings = {"webhook_url": f"{url}/services/T/B/x"} if webhook else bot
        connection = SlackConnection(SlackConfig.model_validate(settings), Context(name="alerts"))
        try:
            yield slack, SlackNotifier(connection)
        finally:
            await connection.close()


async def test_documented_replies_are_enough(alert: Alert) -> None:
    async with fake(webhook=False) as (slack, notifier):
        await notifier.notify(alert)
        assert slack.bodies[0]["channel"] == "C1"
        assert slack.bodies[0]["unfurl_links"] is False
    async with fake(webhook=True) as (slack, notifier):
        slack.answer = PlainTextResponse("ok")
        await notifier.notify(alert)
        assert set(slack.bodies[0]) == {"text", "blocks", "unfurl_links", "unfurl_media"}


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (JSONResponse({"ok": True}), AmbiguousError),
        (JSONResponse({"ok": False}), AmbiguousError),
        (JSONResponse([]), AmbiguousError),
        (JSONResponse({"ok": False, "error": "internal_error"}), AmbiguousError),
        (JSONResponse({"ok": False, "error": "service_unavailable"}), TransientError),
        (JSONResponse({"ok": False, "error": "account_inactive"}), AuthError),
        (JSONResponse({"ok": False, "error": "missing_scope", "needed": "chat:write"}), ConfigError),
        (JSONResponse({"ok": False, "error": "brand_new_code"}), RejectedError),
        (PlainTextResponse("nothing here"), AmbiguousError),
        (PlainTextResponse("not found", 404), RejectedError),
        (PlainTextResponse("slow down", 429, {"Retry-After": "3"}), TransientError),
        (Response(b"\xff\xfe", media_type="application/json"), AmbiguousError),
        (RedirectResponse("https://127.0.0.1:1/", 308), TransientError),
    ],
)
async def test_each_answer_to_a_bot_has_its_error(alert: Alert, answer: Response, error: type[ConnectorError]) -> None:
    async with fake(webhook=False) as (slack, notifier):
        slack.answer = answer
        with pytest.raises(error) as caught:
            await notifier.notify(alert)
        assert type(caught.value) is error
        assert len(slack.bodies) == 1


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (PlainTextResponse(""), AmbiguousError),
        (PlainTextResponse("<html>ok</html>"), AmbiguousError),
        (PlainTextResponse("invalid_payload", 400), RejectedError),
        (PlainTextResponse("invalid_token", 403), AuthError),
        (PlainTextResponse("action_prohibited", 403), ConfigError),
        (PlainTextResponse("channel_not_found", 404), ConfigError),
        (PlainTextResponse("<html>gone</html>", 404), RejectedError),
        (PlainTextResponse("", 429, {"Retry-After": "3"}), TransientError),
        (PlainTextResponse("rollup_error", 500), AmbiguousError),
    ],
)
async def test_each_answer_to_a_webhook_has_its_error(
    alert: Alert, answer: Response, error: type[ConnectorError]
) -> None:
    async with fake(webhook=True) as (slack, notifier):
        slack.answer = answer
        with pytest.raises(error) as caught:
            await notifier.notify(alert)
        assert type(caught.value) is error
        assert "<html>" not in caught.value.message


@pytest.mark.parametrize("kind", ["status", "drop_after", "garbage"])
async def test_secrets_are_in_no_error_repr_or_log(
    channel: Any, alert: Alert, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    channel.fault(kind, status=403, body="nope")
    with pytest.raises(ConnectorError) as caught:
        await channel.notifier.notify(alert)
    logged = [record.getMessage() for record in caplog.records if not record.name.startswith("uvicorn")]
    seen = f"{caught.value!r} {caught.value.__cause__} {caught.value.__context__} {logged}"
    seen += f"{channel.config!r} {vars(channel.connection)!r}"
    for secret in (BOT_TOKEN, HOOK, "sandboxwebhooksecret"):
        assert secret not in seen
    assert "[redacted]" in channel.context.redactor.text(
        (channel.config.bot_token or channel.config.webhook_url).get_secret_value()
    )


async def test_a_proxy_in_the_environment_is_not_used(
    channel: Any, alert: Alert, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    await channel.notifier.notify(alert)
    assert len(channel.messages) == 1


async def test_a_closed_connection_says_so(channel: Any, alert: Alert) -> None:
    await channel.connection.close()
    with pytest.raises(TransientError, match="is closed"):
        await channel.notifier.notify(alert)


async def test_the_memory_of_posted_alerts_is_bounded(channel: Any) -> None:
    for number in range(1100):
        channel.notifier._remember(str(number), None)
    assert len(channel.notifier._posted) == 1000


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "give webhook_url, or bot_token and channel"),
        ({"bot_token": "xoxb-a-secret"}, "give webhook_url, or bot_token and channel"),
        ({"channel": "C1"}, "give webhook_url, or bot_token and channel"),
        ({"webhook_url": "https://hooks.example.com/services/a-secret", "channel": "C1"}, "not both"),
        ({"webhook_url": "https://hooks.example.com/services/a-secret", "bot_token": "xoxb-1"}, "not both"),
        ({"webhook_url": "hooks.example.com/a-secret"}, "webhook_url must look like"),
        ({"webhook_url": "https://a-secret"}, "webhook_url must look like"),
        ({"webhook_url": "https://[a-secret"}, "webhook_url|Invalid"),
    ],
)
def test_exactly_one_way_out_and_no_secret_in_the_error(settings: dict[str, str], said: str) -> None:
    with pytest.raises(ValidationError, match=said) as caught:
        SlackConfig.model_validate(settings)
    assert "a-secret" not in str(caught.value)


def test_the_plugin_registers_its_notifier_and_simulator() -> None:
    import crossdock_slack

    assert crossdock_slack.crossdock_notifiers() == [SlackNotifier]
    assert crossdock_slack.crossdock_simulators() == [SlackSimulator]
    for webhook in (False, True):
        settings = SlackSimulator(webhook=webhook).settings("http://127.0.0.1:9000/slack")
        assert settings.pop("connector") == "slack"
        assert SlackConfig.model_validate(settings).bot_token is None or not webhook
