"""Webhooks that are dropped, and a poll that finds what they told: nothing missed, nothing twice, whoever dies when."""

from __future__ import annotations

import os
import random
from typing import Any

import pytest
from crossdock.runtime import Crossdock
from crossdock.settings import Settings
from crossdock_sdk import crashpoints
from ledger import PATIENT, assert_each_once, win_each

DEALS = int(os.environ.get("CROSSDOCK_TEST_POLLED_DEALS", "24"))
MISSED = int(os.environ.get("CROSSDOCK_TEST_MISSED", "20"))
DROPPED = 0.3


def drop_some(firm: Any, rng: random.Random) -> list[str]:
    """Let the CRM give up on some of its webhooks before it has sent them; the titles of the deals."""
    crm, dropped = firm.sandbox.simulators["pipedrive"], []
    deliver = crm.deliver

    def perhaps(url: str, payload: Any, **more: Any) -> None:
        if rng.random() < DROPPED:
            dropped.append(payload["data"]["title"])
        else:
            deliver(url, payload, **more)

    crm.deliver = perhaps
    return dropped


@pytest.mark.timeout(120 + 4 * DEALS)
async def test_what_webhooks_do_not_tell_is_polled_once(firm: Any) -> None:
    firm.routing["connections"]["crm"]["poll"] = "10s"
    firm.flow["legs"]["task"]["enabled"] = True
    firm.write()
    await firm.server.start()
    dropped = drop_some(firm, random.Random(17))
    titles = [f"Deal {n:03}" for n in range(DEALS)]
    await win_each(firm, titles[: DEALS // 2])
    await firm.sandbox.simulators["pipedrive"].settle()
    await firm.server.kill()
    await firm.server.start()
    await win_each(firm, titles[DEALS // 2 :])
    runs = await firm.ended(DEALS, patience=60 + 2 * DEALS)
    assert_each_once(firm, runs, titles)
    assert dropped
    events = [(await firm.get(f"/runs/{run['id']}"))["event"] for run in runs]
    assert {event["via"] for event in events} == {"webhook", "poll"}


@pytest.mark.timeout(180)
async def test_deals_won_while_the_server_is_down_are_found_by_the_poll(firm: Any) -> None:
    firm.routing["connections"]["crm"]["poll"] = "2s"
    firm.flow["legs"]["task"]["enabled"] = True
    firm.write()
    await firm.server.start()
    await win_each(firm, ["Before"])
    await firm.ended(1)
    assert await firm.server.end() == 0
    firm.sandbox.simulators["pipedrive"].delays = []
    missed = [f"Meanwhile {n:02}" for n in range(12)]
    await win_each(firm, missed)
    await firm.sandbox.simulators["pipedrive"].settle()
    await firm.server.start()
    runs = await firm.ended(13, patience=90)
    assert_each_once(firm, runs, ["Before", *missed])


@pytest.mark.timeout(180 + 3 * MISSED)
async def test_deals_won_in_salesforce_while_the_server_is_down_are_invoiced_once(firm: Any) -> None:
    firm.server.env |= PATIENT
    firm.use_crm("salesforce", poll="2s")
    firm.flow["legs"]["task"]["enabled"] = True
    firm.write()
    await firm.server.start()
    await win_each(firm, ["Before"])
    await firm.ended(1)
    assert await firm.server.end() == 0
    missed = [f"Meanwhile {n:04}" for n in range(MISSED)]
    await win_each(firm, missed)
    await firm.server.start()
    runs = await firm.ended(MISSED + 1, patience=120 + 2 * MISSED)
    assert_each_once(firm, runs, ["Before", *missed])
    assert firm.messages == []


class DeadError(BaseException):
    """The process is taken to be gone: nothing after it is done."""


@pytest.mark.parametrize("point", ["poll.read", "poll.stored"])
async def test_a_poll_that_dies_is_made_again_and_starts_nothing_twice(
    firm: Any, point: str, request: pytest.FixtureRequest
) -> None:
    """At each of a poll's points: what was stored is known again, what was not is read again."""
    firm.routing["connections"]["crm"]["poll"] = {"every": "60s", "since": "2020-01-01"}
    firm.write()
    firm.sandbox.simulators["pipedrive"].deliver = lambda *_, **__: None
    await win_each(firm, ["Polled"])
    request.addfinalizer(lambda: crashpoints.arm(None))
    deaths: list[str] = []

    def die(reached: str, about: str) -> None:
        if reached == point and not deaths:
            deaths.append(reached)
            raise DeadError

    crashpoints.arm(die)
    folder = firm.server.folder
    place = {"config": folder / "crossdock.yaml", "database_url": f"sqlite:///{folder}/crossdock.db"}

    async def live() -> None:
        app = Crossdock(Settings.model_validate(place))
        await app.assemble()
        # As a start does: what the dead had in hand is free. Read once more even if it was read to the end.
        await app.journal.polls.free(lambda owner: False)
        await app.journal.polls.call("crm")
        await app.poller.look()
        await app.poller.settle()
        await app.connections.close()
        await app.journal.close()

    await live()
    assert deaths == [point]
    await live()
    asked = [r for r in firm.sandbox.requests if r["path"].endswith("/deals")]
    assert len(asked) == 2
    await firm.server.start()
    runs = await firm.ended(1)
    assert_each_once(firm, runs, ["Polled"])
