"""The Asana simulator: `/api/1.0`, its webhooks and the OAuth token endpoint, over real HTTP.

It takes a personal access token or an OAuth token, and shows `external` to the latter only. Messages are
Asana's own where public reports quote them. Two tasks with one external gid are let through: whether Asana
refuses the second is not documented, and a simulator that refused it would hide a duplicate.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode

from crossdock_sdk import RejectedError
from crossdock_sdk.testing import Refusal, Simulator, Standing, key_after
from crossdock_sdk.testing.simulator import json_request, json_response
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from crossdock_asana.marker import MARK
from crossdock_asana.simulated_account import Account, Json, RefusedError
from crossdock_asana.simulated_feed import Feed, happenings
from crossdock_asana.simulated_people import People
from crossdock_asana.simulated_view import compact, show
from crossdock_asana.simulated_webhooks import Webhooks

ACCESS_TOKEN = "sandbox-asana-personal-access-token"  # noqa: S105  opens nothing but this simulator
CLIENT_ID = "1200000000000001"
CLIENT_SECRET = "sandbox-asana-client-secret"  # noqa: S105  opens nothing but this simulator
REFRESH_TOKEN = "sandbox-asana-refresh-token"  # noqa: S105  opens nothing but this simulator
PROJECT = "1201"

_HELP = "For more information on API status codes and how to handle them, read the docs on errors."
_TOO_MANY = "You've made too many requests and hit a rate limit. Please retry after the given amount of time."
_MOST_UNPAGED = 1000
_OFFSET_LIVES = timedelta(minutes=15)
_TOKEN_LIVES = timedelta(hours=1)


class AsanaSimulator(Simulator):
    """One Asana workspace. `requests_per_minute` None: no limit. `oauth`: `settings` gives OAuth keys.

    `delays` are the seconds before each redelivery of a webhook. `webhooks.held = []` holds deliveries back until
    `webhooks.release(seed)` sends them shuffled, some of them twice.
    """

    connector = "asana"
    lags = True

    def __init__(
        self,
        *,
        oauth: bool = False,
        requests_per_minute: int | None = None,
        delays: Sequence[float] = (10, 60, 600),
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        super().__init__(**({"clock": clock} if clock else {}))
        self.account = Account(lambda: self.clock(), self._happened)
        self.feed = Feed(lambda: self.clock())
        self.webhooks = Webhooks(self, self.account, delays)
        self._people = People(self.account)
        self.oauth = oauth
        self.requests_per_minute = requests_per_minute
        self._seen: deque[datetime] = deque()
        self._oauth_tokens: dict[str, datetime] = {}
        self._offsets: dict[str, tuple[str, int, datetime]] = {}

    def routes(self) -> Sequence[BaseRoute]:
        api = "/api/1.0"
        return (
            Route("/-/oauth_token", self._oauth_token, methods=["POST"]),
            self._route(f"{api}/tasks", "POST", self._create_task),
            self._route(f"{api}/tasks", "GET", self._list_tasks),
            self._route(f"{api}/tasks/{{ref}}", "GET", self._get_task),
            self._route(f"{api}/tasks/{{ref}}", "PUT", self._update_task),
            self._route(f"{api}/tasks/{{ref}}", "DELETE", self._delete_task),
            self._route(f"{api}/projects/{{ref}}", "GET", self._get_project),
            self._route(f"{api}/projects/{{ref}}/tasks", "GET", self._list_project_tasks),
            self._route(f"{api}/projects/{{ref}}/sections", "GET", self._list_sections),
            self._route(f"{api}/projects/{{ref}}/custom_field_settings", "GET", self._list_settings),
            self._route(f"{api}/users/{{ref}}", "GET", self._get_user),
            self._route(f"{api}/workspaces", "GET", self._list_workspaces),
            self._route(f"{api}/events", "GET", self._list_events),
            self._route(f"{api}/webhooks", "GET", self._list_webhooks),
            self._route(f"{api}/webhooks", "POST", self._create_webhook),
            self._route(f"{api}/webhooks/{{ref}}", "GET", self._get_webhook),
            self._route(f"{api}/webhooks/{{ref}}", "DELETE", self._delete_webhook),
            Route("/{path:path}", self._no_route, methods=["GET", "POST", "PUT", "DELETE", "PATCH"]),
        )

    def state(self) -> dict[str, Any]:
        account = self.account
        return {
            "workspace": account.workspace,
            "users": account.users,
            "projects": list(account.projects.values()),
            "custom_fields": list(account.fields.values()),
            "tasks": [account.summary(task) for task in account.tasks.values()],
            "trash": [account.summary(task) for task in account.trash],
            "webhooks": self.webhooks.rows(),
        }

    def standing(self) -> dict[str, list[Standing]]:
        tasks = self.account.tasks.items()
        return {"task.create": [Standing(gid, {"name": task["name"]}, key=_key_of(task)) for gid, task in tasks]}

    def seed(self) -> None:
        self.account.add_user("Sandbox Owner", "owner@example.com")
        project = self.account.add_project("Onboarding", ("To do", "Done"), gid=PROJECT)
        number = self.account.add_field("Invoice number", "text")
        status = self.account.add_field("Status", "enum", ("Invoiced", "Paid"))
        project["fields"] += [number["gid"], status["gid"]]

    def settings(self, url: str) -> dict[str, Any]:
        if self.oauth:
            return self.oauth_settings(url)
        return self._addressed(url) | {"access_token": ACCESS_TOKEN}

    def oauth_settings(self, url: str) -> dict[str, Any]:
        """Like `settings`, for a connection that authorises by OAuth."""
        secrets = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "refresh_token": REFRESH_TOKEN}
        return self._addressed(url) | {"token_url": f"{url}/-/oauth_token", **secrets}

    def _addressed(self, url: str) -> dict[str, Any]:
        return {"connector": "asana", "base_url": f"{url}/api/1.0", "projects": [PROJECT]}

    def refusals(self) -> Mapping[str, Refusal]:
        def said(status: int, message: str) -> Refusal:
            return Refusal(status, {"errors": [{"message": message, "help": _HELP}]}, path="/api/*")

        return {
            "error_200": said(200, "Server Error"),
            "unauthorized": said(401, "Not Authorized"),
            "throttled": said(429, _TOO_MANY),
            "conflict": said(409, "Conflict"),
        }

    async def trigger(self, event: str, body: dict[str, Any]) -> dict[str, Any]:
        """`task.create` {project, name, …}; `task.complete`, `task.reopen`, `task.delete` {id}; `task.edit` {id, name?,
        notes?, assignee?, due_on?, due_at?, custom?}; `project.create` {name, gid?, sections?}; `custom_field.create`
        {name, type, options?, precision?, project?}; `token.expire`, `sync.expire`, `webhook.heartbeat` {}."""
        machinery: dict[str, Callable[[], None]] = {
            "token.expire": self._expire_tokens,
            "sync.expire": self.feed.expire,
            "webhook.heartbeat": self.webhooks.heartbeat,
        }
        if event in machinery:
            machinery[event]()
            return {}
        if event not in self._people.acts:
            return await super().trigger(event, body)
        try:
            return self._people.acts[event](body)
        except (KeyError, TypeError, RefusedError, RejectedError) as error:
            raise ValueError(f"{event}: {error}") from None

    def _happened(self, action: str, before: Json, after: Json) -> None:
        told = list(happenings(self.account, self.clock(), action, before, after))
        for happening in told:
            self.feed.add(happening)
        self.webhooks.tell(told)

    def _expire_tokens(self) -> None:
        self._oauth_tokens.clear()

    async def _oauth_token(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode()))
        given = tuple(form.get(name) for name in ("grant_type", "client_id", "client_secret", "refresh_token"))
        if given[0] != "refresh_token":
            return json_response({"error": "unsupported_grant_type"}, 400)
        if given[1:3] != (CLIENT_ID, CLIENT_SECRET):
            return json_response({"error": "invalid_client", "error_description": "The client is unknown."}, 401)
        if given[3] != REFRESH_TOKEN:
            return json_response({"error": "invalid_grant", "error_description": "The token is not valid."}, 400)
        token = f"sandbox-asana-oauth-{self.account.new_gid()}"
        self._oauth_tokens[token] = self.clock() + _TOKEN_LIVES
        seconds = int(_TOKEN_LIVES.total_seconds())
        return json_response({"access_token": token, "token_type": "bearer", "expires_in": seconds})

    def _route(self, path: str, method: str, handle: Callable[[Request, str | None], Awaitable[Response]]) -> Route:
        async def endpoint(request: Request) -> Response:
            try:
                app = self._authorised(request)
                self._throttle()
                return await handle(request, app)
            except RefusedError as refused:
                return _refusal(refused)

        return Route(path, endpoint, methods=[method])

    def _authorised(self, request: Request) -> str | None:
        """The OAuth client that calls, None for the personal access token."""
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token == ACCESS_TOKEN:
            return None
        if self._oauth_tokens.get(token, self.clock()) > self.clock():
            return CLIENT_ID
        raise RefusedError(401, "Not Authorized")

    def _throttle(self) -> None:
        if self.requests_per_minute is None:
            return
        now = self.clock()
        while self._seen and self._seen[0] <= now - timedelta(minutes=1):
            self._seen.popleft()
        over = len(self._seen) >= self.requests_per_minute
        self._seen.append(now)
        if over:
            wait = self._seen[-self.requests_per_minute] + timedelta(minutes=1) - now
            raise RefusedError(429, _TOO_MANY, {"retry-after": str(max(1, int(wait.total_seconds())))})

    async def _create_task(self, request: Request, app: str | None) -> Response:
        task = self.account.create_task(await _data(request), app)
        self.made(task["gid"])
        shown = show(self.account.task_json(task, app), request.query_params.get("opt_fields"))
        return json_response({"data": shown}, 201, {"location": f"/api/1.0/tasks/{task['gid']}"})

    async def _get_task(self, request: Request, app: str | None) -> Response:
        task = self.account.find_task(request.path_params["ref"], app)
        return json_response({"data": show(self.account.task_json(task, app), request.query_params.get("opt_fields"))})

    async def _update_task(self, request: Request, app: str | None) -> Response:
        task = self.account.find_task(request.path_params["ref"], app)
        self.account.update_task(task, await _data(request), app)
        return json_response({"data": show(self.account.task_json(task, app), request.query_params.get("opt_fields"))})

    async def _delete_task(self, request: Request, app: str | None) -> Response:
        self.account.delete_task(self.account.find_task(request.path_params["ref"], app))
        return json_response({"data": {}})

    async def _list_tasks(self, request: Request, app: str | None) -> Response:
        given = {name for name in ("project", "assignee", "workspace") if name in request.query_params}
        if given not in ({"project"}, {"assignee", "workspace"}):
            wanted = "project, tag, section, user task list, or assignee + workspace"
            raise RefusedError(400, f"Must specify exactly one of {wanted}")
        tasks = list(self.account.tasks.values())
        if given == {"project"}:
            project = self.account.find_project(request.query_params["project"])
            tasks = [t for t in tasks if project["gid"] in dict(t["places"])]
        else:
            user = self.account.find_user(request.query_params["assignee"])
            tasks = [t for t in tasks if t["assignee"] == user["gid"]]
        return self._listed_tasks(request, tasks, app)

    async def _list_project_tasks(self, request: Request, app: str | None) -> Response:
        project = self.account.find_project(request.path_params["ref"])
        tasks = [t for t in self.account.tasks.values() if project["gid"] in dict(t["places"])]
        return self._listed_tasks(request, tasks, app)

    def _listed_tasks(self, request: Request, tasks: list[Json], app: str | None) -> Response:
        tasks = [t for t in tasks if self.searchable(t["gid"])]
        since = request.query_params.get("modified_since")
        if since:
            instant = _instant("modified_since", since)
            tasks = [t for t in tasks if datetime.fromisoformat(t["modified_at"]) >= instant]
        return self._page(request, [self.account.task_json(t, app) for t in tasks])

    async def _get_project(self, request: Request, _: str | None) -> Response:
        project = self.account.find_project(request.path_params["ref"])
        shown = {"gid": project["gid"], "resource_type": "project", "name": project["name"]}
        shown["workspace"] = {**self.account.workspace, "resource_type": "workspace"}
        return json_response({"data": show(shown, request.query_params.get("opt_fields"))})

    async def _list_sections(self, request: Request, _: str | None) -> Response:
        project = self.account.find_project(request.path_params["ref"])
        return self._page(request, [{**s, "resource_type": "section"} for s in project["sections"]])

    async def _list_settings(self, request: Request, _: str | None) -> Response:
        project = self.account.find_project(request.path_params["ref"])
        settings = [
            {
                "gid": f"{project['gid']}{field}",
                "resource_type": "custom_field_setting",
                "custom_field": self.account.field_json(field),
            }
            for field in project["fields"]
        ]
        return self._page(request, settings)

    async def _get_user(self, request: Request, _: str | None) -> Response:
        user = self.account.find_user(request.path_params["ref"])
        return json_response({"data": show({**user, "resource_type": "user"}, request.query_params.get("opt_fields"))})

    async def _list_workspaces(self, request: Request, _: str | None) -> Response:
        return self._page(request, [{**self.account.workspace, "resource_type": "workspace"}])

    async def _list_events(self, request: Request, _: str | None) -> Response:
        resource, sync = request.query_params.get("resource"), request.query_params.get("sync")
        if resource is None:
            raise RefusedError(400, "resource: Missing input")
        if resource not in self.account.tasks:
            self.account.find_project(resource)
        return json_response(self.feed.page(resource, sync))

    async def _list_webhooks(self, request: Request, _: str | None) -> Response:
        if request.query_params.get("workspace") != self.account.workspace["gid"]:
            raise RefusedError(400, f"workspace: Unknown object: {request.query_params.get('workspace')}")
        resource = request.query_params.get("resource")
        rows = [row for row in self.webhooks.rows() if resource in {None, row["resource"]["gid"]}]
        return self._page(request, rows)

    async def _create_webhook(self, request: Request, _: str | None) -> Response:
        row, secret = await self.webhooks.create(await _data(request))
        shown = show(row, request.query_params.get("opt_fields"))
        # As in the example of the OpenAPI document: a new webhook is shown as inactive, and its secret beside it.
        return json_response({"data": shown | {"active": False}, "X-Hook-Secret": secret}, 201)

    async def _get_webhook(self, request: Request, _: str | None) -> Response:
        row = self.webhooks.find(request.path_params["ref"])
        return json_response({"data": show(row, request.query_params.get("opt_fields"))})

    async def _delete_webhook(self, request: Request, _: str | None) -> Response:
        self.webhooks.delete(request.path_params["ref"])
        return json_response({"data": {}})

    async def _no_route(self, _: Request) -> Response:
        return _refusal(RefusedError(404, "No matching route for request"))

    def _page(self, request: Request, items: list[Json]) -> Response:
        query = dict(request.query_params)
        fields, offset = query.get("opt_fields"), query.pop("offset", None)
        asked = f"{request.url.path}?{urlencode(query)}"
        if "limit" not in query:
            if len(items) > _MOST_UNPAGED:
                raise RefusedError(400, "The result is too large. You should use pagination")
            return json_response({"data": [compact(item, fields) for item in items]})
        limit = int(query["limit"]) if query["limit"].isdigit() else 0
        if not 1 <= limit <= 100:
            raise RefusedError(400, f"limit: Must be between 1 and 100: {query['limit']}")
        start = self._resumed(offset, asked)
        page = [compact(item, fields) for item in items[start : start + limit]]
        more = self._next_page(asked, start + limit) if start + limit < len(items) else None
        return json_response({"data": page, "next_page": more})

    def _resumed(self, offset: str | None, asked: str) -> int:
        if offset is None:
            return 0
        known = self._offsets.get(offset)
        if known is None or known[0] != asked or self.clock() - known[2] > _OFFSET_LIVES:
            raise RefusedError(400, "offset: Your pagination token is invalid.")
        return known[1]

    def _next_page(self, asked: str, start: int) -> Json:
        token = f"sandbox-offset-{len(self._offsets) + 1}"
        self._offsets[token] = (asked, start, self.clock())
        return {"offset": token, "path": f"{asked}&offset={token}", "uri": f"{asked}&offset={token}"}


def _refusal(refused: RefusedError) -> Response:
    body: Mapping[str, Any] = {"errors": [{"message": refused.message, "help": _HELP}], **refused.beside}
    return json_response(body, refused.status, refused.headers)


def _instant(name: str, text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise RefusedError(400, f"{name}: Not an ISO-8601 date-time: {text}") from None
    if instant.tzinfo is None:
        raise RefusedError(400, f"{name}: Not an ISO-8601 date-time with a zone: {text}")
    return instant


async def _data(request: Request) -> Json:
    try:
        body = await json_request(request)
    except ValueError:
        raise RefusedError(400, "Could not parse request data, invalid JSON") from None
    if not isinstance(body, dict):
        raise RefusedError(400, "Could not parse request data, invalid JSON")
    for stray in sorted(set(body) - {"data", "options"}):
        raise RefusedError(
            400,
            f"Unrecognized request field {stray} . The only allowed keys at the top level are: data, options.",
        )
    if not isinstance(body.get("data"), dict):
        raise RefusedError(400, "data: Missing input")
    data: Json = body["data"]
    return data


def _key_of(task: Json) -> str | None:
    """Crossdock's key in a task, by whichever way it was made."""
    outside = (data.get("gid") for data in task["external"].values())
    return next(outside, None) or key_after(MARK, task["notes"])
