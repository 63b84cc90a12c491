"""What is kept of what a vendor says of its limits."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from crossdock_sdk import ApiClient, Context, Quota, Reply, TransientError
from crossdock_sdk.http.quotas import STALE, Quotas
from crossdock_sdk.http.reply import http_date
from crossdock_sdk.testing import serve
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def said(**headers: str) -> Reply:
    return Reply(
        200, {name.replace("_", "-"): value for name, value in headers.items()}, b"", "GET", "http://v/", False
    )


def left(reply: Reply) -> Iterator[Quota]:
    yield Quota("day", float(reply.headers["left"]), 100)
    if "burst" in reply.headers:
        yield Quota("burst", float(reply.headers["burst"]), 10, NOW + timedelta(seconds=2))


def test_a_quota_is_known_until_it_is_filled_up_or_nothing_has_been_said_for_an_hour() -> None:
    clock = [NOW]
    quotas = Quotas(left, lambda: clock[0])
    quotas.note(said(left="7", burst="3"))
    assert {quota.name: quota.remaining for quota in quotas.standing} == {"day": 7, "burst": 3}
    assert {quota.seen_at for quota in quotas.standing} == {NOW}
    clock[0] = NOW + timedelta(seconds=2)
    assert {quota.name: quota.remaining for quota in quotas.standing} == {"day": 7}
    clock[0] = NOW + STALE
    assert quotas.standing == ()


def test_it_is_known_whether_a_vendor_tells_of_its_limits_at_all() -> None:
    assert Quotas(left, lambda: NOW).told
    assert not Quotas(None, lambda: NOW).told


def test_a_reply_that_says_nothing_usable_leaves_what_is_known() -> None:
    quotas = Quotas(left, lambda: NOW)
    quotas.note(said(left="7"))
    quotas.note(said(left="many"))
    quotas.note(said())
    assert [quota.remaining for quota in quotas.standing] == [7]


async def test_a_refusal_tells_of_the_limits_too_and_a_pause_is_what_is_left_of_it() -> None:
    clock = [NOW]

    async def refuse(_: object) -> Response:
        return Response(status_code=429, headers={"left": "0", "retry-after": "30"})

    async with serve(Starlette(routes=[Route("/", refuse)])) as url:
        client = ApiClient(url, Context("v", now=lambda: clock[0]), quotas=left)
        assert (client.headroom.quotas, client.headroom.pause) == ((), 0)
        with pytest.raises(TransientError):
            await client.get("/")
        clock[0] += timedelta(seconds=10)
        assert [quota.remaining for quota in client.headroom.quotas] == [0]
        assert client.headroom.pause == 20
        await client.close()


@pytest.mark.parametrize(
    ("header", "instant"),
    [
        ("Mon, 23 Nov 2026 09:00:00 GMT", NOW),
        ("Mon, 23 Nov 2026 09:00:00 -0000", NOW),
        ("Mon, 23 Nov 2026 10:00:00 +0100", NOW),
        ("today", None),
        ("", None),
        (None, None),
    ],
)
def test_an_http_date_is_an_instant_or_nothing(header: str | None, instant: datetime | None) -> None:
    assert http_date(header) == instant
    assert said(**({} if header is None else {"date": header})).date == instant
