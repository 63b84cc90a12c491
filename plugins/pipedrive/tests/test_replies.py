"""What each documented error reply makes the runtime do."""

from __future__ import annotations

from typing import Any

import pytest
from crossdock_pipedrive.simulator import PipedriveSimulator
from crossdock_sdk import (
    AmbiguousError,
    AuthError,
    ConnectorError,
    NotFoundError,
    RejectedError,
    TransientError,
)
from crossdock_sdk.testing.simulator import json_response
from starlette.responses import Response

V1 = {"success": False, "error": "Deal not found", "error_info": "Check the id.", "data": None}
V2 = {"success": False, "error": "Feature is capped", "code": "feature_capping_deals_limit"}
SCHEMA = {
    "success": False,
    "error": "Validation failed: abc: Parameter 'abc' is not allowed for this request",
    "code": "ERR_SCHEMA_VALIDATION_FAILED",
}
UNAUTHORIZED = {"success": False, "error": "unauthorized access", "errorCode": 401}
BURST = {"x-ratelimit-limit": "20", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "2"}
SPENT = {"x-daily-ratelimit-token-limit": "30000", "x-daily-ratelimit-token-remaining": "0", "x-ratelimit-reset": "2"}
PAGE = Response("<!DOCTYPE html><title>Attention Required! | Cloudflare</title>", 403, media_type="text/html")


async def failure(fake: Any, reply: Response, *, method: str = "GET") -> ConnectorError:
    _, connection = await fake({f"{method} /api/v2/deals/1": reply})
    with pytest.raises(ConnectorError) as caught:
        await connection.client.request(method, "/api/v2/deals/1", json=None if method == "GET" else {})
    return caught.value


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (json_response(SCHEMA, 400), RejectedError),
        (json_response(UNAUTHORIZED, 401), AuthError),
        (json_response(V1, 402), AuthError),
        (json_response(V2, 403), RejectedError),
        (PAGE, TransientError),
        (json_response(V1, 404), NotFoundError),
        (json_response(V1, 410), NotFoundError),
        (json_response(V1, 415), RejectedError),
        (json_response(V1, 422), RejectedError),
        (json_response(V1, 429), TransientError),
        (json_response(V1, 500), TransientError),
        (json_response(V1, 503), TransientError),
        (Response("<html>", 502, media_type="text/html"), TransientError),
        (json_response(V1, 200), TransientError),
        (Response("<html>It works!</html>", 200, media_type="text/html"), TransientError),
        (Response("", 200), TransientError),
        (Response(status_code=302, headers={"location": "https://elsewhere.example"}), TransientError),
    ],
)
async def test_a_read_meets(fake: Any, reply: Response, kind: type[ConnectorError]) -> None:
    _, connection = await fake({"GET /api/v2/deals/1": reply})
    with pytest.raises(ConnectorError) as caught:
        await connection.deal("1")
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (json_response(V1, 500), AmbiguousError),
        (json_response(V1, 200), AmbiguousError),
        (json_response(V1, 429), TransientError),
        (PAGE, TransientError),
        (json_response(SCHEMA, 400), RejectedError),
    ],
)
async def test_a_write_meets(fake: Any, reply: Response, kind: type[ConnectorError]) -> None:
    assert type(await failure(fake, reply, method="PATCH")) is kind


async def test_the_message_has_the_vendors_words_and_code(fake: Any) -> None:
    error = await failure(fake, json_response(V1, 404, {"x-correlation-id": "corr-1"}))
    assert "Deal not found; Check the id." in error.message
    assert "\n" not in error.message
    assert (error.status, error.request_id) == (404, "corr-1")
    capped = await failure(fake, json_response(V2, 403))
    assert capped.code == "feature_capping_deals_limit"


async def test_the_refused_parameter_is_the_field(fake: Any) -> None:
    error = await failure(fake, json_response(SCHEMA, 400))
    assert (error.field, error.code) == ("abc", "ERR_SCHEMA_VALIDATION_FAILED")


async def test_errors_by_field_are_told(fake: Any) -> None:
    body = {"status": "error", "success": False, "errors": {"subscription_url": ["invalid or non-reachable URL"]}}
    error = await failure(fake, json_response(body, 400))
    assert "subscription_url: invalid or non-reachable URL" in error.message


@pytest.mark.parametrize(("headers", "wait"), [(BURST, 2), ({}, 2), (BURST | {"x-ratelimit-reset": "soon"}, 2)])
async def test_a_burst_waits_for_the_window(fake: Any, headers: dict[str, str], wait: float) -> None:
    assert (await failure(fake, json_response(V1, 429, headers))).retry_after == wait


@pytest.mark.parametrize(
    ("hours", "wait"), [(9, 5.5 * 3600), (0, 6 * 3600), (14.49, 60)], ids=["evening", "morning", "just before"]
)
async def test_a_spent_daily_budget_parks_until_midnight_at_most_six_hours(
    fake: Any, clock: Any, hours: float, wait: float
) -> None:
    clock.forward(hours=hours)
    error = await failure(fake, json_response(V1, 429, SPENT))
    assert error.retry_after == wait
    assert "daily" in error.message


async def test_the_firewalls_page_means_a_long_back_off_and_says_so(fake: Any) -> None:
    error = await failure(fake, PAGE)
    assert error.retry_after == 900
    assert "Pipedrive's firewall refuses us" in error.message
    assert "the connection rests for 15 min" in error.message


async def test_nothing_is_sent_while_the_vendor_wants_a_pause(fake: Any, clock: Any) -> None:
    server, connection = await fake({"GET /api/v2/deals/1": PAGE})
    for _ in range(3):
        with pytest.raises(TransientError):
            await connection.deal("1")
    assert len(server.asked) == 1
    clock.forward(seconds=901)
    with pytest.raises(TransientError):
        await connection.deal("1")
    assert len(server.asked) == 2


async def test_the_simulators_limits_are_told_apart(connect: Any, clock: Any, stack: Any) -> None:
    from crossdock_sdk.testing import serve

    burst = PipedriveSimulator(clock=clock, burst=1)
    daily = PipedriveSimulator(clock=clock, daily_tokens=1)
    for simulator, wait in ((burst, 2), (daily, 6 * 3600)):
        simulator.seed()
        url = await stack.enter_async_context(serve(simulator))
        connection = await connect(url, **simulator.settings(url) | {"burst": 100})
        await connection.deal("1")
        with pytest.raises(TransientError) as caught:
            await connection.deal("1")
        assert caught.value.retry_after == wait


async def test_a_wrong_token_is_an_auth_error_and_is_not_shown(served: Any, connect: Any) -> None:
    _, url = served
    connection = await connect(url, api_token="wrong-token-0001")
    with pytest.raises(AuthError) as caught:
        await connection.deal("1")
    assert "wrong-token" not in str(caught.value.facts())
