"""Webhooks registered by API, from the handshake to what is wrong with them."""

from __future__ import annotations

from typing import Any

import pytest
from crossdock_asana.topics import filters_for, resource_and_filters, topic
from crossdock_sdk import ConfigError, RejectedError, Subscription
from crossdock_sdk.testing import serve
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

ALL = ("task.completed", "task.changed", "task.deleted")


async def registered(board: Any, listener: Any, *events: str) -> Subscription:
    [wanted] = await board.source.wanted(listener.url, events)
    made = await board.source.subscribe(wanted, f"{listener.url}?registration=7f3a")
    await board.simulator.settle()
    assert isinstance(made, Subscription)
    return made


@pytest.mark.parametrize(
    ("events", "line"),
    [
        (("task.completed",), "task changed of completed in 1201"),
        (("task.changed",), "task changed in 1201"),
        (("task.completed", "task.changed"), "task changed in 1201"),
        (("task.deleted",), "task deleted in 1201"),
        (ALL, "task changed, task deleted in 1201"),
        (("task.completed", "task.deleted"), "task changed of completed, task deleted in 1201"),
    ],
)
async def test_one_webhook_for_each_project_and_as_little_as_possible(
    pat_board: Any, events: tuple[str, ...], line: str
) -> None:
    url = "https://cross.example/webhooks/board"
    assert await pat_board.source.wanted(url, events) == [Subscription(line, url)]
    two = await pat_board.watching("1201", "1300").wanted(url, events)
    assert [one.topic for one in two] == [line, line.replace("1201", "1300")]
    assert len(pat_board.simulator.requests) == 0


async def test_nothing_is_wanted_without_events_or_projects(pat_board: Any) -> None:
    assert await pat_board.source.wanted("https://x.example", ()) == []
    with pytest.raises(ConfigError, match="watches nothing"):
        await pat_board.watching().wanted("https://x.example", ALL)


NAMES = st.from_regex(r"[a-z_]{1,9}", fullmatch=True)
FILTERS = st.fixed_dictionaries(
    {"resource_type": NAMES, "action": NAMES}, optional={"fields": st.lists(NAMES, min_size=1, max_size=3, unique=True)}
)


@given(st.lists(FILTERS, min_size=1, max_size=3), st.from_regex(r"[0-9]{1,16}", fullmatch=True))
def test_a_topic_says_all_that_its_filters_say(filters: list[dict[str, Any]], resource: str) -> None:
    named, read = resource_and_filters(topic(resource, filters))
    assert named == resource
    assert topic(resource, read) == topic(resource, filters) == topic(resource, reversed(filters))


async def test_registering_shakes_hands_during_the_call_and_deliveries_are_signed(
    board: Any, pat_board: Any, listener: Any
) -> None:
    made = await registered(pat_board, listener, *ALL)
    assert len(listener.secrets) == 1
    assert (made.topic, made.url) == ("task changed, task deleted in 1201", f"{listener.url}?registration=7f3a")
    assert made.trouble is None
    assert await pat_board.source.subscriptions() == [made]
    [heartbeat] = listener.deliveries
    assert heartbeat.body == b'{"events":[]}'
    assert heartbeat.query == {"registration": "7f3a"}


async def test_what_people_do_arrives(pat_board: Any, listener: Any) -> None:
    await registered(pat_board, listener, *ALL)
    task = await pat_board.act("task.complete")
    pat_board.clock.forward(seconds=2)
    await pat_board.act("task.edit", task, name="x")
    await pat_board.act("task.delete", task)
    await pat_board.simulator.settle()
    assert sorted(event.type for event in listener.events) == [
        "task.changed",
        "task.changed",
        "task.completed",
        "task.deleted",
    ]
    assert {event.subject for event in listener.events} == {task}


async def test_filters_keep_noise_away(pat_board: Any, listener: Any) -> None:
    await registered(pat_board, listener, "task.completed")
    task = await pat_board.act("task.edit", name="x", notes="y")
    await pat_board.act("task.delete", task)
    await pat_board.simulator.settle()
    assert len(listener.deliveries) == 1
    await pat_board.act("task.complete")
    await pat_board.simulator.settle()
    assert len(listener.deliveries) == 2


async def test_other_projects_are_not_told_of(pat_board: Any, listener: Any) -> None:
    await pat_board.simulator.trigger("project.create", {"name": "Sales", "gid": "1300"})
    await registered(pat_board, listener, *ALL)
    made = await pat_board.simulator.trigger("task.create", {"project": "1300", "name": "x"})
    await pat_board.act("task.complete", made["task"]["gid"])
    await pat_board.simulator.settle()
    assert listener.events == []


async def test_shuffled_and_doubled_deliveries_tell_the_same_events(pat_board: Any, listener: Any) -> None:
    await registered(pat_board, listener, *ALL)
    pat_board.simulator.webhooks.held = []
    cursor_events = set()
    for _ in range(10):
        task = await pat_board.act("task.complete")
        pat_board.clock.forward(seconds=1)
        cursor_events.add(("task.completed", task))
    pat_board.simulator.webhooks.release(seed=3, duplicates=0.5)
    await pat_board.simulator.settle()
    completed = [event for event in listener.events if event.type == "task.completed"]
    assert len(completed) > 10
    assert {(event.type, event.subject) for event in completed} == cursor_events
    assert len({event.id for event in completed}) == 10


async def test_a_target_that_does_not_expect_the_handshake_gets_no_webhook(pat_board: Any, listener: Any) -> None:
    listener.expecting = False
    with pytest.raises(RejectedError, match="did not respond with the handshake secret"):
        await registered(pat_board, listener, *ALL)
    assert await pat_board.source.subscriptions() == []


async def test_a_target_that_nobody_answers_gets_none_either(pat_board: Any, listener: Any) -> None:
    listener.url = "http://127.0.0.1:9/hook"
    with pytest.raises(RejectedError, match="did not answer the handshake"):
        await registered(pat_board, listener, *ALL)


async def test_the_same_webhook_twice_is_refused_in_words_that_fit(pat_board: Any, listener: Any) -> None:
    await registered(pat_board, listener, *ALL)
    with pytest.raises(ConfigError, match=r"not a second time for project 1201.*Duplicated webhook"):
        await registered(pat_board, listener, *ALL)


async def test_a_topic_that_is_none_is_refused_before_asana_is_asked(pat_board: Any) -> None:
    with pytest.raises(RejectedError, match=r"'change\.deal' is not like"):
        await pat_board.source.subscribe(Subscription("change.deal", "https://x.example"), "https://x.example?r=1")
    assert len(pat_board.simulator.requests) == 0


async def test_removing_is_done_once_and_asking_again_is_no_error(pat_board: Any, listener: Any) -> None:
    made = await registered(pat_board, listener, *ALL)
    for subscription in (made, made, Subscription(made.topic, made.url)):
        await pat_board.source.unsubscribe(subscription)
    assert await pat_board.source.subscriptions() == []
    await pat_board.act("task.complete")
    await pat_board.simulator.settle()
    assert listener.events == []


async def test_webhooks_of_projects_no_longer_watched_are_seen_too(pat_board: Any, listener: Any) -> None:
    made = await registered(pat_board, listener, *ALL)
    assert await pat_board.watching("1300").subscriptions() == [made]
    assert await pat_board.watching().subscriptions() == [made]


async def test_more_webhooks_than_a_page_are_all_listed(pat_board: Any, listener: Any) -> None:
    [wanted] = await pat_board.source.wanted(listener.url, ALL)
    for number in range(101):
        await pat_board.source.subscribe(wanted, f"{listener.url}?registration={number}")
    assert len(await pat_board.source.subscriptions()) == 101


async def test_a_failed_delivery_is_tried_again_and_leaves_no_trouble(pat_board: Any, listener: Any) -> None:
    await registered(pat_board, listener, "task.completed")
    listener.refusals = 2
    task = await pat_board.act("task.complete")
    await pat_board.simulator.settle()
    assert {event.subject for event in listener.events} == {task}
    pat_board.clock.forward(seconds=1)
    await pat_board.simulator.trigger("webhook.heartbeat", {})
    await pat_board.simulator.settle()
    assert [one.trouble for one in await pat_board.source.subscriptions()] == [None]


async def test_a_webhook_that_fails_is_in_trouble_then_inactive_then_gone(pat_board: Any, listener: Any) -> None:
    await registered(pat_board, listener, "task.completed")
    listener.refusals = 3
    pat_board.clock.forward(seconds=1)
    await pat_board.act("task.complete")
    await pat_board.simulator.settle()
    [standing] = await pat_board.source.subscriptions()
    assert standing.trouble == (
        "switched off by Asana; the delivery of 2026-11-23T12:00:01.000Z failed: 503 busy; "
        "Asana deletes the webhook at 2026-11-24T12:00:01.000Z"
    )
    await pat_board.act("task.complete")
    await pat_board.simulator.settle()
    assert listener.events == []
    pat_board.clock.forward(hours=24)
    assert await pat_board.source.subscriptions() == []


async def test_trouble_is_told_before_the_webhook_is_switched_off(pat_board: Any, listener: Any) -> None:
    await registered(pat_board, listener, "task.completed")
    [row] = pat_board.simulator.webhooks.rows()
    row |= {"last_failure_at": "2026-11-23T12:00:05.000Z", "last_failure_content": "x" * 500}
    [standing] = await pat_board.source.subscriptions()
    assert standing.trouble == f"the delivery of 2026-11-23T12:00:05.000Z failed: {'x' * 120}"
    row |= {"last_success_at": "2026-11-23T12:00:06.000Z"}
    [standing] = await pat_board.source.subscriptions()
    assert standing.trouble is None


async def test_an_inactive_webhook_is_in_trouble_even_if_nothing_failed(pat_board: Any, listener: Any) -> None:
    await registered(pat_board, listener, "task.completed")
    pat_board.simulator.webhooks.rows()[0]["active"] = False
    assert [one.trouble for one in await pat_board.source.subscriptions()] == ["switched off by Asana"]


async def test_a_target_that_answers_with_another_secret_gets_no_webhook(pat_board: Any, listener: Any) -> None:
    async def answer(request: Request) -> Response:
        return Response(headers={"X-Hook-Secret": "another"})

    async with serve(Starlette(routes=[Route("/hook", answer, methods=["POST"])])) as url:
        listener.url = f"{url}/hook"
        with pytest.raises(RejectedError, match="did not respond with the handshake secret"):
            await registered(pat_board, listener, *ALL)


async def test_a_delivery_under_a_forgotten_secret_is_refused(pat_board: Any, listener: Any) -> None:
    await registered(pat_board, listener, "task.completed")
    listener.secrets = ("another",)
    await pat_board.act("task.complete")
    await pat_board.simulator.settle()
    assert listener.events == []


def test_filters_without_a_type_are_for_tasks_and_none_are_everything() -> None:
    assert topic("1", [{"action": "changed"}]) == topic("1", filters_for(["task.changed"]))
    assert topic("1", []) == "everything in 1"
