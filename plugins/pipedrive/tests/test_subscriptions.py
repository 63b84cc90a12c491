"""Webhooks v2 registered by API, and what is wrong with them."""

from __future__ import annotations

from typing import Any

import pytest
from crossdock_pipedrive.connection import PipedriveConnection
from crossdock_pipedrive.simulator import PipedriveSimulator
from crossdock_pipedrive.source import PipedriveSource
from crossdock_sdk import ConfigError, PollRequest, RejectedError, Subscription

TOPICS = ["change.deal", "create.deal"]


@pytest.fixture
def source(connection: PipedriveConnection) -> PipedriveSource:
    return PipedriveSource(connection)


@pytest.fixture
async def target(listener: Any, simulator: PipedriveSimulator) -> str:
    """The listener's address, with no webhook registered yet."""
    [hook] = simulator.webhooks.values()
    simulator.webhooks.clear()
    return str(hook["subscription_url"])


async def register(source: PipedriveSource, url: str) -> list[Subscription]:
    return [await source.subscribe(one, f"{url}?registration=7f3a") for one in await source.wanted(url, ["deal.won"])]


async def test_a_win_is_wanted_of_changed_and_of_created_deals(source: PipedriveSource) -> None:
    url = "https://cross.example/webhooks/crm"
    assert await source.wanted(url, ["deal.won"]) == [Subscription(topic, url) for topic in TOPICS]
    assert await source.wanted(url, []) == []


async def test_a_registered_webhook_delivers_with_our_password(
    source: PipedriveSource,
    simulator: PipedriveSimulator,
    connection: PipedriveConnection,
    listener: Any,
    target: str,
) -> None:
    made = await register(source, target)
    assert [one.topic for one in made] == TOPICS
    assert {one.url for one in made} == {f"{target}?registration=7f3a"}
    assert [one.trouble for one in made] == [None, None]
    assert await source.subscriptions() == made
    await simulator.trigger("deal.won", {"title": "Acme"})
    await simulator.settle()
    assert len([event for events in listener.events(connection) for event in events]) == 1
    assert {body["meta"]["version"] for body in listener.bodies} == {"2.0"}


async def test_removing_is_done_once_and_asking_again_is_no_error(source: PipedriveSource, target: str) -> None:
    made = await register(source, target)
    for one in (*made, *made, Subscription("change.deal", target)):
        await source.unsubscribe(one)
    assert await source.subscriptions() == []


async def test_webhooks_of_others_are_listed_as_they_are(
    source: PipedriveSource, simulator: PipedriveSimulator, target: str
) -> None:
    made = await register(source, target)
    simulator.webhooks[int(made[0].id or 0)] |= {"version": "1.0", "event_object": "person"}
    assert (await source.subscriptions())[0].topic == "change.person (version 1.0)"


async def test_a_target_that_nobody_answers_is_refused_in_pipedrives_words(source: PipedriveSource) -> None:
    with pytest.raises(RejectedError, match="subscription_url: invalid or non-reachable URL"):
        await register(source, "http://127.0.0.1:9/hook")


async def test_the_limit_of_forty_is_told(source: PipedriveSource, target: str) -> None:
    for _ in range(20):
        await register(source, target)
    with pytest.raises(RejectedError, match="limit reached") as caught:
        await register(source, target)
    assert caught.value.status == 422


async def test_without_a_password_nothing_is_registered(connect: Any, served: Any) -> None:
    simulator, url = served
    settings = simulator.settings(url)
    del settings["webhook"]
    source = PipedriveSource(await connect(url, **settings))
    with pytest.raises(ConfigError, match="connection crm has no webhook user and password"):
        await register(source, url)
    assert not simulator.webhooks


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"is_active": 0, "remove_reason": "no answer"}, "switched off by Pipedrive: no answer"),
        ({"is_active": False}, "switched off by Pipedrive"),
        ({"last_http_status": 503}, "the last delivery got HTTP 503; after ten failures"),
        ({"last_http_status": 301}, "the last delivery got HTTP 301"),
        ({"http_auth_user": "somebody"}, "registered with another user than webhook.user"),
        ({"is_active": 0, "last_http_status": 500}, "switched off by Pipedrive; the last delivery got HTTP 500"),
    ],
)
async def test_trouble_is_told(
    source: PipedriveSource, simulator: PipedriveSimulator, target: str, state: dict[str, Any], said: str
) -> None:
    made = await register(source, target)
    simulator.webhooks[int(made[0].id or 0)] |= state
    first, second = await source.subscriptions()
    assert (first.trouble or "").startswith(said) or said in (first.trouble or "")
    assert second.trouble is None


@pytest.mark.parametrize("state", [{"last_http_status": 204}, {"http_auth_user": None}, {"is_active": True}])
async def test_no_trouble_is_made_of_what_is_well(
    source: PipedriveSource, simulator: PipedriveSimulator, target: str, state: dict[str, Any]
) -> None:
    made = await register(source, target)
    simulator.webhooks[int(made[0].id or 0)] |= state
    assert [one.trouble for one in await source.subscriptions()] == [None, None]


async def test_what_happens_while_a_webhook_is_banned_is_found_by_the_poll(
    source: PipedriveSource,
    simulator: PipedriveSimulator,
    connection: PipedriveConnection,
    listener: Any,
    target: str,
    clock: Any,
) -> None:
    begin = clock()
    await source.subscribe(Subscription("change.deal", target), target)
    simulator.delays, simulator.bans = (), True
    listener.refusals = 10
    for number in range(11):
        await simulator.trigger("deal.won", {"title": str(number)})
        await simulator.settle()
    assert len(listener.requests) == 10
    [standing] = await source.subscriptions()
    assert "HTTP 500" in (standing.trouble or "")
    request = PollRequest(None, begin, source.polling.overlap if source.polling else clock(), frozenset({"deal.won"}))
    assert len((await source.poll(request)).events) == 11
    clock.forward(minutes=30)
    await simulator.trigger("deal.won", {"title": "after the ban"})
    await simulator.settle()
    assert len(listener.requests) == 11
    assert [one.trouble for one in await source.subscriptions()] == [None]


async def test_after_three_days_without_success_a_webhook_is_switched_off(
    source: PipedriveSource, simulator: PipedriveSimulator, listener: Any, target: str, clock: Any
) -> None:
    await source.subscribe(Subscription("change.deal", target), target)
    simulator.delays, simulator.bans = (), True
    listener.refusals = 1
    await simulator.trigger("deal.won", {"title": "x"})
    await simulator.settle()
    clock.forward(days=3)
    await simulator.trigger("deal.won", {"title": "y"})
    await simulator.settle()
    assert len(listener.requests) == 1
    [standing] = await source.subscriptions()
    assert (standing.trouble or "").startswith("switched off by Pipedrive: no successful delivery")
