"""Webhooks registered by one process while another answers the vendor's handshake, and what is left if one dies."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
import yaml
from crossdock_sdk import jsonio
from crossdock_sdk.testing import serve
from firm import Server
from lighthouse import Gate, Lighthouse, install, routing

PATIENCE = 60.0


@dataclass
class Harbour:
    """The vendor, the server, and the commands beside it."""

    vendor: Lighthouse
    server: Server
    client: httpx.AsyncClient
    said: list[str] = field(default_factory=list)
    """All that the commands printed."""

    async def begin(self, *arguments: str) -> asyncio.subprocess.Process:
        command = (sys.executable, "-m", "crossdock", "hooks", *arguments)
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(
            *command, cwd=self.server.folder, env=self.server.env, stdout=pipe, stderr=pipe
        )

    async def end(self, process: asyncio.subprocess.Process) -> tuple[int | None, str]:
        async with asyncio.timeout(PATIENCE):
            out, err = await process.communicate()
        text = out.decode() + err.decode()
        self.said.append(text)
        return process.returncode, text

    async def hooks(self, *arguments: str) -> tuple[int | None, str]:
        return await self.end(await self.begin(*arguments))

    async def did(self) -> list[str]:
        code, text = await self.hooks("sync", "lamp", "--json")
        assert code == 0, text
        return [action["do"] for action in jsonio.loads(text)["actions"]]

    async def accepted(self, event: str) -> int:
        """How many runs a delivery of the only webhook starts."""
        (hook,) = self.vendor.hooks
        reply = await self.vendor.deliver(hook, event)
        assert reply.status_code == 200, (reply.text, self.server.log)
        accepted: int = reply.json()["accepted"]
        return accepted

    async def cut_off(self, place: str, how: signal.Signals) -> Gate:
        """Begin a registration, and end the command while the vendor is at `place`; the vendor then goes on alone."""
        gate = Gate()
        setattr(self.vendor, place, gate)
        command = await self.begin("sync", "lamp")
        async with asyncio.timeout(PATIENCE):
            await gate.reached.wait()
        command.send_signal(how)
        await self.end(command)
        setattr(self.vendor, place, None)
        gate.opened.set()
        async with asyncio.timeout(PATIENCE):
            while self.vendor.busy:
                await asyncio.sleep(0.01)
        return gate

    def written(self) -> bytes:
        """All that stands in files by now, but for the key."""
        files = [path for path in self.server.folder.rglob("*") if path.is_file() and path.suffix != ".key"]
        return b"".join(path.read_bytes() for path in files)


@pytest.fixture
async def harbour(tmp_path: Path) -> AsyncIterator[Harbour]:
    site = install(tmp_path / "installed")
    folder = tmp_path / "home"
    folder.mkdir()
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("CROSSDOCK_", "OTEL_"))}
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        vendor = Lighthouse(client)
        async with serve(vendor.app) as vendor.url:
            server = Server(folder, kept | {"PYTHONPATH": str(site), "CROSSDOCK_LOG_LEVEL": "DEBUG"})
            server.env["CROSSDOCK_PUBLIC_URL"] = server.url
            (folder / "crossdock.yaml").write_text(yaml.safe_dump(routing(vendor.url)))
            harbour = Harbour(vendor, server, client)
            try:
                yield harbour
            finally:
                await server.end_all()


async def test_one_process_registers_while_the_other_answers_and_no_secret_is_shown(harbour: Harbour) -> None:
    await harbour.server.start()
    assert (await harbour.hooks("list", "lamp"))[0] == 1
    assert await harbour.hooks("sync", "lamp") == (0, "registered light.on (h1)\n")
    assert await harbour.accepted("e-1") == 1
    assert (await harbour.hooks("list", "lamp", "--json"))[0] == 0
    assert await harbour.did() == ["keep"]
    await harbour.server.end()
    await harbour.server.start()
    assert await harbour.accepted("e-2") == 1
    shown = (await harbour.client.get(f"{harbour.server.url}/api/v1/connections")).text
    secret = harbour.vendor.hooks[0].secret
    assert secret not in "".join(harbour.said) + shown + harbour.server.log
    assert b"light.on" in harbour.written()
    assert secret.encode() not in harbour.written()
    assert await harbour.hooks("remove", "lamp") == (0, "removed light.on (h1)\n")
    assert harbour.vendor.hooks == []


async def test_commands_that_run_at_once_register_one_webhook(harbour: Harbour) -> None:
    await harbour.server.start()
    ended = await asyncio.gather(*(harbour.hooks("sync", "lamp") for _ in range(4)))
    assert len(harbour.vendor.hooks) == 1
    for code, text in ended:
        busy = "crossdock: another process changes the webhooks of lamp; try again when it is done\n"
        assert (code, text) in ((0, "registered light.on (h1)\n"), (0, "stands light.on (h1)\n"), (1, busy))
    assert await harbour.accepted("e-1") == 1


async def test_without_a_server_it_says_that_the_handshake_needs_one(harbour: Harbour) -> None:
    code, text = await harbour.hooks("sync", "lamp")
    (line,) = text.splitlines()
    assert code == 1
    assert line.startswith("not registered light.on: ")
    place = f"{harbour.server.url}/webhooks/lamp"
    assert line.endswith(
        f"{place} must lead to a running `crossdock serve` on the same database, while this command runs"
    )
    assert (await harbour.hooks("list", "lamp"))[0] == 1
    assert (await harbour.hooks("remove", "lamp")) == (0, "there is nothing to do for lamp\n")


@pytest.mark.parametrize("place", ["before", "after"])
async def test_a_command_killed_during_a_registration_is_finished_by_the_next(harbour: Harbour, place: str) -> None:
    await harbour.server.start()
    await harbour.cut_off(place, signal.SIGKILL)
    assert await harbour.did() == ["finish"]
    assert await harbour.accepted("e-1") == 1
    assert await harbour.did() == ["keep"]


async def test_a_command_killed_for_a_registration_that_the_vendor_refuses_leaves_nothing_for_long(
    harbour: Harbour,
) -> None:
    await harbour.server.start()
    harbour.vendor.refuses = True
    gate = await harbour.cut_off("before", signal.SIGKILL)
    harbour.vendor.refuses = False
    assert await harbour.did() == ["register"]
    assert await harbour.accepted("e-1") == 1
    # What the dead command had begun is not under way any more.
    assert not await harbour.vendor.shake(gate.urls[0], "of-a-stranger")
    assert harbour.vendor.refused == [401]


async def test_a_command_interrupted_after_the_vendors_yes_leaves_one_that_the_next_makes_anew(
    harbour: Harbour,
) -> None:
    await harbour.server.start()
    await harbour.cut_off("after", signal.SIGINT)
    (orphan,) = harbour.vendor.hooks
    assert (await harbour.vendor.deliver(orphan, "e-1")).status_code == 401
    assert await harbour.did() == ["remove", "register"]
    assert harbour.vendor.removed == [orphan.id]
    assert await harbour.accepted("e-1") == 1


async def test_a_server_killed_during_a_registration_fails_it_and_the_next_succeeds(harbour: Harbour) -> None:
    await harbour.server.start()
    harbour.vendor.before = gate = Gate()
    command = await harbour.begin("sync", "lamp")
    async with asyncio.timeout(PATIENCE):
        await gate.reached.wait()
    await harbour.server.kill()
    gate.opened.set()
    code, text = await harbour.end(command)
    assert (code, "no handshake came" in text) == (1, True)
    harbour.vendor.before = None
    await harbour.server.start()
    assert await harbour.did() == ["register"]
    assert await harbour.accepted("e-1") == 1
