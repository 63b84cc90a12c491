"""Each check of the doctor, broken once over real parts."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from crossdock.alerts import outbox
from crossdock.doctor import database
from crossdock.doctor.findings import Check, Finding, perform
from crossdock.journal.base import ConnectionState, NewEvent, NewRun
from crossdock.plugins import Plugin
from crossdock.subscribing import Subscriber
from crossdock.web.app import create_app
from crossdock_sdk import Alert, Token
from crossdock_sdk.testing import Fault, serve
from starlette.applications import Starlette


def later(by: timedelta) -> Any:
    return lambda: datetime.now(UTC) + by


async def made(house: Any) -> None:
    async with house.runtime():
        pass


def written(house: Any, statement: str) -> None:
    db = sqlite3.connect(house.database)
    db.execute(statement)
    db.commit()
    db.close()


@pytest.fixture
async def public() -> AsyncIterator[str]:
    """Where a vendor reaches something."""
    async with serve(Starlette()) as url:
        yield url


async def registered(runtime: Any, url: str) -> None:
    source = runtime.connections.source("crm")
    deeds = await Subscriber("crm", source, url, runtime.journal, runtime.vault, "me", runtime.now).sync(["deal.won"])
    assert [deed.error for deed in deeds if deed.error] == []


async def test_all_is_well_and_nothing_is_changed(house: Any, public: str) -> None:
    house.changed = {"public_url": public}
    house.connections["crm"]["poll"] = "off"
    async with house.runtime() as runtime:
        await registered(runtime, f"{public}/webhooks/crm")
        event = NewEvent("e", "deal.won", "1", {}, received_at=runtime.now() - timedelta(hours=3))
        await runtime.journal.accept("crm", [(event, [])])
    before = {name: simulator.state() for name, simulator in house.simulators.items()}
    found = await house.examined()
    assert [each for each in found if each.state != "ok"] == []
    told = {each.check: each.found for each in found}
    assert told["connection crm"].startswith("Sandbox at Sandbox (")
    assert told["connection say"].startswith("the process's own log")
    assert told["last delivery crm"] == "3 h ago"
    assert told["webhooks crm"].startswith("in place: ")
    # Checks are made side by side, and the one of the books may have had its first token by then.
    assert re.search(r"opens the tokens of (0 connections|1 connection)$", told["secret key"])
    assert "crm" in told["clock"]
    assert before["crm"] == house.simulators["crm"].state()


async def test_before_the_first_start_nothing_is_made_and_no_refresh_token_is_spent(house: Any) -> None:
    found = {each.check: each for each in await house.examined()}
    assert found["database"].state == "warning"
    assert "crossdock serve makes it" in found["database"].found
    assert found["connection crm"].state == "ok"
    books = found["connection books"]
    assert (books.state, "the database cannot be used" in books.found) == ("warning", True)
    assert house.simulators["books"].requests == type(house.simulators["books"].requests)()
    assert [path.name for path in house.folder.iterdir()] == ["crossdock.yaml"]


async def test_the_stored_tokens_are_used_and_renewed_ones_are_kept(house: Any) -> None:
    await made(house)
    assert (await house.one("connection books")).state == "ok"
    async with house.runtime() as runtime:
        assert await runtime.vault.load("books") is not None


async def test_offline_nobody_is_asked(house: Any) -> None:
    await made(house)
    checks = {each.check for each in await house.examined(offline=True, url="http://127.0.0.1:9")}
    assert not [check for check in checks if check.startswith(("connection ", "webhooks", "server", "clock"))]
    assert {"database", "queue", "secret key", "disk"} <= checks
    assert not any(simulator.requests for simulator in house.simulators.values())


async def test_mistakes_in_the_file_hide_no_connection_that_is_right(house: Any) -> None:
    house.connections["other"] = {"connector": "pipedrive", "api_token": "${NOT_SET_ANYWHERE}"}
    house.flows["g"] = {"when": "crm.deal.wan", "legs": {}}
    house.write()
    found = await house.examined()
    wrong = [each.found for each in found if each.check == "configuration"]
    assert any("NOT_SET_ANYWHERE is not set" in text for text in wrong)
    assert any("deal.wan" in text for text in wrong)
    assert {each.check for each in found if each.check.startswith("connection ")} == {
        "connection crm",
        "connection books",
        "connection say",
    }


async def test_a_file_that_is_none_is_one_line(house: Any) -> None:
    (house.folder / "crossdock.yaml").write_text("version: [")
    assert [each.state for each in await house.found("configuration")] == ["wrong"]


async def test_a_warning_of_the_file_is_a_warning(house: Any) -> None:
    house.connections["other"] = {"connector": "pipedrive", "api_token": "abc"}
    house.write()
    states = {each.found: each.state for each in await house.found("configuration")}
    assert [state for text, state in states.items() if "too short to be masked" in text] == ["warning"]


async def test_refused_credentials_are_said_with_where_they_are(house: Any) -> None:
    house.connections["crm"]["api_token"] = "no-such-token-at-all"
    house.write()
    found = await house.one("connection crm")
    assert (found.state, found.fix) == ("wrong", "put new credentials into connections.crm of the routing file")
    assert "no-such-token-at-all" not in found.found


async def test_a_vendor_that_hangs_holds_up_only_its_own_line(house: Any) -> None:
    house.simulators["crm"].faults.append(Fault(kind="latency", seconds=60, times=None))
    found = {each.check: each for each in await house.examined(seconds=1)}
    assert found["connection crm"].found == "no answer within 0.9 s"
    assert found["connection say"].state == "ok"


async def test_a_vendor_that_cannot_be_reached(house: Any) -> None:
    house.connections["crm"]["base_url"] = "http://127.0.0.1:9"
    house.write()
    found = await house.one("connection crm")
    assert (found.state, "no connection" in found.found) == ("wrong", True)


async def test_webhooks_that_are_missing_are_wrong_or_late(house: Any) -> None:
    await made(house)
    house.changed = {"public_url": "http://127.0.0.1:1"}
    for found in await house.found("webhooks crm"):
        assert (found.state, found.found.split(":")[0]) == ("warning", "missing")
        assert found.fix == "crossdock hooks sync crm"
    house.connections["crm"]["poll"] = "off"
    house.write()
    assert {found.state for found in await house.found("webhooks crm")} == {"wrong"}
    house.changed = {}
    found = await house.one("webhooks crm")
    assert (found.state, "CROSSDOCK_PUBLIC_URL" in found.fix) == ("wrong", True)
    house.changed = {"public_url": "http://hooks.example.com"}
    assert "https" in (await house.one("webhooks crm")).found


async def test_a_webhook_that_the_vendor_has_switched_off(house: Any, public: str) -> None:
    house.changed = {"public_url": public}
    async with house.runtime() as runtime:
        await registered(runtime, f"{public}/webhooks/crm")
    assert (await house.one("webhooks crm")).state == "ok"
    for hook in house.simulators["crm"].webhooks.values():
        hook["is_active"] = 0
    found = await house.found("webhooks crm")
    assert {each.found.split(":")[0] for each in found} == {"off"}


async def test_a_source_of_which_nothing_was_heard(house: Any) -> None:
    await made(house)
    assert (await house.one("last delivery crm")).state == "warning"


async def test_a_poll_that_fails(house: Any) -> None:
    async with house.runtime() as runtime:
        now = runtime.now()
        await runtime.journal.polls.begin("crm", "a", now, now)
        poll = await runtime.journal.polls.claim("crm", "me", now, now + timedelta(minutes=1))
        assert poll is not None
        await runtime.journal.polls.fail(poll, now, "the vendor says no")
    found = await house.one("poll crm")
    assert (found.state, "the vendor says no" in found.found) == ("warning", True)
    assert (await house.one("poll crm", now=later(timedelta(minutes=11)))).state == "wrong"


async def test_a_closed_connection(house: Any) -> None:
    async with house.runtime() as runtime:
        now = runtime.now()
        await runtime.journal.close_connection(ConnectionState("crm", "paused", "refused", now, probe_at=now))
    found = await house.one("closed crm")
    assert (found.state, found.found.startswith("paused since"), found.found.endswith(": refused")) == (
        "wrong",
        True,
        True,
    )


async def run_in(house: Any, status: str = "queued") -> None:
    async with house.runtime() as runtime:
        event = NewEvent("e", "deal.won", "1", {}, received_at=runtime.now())
        plan = runtime.loaded.flows["f"].plan_hash
        await runtime.journal.accept("crm", [(event, [NewRun("r1", "f", "1", plan, status=status)])])


async def test_a_run_that_nobody_performs(house: Any) -> None:
    await run_in(house)
    assert (await house.one("queue")).state == "ok"
    found = await house.one("queue", now=later(timedelta(minutes=5)))
    assert (found.state, "due for 5 min" in found.found) == ("wrong", True)


async def test_runs_that_wait_for_a_person(house: Any) -> None:
    assert (await made(house), (await house.one("runs")).state) == (None, "ok")
    await run_in(house, "held")
    found = await house.one("runs")
    assert (found.state, found.found) == ("warning", "1 run held")


async def test_a_run_that_is_put_off(house: Any) -> None:
    await run_in(house)
    written(house, """UPDATE runs SET error = '{"kind": "defect", "message": "its rows cannot be read"}'""")
    found = await house.one("runs")
    assert (found.state, found.found) == ("wrong", "run r1 of f is put off: its rows cannot be read")


async def test_alerts_that_do_not_arrive(house: Any) -> None:
    async with house.runtime() as runtime:
        for entry in outbox(Alert(id="a", title="t", at=runtime.now()), ("say",), runtime.now()):
            await runtime.journal.put_alert(entry.id, entry.data, entry.due_at)
    assert (await house.one("alerts")).state == "ok"
    found = await house.one("alerts", now=later(timedelta(hours=3)))
    assert (found.state, found.found) == ("wrong", "1 alert not taken by say, the oldest for 3 h")


async def test_a_database_that_is_damaged_is_not_opened(house: Any) -> None:
    await made(house)
    with house.database.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 8192)
    found = await house.one("database")
    assert (found.state, "damaged" in found.found) == ("wrong", True)
    assert "queue" not in {each.check for each in await house.examined()}


async def test_a_file_that_is_no_database(house: Any) -> None:
    house.database.write_bytes(b"not a database at all, but long enough" * 100)
    found = await house.one("database")
    assert (found.state, "damaged" in found.found) == ("wrong", True)


async def test_a_database_that_takes_too_long_is_not_said_to_be_sound(house: Any) -> None:
    await made(house)
    db = sqlite3.connect(house.database)
    db.executescript("CREATE TABLE big (x); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
                     " WHERE i < 20000) INSERT INTO big SELECT randomblob(200) FROM n;")  # fmt: skip
    db.close()
    found = [each for each in (await database.look(house.database, -1))[1] if each.check == "database"]
    assert (found[0].state, "not all of it was looked at" in found[0].found) == ("warning", True)


async def test_a_schema_of_another_version_is_left_alone(house: Any) -> None:
    await made(house)
    written(house, "INSERT INTO migrations VALUES (99, '0099_future.sql', 'x', 0)")
    found = await house.one("schema")
    assert (found.state, found.fix) == ("wrong", "upgrade Crossdock")
    written(house, "DELETE FROM migrations WHERE number > 3")
    found = await house.one("schema")
    assert (found.state, "crossdock serve of this version" in found.fix) == ("warning", True)
    db = sqlite3.connect(house.database)
    assert db.execute("SELECT count(*) FROM migrations").fetchone() == (3,)
    db.close()


async def test_a_log_that_has_grown_too_large(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async with house.runtime():
        assert (await house.one("write-ahead log")).state == "ok"
        monkeypatch.setattr(database, "WAL", 10)
        assert (await house.one("write-ahead log")).state == "warning"


def test_what_a_path_is_on_is_told_by_the_nearest_mount(tmp_path: Path) -> None:
    mounts = (
        "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
        f"2 1 0:5 / {tmp_path}/my\\040share rw shared:1 - nfs4 host:/x rw\n"
        f"3 1 0:6 / {tmp_path}/my rw - tmpfs none rw\n"
    )
    assert database.file_system(tmp_path / "my share" / "c.db", mounts) == "nfs4"
    assert database.file_system(tmp_path / "c.db", mounts) == "ext4"


async def test_a_database_on_a_network_is_warned_of(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    await made(house)
    assert "file system" not in {each.check for each in await house.examined(offline=True)}
    monkeypatch.setattr(database, "file_system", lambda path: "nfs4")
    assert (await house.one("file system", offline=True)).state == "warning"


async def test_a_disk_that_fills_up(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (await house.one("disk")).state == "ok"
    monkeypatch.setattr(database, "LOW", 10**18)
    assert (await house.one("disk")).state == "warning"
    monkeypatch.setattr(database, "LOWEST", 10**17)
    assert (await house.one("disk")).state == "wrong"


async def test_a_key_that_is_gone_or_another(house: Any) -> None:
    async with house.runtime() as runtime:
        await runtime.vault.store_for("books").swap(Token("an-access-token", "a-refresh-token"), expected=0)
    key = house.folder / "c.db.key"
    kept = key.read_text()
    assert (await house.one("secret key", offline=True)).found.endswith("opens the tokens of 1 connection")
    key.chmod(0o644)
    assert (await house.one("secret key", offline=True)).fix.startswith("chmod 600")
    key.unlink()
    found = {each.check: each for each in await house.examined()}
    assert (found["secret key"].state, "is gone" in found["secret key"].found) == ("wrong", True)
    assert (found["connection books"].state, found["connection crm"].state) == ("warning", "ok")
    assert not await asyncio.to_thread(key.exists)
    house.changed = {"secret_key": "another key altogether"}
    found = {each.check: each for each in await house.examined()}
    assert (found["secret key"].state, "another key" in found["secret key"].found) == ("wrong", True)
    assert found["connection books"].state == "wrong"
    house.changed = {"secret_key": f"another key altogether,{kept}"}
    assert (await house.one("secret key", offline=True)).state == "ok"


async def test_an_admin_token_that_can_be_guessed(house: Any) -> None:
    assert "this machine only" in (await house.one("access", offline=True)).found
    house.changed = {"admin_token": "short"}
    assert (await house.one("access", offline=True)).state == "warning"
    house.changed = {"admin_token": "0123456789abcdef"}
    assert (await house.one("access", offline=True)).state == "ok"


@pytest.mark.parametrize(("off", "told"), [(timedelta(minutes=5), "ahead of"), (timedelta(minutes=-5), "behind")])
async def test_a_clock_that_is_off_is_wrong(house: Any, off: timedelta, told: str) -> None:
    found = await house.one("clock", now=later(off))
    assert (found.state, told in found.found, "29" in found.found or "300" in found.found) == ("wrong", True, True)
    assert (await house.one("clock", now=later(off / 15))).state == "ok"


async def test_a_plugin_that_did_not_load(house: Any) -> None:
    broken = Plugin("crossdock-odd", status="failed", error="no module named odd")
    house.registry = replace(house.registry, plugins=(*house.registry.plugins, broken))
    found = await house.one("plugin", offline=True)
    assert (found.state, "no module named odd" in found.found) == ("wrong", True)
    assert (await house.one("version", offline=True)).state == "ok"


async def test_a_server_that_answers_or_does_not(house: Any) -> None:
    assert "does not answer" in (await house.one("server", url="http://127.0.0.1:9")).found
    async with serve(Starlette()) as url:
        assert "not Crossdock's" in (await house.found("server", url=url))[0].found
    house.changed = {"admin_token": "0123456789abcdef"}
    async with serve(create_app(house.settings)) as url:
        found = {each.check: each for each in await house.examined(url=url)}
        assert (found["server"].state, found["server access"].state) == ("ok", "ok")
        house.changed = {"admin_token": "another-token-altogether"}
        assert (await house.one("server access", url=url)).state == "wrong"


async def test_a_check_that_fails_or_hangs_hides_no_other() -> None:
    async def well() -> list[Finding]:
        return [Finding("well", "ok", "a secret\nis here")]

    async def hangs() -> list[Finding]:
        await asyncio.Event().wait()
        return []

    async def fails() -> list[Finding]:
        raise KeyError("x")

    async def missing() -> list[Finding]:
        raise FileNotFoundError(2, "No such file", "c.db")

    checks = [Check("hangs", hangs), Check("fails", fails), Check("missing", missing), Check("well", well)]
    found = {each.check: each for each in await perform(checks, 0.05, lambda text: text.replace("secret", "***"))}
    assert [found[name].state for name in ("hangs", "fails", "missing", "well")] == ["wrong", "wrong", "wrong", "ok"]
    assert found["well"].found == "a *** is here"
    assert "KeyError" in found["fails"].found
