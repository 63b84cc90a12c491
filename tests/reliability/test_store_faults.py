"""A journal that cannot be written: webhooks are refused, nothing is begun, it is said, and later all is done once."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from crossdock.runtime import Crossdock
from crossdock.settings import Settings
from crossdock.web.app import create_app
from crossdock_sdk.testing import serve
from faulty import FaultyDisk
from ledger import assert_each_once
from sqlite_on_vfs import journal_on

Trouble = Callable[["Inside"], contextlib.AbstractAsyncContextManager[None]]


class Inside:
    """A firm whose server runs in this process, so that a test can reach its journal."""

    def __init__(
        self, firm: Any, runtime: Crossdock, disk: FaultyDisk, webhooks: list[int], other: asyncio.subprocess.Process
    ) -> None:
        self.firm = firm
        self.runtime = runtime
        self.disk = disk
        self.webhooks = webhooks
        """How deliveries were answered."""
        self.other = other
        self.path: Path = runtime.journal.path

    async def on_the_writer(self, work: Callable[[Any], Any]) -> Any:
        return await self.runtime.journal._stores[0].perform(work)

    async def readyz(self) -> tuple[int, str]:
        async with httpx.AsyncClient(trust_env=False) as client:
            reply = await client.get(f"{self.firm.server.url}/readyz")
        return reply.status_code, reply.json()["journal"]


@contextlib.asynccontextmanager
async def another_writer_that_does_not_end(inside: Inside) -> AsyncIterator[None]:
    inside.runtime.journal._writer._patience = timedelta(milliseconds=100)
    other = inside.other
    assert other.stdin is not None
    assert other.stdout is not None
    other.stdin.write(b"lock\n")
    assert await other.stdout.readline() == b"locked\n"
    yield
    other.kill()
    await other.wait()


@contextlib.asynccontextmanager
async def a_file_that_was_replaced(inside: Inside) -> AsyncIterator[None]:
    aside = inside.path.with_suffix(".aside")
    inside.path.rename(aside)
    inside.path.write_bytes(aside.read_bytes())
    yield
    aside.replace(inside.path)


def a_disk_that_fails(operation: str, code: int) -> Trouble:
    @contextlib.asynccontextmanager
    async def trouble(inside: Inside) -> AsyncIterator[None]:
        inside.disk.failing = (operation, code)
        yield
        inside.disk.failing = None

    return trouble


TROUBLES: dict[str, tuple[Trouble, str]] = {
    "locked": (another_writer_that_does_not_end, "another process kept the database locked"),
    "replaced": (a_file_that_was_replaced, "was moved, removed or replaced while it is in use"),
    "no write": (a_disk_that_fails("xWrite", sqlite3.SQLITE_IOERR), "the database failed"),
    "no sync": (a_disk_that_fails("xSync", sqlite3.SQLITE_IOERR), "the database failed"),
    "read only": (a_disk_that_fails("xWrite", sqlite3.SQLITE_READONLY), "the database failed"),
    "no space": (a_disk_that_fails("xWrite", sqlite3.SQLITE_FULL), "is full"),
}


@pytest.fixture
async def other_writer(firm: Any) -> AsyncIterator[asyncio.subprocess.Process]:
    """Locks the database once it is told to, at once, however busy the machine is.

    It is a process of its own: two handles on one file in one process would share POSIX locks.
    """
    script = (
        "import sqlite3, sys; sys.stdin.readline() or sys.exit();"
        "db = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None);"
        "db.execute('BEGIN IMMEDIATE'); print('locked', flush=True); sys.stdin.readline()"
    )
    command = (sys.executable, "-c", script, str(firm.server.folder / "crossdock.db"))
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
    yield child
    assert child.stdin is not None
    child.stdin.close()
    await child.wait()


@pytest.fixture
async def inside(firm: Any, other_writer: Any, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Inside]:
    disk = FaultyDisk()
    env = {name: value for name, value in firm.server.env.items() if name.startswith("CROSSDOCK_")}
    folder = firm.server.folder
    place = {"config": folder / "crossdock.yaml", "database_url": f"sqlite:///{folder}/crossdock.db", "lease": 150}
    runtime = Crossdock(Settings.from_env(env).model_copy(update=place), env={})
    with monkeypatch.context() as patched:
        journal_on(disk.name, patched)
        webhooks: list[int] = []
        async with serve(_noting(create_app(runtime=runtime), webhooks), port=firm.server.port):
            yield Inside(firm, runtime, disk, webhooks, other_writer)


def _noting(app: Any, webhooks: list[int]) -> Any:
    async def noted(scope: Any, receive: Any, send: Any) -> None:
        async def note(message: Any) -> None:
            if message["type"] == "http.response.start" and scope["path"].startswith("/webhooks"):
                webhooks.append(message["status"])
            await send(message)

        await app(scope, receive, note)

    return noted


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(40):
        while True:
            found = condition()
            if (await found) if asyncio.iscoroutine(found) else found:
                return
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("name", TROUBLES)
async def test_a_journal_in_trouble_loses_and_doubles_nothing(inside: Inside, name: str, caplog: Any) -> None:
    firm, (trouble, told) = inside.firm, TROUBLES[name]
    caplog.set_level(logging.WARNING, "crossdock.journal")
    crm = firm.sandbox.simulators["pipedrive"]
    crm.delays = [0.3] * 200
    firm.fault(kind="latency", connector="quickbooks", method="POST", path="*/customer", seconds=0.5)
    await firm.win("In hand", customer="Customer of In hand")
    await until(lambda: firm.sandbox.faults[0].struck)
    async with trouble(inside):
        before = len(firm.sandbox.requests)
        await firm.win("Refused", customer="Customer of Refused")

        async def not_ready() -> bool:
            status, journal = await inside.readyz()
            return status == 503 and told in journal

        await until(lambda: 503 in inside.webhooks)
        await until(not_ready)
        asked = [r for r in list(firm.sandbox.requests)[before:] if r["connector"] == "quickbooks"]
        # The write that was in hand is all that a vendor sees: no other is begun without its intent.
        assert [r["path"] for r in asked if r["method"] == "POST" and "customer" not in r["path"]] == []
        assert len(firm.invoices) == 0
    await firm.ended(2)
    await until(lambda: _ready(inside))
    assert inside.webhooks[0] == 200
    assert_each_once(firm, await firm.runs(), ["In hand", "Refused"])
    said = [record.message for record in caplog.records if record.name == "crossdock.journal"]
    assert [line.partition(":")[0] for line in said] == [
        "the journal takes no writes",
        "the journal takes writes again",
    ]


async def test_an_idle_server_says_that_it_takes_no_webhooks_and_that_it_does_again(inside: Inside) -> None:
    firm = inside.firm
    firm.sandbox.simulators["pipedrive"].delays = []
    async with a_disk_that_fails("xSync", sqlite3.SQLITE_IOERR)(inside):
        await firm.win("Lost to the vendor's patience", customer="Nobody")
        await until(lambda: 503 in inside.webhooks)
        status, journal = await inside.readyz()
        assert (status, "the database failed" in journal) == (503, True)
    await until(lambda: _ready(inside))
    assert await firm.runs() == []


async def _ready(inside: Inside) -> bool:
    return (await inside.readyz()) == (200, "ok")
