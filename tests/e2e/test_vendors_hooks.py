"""`crossdock hooks` against the simulated Pipedrive and Asana: registered by command, delivered, told and removed."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from crossdock_sdk import jsonio


async def hooks(firm: Any, *arguments: str) -> tuple[int, Any]:
    """Exit code, and what the command says as data, or its words where that is none."""
    command = (sys.executable, "-m", "crossdock", "hooks", *arguments, "--url", firm.server.url)
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *command, cwd=firm.server.folder, env=firm.server.env, stdout=pipe, stderr=pipe
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, jsonio.loads(out) if "--json" in arguments else out.decode() + err.decode()


async def test_a_task_that_is_done_is_told_by_a_webhook_that_a_command_registered(firm: Any) -> None:
    firm.routing["flows"]["done"] = {
        "when": "board.task.completed",
        "legs": {"note": {"do": "crm.note.create", "with": {"deal_id": "1", "content": "{{ task.name }} is done"}}},
        "ignore": ["task.custom.*"],
    }
    firm.write()
    await firm.server.start()
    assert (await hooks(firm, "list", "board"))[0] == 1
    code, told = await hooks(firm, "sync", "board", "--json")
    assert (code, [action["do"] for action in told["actions"]]) == (0, ["register"]), told
    assert (await hooks(firm, "list", "board"))[0] == 0
    board = firm.sandbox.simulators["asana"]
    made = await board.trigger("task.create", {"name": "Kick off", "project": "1201"})
    await board.trigger("task.complete", {"id": made["task"]["gid"]})
    await board.settle()
    runs = await firm.ended(1)
    assert {run["status"] for run in runs if run["flow"] == "done"} == {"succeeded"}
    code, told = await hooks(firm, "remove", "board", "--json")
    assert (code, [action["do"] for action in told["actions"]]) == (0, ["remove"]), told
    firm.by_hand()


async def test_a_crm_whose_webhook_is_gone_has_it_again_after_a_sync(firm: Any) -> None:
    crm = firm.sandbox.simulators["pipedrive"]
    crm.webhooks.clear()
    await firm.server.start()
    code, told = await hooks(firm, "sync", "crm", "--json")
    assert code == 0, told
    assert {action["do"] for action in told["actions"]} == {"register"}
    again = (await hooks(firm, "sync", "crm", "--json"))[1]["actions"]
    assert {action["do"] for action in again} == {"keep"}
    await firm.win("Heard of")
    [run] = await firm.ended(1)
    assert run["status"] == "succeeded"


async def test_a_vendor_without_an_api_for_it_is_explained(firm: Any) -> None:
    firm.routing["flows"] |= firm.way_back
    firm.write()
    code, words = await hooks(firm, "list", "books")
    assert "developer.intuit.com" in words
    assert f"{firm.server.url}/webhooks/books" in words
    assert code == 0
