"""The simulated REST API: v2 for all that it has, v1 for notes and webhooks."""

from __future__ import annotations

import base64
import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any

import httpx
from crossdock_sdk.testing.simulator import json_request, json_response
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from crossdock_pipedrive.fields import Kind
from crossdock_pipedrive.records import instant
from crossdock_pipedrive.simulator import hooks, listing
from crossdock_pipedrive.simulator.admission import Admission
from crossdock_pipedrive.simulator.schema import (
    RefusedError,
    check_deal_patch,
    check_note,
    check_webhook,
    invalid,
    v1_refused,
    v2_refused,
)
from crossdock_pipedrive.simulator.world import USER, World

Row = dict[str, Any]
Handler = Callable[[Request], Awaitable[Response]]

_KEPT = timedelta(days=30)
_UNSAFE_HTML = re.compile(r"<!--.*?-->|<script.*?</script>", re.DOTALL | re.IGNORECASE)
_NOTE_OWNERS = ("deal_id", "person_id", "org_id")


class Api:
    """The endpoints over one `World`. `registered` holds the webhooks by id."""

    def __init__(self, world: World, admission: Admission, registered: dict[int, Row]) -> None:
        self._world = world
        self._admission = admission
        self._registered = registered

    def routes(self) -> list[Route]:
        """All endpoints, each with its token cost as the API reference tells it; 1 where it does not."""
        records: dict[str, tuple[str, Mapping[int, Row]]] = {
            "persons": ("Person", self._world.persons),
            "organizations": ("Organization", self._world.organizations),
            "products": ("Product", self._world.products),
        }
        kinds: tuple[Kind, ...] = ("deal", "organization", "person")
        table: list[tuple[str, str, int, Handler]] = [
            ("GET", "/api/v2/deals", 10, self._list_deals),
            ("GET", "/api/v2/deals/{id}", 1, self._get_deal),
            ("PATCH", "/api/v2/deals/{id}", 5, self._patch_deal),
            ("DELETE", "/api/v2/deals/{id}", 3, self._delete_deal),
            ("GET", "/api/v2/deals/{id}/products", 10, self._deal_products),
            ("GET", "/api/v2/deals/{id}/discounts", 10, self._deal_discounts),
            ("GET", "/api/v2/products", 10, self._products),
            *(("GET", f"/api/v2/{k}/{{id}}", 1, partial(self._get_record, *what)) for k, what in records.items()),
            *(("GET", f"/api/v2/{kind}Fields", 1, partial(self._fields, kind)) for kind in kinds),
            ("GET", "/api/v1/users/me", 2, self._current_user),
            ("GET", "/api/v1/notes", 20, self._list_notes),
            ("POST", "/api/v1/notes", 10, self._add_note),
            ("DELETE", "/api/v1/notes/{id}", 6, self._delete_note),
            ("GET", "/api/v1/webhooks", 10, self._list_webhooks),
            ("POST", "/api/v1/webhooks", 10, self._add_webhook),
            ("DELETE", "/api/v1/webhooks/{id}", 6, self._delete_webhook),
        ]
        return [Route(path, self._guarded(cost, handler), methods=[method]) for method, path, cost, handler in table]

    def _guarded(self, cost: int, handler: Handler) -> Handler:
        async def endpoint(request: Request) -> Response:
            try:
                self._admission.admit(request, cost)
                reply = await handler(request)
            except RefusedError as refused:
                reply = json_response(refused.body, refused.status)
            reply.headers.update(self._admission.headers())
            return reply

        return endpoint

    async def _current_user(self, _: Request) -> Response:
        return json_response({"success": True, "data": {"id": USER, "name": "Sandbox", "company_name": "Sandbox"}})

    async def _list_deals(self, request: Request) -> Response:
        return _v2_page(request, listing.listed(self._world.deals.values(), request.query_params))

    async def _get_deal(self, request: Request) -> Response:
        return json_response({"success": True, "data": self._deal(request)})

    async def _patch_deal(self, request: Request) -> Response:
        deal = self._deal(request)
        body = check_deal_patch(await _body(request), self._world.field_map("deal"))
        changed = self._world.change_deal(deal["id"], body, source="api")
        return json_response({"success": True, "data": changed})

    async def _delete_deal(self, request: Request) -> Response:
        deal = self._deal(request)
        self._world.delete_deal(deal["id"], "api")
        return json_response({"success": True, "data": {"id": deal["id"]}})

    async def _deal_products(self, request: Request) -> Response:
        return _v2_page(request, self._world.lines[self._deal(request)["id"]])

    async def _deal_discounts(self, request: Request) -> Response:
        return json_response({"success": True, "data": self._world.discounts[self._deal(request)["id"]]})

    async def _products(self, request: Request) -> Response:
        return _v2_page(request, list(self._world.products.values()))

    async def _get_record(self, what: str, records: Mapping[int, Row], request: Request) -> Response:
        row = records.get(_id(request))
        if row is None:
            raise v2_refused(404, f"{what} not found", "ERR_NOT_FOUND")
        return json_response({"success": True, "data": row})

    async def _fields(self, kind: Kind, request: Request) -> Response:
        return _v2_page(request, [_title_field(), *self._world.fields[kind]])

    async def _list_notes(self, request: Request) -> Response:
        asked = {owner: request.query_params[owner] for owner in _NOTE_OWNERS if owner in request.query_params}
        rows = [note for note in self._world.notes.values() if all(str(note[key]) == one for key, one in asked.items())]
        if request.query_params.get("sort", "").lower() == "add_time desc":
            rows.reverse()
        return _v1_page(request, rows)

    async def _add_note(self, request: Request) -> Response:
        body = check_note(await _body(request))
        now = self._world.v1_now()
        note: Row = {
            "id": self._world.next_id("note"),
            "active_flag": True,
            "add_time": now,
            "update_time": now,
        }
        note |= {"content": _UNSAFE_HTML.sub("", body["content"]), "user_id": USER}
        note |= {owner: body.get(owner) for owner in _NOTE_OWNERS}
        self._world.notes[note["id"]] = note
        return json_response({"success": True, "data": note}, 201)

    async def _delete_note(self, request: Request) -> Response:
        if self._world.notes.pop(_id(request), None) is None:
            raise v1_refused(404, "Note not found")
        return json_response({"success": True, "data": True})

    async def _list_webhooks(self, request: Request) -> Response:
        return json_response({"status": "ok", "success": True, "data": list(self._registered.values())})

    async def _add_webhook(self, request: Request) -> Response:
        body = check_webhook(await _body(request))
        if len(self._registered) >= hooks.LIMIT:
            raise RefusedError(422, {"status": "error", "success": False, "error": "Webhooks limit reached"})
        if not await _reachable(body["subscription_url"]):
            errors = {"subscription_url": ["invalid or non-reachable URL"]}
            raise RefusedError(400, {"status": "error", "success": False, "errors": errors})
        return json_response({"status": "ok", "success": True, "data": self.register(body)}, 201)

    async def _delete_webhook(self, request: Request) -> Response:
        if self._registered.pop(_id(request), None) is None:
            raise v1_refused(404, "Webhook not found")
        return json_response({"status": "ok", "success": True})

    def register(self, body: Mapping[str, Any]) -> Row:
        """Keep a webhook and return its row."""
        at = instant(self._world.now())
        assert at is not None
        hook = hooks.registration(self._world.next_id("webhook"), at, body)
        self._registered[hook["id"]] = hook
        return hook

    def _deal(self, request: Request) -> Row:
        """The deal of the path: 404 in the bin, 410 once the bin's 30 days are over."""
        deal = self._world.deals.get(_id(request))
        if deal is None or deal["is_deleted"]:
            now, deleted = instant(self._world.now()), instant(deal["update_time"]) if deal else None
            gone = bool(now and deleted and now - deleted >= _KEPT)
            raise v2_refused(410 if gone else 404, "Deal not found", "ERR_NOT_FOUND")
        return deal


async def _body(request: Request) -> Any:
    try:
        return await json_request(request)
    except ValueError:
        raise v1_refused(400, "Bad request: the body is not JSON") from None


def _id(request: Request) -> int:
    text = request.path_params["id"]
    if not text.isdigit():
        raise invalid("id", "it should be an integer")
    return int(text)


def _v2_page(request: Request, rows: list[Row]) -> Response:
    """One page by cursor; a cursor is opaque to the caller, here it holds the next row's position."""
    limit = request.query_params.get("limit", "100")
    if not limit.isdigit() or not 1 <= int(limit) <= 500:
        raise invalid("limit", "it should be an integer from 1 to 500")
    start = _position(request.query_params.get("cursor"))
    end = start + int(limit)
    cursor = base64.urlsafe_b64encode(f"row:{end}".encode()).decode() if end < len(rows) else None
    return json_response({"success": True, "data": rows[start:end], "additional_data": {"next_cursor": cursor}})


def _position(cursor: str | None) -> int:
    if not cursor:
        return 0
    try:
        return int(base64.urlsafe_b64decode(cursor).removeprefix(b"row:"))
    except ValueError:
        raise invalid("cursor", "it is not valid") from None


def _v1_page(request: Request, rows: list[Row]) -> Response:
    start, limit = int(request.query_params.get("start", "0")), int(request.query_params.get("limit", "100"))
    more = start + limit < len(rows)
    pagination = {"start": start, "limit": limit, "more_items_in_collection": more}
    pagination |= {"next_start": start + limit} if more else {}
    data = rows[start : start + limit] or None
    return json_response({"success": True, "data": data, "additional_data": {"pagination": pagination}})


async def _reachable(url: str) -> bool:
    """Whether anything answers there. What Pipedrive sends for its own probe is not documented."""
    try:
        async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
            return not (await client.get(url)).is_redirect
    except (httpx.HTTPError, httpx.InvalidURL):
        return False


def _title_field() -> Row:
    row: Row = {"field_name": "Title", "field_code": "title", "description": "", "field_type": "varchar"}
    return row | {
        "is_custom_field": False,
        "is_optional_response_field": False,
        "options": None,
        "subfields": None,
    }
