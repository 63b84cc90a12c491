"""Whatever the API is asked, it answers as its own description says, and never with a 5xx: asked by Schemathesis."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import pytest

BAD = ({"code": "NO-SUCH-SKU", "name": "Consulting", "quantity": 2, "unit_price": "49.00"},)
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
CHECKS += ",ignored_auth"
ANN = {"name": "ann", "role": "admin", "password": "nobody is let in without a word"}
EXAMPLES = os.environ.get("CROSSDOCK_TEST_FUZZ", "8")


async def asked(firm: Any, folder: Path, run: str) -> str:
    """What Schemathesis found, with the ids of things that are there; empty if nothing."""
    made = await firm.client.post(f"{firm.server.url}/api/v1/tokens", json={"name": "fuzz", "role": "admin"})
    await firm.client.post(f"{firm.server.url}/api/v1/people", json=ANN)
    config = folder / "schemathesis.toml"
    known = {"run": run, "connection": "crm", "name": "crm"}
    config.write_text("[parameters]\n" + "".join(f'"path.{name}" = "{value}"\n' for name, value in known.items()))
    command = [f"--config-file={config}", "--no-color", "run", f"{firm.server.url}/openapi.json"]
    command += [f"--url={firm.server.url}", f"--header=Authorization: Bearer {made.json()['token']}"]
    command += [f"--checks={CHECKS}", f"--max-examples={EXAMPLES}"]
    command += ["--generation-deterministic" if "CI" in os.environ else "--generation-database=none"]
    cli = str(Path(sys.executable).with_name("st"))
    process = await asyncio.create_subprocess_exec(
        cli, *command, cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    out, _ = await process.communicate()
    return "" if process.returncode == 0 else out.decode()


@pytest.mark.parametrize("status", ["rolled_back", "succeeded"])
async def test_no_question_is_answered_otherwise_than_described(firm: Any, tmp_path: Path, status: str) -> None:
    await firm.server.start()
    await firm.win("Two days", customer="Blue Harbour")
    await firm.win("Bad", customer="Acme", lines=BAD)
    runs = await firm.ended(2)
    run = next(one["id"] for one in runs if one["status"] == status)
    # What it asks for is done: flows are paused, runs replayed and cancelled.
    firm.checked = False
    assert await asked(firm, tmp_path, run) == ""
    assert "the server failed" not in firm.server.log
