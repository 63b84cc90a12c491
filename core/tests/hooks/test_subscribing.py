"""What a sync does at the vendor and in the journal, with the server in another hand."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import beacon
import pytest
from crossdock.retention import UNFINISHED
from crossdock.subscribing import BusyError
from lighthouse import Gate


async def rows(coast: Any) -> list[tuple[str, str | None, bool]]:
    return [(h.topic, h.subscription, h.registered_at is not None) for h in await coast.journal.hooks.of("lamp")]


async def test_what_is_missing_is_registered_once_and_a_second_sync_does_nothing(coast: Any) -> None:
    assert await coast.states("light.off", "light.on") == [("missing", "light.off"), ("missing", "light.on")]
    expected = [("register", "light.off", None), ("register", "light.on", None)]
    assert await coast.synced("light.off", "light.on") == expected
    assert await coast.states("light.off", "light.on") == [("ok", "light.off"), ("ok", "light.on")]
    assert await coast.synced("light.off", "light.on") == [("keep", "light.off", None), ("keep", "light.on", None)]
    assert [hook.id for hook in coast.vendor.hooks] == ["h1", "h2"]
    assert await rows(coast) == [("light.on", "h2", True), ("light.off", "h1", True)]


async def test_a_dry_run_says_it_and_does_nothing(coast: Any) -> None:
    coast.foreign(f"{coast.place}?hook=unknown", topic="light.off")
    deeds = await coast.subscriber().sync(["light.on"], dry_run=True)
    assert [(deed.do, deed.subscription.topic) for deed in deeds] == [("register", "light.on"), ("remove", "light.off")]
    assert [hook.topic for hook in coast.vendor.hooks] == ["light.off"]
    assert await rows(coast) == []


async def test_others_webhooks_are_shown_and_left_alone(coast: Any) -> None:
    others = (
        "https://elsewhere.example/hook",
        coast.place + "2",
        coast.place.replace("127.0.0.1", "localhost"),
        coast.place.replace("http:", "https:"),
        "https://[broken",
    )
    ids = [coast.foreign(url, "light.blue").id for url in others]
    assert await coast.states() == [("missing", "light.on"), *[("other", "light.blue")] * len(others)]
    await coast.synced()
    await coast.subscriber().remove()
    assert [hook.id for hook in coast.vendor.hooks] == ids
    assert not set(ids) & set(coast.vendor.removed)


async def test_one_that_the_vendor_switched_off_is_made_anew(coast: Any) -> None:
    await coast.synced()
    coast.vendor.hooks[0].trouble = "switched off after too many failures"
    (line,) = await coast.subscriber().lines(["light.on"])
    assert (line.state, line.note) == ("off", "switched off after too many failures")
    assert await coast.synced() == [("remove", "light.on", None), ("register", "light.on", None)]
    assert [hook.id for hook in coast.vendor.hooks] == ["h2"]
    assert await rows(coast) == [("light.on", "h2", True)]
    assert (await coast.vendor.deliver(coast.vendor.hooks[0], "e-1")).status_code == 200


async def test_what_no_flow_waits_for_any_more_is_removed_with_its_secret(coast: Any) -> None:
    await coast.synced("light.off", "light.on")
    assert await coast.states() == [("ok", "light.on"), ("unwanted", "light.off")]
    assert await coast.synced() == [("remove", "light.off", None), ("keep", "light.on", None)]
    assert await rows(coast) == [("light.on", "h2", True)]
    deeds = await coast.subscriber().sync([])
    assert [deed.do for deed in deeds] == ["remove"]
    assert (coast.vendor.hooks, await rows(coast)) == ([], [])


async def test_one_of_two_for_the_same_events_is_removed(coast: Any) -> None:
    coast.vendor.shakes = False
    for number in (1, 2):
        coast.foreign(f"{coast.place}?hook={number}")
    assert await coast.states(kind=beacon.BuoySource) == [("ok", "light.on"), ("unwanted", "light.on")]
    await coast.synced(kind=beacon.BuoySource)
    assert [hook.url for hook in coast.vendor.hooks] == [f"{coast.place}?hook=1"]


async def test_an_orphan_with_an_unknown_nonce_is_removed_and_made_anew(coast: Any) -> None:
    coast.foreign(f"{coast.place}?hook=of-a-command-that-died")
    assert await coast.states() == [("unknown", "light.on")]
    assert await coast.synced() == [("remove", "light.on", None), ("register", "light.on", None)]
    assert await coast.states() == [("ok", "light.on")]


async def test_a_registration_that_broke_off_after_the_vendors_yes_is_taken_up(coast: Any) -> None:
    url = await coast.under_way("n-1")
    hook = coast.foreign(url, secret="agreed-with-vendor")
    await coast.client.post(url, headers={beacon.SECRET: hook.secret})
    coast.clock.ahead = timedelta(hours=1)
    assert (await coast.vendor.deliver(hook, "e-1")).status_code == 401
    assert await coast.states() == [("unfinished", "light.on")]
    assert await coast.synced() == [("finish", "light.on", None)]
    assert (await coast.vendor.deliver(hook, "e-1")).status_code == 200
    assert (await coast.states(), coast.vendor.removed) == ([("ok", "light.on")], [])


async def test_one_whose_secret_is_under_a_lost_key_is_made_anew(coast: Any) -> None:
    from crossdock.vault import Vault, parse_keys

    await coast.synced()
    lost = Vault(coast.journal, parse_keys("another-key"), "test", coast.clock)
    (line,) = await coast.subscriber(vault=lost).lines(["light.on"])
    assert (line.state, "CROSSDOCK_SECRET_KEY" in line.note) == ("unknown", True)


async def test_rows_of_what_the_vendor_has_deleted_go_with_their_secrets(coast: Any) -> None:
    await coast.synced()
    gone = coast.vendor.hooks.pop()
    assert await coast.states() == [("missing", "light.on")]
    await coast.synced()
    assert await rows(coast) == [("light.on", "h2", True)]
    assert (await coast.vendor.deliver(gone, "e-1")).status_code == 401


async def test_one_for_an_earlier_address_is_named_and_stays_until_it_is_removed_there(coast: Any) -> None:
    await coast.synced()
    moved = f"{coast.url.replace('127.0.0.1', 'localhost')}/webhooks/lamp"
    (line, other) = await coast.subscriber(url=moved).lines(["light.on"])
    assert (line.state, other.state) == ("wrong url", "other")
    assert f"one stands for {coast.place}" in line.note
    assert await coast.synced(url=moved) == [("register", "light.on", None)]
    assert [row[1] for row in await rows(coast)] == ["h2", "h1"]
    assert (await coast.vendor.deliver(coast.vendor.hooks[0], "e-1")).status_code == 200
    assert [deed.do for deed in await coast.subscriber().remove()] == ["remove"]
    assert [row[1] for row in await rows(coast)] == ["h2"]


async def test_a_registration_that_the_vendor_refuses_leaves_no_row(coast: Any) -> None:
    coast.vendor.refuses = True
    ((do, _, error),) = await coast.synced()
    assert do == "register"
    assert "422" in error
    assert await rows(coast) == []


async def test_a_handshake_that_does_not_come_through_is_said_with_what_to_look_at(coast: Any) -> None:
    away = "http://127.0.0.1:9/webhooks/lamp"
    ((_, _, error),) = await coast.synced(url=away)
    assert f"no handshake came: {away} must lead to a running `crossdock serve` on the same database" in error
    assert "\n" not in error
    assert await rows(coast) == []


async def test_a_yes_without_a_handshake_is_taken_back(coast: Any) -> None:
    coast.vendor.shakes = False
    ((_, _, error),) = await coast.synced()
    assert error.startswith("the vendor accepted it without a handshake; no handshake came")
    assert (coast.vendor.hooks, await rows(coast)) == ([], [])


async def test_a_vendor_without_handshakes_needs_no_secret(coast: Any) -> None:
    coast.vendor.shakes = False
    assert await coast.synced(kind=beacon.BuoySource) == [("register", "light.on", None)]
    assert await coast.states(kind=beacon.BuoySource) == [("ok", "light.on")]
    (hook,) = await coast.journal.hooks.of("lamp")
    assert (hook.secret, hook.subscription) == (None, "h1")


async def test_one_registered_by_hand_at_a_vendor_without_handshakes_is_kept(coast: Any) -> None:
    coast.foreign(coast.place)
    assert await coast.synced(kind=beacon.BuoySource) == [("keep", "light.on", None)]


async def test_a_command_that_is_given_up_leaves_no_row(coast: Any) -> None:
    coast.vendor.before = gate = Gate()
    task = asyncio.create_task(coast.synced())
    await gate.reached.wait()
    assert len(await rows(coast)) == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await rows(coast) == []
    gate.opened.set()


async def test_two_commands_do_not_change_the_same_webhooks_at_once(coast: Any) -> None:
    coast.vendor.before = gate = Gate()
    task = asyncio.create_task(coast.synced())
    await gate.reached.wait()
    with pytest.raises(BusyError, match="another process changes the webhooks of lamp"):
        await coast.synced(owner="elsewhere/1/2/3")
    gate.opened.set()
    assert await task == [("register", "light.on", None)]
    assert await coast.synced(owner="elsewhere/1/2/3") == [("keep", "light.on", None)]


async def test_one_that_cannot_be_removed_keeps_its_secret_and_the_rest_is_done(coast: Any) -> None:
    await coast.synced("light.off")

    async def refuse(_: Any) -> None:
        raise beacon.VerificationError("not now")

    subscriber = coast.subscriber()
    subscriber._source.unsubscribe = refuse
    deeds = await subscriber.sync(["light.on"])
    assert [(deed.do, deed.error is None) for deed in deeds] == [("remove", False), ("register", True)]
    assert [row[0] for row in await rows(coast)] == ["light.on", "light.off"]


async def test_a_bug_of_the_connector_is_told_in_one_line(coast: Any) -> None:
    async def stumble(*_: Any) -> None:
        raise KeyError("id")

    subscriber = coast.subscriber()
    subscriber._source.subscribe = stumble
    (deed,) = await subscriber.sync(["light.on"])
    assert deed.error.startswith("the connector failed: KeyError: 'id'")
    assert await rows(coast) == []


async def test_retention_deletes_registrations_that_broke_off_a_day_ago(coast: Any) -> None:
    await coast.synced()
    await coast.under_way("n-old", lasts=timedelta(minutes=5))
    coast.clock.ahead = UNFINISHED
    await coast.app.keeper.round()
    assert len(await rows(coast)) == 2
    coast.clock.ahead = UNFINISHED + timedelta(minutes=6)
    await coast.app.keeper.round()
    assert await rows(coast) == [("light.on", "h1", True)]
