"""Who is believed when a vendor says hello, over real HTTP."""

from __future__ import annotations

import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from crossdock.vault import Vault, parse_keys

HELLO = "x-beacon-secret"


def stored(folder: Path) -> bytes:
    """All that is in the journal's files."""
    return b"".join(path.read_bytes() for path in folder.glob("c.db*"))


async def test_a_handshake_is_answered_while_its_registration_is_under_way(coast: Any) -> None:
    url = await coast.under_way()
    reply = await coast.client.post(url, headers={HELLO: "agreed-with-vendor"})
    assert (reply.status_code, reply.headers[HELLO]) == (200, "agreed-with-vendor")
    (hook,) = await coast.journal.hooks.of("lamp")
    assert b"agreed-with-vendor" not in hook.secret


@pytest.mark.parametrize("query", ["", "?hook=", "?hook=n-2", "?hok=n-1"])
async def test_a_handshake_to_another_url_is_refused_like_any_stranger(coast: Any, query: str) -> None:
    await coast.under_way("n-1")
    told = await coast.client.post(f"{coast.place}{query}", headers={HELLO: "of-a-stranger"})
    stranger = await coast.client.post(f"{coast.place}?hook=n-1", content=b"{}")
    assert (told.status_code, told.content) == (401, stranger.content)
    assert (await coast.journal.hooks.of("lamp"))[0].secret is None


async def test_the_nonce_of_another_connection_is_none(coast: Any) -> None:
    now = coast.clock()
    await coast.journal.hooks.begin("other", "n-1", "light.on", coast.place, now + timedelta(minutes=5), now)
    assert (await coast.client.post(f"{coast.place}?hook=n-1", headers={HELLO: "of-a-stranger"})).status_code == 401


async def test_a_handshake_that_comes_too_late_is_refused(coast: Any) -> None:
    url = await coast.under_way(lasts=timedelta(minutes=5))
    coast.clock.ahead = timedelta(minutes=5, seconds=1)
    assert (await coast.client.post(url, headers={HELLO: "of-a-late-vendor"})).status_code == 401


async def test_a_second_handshake_with_another_secret_is_refused_and_changes_nothing(coast: Any) -> None:
    url = await coast.under_way()
    assert (await coast.client.post(url, headers={HELLO: "agreed-first"})).status_code == 200
    assert (await coast.client.post(url, headers={HELLO: "agreed-second"})).status_code == 401
    (hook,) = await coast.journal.hooks.of("lamp")
    vault = Vault(coast.journal, parse_keys("a-key-for-tests"), "test", coast.clock)
    assert vault.unseal("lamp", hook.secret) == "agreed-first"


async def test_a_vendor_that_got_no_answer_may_say_the_same_again(coast: Any) -> None:
    url = await coast.under_way()
    for _ in range(2):
        assert (await coast.client.post(url, headers={HELLO: "agreed-first"})).status_code == 200


async def test_a_replayed_handshake_is_refused_once_the_registration_is_done(coast: Any) -> None:
    assert await coast.synced() == [("register", "light.on", None)]
    (hook,) = coast.vendor.hooks
    assert (await coast.client.post(hook.url, headers={HELLO: hook.secret})).status_code == 401


async def test_a_refused_handshake_is_logged_without_what_it_brought(
    coast: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await coast.client.post(f"{coast.place}?hook=n-1", headers={HELLO: "of-a-stranger"})
    assert "a delivery to lamp is refused: a handshake came while no registration of ours is under way" in caplog.text
    assert "of-a-stranger" not in caplog.text


async def test_a_stranger_does_not_choose_what_is_masked(coast: Any) -> None:
    await coast.client.post(f"{coast.place}?hook=n-1", headers={HELLO: "succeeded"})
    assert coast.app.redactor.text("succeeded") == "succeeded"


async def test_an_agreed_secret_is_masked_from_then_on(coast: Any) -> None:
    await coast.client.post(await coast.under_way(), headers={HELLO: "agreed-with-vendor"})
    assert coast.app.redactor.text("it is agreed-with-vendor") == "it is [redacted]"


async def test_a_delivery_is_opened_by_what_another_process_agreed(coast: Any) -> None:
    await coast.synced()
    (hook,) = coast.vendor.hooks
    reply = await coast.vendor.deliver(hook, "e-1")
    assert (reply.status_code, reply.json()["accepted"]) == (200, 1)
    assert (await coast.vendor.deliver(hook, "e-1")).json()["duplicates"] == 1


async def test_a_delivery_that_comes_before_the_vendors_yes_is_taken(coast: Any) -> None:
    taken = []

    async def deliver(url: str) -> None:
        taken.append((await coast.vendor.deliver(coast.vendor.hooks[0], "e-1")).json()["accepted"])

    coast.vendor.after = deliver
    await coast.synced()
    assert taken == [1]


async def test_what_is_newly_agreed_opens_deliveries_at_once_and_what_is_removed_none(coast: Any) -> None:
    await coast.synced()
    (first,) = coast.vendor.hooks
    assert (await coast.vendor.deliver(first, "e-1")).status_code == 200
    await coast.subscriber().remove()
    assert (await coast.vendor.deliver(first, "e-2")).status_code == 401
    await coast.synced()
    (second,) = coast.vendor.hooks
    assert (await coast.vendor.deliver(second, "e-3")).status_code == 200
    assert (await coast.vendor.deliver(first, "e-4")).status_code == 401


async def test_the_secret_of_the_url_comes_first_then_the_others_newest_first(coast: Any) -> None:
    for nonce in ("n-1", "n-2", "n-3"):
        url = await coast.under_way(nonce)
        await coast.client.post(url, headers={HELLO: f"agreed-{nonce}"})
    seen: list[tuple[str, ...]] = []
    source = coast.app.connections.source("lamp")
    source.verify = lambda request: seen.append(request.secrets)
    body = b'{"topic": "light.on", "id": 1, "light": 1}'
    await coast.client.post(f"{coast.place}?hook=n-2", content=body)
    await coast.client.post(coast.place, content=body)
    assert seen == [("agreed-n-2", "agreed-n-3", "agreed-n-1"), ("agreed-n-3", "agreed-n-2", "agreed-n-1")]


async def test_a_registration_whose_time_is_up_opens_nothing(coast: Any) -> None:
    url = await coast.under_way(lasts=timedelta(minutes=5))
    await coast.client.post(url, headers={HELLO: "agreed-with-vendor"})
    hook = coast.foreign(url, secret="agreed-with-vendor")
    assert (await coast.vendor.deliver(hook, "e-1")).status_code == 200
    coast.clock.ahead = timedelta(minutes=5, seconds=1)
    assert (await coast.vendor.deliver(hook, "e-2")).status_code == 401


async def test_a_secret_under_a_lost_key_is_said_and_opens_nothing(
    coast: Any, caplog: pytest.LogCaptureFixture
) -> None:
    now = coast.clock()
    url = await coast.under_way()
    stranger = Vault(coast.journal, parse_keys("another-key"), "test", coast.clock)
    assert await coast.journal.hooks.agree("lamp", "n-1", stranger.seal("agreed-with-vendor"), now)
    reply = await coast.vendor.deliver(coast.foreign(url, secret="agreed-with-vendor"), "e-1")
    assert reply.status_code == 401
    assert "the secret of a webhook of connection lamp was encrypted with another key" in caplog.text
    assert "crossdock hooks sync lamp" in caplog.text


async def test_no_secret_stands_in_clear_in_the_journals_files(coast: Any, tmp_path: Path) -> None:
    await coast.synced()
    (hook,) = coast.vendor.hooks
    await coast.vendor.deliver(hook, "e-1")
    files = stored(tmp_path)
    assert b"light.on" in files
    assert hook.secret.encode() not in files


async def test_the_api_shows_what_is_registered_and_the_last_delivery(coast: Any) -> None:
    async def shown() -> Any:
        reply = await coast.client.get(f"{coast.url}/api/v1/connections")
        assert "agreed-" not in reply.text
        (item,) = [each for each in reply.json()["items"] if each["name"] == "lamp"]
        return item["webhooks"]

    assert await shown() == {"registered": 0, "registered_at": None, "last_delivery_at": None}
    await coast.synced()
    known = await shown()
    assert (known["registered"], known["last_delivery_at"]) == (1, None)
    assert known["registered_at"] is not None
    await coast.vendor.deliver(coast.vendor.hooks[0], "e-1")
    assert (await shown())["last_delivery_at"] > known["registered_at"]
