"""The pace of a connection and the pauses that its vendor asks for, by a clock that the tests turn."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from crossdock_sdk import Limits, TransientError
from crossdock_sdk.http.layer import Request
from crossdock_sdk.http.limits import LONGEST_NAP, Limited, Pace
from crossdock_sdk.http.reply import Reply
from hypothesis import given, settings
from hypothesis import strategies as st

REQUEST = Request("POST", "http://crm.example/deals", {}, None, True, "http://crm.example/deals")


class Clock:
    def __init__(self) -> None:
        self.at = 1_000.0
        self.naps: list[float] = []

    def monotonic(self) -> float:
        return self.at

    def now(self) -> datetime:
        return datetime(2026, 3, 1, tzinfo=UTC) + timedelta(seconds=self.at)

    async def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.at += seconds


def limited(clock: Clock, limits: Limits) -> tuple[Limited, list[float]]:
    sent: list[float] = []

    class Inner:
        async def send(self, request: Request) -> Reply:
            sent.append(clock.at)
            return Reply(200, {}, b"", request.method, request.shown, request.write)

        async def close(self) -> None: ...

    return Limited(Inner(), limits, clock.now, monotonic=clock.monotonic, sleep=clock.sleep), sent


@settings(deadline=None)
@given(
    requests=st.integers(1, 40),
    per=st.floats(0.5, 120, allow_nan=False),
    gaps=st.lists(st.floats(0, 30, allow_nan=False), min_size=1, max_size=150),
)
def test_no_window_ever_sees_more_than_the_allowed_requests(requests: int, per: float, gaps: list[float]) -> None:
    pace, now, left = Pace(requests, per), 0.0, []
    for gap in gaps:
        now += gap
        left.append(now + pace.wait(now))
        pace.take(now)
    for first, beyond in zip(left, left[requests:], strict=False):
        assert beyond - first >= per * (1 - 1e-9)


def test_a_fifth_may_leave_at_once_and_the_full_number_leaves_in_a_window() -> None:
    pace, now, left = Pace(100, 60.0), 0.0, 0
    while now < 60.0:
        if pace.wait(now) == 0:
            pace.take(now)
            left += 1
            if now == 0:
                assert left <= 20
        else:
            now += pace.wait(now)
    assert left in (99, 100)


async def test_short_waits_are_slept_and_long_ones_given_back() -> None:
    clock = Clock()
    layer, sent = limited(clock, Limits(requests=60, per=60.0))
    for _ in range(30):
        await layer.send(REQUEST)
    assert len(sent) == 30
    assert clock.naps
    assert max(clock.naps) <= LONGEST_NAP
    slow, sent = limited(clock, Limits(requests=1, per=60.0))
    await slow.send(REQUEST)
    with pytest.raises(TransientError, match="rate limit") as caught:
        await slow.send(REQUEST)
    assert caught.value.retry_after == pytest.approx(60.0)
    assert len(sent) == 1


async def test_a_short_pause_is_slept() -> None:
    clock = Clock()
    layer, sent = limited(clock, Limits())
    layer.park(1.5)
    await layer.send(REQUEST)
    assert clock.naps == [1.5]
    assert sent == [1_001.5]


async def test_the_longer_of_two_pauses_stands() -> None:
    clock = Clock()
    layer, _ = limited(clock, Limits())
    layer.park(60)
    layer.park(5)
    clock.at += 10
    with pytest.raises(TransientError) as caught:
        await layer.send(REQUEST)
    assert caught.value.retry_after == 50


async def test_a_clock_that_is_set_back_ends_the_pause() -> None:
    clock = Clock()
    layer, sent = limited(clock, Limits())
    layer.park(60)
    clock.at -= 3_600
    await layer.send(REQUEST)
    assert len(sent) == 1


@pytest.mark.parametrize("bad", [{"concurrency": 0}, {"requests": 0}, {"per": 0.0}])
def test_limits_must_be_positive(bad: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="positive"):
        Limits(**bad)
