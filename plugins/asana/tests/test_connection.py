from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from crossdock_asana import AsanaConfig, AsanaConnection, AsanaSink
from crossdock_asana.simulator import AsanaSimulator
from crossdock_asana.sink import TaskComplete, TaskCreate
from crossdock_sdk import (
    AmbiguousError,
    ConnectorError,
    Context,
    ObjectRef,
    RejectedError,
    Task,
    TransientError,
)
from crossdock_sdk.testing import perform, serve
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

SECRET = "0/a-very-secret-token"
OAUTH = {"client_id": "12", "client_secret": SECRET, "refresh_token": SECRET}


def test_the_defaults_point_at_asana() -> None:
    config = AsanaConfig(access_token=SECRET)
    assert config.base_url == "https://app.asana.com/api/1.0"
    assert config.token_url == "https://app.asana.com/-/oauth_token"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "give access_token, or OAuth's"),
        ({"access_token": SECRET} | OAUTH, "not both"),
        ({"client_id": "12"}, "give access_token, or OAuth's"),
        ({"access_token": ""}, "at least 1"),
        ({"access_token": SECRET, "token": "x"}, "Extra inputs are not permitted"),
    ],
)
def test_exactly_one_way_in_and_no_secret_in_the_error(settings: dict[str, str], said: str) -> None:
    with pytest.raises(ValidationError, match=said) as caught:
        AsanaConfig.model_validate(settings)
    assert SECRET not in str(caught.value)


def test_oauth_may_wait_for_its_refresh_token_from_the_vault() -> None:
    assert AsanaConfig(client_id="12", client_secret=SECRET).refresh_token is None


def test_secrets_are_in_no_repr_and_are_redacted() -> None:
    context = Context(name="board")
    for settings in ({"access_token": SECRET}, OAUTH):
        config = AsanaConfig.model_validate(settings)
        connection = AsanaConnection(config, context)
        assert SECRET not in repr(config) + repr(connection) + repr(vars(connection))
    assert SECRET not in context.redactor.text(f"it is {SECRET}")


def test_the_plugin_registers_its_sink_and_simulator() -> None:
    import crossdock_asana

    assert crossdock_asana.crossdock_sinks() == [AsanaSink]
    assert crossdock_asana.crossdock_simulators() == [AsanaSimulator]
    assert [a.name for a in AsanaSink.actions] == ["task.create", "task.update", "task.complete"]


def test_every_settings_of_the_simulator_is_a_valid_config() -> None:
    for oauth in (False, True):
        settings = AsanaSimulator(oauth=oauth).settings("http://127.0.0.1:9000/asana")
        assert settings.pop("connector") == "asana"
        config = AsanaConfig.model_validate(settings)
        assert config.base_url == "http://127.0.0.1:9000/asana/api/1.0"
        assert (config.access_token is None) is oauth


class Minimal:
    """Asana with as little in its replies as the OpenAPI document lets it have."""

    def __init__(self) -> None:
        self.answer: Callable[[Request], Response] = lambda _: JSONResponse({"data": {"gid": "7"}})

    async def __call__(self, request: Request) -> Response:
        await request.body()
        return self.answer(request)


@contextlib.asynccontextmanager
async def minimal() -> AsyncIterator[tuple[Minimal, AsanaConnection]]:
    fake = Minimal()
    app = Starlette(routes=[Route("/{path:path}", fake.__call__, methods=["GET", "POST", "PUT", "DELETE"])])
    async with serve(app) as url:
        connection = AsanaConnection(AsanaConfig(base_url=url, access_token=SECRET), Context(name="board"))
        try:
            yield fake, connection
        finally:
            await connection.close()


async def test_the_connector_needs_no_more_than_a_gid(key: str) -> None:
    async with minimal() as (_, connection):
        receipt = await TaskCreate(connection).apply(Task(name="x", project="1"), key)
        assert (receipt.id, receipt.url, receipt.name) == ("7", None, None)
        receipt = await perform(TaskComplete(connection), ObjectRef(id="7"), key)
        assert receipt.undo == {"before": {"completed": None}, "written": {"completed": True}}
        await TaskCreate(connection).undo(receipt)


async def test_a_list_without_next_page_is_the_whole_list(key: str) -> None:
    async with minimal() as (fake, connection):
        fake.answer = lambda _: JSONResponse({"data": [{"gid": "7", "notes": f"crossdock:{key}"}]})
        receipt = await TaskCreate(connection).recover(Task(name="x", project="1"), key)
        assert receipt is not None
        assert receipt.id == "7"
        fake.answer = lambda _: JSONResponse({"data": [{"gid": "7"}, {"gid": "8", "notes": None}]})
        assert await TaskCreate(connection).recover(Task(name="x", project="1"), key) is None


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"data": None},
        {"data": {}},
        {"data": {"gid": 7}},
        {"data": "7"},
        {"errors": [{"message": "Oops"}]},
        [],
    ],
)
async def test_a_reply_that_is_not_documented_is_never_taken_for_success(key: str, body: Any) -> None:
    async with minimal() as (fake, connection):
        fake.answer = lambda _: JSONResponse(body)
        with pytest.raises(AmbiguousError):
            await TaskCreate(connection).apply(Task(name="x", project="1"), key)


@pytest.mark.parametrize(
    "page",
    [
        {"data": {}},
        {"data": ["7"]},
        {"data": [], "next_page": {}},
        {"data": [], "next_page": "more"},
        {"data": [], "next_page": {"offset": "again"}},
    ],
)
async def test_a_list_that_is_not_documented_is_never_taken_for_empty(key: str, page: Any) -> None:
    async with minimal() as (fake, connection):
        fake.answer = lambda _: JSONResponse(page)
        with pytest.raises(TransientError):
            await TaskCreate(connection).recover(Task(name="x", project="1"), key)


@pytest.mark.parametrize(
    "reply",
    [
        lambda _: PlainTextResponse("no", 400),
        lambda _: JSONResponse([], 400),
        lambda _: JSONResponse({"errors": "no"}, 400),
        lambda _: JSONResponse({"errors": [None, {"message": 5}]}, 400),
    ],
)
async def test_an_error_body_of_any_shape_is_a_plain_rejection(key: str, reply: Any) -> None:
    async with minimal() as (fake, connection):
        fake.answer = reply
        with pytest.raises(RejectedError, match="HTTP 400 without a message") as caught:
            await TaskCreate(connection).apply(Task(name="x", project="1"), key)
        assert isinstance(caught.value, ConnectorError)


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ("assignee: Not a user in Organization: x", "assignee"),
        ("memberships: [0]: project: Missing required field", "memberships[0].project"),
        ("Custom field with ID 42 is not on given object", "custom_fields.42"),
        ("You may only provide one of due_on or due_at!", None),
    ],
)
async def test_the_field_is_read_from_asanas_message(key: str, said: str, field: str | None) -> None:
    async with minimal() as (fake, connection):
        fake.answer = lambda _: JSONResponse({"errors": [{"message": said, "help": "h"}]}, 400)
        with pytest.raises(RejectedError) as caught:
            await TaskCreate(connection).apply(Task(name="x", project="1"), key)
        assert caught.value.message == f"Asana: {said}"
        assert caught.value.field == field
