"""What `ApiClient` sends, and what it makes of the replies."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

import pytest
from crossdock_sdk import (
    AmbiguousError,
    ApiClient,
    AuthError,
    BearerAuth,
    ConfigError,
    ConnectorError,
    Context,
    HeaderAuth,
    Limits,
    NotFoundError,
    RejectedError,
    Reply,
    TransientError,
    UnavailableError,
)
from crossdock_sdk.http.errors import retry_after
from crossdock_sdk.testing import serve
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SECRET = "xoxb-4711-very-secret"


class Vendor:
    """Keeps what it was sent and answers what it was told to."""

    def __init__(self) -> None:
        self.got: list[tuple[Request, bytes]] = []
        self.answer: Callable[[Request], Response] = lambda _: Response(b"{}", media_type="application/json")
        self.app = Starlette(
            routes=[Route("/{path:path}", self._handle, methods=["GET", "POST", "PUT", "PATCH", "DELETE"])]
        )

    async def _handle(self, request: Request) -> Response:
        self.got.append((request, await request.body()))
        return self.answer(request)

    def answers(self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        self.answer = lambda _: Response(body, status, dict(headers or {}))


@pytest.fixture
async def vendor() -> Vendor:
    return Vendor()


@contextlib.asynccontextmanager
async def calling(vendor: Vendor, *, path: str = "", **options: Any) -> AsyncIterator[ApiClient]:
    context = options.pop("context", None) or Context("crm", now=lambda: NOW)
    async with serve(vendor.app) as url:
        api = ApiClient(url + path, context, **options)
        try:
            yield api
        finally:
            await api.close()


async def failure(vendor: Vendor, method: str = "POST", **options: Any) -> ConnectorError:
    async with calling(vendor, **options) as api:
        with pytest.raises(ConnectorError) as caught:
            await api.request(method, "/deals/812", params={"key": SECRET})
    return caught.value


# --- requests ------------------------------------------------------------------------------------------------


async def test_numbers_are_exact_in_both_directions(vendor: Vendor) -> None:
    vendor.answers(200, b'{"total": 30.30, "rate": 0.1000000000000000055511151231257827, "count": 3}')
    async with calling(vendor) as api:
        sent = {"price": Decimal("10.10"), "tiny": Decimal("0.00000000001")}
        reply = await api.post("/invoice", json=sent)
    assert vendor.got[0][1] == b'{"price":10.10,"tiny":1E-11}'
    assert reply.json()["total"] == Decimal("30.30")
    assert str(reply.json()["rate"]) == "0.1000000000000000055511151231257827"
    assert reply.json()["count"] == 3


async def test_the_path_is_appended_to_the_base_urls_own_path(vendor: Vendor) -> None:
    async with calling(vendor, path="/api/v2/") as api:
        await api.get("/deals/812")
        await api.get("deals/a%2Fb?operation=delete", params={"x": "1"})
        await api.get("")
    assert [r.scope["raw_path"] for r, _ in vendor.got] == [b"/api/v2/deals/812", b"/api/v2/deals/a%2Fb", b"/api/v2"]
    assert vendor.got[1][0].url.query == "operation=delete&x=1"


async def test_parameters_arrive_as_they_were_given(vendor: Vendor) -> None:
    query = "select * from Customer where DisplayName = 'Amy\\'s + Søn & Co; 100%/?#'"
    async with calling(vendor) as api:
        await api.get("/q", params={"query": query, "none": None, "ids": [1, "b"], "all": True, "n": Decimal("1.50")})
    given = parse_qsl(vendor.got[0][0].scope["query_string"].decode())
    assert given == [("query", query), ("ids", "1"), ("ids", "b"), ("all", "true"), ("n", "1.50")]


async def test_bodies_have_their_content_type(vendor: Vendor) -> None:
    async with calling(vendor, headers={"X-App": "1"}) as api:
        await api.post("/a", json=[1])
        await api.put("/b", form={"a": "x y&z"})
        await api.patch("/c", content="select 1", headers={"Content-Type": "application/text"})
        await api.delete("/d")
    kinds = [(r.method, r.headers.get("content-type"), body) for r, body in vendor.got]
    assert kinds == [
        ("POST", "application/json", b"[1]"),
        ("PUT", "application/x-www-form-urlencoded", b"a=x+y%26z"),
        ("PATCH", "application/text", b"select 1"),
        ("DELETE", None, b""),
    ]
    assert {r.headers["x-app"] for r, _ in vendor.got} == {"1"}


@pytest.mark.parametrize("extra", [{"json": {"x": object()}}, {"json": {"x": Decimal("NaN")}}, {"json": 1, "form": {}}])
async def test_what_cannot_be_encoded_is_rejected_before_it_is_sent(vendor: Vendor, extra: dict[str, Any]) -> None:
    async with calling(vendor) as api:
        with pytest.raises(RejectedError, match="not sent"):
            await api.post("/a", **extra)
        with pytest.raises(RejectedError, match="not sent"):
            await api.post("/a\nb", json={})
    assert vendor.got == []


@pytest.mark.parametrize("url", ["crm.example", "ftp://crm.example", "https://u:p@crm.example", "https://a/?b=c", ""])
def test_a_base_url_that_is_none_is_a_config_error(url: str) -> None:
    with pytest.raises(ConfigError, match="crm: base_url must be"):
        ApiClient(url, Context("crm"))


# --- replies -------------------------------------------------------------------------------------------------

TABLE = [
    (301, AmbiguousError, TransientError),
    (400, RejectedError, RejectedError),
    (401, AuthError, AuthError),
    (403, RejectedError, RejectedError),
    (404, NotFoundError, NotFoundError),
    (408, AmbiguousError, TransientError),
    (409, RejectedError, RejectedError),
    (410, NotFoundError, NotFoundError),
    (422, RejectedError, RejectedError),
    (429, TransientError, TransientError),
    (500, AmbiguousError, TransientError),
    (502, AmbiguousError, TransientError),
    (503, UnavailableError, TransientError),
    (504, AmbiguousError, TransientError),
]


@pytest.mark.parametrize(("status", "write", "read"), TABLE)
async def test_a_status_means_one_error_for_writes_and_one_for_reads(
    vendor: Vendor, status: int, write: type[ConnectorError], read: type[ConnectorError]
) -> None:
    headers = {"x-request-id": "r-17", "location": "/elsewhere"}
    vendor.answers(status, b'{"error": "the vendor\'s own\n  words"}', headers)
    async with calling(vendor) as api:
        for method, kind in (("POST", write), ("DELETE", write), ("GET", read)):
            with pytest.raises(kind) as caught:
                await api.request(method, "/deals/812", params={"key": SECRET})
            error = caught.value
            assert type(error) is kind
            assert (error.status, error.request_id) == (status, "r-17")
            assert "\n" not in error.message
            assert SECRET not in error.message
            assert status < 400 or "the vendor's own words" in error.message
    assert len(vendor.got) == 3


async def test_a_reply_that_is_not_json_is_never_success(vendor: Vendor) -> None:
    async with calling(vendor) as api:
        for body in (b"<html>It works!</html>", b"", b'{"id": 1', b'{"id": 1e99999999999999999999}', b"[" * 100_000):
            vendor.answers(200, body)
            with pytest.raises(AmbiguousError):
                (await api.post("/a", json={})).json()
            with pytest.raises(TransientError):
                (await api.get("/a")).json()
            with pytest.raises(TransientError):
                (await api.post("/query", content="select", write=False)).json()


async def test_require_names_what_the_reply_lacks(vendor: Vendor) -> None:
    vendor.answers(200, b'{"Invoice": {"Id": "7", "Line": [{"Id": "1"}], "DocNumber": null}}')
    async with calling(vendor) as api:
        reply = await api.post("/invoice", json={})
    assert reply.require("Invoice", "Line", 0, "Id") == "1"
    for path in (("Invoice", "DocNumber"), ("Invoice", "Line", 1), ("Invoice", "Id", "x"), ("Customer", "Id")):
        with pytest.raises(AmbiguousError, match="lacks " + ".".join(map(str, path))):
            reply.require(*path)


def vendor_mapping(reply: Reply) -> ConnectorError | None:
    code = reply.json().get("code")
    if code == "gone":
        return NotFoundError("it is gone", code=code)
    if code == "busy":
        return TransientError(f"busy, you are {SECRET}", code=code, retry_after=30)
    if code == "bug":
        raise ZeroDivisionError
    return None


@pytest.mark.parametrize(
    ("status", "body", "write", "read"),
    [
        (200, b'{"code": "gone"}', NotFoundError, NotFoundError),
        (403, b'{"code": "busy"}', TransientError, TransientError),
        (500, b'{"code": "busy"}', AmbiguousError, TransientError),
        (408, b'{"code": "busy"}', AmbiguousError, TransientError),
        (404, b'{"code": "unheard of"}', NotFoundError, NotFoundError),
        (404, b"<html>", NotFoundError, NotFoundError),
        (200, b"<html>", AmbiguousError, TransientError),
        (200, b'{"code": "bug"}', AmbiguousError, TransientError),
        (400, b'{"code": "bug"}', RejectedError, RejectedError),
    ],
)
async def test_the_vendors_own_mapping_is_asked_first(
    vendor: Vendor, status: int, body: bytes, write: type[ConnectorError], read: type[ConnectorError]
) -> None:
    vendor.answers(status, body)
    for method, kind in (("POST", write), ("GET", read)):
        context = Context("crm", now=lambda: NOW)
        context.redactor.add(SECRET)
        error = await failure(vendor, method, errors=vendor_mapping, context=context)
        assert type(error) is kind
        assert error.status == status
        assert SECRET not in error.message + str(error)
        if b"busy" in body:
            assert (error.code, error.retry_after) == ("busy", 30)


async def test_a_200_that_the_mapping_leaves_alone_is_returned(vendor: Vendor) -> None:
    vendor.answers(200, b'{"code": null}')
    async with calling(vendor, errors=vendor_mapping) as api:
        assert (await api.post("/a", json={})).status == 200


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("30", 30.0),
        ("0", 0.0),
        ("1.5", 1.5),
        ("-5", 0.0),
        ("86400000", 86_400_000.0),
        ("Sun, 01 Mar 2026 12:00:45 GMT", 45.0),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0.0),
        ("Sun, 01 Mar 2026 12:00:45 -0000", 45.0),
        ("Sunday, 01-Mar-26 12:00:45 GMT", 45.0),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    assert retry_after(value, NOW) == seconds


@pytest.mark.parametrize(("status", "waits"), [(429, True), (503, True), (500, True), (400, False)])
async def test_retry_after_goes_with_the_errors_that_are_retried(vendor: Vendor, status: int, waits: bool) -> None:
    vendor.answers(status, headers={"Retry-After": "Sun, 01 Mar 2026 12:02:00 GMT"})
    assert (await failure(vendor)).retry_after == (120.0 if waits else None)


# --- throttling ----------------------------------------------------------------------------------------------


async def test_after_a_429_nothing_is_sent_until_the_pause_is_over(vendor: Vendor) -> None:
    clock = [NOW]
    vendor.answers(429, headers={"Retry-After": "30"})
    async with calling(vendor, context=Context("crm", now=lambda: clock[0])) as api:
        with pytest.raises(TransientError):
            await api.post("/a", json={})
        clock[0] = NOW.replace(second=10)
        with pytest.raises(TransientError, match="asked for a pause") as caught:
            await api.post("/a", json={})
        assert caught.value.retry_after == 20
        assert len(vendor.got) == 1
        vendor.answers(200)
        clock[0] = NOW.replace(second=30)
        await api.post("/a", json={})
    assert len(vendor.got) == 2


async def test_a_500_does_not_hold_back_other_requests(vendor: Vendor) -> None:
    vendor.answers(500, headers={"Retry-After": "30"})
    async with calling(vendor) as api:
        for _ in range(2):
            with pytest.raises(AmbiguousError):
                await api.post("/a", json={})
    assert len(vendor.got) == 2


async def test_no_more_than_the_allowed_number_are_on_their_way_at_once() -> None:
    now, most = 0, 0
    release, full = asyncio.Event(), asyncio.Event()

    async def handle(request: Request) -> Response:
        nonlocal now, most
        now += 1
        most = max(most, now)
        if now == 3:
            full.set()
        await release.wait()
        now -= 1
        return Response(b"{}")

    async with serve(Starlette(routes=[Route("/a", handle)])) as url:
        api = ApiClient(url, Context("crm"), limits=Limits(concurrency=3))
        calls = [asyncio.create_task(api.get("/a")) for _ in range(12)]
        await full.wait()
        release.set()
        await asyncio.gather(*calls)
        await api.close()
    assert most == 3


# --- credentials and redaction -------------------------------------------------------------------------------


async def test_static_credentials_are_sent_and_a_401_is_not_repeated(vendor: Vendor) -> None:
    async with calling(vendor, auth=BearerAuth(SecretStr(SECRET))) as api:
        await api.get("/a")
    async with calling(vendor, auth=HeaderAuth("x-api-token", SecretStr(SECRET))) as api:
        await api.get("/a")
    assert vendor.got[0][0].headers["authorization"] == f"Bearer {SECRET}"
    assert vendor.got[1][0].headers["x-api-token"] == SECRET
    vendor.answers(401)
    assert type(await failure(vendor, auth=BearerAuth(SecretStr(SECRET)))) is AuthError
    assert len(vendor.got) == 3


def traced() -> tuple[TracerProvider, InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider, exporter


def everything(span: ReadableSpan) -> str:
    return f"{span.to_json()} {span.status.description} {span.events}"


async def test_one_span_per_request_by_the_semantic_conventions(vendor: Vendor) -> None:
    provider, exporter = traced()
    context = Context("crm", tracer_provider=provider)
    async with calling(vendor, context=context) as api:
        await api.post("/deals", json={}, params={"limit": 5})
        vendor.answers(503)
        with pytest.raises(TransientError):
            await api.patch("/deals/1", json={})
    made, failed = exporter.get_finished_spans()
    assert made.name == "POST"
    attributes = dict(made.attributes or {})
    port = attributes.pop("server.port")
    assert attributes == {
        "http.request.method": "POST",
        "server.address": "127.0.0.1",
        "url.full": f"http://127.0.0.1:{port}/deals?limit=5",
        "http.response.status_code": 200,
    }
    assert made.kind.name == "CLIENT"
    assert (failed.attributes or {})["error.type"] == "503"
    assert failed.status.status_code.name == "ERROR"


async def test_a_request_without_a_reply_has_a_span_too() -> None:
    provider, exporter = traced()
    api = ApiClient("http://nonexistent.invalid", Context("crm", tracer_provider=provider))
    with pytest.raises(TransientError):
        await api.get("/a")
    await api.close()
    (span,) = exporter.get_finished_spans()
    assert (span.attributes or {})["error.type"] == "TransientError"
    assert span.events == ()


async def test_no_secret_is_in_spans_errors_logs_or_reprs(vendor: Vendor, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    provider, exporter = traced()
    context = Context("crm", now=lambda: NOW, tracer_provider=provider)
    context.redactor.add(SECRET)
    vendor.answer = lambda r: Response(f"you sent {r.headers['authorization']}", 400)
    auth = BearerAuth(SecretStr(SECRET))
    error = await failure(vendor, auth=auth, context=context)
    assert "you sent Bearer [redacted]" in error.message
    vendor.answer = lambda r: Response(f'"{SECRET}"', 200, {"set-cookie": SECRET})
    async with calling(vendor, auth=auth, context=context, path=f"/{SECRET}") as api:
        reply = await api.get(f"/hooks/{SECRET}", params={"token": SECRET})
        shown = [error.message, repr(error), str(error.facts()), repr(reply), reply.url, repr(auth), repr(api)]
    shown += [everything(span) for span in exporter.get_finished_spans()] + [caplog.text]
    assert all(SECRET not in text for text in shown)
    assert reply.url.endswith("/[redacted]/hooks/[redacted]?token=[redacted]")
