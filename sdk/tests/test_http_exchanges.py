"""Whoever listens hears what went over the wire; bodies that hold tokens are heard by nobody."""

from __future__ import annotations

import asyncio

import pytest
from crossdock_sdk import ApiClient, Context, TransientError
from crossdock_sdk.http.exchanges import listening
from crossdock_sdk.testing import serve
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


async def _answer(request: Request) -> Response:
    return Response(b'{"is":' + await request.body() + b"}", 200, {"x-request-id": "q-17"})


APP = Starlette(routes=[Route("/{path:path}", _answer, methods=["GET", "POST"])])


async def test_a_request_and_its_reply_are_heard_by_who_listens_and_by_no_other() -> None:
    async with serve(APP) as url:
        api = ApiClient(url, Context("crm"))
        await api.post("/before", json=1)
        with listening() as outer:
            await asyncio.create_task(api.post("/deals", json={"title": "Ä"}))
            with listening() as inner:
                await api.post("/inner", json=2)
        await api.post("/after", json=3)
        await api.close()
    [heard] = outer
    assert (heard.method, heard.url, heard.status, heard.request_id) == ("POST", f"{url}/deals", 200, "q-17")
    assert heard.sent == '{"title":"Ä"}'.encode()
    assert heard.answered == '{"is":{"title":"Ä"}}'.encode()
    assert heard.seconds > 0
    assert [one.url for one in inner] == [f"{url}/inner"]


async def test_a_request_without_a_reply_is_heard_with_its_reason(unused_tcp_port: int) -> None:
    api = ApiClient(f"http://127.0.0.1:{unused_tcp_port}", Context("crm"))
    with listening() as heard, pytest.raises(TransientError):
        await api.get("/deals")
    await api.close()
    assert (heard[0].status, heard[0].answered) == (None, None)
    assert "no connection" in (heard[0].failure or "")


async def test_bodies_with_tokens_are_not_heard() -> None:
    async with serve(APP) as url:
        api = ApiClient(url, Context("crm"), private=True)
        with listening() as heard:
            await api.post("/token", form={"refresh_token": "very-secret"})
        await api.close()
    assert (heard[0].status, heard[0].sent, heard[0].answered) == (200, None, None)
