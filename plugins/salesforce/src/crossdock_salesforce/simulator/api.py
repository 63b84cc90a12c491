"""The simulated REST API."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

from crossdock_sdk.testing.simulator import json_request, json_response
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from crossdock_salesforce.simulator.faults import RefusedError, ended, no_column, no_key_field, no_resource, over_limit
from crossdock_salesforce.simulator.oauth import TokenServer
from crossdock_salesforce.simulator.org import Org, Row
from crossdock_salesforce.simulator.queries import Queries
from crossdock_salesforce.simulator.schema import SimObject

Handler = Callable[[Request], Awaitable[Response]]
_ROOT = "/services/data"
_VERSIONS = range(31, 69)
_SHOWN_ALLOWANCE = 15_000
_VERSION = re.compile(r"v(\d+)\.0")


class Api:
    """The endpoints over one `Org`. `allowance`: how many calls are left in these 24 hours; None for no limit."""

    def __init__(self, org: Org, tokens: TokenServer, queries: Queries) -> None:
        self._org = org
        self._tokens = tokens
        self._queries = queries
        self.allowance: int | None = None
        self._used = 0

    def routes(self) -> list[Route]:
        base = f"{_ROOT}/{{version}}"
        table: tuple[tuple[str, str, Handler], ...] = (
            ("GET", f"{base}/", self._resources),
            ("GET", f"{base}/query", self._query),
            ("GET", f"{base}/query/", self._query),
            ("GET", f"{base}/query/{{locator}}", self._more),
            ("GET", f"{base}/sobjects/{{object}}/describe", self._describe),
            ("POST", f"{base}/sobjects/{{object}}", self._create),
            ("POST", f"{base}/sobjects/{{object}}/", self._create),
            ("GET", f"{base}/sobjects/{{object}}/{{id}}", self._read),
            ("PATCH", f"{base}/sobjects/{{object}}/{{id}}", self._update),
            ("DELETE", f"{base}/sobjects/{{object}}/{{id}}", self._delete),
            ("GET", f"{base}/sobjects/{{object}}/{{field}}/{{value:path}}", self._read_by_key),
            ("PATCH", f"{base}/sobjects/{{object}}/{{field}}/{{value:path}}", self._upsert),
        )
        guarded = [Route(path, self._guarded(handler), methods=[method]) for method, path, handler in table]
        open_to_all = [
            Route("/services/oauth2/token", self._tokens.endpoint, methods=["POST"]),
            Route(_ROOT, self._versions, methods=["GET"]),
        ]
        unknown = Route("/services/{rest:path}", self._guarded(_nothing), methods=["GET", "POST", "PATCH", "DELETE"])
        return [*open_to_all, *guarded, unknown]

    def _guarded(self, handler: Handler) -> Handler:
        async def endpoint(request: Request) -> Response:
            try:
                self._admit(request)
                reply = await handler(request)
            except RefusedError as refused:
                reply = json_response(refused.body, refused.status)
            reply.headers["Sforce-Limit-Info"] = f"api-usage={self._used}/{_SHOWN_ALLOWANCE}"
            return reply

        return endpoint

    def _admit(self, request: Request) -> None:
        if not self._tokens.authenticated(request.headers.get("authorization", "")):
            raise ended()
        version = _VERSION.fullmatch(request.path_params.get("version", ""))
        if version is None or int(version[1]) not in _VERSIONS:
            raise no_resource()
        if self.allowance is not None:
            if self.allowance <= 0:
                raise over_limit()
            self.allowance -= 1
        self._used += 1

    async def _versions(self, request: Request) -> Response:
        rows = [{"label": f"v{n}", "url": f"{_ROOT}/v{n}.0", "version": f"{n}.0"} for n in _VERSIONS]
        return json_response(rows)

    async def _resources(self, request: Request) -> Response:
        base = _base(request)
        return json_response({name: f"{base}/{name}" for name in ("sobjects", "query", "limits")})

    async def _query(self, request: Request) -> Response:
        return json_response(self._queries.ask(request.query_params.get("q", ""), _base(request)))

    async def _more(self, request: Request) -> Response:
        return json_response(self._queries.more(request.path_params["locator"], _base(request)))

    async def _describe(self, request: Request) -> Response:
        return json_response(self._object(request).describe())

    async def _create(self, request: Request) -> Response:
        found = self._object(request)
        row = self._org.insert(found.name, await _body(request))
        place = {"Location": f"{_base(request)}/sobjects/{found.name}/{row['Id']}"}
        return json_response({"id": row["Id"], "success": True, "errors": []}, 201, place)

    async def _read(self, request: Request) -> Response:
        found = self._object(request)
        return json_response(_shown(request, found, self._org.row(found.name, request.path_params["id"])))

    async def _read_by_key(self, request: Request) -> Response:
        found = self._object(request)
        return json_response(_shown(request, found, self._one(request, found)))

    async def _update(self, request: Request) -> Response:
        self._org.update(self._object(request).name, request.path_params["id"], await _body(request))
        return Response(status_code=204)

    async def _delete(self, request: Request) -> Response:
        self._org.delete(self._object(request).name, request.path_params["id"])
        return Response(status_code=204)

    async def _upsert(self, request: Request) -> Response:
        found, values = self._object(request), await _body(request)
        field, value = self._key(request, found), request.path_params["value"]
        if field.casefold() in {name.casefold() for name in values}:
            said = f"The {field} field should not be specified in the sobject data."
            raise RefusedError(400, "INVALID_FIELD", said, (field,))
        try:
            row = self._one(request, found)
        except _NoneOfThatKeyError:
            made = self._org.insert(found.name, {**values, field: value})
            return json_response({"id": made["Id"], "success": True, "errors": [], "created": True}, 201)
        self._org.update(found.name, row["Id"], values)
        return json_response({"id": row["Id"], "success": True, "errors": [], "created": False})

    def _object(self, request: Request) -> SimObject:
        return self._org.object(request.path_params["object"])

    def _key(self, request: Request, found: SimObject) -> str:
        field = request.path_params["field"]
        one = next((one for one in found.fields.values() if one.name.casefold() == field.casefold()), None)
        if one is None or not one.external_id:
            raise no_key_field(field)
        return one.name

    def _one(self, request: Request, found: SimObject) -> Row:
        rows = self._org.by_key(found.name, self._key(request, found), request.path_params["value"])
        if not rows:
            raise _NoneOfThatKeyError
        if len(rows) > 1:
            raise _ManyError([f"{_base(request)}/sobjects/{found.name}/{row['Id']}" for row in rows])
        return rows[0]


class _NoneOfThatKeyError(RefusedError):
    def __init__(self) -> None:
        super().__init__(404, "NOT_FOUND", "The requested resource does not exist")


class _ManyError(RefusedError):
    """300 Multiple Choices: the body lists the addresses of all that carry the external id."""

    def __init__(self, addresses: list[str]) -> None:
        super().__init__(300, "", "")
        self.body = addresses  # type: ignore[assignment]


async def _nothing(request: Request) -> Response:
    raise no_resource()


async def _body(request: Request) -> dict[str, Any]:
    try:
        body = await json_request(request)
    except ValueError:
        raise RefusedError(400, "JSON_PARSER_ERROR", "Unexpected character in the request") from None
    if not isinstance(body, dict):
        raise RefusedError(400, "JSON_PARSER_ERROR", "Cannot deserialize the request into an sObject")
    return body


def _base(request: Request) -> str:
    return f"{_ROOT}/{request.path_params['version']}"


def _shown(request: Request, found: SimObject, row: Row) -> Row:
    """A record; `fields` chooses."""
    asked = request.query_params.get("fields")
    names = asked.split(",") if asked else list(found.fields)
    folded = {name.casefold(): name for name in found.fields}
    shown: Row = {"attributes": {"type": found.name, "url": f"{_base(request)}/sobjects/{found.name}/{row['Id']}"}}
    for name in names:
        if name.casefold() not in folded:
            raise no_column(name, found.name)
        shown[folded[name.casefold()]] = row.get(folded[name.casefold()])
    return shown
