"""The Slack simulator: the Web API's message and file methods, incoming webhooks and buttons, over real HTTP.

It refuses what Slack refuses, in Slack's form: HTTP 200 with `ok: false` by the Web API, 4xx with a word in plain
text by webhook.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

from crossdock_sdk.testing import Refusal, Simulator
from crossdock_sdk.testing.simulator import json_request, json_response
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from crossdock_slack.simulated_presses import SIGNING_SECRET, Presses
from crossdock_slack.simulated_rules import RefusedError, check_message

BOT_TOKEN = "xoxb-sandbox-slack-bot-token"  # noqa: S105  opens nothing but this simulator
HOOK = "T0SANDBOX/B0SANDBOX/sandboxwebhooksecret"
CHANNEL = "C0ALERTS"

Json = dict[str, Any]


class SlackSimulator(Simulator):
    """One workspace with one app. `webhook`: `settings` gives a webhook address instead of a bot token.

    `requests_per_minute` None: no limit; else per method, as Slack counts. `paced`: a channel takes one message a
    second. `subscribe` sets the app's interactivity request URL, to which a `press` is sent.
    """

    connector = "slack"

    def __init__(
        self,
        *,
        webhook: bool = False,
        requests_per_minute: int | None = None,
        paced: bool = False,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        self.presses = Presses(lambda: self.clock())
        super().__init__(**({"clock": clock} if clock else {}))
        self.webhook = webhook
        self.requests_per_minute = requests_per_minute
        self.paced = paced
        self.channels: dict[str, Json] = {}
        self.messages: list[Json] = []
        self.files: list[Json] = []
        self.scopes = {"chat:write", "files:write"}
        self._uploads: dict[str, Json] = {}
        self._revoked = False
        self._hook_removed = False
        self._seen: dict[str, deque[datetime]] = {}
        self._posted_at: dict[str, datetime] = {}
        self._next = 0

    def routes(self) -> Sequence[BaseRoute]:
        return (
            self._method("chat.postMessage", self._post_message),
            self._method("chat.update", self._update_message),
            self._method("files.getUploadURLExternal", self._get_upload_url),
            self._method("files.completeUploadExternal", self._complete_upload),
            self._method("auth.test", self._auth_test),
            Route("/api/{name}", self._unknown_method, methods=["GET", "POST"]),
            Route("/upload/v1/{upload}", self._upload, methods=["POST"]),
            Route("/services/{team}/{app}/{secret}", self._incoming, methods=["POST"]),
            Route("/actions/{press}", self.presses.answered, methods=["POST"]),
        )

    def state(self) -> dict[str, Any]:
        return {
            "channels": list(self.channels.values()),
            "messages": list(self.messages),
            "files": list(self.files),
            "answers": list(self.presses.answers),
        }

    def seed(self) -> None:
        self.add_channel("alerts", CHANNEL)

    def add_channel(self, name: str, channel: str, *, member: bool = True) -> None:
        """A public channel; `member`: the bot is in it."""
        self.channels[channel] = {"id": channel, "name": name, "archived": False, "member": member}

    def settings(self, url: str) -> dict[str, Any]:
        if self.webhook:
            return self.webhook_settings(url)
        self.presses.base_url = url
        keys = {"bot_token": BOT_TOKEN, "channel": CHANNEL}
        return {"connector": "slack", "base_url": f"{url}/api/", **keys}

    def pressed_settings(self, url: str) -> dict[str, Any]:
        """Like `settings`, with what a press is verified with."""
        return self.settings(url) | {"signing_secret": SIGNING_SECRET}

    def subscribe(self, url: str, settings: Mapping[str, Any]) -> None:
        self.presses.request_url = url

    def webhook_settings(self, url: str) -> dict[str, Any]:
        """Like `settings`, for a connection by incoming webhook."""
        return {"connector": "slack", "webhook_url": f"{url}/services/{HOOK}"}

    def refusals(self) -> Mapping[str, Refusal]:
        def said(status: int, error: str) -> Refusal:
            return Refusal(status, {"ok": False, "error": error}, path="/api/*")

        return {
            "error_200": said(200, "internal_error"),
            "unauthorized": said(200, "invalid_auth"),
            "throttled": said(429, "ratelimited"),
        }

    async def trigger(self, event: str, body: dict[str, Any]) -> dict[str, Any]:
        """`channel.archive` {id}, `bot.leave` {id}, `token.revoke` {}, `webhook.remove` {}, `message.delete` {ts}.

        `press` {action, ts, user_id, user_name, age}: somebody presses a button, of the newest message that has it
        unless `ts` names another; `age` is how many seconds ago it was signed. Returns `{status, body}`.
        """
        if event == "press":
            return await self.presses.press(self.messages, body)
        if event == "message.delete":
            self._message(CHANNEL, body.get("ts"), ValueError("message.delete: no such message"))["deleted"] = True
            return {}
        if event in {"channel.archive", "bot.leave"}:
            channel = self.channels.get(str(body.get("id", CHANNEL)))
            if channel is None:
                raise ValueError(f"{event}: no channel {body.get('id')!r}")
            channel.update({"archived": True} if event == "channel.archive" else {"member": False})
            return {"channel": channel}
        if event == "token.revoke":
            self._revoked = True
            return {}
        if event == "webhook.remove":
            self._hook_removed = True
            return {}
        return await super().trigger(event, body)

    def _method(self, name: str, handle: Callable[[Json, Request], Json]) -> Route:
        async def endpoint(request: Request) -> Response:
            arguments = await _arguments(request)
            try:
                self._authorise(request, arguments)
                self._throttle(name)
                return json_response({"ok": True} | handle(arguments, request))
            except RefusedError as refused:
                answer = {"ok": False, "error": refused.code} | refused.extra
                return json_response(answer, refused.status, refused.headers)

        return Route(f"/api/{name}", endpoint, methods=["GET", "POST"])

    def _authorise(self, request: Request, arguments: Json) -> None:
        header = request.headers.get("authorization", "").removeprefix("Bearer ")
        token = header or arguments.get("token")
        if not token:
            raise RefusedError("not_authed")
        if token != BOT_TOKEN:
            raise RefusedError("invalid_auth")
        if self._revoked:
            raise RefusedError("token_revoked")

    def _throttle(self, method: str) -> None:
        if self.requests_per_minute is None:
            return
        now, seen = self.clock(), self._seen.setdefault(method, deque())
        while seen and seen[0] <= now - timedelta(minutes=1):
            seen.popleft()
        if len(seen) >= self.requests_per_minute:
            wait = max(1, int((seen[0] + timedelta(minutes=1) - now).total_seconds()))
            raise RefusedError("ratelimited", status=429, headers={"retry-after": str(wait)})
        seen.append(now)

    def _require(self, scope: str) -> None:
        if scope not in self.scopes:
            raise RefusedError("missing_scope", extra={"needed": scope, "provided": ",".join(sorted(self.scopes))})

    def _channel(self, given: Any, *, by_name: bool) -> Json:
        for channel in self.channels.values():
            if given == channel["id"] or (by_name and given in {channel["name"], f"#{channel['name']}"}):
                break
        else:
            raise RefusedError("channel_not_found")
        if channel["archived"]:
            raise RefusedError("is_archived")
        if not channel["member"]:
            raise RefusedError("not_in_channel")
        return channel

    def _post_message(self, arguments: Json, _: Request) -> Json:
        self._require("chat:write")
        channel = self._channel(arguments.get("channel"), by_name=True)
        check_message(arguments)
        if arguments.get("thread_ts"):
            self._message(channel["id"], arguments["thread_ts"], RefusedError("thread_not_found"))
        self._pace(channel["id"])
        message = self._keep(channel["id"], arguments, "bot")
        return {"channel": channel["id"], "ts": message["ts"], "message": {"text": message["text"]}}

    def _update_message(self, arguments: Json, _: Request) -> Json:
        self._require("chat:write")
        channel = self._channel(arguments.get("channel"), by_name=False)
        message = self._message(channel["id"], arguments.get("ts"), RefusedError("message_not_found"))
        if message["via"] != "bot":
            raise RefusedError("cant_update_message")
        check_message(arguments)
        message |= {"text": arguments.get("text", ""), "blocks": arguments.get("blocks", [])}
        message["edits"] += 1
        return {"channel": channel["id"], "ts": message["ts"], "text": message["text"]}

    def _message(self, channel: str, ts: Any, otherwise: Exception) -> Json:
        for message in self.messages:
            if (message["channel"], message["ts"]) == (channel, ts) and not message["deleted"]:
                return message
        raise otherwise

    def _pace(self, channel: str) -> None:
        now, last = self.clock(), self._posted_at.get(channel)
        if self.paced and last is not None and now - last < timedelta(seconds=1):
            raise RefusedError("ratelimited", status=429, headers={"retry-after": "1"})
        self._posted_at[channel] = now

    def _keep(self, channel: str, arguments: Json, via: str) -> Json:
        ts = f"{int(self.clock().timestamp())}.{self._number():06d}"
        message: Json = {"channel": channel, "ts": ts, "via": via, "text": arguments.get("text", "")}
        message |= {"blocks": arguments.get("blocks", []), "thread_ts": arguments.get("thread_ts")}
        message |= {"edits": 0, "deleted": False}
        self.messages.append(message)
        return message

    def _get_upload_url(self, arguments: Json, request: Request) -> Json:
        self._require("files:write")
        length = str(arguments.get("length", ""))
        if not arguments.get("filename") or not length.isdigit() or length == "0":
            raise RefusedError("invalid_arguments")
        upload = f"F{self._number():09d}"
        self._uploads[upload] = {"id": upload, "name": arguments["filename"], "length": int(length), "content": None}
        return {"file_id": upload, "upload_url": f"{str(request.base_url).rstrip('/')}/upload/v1/{upload}"}

    async def _upload(self, request: Request) -> Response:
        upload = self._uploads.get(request.path_params["upload"])
        content = await request.body()
        if upload is None:
            return PlainTextResponse("invalid upload url", 404)
        if len(content) != upload["length"]:
            return PlainTextResponse("length does not match", 400)
        upload["content"] = content.decode("utf-8", "replace")
        return PlainTextResponse(f"OK - {len(content)}")

    def _complete_upload(self, arguments: Json, _: Request) -> Json:
        self._require("files:write")
        asked = json.loads(arguments.get("files") or "[]")
        channel = self._channel(arguments.get("channel_id"), by_name=False)["id"] if "channel_id" in arguments else None
        done = []
        for each in asked:
            upload = self._uploads.get(each.get("id"))
            if upload is None or upload["content"] is None:
                raise RefusedError("file_not_found")
            done.append({"id": upload["id"], "title": each.get("title", upload["name"])})
            kept = {"name": upload["name"], "content": upload["content"], "channel": channel}
            self.files.append(kept | done[-1] | {"thread_ts": arguments.get("thread_ts")})
        if not done:
            raise RefusedError("invalid_arguments")
        return {"files": done}

    def _auth_test(self, _: Json, __: Request) -> Json:
        return {"team": "Sandbox", "team_id": "T0SANDBOX", "user": "crossdock", "user_id": "U0SANDBOX"}

    async def _unknown_method(self, request: Request) -> Response:
        return json_response({"ok": False, "error": "unknown_method", "req_method": request.path_params["name"]})

    async def _incoming(self, request: Request) -> Response:
        given = "/".join(request.path_params[name] for name in ("team", "app", "secret"))
        try:
            body = await json_request(request)
        except ValueError:
            body = None
        try:
            self._check_incoming(given, body)
        except RefusedError as refused:
            return PlainTextResponse(refused.code, refused.status, dict(refused.headers))
        self._keep(CHANNEL, body, "webhook")
        return PlainTextResponse("ok")

    def _check_incoming(self, given: str, body: Any) -> None:
        if given != HOOK or self._hook_removed:
            raise RefusedError("no_service", status=404)
        self._throttle("incoming webhook")
        if not isinstance(body, dict):
            raise RefusedError("invalid_payload", status=400)
        channel = self.channels.get(CHANNEL)
        if channel is None:
            raise RefusedError("channel_not_found", status=404)
        if channel["archived"]:
            raise RefusedError("channel_is_archived", status=410)
        try:
            check_message(body)
        except RefusedError as refused:
            raise RefusedError(refused.code, status=400) from None

    def _number(self) -> int:
        self._next += 1
        return self._next


async def _arguments(request: Request) -> Json:
    """A method's arguments, from the query, a form or a JSON body, as Slack takes them."""
    arguments: Json = dict(request.query_params)
    raw = await request.body()
    if not raw:
        return arguments
    if "json" not in request.headers.get("content-type", ""):
        return arguments | dict(parse_qsl(raw.decode()))
    try:
        body = json.loads(raw)
    except ValueError:
        body = None
    return arguments | (body if isinstance(body, dict) else {})
