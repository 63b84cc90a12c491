"""The simulator refuses and tells what Pipedrive refuses and tells."""

from __future__ import annotations

import base64
from decimal import Decimal
from typing import Any

import crossdock_pipedrive
import httpx
import pytest
from crossdock_pipedrive.connection import PipedriveConnection
from crossdock_pipedrive.simulator import PipedriveSimulator
from crossdock_pipedrive.sink import PipedriveSink
from crossdock_pipedrive.source import PipedriveSource
from crossdock_sdk import jsonio
from crossdock_sdk.testing import serve


class Caller:
    """Plain HTTP with the simulator's token."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        content = body if isinstance(body, bytes) else b"" if body is None else jsonio.dumps(body)
        reply = await self.client.request(method, path, content=content, headers=headers or None)
        return reply.status_code, jsonio.loads(reply.content)


@pytest.fixture
async def call(served: tuple[PipedriveSimulator, str], stack: Any) -> Caller:
    simulator, url = served
    token = {"x-api-token": simulator.settings(url)["api_token"]}
    return Caller(await stack.enter_async_context(httpx.AsyncClient(base_url=url, headers=token, trust_env=False)))


def code_of(simulator: PipedriveSimulator, name: str) -> str:
    return next(str(row["field_code"]) for row in simulator.world.fields["deal"] if row["field_name"] == name)


def test_the_plugin_registers_its_classes() -> None:
    assert crossdock_pipedrive.crossdock_sources() == [PipedriveSource]
    assert crossdock_pipedrive.crossdock_sinks() == [PipedriveSink]
    assert crossdock_pipedrive.crossdock_simulators() == [PipedriveSimulator]


def test_settings_fit_the_connections_config(simulator: PipedriveSimulator) -> None:
    settings = simulator.settings("http://127.0.0.1:9000/pipedrive")
    assert settings.pop("connector") == PipedriveConnection.connector
    config = PipedriveConnection.Config.model_validate(settings)
    assert config.base_url == "http://127.0.0.1:9000/pipedrive"
    assert "no-secret" in settings["api_token"]


def test_the_seeded_world_is_small_and_complete(simulator: PipedriveSimulator) -> None:
    state = simulator.state()
    assert {product["code"] for product in state["products"]} == {"CONSULT-DAY", "SETUP", "LICENSE-YR", "SUPPORT-MO"}
    assert [deal["status"] for deal in state["deals"]] == ["open"]
    assert {"discount", "invoice_number", "lead_score", "industry"} <= set(state["deals"][0]["custom"])
    assert (len(state["organizations"]), len(state["persons"])) == (1, 1)
    assert state["deals"][0]["value"] == 3 * 1200 + Decimal("5643")
    jsonio.dumps(state)


@pytest.mark.parametrize("headers", [{"x-api-token": "wrong"}, {"x-api-token": "", "authorization": "Bearer wrong"}])
async def test_a_wrong_token_is_refused_with_pipedrives_body(call: Caller, headers: dict[str, str]) -> None:
    status, body = await call("GET", "/api/v2/deals/1", **headers)
    assert (status, body) == (401, {"success": False, "error": "unauthorized access", "errorCode": 401})


async def test_a_bearer_token_opens_too(simulator: PipedriveSimulator, call: Caller) -> None:
    bearer = f"Bearer {simulator.settings('')['api_token']}"
    status, _ = await call("GET", "/api/v2/deals/1", **{"x-api-token": "", "authorization": bearer})
    assert status == 200


async def test_every_reply_carries_the_limit_headers(call: Caller) -> None:
    for path in ("/api/v2/deals/1", "/api/v2/deals/99"):
        headers = (await call.client.get(path)).headers
        named = ("limit", "remaining", "reset")
        assert all(headers[f"x-ratelimit-{name}"].isdigit() for name in named)
        assert int(headers["x-daily-ratelimit-token-remaining"]) < int(headers["x-daily-ratelimit-token-limit"])
        assert headers["x-correlation-id"]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"9dc80c50d78a15643bfc4ca79d76156a73a1ca0e": "x"}, "9dc80c50d78a15643bfc4ca79d76156a73a1ca0e"),
        ({"custom_fields": {"f" * 40: "x"}}, "f" * 40),
        ({"titel": "x"}, "titel"),
        ({"title": 7}, "title"),
        ({"is_archived": 1}, "is_archived"),
        ({"owner_id": True}, "owner_id"),
        ({"value": "12"}, "value"),
        ({"status": "done"}, "status"),
        ({"custom_fields": []}, "custom_fields"),
        ([], "body"),
    ],
)
async def test_v2_refuses_what_its_schema_does_not_name(
    simulator: PipedriveSimulator, call: Caller, body: Any, named: str
) -> None:
    before = simulator.state()
    status, reply = await call("PATCH", "/api/v2/deals/1", body)
    assert status == 400
    assert (reply["success"], reply["code"]) == (False, "ERR_SCHEMA_VALIDATION_FAILED")
    assert reply["error"].startswith("Validation failed: ")
    assert named in reply["error"]
    assert simulator.state() == before


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("Discount", "5"),
        ("Invoice number", 5),
        ("Industry", "Services"),
        ("Industry", 999),
        ("Discount", True),
        ("Kick-off", "soon"),
    ],
)
async def test_v2_refuses_custom_values_of_another_type(
    simulator: PipedriveSimulator, call: Caller, field: str, value: Any
) -> None:
    await simulator.trigger("field.create", {"name": "Kick-off", "type": "date"})
    code = code_of(simulator, field)
    status, reply = await call("PATCH", "/api/v2/deals/1", {"custom_fields": {code: value}})
    assert (status, reply["code"]) == (400, "ERR_SCHEMA_VALIDATION_FAILED")


async def test_a_patch_replies_with_the_whole_deal(simulator: PipedriveSimulator, call: Caller) -> None:
    code = code_of(simulator, "Invoice number")
    status, reply = await call("PATCH", "/api/v2/deals/1", {"custom_fields": {code: "INV-1"}})
    assert status == 200
    assert reply["data"]["custom_fields"][code] == "INV-1"
    assert reply["data"]["title"] == "Fernhill rollout"
    assert (await call("PATCH", "/api/v2/deals/1", {"custom_fields": {code: None}}))[1]["data"]["custom_fields"][
        code
    ] is None


async def test_lists_are_paged_by_an_opaque_cursor(simulator: PipedriveSimulator, call: Caller) -> None:
    seen, cursor = [], ""
    while cursor is not None:
        status, reply = await call("GET", f"/api/v2/products?limit=3&cursor={cursor}")
        assert status == 200
        seen += [row["code"] for row in reply["data"]]
        cursor = reply["additional_data"]["next_cursor"]
    assert seen == [product["code"] for product in simulator.state()["products"]]
    for query in ("limit=501", "limit=0", "limit=x", "cursor=%21%21", "cursor=eHl6"):
        assert (await call("GET", f"/api/v2/products?{query}"))[0] == 400


@pytest.mark.parametrize("path", ["deals/99", "persons/99", "organizations/99", "products/99", "deals/99/products"])
async def test_what_is_not_there_is_404(call: Caller, path: str) -> None:
    status, reply = await call("GET", f"/api/v2/{path}")
    assert (status, reply["success"]) == (404, False)
    assert (await call("GET", f"/api/v2/{path.replace('99', 'x')}"))[0] == 400


async def test_an_account_without_custom_fields_says_null(connect: Any) -> None:
    bare = PipedriveSimulator()
    deal = (await bare.trigger("deal.created", {"title": "Bare"}))["deal"]
    assert deal["custom_fields"] is None
    await bare.trigger("field.create", {"name": "PO", "type": "varchar"})
    assert list(bare.state()["deals"][0]["custom"]) == ["po"]


async def test_a_body_that_is_no_json_is_400(call: Caller) -> None:
    for method, path in (("PATCH", "/api/v2/deals/1"), ("POST", "/api/v1/notes"), ("POST", "/api/v1/webhooks")):
        assert (await call(method, path, b"{"))[0] == 400


async def test_a_note_needs_content_and_a_place(call: Caller) -> None:
    bodies: tuple[Any, ...] = ({"deal_id": 1}, {"content": " ", "deal_id": 1}, {"content": "x"}, [])
    for body in bodies:
        assert (await call("POST", "/api/v1/notes", body))[0] == 400
    assert (await call("GET", "/api/v1/notes?deal_id=1"))[1]["data"] is None
    assert (await call("DELETE", "/api/v1/notes/1"))[0] == 404


class TestTriggers:
    async def test_a_description_makes_what_is_missing_and_reuses_what_is_there(
        self, simulator: PipedriveSimulator
    ) -> None:
        told = {
            "title": "Again",
            "organization": {"name": "Fernhill Instruments GmbH"},
            "person": {"name": "Noor"},
            "products": [
                {"code": "SETUP", "quantity": 2, "unit_price": 450},
                {"name": "Extra", "quantity": 1, "unit_price": 5},
            ],
        }
        deal = (await simulator.trigger("deal.won", told))["deal"]
        state = simulator.state()
        assert deal["status"] == "won"
        assert (deal["org_id"], deal["person_id"], deal["value"]) == (1, 2, 905)
        assert [product["code"] for product in state["products"]][-1] is None
        assert len(state["organizations"]) == 1

    async def test_a_value_can_be_made_wrong(self, simulator: PipedriveSimulator) -> None:
        line = {"code": "SETUP", "quantity": 1, "unit_price": 450}
        deal = (await simulator.trigger("deal.won", {"title": "Off", "products": [line], "value": 451}))["deal"]
        assert deal["value"] == 451

    async def test_a_deal_goes_back_and_forth(self, simulator: PipedriveSimulator, clock: Any) -> None:
        first = (await simulator.trigger("deal.won", {"id": 1}))["deal"]["won_time"]
        reopened = (await simulator.trigger("deal.reopened", {"id": "1"}))["deal"]
        assert (reopened["status"], reopened["won_time"], reopened["close_time"]) == ("open", None, None)
        clock.forward(days=30)
        assert (await simulator.trigger("deal.won", {"id": "1"}))["deal"]["won_time"] != first
        assert (await simulator.trigger("deal.lost", {"id": "1"}))["deal"]["lost_time"] is not None

    @pytest.mark.parametrize(
        ("event", "body"),
        [
            ("deal.won", {"id": "99"}),
            ("deal.won", {"id": "x"}),
            ("deal.won", {}),
            ("deal.won", {"title": "A", "titel": "B"}),
            ("deal.won", {"title": "A", "custom": {"Nope": 1}}),
            ("deal.won", {"title": "A", "custom": {"Industry": "Nope"}}),
            ("deal.won", {"title": "A", "products": [{"quantity": 1, "unit_price": 1}]}),
            ("deal.won", {"title": "A", "products": [{"code": "A", "quantity": 1.5, "unit_price": 1}]}),
            ("deal.won", {"title": "A", "discounts": [{"percent": 1, "amount": 1}]}),
            (
                "deal.won",
                {
                    "title": "A",
                    "products": [
                        {"code": "A", "quantity": 1, "unit_price": 9, "discount_percent": 1, "discount_amount": 1}
                    ],
                },
            ),
            ("deal.reopened", {"id": "1"}),
            ("deal.updated", {"id": "1", "custom": {"Nope": 1}}),
            ("field.create", {"name": "A"}),
        ],
    )
    async def test_a_body_it_cannot_use_is_a_value_error(
        self, simulator: PipedriveSimulator, event: str, body: dict[str, Any]
    ) -> None:
        before = simulator.state()
        with pytest.raises(ValueError):
            await simulator.trigger(event, body)
        assert simulator.state() == before

    async def test_an_unknown_event_is_a_lookup_error(self, simulator: PipedriveSimulator) -> None:
        with pytest.raises(LookupError, match=r"deal\.won"):
            await simulator.trigger("deal.wonn", {})


class TestWebhooks:
    async def test_a_win_is_told_with_basic_credentials_and_only_what_changed(
        self, simulator: PipedriveSimulator, connection: PipedriveConnection, listener: Any
    ) -> None:
        await simulator.trigger("field.create", {"name": "Modules", "type": "set", "options": ["Base", "Pro"]})
        modules = code_of(simulator, "Modules")
        simulator.world.deals[1]["custom_fields"][modules] = [36]
        await simulator.trigger("deal.won", {"id": "1"})
        await simulator.settle()
        [body] = listener.bodies
        assert body["data"]["custom_fields"][modules] == {"type": "set", "values": [{"id": 36}]}
        assert body["meta"]["change_source"] == "app"
        assert (body["meta"]["entity_id"], body["data"]["id"], body["meta"]["attempt"]) == ("1", 1, 1)
        assert set(body["previous"]) == {"status", "won_time", "close_time"}
        assert body["data"]["custom_fields"][code_of(simulator, "Discount")] == {"type": "double", "value": 10}
        assert body["data"]["custom_fields"][code_of(simulator, "Industry")]["type"] == "enum"
        assert [event.type for events in listener.events(connection) for event in events] == ["deal.won"]

    async def test_a_write_over_the_api_is_told_without_status(
        self, simulator: PipedriveSimulator, call: Caller, listener: Any
    ) -> None:
        code = code_of(simulator, "Invoice number")
        await call("PATCH", "/api/v2/deals/1", {"custom_fields": {code: "INV-1"}})
        await call("PATCH", "/api/v2/deals/1", {"custom_fields": {code: "INV-1"}})
        await simulator.settle()
        [body] = listener.bodies
        assert body["meta"]["change_source"] == "api"
        assert body["previous"] == {"custom_fields": {code: None}}

    async def test_creation_and_deletion_are_told(self, simulator: PipedriveSimulator, listener: Any) -> None:
        deal = (await simulator.trigger("deal.created", {"title": "New"}))["deal"]
        await simulator.settle()
        await simulator.trigger("deal.deleted", {"id": deal["id"]})
        await simulator.settle()
        created, deleted = listener.bodies
        assert (created["meta"]["action"], created["previous"]) == ("create", None)
        assert (deleted["meta"]["action"], deleted["data"], deleted["previous"]["title"]) == ("delete", None, "New")

    async def test_a_refused_delivery_comes_again_as_the_next_attempt(
        self, simulator: PipedriveSimulator, connection: PipedriveConnection, listener: Any
    ) -> None:
        listener.refusals = 2
        await simulator.trigger("deal.won", {"id": "1"})
        await simulator.settle()
        assert [body["meta"]["attempt"] for body in listener.bodies] == [1, 2, 3]
        assert len({body["meta"]["id"] for body in listener.bodies}) == 1
        assert len({events[0].id for events in listener.events(connection)}) == 1

    async def test_registering_probes_the_url_and_stops_at_forty(
        self, simulator: PipedriveSimulator, call: Caller, listener: Any
    ) -> None:
        url = simulator.state()["webhooks"][0]["subscription_url"]
        body = {"subscription_url": url, "event_action": "change", "event_object": "deal", "name": "Second"}
        status, reply = await call("POST", "/api/v1/webhooks", body)
        assert (status, reply["data"]["version"], reply["data"]["is_active"]) == (201, "2.0", 1)
        gone = body | {"subscription_url": "http://127.0.0.1:9/hook"}
        status, reply = await call("POST", "/api/v1/webhooks", gone)
        assert (status, reply["errors"]) == (400, {"subscription_url": ["invalid or non-reachable URL"]})
        for wrong in ({"event_action": "won"}, {"event_object": "invoice"}, {"name": None}):
            assert (await call("POST", "/api/v1/webhooks", body | wrong))[0] == 400
        for number in range(3, 41):
            simulator.webhooks[number] = simulator.webhooks[1] | {"id": number}
        assert (await call("POST", "/api/v1/webhooks", body))[0] == 422

    async def test_a_registered_hook_gets_what_it_asked_for_until_it_is_removed(
        self, simulator: PipedriveSimulator, call: Caller, stack: Any, listener: Any
    ) -> None:
        url = await stack.enter_async_context(serve(listener.app)) + "/hook"
        await call("DELETE", "/api/v1/webhooks/1")
        body = {"subscription_url": url, "event_action": "change", "event_object": "*", "name": "Changes"}
        auth = {"http_auth_user": "u", "http_auth_password": "secret-pw"}
        hook = (await call("POST", "/api/v1/webhooks", body | auth))[1]["data"]
        await simulator.trigger("deal.won", {"title": "New"})
        await simulator.settle()
        [delivered] = listener.requests
        assert delivered.headers["authorization"] == "Basic " + base64.b64encode(b"u:secret-pw").decode()
        assert [row["id"] for row in (await call("GET", "/api/v1/webhooks"))[1]["data"]] == [hook["id"]]
        assert (await call("DELETE", f"/api/v1/webhooks/{hook['id']}"))[0] == 200
        await simulator.trigger("deal.lost", {"id": 1})
        await simulator.settle()
        assert len(listener.requests) == 1
        assert (await call("DELETE", f"/api/v1/webhooks/{hook['id']}"))[0] == 404

    def test_the_state_shows_no_webhook_password(self, simulator: PipedriveSimulator, listener: Any) -> None:
        assert simulator.settings("")["webhook"]["password"] not in str(simulator.state())


async def test_a_deal_deleted_over_the_api_is_gone(simulator: PipedriveSimulator, call: Caller) -> None:
    assert (await call("DELETE", "/api/v2/deals/1"))[1]["data"] == {"id": 1}
    assert (await call("GET", "/api/v2/deals/1"))[0] == 404
    assert (await call("PATCH", "/api/v2/deals/1", {"title": "x"}))[0] == 404
