"""The six calls of a flow in their five steps, the same for every Python peer: httpx over the aiohttp transport."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import httpx
from httpx_aiohttp import AiohttpTransport

KEYED = bool(os.environ.get("BENCH_KEYED"))
"""Whether the peer's own id of the step goes with the invoice."""
_clients: dict[asyncio.AbstractEventLoop, httpx.AsyncClient] = {}


def _client() -> httpx.AsyncClient:
    """One for each event loop: a peer may resume in another one than it started in."""
    loop = asyncio.get_running_loop()
    if loop not in _clients:
        limits = httpx.Limits(max_connections=64, max_keepalive_connections=64)
        transport = AiohttpTransport(limits=limits)
        _clients[loop] = httpx.AsyncClient(base_url=os.environ["BENCH_API"], transport=transport, trust_env=False)
    return _clients[loop]


def _json(reply: httpx.Response) -> Any:
    return reply.raise_for_status().json()


async def read_deal(ident: str) -> dict[str, Any]:
    return _json(await _client().get(f"/deals/{ident}"))


async def find_or_create_customer(deal: dict[str, Any]) -> dict[str, Any]:
    found = _json(await _client().get("/customers", params={"name": deal["customer"]}))["customers"]
    wanted = {"name": deal["customer"], "email": deal["email"]}
    return found[0] if found else _json(await _client().post("/customers", json=wanted))


async def create_invoice(deal: dict[str, Any], customer: dict[str, Any], key: str) -> dict[str, Any]:
    order = {"deal": deal["id"], "customer": customer["id"], "lines": deal["lines"], "total": deal["value"]}
    params = {"requestid": key} if KEYED else None
    return _json(await _client().post("/invoices", params=params, json=order))


async def write_back(deal: dict[str, Any], invoice: dict[str, Any]) -> dict[str, Any]:
    return _json(await _client().patch(f"/deals/{deal['id']}", json={"invoice_number": invoice["number"]}))


async def create_task(deal: dict[str, Any], invoice: dict[str, Any]) -> dict[str, Any]:
    note = {"name": f"Kick off {deal['title']}", "notes": f"Invoice {invoice['number']}"}
    return _json(await _client().post("/tasks", json=note))
