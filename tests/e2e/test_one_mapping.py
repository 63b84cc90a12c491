"""One mapping for every CRM: the same deal, won in either, is planned as the same writes."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from crossdock.cli import demo
from crossdock.cli.stage import EXAMPLE, FLOW, routing_file
from crossdock.plugins import load_plugins
from crossdock.sandbox import Sandbox
from crossdock_sdk.testing import serve

CRMS = ("pipedrive", "salesforce")
WON_AT = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)


def said(value: Any) -> Any:
    """Without what is not there: one CRM writes no discount as 0, the other as null."""
    if isinstance(value, dict):
        return {name: said(inner) for name, inner in value.items() if inner not in (None, 0, {}, [])}
    return [said(inner) for inner in value] if isinstance(value, list) else value


def planned(folder: Path, deal: str) -> dict[str, Any]:
    """`crossdock plan` of the example for a deal that stands in the CRM."""
    command = [sys.executable, "-m", "crossdock", "plan", FLOW, "--id", deal, "--json", "--config", EXAMPLE]
    env = {name: value for name, value in os.environ.items() if not name.startswith("CROSSDOCK_")}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture
async def plans(tmp_path: Path) -> dict[str, dict[str, Any]]:
    """What each CRM's deal would write, with the deal's own id taken out."""
    registry, found = load_plugins(), {}
    for crm in CRMS:
        folder = tmp_path / crm
        folder.mkdir()
        cast = {"crm": crm, "books": "quickbooks", "board": "asana", "alerts": "slack"}
        sandbox = Sandbox({name: registry.simulators[name] for name in cast.values()})
        async with serve(sandbox) as sandbox.base_url:
            blocks = {role: sandbox.settings(name) for role, name in cast.items()}
            (folder / EXAMPLE).write_text(routing_file(blocks, with_task=True), encoding="utf-8")
            sandbox.simulators[crm].clock = lambda: WON_AT
            made = await sandbox.simulators[crm].trigger("deal.won", demo.DEAL)
            plan = await asyncio.to_thread(planned, folder, str(made["deal"]["id"]))
            found[crm] = json.loads(json.dumps(plan).replace(json.dumps(str(made["deal"]["id"])), '"the deal"'))
            await sandbox.close()
    return found


async def test_a_deal_is_planned_alike_whichever_crm_it_was_won_in(plans: dict[str, dict[str, Any]]) -> None:
    one, other = (plans[crm] for crm in CRMS)
    assert one["ok"] is True, one
    assert other["ok"] is True, other
    assert [leg["leg"] for leg in other["legs"]] == ["customer", "invoice", "writeback", "task"]
    assert said(other["legs"]) == said(one["legs"])
    assert other["checks"] == one["checks"]
